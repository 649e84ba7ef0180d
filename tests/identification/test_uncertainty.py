"""Uncertainty of poles and responses: finite differences, closed forms, no trace of the basis."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_innovation

from identification import (
    IdentificationResult,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pem,
    pole_uncertainty,
    subspace_id,
)
from identification.local_coordinates import System
from realization import (
    BilinearSSM,
    InnovationSSM,
    LinearSSM,
    frequency_response,
    markov_parameters,
    poles,
    simulate,
)

SETTINGS = settings(max_examples=20, deadline=None, derandomize=True)
OMEGA = np.array([0.0, 0.3, 1.1, np.pi])


def result_of(model, covariance, **options):
    """Return a result that holds a model and a covariance of its entries."""
    return IdentificationResult(
        model=model,
        x0=(),
        singular_values=np.zeros(0),
        order_table=None,
        method="pem",
        options=options,
        offset=(np.zeros(model.n_outputs), np.zeros(model.n_inputs)),
        covariance=covariance,
    )


def random_covariance(rng, model):
    """Return a random covariance of the entries, of rank two less than full, and its factor."""
    q = System.from_model(model).vector().size
    factor = 0.01 * rng.standard_normal((q, max(q - 2, 1)))
    return factor @ factor.T, factor


def with_entries(model, vector):
    s = System.from_model(model).with_vector(vector)
    return InnovationSSM(s.A, s.C, s.K, model.Re, B=s.B, D=s.D, dt=model.dt)


def slopes(function, model):
    """Return the central differences of a function of the model along every entry."""
    v = System.from_model(model).vector()
    steps = 1e-6 * np.eye(v.size)
    plus, minus = (
        np.array([function(with_entries(model, v + sign * step)) for step in steps])
        for sign in (1, -1)
    )
    return np.moveaxis((plus - minus) / 2e-6, 0, -1)


def noise_source(model):
    return LinearSSM(model.A, model.K, model.C, np.eye(model.n_outputs), dt=model.dt)


@given(n=st.integers(0, 3), m=st.integers(0, 2), p=st.integers(1, 3), seed=st.integers(0, 99))
@SETTINGS
def test_covariances_are_those_of_finite_differences(n, m, p, seed):
    rng = np.random.default_rng(seed)
    model = replace(random_innovation(rng, n, m, p), dt=0.5)
    covariance, _ = random_covariance(rng, model)
    result = result_of(model, covariance)
    for source, view in (("input", lambda model: model), ("innovation", noise_source)):
        if source == "input" and m == 0:
            continue
        found = frequency_response_uncertainty(result, OMEGA, source=source)
        assert np.array_equal(found.response, frequency_response(view(model), OMEGA))
        J = slopes(lambda model, view=view: frequency_response(view(model), OMEGA), model)
        planar = np.stack([J.real, J.imag], axis=-2)
        wanted = planar @ covariance @ np.swapaxes(planar, -1, -2)
        assert np.allclose(found.covariance, wanted, rtol=1e-5, atol=1e-7 * wanted.max(initial=0))
        pulses = impulse_response_uncertainty(result, 7, source=source)
        assert np.allclose(pulses.response, markov_parameters(view(model), 7), rtol=0, atol=1e-12)
        J = slopes(lambda model, view=view: markov_parameters(view(model), 7), model)
        variance = np.einsum("...i,ij,...j->...", J, covariance, J)
        deviation = np.sqrt(variance)
        assert np.allclose(pulses.standard_deviation, deviation, rtol=1e-5, atol=1e-9)


@given(n=st.integers(1, 4), seed=st.integers(0, 99))
@SETTINGS
def test_pole_covariances_are_those_of_finite_differences(n, seed):
    rng = np.random.default_rng(seed)
    model = random_innovation(rng, n, 1, 1)
    covariance, factor = random_covariance(rng, model)
    found = pole_uncertainty(result_of(model, covariance))
    assert np.array_equal(np.sort_complex(found.poles), np.sort_complex(poles(model)))
    gaps = np.abs(found.poles[:, np.newaxis] - found.poles) + 10 * np.eye(n)
    if gaps.min() < 0.05:
        return  # differences of 1e-6 then see the second order

    def matched(model):
        values = poles(model)
        return values[np.argmin(np.abs(found.poles[:, np.newaxis] - values), axis=1)]

    J = slopes(matched, model)
    planar = np.stack([J.real, J.imag], axis=-2)
    wanted = planar @ covariance @ np.swapaxes(planar, -1, -2)
    assert np.allclose(found.covariance, wanted, rtol=1e-4, atol=1e-6 * wanted.max())
    real = np.abs(found.poles.imag) == 0
    assert not found.covariance[real, 1].any()
    assert factor.shape[1] < factor.shape[0]


def test_nothing_depends_on_the_basis():
    rng = np.random.default_rng(0)
    model = random_innovation(rng, 4, 2, 2)
    covariance, factor = random_covariance(rng, model)
    T = np.diag([1.0, 8.0, 0.1, 3.0]) @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    like, Tinv = System.from_model(model), np.linalg.inv(T)
    s = like.transformed(T, Tinv)
    other = InnovationSSM(s.A, s.C, s.K, model.Re, B=s.B, D=s.D)
    moved = [like.with_vector(column).transformed(T, Tinv).vector() for column in factor.T]
    one, two = result_of(model, covariance), result_of(other, np.array(moved).T @ np.array(moved))
    # rounding of a covariance, times the square of how differently the entries count: cond(T)^4
    rtol = 10 * np.finfo(float).eps * np.linalg.cond(T) ** 4
    ours, theirs = (frequency_response_uncertainty(r, OMEGA) for r in (one, two))
    assert np.allclose(ours.covariance, theirs.covariance, rtol=rtol)
    ours, theirs = (impulse_response_uncertainty(r, 9) for r in (one, two))
    assert np.allclose(ours.standard_deviation, theirs.standard_deviation, rtol=rtol)
    ours, theirs = (pole_uncertainty(r) for r in (one, two))
    order = [np.argmin(np.abs(theirs.poles - pole)) for pole in ours.poles]
    assert np.allclose(ours.covariance, theirs.covariance[order], rtol=rtol, atol=1e-12)


def test_pole_of_a_mixed_process_has_its_known_variance():
    """y(t) = a y(t-1) + e(t) + c e(t-1): the variance of a is known in closed form."""
    a, c, T = 0.8, 0.3, 4000
    process = InnovationSSM([[a]], [[1.0]], [[a + c]], [[1.0]])
    result = pem(process, simulate(process, steps=T, noise=True, rng=0).y)
    found = pole_uncertainty(result)
    a, c = result.model.A.item(), -(result.model.A - result.model.K @ result.model.C).item()
    known = (1 - a**2) * (1 + a * c) ** 2 / (a + c) ** 2 / T
    # the information of the record and its expectation differ by O(1 / sqrt(T))
    assert np.isclose(found.standard_deviation[0] ** 2, known, rtol=5 / np.sqrt(T))


def test_gain_of_a_static_plant_has_the_variance_of_least_squares():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((300, 1))
    y = 2.0 * u + 0.1 * rng.standard_normal((300, 1))
    empty = np.zeros((0, 0))
    plant = LinearSSM(empty, np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]])
    result = pem(plant, y, u)
    known = np.sum((y - result.model.D.item() * u) ** 2) / 299 / np.sum(u**2)
    found = frequency_response_uncertainty(result, [0.5, 2.0])
    assert np.allclose(found.covariance[:, 0, 0], [[known, 0.0], [0.0, 0.0]], rtol=1e-9, atol=1e-20)
    assert np.allclose(impulse_response_uncertainty(result, 3).standard_deviation[1:], 0.0)
    assert pole_uncertainty(result).poles.size == 0
    reach = scipy.special.ndtri(0.95) * np.sqrt(known)
    low, high = found.magnitude_band(0.9)
    assert np.allclose(high - low, 2 * reach)


def test_known_entries_and_dead_time_are_certain():
    plant = InnovationSSM(
        [[0.8, 0.3], [-0.3, 0.7]], [[1, 0]], [[0.5], [0.1]], [[0.04]], B=[[1], [2]]
    )
    rng = np.random.default_rng(0)
    u = rng.standard_normal((400, 1))
    y = simulate(plant, u, noise=True, rng=rng).y
    held = pole_uncertainty(pem(plant, y, u, fixed={"A": True}))
    assert not held.covariance.any()
    assert not held.doubtful.any()
    late = np.vstack([u[3:], np.zeros((3, 1))])
    found = pole_uncertainty(pem(subspace_id(y, late, 2, delay=3, method="moesp"), y, late))
    assert np.array_equal(found.poles[2:], np.zeros(3))
    assert not found.covariance[2:].any()
    assert (found.standard_deviation[:2] > 0).all()
    assert (found.standard_deviation[:2] < 0.1).all()
    pulses = impulse_response_uncertainty(pem(subspace_id(y, late, 2, delay=3), y, late), 5)
    rounding = np.sqrt(np.finfo(float).eps)  # of a covariance, as a standard deviation
    assert pulses.standard_deviation[:3].max() < rounding * pulses.standard_deviation.max()


def test_ellipses_hold_their_probability():
    model = InnovationSSM([[0.8, 0.3], [-0.3, 0.7]], [[1, 0]], [[0.5], [0.1]], [[1.0]])
    found = pole_uncertainty(result_of(model, 1e-4 * np.eye(4 + 2 + 2)))
    for confidence in (0.5, 0.95):
        offset = found.ellipses(confidence, points=30) - found.poles[:, np.newaxis]
        planar = np.stack([offset.real, offset.imag], axis=-1)
        for points, covariance in zip(planar, found.covariance, strict=True):
            squares = np.einsum("ki,ij,kj->k", points, np.linalg.inv(covariance), points)
            assert np.allclose(squares, scipy.stats.chi2(2).ppf(confidence))
    single = InnovationSSM([[0.5]], [[1]], [[0.1]], [[1.0]])
    border = pole_uncertainty(result_of(single, 1e-4 * np.eye(3))).ellipses(0.95)[0]
    assert np.isclose(border.real.max(), 0.5 + 1.959964 * 0.01)
    assert not border.imag.any()


def test_poles_too_near_each_other_are_doubtful():
    for gap, doubtful in ((1e-3, True), (0.3, False)):
        near = InnovationSSM(np.diag([0.5, 0.5 + gap]), [[1, 1]], [[1], [1]], [[1.0]])
        found = pole_uncertainty(result_of(near, 1e-4 * np.eye(8)))
        assert found.doubtful.tolist() == [doubtful, doubtful]


def test_bands_of_a_phase_about_which_nothing_is_known():
    model = LinearSSM(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[0.0]])
    silent = InnovationSSM(model.A, model.C, np.zeros((0, 1)), [[1.0]], B=model.B, D=model.D)
    found = frequency_response_uncertainty(result_of(silent, np.eye(1)), [1.0])
    low, high = found.phase_band()
    assert np.isclose((high - low).item(), 2 * np.pi)
    assert found.magnitude_band()[0].item() == 0.0


@pytest.mark.slow
def test_deviations_are_those_of_repeated_experiments():
    plant = InnovationSSM(
        [[0.8, 0.3], [-0.3, 0.7]], [[1, 0]], [[0.5], [0.1]], [[0.04]], B=[[0.5], [1.0]], D=[[0.2]]
    )
    runs, values, deviations = 100, [], []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        u = rng.standard_normal((600, 1))
        result = pem(plant, simulate(plant, u, noise=True, rng=rng).y, u)
        pole = pole_uncertainty(result)
        above = int(np.argmax(pole.poles.imag))
        response = frequency_response_uncertainty(result, [0.1, 0.4, 1.0])
        pulses = impulse_response_uncertainty(result, 6)
        values.append(
            np.r_[
                pole.poles[above].real,
                pole.poles[above].imag,
                response.response.real.ravel(),
                response.response.imag.ravel(),
                pulses.response.ravel(),
            ]
        )
        variances = np.einsum("...ii->...i", response.covariance)
        deviations.append(
            np.r_[
                np.sqrt(np.diag(pole.covariance[above])),
                np.sqrt(variances[..., 0]).ravel(),
                np.sqrt(variances[..., 1]).ravel(),
                pulses.standard_deviation.ravel(),
            ]
        )
    # the standard deviation of a sample of 100 has relative error 1 / sqrt(200) = 7 %
    ratio = np.mean(deviations, axis=0) / np.std(values, axis=0)
    assert (np.abs(ratio - 1) < 4 / np.sqrt(2 * runs)).all()


MODEL = InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]], B=[[1.0]])
RESULT = result_of(MODEL, np.eye(5))
SILENT = result_of(InnovationSSM([[0.5]], [[1.0]], [[0.1]], [[1.0]]), np.eye(3))
BILINEAR = result_of(BilinearSSM([[0.5]], [[[0.1]]], [[1.0]], [[1.0]], K=[[0.1]]), np.eye(6))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pole_uncertainty(MODEL), TypeError, "`result` must be a IdentificationResult"),
        (lambda: pole_uncertainty(result_of(MODEL, None)), ValueError, r"refine it, pem\("),
        (lambda: frequency_response_uncertainty(SILENT, [1.0]), ValueError, "no inputs to respond"),
        (lambda: impulse_response_uncertainty(SILENT, 3), ValueError, "source='innovation'"),
        (lambda: impulse_response_uncertainty(BILINEAR, 3), TypeError, "depend on its input"),
        (lambda: impulse_response_uncertainty(RESULT, 0), ValueError, "`count`"),
        (lambda: impulse_response_uncertainty(RESULT, 3, source="noise"), ValueError, "`source`"),
        (
            lambda: frequency_response_uncertainty(RESULT, [[1.0]]),
            ValueError,
            "list of frequencies",
        ),
        (lambda: frequency_response_uncertainty(RESULT, [1j]), TypeError, "`omega` must be real"),
        (lambda: impulse_response_uncertainty(RESULT, 3).band(95), ValueError, "`confidence`"),
        (lambda: pole_uncertainty(RESULT).ellipses(1.0), ValueError, "`confidence`"),
        (lambda: pole_uncertainty(RESULT).ellipses(points=2), ValueError, "`points`"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_bilinear_poles_are_those_at_the_operating_point():
    found = pole_uncertainty(BILINEAR)
    assert found.poles == 0.5
    assert found.standard_deviation == 1.0
