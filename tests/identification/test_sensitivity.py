"""The derivatives of the prediction error against finite differences and against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predictors import random_system

from identification import sensitivity
from identification.sensitivity import derivative_chunks, scan_derivatives
from realization import BilinearSSM, InnovationSSM, predict

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)


def run(system, y, u, x0, offset, horizon, *, entries):
    chunks = derivative_chunks(system, y, u, x0=x0, offset=offset, horizon=horizon, entries=entries)
    return [np.concatenate(part) for part in zip(*chunks, strict=True)]


@given(
    n=st.integers(0, 3),
    m=st.integers(0, 2),
    p=st.integers(1, 3),
    bilinear=st.booleans(),
    horizon=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@SETTINGS
def test_derivatives_equal_finite_differences(n, m, p, bilinear, horizon, seed):
    rng = np.random.default_rng(seed)
    system = random_system(rng, n, m, p, m if bilinear else 0)
    y, u = rng.standard_normal((12, p)), rng.standard_normal((12, m))
    point = np.concatenate([rng.standard_normal(n + p), system.vector()])

    def errors(v):
        return run(
            system.with_vector(v[n + p :]), y, u, v[:n], v[n : n + p], horizon, entries=False
        )[0]

    _, derivatives, _ = run(system, y, u, point[:n], point[n : n + p], horizon, entries=True)
    step = 1e-5
    for k, direction in enumerate(np.eye(point.size)):
        central = (errors(point - step * direction) - errors(point + step * direction)) / (2 * step)
        scale = max(np.abs(derivatives[:, :, k]).max(), 1.0)
        assert np.abs(central - derivatives[:, :, k]).max() < 1e-6 * scale


@pytest.mark.parametrize("horizon", [1, 3, 50])
@pytest.mark.parametrize("bilinear", [False, True])
def test_errors_are_those_of_predict(bilinear, horizon):
    rng = np.random.default_rng(0)
    s = random_system(rng, 3, 2, 2, 2 if bilinear else 0)
    y, u, x0 = rng.standard_normal((40, 2)), rng.standard_normal((40, 2)), rng.standard_normal(3)
    if bilinear:
        model = BilinearSSM(s.A, s.N, s.B, s.C, s.D, K=s.K)
    else:
        model = InnovationSSM(s.A, s.C, s.K, np.eye(2), B=s.B, D=s.D)
    errors = run(s, y, u, x0, np.zeros(2), horizon, entries=False)[0]
    assert np.allclose(errors, y - predict(model, y, u, horizon=horizon, x0=x0), atol=1e-12)


@pytest.mark.parametrize("horizon", [1, 3])
def test_chunks_continue_each_other(monkeypatch, horizon):
    rng = np.random.default_rng(1)
    system = random_system(rng, 2, 1, 2, 1)
    y, u = rng.standard_normal((200, 2)), rng.standard_normal((200, 1))
    whole = run(system, y, u, np.ones(2), np.zeros(2), horizon, entries=True)
    monkeypatch.setattr(sensitivity, "CHUNK_BYTES", 1)  # 64 samples at a time
    parts = run(system, y, u, np.ones(2), np.zeros(2), horizon, entries=True)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("horizon", [1, 2])
def test_kernel_equals_its_python_function(horizon):
    rng = np.random.default_rng(2)
    n, m, p, T = 2, 1, 2, 9
    system = random_system(rng, n, m, p, 1)
    q = n + p + system.vector().size
    signals = rng.standard_normal((T, p)), rng.standard_normal((T, m))
    outcomes = []
    for kernel in (scan_derivatives, getattr(scan_derivatives, "py_func", scan_derivatives)):
        x, X = np.ones(n), np.eye(n, q)
        ahead = (x, X) if horizon == 1 else (x.copy(), X.copy())
        out = np.empty((T, p)), np.empty((T, p, q)), np.empty((T, n))
        kernel(*system.parts(), *signals, 0, horizon, x, X, *ahead, *out)
        outcomes.append(out)
    for compiled, plain in zip(*outcomes, strict=True):
        assert np.allclose(compiled, plain, rtol=1e-13, atol=1e-13)
