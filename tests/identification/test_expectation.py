import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_gaussian import JointGaussian, with_gaps
from processes import random_process

from identification.expectation import expected_sums, interior_form
from realization import (
    AccuracyError,
    InnovationSSM,
    autocovariance,
    kalman_filter,
    log_likelihood,
    simulate,
    to_covariance,
)

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SIZES = {"n": st.integers(0, 4), "m": st.integers(0, 2), "p": st.integers(1, 3)}


@SETTINGS
@given(**SIZES, seed=st.integers(0, 10**6))
def test_interior_form_is_the_same_process_with_noise_of_full_rank(n, m, p, seed):
    rng = np.random.default_rng(seed)
    model = random_process(rng, n, p, m)
    interior, P, _ = interior_form(model)
    joint = np.block([[interior.Q, interior.S], [interior.S.T, interior.R]])
    scale = np.sqrt(np.diag(joint))
    assert np.linalg.eigvalsh(joint / np.outer(scale, scale))[0] > 1e-9
    covariances = autocovariance(to_covariance(model), 10)
    np.testing.assert_allclose(
        autocovariance(to_covariance(interior), 10),
        covariances,
        rtol=0,
        atol=1e-10 * max(np.abs(covariances).max(), 1.0),
    )
    u = rng.standard_normal((12, m))
    y = simulate(model, u, noise=True, rng=rng).y
    known = log_likelihood(model, y, u)
    assert abs(log_likelihood(interior, y, u) - known) <= 1e-10 * max(abs(known), 1.0)
    filtered = kalman_filter(interior, y, u)
    np.testing.assert_allclose(filtered.P_pred, np.tile(P, (13, 1, 1)), rtol=1e-8, atol=1e-12)
    gappy = with_gaps(rng, y)
    known = log_likelihood(model, gappy, u)
    assert abs(log_likelihood(interior, gappy, u) - known) <= 1e-10 * max(abs(known), 1.0)


@SETTINGS
@given(**SIZES, T=st.integers(1, 8), gaps=st.booleans(), seed=st.integers(0, 10**6))
def test_sums_are_those_of_the_joint_gaussian(n, m, p, T, gaps, seed):
    rng = np.random.default_rng(seed)
    model = random_process(rng, n, p, m)
    runs = []
    for steps in (T, T + 2):
        u = rng.standard_normal((steps, m))
        y = simulate(model, u, noise=True, rng=rng).y
        runs.append((with_gaps(rng, y) if gaps else y, u, rng.standard_normal(n)))
    outputs, inputs, x0 = zip(*runs, strict=True)
    found = expected_sums(model, np.stack(x0), outputs, inputs)

    interior = interior_form(model)[0]
    size = 2 * n + m + p
    moments, totals, likelihood = np.zeros((size, size)), np.zeros(size), 0.0
    for k, (y, u, start) in enumerate(runs):
        joint = JointGaussian(dataclasses.replace(interior, m0=start), len(y), u)
        condition = joint.given(y, len(y))
        for t in range(len(y)):
            rows = np.vstack([joint.x_map[t], joint.y_map[t], joint.x_map[t + 1]])
            mean = np.concatenate([joint.x_mean[t], joint.y_mean[t], joint.x_mean[t + 1]])
            mean, covariance = condition(rows, mean)
            z = np.concatenate([mean[:n], u[t], mean[n:]])
            keep = np.concatenate([np.arange(n), n + m + np.arange(p + n)])
            moments += np.outer(z, z)
            moments[np.ix_(keep, keep)] += covariance
            totals += z
            if t == 0:
                np.testing.assert_allclose(found.first_states[k], mean[:n], rtol=0, atol=1e-9)
        likelihood += joint.log_density(y)
    scale = max(np.abs(moments).max(), 1.0)
    np.testing.assert_allclose(found.moments, moments, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(found.totals, totals, rtol=0, atol=1e-10 * scale)
    assert abs(found.log_likelihood - likelihood) <= 1e-10 * max(abs(likelihood), 1.0)
    assert found.count == 2 * T + 2


def test_long_records_agree_with_the_recursion():
    # the closed forms of a record without gaps against the smoother, which a gap calls for
    rng = np.random.default_rng(7)
    model = random_process(rng, 4, 2, 1)
    u = rng.standard_normal((3000, 1))
    y = simulate(model, u, noise=True, rng=rng).y
    gappy = y.copy()
    gappy[-1] = np.nan
    cut = expected_sums(model, model.x0[None], (y[:-1],), (u[:-1],))
    gap = expected_sums(model, model.x0[None], (gappy,), (u,))
    assert abs(cut.log_likelihood - gap.log_likelihood) < 1e-9 * abs(cut.log_likelihood)
    np.testing.assert_allclose(cut.first_states, gap.first_states, rtol=0, atol=1e-10)
    extra = gap.moments - cut.moments  # what is expected of the last, unseen step
    assert np.linalg.eigvalsh(extra)[0] > -1e-8 * np.abs(cut.moments).max()
    np.testing.assert_allclose(
        np.trace(extra[:4, :4]) / np.trace(cut.moments[:4, :4]), 0.0, atol=0.01
    )


def test_a_direction_that_the_outputs_do_not_see_is_refused():
    model = InnovationSSM(np.diag([0.9, 0.5]), [[1.0, 0.0]], [[0.5], [0.0]], [[1.0]])
    with pytest.raises(AccuracyError, match="do not see a direction of the state"):
        interior_form(model)
