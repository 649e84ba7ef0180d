"""What users complain about in tools for identification, one test each: it does not happen here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from systems import random_innovation

from identification import (
    HankelFactor,
    IdentificationResult,
    RecursiveSubspace,
    SubspaceID,
    bilinear_id,
    compare,
    detrend,
    em,
    fit_percent,
    okid,
    pem,
    residual_tests,
    split,
    stochastic_id,
    subspace_id,
)
from realization import InnovationSSM, load, poles, save, simulate

ROOT = Path(__file__).resolve().parents[2]
METHODS = ["n4sid", "moesp", "cva", "ivm", "ssarx", "pbsid", "parsim", "auto"]
PLANT = InnovationSSM(
    [[0.9, 0.3], [-0.3, 0.8]],
    [[1.0, 0.0], [0.5, 1.0]],
    [[0.5, 0.1], [0.2, 0.3]],
    [[0.1, 0.02], [0.02, 0.1]],
    B=[[1.0], [1.0]],
)


def record(T: int = 600, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs (T, 2) and an input (T, 1) of the plant, around an operating point."""
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((T, 1))
    return simulate(PLANT, u, noise=True, rng=rng).y + np.array([20.0, -3.0]), u + 1.0


@pytest.fixture(scope="module")
def fitted() -> IdentificationResult:
    return subspace_id(*record(), 2, method="cva")


def test_cannot_be_installed_without_a_compiler():
    # (test_packaging installs the wheel itself) nothing here has to be compiled
    sources = {".f", ".f90", ".c", ".cpp", ".pyx", ".so", ".pyd"}
    for package in ("realization", "identification", "canonical_forms", "diffusion"):
        assert not [path for path in (ROOT / package).rglob("*") if path.suffix in sources]


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_order_silently_ignored(method, order):
    y, u = record(400)
    result = subspace_id(y, u, order, method=method, past=6)
    assert result.n_states == order
    assert result.model.A.shape == (order, order)


def test_order_silently_ignored_elsewhere():
    y, u = record(400)
    assert okid(y, u, 3).n_states == 3
    assert stochastic_id(y, 3).n_states == 3
    assert bilinear_id(y, u, 3, method="subspace").n_states == 3
    assert pem(subspace_id(y, u, 3, method="cva"), y, u, max_iterations=2).n_states == 3


def test_an_order_that_cannot_be_had_is_refused_with_the_largest_one():
    y, u = record(400)
    with pytest.raises(
        ValueError, match="= 40 cannot be had with past = 6, future = 6: at most 10"
    ):
        subspace_id(y, u, 40, method="moesp", past=6)
    quiet = np.cos(0.3 * np.arange(300.0))
    with pytest.raises(ValueError, match=r"`order` = 5 cannot be had: .* has rank 2"):
        subspace_id(quiet, order=5, method="moesp", past=10)
    with pytest.raises(ValueError, match=r"`order` = 5 cannot be had: .* has rank 0"):
        okid(quiet, np.random.default_rng(0).standard_normal(300), 5, lags=10, offset="none")


@pytest.mark.parametrize("name", ["N4SID", "n4sad", "MOESP ", "", None, 3])
def test_misspelled_method_silently_replaced(name):
    y, u = record(100)
    with pytest.raises(
        ValueError, match=r"`method` must be one of 'auto', 'n4sid', 'moesp'.*; got"
    ):
        subspace_id(y, u, 2, method=name)
    with pytest.raises(ValueError, match="`method` must be one of"):
        stochastic_id(y, 2, method=name)
    with pytest.raises(ValueError, match="`method` must be one of"):
        bilinear_id(y, u, 2, method=name)
    with pytest.raises(ValueError, match="`method` must be one of"):
        SubspaceID(method=name).fit(y, u)


def test_misspelled_option_silently_ignored():
    y, u = record(100)
    with pytest.raises(TypeError, match="unexpected keyword"):
        subspace_id(y, u, 2, ofset="none")  # pyright: ignore[reportCallIssue]


def test_input_arrays_modified_in_place(fitted):
    y, u = record(300)
    calls = {
        "subspace_id": lambda: subspace_id(y, u, 2, method="moesp"),
        "auto": lambda: subspace_id(y, u, 2),
        "stochastic_id": lambda: stochastic_id(y, 2),
        "bilinear_id": lambda: bilinear_id(y, u, 1, max_iterations=2),
        "okid": lambda: okid(y, u, 2),
        "pem": lambda: pem(fitted, y, u, max_iterations=2),
        "em": lambda: em(fitted, y, u, max_iterations=2),
        "detrend": lambda: detrend(y, u),
        "split": lambda: split(y, u),
        "compare": lambda: compare(fitted, y, u),
        "residual_tests": lambda: residual_tests(fitted, y, u),
        "fit_percent": lambda: fit_percent(y, y),
        "factor": lambda: HankelFactor(2, 1, past=5, future=5).update(y, u),
        "tracker": lambda: RecursiveSubspace(2, 1, order=2).update(y[0], u[0]),
        "predict": lambda: fitted.predict(y, u),
        "simulate": lambda: fitted.simulate(u),
        "forecast": lambda: fitted.forecast(y, u, u_future=u[:5], steps=5),
    }
    before = y.copy(), u.copy()
    for call in calls.values():
        call()
        np.testing.assert_array_equal(y, before[0])
        np.testing.assert_array_equal(u, before[1])
    y.setflags(write=False)  # what may not be written is as good
    u.setflags(write=False)
    for call in calls.values():
        call()


