"""bilinear_id: finds bilinear plants, leaves linear ones linear, says which and why."""

import numpy as np
import pytest
from realdata import data_file

from identification import bilinear, bilinear_id, compare, pem, subspace_id
from realization import (
    BilinearSSM,
    InnovationSSM,
    LinearSSM,
    UnstableModelError,
    simulate,
    word_coefficients,
)

PLANT = BilinearSSM(
    [[0.7, 0.3], [-0.3, 0.5]], [[[0.3, 0.1], [0.0, -0.2]]], [[1.0], [0.5]], [[1.0, 0.0]]
)
T = 800


def record(plant, noise=0.05, seed=0, samples=2 * T, colour=0.0):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((samples, plant.n_inputs))
    for t in range(1, samples):
        u[t] = colour * u[t - 1] + np.sqrt(1 - colour**2) * u[t]
    u *= 0.7  # far from bursts
    y = simulate(plant, u).y
    return y + noise * y.std(axis=0) * rng.standard_normal(y.shape), u


def error(model, y, u, horizon=1):
    out = compare(model, y[T:], u[T:], horizon=horizon)
    return np.mean((out.data.y[0] - out.y_hat[0][0]) ** 2)


@pytest.mark.parametrize("colour", [0.0, 0.8])
@pytest.mark.parametrize("method", ["auto", "subspace", "pem"])
def test_finds_what_the_linear_model_leaves(method, colour):
    y, u = record(PLANT, colour=colour)
    found = bilinear_id(y[:T], u[:T], 2, method=method)
    assert isinstance(found.model, BilinearSSM)
    linear = error(pem(subspace_id(y[:T], u[:T], 2), y[:T], u[:T]), y, u)
    share = (linear - error(found, y, u)) / (linear - error(PLANT, y, u))
    assert share > (0.9 if method != "subspace" else 0.6)
    if method == "auto":
        assert "standard errors" in found.options["held out"]
        assert "held out" in found.summary()
    if method != "subspace":
        assert found.covariance.shape == (4 + 4 + 2 + 2 + 1 + 2,) * 2


def test_two_inputs_and_two_outputs():
    N = [[[0.2, 0.0], [0.1, -0.1]], [[0.0, 0.2], [0.0, 0.1]]]
    plant = BilinearSSM(PLANT.A, N, np.eye(2), np.eye(2))
    y, u = record(plant, noise=0.01)
    found = bilinear_id(y[:T], u[:T], 2, method="pem", feedthrough=False, offset="none")
    expected, words = word_coefficients(plant, 2), word_coefficients(found.model, 2)
    # standard deviations of the entries of A, N, B are about 0.01 / sqrt(800)
    assert all(np.allclose(words[w], expected[w], atol=0.01) for w in expected)
    assert not found.model.D.any()


def test_linear_data_give_the_linear_model_and_the_reason():
    plant = LinearSSM(PLANT.A, PLANT.B, PLANT.C)
    y, u = record(plant, samples=600)
    found = bilinear_id(y, u, 2)
    assert isinstance(found.model, InnovationSSM)
    assert found.warnings[0].startswith("bilinearity is not supported by the data")
    assert "each half by models of the other" in found.summary()


def test_simulation_focus():
    y, u = record(PLANT)
    found = bilinear_id(y[:T], u[:T], 2, focus="simulation")
    assert isinstance(found.model, BilinearSSM)
    assert error(found, y, u, np.inf) < 1.1 * error(PLANT, y, u, np.inf)


def test_operating_points_are_estimated():
    y, u = record(PLANT)
    moved = y + 5.0, u - 2.0
    plain, found = (bilinear_id(a[:T], b[:T], 2, method="pem") for a, b in ((y, u), moved))
    assert np.isclose(error(found, *moved), error(plain, y, u), rtol=1e-3)
    y_hat = found.predict(moved[0][T:], moved[1][T:])  # in the units of the data
    assert np.mean((y_hat[50:] - moved[0][T + 50 :]) ** 2) < 1.2 * error(PLANT, y, u)


def test_experiments_are_never_joined():
    y, u = record(PLANT, noise=0.01)
    runs = [slice(0, 300), slice(300, 700), slice(700, T)]
    found = bilinear_id([y[r] for r in runs], [u[r] for r in runs], 2)
    assert isinstance(found.model, BilinearSSM)
    assert len(found.x0) == 3
    assert found.n_samples == T
    assert error(found, y, u) < 1.1 * error(PLANT, y, u)


