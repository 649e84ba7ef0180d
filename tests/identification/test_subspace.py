from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import daisy, slicot
from systems import random_innovation, random_linear

from identification import HankelFactor, compare, subspace_id
from realization import (
    InnovationSSM,
    LinearSSM,
    frequency_response,
    markov_parameters,
    poles,
    simulate,
)

WEIGHTS = ["n4sid", "moesp", "cva", "ivm"]


def gain_parameters(model: InnovationSSM, count: int) -> np.ndarray:
    """Return CK, CAK, ...: the noise half of the Markov parameters."""
    noise = LinearSSM(model.A, model.K, model.C)
    return markov_parameters(noise, count + 1)[1:]


# --- published values: SLICOT's worked examples on the hair dryer -----------------------------


def slicot_result(**options):
    y, u = slicot("IB01AD", 1000)
    return subspace_id(y, u, 4, method="moesp", past=15, future=15, offset="none", **options), (
        y,
        u,
    )


def test_slicot_order_detection():
    result, (y, u) = slicot_result(bd="factor")
    published = [
        69.88410324, 14.99631373, 3.6675295, 1.96766087, 0.30004384, 0.20779084, 0.16505054,
        0.13726602, 0.11326381, 0.10594668, 0.08556632, 0.07838546, 0.07326044, 0.06777647,
        0.05713149,
    ]  # fmt: skip
    np.testing.assert_allclose(result.singular_values, published, atol=5.1e-9, rtol=0)
    by_gap = subspace_id(y, u, method="moesp", past=15, future=15, offset="none", criterion="gap")
    assert by_gap.n_states == 4


def test_slicot_dynamics_and_gain():
    result, _ = slicot_result(bd="factor")
    eigenvalues = np.sort_complex(poles(result.model))
    published = [0.47580115 - 0.19990513j, 0.47580115 + 0.19990513j, 0.7455625, 0.96102183]
    np.testing.assert_array_equal(np.round(eigenvalues, 8), published)
    predictor = np.sort_complex(np.linalg.eigvals(result.model.A - result.model.K @ result.model.C))
    published = [0.24047562, 0.37130173 - 0.02621978j, 0.37130173 + 0.02621978j, 0.82430012]
    np.testing.assert_array_equal(np.round(predictor, 8), published)
    published = [0.85080742, 0.78224740, 0.70308289, 0.63318987]
    np.testing.assert_allclose(
        gain_parameters(result.model, 4).ravel(), published, atol=5.1e-9, rtol=0
    )
    assert round(result.model.Re.item(), 6) == 0.001363


def test_slicot_input_matrices_from_the_factor():
    result, _ = slicot_result(bd="factor")
    published = [
        -0.00414885, -0.00033276, 0.00066065, 0.07394323, 0.12505511, 0.14047589, 0.13131335,
        0.11085496,
    ]  # fmt: skip
    np.testing.assert_allclose(
        markov_parameters(result.model, 8).ravel(), published, atol=5.1e-9, rtol=0
    )


def test_slicot_input_matrices_by_simulation():
    result, (y, u) = slicot_result(bd="simulation")
    model = result.model
    # the state signs are free: compare what does not depend on them
    published_B = np.array([-0.21497, -0.196206, 0.051146, 0.037294])
    np.testing.assert_allclose(np.abs(model.B.ravel()), np.abs(published_B), atol=5.1e-7)
    np.testing.assert_allclose(model.D.item(), -0.00182473, atol=5.1e-9)
    published_x0 = np.array([11.432901, 0.676747, 0.047195, 0.359981])
    np.testing.assert_allclose(np.abs(result.x0[0]), published_x0, atol=5.1e-7)
    y_hat = simulate(model, u, x0=result.x0[0]).y[:, 0]
    fit = 100 * (1 - np.linalg.norm(y - y_hat) / np.linalg.norm(y - y.mean()))
    assert round(fit, 3) == 89.155
    np.testing.assert_allclose(result.fits["simulation"], fit, rtol=1e-9)


def test_singular_values_of_the_cd_player_arm():
    y, u = daisy("CD_player_arm")
    options = {"method": "moesp", "past": 15, "future": 15, "offset": "none", "bd": "factor"}
    values = subspace_id(y, u, 8, **options).singular_values[:5]
    np.testing.assert_allclose(values, [14.4188, 11.97531, 4.80612, 3.26355, 2.691], atol=5.1e-6)
    y, u = scipy.signal.detrend(y, axis=0), scipy.signal.detrend(u, axis=0)
    values = subspace_id(y, u, 8, **options).singular_values[:5]
    np.testing.assert_allclose(values, [12.3147, 6.99982, 4.91617, 3.25716, 2.6115], atol=5.1e-6)


