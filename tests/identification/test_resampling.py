"""Bootstrap: what is drawn, the same identification again, the spread of repeated experiments."""

from dataclasses import replace

import numpy as np
import pytest

from identification import (
    Bootstrap,
    Experiments,
    bootstrap,
    em,
    impulse_response_uncertainty,
    pem,
    pole_uncertainty,
    subspace_id,
)
from identification.validation import in_data_units
from realization import (
    BilinearSSM,
    InnovationSSM,
    LinearSSM,
    NumericalWarning,
    UnstableModelError,
    frequency_response,
    markov_parameters,
    poles,
    predict,
    simulate,
)

PLANT = InnovationSSM(
    [[0.8, 0.3], [-0.3, 0.7]], [[1.0, 0.0]], [[0.5], [0.1]], [[0.04]], B=[[0.5], [1.0]], D=[[0.2]]
)
WIDE = replace(
    PLANT, C=np.eye(2), K=0.4 * np.eye(2), Re=[[0.04, 0.01], [0.01, 0.09]], D=[[0.2], [0.0]]
)


def record(model, T, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((T, model.n_inputs))
    return simulate(model, u, noise=True, rng=rng).y, u


def test_records_are_simulated_from_innovations_drawn_again():
    runs = [record(WIDE, T, T) for T in (80, 60)]
    data = Experiments.from_data([y + 5.0 for y, _ in runs], [u - 3.0 for _, u in runs])
    result = subspace_id(data, order=2, method="moesp")
    seen = []

    def estimate(drawn):
        seen.append(drawn)
        return result

    found = bootstrap(result, data, samples=3, estimate=estimate, rng=0)
    assert len(found.models) == len(seen) == 3
    y0, u0 = result.offset
    errors = []
    for y, u in zip(data.y, data.u, strict=True):
        x0 = in_data_units(result, y, u, 1)[1]
        errors.append(y - y0 - predict(result.model, y - y0, u - u0, x0=x0))
    innovations = np.vstack(errors) - np.vstack(errors).mean(axis=0)
    per_output = 2 * 1 / 2 + 2 * 2 + 1  # B, C and K, D
    innovations *= np.sqrt(140 / (140 - per_output))
    for drawn in seen:
        for y, u, new in zip(data.y, data.u, drawn.y, strict=True):
            x0 = in_data_units(result, y, u, 1)[1]
            e = new - y0 - predict(result.model, new - y0, u - u0, x0=x0)
            nearest = np.abs(e[:, np.newaxis] - innovations).max(axis=2).min(axis=1)
            assert nearest.max() < 1e-9  # whole samples: both channels of one time
        assert all(np.array_equal(a, b) for a, b in zip(drawn.u, data.u, strict=True))
    assert not np.array_equal(seen[0].y[0], seen[1].y[0])


@pytest.mark.parametrize("method", ["n4sid", "moesp", "cva", "ivm", "ssarx", "pbsid", "parsim"])
def test_the_same_identification_again(method):
    y, u = record(WIDE, 400)
    result = subspace_id(y, u, 2, method=method, past=6, future=5, feedthrough=False, offset="none")
    seen = bootstrap(result, y, u, samples=4, rng=0)
    assert seen.failures == 0
    for model in seen.models:
        assert not model.D.any()
        assert np.abs(markov_parameters(model, 9) - markov_parameters(WIDE, 9)).max() < 0.3
    again = bootstrap(result, y, u, samples=4, rng=np.random.default_rng(0))
    assert all(np.array_equal(a.A, b.A) for a, b in zip(seen.models, again.models, strict=True))


def test_dead_time_and_held_entries_are_kept():
    y, u = record(PLANT, 400)
    late = np.vstack([u[3:], np.zeros((3, 1))])
    for feedthrough in (False, True):
        result = subspace_id(y, late, 2, delay=3, method="cva", feedthrough=feedthrough)
        first = 3 if feedthrough else 4
        for refined in (result, pem(result, y, late)):
            h = bootstrap(refined, y, late, samples=2, rng=0).impulse_response(8)
            assert not h[:, :first].any()
            assert (h[:, first:] != 0).all()
            assert (np.ptp(h[:, first:], axis=0) > 0).all()
    A = np.array([[True, False], [False, False]])
    held = pem(PLANT, y, u, fixed={"A": A, "C": True})
    for model in bootstrap(held, y, u, samples=2, rng=0).models:
        assert model.A[0, 0] == 0.8
        assert np.array_equal(model.C, PLANT.C)
        assert model.A[1, 1] != held.model.A[1, 1]


def test_noise_free_records_have_no_spread():
    u = np.random.default_rng(0).standard_normal((200, 1))
    y = simulate(LinearSSM(PLANT.A, PLANT.B, PLANT.C, PLANT.D), u).y
    result = subspace_id(y, u, 2, method="n4sid", offset="none")
    found = bootstrap(result, y, u, samples=3, rng=0)
    assert np.allclose(found.poles(), poles(result.model), atol=1e-8)
    assert np.allclose(found.impulse_response(9), markov_parameters(PLANT, 9), atol=1e-8)


def test_poles_are_in_the_columns_of_the_nearest():
    y, u = record(PLANT, 300)
    result = subspace_id(y, u, 2, method="cva")
    models = tuple(
        replace(PLANT, A=np.diag(values)) for values in ([0.1, 0.9], [0.9, 0.1], [0.8, 0.2])
    )
    base = replace(result, model=replace(PLANT, A=np.diag([0.85, 0.15])))
    assert np.allclose(Bootstrap(base, models, 0).poles(), [[0.9, 0.1], [0.9, 0.1], [0.8, 0.2]])
    low, high = Bootstrap(base, models, 0).band([1.0, 2.0, 3.0], 0.5)
    assert (low, high) == (1.5, 2.5)
    omega = [0.1, 1.0]
    responses = Bootstrap(base, models, 0).frequency_response(omega)
    assert np.array_equal(responses[2], frequency_response(models[2], omega))
    with pytest.raises(ValueError, match=r"one per model \(3\)"):
        Bootstrap(base, models, 0).band(np.zeros(4))
    with pytest.raises(ValueError, match="must be real"):
        Bootstrap(base, models, 0).band(1j * np.zeros(3))


@pytest.mark.slow
def test_spread_is_that_of_first_order_for_many_samples():
    y, u = record(PLANT, 1000)
    result = pem(PLANT, y, u)
    drawn = bootstrap(result, y, u, samples=200, rng=1)
    spread = np.std(drawn.impulse_response(6), axis=0)[:, 0, 0]
    # the standard deviation of a sample of 200 has relative error 1 / sqrt(400) = 5 %
    ratio = spread / impulse_response_uncertainty(result, 6).standard_deviation[:, 0, 0]
    assert (np.abs(ratio - 1) < 4 / np.sqrt(400)).all()
    own = pole_uncertainty(result)
    columns = [np.argmin(np.abs(own.poles - pole)) for pole in poles(result.model)]
    wanted = np.sqrt(own.covariance[columns][:, [0, 1], [0, 1]])
    found = np.stack([drawn.poles().real.std(axis=0), drawn.poles().imag.std(axis=0)], axis=1)
    assert (np.abs(found / wanted - 1) < 4 / np.sqrt(400)).all()


def test_failures_are_counted():
    y, u = record(PLANT, 200)
    result = subspace_id(y, u, 2, method="cva")
    calls = []

    def estimate(data):
        calls.append(data)
        if len(calls) == 2:
            raise np.linalg.LinAlgError
        return result

    with pytest.warns(NumericalWarning, match="1 of 4 simulated records could not be identified"):
        found = bootstrap(result, y, u, samples=4, estimate=estimate, rng=0)
    assert (len(found.models), found.failures) == (3, 1)


def test_progress_is_shown_when_asked(capsys):
    y, u = record(PLANT, 200)
    result = subspace_id(y, u, 2, method="cva")
    bootstrap(result, y, u, samples=2, rng=0, progress=True)
    assert "bootstrap" in capsys.readouterr().err
    bootstrap(result, y, u, samples=2, rng=0)
    assert capsys.readouterr().err == ""


def test_unstable_models_are_refused():
    y, u = record(PLANT, 200)
    result = subspace_id(y, u, 2, method="cva")
    grown = replace(result, model=replace(PLANT, A=PLANT.A * 1.3, K=PLANT.K * 0))
    with pytest.raises(UnstableModelError, match=r"A has an eigenvalue of modulus 1\.0.*pem"):
        bootstrap(grown, y, u)
    eager = replace(result, model=replace(PLANT, K=[[3.0], [0.0]]))
    with pytest.raises(UnstableModelError, match="the predictor A - K C has an eigenvalue"):
        bootstrap(eager, y, u)


def test_refusals():
    y, u = record(PLANT, 200)
    result = subspace_id(y, u, 2, method="cva")
    with pytest.raises(TypeError, match="`result` must be a IdentificationResult"):
        bootstrap(PLANT, y, u)
    bilinear = BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]], K=[[0.1]])
    with pytest.raises(TypeError, match="takes a linear model"):
        bootstrap(replace(result, model=bilinear), y, u)
    with pytest.raises(ValueError, match="by 'em' again is not known: give `estimate`"):
        bootstrap(em(PLANT, y, u, max_iterations=1), y, u)
    with pytest.raises(ValueError, match="`result` has 1 output and 1 input; the data"):
        bootstrap(result, y)
    with pytest.raises(TypeError, match="`estimate` must be a function of Experiments"):
        bootstrap(result, y, u, estimate="cva")
    with pytest.raises(TypeError, match=r"`estimate\(data\)` must be a IdentificationResult"):
        bootstrap(result, y, u, estimate=lambda data: data)
    with pytest.raises(ValueError, match="`samples`"):
        bootstrap(result, y, u, samples=1)