def test_names_are_kept():
    import pandas as pd

    y, u = record(PLANT, samples=200)
    frames = pd.DataFrame({"level": y[:, 0]}), pd.DataFrame({"valve": u[:, 0]})
    for method in ("subspace", "pem"):
        found = bilinear_id(*frames, 2, method=method)
        assert (found.output_names, found.input_names) == (("level",), ("valve",))


def test_progress_is_shown_when_asked(capsys):
    y, u = record(PLANT, samples=300)
    bilinear_id(y, u, 1, method="pem", progress=True)
    assert "bilinear_id" in capsys.readouterr().err
    bilinear_id(y, u, 1, method="pem")
    assert capsys.readouterr().err == ""


def test_a_model_that_diverges_on_a_held_out_half_is_not_chosen():
    y, u = record(PLANT, samples=300)
    linear, other = (bilinear_id(y, u, 2, method="pem") for _ in range(2))
    good = bilinear._Gain(1.0, 0.5, np.linspace(1.0, 2.0, 10))
    bad = bilinear._Gain(1.0, np.inf, np.full(10, -np.inf))
    options = bilinear._Options(2, "prediction", None, None, True, "estimate", 10)
    assert bilinear._decided(linear, other, [good, good], options).warnings == other.warnings
    kept = bilinear._decided(linear, other, [good, bad], options)
    assert kept.model is linear.model
    assert "diverged" in kept.warnings[0]
    doubtful = bilinear._Gain(1.0, 0.99, np.linspace(-1.0, 1.1, 10))
    kept = bilinear._decided(linear, other, [doubtful, doubtful], options)
    assert "better by 0.3 standard errors" in kept.warnings[0]


def test_overflow_on_held_out_data_counts_as_infinite():
    y, u = record(PLANT, samples=400)
    found = bilinear_id(y, u, 2, method="pem")
    data = bilinear.Experiments.from_data(y, 1e3 * u)
    assert np.isinf(bilinear._losses(found, data, np.inf, np.ones(1))).all()


def test_subspace_that_diverges_is_refused(monkeypatch):
    y, u = record(PLANT, samples=300)
    monkeypatch.setattr(bilinear, "minimize", lambda *a, **k: None)
    with pytest.raises(UnstableModelError, match="method='pem'"):
        bilinear_id(y, u, 2, method="subspace")
    assert isinstance(bilinear_id(y, u, 2, method="pem").model, BilinearSSM)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"u": None}, ValueError, "`u` must be given"),
        ({"order": 0}, ValueError, "`order` must be at least 1"),
        ({"order": 2.0}, TypeError, "`order`"),
        ({"method": "favoreel"}, ValueError, "`method`"),
        ({"focus": "control"}, ValueError, "`focus`"),
        ({"offset": "mean"}, ValueError, "`offset`"),
        ({"max_iterations": 0}, ValueError, "`max_iterations`"),
        ({"u": np.ones((50, 1))}, ValueError, "same number of samples"),
        ({"y": np.ones(20), "u": np.arange(20.0)}, ValueError, "too few samples"),
    ],
)
def test_refusals(change, kind, message):
    y, u = record(PLANT, samples=200)
    with pytest.raises(kind, match=message):
        bilinear_id(**{"y": y, "u": u, "order": 2, **change})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "order"), [("winding", 2), ("pHdata", 1), ("pHdata", 2)])
def test_never_predicts_measured_plants_worse_than_the_linear_model(name, order):
    table = np.loadtxt(data_file("daisy", f"{name}.dat"))
    u, y = (table[:, :5], table[:, 5:]) if name == "winding" else (table[:, 1:3], table[:, 3:])
    half = len(y) // 2
    found = bilinear_id(y[:half], u[:half], order)
    starts = [subspace_id(y[:half], u[:half], order, method=m) for m in ("ssarx", "moesp")]
    linear = min((pem(s, y[:half], u[:half]) for s in starts), key=lambda r: r.options["criterion"])
    fits = compare([linear, found], y[half:], u[half:], horizon=1).fits.mean(axis=1)
    assert fits[1] >= fits[0] - 1e-6


@pytest.mark.slow
def test_linear_plants_are_found_linear():
    count = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((2, 2))
        A *= 0.8 / np.abs(np.linalg.eigvals(A)).max()
        plant = LinearSSM(A, rng.standard_normal((2, 1)), rng.standard_normal((1, 2)))
        y, u = record(plant, seed=seed, samples=1000, colour=0.5)
        count += isinstance(bilinear_id(y, u, 2).model, InnovationSSM)
    assert count == 8
