"""Denoisers as scores, and the score of a linear model given outputs."""

import numpy as np
import pytest
import scipy
from gaussian_paths import forward_covariance, random_gaussian

from diffusion import (
    CriticallyDampedLangevin,
    LinearSDE,
    VarianceExploding,
    VariancePreserving,
    score_from_denoiser,
    smoother_score,
)
from realization import AccuracyError, GaussianSSM, LinearSSM, simulate, smooth

PROCESSES = {
    "VP": VariancePreserving(2, m0=[1.0, -1.0], P0=[[2.0, 0.5], [0.5, 1.0]]),
    "VE": VarianceExploding(2, P0=[[2.0, 0.5], [0.5, 1.0]]),
    "CLD": CriticallyDampedLangevin(1, P0=[[2.0, 0.5], [0.5, 1.0]]),
    "dense": LinearSDE([[-1.0, 2.0], [0.0, -0.5]], np.eye(2), f=[1.0, 0.0], P0=np.eye(2)),
}


def ideal_denoiser(sde, predicts):
    """Return the conditional mean that a perfectly trained network would be."""

    def denoise(x, t):
        J, offset, _ = sde.reverse_kernel(0.0, t)
        data = x @ J.T + offset
        Phi, shift, Q = sde.transition(0.0, t)
        noise = np.linalg.solve(np.linalg.cholesky(Q), (x - data @ Phi.T - shift).T).T
        if predicts == "velocity":
            return Phi[0, 0] * noise - np.sqrt(Q[0, 0]) * data
        return data if predicts == "data" else noise

    return denoise


@pytest.mark.parametrize("predicts", ["noise", "data", "velocity"])
@pytest.mark.parametrize("name", PROCESSES)
def test_ideal_denoiser_gives_the_exact_score(name, predicts):
    sde = PROCESSES[name]
    score = score_from_denoiser(ideal_denoiser(sde, predicts), sde, predicts=predicts)
    x = np.random.default_rng(0).standard_normal((5, 2))
    if predicts == "velocity" and name in ("CLD", "dense"):
        with pytest.raises(
            ValueError, match='predicts="velocity" needs a process whose coefficients'
        ):
            score(x, 0.5)
        return
    np.testing.assert_allclose(score(x, 0.5), sde.score(x, 0.5), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(score(x[0], 0.5), sde.score(x[0], 0.5), rtol=1e-9, atol=1e-12)


def test_trained_torch_network():
    """A linear layer trained on noisy data finds the score of the Gaussian that made them."""
    torch = pytest.importorskip("torch")
    sde, t = VariancePreserving(2, P0=[[2.0, 0.5], [0.5, 1.0]]), 0.4
    torch.manual_seed(0)
    Phi, _, Q = sde.transition(0.0, t)
    data = torch.randn(20_000, 2) @ torch.tensor(np.linalg.cholesky(sde.P0).T.copy()).float()
    noise = torch.randn(20_000, 2)
    noisy = float(Phi[0, 0]) * data + float(np.sqrt(Q[0, 0])) * noise
    network = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.linalg.lstsq(noisy, noise).solution.T)
    score = score_from_denoiser(lambda x, t: network(x), sde, convert=torch.from_numpy)
    x = np.random.default_rng(1).standard_normal((6, 2)).astype(np.float32)
    found = score(x, t)
    assert found.dtype == np.float32
    # least squares with N samples: each weight has standard deviation at most 1/sqrt(N lambda_min)
    least = np.linalg.eigvalsh(sde.marginal(t)[1])[0]
    bound = 5 * np.abs(x).sum(1).max() / np.sqrt(20_000 * least * Q[0, 0])
    assert np.abs(found - sde.score(x, t)).max() < bound


