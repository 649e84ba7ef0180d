"""To and from python-control and scipy.signal.

Both know the deterministic model (A, B, C, D) only, so noise and initial state do not travel. Their
words for sample time differ from ours::

    here                    python-control           scipy.signal
    dt = 0.0                dt = 0                   an lti (dt None)
    dt = 0.1                dt = 0.1                 a dlti with dt = 0.1
    dt = 1.0, or as given   dt = True (not stated)   a dlti with dt = True (not stated)
    must be given           dt = None (either)       -
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import scipy

from ._validation import as_dt, as_instance
from .exceptions import NumericalWarning
from .models import AnyLinear, GaussianSSM, InnovationSSM, LinearSSM

if TYPE_CHECKING:
    import control
    import scipy.signal

__all__ = ["from_control", "from_scipy", "to_control", "to_scipy"]


def to_control(model: AnyLinear) -> control.StateSpace:
    """Convert to a python-control StateSpace.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        A real model with inputs.

    Returns
    -------
    control.StateSpace
        The same (A, B, C, D) and sample time.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model has no inputs, which python-control cannot hold.

    Warns
    -----
    NumericalWarning
        If the model has noise: it is left out, with the initial state.

    See Also
    --------
    from_control : The way back.

    Notes
    -----
    To hand over an innovations model with its noise as extra inputs, convert
    ``LinearSSM(A, numpy.hstack([B, K]), C, numpy.hstack([D, numpy.eye(p)]), dt=dt)``.
    python-control's similarity transformations are the inverse of ours: it writes z = T x where
    this package writes x = T z.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[2.0]], dt=0.1)
    >>> system = realization.to_control(model)
    >>> bool(np.isclose(system.dcgain(), 4.0)), system.dt
    (True, 0.1)
    """
    import control

    _require_linear(model, "python-control")
    if np.iscomplexobj(model.A) or np.iscomplexobj(model.B) or np.iscomplexobj(model.C):
        raise TypeError("`model` must be real: python-control has no complex models.")
    if model.n_inputs == 0:
        raise ValueError(
            "`model` must have inputs: python-control cannot hold a model without. To hand over "
            "the noise of an innovations model as inputs convert LinearSSM(A, K, C, numpy.eye(p))."
        )
    return control.StateSpace(
        model.A, model.B, model.C, model.D, model.dt, remove_useless_states=False
    )


def from_control(system: control.StateSpace, *, dt: float | None = None) -> LinearSSM:
    """Convert from a python-control StateSpace.

    Parameters
    ----------
    system : control.StateSpace
        The system. Of a transfer function take ``control.ss(system)``.
    dt : float, optional
        The sample time (0.0 for continuous time) where the system leaves it open: required if its
        `dt` is None, 1.0 by default if its `dt` is True.

    Returns
    -------
    LinearSSM
        The same (A, B, C, D).

    Raises
    ------
    TypeError
        If `system` is another kind of object.
    ValueError
        If the system does not say whether it is in continuous or discrete time and `dt` is not
        given, or `dt` contradicts the system.

    See Also
    --------
    to_control : The way back.

    Examples
    --------
    >>> import control
    >>> import realization
    >>> realization.from_control(control.ss([[0.5]], [[1.0]], [[1.0]], 0.0, 0.1))
    LinearSSM(1 state, 1 input, 1 output, dt=0.1)
    """
    import control

    if not isinstance(system, control.StateSpace):
        raise TypeError(
            f"`system` must be a control.StateSpace; got {type(system).__name__}. Of a transfer "
            "function take control.ss(system)."
        )
    if system.dt is None and dt is None:
        raise ValueError(
            "`system` has dt = None: it does not say whether time is continuous or discrete. Pass "
            "dt=0.0 for continuous time or the sample time."
        )
    stated = None if system.dt is None or system.dt is True else float(system.dt)
    sample_time = _agreed_dt(stated, dt, discrete=system.dt is True)
    return LinearSSM(system.A, system.B, system.C, system.D, dt=sample_time)


def to_scipy(model: AnyLinear) -> scipy.signal.StateSpace:
    """Convert to a scipy.signal StateSpace.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        The model.

    Returns
    -------
    scipy.signal.StateSpace
        The same (A, B, C, D): a ``dlti`` with the sample time, or an ``lti`` if ``dt = 0``.

    Raises
    ------
    TypeError
        If `model` is another kind of object.

    Warns
    -----
    NumericalWarning
        If the model has noise: it is left out, with the initial state.

    See Also
    --------
    from_scipy : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[2.0]], dt=0.1)
    >>> back = realization.from_scipy(realization.to_scipy(model))
    >>> bool(np.array_equal(back.A, model.A)), back.dt
    (True, 0.1)
    """
    _require_linear(model, "scipy.signal")
    matrices = (model.A, model.B, model.C, model.D)
    if model.dt == 0.0:
        return scipy.signal.StateSpace(*matrices)
    return scipy.signal.StateSpace(*matrices, dt=model.dt)


def from_scipy(system: scipy.signal.StateSpace, *, dt: float | None = None) -> LinearSSM:
    """Convert from a scipy.signal StateSpace.

    Parameters
    ----------
    system : scipy.signal.StateSpace
        The system. Of another representation take ``system.to_ss()``.
    dt : float, optional
        The sample time of a ``dlti`` whose `dt` is True (not stated); default 1.0.

    Returns
    -------
    LinearSSM
        The same (A, B, C, D); an ``lti`` has ``dt = 0``.

    Raises
    ------
    TypeError
        If `system` is another kind of object.
    ValueError
        If `dt` contradicts the system.

    See Also
    --------
    to_scipy : The way back.

    Examples
    --------
    >>> import scipy.signal
    >>> import realization
    >>> realization.from_scipy(scipy.signal.StateSpace([[-1.0]], [[1.0]], [[1.0]], [[0.0]]))
    LinearSSM(1 state, 1 input, 1 output, continuous time)
    """
    if not isinstance(system, scipy.signal.StateSpace):
        raise TypeError(
            f"`system` must be a scipy.signal.StateSpace; got {type(system).__name__}. Of another "
            "representation take system.to_ss()."
        )
    discrete = isinstance(system, scipy.signal.dlti)
    stated = 0.0 if not discrete else None if system.dt is True else float(system.dt)
    sample_time = _agreed_dt(stated, dt, discrete=discrete)
    A, B, C, D = (np.asarray(matrix) for matrix in (system.A, system.B, system.C, system.D))
    return LinearSSM(A, B, C, D, dt=sample_time)


def _require_linear(model: AnyLinear, receiver: str) -> None:
    """Raise unless the model is a linear record; warn of what the receiver has no place for."""
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM))
    if not isinstance(model, LinearSSM):
        warnings.warn(
            f"{receiver} has no noise models: of this {type(model).__name__} only A, B, C, D and "
            "dt are converted; the noise and the initial state are left out.",
            NumericalWarning,
            stacklevel=3,
        )


def _agreed_dt(stated: float | None, given: float | None, *, discrete: bool) -> float:
    """Return the sample time from what the system states and what the caller gives."""
    if given is None:
        return 1.0 if stated is None else stated
    given = as_dt(given)
    if (stated is not None and given != stated) or (discrete and given == 0.0):
        found = "discrete time" if stated is None else f"dt = {stated:g}"
        raise ValueError(f"`dt` must agree with the system, which has {found}; got {given:g}.")
    return given
