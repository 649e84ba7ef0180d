"""Gaussian models with every kind of singularity, and the joint covariance of a whole path."""

from __future__ import annotations

import numpy as np
from systems import random_dynamics

from realization import GaussianSSM
from realization.internal import initial_moments

KINDS = (
    "full",
    "low_rank_noise",
    "singular_P0",
    "known_start",
    "stationary",
    "singular_A",
    "delay",
)


def random_gaussian(seed: int, n: int, p: int, kind: str = "full") -> GaussianSSM:
    """Return a model with correlated noise whose covariances are singular in one way."""
    rng = np.random.default_rng(seed)
    A, C = random_dynamics(rng, n), rng.standard_normal((p, n))
    G = rng.standard_normal((n + p, 1 if kind == "low_rank_noise" else n + p))
    noise = G @ G.T
    L = rng.standard_normal((n, max(n - 1, 0) if kind == "singular_P0" else n))
    P0 = None if kind == "stationary" else (0.0 if kind == "known_start" else 1.0) * L @ L.T
    if kind == "singular_A" and n:
        A[:, -1] = A[:, 0] if n > 1 else 0.0
    if kind == "delay":
        A = np.eye(n, k=1)
    Q, R, S = noise[:n, :n], noise[n:, n:], noise[:n, n:]
    return GaussianSSM(A, C, Q, R, S, m0=rng.standard_normal(n), P0=P0)


def path_map(A, C, T):
    """Return X (T + 1, n, N), Y (T, p, N): the path as a function of x_0 and the noises (w, v)."""
    p, n = C.shape
    X, Y = np.zeros((T + 1, n, n + T * (n + p))), np.zeros((T, p, n + T * (n + p)))
    X[0, :, :n] = np.eye(n)
    for t in range(T):
        k = n + t * (n + p)
        X[t + 1], Y[t] = A @ X[t], C @ X[t]
        X[t + 1, :, k : k + n] += np.eye(n)
        Y[t, :, k + n : k + n + p] += np.eye(p)
    return X, Y


def forward_covariance(model, T):
    """Return the covariance of (x_0, .., x_T, y_0, .., y_{T-1}), flattened, by brute force."""
    X, Y = path_map(model.A, model.C, T)
    noise = np.block([[model.Q, model.S], [model.S.T, model.R]])
    return _covariance(X, Y, initial_moments(model)[1], [noise] * T)


def backward_covariance(backward, T):
    """Return the same from a BackwardSSM, stationary or not."""
    n, p = backward.n_states, backward.n_outputs
    J, H, noise = (
        np.broadcast_to(M, (T, *M.shape[-2:]))
        for M in (backward.J, backward.H, backward.covariance)
    )
    X, Y = np.zeros((T + 1, n, n + T * (n + p))), np.zeros((T, p, n + T * (n + p)))
    X[T, :, :n] = np.eye(n)
    for t in reversed(range(T)):
        k = n + t * (n + p)
        X[t], Y[t] = J[t] @ X[t + 1], H[t] @ X[t + 1]
        X[t, :, k : k + n] += np.eye(n)
        Y[t, :, k + n : k + n + p] += np.eye(p)
    return _covariance(X, Y, backward.P_end, noise)


def _covariance(X, Y, first, noises):
    """Return Z cov Z' for the independent blocks `first` and `noises`."""
    N = X.shape[2]
    cov, k = np.zeros((N, N)), first.shape[0]
    cov[:k, :k] = first
    for noise in noises:
        cov[k : k + len(noise), k : k + len(noise)] = noise
        k += len(noise)
    Z = np.concatenate([M.reshape(M.shape[0] * M.shape[1], N) for M in (X, Y)])
    return Z @ cov @ Z.T