def test_the_result_changes_when_the_data_do_afterwards():
    y, u = record(300)
    factor = HankelFactor(2, 1, past=5, future=5).update(y, u)
    expected = subspace_id(order=2, factor=factor).model.A
    again = HankelFactor(2, 1, past=5, future=5).update(y, u)
    y[:], u[:] = 0.0, 0.0
    np.testing.assert_array_equal(subspace_id(order=2, factor=again).model.A, expected)


def test_no_initial_state():
    rng = np.random.default_rng(1)
    u = rng.standard_normal((200, 1))
    starts = [np.array([30.0, -10.0]), np.array([-5.0, 40.0])]
    y = [simulate(PLANT, u, x0=x0).y for x0 in starts]
    result = subspace_id(y, [u, u], 2, method="moesp", bd="simulation")
    assert len(result.x0) == 2
    for run, x0 in zip(y, result.x0, strict=True):
        assert fit_percent(run, result.simulate(u, x0=x0).y).min() > 99.999
        assert fit_percent(run, result.simulate(u).y).min() < 90.0


def test_no_k_step_prediction(fitted):
    y, u = record(2000, seed=2)
    fits = [compare(fitted, y, u, horizon=k).fits.mean() for k in (1, 2, 5, 20, np.inf)]
    assert (np.diff(fits) < 0).all()
    # row t of a k-step prediction knows the outputs up to t - k: it does not see a later jump
    late = y.copy()
    late[1000:] += 50.0
    for k in (1, 3, 10):
        change = fitted.predict(late, u, horizon=k) - fitted.predict(y, u, horizon=k)
        assert not change[: 1000 + k].any()
        assert np.abs(change[1000 + k]).max() > 0.1


def test_no_forecasting(fitted):
    y, u = record(3000, seed=3)
    inside = []
    for start in range(100, 2900, 20):
        ahead = fitted.forecast(
            y[start - 100 : start],
            u[start - 100 : start],
            u_future=u[start : start + 10],
            steps=10,
        )
        deviation = np.sqrt(np.diagonal(ahead.covariance, axis1=1, axis2=2))
        inside.append(np.abs(y[start : start + 10] - ahead.mean) < 1.96 * deviation)
    assert (np.diff(deviation, axis=0) > -1e-12).all()  # the future is less and less certain
    # 140 forecasts: the share inside 95 % bands has a standard error of about 0.02
    assert 0.9 < np.mean(inside) < 0.99


def test_one_experiment_only():
    runs = [record(T, seed=T) for T in (60, 300, 45)]
    y, u = [run[0] for run in runs], [run[1] for run in runs]
    for result in (
        subspace_id(y, u, 2, method="cva", past=5),
        okid(y, u, 2, lags=5),
        pem(subspace_id(y, u, 2, method="cva", past=5), y, u, max_iterations=3),
    ):
        assert len(result.x0) == 3
        assert residual_tests(result, y, u, lags=10).residuals[2].shape == (45, 2)
    joined = subspace_id(np.vstack(y), np.vstack(u), 2, method="cva", past=5)
    apart = subspace_id(y, u, 2, method="cva", past=5)
    assert not np.allclose(joined.singular_values, apart.singular_values)


def test_missing_samples_refused_or_poisonous(fitted):
    y, u = record(300)
    gappy = y.copy()
    gappy[100:110] = np.nan
    gappy[200, 1] = np.nan
    with pytest.raises(
        ValueError, match=r"NaN\) in 11 of 300 samples, the first at index 100.*list of experiments"
    ):
        subspace_id(gappy, u, 2)
    pieces = [slice(0, 100), slice(110, 200), slice(201, 300)]
    start = subspace_id([y[k] for k in pieces], [u[k] for k in pieces], 2, method="cva", past=5)
    result = em(start, gappy, u, max_iterations=5)
    assert np.isfinite(result.model.A).all()
    assert (np.diff(result.log_likelihood) > -1e-9).all()
    assert np.isfinite(result.predict(gappy, u)).all()
    assert np.isfinite(fit_percent(gappy, result.predict(gappy, u))).all()
    assert np.isfinite(fitted.forecast(gappy, u, u_future=u[:3], steps=3).mean).all()
    assert np.isnan(detrend(gappy)[0].y[0]).sum() == 21
    tracker = RecursiveSubspace(2, 1, order=2, past=5)
    for y_t, u_t in zip(gappy, u, strict=True):
        tracker.update(y_t, u_t)
    assert (tracker.n_missing, np.isfinite(tracker.model.A).all()) == (11, True)


