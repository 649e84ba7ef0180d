"""Estimates as good as statistics allows: small versions of benchmarks/identification_statistics.

Every bound says which deviation chance alone explains.
"""

import numpy as np
import pytest
import scipy

from identification import (
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pem,
    pole_uncertainty,
    subspace_id,
)
from realization import InnovationSSM, frequency_response, markov_parameters, poles, simulate

PLANT = InnovationSSM(
    [[0.7, 0.4, 0.0], [-0.4, 0.7, 0.0], [0.0, 0.0, 0.4]],
    [[1.0, 0.0, 0.5], [0.0, 0.0, 1.0]],
    [[0.4, 0.0], [0.1, 0.1], [0.0, 0.3]],
    np.eye(2),
    B=[[0.5], [1.0], [1.0]],
    D=[[0.3], [0.0]],
)
SMALL = InnovationSSM(
    [[0.8, 0.3], [-0.3, 0.7]], [[1.0, 0.0]], [[0.5], [0.1]], [[0.04]], B=[[0.5], [1.0]], D=[[0.2]]
)


def record(plant, T, rng):
    u = rng.standard_normal((T, plant.n_inputs))
    return simulate(plant, u, noise=True, rng=rng).y, u


@pytest.mark.slow
@pytest.mark.parametrize("method", ["n4sid", "moesp", "cva", "ivm"])
def test_errors_of_poles_and_responses_fall_as_one_over_root_n(method):
    rng = np.random.default_rng(0)
    lengths, records = (1000, 16000), 16
    expected = markov_parameters(PLANT, 12)
    squares = np.zeros((2, 2))
    for k, T in enumerate(lengths):
        for _ in range(records):
            model = subspace_id(*record(PLANT, T, rng), 3, method=method, past=16, future=8).model
            distances = np.abs(poles(model)[:, np.newaxis] - poles(PLANT)) ** 2
            squares[k, 0] += distances[scipy.optimize.linear_sum_assignment(distances)].sum()
            squares[k, 1] += np.sum((markov_parameters(model, 12) - expected) ** 2)
    slopes = 0.5 * np.log(squares[1] / squares[0]) / np.log(16)
    # a mean of 16 squares of at least 3 degrees of freedom has relative error sqrt(2 / 48) = 0.2
    assert (np.abs(slopes + 0.5) < 3 * 0.5 * 0.2 * np.sqrt(2) / np.log(16)).all()


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    omega, runs = np.array([0.1, 0.5, 1.5]), 100
    inside = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        y, u = record(SMALL, 600, rng)
        result = pem(subspace_id(y, u, 2, method="cva", past=10, offset="none"), y, u)
        found = pole_uncertainty(result)
        above, truth = np.argmax(found.poles.imag), poles(SMALL)[poles(SMALL).imag > 0].item()
        off = np.array([(truth - found.poles[above]).real, (truth - found.poles[above]).imag])
        square = off @ np.linalg.solve(found.covariance[above], off)
        response, truth = (
            frequency_response_uncertainty(result, omega),
            frequency_response(SMALL, omega),
        )
        low, high = response.magnitude_band()
        first, last = response.phase_band()
        pulses, h = impulse_response_uncertainty(result, 5).band(), markov_parameters(SMALL, 5)
        turned = np.angle(truth * np.exp(-0.5j * (first + last)))
        inside.append(
            np.r_[
                square <= scipy.stats.chi2(2).ppf(0.95),
                ((low <= abs(truth)) & (abs(truth) <= high)).ravel(),
                (abs(turned) <= (last - first) / 2).ravel(),
                ((pulses[0] <= h) & (h <= pulses[1])).ravel(),
            ]
        )
    # 95 of 100, give or take sqrt(100 0.95 0.05) = 2.2
    assert (np.abs(np.mean(inside, axis=0) - 0.95) < 3.5 * 0.022).all()


@pytest.mark.slow
def test_order_criteria_and_the_table_that_says_why_not():
    hits = dict.fromkeys(("svc", "aic", "bic", "gap"), 0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = subspace_id(*record(PLANT, 3000, rng), 3, method="cva", past=8).order_table
        for criterion in hits:
            hits[criterion] += table.best(criterion) == 3
    assert min(hits.values()) >= 18
    # a pole at 0.6 that a zero almost cancels
    A, K = scipy.linalg.block_diag([[0.8, 0.4], [-0.4, 0.8]], 0.3, 0.6), [[0.5], [0.1], [0.2], [0]]
    hard = InnovationSSM(A, [[1, 0, 1, 1]], K, [[1]], B=[[0.5], [1.0], [1.0], [0.8]])
    table = subspace_id(*record(hard, 400, np.random.default_rng(0)), 4, method="cva", past=8)
    table = table.order_table
    assert table.best("svc") < 4
    squares = table.canonical_correlations**2
    price = np.diff(table.svc - squares)[3]  # what svc asks for a state more
    assert squares[3] - squares[4] < price  # the fourth state does not stand out of chance
    table = subspace_id(*record(hard, 60000, np.random.default_rng(0)), 4, method="cva", past=8)
    assert table.order_table.best("svc") == 4