@pytest.mark.parametrize(
    ("order", "radius"),
    [(4, 0.99905), (5, 0.99906), (6, 0.99906), (7, 0.99908), (8, 1.0071), (9, 1.0014)],
)
def test_spectral_radius_of_the_robot_arm(order, radius):
    y, u = daisy("robot_arm")
    result = subspace_id(
        y, u, order, method="moesp", past=20, future=20, offset="none", bd="factor"
    )
    assert abs(poles(result.model)).max() == pytest.approx(
        radius, abs=1.1e-4 if order > 7 else 6e-6
    )
    assert any("A is unstable" in text for text in result.warnings) == (order >= 8)


@pytest.mark.parametrize(
    ("order", "radius"), [(4, 1.028), (8, 1.060), (12, 0.99173), (15, 0.99817), (20, 1.026)]
)
def test_spectral_radius_of_the_foetal_ecg(order, radius):
    y, _ = daisy("foetal_ecg")
    result = subspace_id(
        y, order=order, method="moesp", past=21, future=21, offset="none", bd="factor"
    )
    assert abs(poles(result.model)).max() == pytest.approx(radius, abs=6e-4 if radius > 1 else 6e-6)


def test_steam_generator():
    y, u = daisy("steamgen")
    y, u = scipy.signal.detrend(y, axis=0), scipy.signal.detrend(u, axis=0)
    result = subspace_id(y, u, 9, method="moesp", past=15, future=15, bd="factor", offset="none")
    published = [18818.77035, 1565.17433, 929.1362, 508.15606, 224.44294]
    np.testing.assert_allclose(result.singular_values[:5], published, atol=5.1e-6)


# --- numbers to beat: half a point below the best column at most --------------------------------

BARS = [  # data, horizon, order, simulation, one step
    ("dryer", 15, 4, 85.86, 95.42),
    ("robot_arm", 20, 4, 96.17, 98.61),
    ("CD_player_arm", 15, 8, 74.91, 86.3),
    ("steamgen", 15, 9, 74.23, 93.38),
]


@pytest.mark.parametrize(("name", "horizon", "order", "simulation", "prediction"), BARS)
def test_held_out_fit_on_measured_plants(name, horizon, order, simulation, prediction):
    y, u = daisy(name)
    half = len(y) // 2
    y, u = y - y[:half].mean(axis=0), u - u[:half].mean(axis=0)
    for focus, steps, bar in (("simulation", np.inf, simulation), ("prediction", 1, prediction)):
        result = subspace_id(y[:half], u[:half], order, past=horizon, future=horizon, focus=focus)
        fit = compare(result, y[half:], u[half:], horizon=steps).fits.mean()
        assert fit >= bar - 0.5


# --- exactness on noise-free data ---------------------------------------------------------------


@pytest.mark.parametrize("method", WEIGHTS)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 8),
    m=st.integers(1, 4),
    p=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    bd=st.sampled_from(["factor", "prediction", "simulation"]),
    offset=st.sampled_from(["none", "estimate"]),
)
def test_noise_free_plants_are_recovered(method, n, m, p, seed, bd, offset):
    rng = np.random.default_rng(seed)
    plant = random_linear(rng, n, m, p)
    u = rng.standard_normal((800, m))
    y = simulate(plant, u, x0=rng.standard_normal(n)).y
    result = subspace_id(y, u, n, method=method, bd=bd, offset=offset)
    expected = markov_parameters(plant, 20)
    error = np.abs(markov_parameters(result.model, 20) - expected).max()
    assert error < 1e-8 * np.abs(expected).max()
    assert not result.model.K.any()
    assert any("noise-free" in text for text in result.warnings)
    again = result.simulate(u, x0=result.x0[0]).y
    assert np.abs(again - y).max() < 1e-7 * np.abs(y).max()