def test_unstable_models_without_a_word():
    rng = np.random.default_rng(4)
    y = np.zeros((80, 1))
    u = rng.standard_normal((80, 1))
    for t in range(79):
        y[t + 1] = 1.05 * y[t] + u[t]
    y += 0.01 * rng.standard_normal(y.shape)
    result = subspace_id(y, u, 1, method="moesp", past=4, bd="factor", offset="none")
    assert np.abs(poles(result.model)).max() > 1.0
    assert any("A is unstable: largest modulus 1.0" in text for text in result.warnings)
    assert "the model is UNSTABLE" in result.summary()
    moved = subspace_id(y, u, 1, method="moesp", past=4, bd="factor", offset="none", stable=True)
    assert np.abs(poles(moved.model)).max() < 1.0
    assert any("were moved to 0.9995" in text for text in moved.warnings)


@pytest.mark.parametrize(("p", "m", "s"), [(1, 1, 5), (2, 1, 10), (1, 3, 4)])
def test_too_few_samples_accepted_in_silence(p, m, s):
    rng = np.random.default_rng(5)
    plant = random_innovation(rng, 2, m, p)
    needed = 2 * (m + p + 1) * s - 1
    u = rng.standard_normal((needed, m))
    y = simulate(plant, u, noise=True, rng=rng).y
    with pytest.raises(ValueError, match=f"need {needed} samples in one run; got {needed - 1}"):
        subspace_id(y[:-1], u[:-1], 2, method="moesp", past=s, future=s)
    assert subspace_id(y, u, 2, method="moesp", past=s, future=s).n_states == 2
    for T in (1, 2, 3, 5):
        with pytest.raises(ValueError, match=r"too few samples: .* need \d+ .*got"):
            subspace_id(y[:T], u[:T])
        with pytest.raises(ValueError, match=r"too few samples: .* need \d+ .*got"):
            okid(y[:T], u[:T], 1)


def test_time_along_the_wrong_axis_guessed(fitted):
    y, u = record(300)
    with pytest.raises(ValueError, match="same number of samples; got 2 and 1"):
        subspace_id(y.T, u.T[:, :200], 2)
    with pytest.raises(ValueError, match=r"Time runs along the first axis: pass `y.T`"):
        fitted.predict(y.T, u)


def test_names_of_a_table_lost():
    y, u = record(300)
    frame = pd.DataFrame({"level": y[:, 0], "flow": y[:, 1], "valve": u[:, 0]})
    result = subspace_id(frame[["level", "flow"]], frame[["valve"]], 2, method="cva")
    assert result.output_names == ("level", "flow")
    assert "outputs              level, flow\n  inputs               valve" in result.summary()


def test_offsets_left_to_the_user(fitted):
    y, u = record(2000, seed=6)
    np.testing.assert_allclose(fitted.offset[1], 1.0, atol=0.2)
    assert compare(fitted, y, u).fits.min() > 50.0


def test_no_way_to_keep_a_result(fitted, tmp_path):
    save(fitted, tmp_path / "plant.npz")
    again = load(tmp_path / "plant.npz")
    y, u = record(100)
    np.testing.assert_array_equal(again.predict(y, u), fitted.predict(y, u))
    assert again.summary() == fitted.summary()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_decide_what_is_found(scale):
    y, u = record(500)
    for method in METHODS[:-1]:
        plain = subspace_id(y, u, 2, method=method, past=8)
        scaled = subspace_id(scale * y, u / scale, 2, method=method, past=8)
        np.testing.assert_allclose(
            np.sort_complex(poles(scaled.model)), np.sort_complex(poles(plain.model)), atol=1e-9
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda y, u: subspace_id(y, u, 2),
        lambda y, u: stochastic_id(y, 2),
        lambda y, u: bilinear_id(y, u, 2),
        lambda y, u: okid(y, u, 2),
        lambda y, u: HankelFactor(1, 1, past=3, future=3).update(y, u),
        lambda y, u: SubspaceID(order=2).fit(y, u),
    ],
)
def test_nonsense_ends_in_a_sentence(call):
    u = np.ones((50, 1))
    for y in ([], np.zeros((0, 1)), np.full((50, 1), np.inf), 1e200 * np.ones((50, 1))):
        with pytest.raises(ValueError, match="`y"):
            call(y, u)
    for y in ("text", [["a"]], None):
        with pytest.raises((TypeError, ValueError), match="`y"):
            call(y, u)
    with pytest.raises(TypeError, match="must be real"):
        call(1j * np.ones((50, 1)), u)
