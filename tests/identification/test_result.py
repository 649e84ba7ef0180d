"""IdentificationResult: offsets in every use, what the summary says, and the way to a file."""

import dataclasses

import numpy as np
import pytest
from systems import random_innovation

import realization
from identification import IdentificationResult, subspace_id
from realization import InnovationSSM, forecast, predict, simulate

RNG = np.random.default_rng(0)
PLANT = random_innovation(RNG, 2, 1, 2, noise=0.1)
U = 3.0 + RNG.standard_normal((400, 1))
Y0, U0 = np.array([20.0, -7.0]), np.array([3.0])
Y = Y0 + simulate(PLANT, U - U0, noise=True, rng=1).y


def result_around(model, y0, u0, **others):
    """Return a result that holds a model and an operating point."""
    return IdentificationResult(
        model=model,
        x0=(),
        singular_values=np.ones(3),
        order_table=None,
        method="given",
        options={"past": 4},
        offset=(np.asarray(y0), np.asarray(u0)),
        **others,
    )


RESULT = result_around(PLANT, Y0, U0)


def test_sizes_are_those_of_the_model():
    sizes = (RESULT.n_states, RESULT.n_inputs, RESULT.n_outputs, RESULT.dt)
    assert sizes == (2, 1, 2, 1.0)


def test_simulate_around_the_operating_point():
    x0 = np.array([1.0, -1.0])
    path = RESULT.simulate(U, x0=x0)
    bare = simulate(PLANT, U - U0, x0=x0)
    assert np.allclose(path.y, bare.y + Y0, rtol=0, atol=1e-12)
    assert np.allclose(path.x, bare.x, rtol=0, atol=1e-12)
    noisy = RESULT.simulate(U, noise=True, rng=3).y
    assert np.allclose(noisy, simulate(PLANT, U - U0, noise=True, rng=3).y + Y0, atol=1e-12)
    assert np.allclose(RESULT.simulate(np.tile(U0, (5, 1))).y, Y0)  # at rest, in its units


def test_predict_around_the_operating_point():
    for horizon in (1, 4, np.inf):
        wanted = predict(PLANT, Y - Y0, U - U0, horizon=horizon) + Y0
        assert np.allclose(RESULT.predict(Y, U, horizon=horizon), wanted, rtol=0, atol=1e-11)
    error = Y - RESULT.predict(Y, U)
    assert np.allclose(
        np.cov(error[50:].T), PLANT.Re, atol=6 * np.abs(PLANT.Re).max() / np.sqrt(350)
    )


def test_predict_around_missing_samples():
    gaps = Y.copy()
    gaps[30] = np.nan
    y_hat = RESULT.predict(gaps, U)
    assert np.isfinite(y_hat).all()
    assert np.allclose(y_hat[:31], RESULT.predict(Y, U)[:31], rtol=0, atol=1e-11)


def test_forecast_around_the_operating_point():
    ahead = RESULT.forecast(Y, U, u_future=U[:9], steps=9)
    bare = forecast(PLANT, Y - Y0, U - U0, u_future=U[:9] - U0, steps=9)
    assert np.allclose(ahead.mean, bare.mean + Y0, rtol=0, atol=1e-11)
    assert np.array_equal(ahead.covariance, bare.covariance)


def test_without_inputs():
    model = InnovationSSM([[0.9]], [[1.0]], [[0.5]], [[1.0]])
    result = result_around(model, [50.0], [])
    assert abs(result.simulate(steps=2000, noise=True, rng=0).y.mean() - 50.0) < 4 * 6 / np.sqrt(
        2000
    )
    y = 50.0 + simulate(model, steps=30, noise=True, rng=0).y
    assert np.allclose(result.predict(y), 50.0 + predict(model, y - 50.0), atol=1e-12)
    far = result.forecast(y, steps=300).mean[-1, 0]
    assert far == pytest.approx(50.0, abs=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RESULT.simulate(), "u"),
        (lambda: RESULT.simulate(np.zeros((5, 2))), r"`u` must have shape \(T, 1\)"),
        (lambda: RESULT.predict(Y), "u"),
        (lambda: RESULT.predict(Y[:, :1], U), r"`y` must have shape \(T, 2\)"),
        (lambda: RESULT.predict(Y.T, U), r"pass `y\.T` if yours runs along the last"),
        (lambda: RESULT.forecast(Y, U, steps=3), "u_future"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_repr_is_a_line():
    assert repr(RESULT) == "IdentificationResult(given, " + repr(PLANT) + ")"


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULT.method = "other"
    for array in (RESULT.singular_values, *RESULT.offset):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_summary_says_what_a_person_wants_to_know():
    result = subspace_id(Y, U, dt=0.5, past=6, future=6)
    text = result.summary()
    for needed in (
        f"{result.method} model of order {result.n_states} from 400 samples, sample time 0.5",
        "outputs              y1, y2",
        "inputs               u",
        "offsets              y1 ",
        "horizons             6 samples of past, 6 of future",
        "simulation           y1 ",
        "one-step prediction  y1 ",
        "one-step errors      standard deviation y1 ",
        "time constant    period",
        "order  sing.value  can.corr",
        "<- taken",
    ):
        assert needed in text
    assert "UNSTABLE" not in text


def test_summary_of_modes():
    """Poles r exp(+-i a) and q, sample time 0.5: -dt / log(r), 2 pi dt / a, written out."""
    r, a, q = 0.9, np.pi / 6, -0.5
    A = np.zeros((4, 4))
    A[:2, :2] = r * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    A[2, 2] = q
    model = InnovationSSM(A, np.ones((1, 4)), np.zeros((4, 1)), [[4.0]], dt=0.5)
    text = result_around(model, [0.0], []).summary()
    rows = [line.split() for line in text.splitlines()]
    assert ["0.7794", "±", "0.4500i", "0.9000", "4.746", "6"] in rows
    assert ["-0.5000", "0.5000", "0.7213", "1"] in rows
    assert ["0.0000", "0.0000", "-", "-"] in rows
    assert "  outputs              y\n  inputs               none\n" in text
    assert "  offsets              none\n" in text
    assert "one-step errors      standard deviation 2" in text


def test_summary_warns():
    model = InnovationSSM([[1.1]], [[1.0]], [[0.0]], [[1.0]])
    text = result_around(model, [0.0], [], warnings=("something to be known",)).summary()
    assert "the model is UNSTABLE (margin -0.1)" in text
    assert "the predictor A - K C is UNSTABLE (margin -0.1)" in text
    assert text.endswith("to be known:\n  - something to be known")


def test_to_a_file_and_back(tmp_path):
    result = subspace_id(Y, U, 2, dt=0.5)
    realization.save(result, tmp_path / "result.npz")
    back = realization.load(tmp_path / "result.npz")
    assert type(back) is IdentificationResult
    assert back.summary() == result.summary()
    assert np.array_equal(back.predict(Y, U), result.predict(Y, U))
    assert np.array_equal(back.order_table.svc, result.order_table.svc)
    assert back.options == result.options


def test_a_result_where_a_model_is_wanted_is_refused_with_the_way_on():
    with pytest.raises(TypeError, match=r"got IdentificationResult. Pass its `\.model`"):
        realization.poles(RESULT)
