"""A layer is the bilinear model that it came from, with scalar modes or dense gates."""

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the bridge needs the extra [torch]")

import torch
from layers import relative, run

from canonical_forms import simultaneous_form
from canonical_forms.bmojo import from_model, to_model
from realization import AccuracyError, BilinearSSM, predict, simulate
from realization.scan import bilinear_scan

torch.set_num_threads(1)  # small tensors: threads cost more than they bring


def common_modes(rng, n_real, n_pairs, m, size):
    """Return A and N of one eigenvector basis."""
    lam, gates = [], [[] for _ in range(m)]
    for k in range(n_real + n_pairs):
        angle = 0.0 if k < n_real else rng.uniform(0.2, 2.5)
        radius = rng.uniform(0.3, 0.95)
        numbers = [radius * np.exp(1j * angle)]
        for _ in range(m):
            a, b = size * rng.standard_normal(2)
            numbers.append(a + 1j * b * (k >= n_real))
        blocks = [
            np.array([[z.real]]) if k < n_real else np.array([[z.real, z.imag], [-z.imag, z.real]])
            for z in numbers
        ]
        lam.append(blocks[0])
        for j in range(m):
            gates[j].append(blocks[1 + j])
    n = n_real + 2 * n_pairs
    T = scipy.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.5, 2.0, n)
    matrices = [T @ scipy.linalg.block_diag(*M) @ np.linalg.inv(T) for M in (lam, *gates)]
    return matrices[0], np.stack(matrices[1:])


def bilinear_model(rng, *, common, n_real, n_pairs, m, p, K=False):
    A, N = common_modes(rng, n_real, n_pairs, m, 0.1)
    n = len(A)
    if not common:
        N = 0.1 * rng.standard_normal((m, n, n)) / np.sqrt(n)
    return BilinearSSM(
        A, N, rng.standard_normal((n, m)), rng.standard_normal((p, n)),
        rng.standard_normal((p, m)), K=0.02 * rng.standard_normal((n, p)) if K else None,
        Re=np.eye(p) if K else None, x0=rng.standard_normal(n),
    )  # fmt: skip


@pytest.mark.parametrize("common", [True, False])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**20), n_real=st.integers(0, 3), n_pairs=st.integers(0, 2),
    m=st.integers(1, 2), p=st.integers(1, 2),
)  # fmt: skip
def test_bilinear_models(common, seed, n_real, n_pairs, m, p):
    if n_real + n_pairs < (1 if common else 2):
        n_real = 2
    rng = np.random.default_rng(seed)
    model = bilinear_model(rng, common=common, n_real=n_real, n_pairs=n_pairs, m=m, p=p)
    layer = from_model(model, dtype=torch.float64, window=0)
    assert layer.memory.parameterization == ("diagonal" if common else "block")
    u = np.clip(rng.standard_normal((200, m)), -2, 2)
    x = bilinear_scan(model.A, model.N, model.B, u, model.x0)  # the compiled kernel
    wanted = x[:-1] @ model.C.T + u @ model.D.T
    assert relative(run(layer, u)[0], wanted) <= 1e-10
    single = from_model(model, dtype=torch.float32, window=0)
    assert float(single.provenance["error"]) <= 1e-5
    back = to_model(layer)
    assert isinstance(back, BilinearSSM)
    assert relative(simulate(back, u).y, wanted) <= 1e-10


@pytest.mark.parametrize("common", [True, False])
def test_bilinear_predictors(common):
    rng = np.random.default_rng(8)
    model = bilinear_model(rng, common=common, n_real=1, n_pairs=1, m=2, p=1, K=True)
    layer = from_model(model, dtype=torch.float64, window=4, eidetic=2)
    u, y = rng.standard_normal((100, 2)), rng.standard_normal((100, 1))
    innovation = run(layer, u, y)[1]
    np.testing.assert_allclose(y - innovation, predict(model, y, u), atol=1e-11)
    back = to_model(layer)
    np.testing.assert_allclose(predict(back, y, u), predict(model, y, u), atol=1e-10)
    np.testing.assert_allclose(back.Re, model.Re)
    assert float(layer.provenance["memory_input_bound"]) > 0


def test_matrices_that_almost_commute_stay_dense():
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    T = left * np.geomspace(1.0, 3e-4, 4) @ right
    A, N = (T @ np.diag(rng.uniform(-0.9, 0.9, 4)) @ np.linalg.inv(T) for _ in range(2))
    found = set()
    for size in 10.0 ** np.arange(-12.0, -7.0, 0.5):
        moved = N + size * rng.standard_normal((4, 4))
        model = BilinearSSM(A, moved[np.newaxis], T[:, :1], T[:1])
        try:
            simultaneous_form(model)
        except AccuracyError:
            found.add("refused")
        layer = from_model(model, dtype=torch.float64, window=0, tol=1e-8)
        found.add(layer.memory.parameterization)
        assert float(layer.provenance["error"]) <= 1e-8
    assert found == {"refused", "diagonal", "block"}


def test_the_input_bound_keeps_a_bilinear_layer_contracting():
    model = bilinear_model(np.random.default_rng(9), common=False, n_real=2, n_pairs=1, m=2, p=1)
    bound = float(from_model(model).provenance["memory_input_bound"])
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        moved = model.A + np.einsum("i,ijk->jk", bound * np.array(signs), model.N)
        assert np.abs(np.linalg.eigvals(moved)).max() < 1


def test_bilinear_edges(monkeypatch):
    plain = BilinearSSM([[0.5]], [[[0.0]]], [[1.0]], [[1.0]])
    assert from_model(plain).provenance["memory_input_bound"] == "inf"
    static = BilinearSSM(np.zeros((0, 0)), np.zeros((1, 0, 0)), np.zeros((0, 1)), np.zeros((1, 0)))
    assert from_model(static).provenance["memory_input_bound"] == "inf"
    turned = BilinearSSM(
        [[0.5, 0.2], [-0.2, 0.5]], [np.diag([0.1, -0.1])], np.ones((2, 1)), np.eye(2)
    )
    with pytest.raises(AccuracyError, match="common eigenvectors"):
        from_model(turned, parameterization="diagonal")
    assert from_model(turned, parameterization="block").memory.parameterization == "block"
    loud = BilinearSSM([[0.9]], [[[5e4]]], [[1.0]], [[1.0]])
    assert float(from_model(loud, dtype=torch.float64).provenance["error"]) <= 1e-10
    common = bilinear_model(np.random.default_rng(0), common=True, n_real=4, n_pairs=0, m=1, p=1)
    for parameterization in (None, "diagonal"):
        layer = from_model(common, parameterization=parameterization)
        assert layer.memory.parameterization == "diagonal"
    monkeypatch.setattr("canonical_forms.bmojo.parts.LARGEST", 3)
    assert from_model(common).memory.parameterization == "block"