@pytest.mark.parametrize("method", [*WEIGHTS, "auto"])
@pytest.mark.parametrize("seed", range(4))
def test_noise_free_oscillations_are_recovered(method, seed):
    rng = np.random.default_rng(seed)
    angles = np.array([0.3, 1.1, 2.4]) + rng.uniform(-0.2, 0.2, 3)
    blocks = [
        rng.uniform(0.99, 1.0) * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        for a in angles
    ]
    A = scipy.linalg.block_diag(*blocks)
    C, x0 = rng.standard_normal((2, 6)), rng.standard_normal(6)
    y = simulate(LinearSSM(A, np.zeros((6, 0)), C), steps=300, x0=x0).y
    result = subspace_id(y, order=6, method=method)
    expected = np.sort_complex(np.linalg.eigvals(A))
    np.testing.assert_allclose(np.sort_complex(poles(result.model)), expected, atol=1e-8)
    again = result.simulate(steps=300, x0=result.x0[0]).y
    np.testing.assert_allclose(again, y, atol=1e-8 * np.abs(y).max())


def test_input_delay_is_inside_the_model():
    rng = np.random.default_rng(5)
    plant = random_linear(rng, 3, 2, 2)
    u = rng.standard_normal((600, 2))
    late = np.vstack([np.zeros((3, 2)), u[:-3]])
    y = simulate(plant, late).y
    result = subspace_id(y, u, 3, method="moesp", delay=3)
    assert result.n_states == 3 + 2 * 3
    expected = np.concatenate([np.zeros((3, 2, 2)), markov_parameters(plant, 10)])
    np.testing.assert_allclose(markov_parameters(result.model, 13), expected, atol=1e-9)
    np.testing.assert_allclose(result.simulate(u, x0=result.x0[0]).y, y, atol=1e-8)


def test_offsets_are_found_and_applied():
    rng = np.random.default_rng(6)
    plant = random_linear(rng, 2, 1, 2)
    u = rng.standard_normal((500, 1))
    y = simulate(plant, u).y + np.array([100.0, -7.0])
    result = subspace_id(y, u + 40.0, 2, method="cva")
    expected = markov_parameters(plant, 15)
    np.testing.assert_allclose(markov_parameters(result.model, 15), expected, atol=1e-8)
    np.testing.assert_allclose(result.simulate(u + 40.0, x0=result.x0[0]).y, y, atol=1e-7)


def test_experiments_of_different_lengths():
    rng = np.random.default_rng(7)
    plant = random_linear(rng, 3, 1, 1)
    u = [rng.standard_normal((T, 1)) for T in (150, 40, 400)]
    starts = [rng.standard_normal(3) for _ in u]
    y = [simulate(plant, run, x0=x).y for run, x in zip(u, starts, strict=True)]
    result = subspace_id(y, u, 3, method="moesp", past=8, future=8, offset="none")
    np.testing.assert_allclose(
        markov_parameters(result.model, 20), markov_parameters(plant, 20), atol=1e-9
    )
    assert len(result.x0) == 3
    for run_u, run_y, x0 in zip(u, y, result.x0, strict=True):
        np.testing.assert_allclose(simulate(result.model, run_u, x0=x0).y, run_y, atol=1e-8)


