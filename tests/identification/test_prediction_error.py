"""Refinement: never worse, the same from every basis, maximum likelihood, and its own errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import daisy
from systems import random_innovation

from identification import (
    IdentificationResult,
    compare,
    fit_percent,
    pem,
    residual_tests,
    subspace_id,
)
from identification.local_coordinates import System
from realization import (
    BilinearSSM,
    GaussianSSM,
    InnovationSSM,
    LinearSSM,
    markov_parameters,
    poles,
    predict,
    simulate,
)

SETTINGS = settings(max_examples=12, deadline=None, derandomize=True)
PLANT = InnovationSSM(
    [[0.8, 0.3], [-0.3, 0.7]], [[1.0, 0.0]], [[0.5], [0.1]], [[0.04]], B=[[0.5], [1.0]], D=[[0.2]]
)


def record(model, T, seed=0, x0=None):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((T, model.n_inputs)) if model.n_inputs else None
    steps = None if model.n_inputs else T
    return simulate(model, u, steps=steps, x0=x0, noise=True, rng=rng).y, u


def log_det(model, y, u, x0, horizon=1):
    errors = y - predict(model, y, u, horizon=horizon, x0=x0)
    return np.linalg.slogdet(errors.T @ errors / len(errors))[1]


def perturbed(model, rng, size):
    s = System.from_model(model)
    s = s.with_vector(s.vector() + size * rng.standard_normal(s.vector().size))
    return InnovationSSM(s.A, s.C, s.K, model.Re, B=s.B, D=s.D)


def in_basis(model, T):
    s = System.from_model(model).transformed(T, np.linalg.inv(T))
    return InnovationSSM(s.A, s.C, s.K, model.Re, B=s.B, D=s.D)


@given(
    n=st.integers(0, 3),
    m=st.integers(0, 2),
    p=st.integers(1, 2),
    focus=st.sampled_from(["prediction", "simulation"]),
    seed=st.integers(0, 99),
)
@SETTINGS
def test_never_ends_worse_than_it_started(n, m, p, focus, seed):
    if m == 0:
        focus = "prediction"
    rng = np.random.default_rng(seed)
    plant = random_innovation(rng, n, m, p)
    y, u = record(plant, 200, seed)
    start = perturbed(plant, rng, 0.1)
    result = pem(start, y, u, focus=focus, max_iterations=5)
    horizon = np.inf if focus == "simulation" else 1
    if focus == "prediction":  # the start with the x0 that suits it best
        other = pem(start, y, u, fixed=dict.fromkeys("ABCDK", True))
        assert np.allclose(other.model.A, start.A)
        before = log_det(start, y, u, other.x0[0])
        assert log_det(result.model, y, u, result.x0[0]) <= before + 1e-9
    else:
        fits = compare([start, result], y, u, horizon=horizon).fits
        error = ((1 - fits / 100) ** 2).sum(axis=1)
        assert error[1] <= error[0] * (1 + 1e-9)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("options", [{}, {"focus": "simulation"}, {"horizon": 3}])
def test_same_map_from_every_basis_of_the_start(p, options):
    rng = np.random.default_rng(3)
    plant = PLANT
    if p == 2:
        Re = [[0.04, 0.01], [0.01, 0.09]]
        plant = InnovationSSM(PLANT.A, np.eye(2), 0.4 * np.eye(2), Re, B=PLANT.B)
    y, u = record(plant, 500, 3)
    start = perturbed(plant, rng, 0.02)
    T = np.diag([1.0, 30.0]) @ np.linalg.qr(rng.standard_normal((2, 2)))[0]
    one, other = pem(start, y, u, **options), pem(in_basis(start, T), y, u, **options)
    # the search ends when less than 1e-6 of the error is left to explain: 1e-6 sqrt(500 p)
    # standard deviations of the parameters, which here are about 0.01
    assert np.allclose(
        markov_parameters(one.model, 20), markov_parameters(other.model, 20), rtol=0, atol=1e-6
    )
    assert np.allclose(one.model.Re, other.model.Re, rtol=1e-6)
    free = [simulate(r.model, 0 * u[:20], x0=r.x0[0]).y for r in (one, other)]
    assert np.allclose(*free, atol=1e-4)
    # the largest modulus of a pole is a function of the entries: its variance knows no basis
    one_variance, other_variance = (
        variance_of(r, lambda s: np.abs(np.linalg.eigvals(s.A)).max()) for r in (one, other)
    )
    assert np.isclose(one_variance, other_variance, rtol=1e-3)


def test_coordinates_in_which_the_start_hardly_has_a_mode_are_left():
    y, u = record(PLANT, 1500)
    weak = InnovationSSM(
        np.diag([0.7, 0.6]), [[1.0, 1e6]], [[0.3], [1e-12]], [[0.04]], B=[[1.0], [1e-12]], D=[[0.2]]
    )
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    scaled, turned = pem(weak, y, u), pem(in_basis(weak, turn), y, u)
    assert not any("coordinates" in text for text in scaled.warnings)  # units of the states only
    assert any("not those of the start" in text for text in turned.warnings)
    assert np.linalg.norm(turned.model.A) < 2  # 2e5 in those, and errors of the response of 1
    for result in (scaled, turned):
        error = markov_parameters(result.model, 30) - markov_parameters(PLANT, 30)
        assert np.abs(error).max() < 0.01
        assert result.covariance is not None


def variance_of(result, function):
    """Return the variance of a function of the entries, to first order."""
    system = System.from_model(result.model)
    v = system.vector()
    slope = np.empty(v.size)
    for k in range(v.size):
        step = np.zeros(v.size)
        step[k] = 1e-6 * max(1.0, abs(v[k]))
        difference = function(system.with_vector(v + step)) - function(system.with_vector(v - step))
        slope[k] = difference / (2 * step[k])
    return slope @ result.covariance @ slope


def test_arma_agrees_with_the_likelihood_maximum_of_statsmodels():
    from statsmodels.tsa.arima.model import ARIMA

    process = InnovationSSM([[1.2, -0.5], [1.0, 0.0]], [[0.8, -0.3]], [[1.0], [0.0]], [[1.0]])
    T = 2000
    y, _ = record(process, T, seed=1)
    other = ARIMA(y[:, 0], order=(2, 0, 2), trend="n").fit()
    start = InnovationSSM([[0.9, -0.3], [1.0, 0.0]], [[0.5, 0.0]], [[1.0], [0.0]], [[1.0]])
    result = pem(start, y)
    s = System.from_model(result.model)
    ours = np.concatenate([-np.poly(s.A)[1:], np.poly(s.A - s.K @ s.C)[1:]])
    # the two differ by the treatment of the first samples: O(1/T) against errors of O(1/sqrt(T))
    assert (np.abs(ours - other.params[:4]) < 5 / np.sqrt(T) * other.bse[:4]).all()
    sigma = np.sqrt(variance_of(result, lambda s: -np.poly(s.A)[1]))
    assert np.isclose(sigma, other.bse[0], rtol=0.1)
    assert np.isclose(result.model.Re.item(), other.params[4], rtol=5 / T)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"focus": "simulation"}, {"horizon": 3}])
def test_covariance_is_the_monte_carlo_spread(options):
    runs = 120
    markov, sigma, inside = [], [], 0
    truth = markov_parameters(PLANT, 4)[:, 0, 0]
    functions = [
        lambda s, k=k: (s.C @ np.linalg.matrix_power(s.A, k) @ s.B).item() for k in range(3)
    ]
    for seed in range(runs):
        y, u = record(PLANT, 600, seed)
        result = pem(PLANT, y, u, **options)
        sigma.append([np.sqrt(variance_of(result, f)) for f in functions])
        markov.append(markov_parameters(result.model, 4)[1:, 0, 0])
        inside += np.sum(np.abs(markov[-1] - truth[1:]) < 1.96 * np.array(sigma[-1]))
    # the standard deviation of a sample of 120 has relative error 1 / sqrt(240) = 6.5 %
    ratio = np.mean(sigma, axis=0) / np.std(markov, axis=0)
    assert (np.abs(ratio - 1) < (0.25 if options else 4 / np.sqrt(2 * runs))).all()
    assert 0.9 <= inside / (3 * runs) <= 0.98


@pytest.mark.slow
def test_excess_error_is_at_the_cramer_rao_level():
    rng = np.random.default_rng(0)
    ratios = []
    for seed in range(20):
        plant = random_innovation(rng, 3, 1, 1)
        y, u = record(plant, 1000, seed)
        start = subspace_id(y, u, 3, offset="none")
        result = pem(start, y, u)
        fresh_y, fresh_u = record(plant, 20000, 1000 + seed)
        best = predict(plant, fresh_y, fresh_u)
        excess = np.mean((predict(result.model, fresh_y, fresh_u) - best) ** 2)
        d = 3 * 3 + 1
        ratios.append(excess / (d * plant.Re.item() / 1000))
    assert np.median(ratios) < 1.1


def test_a_start_that_is_the_optimum_is_returned():
    y, u = record(PLANT, 300)
    once = pem(PLANT, y, u)
    twice = pem(once, y, u)
    assert np.allclose(twice.model.A, once.model.A, atol=1e-4)
    assert twice.options["iterations"] <= 2


def test_experiments_have_their_own_initial_states():
    starts = [np.array([5.0, 0.0]), np.array([-3.0, 4.0]), np.zeros(2)]
    quiet = InnovationSSM(PLANT.A, PLANT.C, PLANT.K, [[1e-6]], B=PLANT.B, D=PLANT.D)
    runs = [record(quiet, T, seed=T, x0=x0) for T, x0 in zip((80, 60, 100), starts, strict=True)]
    y, u = [run[0] for run in runs], [run[1] for run in runs]
    result = pem(perturbed(quiet, np.random.default_rng(0), 0.02), y, u)
    assert result.n_samples == 240
    h, true = markov_parameters(result.model, 10), markov_parameters(PLANT, 10)
    assert np.allclose(h, true, atol=1e-3)
    no_input = np.zeros((20, 1))
    for found, x0 in zip(result.x0, starts, strict=True):
        free = simulate(result.model, no_input, x0=found).y
        assert np.allclose(free, simulate(PLANT, no_input, x0=x0).y, atol=0.01)


def test_offsets_are_refined():
    y, u = record(PLANT, 400)
    start = subspace_id(y + 7.0, u + 3.0, 2)
    result = pem(start, y + 7.0, u + 3.0)
    assert result.options["offset"] == "estimate"
    gain = markov_parameters(result.model, 200).sum(axis=0)
    at_rest = result.offset[0] + gain @ ([3.0] - result.offset[1])  # the output for the input 3
    assert np.isclose(at_rest.item(), 7.0, atol=0.2)
    kept = pem(start, y + 7.0, u + 3.0, offset="none")
    assert np.array_equal(kept.offset[0], start.offset[0])
    assert pem(PLANT, y, u).options["offset"] == "none"


def test_feedthrough_follows_the_start_or_the_wish():
    y, u = record(PLANT, 300)
    without = InnovationSSM(PLANT.A, PLANT.C, PLANT.K, PLANT.Re, B=PLANT.B)
    assert not pem(without, y, u).model.D.any()
    assert pem(without, y, u, feedthrough=True).model.D.any()
    assert pem(PLANT, y, u).model.D.any()
    assert np.array_equal(pem(PLANT, y, u, feedthrough=False).model.D, PLANT.D)


def test_grey_box_entries_are_held():
    y, u = record(PLANT, 500)
    A = [[0.8, 0.3], [-0.2, 0.6]]
    start = InnovationSSM(A, [[1.0, 0.0]], [[0.4], [0.0]], [[1.0]], B=[[0.4], [0.8]], D=[[0.2]])
    A = np.array([[True, False], [False, False]])
    result = pem(start, y, u, fixed={"A": A, "C": True})
    assert result.model.A[0, 0] == 0.8
    assert np.array_equal(result.model.C, start.C)
    assert np.allclose(result.model.A, PLANT.A, atol=0.1)  # C and A[0, 0] are those of the plant
    held = System.from_model(start).entries(A=A, C=True)
    assert not result.covariance[held].any()
    free = np.diag(result.covariance)[~held]
    assert (free > 0).all()
    assert free.max() < 0.05


def test_dead_time_of_an_identified_model_is_kept():
    y, u = record(PLANT, 600)
    u_early = np.vstack([u[3:], np.zeros((3, 1))])  # y follows u_early three samples late
    for feedthrough in (False, True):
        start = subspace_id(y, u_early, 2, delay=3, feedthrough=feedthrough)
        result = pem(start, y, u_early)
        markov = markov_parameters(result.model, 6)[:, 0, 0]
        first = 3 if feedthrough else 4
        assert np.array_equal(markov[:first], np.zeros(first))
        assert (markov[first:] != 0).all()


def test_simulation_focus_refits_the_gain_alone():
    y, u = record(PLANT, 500)
    start = LinearSSM([[0.7, 0.3], [-0.3, 0.6]], PLANT.B, PLANT.C, PLANT.D)
    result = pem(start, y, u, focus="simulation")
    assert isinstance(result.model, InnovationSSM)
    assert result.model.K.any()
    x0 = result.x0[0]
    simulated = simulate(result.model, u, x0=x0).y
    assert np.allclose(fit_percent(y, simulated), result.fits["simulation"], atol=1e-6)
    assert result.fits["one-step prediction"] > result.fits["simulation"]


def test_horizon_is_what_is_minimised():
    rng = np.random.default_rng(5)
    plant = random_innovation(rng, 4, 1, 1)
    y, u = record(plant, 600, 5)
    start = subspace_id(y, u, 2, offset="none")  # too small: the horizon matters
    one, six = pem(start, y, u), pem(start, y, u, horizon=6)
    assert log_det(one.model, y, u, one.x0[0]) < log_det(six.model, y, u, six.x0[0])
    assert log_det(six.model, y, u, six.x0[0], 6) < log_det(one.model, y, u, one.x0[0], 6)
    assert "6-step prediction" in six.fits


def test_focus_is_what_is_minimised():
    # one state for two: the input's, which is fast, and the noise's, which is slow
    plant = InnovationSSM(
        np.diag([0.5, 0.95]), [[1.0, 1.0]], [[0.0], [0.8]], [[0.5]], B=[[1.0], [0.0]]
    )
    y, u = record(plant, 800, 8)
    start = subspace_id(y, u, 1, method="moesp", offset="none")
    models = [pem(start, y, u, focus=focus) for focus in ("simulation", "prediction")]
    slow = [poles(result.model).real.item() for result in models]
    assert abs(slow[0] - 0.5) < 0.2
    assert slow[1] > 0.8
    simulated, predicted = (compare(models, y, u, horizon=h).fits[:, 0] for h in (np.inf, 1))
    assert simulated[0] > simulated[1] + 1.0
    assert predicted[1] > predicted[0] + 1.0


def test_unstable_predictor_is_mirrored():
    process = InnovationSSM([[0.9]], [[1.0]], [[0.4]], [[1.0]])
    y, _ = record(process, 400)
    mirrored = InnovationSSM([[0.9]], [[1.0]], [[0.9 - 1 / 0.5]], [[0.25]])  # zero at 2, not 0.5
    result = pem(mirrored, y)
    assert np.isclose((result.model.A - result.model.K @ result.model.C).item(), 0.5, atol=0.15)
    assert np.isclose(result.model.Re.item(), 1.0, atol=4 * np.sqrt(2 / 400))


def test_noise_free_data_give_the_plant():
    u = np.random.default_rng(0).standard_normal((200, 1))
    plant = LinearSSM(PLANT.A, PLANT.B, PLANT.C, PLANT.D)
    y = simulate(plant, u).y
    start = LinearSSM(0.95 * PLANT.A, PLANT.B, PLANT.C, PLANT.D)
    for focus in ("prediction", "simulation"):
        result = pem(start, y, u, focus=focus)
        error = markov_parameters(result.model, 20) - markov_parameters(plant, 20)
        assert np.abs(error).max() < 1e-6


def test_bilinear_models_are_refined_as_such():
    rng = np.random.default_rng(0)
    plant = BilinearSSM(
        PLANT.A, [[[0.1, 0.0], [0.1, -0.1]]], PLANT.B, PLANT.C, PLANT.D, K=PLANT.K, Re=[[0.01]]
    )
    u = rng.standard_normal((600, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    start = BilinearSSM(PLANT.A, np.zeros((1, 2, 2)), PLANT.B, PLANT.C, PLANT.D, K=PLANT.K)
    result = pem(start, y, u)
    assert isinstance(result.model, BilinearSSM)
    assert np.isclose(result.model.Re.item(), 0.01, rtol=5 * np.sqrt(2 / 600))
    entries = 4 + 4 + 2 + 2 + 1 + 2
    assert result.covariance.shape == (entries, entries)
    assert "bilinear" in result.summary()


def slow_disturbance(seed, T=600):
    """Return a record of the plant under a disturbance far slower than the record lets it know."""
    rng = np.random.default_rng(seed)
    y, u = record(PLANT, T, seed)
    return y + 0.1 * np.cumsum(rng.standard_normal((T, 1)), axis=0), u


def test_stop_is_where_held_out_blocks_allow_no_more():
    y, u = slow_disturbance(4)
    start = subspace_id(y, u, 3, method="moesp")
    result = pem(start, y, u, stop="held-out", max_iterations=8)
    blocks_y, blocks_u = np.array_split(y, 3), np.array_split(u, 3)
    scores = np.zeros(9)
    for k in range(3):
        others = [j for j in range(3) if j != k]
        training = [blocks_y[j] for j in others], [blocks_u[j] for j in others]
        fold = subspace_id(*training, 3, method="moesp", past=start.options["past"])
        for steps in range(9):
            model = pem(fold, *training, max_iterations=steps) if steps else fold
            fit = compare(model, blocks_y[k], blocks_u[k], horizon=1).fits.item()
            scores[steps] += 2 * np.log(1 - fit / 100) / 3
    parameters = 3 * 3 + 1
    last = np.flatnonzero(scores <= scores.min() + parameters / len(y))[-1]
    assert 0 <= last < 8
    assert result.options["iterations"] == last
    assert result.options["stop"] == "held-out"
    assert result.covariance is None
    assert any(f"stopped after {last} steps" in text for text in result.warnings)
    reference = pem(start, y, u, max_iterations=last) if last else start
    h = markov_parameters(reference.model, 9)
    assert np.allclose(markov_parameters(result.model, 9), h, rtol=0, atol=1e-9)


def test_stop_at_the_optimum_where_nothing_speaks_against_it():
    y, u = record(PLANT, 3000)
    start = subspace_id(y, u, 2, method="cva", past=8)
    one, other = pem(start, y, u, stop="held-out"), pem(start, y, u)
    assert one.options["stop"] == "optimum"
    assert np.array_equal(one.covariance, other.covariance)
    assert np.array_equal(one.model.A, other.model.A)


def test_names_and_summary_are_carried():
    import pandas as pd

    y, u = record(PLANT, 200)
    frame = pd.DataFrame({"level": y[:, 0]}), pd.DataFrame({"valve": u[:, 0]})
    result = pem(PLANT, *frame)
    assert result.output_names == ("level",)
    assert "valve" in result.summary()
    assert isinstance(result, IdentificationResult)
    assert np.allclose(np.abs(poles(result.model)), np.abs(poles(PLANT)), atol=0.2)


def test_progress_is_shown_when_asked(capsys):
    y, u = record(PLANT, 100)
    pem(PLANT, y, u, progress=True)
    assert "pem" in capsys.readouterr().err
    pem(PLANT, y, u)
    assert capsys.readouterr().err == ""


def test_what_is_doubtful_is_said():
    y, u = record(PLANT, 300)
    far = LinearSSM([[0.2, 0.0], [0.0, 0.1]], [[1.0], [0.5]], [[1.0, 1.0]])
    result = pem(far, y, u, max_iterations=1)
    assert any("not converged after 1" in text for text in result.warnings)
    silent = 0 * u  # tells nothing of B and D
    result = pem(PLANT, simulate(PLANT, silent, noise=True, rng=0).y, silent)
    assert result.covariance is None
    assert any("does not determine" in text for text in result.warnings)


REFUSALS = {
    "GaussianSSM": (
        dict(model=GaussianSSM([[0.5]], [[1.0]], [[1.0]], [[1.0]])),
        TypeError,
        "`model`",
    ),
    "continuous": (
        dict(model=LinearSSM([[-0.5]], [[1.0]], [[1.0]], dt=0.0)),
        ValueError,
        "discretize",
    ),
    "complex": (dict(model=LinearSSM([[0.5j]], [[1.0]], [[1.0]])), TypeError, "real"),
    "channels": (dict(model=LinearSSM([[0.5]], [[1.0, 1.0]], [[1.0]])), ValueError, "2 inputs"),
    "focus": (dict(focus="forecast"), ValueError, "`focus`"),
    "offset": (dict(offset="mean"), ValueError, "`offset`"),
    "horizon": (dict(horizon=0), ValueError, "`horizon`"),
    "simulation horizon": (dict(focus="simulation", horizon=2), ValueError, "belongs to"),
    "stop": (dict(stop="early"), ValueError, "`stop`"),
    "stop of a plain model": (dict(stop="held-out"), ValueError, "a result of subspace_id; got"),
    "stop with fixed": (dict(stop="held-out", fixed={"A": True}), ValueError, "other starts"),
    "iterations": (dict(max_iterations=0), ValueError, "`max_iterations`"),
    "fixed kind": (dict(fixed=["A"]), TypeError, "`fixed` must be a dict; got list"),
    "fixed name": (dict(fixed={"Q": True}), ValueError, "`fixed`"),
    "fixed shape": (dict(fixed={"A": np.ones((3, 3), bool)}), ValueError, "mask of bool"),
    "fixed values": (dict(fixed={"A": np.ones((2, 2))}), ValueError, "mask of bool"),
    "too short": (dict(y=np.ones(8), u=np.arange(8.0)), ValueError, "too few samples"),
    "unstable": (
        dict(model=LinearSSM(20 * np.eye(2), PLANT.B, PLANT.C), fixed={"A": True}),
        ValueError,
        "overflow",
    ),
    "missing": (dict(y=np.full(100, np.nan)), ValueError, "missing"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    changes, error, message = REFUSALS[case]
    y, u = record(PLANT, 400)
    arguments = {"model": PLANT, "y": y, "u": u[: len(changes.get("y", y))], **changes}
    with pytest.raises(error, match=message):
        pem(**arguments)


def test_simulation_needs_inputs():
    process = InnovationSSM([[0.9]], [[1.0]], [[0.4]], [[1.0]])
    with pytest.raises(ValueError, match="nothing to simulate"):
        pem(process, record(process, 100)[0], focus="simulation")


def test_sample_times_must_agree():
    import control

    y, u = record(PLANT, 100)
    response = control.TimeResponseData(np.arange(100) * 0.1, y.T, None, u.T, issiso=False)
    with pytest.raises(ValueError, match=r"sample time 0\.1"):
        pem(PLANT, response)


@pytest.mark.slow
def test_held_out_blocks_guard_a_plant_that_drifts():
    y, u = daisy("winding")
    half = len(y) // 2
    seen, unseen = (y[:half], u[:half]), (y[half:], u[half:])
    start = subspace_id(*seen, 8, method="pbsid", past=15, focus="simulation")
    found = [pem(start, *seen, focus="simulation", stop=stop) for stop in ("optimum", "held-out")]
    fits = compare([start, *found], *unseen).fits.mean(axis=1)
    assert fits[1] < fits[0] - 0.5  # the optimum of one half is worse on the other
    assert fits[2] > fits[0] - 0.5
    fits = compare([start, *found], *seen).fits.mean(axis=1)
    assert fits[2] >= fits[0] - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dryer", "robot_arm", "CD_player_arm"])
def test_measured_plants_gain(name):
    y, u = daisy(name)
    half = len(y) // 2
    start = subspace_id(y[:half], u[:half], 4)
    result = pem(start, y[:half], u[:half])
    assert result.options["criterion"] <= result.options["criterion of the start"]  # log det
    before, after = compare([start, result], y[:half], u[:half], horizon=1).fits.mean(axis=1)
    assert after >= before - (0.0 if y.shape[1] == 1 else 0.2)  # not what several outputs minimise
    before, after = compare([start, result], y[half:], u[half:], horizon=1).fits.mean(axis=1)
    assert after >= before - 0.5


@pytest.mark.parametrize("focus", ["prediction", "simulation"])
def test_whiteness_on_the_record(focus):
    y, u = record(PLANT, 300)
    result = pem(PLANT, y, u, focus=focus)
    assert result.whiteness == pytest.approx(residual_tests(result, y, u).ljung_box_p_value)
