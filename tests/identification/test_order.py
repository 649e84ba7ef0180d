from __future__ import annotations

import numpy as np
import pytest
from systems import random_innovation, random_linear

from identification import HankelFactor, select_order, subspace_id
from realization import InnovationSSM, simulate

CRITERIA = ["svc", "nic", "aic", "bic", "gap"]


@pytest.mark.parametrize("criterion", ["svc", "aic", "bic", "gap"])
def test_noise_free_order(criterion):
    rng = np.random.default_rng(0)
    for n in (1, 3, 5):
        plant = random_linear(rng, n, 2, 2)
        u = rng.standard_normal((600, 2))
        result = subspace_id(simulate(plant, u).y, u, method="cva", criterion=criterion)
        assert result.n_states == n
        assert result.order_table is not None
        assert result.order_table.criterion == criterion


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["svc", "bic"])
def test_benign_systems_in_noise(criterion):
    hits = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0.5, 2.0)
        c, s = 0.9 * np.cos(angle), 0.9 * np.sin(angle)
        A = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 0.8]])
        C = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
        K = np.array([[0.4, 0.1], [0.0, 0.4], [0.2, -0.2]])
        plant = InnovationSSM(A, C, K, np.eye(2), B=np.array([[1.0], [-1.0], [1.0]]))
        u = rng.standard_normal((2000, 1))
        y = simulate(plant, u, noise=True, rng=rng).y
        hits += subspace_id(y, u, method="cva", criterion=criterion).n_states == 3
    assert hits >= 18


def test_table_has_every_order_and_criterion():
    rng = np.random.default_rng(1)
    plant = random_innovation(rng, 2, 1, 1)
    u = rng.standard_normal((500, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    table = subspace_id(y, u, past=6, future=6, method="cva").order_table
    assert table is not None
    np.testing.assert_array_equal(table.orders, np.arange(6))
    correlations = table.canonical_correlations
    assert (np.diff(correlations) <= 1e-12).all()
    assert correlations[0] <= 1.0
    parameters = 2 * table.orders + table.orders + 1
    N = 500 - 12 + 1
    penalty = parameters * np.log(N) / N
    np.testing.assert_allclose(table.svc, correlations**2 + penalty)
    np.testing.assert_allclose(table.bic - table.aic, penalty - 2 * parameters / N)
    text = str(table)
    assert "<- taken" in text
    assert all(name in text for name in CRITERIA)
    with pytest.raises(ValueError, match="`criterion` must be one of"):
        table.best("cv")


def test_residual_variance_in_the_table_is_that_of_a_regression():
    # order 0: future outputs regressed on future inputs alone
    rng = np.random.default_rng(2)
    u, y = rng.standard_normal((400, 1)), rng.standard_normal((400, 1))
    y = y - y.mean()
    table = subspace_id(y, u, 1, past=4, future=4, method="cva", offset="none").order_table
    assert table is not None
    N = 400 - 8 + 1
    rows = np.array([u[t + 4 : t + 8, 0] for t in range(N)])
    target = np.array([y[t + 4, 0] for t in range(N)])
    residual = target - rows @ np.linalg.lstsq(rows, target, rcond=None)[0]
    expected = np.log(residual @ residual / N)
    np.testing.assert_allclose(table.aic[0] - 2 * 1 / N, expected, rtol=1e-10)


def test_select_order_from_a_factor():
    rng = np.random.default_rng(3)
    plant = random_linear(rng, 3, 1, 1)
    u = rng.standard_normal((500, 1))
    y = simulate(plant, u).y
    factor = HankelFactor(1, 1, past=8, future=8).update(y, u)
    assert select_order(factor) == 3
    assert select_order(factor, "gap", weight="moesp") == 3
    with pytest.raises(ValueError, match="`criterion` must be one of"):
        select_order(factor, "gcv")
    with pytest.raises(ValueError, match="`weight` must be one of"):
        select_order(factor, weight="x")  # pyright: ignore[reportArgumentType]


def test_white_noise_has_order_zero():
    rng = np.random.default_rng(4)
    result = subspace_id(rng.standard_normal((2000, 2)))
    assert result.n_states == 0
