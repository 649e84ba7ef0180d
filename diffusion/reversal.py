r"""A Gaussian model with time running the other way, in discrete time.

Glossary: ``P`` state covariance, ``N = E[x_{t+1} y_t'] = A P C' + S``, and for the reverse::

    x_t = m_t  + J (x_{t+1} - m_{t+1}) + eta_t         J = P_t A' P_{t+1}^+
    y_t = mu_t + H (x_{t+1} - m_{t+1}) + zeta_t        H = N_t'  P_{t+1}^+

with (eta, zeta) white and uncorrelated with the *later* states. The state is the same random
vector, so outputs stay paired with their states. In covariance data, (A, C, N, Lambda_0), reversal
is the transposition (A', N', C', Lambda_0).

Derived for linear stochastic models by Lindquist and Picci in 1979; general nonlinear stochastic
differential equations by Anderson in 1982. Backward Markovian models are older: Ljung and Kailath,
Verghese and Kailath; the reverse drift is Nelson's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from realization import (
    BilinearSSM,
    CovarianceModel,
    GaussianSSM,
    InnovationSSM,
    NumericalWarning,
    Simulation,
    bilinear_gramians,
    innovation_form,
    to_covariance,
)
from realization.internal import (
    Rng,
    as_array,
    as_generator,
    as_instance,
    as_integer,
    counted,
    covariance_factor,
    lyapunov_factor,
    model_input,
    noise_covariances,
    register_record,
    require_discrete,
    require_memory,
    require_real,
    solve_lyapunov,
)

from ._factors import RowSpace, joint_factor, row_space
from ._whitening import AnyGaussian, WhitenedPath, stationary_link, whiten

__all__ = ["BackwardSSM", "backward_model", "checked_model", "final_coordinates", "reverse"]

_FAR = 40.0  # standard deviations that no draw reaches
Stochastic = TypeVar("Stochastic", GaussianSSM, InnovationSSM, CovarianceModel)


@register_record
@dataclass(frozen=True, slots=True, eq=False)
class BackwardSSM:
    r"""A Gaussian model that runs backwards in time.

    .. math::

        x_t = m_t + J_t (x_{t+1} - m_{t+1}) + \eta_t, \quad
        y_t = \mu_t + H_t (x_{t+1} - m_{t+1}) + \zeta_t, \quad
        x_T \sim N(m_T, P_T),

    with white noise :math:`(\eta_t, \zeta_t)`, uncorrelated with the later states. Made by
    :func:`backward_model`. Of a stationary model the matrices have no leading axis T, and the
    means are zero.

    Parameters
    ----------
    J : (T, n, n) or (n, n) ndarray
        Backward state matrices.
    H : (T, p, n) or (p, n) ndarray
        Backward output matrices.
    noise : (T, n + p, k) or (n + p, k) ndarray
        Factors of the covariances of :math:`(\eta_t, \zeta_t)`.
    m : (T + 1, n) or (n,) ndarray
        Means of the states.
    mu : (T, p) or (p,) ndarray
        Means of the outputs.
    end : (n, r) ndarray
        Factor of the covariance of the last state, or of every state of a stationary model.
    dt : float
        Sample time.

    Notes
    -----
    Covariances are kept as factors: where the state hardly varies in some directions, only a factor
    has digits left for them, and the model amplifies what is wrong there.
    """

    J: np.ndarray
    H: np.ndarray
    noise: np.ndarray
    m: np.ndarray
    mu: np.ndarray
    end: np.ndarray
    dt: float

    def __post_init__(self) -> None:
        for name in ("J", "H", "noise", "m", "mu", "end"):
            array = as_array(name, getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def covariance(self) -> np.ndarray:
        """Covariances (T, n + p, n + p) or (n + p, n + p) of the noise (eta, zeta)."""
        return self.noise @ np.swapaxes(self.noise, -1, -2)

    @property
    def P_end(self) -> np.ndarray:
        """Covariance (n, n) of the last state, or of every state of a stationary model."""
        return self.end @ self.end.T

    @property
    def n_states(self) -> int:
        """State dimension n."""
        return self.J.shape[-1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs p."""
        return self.H.shape[-2]

    @property
    def n_inputs(self) -> int:
        """Number of inputs: none, known inputs are in the means."""
        return 0

    @property
    def steps(self) -> int | None:
        """Number of steps T; None for a stationary model, which has no end."""
        return self.J.shape[0] if self.J.ndim == 3 else None

    def __repr__(self) -> str:
        length = "stationary" if self.steps is None else counted(self.steps, "step")
        states, outputs = counted(self.n_states, "state"), counted(self.n_outputs, "output")
        return f"BackwardSSM({states}, {outputs}, {length}, dt={self.dt:g})"

    def sample(
        self, *, steps: int | None = None, final_state: ArrayLike | None = None, rng: Rng = None
    ) -> Simulation:
        """Draw paths from the last state backwards.

        Parameters
        ----------
        steps : int, optional
            Number of samples T; needed for a stationary model.
        final_state : (..., n) array_like, optional
            The last state; leading axes are batch. Default: one draw from its law.
        rng : int, Generator or None, optional
            Source of randomness.

        Returns
        -------
        Simulation
            `y` (..., T, p) and `x` (..., T + 1, n), in the order of time.

        Raises
        ------
        ValueError
            If `steps` is missing or disagrees with the model, or if `final_state` has another
            shape, or has probability zero because :math:`P_T` is singular.

        Warns
        -----
        NumericalWarning
            If `final_state` is so far from the mean that no draw reaches it.
        """
        T, n = _sample_steps(self, steps), self.n_states
        generator = as_generator(rng)
        m = np.broadcast_to(self.m, (T + 1, n))
        last = final_coordinates(row_space(self.end), m[T], final_state, generator)[0]
        x = np.empty((*last.shape[:-1], T + 1, n))
        y = np.empty((*last.shape[:-1], T, self.n_outputs))
        x[..., T, :] = last - m[T]
        stacked = np.concatenate([self.J, self.H], axis=-2)
        for t in reversed(range(T)):
            gain, factor = (M if self.steps is None else M[t] for M in (stacked, self.noise))
            white = generator.standard_normal((*last.shape[:-1], factor.shape[1]))
            both = x[..., t + 1, :] @ gain.T + white @ factor.T
            x[..., t, :], y[..., t, :] = both[..., :n], both[..., n:]
        x += m
        x[..., T, :] = last
        return Simulation(y + self.mu, partial(np.asarray, x))


