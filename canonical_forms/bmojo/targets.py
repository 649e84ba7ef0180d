r"""A linear model as the parameters of other people's state-space layers.

All of them run diagonal recurrences in which the state answers the input at once::

    model   x_{t+1} = A x_t + B u_t            y_t = C x_t + D u_t
    layer   x_t = lam x_{t-1} + b u_t          y_t = Re(c x_t) + d u_t

so c = c~ / lam and d = D - Re(c b), with c~ the output column of the mode (`modes.py`): an
eigenvalue 0 has no such layer. What differs is how lam and b are stored.

=======  =================================  ====================================  ================
layer    lam                                b                                     outputs
=======  =================================  ====================================  ================
S5       exp(Lambda step)                   (lam - 1) / Lambda B                  Re(C x) + D u
LRU      exp(-exp(nu_log) + i               exp(gamma_log) B                      Re(C x) + D u
         exp(theta_log))
S4D      exp(A dt)                          (lam - 1) / A                         2 Re(C x) + D u
Mamba    exp(delta A)                       delta B                               2 Re(C x) + D u;
                                                                                  C x + D u if all
                                                                                  is real
=======  =================================  ====================================  ================

Every map recomputes the impulse response from what it returns, by the law above, and compares it
with the model's. What surrounds these recurrences in a published block (convolution, gate,
normalization, nonlinearity) is not part of the map.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from realization import (
    AccuracyError,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    markov_parameters,
)
from realization.internal import as_instance, as_real, outputs_and_inputs

from ..result import checked_model
from .modes import diagonal_modes, geometric_horizon

__all__ = ["lru_parameters", "mamba_parameters", "s4d_parameters", "s5_parameters"]

Linear = LinearSSM | GaussianSSM | InnovationSSM

AT_ONCE = 1e-30  # a decay that leaves nothing after one step, yet has a logarithm
NO_ANGLE = 1e-30  # the angle of a positive eigenvalue where only positive angles can be stored
WARN_ABOVE, REFUSE_ABOVE = 1e-9, 1e-6  # error of the impulse response, relative to its peak
CANCELLED = 1e4  # modes this large relative to their sum leave float32 three digits
BILINEAR = (
    "its decays would have to be exp(delta_t A), and those of a bilinear model are affine in the "
    "input. from_model keeps it exactly."
)


def s5_parameters(model: Linear, *, step: float = 1.0) -> dict[str, np.ndarray]:
    r"""Return the parameters of an S5 layer that is the given model.

    .. math::

        x_t = e^{\Lambda \Delta} x_{t-1} + \frac{e^{\Lambda\Delta} - 1}{\Lambda} B u_t, \qquad
        y_t = \operatorname{Re}(C x_t) + D \odot u_t.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        The model from `u` to `y`, in discrete time, stable, with no eigenvalue 0. The predictor
        of an InnovationSSM is ``LinearSSM(A - K C, [B - K D, K], C, [D, 0])``.
    step : float, default 1.0
        The step :math:`\Delta` of all states.

    Returns
    -------
    dict
        ``Lambda`` (N,), ``B`` (N, H), ``C`` (H, N), all complex; ``D`` (H,), ``log_step`` (N,).
        N counts real eigenvalues and pairs; H is the larger of the numbers of inputs and outputs,
        and the surplus channels are zero.

    Raises
    ------
    TypeError
        If `model` is no real linear record (a bilinear one has decays that depend on its input).
    ValueError
        If `model` is in continuous time, has no inputs or an eigenvalue 0; `step` is not positive.
    UnstableModelError
        If an eigenvalue is on or outside the unit circle; the text names it.
    AccuracyError
        If A is defective, or the impulse response of the result is off by more than 1e-6.

    Warns
    -----
    NumericalWarning
        If the impulse response is off by more than 1e-9 of its peak, or its modes are more than
        1e4 times as large as their sum.

    See Also
    --------
    lru_parameters : The same recurrence stored by decay rate and angle.
    from_model : For models with eidetic or defective parts.

    Notes
    -----
    **What is exact.** The linear layer, for any number of inputs and outputs. The shift of one step
    makes :math:`D - \operatorname{Re}(C\Lambda^{-1}B)` the feedthrough, which is seldom diagonal:
    if it is not, as many real modes as its rank are added that forget within one step (eigenvalue
    1e-30) and pass it on. Where an implementation doubles the real part (one of each conjugate
    pair stored), halve C. The nonlinearity after the layer is not part of the map.

    Complex arrays are stored by most implementations as real pairs:
    ``np.stack([C.real, C.imag], axis=-1)``.

    References
    ----------
    J. T. H. Smith, A. Warrington and S. W. Linderman, "Simplified state space layers for sequence
    modeling", arXiv:2208.04933, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms.bmojo import s5_parameters
    >>> from realization import LinearSSM
    >>> layer = s5_parameters(LinearSSM([[0.5]], [[1.0]], [[2.0]], [[3.0]]))
    >>> decay = np.exp(layer["Lambda"])
    >>> gain = layer["C"] * (decay - 1) / layer["Lambda"] @ layer["B"]
    >>> bool(np.allclose([gain[0, 0].real + layer["D"][0], decay[0].real], [3.0, 0.5]))
    True
    """
    step = as_real("step", step, above=0.0)
    lam, b, c, d = _square_law(model, "an S5 layer")
    Lambda = np.log(lam) / step
    B = (Lambda / (lam - 1))[:, np.newaxis] * b
    moved = np.exp(Lambda * step)
    _check(model, moved, ((moved - 1) / Lambda)[:, np.newaxis] * B, c, np.diag(d))
    return {"Lambda": Lambda, "B": B, "C": c, "D": d, "log_step": np.full(lam.size, np.log(step))}


def lru_parameters(model: Linear) -> dict[str, np.ndarray]:
    r"""Return the parameters of a linear recurrent unit that is the given model.

    .. math::

        x_t = e^{-e^{\nu} + i e^{\theta}} x_{t-1} + e^{\gamma} B u_t, \qquad
        y_t = \operatorname{Re}(C x_t) + D \odot u_t.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        The model from `u` to `y`, in discrete time, stable, with no eigenvalue 0.

    Returns
    -------
    dict
        ``nu_log``, ``theta_log``, ``gamma_log`` (N,), ``B`` (N, H) and ``C`` (H, N) complex, ``D``
        (H,); N and H as for `s5_parameters`. ``exp(gamma_log)`` is the usual
        :math:`\sqrt{1 - |\lambda|^2}`, and the rows of B have norm one where an input arrives.

    Raises
    ------
    TypeError
        If `model` is no real linear record.
    ValueError
        If `model` is in continuous time, has no inputs or an eigenvalue 0.
    UnstableModelError
        If an eigenvalue is on or outside the unit circle; the text names it.
    AccuracyError
        If A is defective, or the impulse response of the result is off by more than 1e-6.

    Warns
    -----
    NumericalWarning
        If the impulse response is off by more than 1e-9 of its peak, or its modes are more than
        1e4 times as large as their sum.

    See Also
    --------
    s5_parameters : Where the extra modes of a full feedthrough are explained.

    Notes
    -----
    **What is exact.** The linear layer, with one reservation: a positive eigenvalue has angle 0,
    and only positive angles can be stored. Its ``theta_log`` is the logarithm of 1e-30, which is
    0 to rounding, and gets no gradient to speak of: such a mode stays real in training.

    References
    ----------
    A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences",
    arXiv:2303.06349, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms.bmojo import lru_parameters
    >>> from realization import LinearSSM, poles
    >>> model = LinearSSM([[0.6, 0.5], [-0.5, 0.6]], [[1.0], [0.0]], [[1.0, 1.0]])
    >>> layer = lru_parameters(model)
    >>> lam = np.exp(-np.exp(layer["nu_log"]) + 1j * np.exp(layer["theta_log"]))
    >>> bool(np.allclose(lam, poles(model)[poles(model).imag > 0]))
    True
    """
    lam, b, c, d = _square_law(model, "a linear recurrent unit")
    gamma = np.sqrt(1 - np.abs(lam) ** 2)
    values = {
        "nu_log": np.log(-np.log(np.abs(lam))),
        "theta_log": np.log(np.maximum(np.angle(lam), NO_ANGLE)),
        "gamma_log": np.log(gamma),
        "B": b / gamma[:, np.newaxis],
        "C": c,
        "D": d,
    }
    moved = np.exp(-np.exp(values["nu_log"]) + 1j * np.exp(values["theta_log"]))
    drive = np.exp(values["gamma_log"])[:, np.newaxis] * values["B"]
    _check(model, moved, drive, c, np.diag(d))
    return values


def s4d_parameters(model: Linear) -> dict[str, np.ndarray]:
    r"""Return the parameters of an S4D kernel that is the given model's impulse response.

    .. math::

        y_t = \sum_{k \ge 0} K_k u_{t-k} + D u_t, \qquad
        K_k = 2 \operatorname{Re} \sum_n C_n \frac{e^{A_n \Delta} - 1}{A_n} e^{A_n \Delta k}.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        A model with one input and one output, in discrete time, stable, with no eigenvalue 0.

    Returns
    -------
    dict
        ``log_dt`` (1,), ``log_A_real`` and ``A_imag`` (1, N), ``C`` (1, N) complex and ``D`` (1,):
        one channel; :math:`A = -e^{\mathrm{log\_A\_real}} + i\,\mathrm{A\_imag}`.

    Raises
    ------
    TypeError
        If `model` is no real linear record.
    ValueError
        If `model` is in continuous time, has more or less than one input and one output, or an
        eigenvalue 0.
    UnstableModelError
        If an eigenvalue is on or outside the unit circle; the text names it.
    AccuracyError
        If A is defective, or the impulse response of the result is off by more than 1e-6.

    Warns
    -----
    NumericalWarning
        If the impulse response is off by more than 1e-9 of its peak, or its modes are more than
        1e4 times as large as their sum.

    See Also
    --------
    s5_parameters : For several inputs and outputs.

    Notes
    -----
    **What is exact.** The kernel and D, for one channel. A layer has one input and one output for
    each of its H channels: a model with m inputs and p outputs takes m p channels, one for each
    entry of its transfer function, their inputs copied and their outputs added outside. The
    activation and the mixing that follow the kernel in the published layer are not part of the map.

    Form the kernel in double precision and cast it: in single precision :math:`e^{A\Delta} - 1`
    alone loses as many digits as a slow mode has zeros in :math:`1 - |\lambda|` (1e-5 of the
    peak was measured at 0.999; the stored parameters themselves cost 4e-8).

    References
    ----------
    A. Gu, A. Gupta, K. Goel and C. Re, "On the parameterization and initialization of diagonal
    state space models", arXiv:2206.11893, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms.bmojo import s4d_parameters
    >>> from realization import LinearSSM
    >>> layer = s4d_parameters(LinearSSM([[0.5]], [[1.0]], [[2.0]], [[3.0]]))
    >>> A = -np.exp(layer["log_A_real"]) + 1j * layer["A_imag"]
    >>> kernel = 2 * (layer["C"] * (np.exp(A) - 1) / A * np.exp(A * np.arange(3)[:, None])).real
    >>> kernel[0] += layer["D"]
    >>> bool(np.allclose(kernel[:, 0], [3.0, 2.0, 1.0]))
    True
    """
    lam, b, c, D = _one_channel(model, "an S4D kernel")
    A = np.log(lam)
    C = c * b * A / (lam - 1) / 2
    values = {
        "log_dt": np.zeros(1),
        "log_A_real": np.log(-np.real(A))[np.newaxis],
        "A_imag": np.imag(A)[np.newaxis],
        "C": C[np.newaxis],
        "D": D[0],
    }
    A = -np.exp(values["log_A_real"][0]) + 1j * values["A_imag"][0]
    moved = np.exp(A)
    drive = 2 * (moved - 1) / A
    _check(model, moved, drive[:, np.newaxis], values["C"], D)
    return values


def mamba_parameters(model: Linear, *, step: float = 1.0) -> dict[str, np.ndarray]:
    r"""Return arguments with which the Mamba selective scan is the given model.

    .. math::

        h_t = e^{\Delta A} h_{t-1} + \Delta B u_t, \qquad
        y_t = 2 \operatorname{Re}(C h_t) + D u_t \quad (\text{or } C h_t + D u_t
        \text{ if all is real}).

    Parameters
    ----------
    model : LinearSSM, GaussianSSM or InnovationSSM
        A model with one input and one output, in discrete time, stable, with no eigenvalue 0.
    step : float, default 1.0
        The step :math:`\Delta`, the same at all times.

    Returns
    -------
    dict
        ``A``, ``B``, ``C`` (1, N), ``D`` (1,), ``delta`` (1,): one channel. Real if all eigenvalues
        are positive, else complex.

    Raises
    ------
    TypeError
        If `model` is no real linear record.
    ValueError
        If `model` is in continuous time, has more or less than one input and one output, or an
        eigenvalue 0; or `step` is not positive.
    UnstableModelError
        If an eigenvalue is on or outside the unit circle; the text names it.
    AccuracyError
        If A is defective, or the impulse response of the result is off by more than 1e-6.

    Warns
    -----
    NumericalWarning
        If the impulse response is off by more than 1e-9 of its peak, or its modes are more than
        1e4 times as large as their sum.

    See Also
    --------
    realization.scan.selective_scan : The same recurrence, compiled, for real A.

    Notes
    -----
    **What is exact.** The *operator* ``selective_scan``, called with these fixed A, B, C, D and a
    constant step; note that it drives the state with :math:`\Delta B`, not with the exact hold.
    Complex A gives oscillating and alternating modes.

    **What is not.** The published ``Mamba`` *module* cannot be a given linear model: its A is real
    and negative (eigenvalues in (0, 1) only), its B and C are linear in the input with no constant
    term, so that the output is of third degree in the input, and a convolution, an activation and
    a gate surround the scan. ``Mamba2`` has one real eigenvalue for each head. These maps can set
    the time scales of such a module, no more.

    References
    ----------
    A. Gu and T. Dao, "Mamba: linear-time sequence modeling with selective state spaces",
    arXiv:2312.00752, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from canonical_forms.bmojo import mamba_parameters
    >>> from realization import LinearSSM
    >>> from realization.scan import selective_scan
    >>> op = mamba_parameters(LinearSSM([[0.5]], [[1.0]], [[2.0]], [[3.0]]))
    >>> u, fixed = np.eye(3, 1), np.ones((3, 1))
    >>> y, _ = selective_scan(
    ...     fixed * op["delta"], op["A"], fixed * op["B"], fixed * op["C"], u, np.zeros((1, 1))
    ... )
    >>> bool(np.allclose(y + u * op["D"], [[3.0], [2.0], [1.0]]))
    True
    """
    step = as_real("step", step, above=0.0)
    lam, b, c, D = _one_channel(model, "the Mamba scan")
    real = bool(np.all((np.imag(lam) == 0) & (np.real(lam) > 0)))
    A, B, C = np.log(lam) / step, b / step, c if real else c / 2
    if real:
        A, B, C = np.real(A), np.real(B), np.real(C)
    gain = 1.0 if real else 2.0
    _check(model, np.exp(step * A), step * B[:, np.newaxis], gain * C[np.newaxis], D)
    return {
        "A": A[np.newaxis], "B": B[np.newaxis], "C": C[np.newaxis],
        "D": D[0], "delta": np.full(1, step),
    }  # fmt: skip


def _law(model: Any, layer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return lam (N,), b (N, m), c (p, N) and D (p, m) of the layer, for any feedthrough."""
    checked_model(model, layer, bilinear=BILINEAR)
    as_instance("model", model, (LinearSSM, GaussianSSM, InnovationSSM))
    if model.n_inputs == 0:
        raise ValueError(
            f"`model` must have an input for {layer}. What an output-only model maps is its past "
            "outputs: pass its predictor, LinearSSM(A - K @ C, K, C)."
        )
    modes = diagonal_modes(model, purpose=layer)
    c = modes.c / modes.lam
    return modes.lam, modes.b, c, model.D - (c @ modes.b).real


