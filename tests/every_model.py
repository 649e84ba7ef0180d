"""One system as every class of record, hard state matrices, and what no coordinates may change."""

import itertools

import numpy as np
import scipy

from realization import BilinearSSM, CovarianceModel, GaussianSSM, InnovationSSM, LinearSSM

LINEAR = (LinearSSM, GaussianSSM, InnovationSSM, CovarianceModel)
EVERY = (*LINEAR, BilinearSSM)


def record(cls, rng, A, m, p, *, dt=1.0, B=None, C=None):
    """Return a model of class `cls` with this A; the rest is random unless given."""
    n = A.shape[0]
    B = rng.standard_normal((n, m)) if B is None else B
    C = rng.standard_normal((p, n)) if C is None else C
    m, p = B.shape[1], C.shape[0]
    D, K, x0 = (rng.standard_normal(shape) for shape in ((p, m), (n, p), (n,)))
    if cls is LinearSSM:
        return LinearSSM(A, B, C, D, dt=dt)
    F = rng.standard_normal((n + p, n + p))
    R = F[n:] @ F[n:].T
    if cls is InnovationSSM:
        return InnovationSSM(A, C, K, R, B=B, D=D, x0=x0, dt=dt)
    if cls is CovarianceModel:
        return CovarianceModel(A, C, K, R, dt=dt)
    if cls is BilinearSSM:
        N = rng.standard_normal((m, n, n))
        N = 0.1 * N / max(np.linalg.norm(N), 1e-300)
        return BilinearSSM(A, N, B, C, D, K=K, Re=R, x0=x0, dt=dt)
    F[:n, : n // 2] = 0.0
    W = F @ F.T
    G = rng.standard_normal((n, max(n // 2, 1)))
    return GaussianSSM(
        A, C, W[:n, :n], W[n:, n:], W[:n, n:], B=B, D=D, m0=x0, P0=G @ G.T, dt=dt
    )  # fmt: skip


def mix(rng, n, cond):
    """Return an (n, n) matrix with singular values from 1 to 1 / cond, and its inverse."""
    if n == 0:
        return np.zeros((0, 0)), np.zeros((0, 0))
    U, V = (scipy.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    s = np.geomspace(1.0, 1.0 / cond, n)
    return (U * s) @ V, V.T @ (U / s).T


def mixed(rng, blocks, cond=10.0):
    """Return diag(blocks) in coordinates with this condition number."""
    A = scipy.linalg.block_diag(np.zeros((0, 0)), *blocks)
    T, Tinv = mix(rng, A.shape[0], cond)
    return T @ A @ Tinv


def jordan(value, size):
    """Return a Jordan block; a complex value gives the real block of the pair."""
    value = complex(value)
    if value.imag == 0:
        return value.real * np.eye(size) + np.eye(size, k=1)
    s, w = value.real, value.imag
    return np.kron(np.eye(size), [[s, w], [-w, s]]) + np.kron(np.eye(size, k=1), np.eye(2))


def hard_matrices(rng):
    """Return {name: stable A}, each with one of the known traps."""
    angles = np.exp(1j * np.arange(1, 7)) * np.linspace(0.4, 0.95, 6)
    return {
        "order 0": np.zeros((0, 0)),
        "order 1": np.array([[0.7]]),
        "order 1, zero": np.zeros((1, 1)),
        "zero": np.zeros((3, 3)),
        "benign": mixed(rng, [[[0.9]], [[-0.5]], jordan(0.3 + 0.6j, 1), [[0.2]]]),
        "order 12": mixed(rng, [jordan(value, 1) for value in angles]),
        "Jordan 3": mixed(rng, [0.5 * np.eye(3) + 0.4 * np.eye(3, k=1), [[-0.6]]]),
        "Jordan pair": mixed(rng, [0.6 * jordan(0.5 + 0.5j, 2), [[0.1]]]),
        "semisimple": mixed(rng, [0.5 * np.eye(3), [[0.8]]]),
        "semisimple pairs": mixed(rng, [jordan(0.3 + 0.4j, 1), jordan(0.3 + 0.4j, 1), [[0.8]]]),
        "clustered": mixed(rng, [np.diag([0.5, 0.5 + 1e-9, 0.5 - 1e-6]), [[-0.2]]]),
        "delay": np.eye(6, k=-1),
        "delay and modes": mixed(rng, [np.eye(4, k=1), [[0.8]], jordan(0.2 + 0.5j, 1)], 100.0),
        "delays": mixed(rng, [np.eye(3, k=1), np.eye(2, k=1), np.zeros((1, 1)), [[0.9]]], 100.0),
        "mixed to 1e3": mixed(rng, [[[0.9]], [[-0.5]], jordan(0.3 + 0.6j, 1)], 1e3),
    }  # fmt: skip


def behaviour(model, count=14):
    """Return {name: array} of what the model does, the same in all coordinates."""
    A, C, n = model.A, model.C, model.n_states
    powers = [np.eye(n)]
    for _ in range(count - 1):
        powers.append(A @ powers[-1])
    seen = np.array([C @ power for power in powers])  # (count, p, n)
    if isinstance(model, CovarianceModel):
        return {"covariances": seen @ model.N, "Lambda0": model.Lambda0}
    said = {"D": model.D, "inputs": seen @ model.B}
    if isinstance(model, (InnovationSSM, BilinearSSM)):
        said |= {"K": seen @ model.K, "x0": seen @ model.x0, "Re": model.Re}
    if isinstance(model, GaussianSSM):
        said |= {"m0": seen @ model.m0, "S": seen @ model.S, "R": model.R}
        said["Q"] = np.einsum("iab,bc,jdc->ijad", seen, model.Q, seen.conj())
        if model.P0 is not None:
            said["P0"] = np.einsum("iab,bc,jdc->ijad", seen, model.P0, seen.conj())
    if isinstance(model, BilinearSSM):
        letters = [model.A, *model.N]
        start = np.column_stack([model.B, model.K, model.x0])
        for word in itertools.chain(*(itertools.product(letters, repeat=k) for k in range(4))):
            X = start
            for M in word:
                X = M @ X
            said.setdefault("words", []).append(C @ X)
    return said


def difference(a, b, count=14):
    """Return the largest difference of what two models do, relative to its size."""
    left, right = behaviour(a, count), behaviour(b, count)
    assert left.keys() == right.keys()
    worst = 0.0
    for name in left:
        x, y = np.array(left[name]), np.array(right[name])
        assert x.shape == y.shape
        if x.size:
            worst = max(worst, np.abs(x - y).max() / max(np.abs(x).max(), 1e-300))
    return worst


def check_form(model, form, *, tol=1e-10, cond=None):
    """Assert what every form promises: class, dt, x = T z, same behaviour, honest info."""
    info = form.info
    assert type(form.model) is type(model)
    assert form.model.dt == model.dt
    assert {"form", "cond", "residual", "tol", "singular_values"} <= info.keys()
    assert info["residual"] < max(tol, 1e-12)
    if form.Tinv is not None:
        eye = np.eye(form.T.shape[1])
        assert (
            np.abs(form.Tinv @ form.T - eye).max(initial=0.0) < 1e-14 * max(info["cond"], 10) ** 1.5
        )
        assert not form.T.flags.writeable
    scale = np.linalg.norm(form.T) * np.linalg.norm(model.A)
    assert np.linalg.norm(model.A @ form.T - form.T @ form.model.A) <= tol * scale
    assert difference(model, form.model) < tol * max(info["cond"], 1.0)
    if cond is not None:
        assert info["cond"] < cond