def backward_model(
    model: AnyGaussian, u: ArrayLike | None = None, *, steps: int | None = None
) -> BackwardSSM:
    r"""Return the model of the same process that runs backwards in time.

    With :math:`P_{t+1} = A_t P_t A_t^\top + Q` and :math:`N_t = A_t P_t C^\top + S`,

    .. math::

        J_t = P_t A_t^\top P_{t+1}^{+}, \qquad H_t = N_t^\top P_{t+1}^{+}, \qquad
        \begin{bmatrix} x_t - m_t \\ y_t - \mu_t \end{bmatrix}
        = \begin{bmatrix} J_t \\ H_t \end{bmatrix} (x_{t+1} - m_{t+1})
        + \begin{bmatrix} \eta_t \\ \zeta_t \end{bmatrix}.

    Exact for every law of the first state and every noise: correlated (:math:`S \ne 0`), singular
    covariances, singular A, unstable A.

    Parameters
    ----------
    model : GaussianSSM, InnovationSSM or BilinearSSM
        A discrete-time model with real matrices.
    u : (T, m) array_like, optional
        Known inputs; needed if the model has any and the path is finite. They move the means, and
        in a BilinearSSM also the dynamics, :math:`A_t = A + \sum_i u_{t,i} N_i`.
    steps : int, optional
        T: the path of x_0 .. x_T from the model's own initial state. None (and no `u`): the
        stationary process, with the means left out.

    Returns
    -------
    BackwardSSM
        `J`, `H`, `covariance` (with a leading axis T for a finite path), the means `m` and `mu`,
        and the covariance `P_end` of the last state. It can draw samples.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model is in continuous time, `u` is missing, or shapes disagree.
    UnstableModelError
        If the stationary process is asked for and does not exist.

    See Also
    --------
    reverse : The reversed stationary process as a model of the same class.
    sample_backward : Draw paths that end in a given state or explain given outputs.

    Notes
    -----
    The factor of the joint covariance of (x_t, y_t, x_{t+1}) is split by a singular value
    decomposition into what x_{t+1} determines and the rest, so all covariances are positive
    semidefinite to the last bit and no Riccati or inverse is needed. O(n^3) a step.

    Reversal is not inversion of the dynamics: in the stationary case with :math:`P \succ 0`,
    :math:`J = P A^\top P^{-1}` has the eigenvalues of A, not those of its inverse.

    The stationary BilinearSSM is driven by inputs that are white, with zero mean and unit variance.
    Its law is not Gaussian; the backward model then has the right first and second moments
    (its noise is uncorrelated with the later states, not independent of them). With `u` given the
    path is Gaussian and the reversal exact.

    References
    ----------
    Lindquist and Picci (1979), who derived the backward models of linear stochastic models;
    Lindquist and Picci (2015). Earlier backward Markovian models: Ljung and Kailath; Verghese and
    Kailath.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import backward_model
    >>> from realization import GaussianSSM
    >>> model = GaussianSSM([[0.9]], [[1.0]], [[1.0]], [[1.0]], P0=[[0.0]])
    >>> backward = backward_model(model, steps=3)
    >>> P = 1.0 + 0.81 * (1.0 + 0.81)                    # covariance of x_3
    >>> bool(np.allclose(backward.P_end, P) and np.allclose(backward.J[2], 0.9 * 1.81 / P))
    True
    >>> bool(np.allclose(backward.covariance[0][0, 0], 0.0))     # x_0 is known
    True
    """
    checked_model(model, "backward_model")
    if steps is not None or u is not None:
        u = model_input(model, u, steps)
        require_memory(f"`steps` = {len(u)}", len(u) * (model.n_states + model.n_outputs) ** 2)
        if u.ndim != 2:
            raise ValueError(f"`u` must be one record, (T, m); got shape {u.shape}.")
        return _finite_backward(model, whiten(model, u))
    n, p = model.n_states, model.n_outputs
    Q, R, S = _stationary_noise(model)
    W, D = joint_factor(Q, R, S)
    P = row_space(lyapunov_factor(model.A, W, dt=model.dt))
    link = stationary_link(model.A, model.C, W, D, P)
    J, H = P.factor @ link.A @ P.inverse, link.C @ P.inverse
    noise = np.vstack([P.factor @ link.W, link.D])
    zeros = np.zeros(n), np.zeros(p)
    return BackwardSSM(J, H, noise, *zeros, P.factor, model.dt)