def _square_law(model: Any, layer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return lam, b (N, H), c (H, N) and a diagonal d (H,), modes added for a full feedthrough."""
    lam, b, c, D = _law(model, layer)
    p, m = D.shape
    H = max(p, m)
    b, c = np.pad(b, ((0, 0), (0, H - m))), np.pad(c, ((0, H - p), (0, 0)))
    D = np.pad(D, ((0, H - p), (0, H - m)))
    if H == 1 or not (D - np.diag(np.diag(D))).any():
        return lam, b, c, np.diag(D).copy()
    U, s, Vt = np.linalg.svd(D)
    rank = int((s > H * np.finfo(float).eps * s[0]).sum())
    root = np.sqrt(s[:rank])
    return (
        np.concatenate([lam, np.full(rank, AT_ONCE, complex)]),
        np.concatenate([b, root[:, np.newaxis] * Vt[:rank]]),
        np.concatenate([c, U[:, :rank] * root], axis=1),
        np.zeros(H),
    )


def _one_channel(model: Any, layer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return lam, b, c (N,) and D (1, 1) of a model with one input and one output."""
    lam, b, c, D = _law(model, layer)
    if D.shape != (1, 1):
        raise ValueError(
            f"`model` must have one input and one output for {layer}, whose channels do not mix; "
            f"got {outputs_and_inputs(*D.shape)}. Map each entry of the transfer function, "
            "LinearSSM(A, B[:, [j]], C[[i]], D[[i], [j]]), to a channel of its own, or use "
            "s5_parameters."
        )
    return lam, b[:, 0], c[0], D


def _check(model: Any, lam: np.ndarray, b: np.ndarray, c: np.ndarray, D: np.ndarray) -> None:
    """Compare the impulse response of the layer's law with the model's."""
    p, m = model.D.shape
    count = geometric_horizon(model.A)
    wanted = markov_parameters(model, count)
    powers = lam.astype(complex) ** np.arange(count)[:, np.newaxis]
    got = np.einsum("in,kn,nj->kij", c[:p], powers, b[:, :m], optimize=True).real
    got[0] += D[:p, :m]
    peak = float(np.abs(wanted).max())
    error = float(np.abs(got - wanted).max()) / (peak or 1.0)
    if not error <= REFUSE_ABOVE:
        raise AccuracyError(
            f"The impulse response of the layer is off by {error:.1e} of its peak (limit "
            f"{REFUSE_ABOVE:.0e}): A is too close to a defective matrix for a diagonal form, or an "
            "eigenvalue too close to 0. Use from_model, which has blocks and a delay line.",
            residual=error,
        )
    cancelled = float((np.abs(c[:p]) @ np.abs(b[:, :m])).max(initial=0.0)) / (peak or 1.0)
    if error > WARN_ABOVE or cancelled > CANCELLED:
        warnings.warn(
            f"The impulse response of the layer is off by {error:.1e} of its peak in float64, and "
            f"its modes are up to {cancelled:.1e} times as large as their sum (float32 keeps 7 "
            "digits of each): the eigenvectors of A are nearly dependent, or an eigenvalue is "
            "close to 0. from_model has blocks and a delay line for such parts.",
            NumericalWarning,
            stacklevel=3,
        )