def test_denoiser_refusals():
    sde = PROCESSES["VP"]
    with pytest.raises(ValueError, match="`predicts` must be one of"):
        score_from_denoiser(lambda x, t: x, sde, predicts="epsilon")
    with pytest.raises(TypeError, match="`denoiser` must be callable"):
        score_from_denoiser(np.eye(2), sde)
    with pytest.raises(TypeError, match="`sde` must be a LinearSDE"):
        score_from_denoiser(lambda x, t: x, "VP")
    with pytest.raises(ValueError, match="`denoiser` must return the shape of its input"):
        score_from_denoiser(lambda x, t: x[..., :1], sde)(np.zeros((3, 2)), 0.5)
    with pytest.raises(AccuracyError, match="of the noise at t = 0 is singular"):
        score_from_denoiser(lambda x, t: x, sde)(np.zeros((3, 2)), 0.0)


@pytest.mark.parametrize("kind", ["full", "known_start", "stationary"])
@pytest.mark.parametrize("name", PROCESSES)
def test_smoother_score_equals_dense_conditioning(name, kind):
    model, T, n, sde, t = random_gaussian(3, 2, 2, kind), 3, 2, PROCESSES[name], 0.3
    y = simulate(model, steps=T, noise=True, rng=0).y
    y[1, 0] = np.nan
    score = smoother_score(model, y, sde=sde)
    joint, k = forward_covariance(model, T), (T + 1) * n
    seen = np.flatnonzero(~np.isnan(y)) + k
    smoothed = smooth(model, y).x.ravel()
    gain = np.linalg.solve(joint[np.ix_(seen, seen)], joint[seen, :k]).T
    P = joint[:k, :k] - gain @ joint[seen, :k]
    Phi, offset, Q = sde.transition(0.0, t)
    eye = np.eye(T + 1)
    late = np.kron(eye, Phi) @ P @ np.kron(eye, Phi).T + np.kron(eye, Q)
    mean = np.kron(eye, Phi) @ smoothed + np.tile(offset, T + 1)
    x = np.random.default_rng(1).standard_normal((3, T + 1, n))
    expected = -np.linalg.solve(late, (x.reshape(3, k) - mean).T).T
    tol = 1e-11 * np.linalg.cond(late) * np.abs(expected).max()
    np.testing.assert_allclose(score(x, t).reshape(3, k), expected, rtol=0, atol=tol)


def test_smoother_score_with_inputs_and_without_data():
    model = GaussianSSM([[0.5]], [[1.0]], [[0.75]], [[1.0]], B=[[1.0]], D=[[0.5]])
    sde, u = VariancePreserving(), np.array([[1.0], [2.0]])
    score = smoother_score(model, np.full((2, 1), np.nan), u, sde=sde)
    a, q = (M[0, 0] for M in sde.transition(0.0, 0.5)[::2])
    mean = a * simulate(model, u).x[:, 0]
    P = a**2 * scipy.linalg.toeplitz([1.0, 0.5, 0.25]) + q * np.eye(3)
    x = np.array([[1.0], [0.0], [2.0]])
    np.testing.assert_allclose(score(x, 0.5)[:, 0], -np.linalg.solve(P, x[:, 0] - mean), rtol=1e-10)


def test_smoother_score_refusals():
    model, sde = random_gaussian(0, 2, 1), PROCESSES["VP"]
    with pytest.raises(TypeError, match="`model` must be a GaussianSSM"):
        smoother_score(LinearSSM([[0.5]], [[1.0]], [[1.0]]), [1.0], sde=sde)
    with pytest.raises(ValueError, match="`sde` must have the 2 states of the model"):
        smoother_score(model, [1.0], sde=VariancePreserving(3))
    with pytest.raises(ValueError, match="must be one record"):
        smoother_score(model, np.zeros((2, 3, 1)), sde=sde)
    score = smoother_score(model, [1.0], sde=sde)
    with pytest.raises(ValueError, match=r"`x` must have shape \(..., 2, 2\)"):
        score(np.zeros((3, 2)), 0.5)
    with pytest.raises(AccuracyError, match="of the noise at t = 0 is singular"):
        score(np.zeros((2, 2)), 0.0)
