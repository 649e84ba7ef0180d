r"""Spectral factors: transfer functions that turn white noise into a given process."""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from ._validation import as_choice, as_instance
from .family import flip_all, flip_listed, innovation_data, lower_root
from .models import CovarianceModel, LinearSSM

__all__ = ["spectral_factor"]


def spectral_factor(
    cov: CovarianceModel,
    *,
    kind: Literal["minimum_phase", "maximum_phase", "coanalytic", "flipped"] = "minimum_phase",
    flip: ArrayLike | None = None,
) -> LinearSSM:
    r"""Factor the spectral density of a process.

    A square factor W turns white noise of unit covariance into the process:

    .. math:: \Phi(z) = W(z) W(z)^*, \qquad W(z) = D + C (z I - A)^{-1} B .

    Parameters
    ----------
    cov : CovarianceModel
        Covariance data of a process.
    kind : {"minimum_phase", "maximum_phase", "coanalytic", "flipped"}
        ``"minimum_phase"``: all zeros inside the stability region, so that the noise can be
        recovered from past outputs. ``"maximum_phase"``: all zeros outside, poles inside.
        ``"flipped"``: the zeros in `flip` outside, the others inside. ``"coanalytic"``: the
        backward model's factor :math:`\bar W(z) = \bar D + N^\top (z^{-1} I - A^\top)^{-1} \bar B`
        (continuous time: in :math:`-s`), poles and zeros outside.
    flip : array_like, optional
        For ``"flipped"``: zeros of the minimum-phase factor, by value, closed under conjugation.

    Returns
    -------
    LinearSSM
        Driven by p white noises, D lower triangular with a non-negative diagonal. The factors
        other than ``"coanalytic"`` share A and C with `cov`. For ``"coanalytic"`` the record is
        stable, with state matrix :math:`A^\top`, and is to be read in :math:`1/z` (:math:`-s`).

    Raises
    ------
    TypeError
        If `cov` is not a CovarianceModel, or is complex.
    ValueError
        If `kind` is unknown, `flip` is missing for ``"flipped"`` or given for another kind, or
        holds what cannot be flipped (see `realization_family`).
    NotPositiveRealError
        If the data are those of no process.
    NotMinimalError
        If zeros are flipped that belong to directions the outputs do not see.
    AccuracyError
        If the spectral density is singular at every frequency.

    Warns
    -----
    NumericalWarning
        If the spectral density (nearly) touches zero.

    See Also
    --------
    realization_family : The state covariance of the same model.
    innovation_form : The minimum-phase factor as an innovations model.

    Notes
    -----
    Costs one Riccati equation and at most one Lyapunov equation, O(n^3). The zeros are the
    eigenvalues of :math:`A - B D^{-1} C`; D is singular when a zero at the origin is flipped. In
    discrete time
    :math:`\log \det R_e = \frac{1}{2\pi} \int_{-\pi}^{\pi} \log \det \Phi(e^{i\theta}) d\theta`
    with :math:`R_e = D D^\top` of the minimum-phase factor (Szego and Kolmogorov).

    References
    ----------
    Anderson and Moore (1979) on spectral factorisation; Lindquist and Picci (2015) on the set of
    all factors.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> cov = realization.CovarianceModel([[0.5]], [[1.0]], [[0.5]], [[2.0]])
    >>> omega = np.linspace(0.0, np.pi, 50)
    >>> density = realization.spectral_density(cov, omega)
    >>> W = realization.spectral_factor(cov, kind="maximum_phase")
    >>> bool(np.allclose(realization.spectral_density(W, omega), density, rtol=1e-12))
    True
    """
    as_instance("cov", cov, (CovarianceModel,))
    as_choice("kind", kind, ("minimum_phase", "maximum_phase", "coanalytic", "flipped"))
    if (flip is not None) != (kind == "flipped"):
        raise ValueError(
            "`flip` goes with kind='flipped' and only with it; got "
            f"kind={kind!r} {'without' if flip is None else 'with'} `flip`."
        )
    A, C, dt = cov.A, cov.C, cov.dt
    if flip is not None:
        _, B, D = flip_listed(cov, flip)
    elif kind == "maximum_phase":
        _, B, D = flip_all(cov)
    else:
        if kind == "coanalytic":
            A, C = cov.A.T, cov.N.T
            cov = CovarianceModel(A, C, cov.C.T, cov.Lambda0, dt=dt)
        _, K, Re = innovation_data(cov)
        D = lower_root(Re)
        B = K @ D
    return LinearSSM(A, B, C, D, dt=dt)