def test_weight_replaces_that_of_the_method():
    rng = np.random.default_rng(8)
    plant = random_innovation(rng, 3, 1, 2)
    u = rng.standard_normal((500, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    mixed = subspace_id(y, u, 3, method="n4sid", weight="cva")
    assert mixed.method == "cva"
    assert mixed.options["bd"] == "factor"
    plain = subspace_id(y, u, 3, method="cva", bd="factor")
    np.testing.assert_allclose(
        markov_parameters(mixed.model, 10), markov_parameters(plain.model, 10), rtol=1e-9
    )


# --- statistics -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", WEIGHTS)
def test_error_falls_like_one_over_root_n(method):
    rng = np.random.default_rng(9)
    plant = random_innovation(rng, 3, 2, 2)
    expected = markov_parameters(plant, 15)
    errors = []
    for T in (1000, 16000):
        squares = []
        for _ in range(12):
            u = rng.standard_normal((T, 2))
            y = simulate(plant, u, noise=True, rng=rng).y
            result = subspace_id(y, u, 3, method=method)
            squares.append(np.mean((markov_parameters(result.model, 15) - expected) ** 2))
        errors.append(np.sqrt(np.mean(squares)))
    # sixteen times the data: a factor 4, within the spread of twelve chi-square averages
    assert 2.5 < errors[0] / errors[1] < 6.5


def test_gain_and_innovation_covariance_are_consistent():
    rng = np.random.default_rng(10)
    plant = random_innovation(rng, 2, 1, 2)
    u = rng.standard_normal((40000, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    result = subspace_id(y, u, 2, method="cva")
    # entries of a sample covariance have standard deviation at most sqrt(2 / T) times the scale
    bound = 6 * np.sqrt(2 / 40000) * np.abs(plant.Re).max()
    assert np.abs(result.model.Re - plant.Re).max() < bound
    noise = [gain_parameters(model, 8) for model in (result.model, plant)]
    # a regression coefficient on white noise of covariance Re has standard deviation T^(-1/2)
    # times a ratio of its entries
    scale = np.sqrt(np.linalg.cond(plant.Re))
    assert np.abs(noise[0] - noise[1]).max() < 6 * scale / np.sqrt(40000)


# --- the factor alone ---------------------------------------------------------------------------


def test_from_a_factor_alone():
    rng = np.random.default_rng(11)
    plant = random_innovation(rng, 2, 1, 1)
    u = rng.standard_normal((800, 1)) + 3.0
    y = simulate(plant, u, noise=True, rng=rng).y + 5.0
    factor = HankelFactor(1, 1, past=10, future=10).update(y, u)
    alone = subspace_id(order=2, factor=factor, dt=0.1, method="n4sid")
    data = subspace_id(y, u, 2, method="n4sid", past=10, future=10, dt=0.1)
    np.testing.assert_allclose(
        markov_parameters(alone.model, 12), markov_parameters(data.model, 12), atol=1e-10
    )
    assert alone.model.dt == 0.1
    assert alone.x0 == ()
    assert alone.options["bd"] == "factor"
    assert alone.n_samples == 800
    both = subspace_id(y, u, 2, method="n4sid", factor=factor, bd="prediction")
    assert both.options["bd"] == "prediction"
    assert len(both.x0) == 1


# --- stability ----------------------------------------------------------------------------------


def test_stable_moves_eigenvalues_and_says_so():
    y, u = daisy("robot_arm")
    result = subspace_id(y, u, 8, method="moesp", past=20, future=20, stable=True)
    assert abs(poles(result.model)).max() < 1
    assert any("were moved to 0.9995" in text for text in result.warnings)


def test_an_integrating_plant_stays_as_it_is_for_prediction():
    rng = np.random.default_rng(12)
    plant = LinearSSM([[1.0, 0.1], [0.0, 0.7]], [[0.0], [1.0]], [[1.0, 0.0]])
    u = rng.standard_normal((600, 1))
    y = simulate(plant, u).y
    result = subspace_id(y, u, 2, method="moesp", offset="none")
    np.testing.assert_allclose(np.sort(poles(result.model).real), [0.7, 1.0], atol=1e-9)


def textbook_poles(y, u, order, horizon, weight):
    """Return poles as Van Overschee and De Moor define them, from whole Hankel matrices."""
    count = len(y) - 2 * horizon + 1
    rows = [
        np.array([s[start + i : start + i + count] for i in range(horizon)])
        for s in (u, y)
        for start in (0, horizon)
    ]
    u_past, u_future, y_past, y_future = rows
    known = np.linalg.qr(np.vstack([np.ones(count), u_future]).T)[0]
    future, past = (
        block - (block @ known) @ known.T for block in (y_future, np.vstack([u_past, y_past]))
    )
    colour = np.eye(horizon) if weight == "moesp" else np.linalg.cholesky(future @ future.T)
    left, values, _ = np.linalg.svd(np.linalg.solve(colour, future) @ np.linalg.qr(past.T)[0])
    gamma = (colour @ left)[:, :order]
    return np.linalg.eigvals(np.linalg.lstsq(gamma[:-1], gamma[1:], rcond=None)[0]), values


@pytest.mark.parametrize("seed", [1, 4, 9])
@pytest.mark.parametrize("method", ["moesp", "cva"])
def test_a_mode_that_the_data_hardly_tell_of_lands_where_the_definition_puts_it(method, seed):
    B, C = [[1.0], [1e-4]], [[1.0, 1.0]]
    plant = InnovationSSM(np.diag([0.8, 0.5]), C, [[0.3], [0.0]], [[0.01]], B=B)
    u = np.random.default_rng(seed).standard_normal(500)
    y = simulate(plant, u, noise=True, rng=100 + seed).y[:, 0]
    result = subspace_id(y, u, 2, method=method, past=15)
    expected, values = textbook_poles(y, u, 2, 15, method)
    found = np.linalg.eigvals(result.model.A)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-9)
    unstable = [text for text in result.warnings if "A is unstable" in text]
    assert len(unstable) == (np.abs(expected).max() >= 1)
    assert all("the data tell of order 1 (bic); stable=True" in text for text in unstable)
    assert values[1] < 2 * values[2]  # the second direction is one of noise
    alone = subspace_id(y, u, method=method, past=15, criterion="bic")
    assert alone.n_states == 1
    assert alone.model.A.item() == pytest.approx(0.8, abs=0.02)


def test_unstable_simulation_falls_back_to_the_stabilised_candidate():
    rng = np.random.default_rng(13)
    plant = LinearSSM([[1.2]], [[1.0]], [[1.0]])
    u = rng.standard_normal((130, 1))
    y = simulate(plant, u).y
    y = y + 1e-3 * np.abs(y).max() * rng.standard_normal(y.shape)
    result = subspace_id(
        y, u, 1, method="moesp", past=3, future=3, focus="simulation", offset="none"
    )
    assert abs(poles(result.model)).max() < 1
    assert any("were moved" in text for text in result.warnings)


# --- the door -------------------------------------------------------------------------------------


def record(T: int = 200, m: int = 1, p: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(14)
    return rng.standard_normal((T, p)), rng.standard_normal((T, m))


def test_inputs_are_not_modified():
    y, u = record()
    before = y.copy(), u.copy()
    subspace_id(y, u, 2)
    np.testing.assert_array_equal(y, before[0])
    np.testing.assert_array_equal(u, before[1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda y, u: subspace_id(y, u, 2, method="n4sad"), ValueError, "`method` must be one of"),
        (lambda y, u: subspace_id(y, u, 2, weight="x"), ValueError, "`weight` must be one of"),
        (lambda y, u: subspace_id(y, u, 2, focus="x"), ValueError, "`focus` must be one of"),
        (lambda y, u: subspace_id(y, u, 2, bd="x"), ValueError, "`bd` must be one of"),
        (lambda y, u: subspace_id(y, u, criterion="x"), ValueError, "`criterion` must be one of"),
        (lambda y, u: subspace_id(y, u, 2, offset="x"), ValueError, "`offset` must be one of"),
        (lambda y, u: subspace_id(y, u, 2.0), TypeError, "`order` must be an integer; got 2.0"),
        (lambda y, u: subspace_id(y, u, -1), ValueError, "`order` must be at least 0"),
        (lambda y, u: subspace_id(y[:-1], u, 2), ValueError, "same number of samples; got 199"),
        (lambda y, u: subspace_id(y.T, u, 2), ValueError, "same number of samples; got 1 and 200"),
        (lambda y, u: subspace_id(y[:20], u[:20], 2, past=10), ValueError, r"need 59 .*got 20"),
        (lambda y, u: subspace_id(y, u, 30, past=5), ValueError, "= 30 cannot be had.*at most 4"),
        (lambda y, u: subspace_id(0 * y, u, 1), ValueError, "`order` = 1 cannot be had.* rank 0"),
        (lambda y, u: subspace_id(None, u), ValueError, "`y` is missing"),
        (lambda y, u: subspace_id(y, u, 2, future=1), ValueError, "`future` must be at least 2"),
        (lambda y, u: subspace_id(y, u, 2, dt=0.0), ValueError, "`dt` must be positive"),
        (lambda y, u: subspace_id(y, u, 2, dt=-1.0), ValueError, "`dt` must be finite"),
        (lambda y, u: subspace_id(y, None, 2, delay=1), ValueError, "the data have none"),
        (lambda y, u: subspace_id(y, u, 2, delay=500), ValueError, "leaves nothing of a run"),
        (lambda y, u: subspace_id(np.zeros((0, 1)), u[:0], 1), ValueError, "has no samples"),
        (lambda y, u: subspace_id(y * 1j, u, 1), TypeError, "`y` must be real"),
        (lambda y, u: subspace_id(["a", "b"], u, 1), TypeError, "`y` must be numeric"),
    ],
)  # fmt: skip
def test_wrong_calls(call, error, message):
    y, u = record()
    with pytest.raises(error, match=message):
        call(y, u)


def test_missing_and_infinite_samples_are_refused():
    y, u = record()
    y[17] = np.nan
    with pytest.raises(
        ValueError, match=r"a missing value \(NaN\) in 1 of \d+ samples.*index 17.*cut the record"
    ):
        subspace_id(y, u, 2)
    y[17] = np.inf
    with pytest.raises(ValueError, match="`y` must be finite; found inf"):
        subspace_id(y, u, 2)


def test_wrong_calls_with_a_factor():
    y, u = record()
    factor = HankelFactor(1, 1, past=5, future=5).update(y, u)
    cases = [
        ({"u": u}, "`u` was given without `y`"),
        ({"bd": "simulation"}, "least squares on the data"),
        ({"delay": 1}, "`delay` shifts the inputs before the factor"),
        ({"past": 5}, "`past` and `future` are those of the `factor`"),
        ({"y": y[:, [0, 0]], "u": u}, "`factor` has 1 output and 1 input; the data have 2"),
        ({"y": y, "u": u, "delay": 1}, "`delay` shifts the inputs before the factor"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            subspace_id(order=1, factor=factor, **arguments)
    with pytest.raises(TypeError, match="`factor` must be a HankelFactor; got str"):
        subspace_id(order=1, factor="n4sid")
    with pytest.raises(ValueError, match=r"the factor holds 0 start times"):
        subspace_id(order=1, factor=HankelFactor(1, 1, past=5, future=5))


def test_disparate_units_do_not_matter():
    rng = np.random.default_rng(15)
    plant = random_linear(rng, 2, 1, 1)
    u = rng.standard_normal((300, 1))
    y = simulate(plant, u).y
    expected = frequency_response(plant, np.linspace(0.1, 3, 20))
    for scale_y, scale_u in ((1e60, 1.0), (1e-60, 1.0), (1.0, 1e60), (1e-60, 1e60)):
        for method in WEIGHTS:
            result = subspace_id(scale_y * y, scale_u * u, 2, method=method, offset="none")
            found = frequency_response(result.model, np.linspace(0.1, 3, 20))
            np.testing.assert_allclose(found * (scale_u / scale_y), expected, rtol=1e-7)
    with pytest.raises(ValueError, match=r"`y` has samples of size .*Express it in other units"):
        subspace_id(1e150 * y, u, 2)


def test_constant_data():
    constant = subspace_id(np.full(100, 3.0), order=0)
    assert constant.n_states == 0
    assert constant.offset[0][0] == pytest.approx(3.0)


def test_an_input_that_does_not_excite_is_reported():
    rng = np.random.default_rng(16)
    plant = random_innovation(rng, 2, 2, 1)
    one = rng.standard_normal((400, 1))
    u = np.hstack([one, one])
    y = simulate(plant, u, noise=True, rng=rng).y
    result = subspace_id(y, u, 2, method="moesp")
    assert any("do not determine B, D and offset" in text for text in result.warnings)


def test_order_zero_is_a_static_gain():
    rng = np.random.default_rng(17)
    u = rng.standard_normal((300, 2))
    D = np.array([[1.0, -2.0]])
    result = subspace_id(u @ D.T + 0.01 * rng.standard_normal((300, 1)), u, 0)
    assert result.n_states == 0
    assert np.abs(result.model.D - D).max() < 5 * 0.01 / np.sqrt(300)


def test_progress_bar(capsys):
    y, u = record()
    subspace_id(y, u, 1, progress=True)
    assert "subspace_id" in capsys.readouterr().err


@pytest.mark.parametrize("method", [*WEIGHTS, "ssarx", "pbsid", "parsim", "auto"])
@pytest.mark.parametrize("offset", ["none", "estimate"])
def test_a_response_that_has_died_out(method, offset):
    # rows of squares that underflow, and held-out blocks of 1e-200: all of it is zero, not noise
    y = 0.5 ** np.arange(1000.0)
    result = subspace_id(y, order=1, method=method, offset=offset, past=10)
    assert np.isfinite(result.simulate(steps=1000, x0=result.x0[0]).y).all()


def test_an_impulse_at_the_start_of_a_record():
    # behind it there is rounding only, which the canonical variates must not blow up
    result = subspace_id(np.eye(1, 60)[0], order=1, method="cva", past=10)
    assert np.isfinite(result.simulate(steps=60, x0=result.x0[0]).y).all()


@pytest.mark.parametrize("bd", ["factor", "prediction", "simulation"])
def test_n4sid_follows_a_change_of_units(bd):
    rng = np.random.default_rng(18)
    plant = random_innovation(rng, 4, 2, 2)
    u = rng.standard_normal((600, 2))
    y = simulate(plant, u, noise=True, rng=rng).y
    options = {"method": "n4sid", "past": 10, "future": 10, "bd": bd}
    plain = markov_parameters(subspace_id(y, u, 4, **options).model, 20)
    scaled = markov_parameters(subspace_id(1e6 * y, 1e-3 * u, 4, **options).model, 20)
    np.testing.assert_allclose(scaled / 1e9, plain, rtol=0, atol=1e-12 * np.abs(plain).max())
