r"""From continuous to discrete time and back, exactly.

With the input held constant over each interval of length h::

    phi0 = exp(Ah)      phi1 = integral of exp(Ah s)      phi2 = integral of (1-s) exp(Ah s)

over s in [0, 1]; then ``A -> phi0`` and ``B -> h phi1 B``. The output of a LinearSSM is sampled at
the start of each interval; the output of a stochastic record is averaged over the interval, because
its white part has no value at a point (see :func:`discretize`).

Noise: with the average as extra states, the model over one interval is F = [[Ah, 0], [C, 0]] with
the intensity W = [[Qh, S], [S', R/h]], and the sampled covariance [[Q, S], [S', R]] is

.. math:: L(W) = \int_0^1 e^{Fs} W e^{F^\top s} ds.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

import numpy as np
import scipy

from ._linalg import covariance_factor, symmetrize
from ._noise import noise_covariances
from ._transfer import transfer_values
from ._validation import as_instance, as_real, require_discrete
from .bilinear import BilinearSSM
from .exceptions import AccuracyError, NotEmbeddable
from .models import CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM
from .riccati import solve_filter_riccati

__all__ = ["continuize", "discretize", "noise_integral", "real_logarithm"]

Record = TypeVar("Record", LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel)
_RECORDS = (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel)

_NO_STATE = (
    "No continuous-time model with this state has these samples: its noise intensity would have an "
    "eigenvalue of -{violation:.3g} relative to the largest. If the choice of state does not "
    "matter, try continuize(innovation_form(model)); for the input-output part alone, "
    "continuize(LinearSSM(A, B, C, D))."
)
_NO_PROCESS = (
    "The outputs are not the averages of a continuous-time process of the same order: its {what} "
    "would have an eigenvalue of -{violation:.3g} relative to the largest. For the input-output "
    "part alone call continuize(LinearSSM(A, B, C, D))."
)


def discretize(model: Record, dt: float) -> Record:
    r"""Sample a continuous-time model, exactly for inputs that are constant over each interval.

    A LinearSSM is sampled at the points :math:`t_k = k\,dt`. The stochastic records, whose output
    is :math:`dy = (Cx + Du)\,dt + dv` with a white part that has no value at a point, give the
    average

    .. math:: y_k = \frac{1}{dt} \int_{t_k}^{t_{k+1}} dy

    over the interval on which :math:`u = u_k`; their state is :math:`x(t_k)`.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        A model with ``dt = 0``. It need not be stable.
    dt : float
        The sample time, positive.

    Returns
    -------
    LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The same kind of record with sample time `dt`, in the same state coordinates. An
        InnovationSSM returns the steady-state innovations model of the averages.

    Raises
    ------
    TypeError
        If `model` is no linear record. A BilinearSSM has no exact discrete-time record of its
        kind: its step is not affine in the input (``simulate`` takes the exact step).
    ValueError
        If `model` is in discrete time already, `dt` is not positive, or the state grows past the
        largest float within one interval.
    AccuracyError
        If `model` is an InnovationSSM and the Riccati equation of the averages has no stabilising
        solution.

    See Also
    --------
    continuize : The inverse.

    Notes
    -----
    With :math:`\varphi_i` as in the module's heading and h = dt, a LinearSSM becomes
    :math:`(\varphi_0, h\varphi_1 B, C, D)`; a stochastic record becomes
    :math:`(\varphi_0, h\varphi_1 B, C\varphi_1, D + h C\varphi_2 B)`, and a CovarianceModel has
    :math:`N \to \varphi_1 N` and
    :math:`\Lambda_0 = R/h + C\varphi_2 N + (C\varphi_2 N)^\top`. The averages depend on the process
    alone: sampling commutes with ``to_covariance``, which point samples with an averaged
    white part would not.

    The noise integral is summed as a series over a step with :math:`\|F\| h/2^k \le 1` and doubled
    k times, so that fast modes underflow to zero and nothing overflows. :math:`O(k n^3)`.

    For point samples of the output with a sensor noise of covariance `R_sensor` of their own
    (independent of the process), keep what belongs to the state and give the rest::

        sampled = discretize(model, dt)
        replace(sampled, C=model.C, D=model.D, R=R_sensor, S=0 * sampled.S)

    References
    ----------
    Van Loan (1978), Computing integrals involving the matrix exponential.
    Astrom and Wittenmark, Computer-Controlled Systems, the chapter on sampling.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.GaussianSSM([[-1.0]], [[1.0]], [[2.0]], [[0.1]], dt=0.0)
    >>> sampled = realization.discretize(model, 0.5)
    >>> bool(np.allclose(sampled.Q, 1 - np.exp(-2 * 0.5)))
    True
    >>> back = realization.continuize(sampled)
    >>> bool(np.allclose(back.R, model.R) and np.allclose(back.C, model.C))
    True
    """
    if isinstance(model, BilinearSSM):
        raise TypeError(
            "`model` must be a linear record: the exact step of a BilinearSSM is not bilinear in "
            "the held input. Call simulate(model, u, dt=...), which takes that step."
        )
    model = as_instance("model", model, _RECORDS)
    h = as_real("dt", dt, above=0.0)
    if model.dt != 0.0:
        raise ValueError(
            f"discretize needs a continuous-time model (dt = 0); this {type(model).__name__} has "
            f"dt = {model.dt:g}. To change a sample time call continuize(model) first."
        )
    C = model.C
    phi0, phi1, phi2 = _phi_functions(model.A * h)
    if isinstance(model, LinearSSM):
        return LinearSSM(phi0, h * phi1 @ model.B, C, model.D, dt=h)
    if isinstance(model, CovarianceModel):
        mean = C @ phi2 @ model.N
        Lambda0 = model.Lambda0 / h + mean + mean.conj().T
        return CovarianceModel(phi0, C @ phi1, phi1 @ model.N, Lambda0, dt=h)
    B, D = h * phi1 @ model.B, model.D + h * C @ phi2 @ model.B
    Q, R, S = noise_covariances(model)
    Q, R, S = _sampled_noise(model.A * h, C, Q * h, R / h, S)
    if isinstance(model, GaussianSSM):
        return GaussianSSM(phi0, C @ phi1, Q, R, S, B=B, D=D, m0=model.m0, P0=model.P0, dt=h)
    _, K, Re = solve_filter_riccati(phi0, C @ phi1, Q, R, S, dt=h)
    return InnovationSSM(phi0, C @ phi1, K, Re, B=B, D=D, x0=model.x0, dt=h)


def continuize(model: Record) -> Record:
    r"""Find the continuous-time model that a discrete-time model samples.

    The inverse of :func:`discretize`, with the same meaning of input and output: the model
    returned, sampled with ``model.dt``, is `model` again. The frequencies of its modes are below
    the Nyquist frequency :math:`\pi / dt`.

    Parameters
    ----------
    model : LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        A model with ``dt > 0``. The stochastic records must be real.

    Returns
    -------
    LinearSSM, GaussianSSM, InnovationSSM or CovarianceModel
        The same kind of record with ``dt = 0``, in the same state coordinates.

    Raises
    ------
    TypeError
        If `model` is no linear record, or is stochastic with complex entries.
    ValueError
        If `model` is in continuous time already.
    NotEmbeddable
        If no such model exists: `A` is singular (a pure delay) or has a negative real eigenvalue,
        so that it has no real logarithm (``violation`` is inf); or the noise intensity that would
        be needed is not positive semidefinite.
    AccuracyError
        If the result, sampled again, misses `model` by more than 1e-8, relative.

    See Also
    --------
    discretize : The inverse.

    Notes
    -----
    :math:`A_c = \log(A)/h`, then :math:`B_c = \varphi_1^{-1} B / h` and, for the stochastic
    records, :math:`C_c = C \varphi_1^{-1}`, :math:`D_c = D - h C_c \varphi_2 B_c`. The noise
    integral is inverted by halving: :math:`L_{h/2}` solves
    :math:`Y + E Y E^\top = L_h,\; E = e^{Fh/2}`, which has one solution for every real logarithm;
    after k halvings with :math:`\|F\|h/2^k \le 1` a Bernoulli series finishes. :math:`O(k n^3)`.

    The state of a GaussianSSM is kept, so the noise intensity must be non-negative for that
    state. An InnovationSSM asks less: that the process has a continuous-time model at all. Where
    a GaussianSSM is refused, try ``continuize(innovation_form(model))``. A CovarianceModel asks
    only for a non-negative white part; whether a process has these covariances is for
    ``is_positive_real`` to say. Eigenvalues of an intensity that rounding made negative (above
    -1e-9, relative) are set to zero.

    References
    ----------
    Higham (2008), Functions of Matrices, the chapter on the logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> import realization
    >>> model = realization.LinearSSM([[0.5]], [[1.0]], [[1.0]], dt=0.1)
    >>> back = realization.discretize(realization.continuize(model), 0.1)
    >>> bool(np.allclose(back.A, model.A) and np.allclose(back.B, model.B))
    True
    """
    model = as_instance("model", model, _RECORDS)
    require_discrete(model, "continuize")
    if not isinstance(model, LinearSSM) and np.iscomplexobj(model.A):
        raise TypeError("continuize needs real matrices in a stochastic model; got complex ones.")
    h = model.dt
    Z = real_logarithm(model.A)
    _, phi1, phi2 = _phi_functions(Z)
    if isinstance(model, LinearSSM):
        return LinearSSM(Z / h, np.linalg.solve(phi1, model.B) / h, model.C, model.D, dt=0.0)
    C = np.linalg.solve(phi1.T, model.C.T).T
    if isinstance(model, CovarianceModel):
        N = np.linalg.solve(phi1, model.N)
        mean = C @ phi2 @ N
        R = _require_intensity(model.Lambda0 - mean - mean.T, model.Lambda0, _NO_PROCESS)
        return CovarianceModel(Z / h, C, N, h * R, dt=0.0)
    B = np.linalg.solve(phi1, model.B) / h
    D = model.D - h * C @ phi2 @ B
    n = model.n_states
    Q, R, S = noise_covariances(model)
    sampled = np.block([[Q, S], [S.T, R]])
    W = _intensity(Z, C, sampled)
    if isinstance(model, GaussianSSM):
        W = _require_intensity(W, sampled, _NO_STATE)
        Q, R, S = W[:n, :n] / h, W[n:, n:] * h, W[:n, n:]
        return GaussianSSM(Z / h, C, Q, R, S, B=B, D=D, m0=model.m0, P0=model.P0, dt=0.0)
    R = _require_intensity(W[n:, n:], model.Re, _NO_PROCESS) * h
    try:
        _, K, Re = solve_filter_riccati(Z / h, C, W[:n, :n] / h, R, W[:n, n:], dt=0.0)
    except AccuracyError as error:
        violation = _spectral_violation(Z, C, W)
        message = _NO_PROCESS.format(what="spectral density", violation=violation)
        raise NotEmbeddable(message, violation=violation) from error
    return InnovationSSM(Z / h, C, K, Re, B=B, D=D, x0=model.x0, dt=0.0)


def _phi_functions(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exp(Z) and the integrals over [0, 1] of exp(Zs) and of (1 - s) exp(Zs)."""
    n = Z.shape[0]
    if n == 0:
        return Z, Z, Z
    block = np.zeros((3 * n, 3 * n), dtype=Z.dtype)
    block[:n, :n] = Z
    block[: 2 * n, n:] = np.eye(2 * n)
    with np.errstate(all="ignore"):
        top = scipy.linalg.expm(block)[:n]
    if not np.isfinite(top).all():
        growth = float(np.linalg.eigvals(Z).real.max())
        raise ValueError(
            "`dt` is too long for this unstable model: within one interval its state grows by "
            f"exp({growth:.3g}), past the largest float."
        )
    return top[:, :n], top[:, n : 2 * n], top[:, 2 * n :]