def reverse(model: Stochastic) -> Stochastic:
    r"""Return the stationary process with time running the other way.

    The autocovariances are transposed, :math:`\Lambda_k \mapsto \Lambda_k^\top = \Lambda_{-k}`.

    Parameters
    ----------
    model : CovarianceModel, GaussianSSM or InnovationSSM
        A stable model without inputs, in discrete or continuous time.

    Returns
    -------
    CovarianceModel, GaussianSSM or InnovationSSM
        The same class. A CovarianceModel is transposed, :math:`(A^\top, N^\top, C^\top,
        \Lambda_0)`. A GaussianSSM keeps its state, read backwards: the result is
        :math:`(J, H)` of :func:`backward_model` with its noise. An InnovationSSM becomes the
        innovations model of the reversed process, whose state is a function of *later* outputs.

    Raises
    ------
    TypeError
        If `model` is another kind of object, or complex.
    ValueError
        If the model has inputs: the response to a known input is causal in one direction only.
    UnstableModelError
        If `model` is not stable: then there is no stationary process.
    AccuracyError
        If an InnovationSSM has a spectral density that is singular at every frequency.

    See Also
    --------
    backward_model : Any initial state, known inputs, a finite path.
    irreversibility : How different the reversed process is.

    Notes
    -----
    Reversing twice gives the model back, for a GaussianSSM if its state covariance is not
    singular. In continuous time a GaussianSSM becomes
    :math:`(P A^\top P^{-1},\, C + S^\top P^{-1})` with noise :math:`(Q, R, -S)`. O(n^3).

    References
    ----------
    Lindquist and Picci (1979), derived for linear stochastic models; Anderson (1982) for general
    nonlinear stochastic differential equations.

    Examples
    --------
    >>> import numpy as np
    >>> from diffusion import reverse
    >>> from realization import GaussianSSM, autocovariance
    >>> A = [[0.8, 0.4], [-0.4, 0.8]]
    >>> model = GaussianSSM(A, np.eye(2), np.diag([1.0, 0.1]), np.eye(2))
    >>> backwards = reverse(model)
    >>> transposed = np.swapaxes(autocovariance(model, 5), 1, 2)
    >>> bool(np.allclose(autocovariance(backwards, 5), transposed))
    True
    """
    as_instance("model", model, (CovarianceModel, GaussianSSM, InnovationSSM))
    require_real(model, "reverse")
    if model.n_inputs:
        raise ValueError(
            "`model` must have no inputs: what answers to a known input afterwards would have to "
            f"answer before it; got {model.n_inputs}. Reverse to_covariance(model), the process "
            "around its response, or call backward_model(model, u)."
        )
    if isinstance(model, CovarianceModel):
        return CovarianceModel(model.A.T, model.N.T, model.C.T, model.Lambda0, dt=model.dt)
    if isinstance(model, InnovationSSM):
        return innovation_form(reverse(to_covariance(model)))
    if model.dt == 0.0:
        return _reverse_continuous(model)
    backward = backward_model(model)
    n, noise = model.n_states, backward.covariance
    Q, R, S = noise[:n, :n], noise[n:, n:], noise[:n, n:]
    return GaussianSSM(backward.J, backward.H, Q, R, S, dt=model.dt)