def real_logarithm(A: np.ndarray) -> np.ndarray:
    """Return the principal logarithm of A, or refuse where no real one exists."""
    n = A.shape[0]
    if n == 0:
        return A
    with np.errstate(invalid="ignore"):  # scipy makes a permutation of the scales, unused
        balanced, (scale, _) = scipy.linalg.matrix_balance(A, permute=False, separate=True)
    values = np.linalg.svd(balanced, compute_uv=False)
    if values[-1] <= n * np.finfo(float).eps * values[0]:
        raise NotEmbeddable(
            "`A` must be invertible to have a continuous-time counterpart: its smallest singular "
            f"value is {values[-1]:.3g} (largest {values[0]:.3g}). A delay of whole samples is a "
            "discrete-time notion.",
            violation=np.inf,
        )
    eigenvalues = np.linalg.eigvals(balanced)
    negative = (eigenvalues.real < 0) & (np.abs(eigenvalues.imag) <= 1e-6 * -eigenvalues.real)
    if np.isrealobj(A) and negative.any():
        raise NotEmbeddable(
            "`A` must have no negative real eigenvalue to have a continuous-time counterpart: it "
            f"has {eigenvalues[negative].real[0]:.6g}, an oscillation at the Nyquist frequency, "
            "and so no real logarithm.",
            violation=np.inf,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its accuracy is measured below
        unit = 2.0 ** np.round(np.log2(values[0]))  # logm fails where squares underflow
        Z = scipy.linalg.logm(balanced / unit) + np.log(unit) * np.eye(n)
    residual = float(np.linalg.norm(scipy.linalg.expm(Z) - balanced, 2) / values[0])
    if np.isrealobj(A):
        residual = max(residual, float(np.linalg.norm(np.imag(Z)) / max(np.linalg.norm(Z), 1.0)))
        Z = np.real(Z)
    _require_accuracy("The logarithm of `A`", residual)
    return Z * scale[:, np.newaxis] / scale


def _augmented(
    Z: np.ndarray, C: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return F = [[Z, 0], [C x/y, 0]], W in units of x and y, and the products of these units.

    The units x of the states and y of the outputs are what W and C make of them.
    """
    n, p = Z.shape[0], C.shape[0]
    x = float(np.sqrt(np.abs(W[:n, :n]).max(initial=0.0))) or 1.0
    through = float(np.linalg.norm(C, 2)) * x if n else 0.0
    y = max(through, float(np.sqrt(np.abs(W[n:, n:]).max(initial=0.0)))) or 1.0
    F = np.zeros((n + p, n + p), dtype=np.result_type(Z, C))
    F[:n, :n], F[n:, :n] = Z, C * x / y
    units = np.concatenate([np.full(n, x), np.full(p, y)])
    return F, W / units / units[:, np.newaxis], np.outer(units, units)


def _halvings(F: np.ndarray) -> int:
    """Return the least k with |F| <= 2^k."""
    return max(0, int(np.ceil(np.log2(max(np.linalg.norm(F, 2), 1.0))))) if F.size else 0


def _sampled_noise(
    Z: np.ndarray, C: np.ndarray, Q: np.ndarray, R: np.ndarray, S: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the blocks of L(W): the covariance Q, R, S of one interval from its intensity."""
    n = Z.shape[0]
    F, W, units = _augmented(Z, C, np.block([[Q, S], [S.conj().T, R]]))
    X = noise_integral(F, W) * units
    return X[:n, :n], X[n:, n:], X[:n, n:]


def noise_integral(F: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return the integral over [0, 1] of exp(Fs) W exp(F's), F' the conjugate transpose.

    A series over a step with |F| / 2^k <= 1, ended when no entry changes any more (so entries that
    appear late, as in a chain of integrators, are exact too), and k doublings.
    """
    doublings = _halvings(F)
    F = F / 2**doublings
    total = term = W / 2**doublings
    for k in range(2, 40):
        step = F @ term
        term = (step + step.conj().T) / k
        total = total + term
        if (np.abs(term) <= 1e-17 * np.abs(total)).all():
            break
    E = scipy.linalg.expm(F)
    for _ in range(doublings):
        total = total + E @ total @ E.conj().T
        E = E @ E
    return symmetrize(total)


def _intensity(Z: np.ndarray, C: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Return W with L(W) = sampled: the intensity over one interval, real matrices."""
    import slycot

    F, target, units = _augmented(Z, C, sampled)
    size, halvings = F.shape[0], _halvings(F)
    roots = [scipy.linalg.expm(F / 2**halvings)]
    for _ in range(halvings - 1):
        roots.append(roots[-1] @ roots[-1])
    Y = target
    for E in reversed(roots[:halvings]):
        Y = symmetrize(slycot.sb04qd(size, size, E, E.T, Y))
    F_small = F / 2**halvings
    W = Y - _kronecker_sum(F_small, Y) / 2
    term = Y
    for j in range(1, 20):  # B_2j / (2j)! = -(-1)^j 2 zeta(2j) / (2 pi)^(2j)
        term = _kronecker_sum(F_small, _kronecker_sum(F_small, term)) / -((2 * np.pi) ** 2)
        W = W - 2 * scipy.special.zeta(2 * j) * term
    W = W * 2**halvings
    error = np.linalg.norm(noise_integral(F, W) - target)
    _require_accuracy("The noise", float(error / max(np.linalg.norm(target), 1e-300)))
    return symmetrize(W) * units


def _kronecker_sum(F: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return F X + X F' for symmetric X."""
    step = F @ X
    return step + step.T


def _require_accuracy(what: str, residual: float) -> None:
    """Raise if a round trip misses by more than 1e-8."""
    if not residual <= 1e-8:
        raise AccuracyError(
            f"{what}, taken to continuous time and sampled again, misses by {residual:.2e} "
            "(relative). Likely causes: (a) poles that differ by many orders of magnitude, (b) a "
            "frequency near the Nyquist frequency, (c) a badly scaled state: balance it first.",
            residual=residual,
        )


def _require_intensity(W: np.ndarray, sampled: np.ndarray, refusal: str) -> np.ndarray:
    """Return W with rounding's negative eigenvalues at zero; refuse those below -1e-9.

    Eigenvalues are measured in units of the sampled standard deviations.
    """
    units = np.sqrt(np.diag(sampled).clip(min=0.0))
    units = np.outer(*2 * [np.where(units > 0, units, units.max() or 1.0)])
    eigenvalues = np.linalg.eigvalsh(W / units)
    if eigenvalues[0] >= 0.0:
        return W
    violation = float(-eigenvalues[0] / np.abs(eigenvalues).max())
    if eigenvalues[0] < -1e-9 and violation > 1e-9:
        message = refusal.format(what="white part", violation=violation)
        raise NotEmbeddable(message, violation=violation)
    factor = covariance_factor(W / units)
    return factor @ factor.T * units


def _spectral_violation(Z: np.ndarray, C: np.ndarray, W: np.ndarray) -> float:
    """Return how negative the spectral density gets on a grid, relative to its largest value."""
    n, p = Z.shape[0], C.shape[0]
    noise = np.eye(n + p)
    G = transfer_values(Z, noise[:n], C, noise[n:], 1j * np.geomspace(1e-4, 1e3, 1000))
    density = np.linalg.eigvalsh(symmetrize(G @ W @ np.swapaxes(G.conj(), 1, 2)))
    return float(max(0.0, -density.min() / np.abs(density).max()))