def checked_model(model: AnyGaussian, task: str) -> None:
    """Raise unless the model has a Gaussian path in discrete time."""
    as_instance("model", model, (GaussianSSM, InnovationSSM, BilinearSSM))
    require_discrete(model, task)
    require_real(model, task)


def _sample_steps(model: BackwardSSM, steps: int | None) -> int:
    """Return the number of samples to draw."""
    if model.steps is None:
        if steps is None:
            raise ValueError("`steps` must be given: a stationary model has no end of its own.")
        steps = as_integer("steps", steps)
        require_memory(f"`steps` = {steps}", steps * (model.n_states + model.n_outputs))
        return steps
    if steps is not None and steps != model.steps:
        raise ValueError(
            f"`steps` must be the model's own {model.steps}, or left out; got {steps}."
        )
    return model.steps


def final_coordinates(
    law: RowSpace, mean: np.ndarray, final_state: ArrayLike | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last state x (..., n) and its z (..., r), x = mean + factor z.

    Drawn from the law if no state is given.
    """
    if final_state is None:
        z = rng.standard_normal(law.factor.shape[1])
        return mean + law.factor @ z, z
    x = as_array("final_state", final_state, real=True)
    if x.ndim == 0 or x.shape[-1] != mean.size:
        raise ValueError(
            f"`final_state` must have shape (..., {mean.size}) to match the model; got {x.shape}."
        )
    z = (x - mean) @ law.inverse.T
    gap = np.abs(x - mean - z @ law.factor.T).max(initial=0.0)
    scale = max(np.abs(M).max(initial=0.0) for M in (x, mean, law.factor))
    if gap > 1e-8 * scale:
        raise ValueError(
            "`final_state` must be a state that the model can reach: its covariance is singular, "
            f"and the state given is {gap:.3g} away from those that have a density. Project it on "
            "the range of that covariance, around the mean, first."
        )
    if np.abs(z).max(initial=0.0) > _FAR:
        warnings.warn(
            f"`final_state` is {np.abs(z).max():.3g} standard deviations from the mean in one "
            "direction of the state, which no draw of the model is: the paths that lead to it are "
            "made by that number. A direction that hardly varies may hold rounding errors or "
            "noise; project the state on the others, or give the model the noise.",
            NumericalWarning,
            stacklevel=4,
        )
    return x, z


def _finite_backward(model: AnyGaussian, path: WhitenedPath) -> BackwardSSM:
    """Return the backward model of a whitened path in the coordinates of the state."""
    T, n, p = len(path.backward), model.n_states, model.n_outputs
    J, H = np.empty((T, n, n)), np.empty((T, p, n))
    width = max((link.W.shape[1] for link in path.backward), default=0)
    noise = np.zeros((T, n + p, width))
    for t, link in enumerate(path.backward):
        J[t] = path.factors[t] @ link.A @ path.inverses[t + 1]
        H[t] = link.C @ path.inverses[t + 1]
        noise[t, :, : link.W.shape[1]] = np.vstack([path.factors[t] @ link.W, link.D])
    return BackwardSSM(J, H, noise, path.m, path.mu, path.factors[T], model.dt)


def _stationary_noise(model: AnyGaussian) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q, R, S; of a bilinear model with white inputs, all that A x does not explain."""
    if not isinstance(model, BilinearSSM):
        return noise_covariances(model)
    Re = np.zeros((model.n_outputs,) * 2) if model.Re is None else model.Re
    root = covariance_factor(Re)
    B, D = np.hstack([model.B, model.K @ root]), np.hstack([model.D, root])
    N = np.concatenate([model.N, np.zeros((root.shape[1], *model.A.shape))])
    P = bilinear_gramians(BilinearSSM(model.A, N, B, model.C, dt=model.dt))[0]
    gates = np.einsum("ijk,kl,iml->jm", model.N, P, model.N)
    return gates + B @ B.T, D @ D.T, B @ D.T


def _reverse_continuous(model: GaussianSSM) -> GaussianSSM:
    """Return the reverse of dx = A x dt + dw, dy = C x dt + dv, with its state read backwards."""
    P = row_space(covariance_factor(solve_lyapunov(model.A, model.Q, dt=0.0)))
    inside = P.inverse @ model.A @ P.factor
    unreached = np.eye(model.n_states) - P.factor @ P.inverse
    A = P.factor @ inside.T @ P.inverse + unreached @ model.A @ unreached
    C = model.C + model.S.T @ P.inverse.T @ P.inverse
    return GaussianSSM(A, C, model.Q, model.R, -model.S, dt=0.0)
