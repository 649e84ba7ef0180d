"""Statistics of identification: as good as can be, and as sure as they say.

Run ``python benchmarks/identification_statistics.py``, or with the names of some tables; two
minutes. Each table ends with the bar that it must reach and whether it does.

- consistency: slope of log error over log samples, 4000 to 64000, median of twenty random plants;
  A, B, C, D by the equations of the factor
- feedback: bias of the impulse response under feedback, five random plants, in standard errors
- efficiency: excess one-step error of the refined model on new data, over the Cramér-Rao level
  d Re / N for d parameters: 1 is as good as any unbiased estimate can be
- coverage: how many of 200 intervals of 95 % hold the truth, for plants whose poles the record
  determines to 0.03, and (without a bar) for one with a pole that a zero nearly cancels
- order: systems (of 20) whose order a criterion finds; a hard one, and why
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import scipy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from feedback import feedback_record

from identification import (
    HankelFactor,
    frequency_response_uncertainty,
    impulse_response_uncertainty,
    pem,
    pole_uncertainty,
    subspace_id,
)
from identification.order import CRITERIA
from realization import (
    InnovationSSM,
    frequency_response,
    markov_parameters,
    poles,
    predict,
    simulate,
)

OPEN_LOOP = ("n4sid", "moesp", "cva", "ivm")
FEEDBACK = ("ssarx", "pbsid", "parsim")


def random_plant(rng, n, m, p, *, feedthrough=True):
    """Return a plant with poles of modulus 0.4 to 0.9 and a predictor that forgets within 20."""
    while True:
        A = rng.standard_normal((n, n))
        A *= rng.uniform(0.6, 0.9) / np.abs(np.linalg.eigvals(A)).max()
        values = np.linalg.eigvals(A)
        gaps = np.abs(values[:, np.newaxis] - values) + np.eye(n)
        C, K = rng.standard_normal((p, n)), rng.standard_normal((n, p)) / 2
        forgets = np.abs(np.linalg.eigvals(A - K @ C)).max() < 0.7
        if forgets and np.abs(values).min() > 0.4 and gaps.min() > 0.15:
            D = rng.standard_normal((p, m)) if feedthrough else None
            return InnovationSSM(A, C, K, np.eye(p), B=rng.standard_normal((n, m)), D=D)


def determined_plant(rng, n, m, p, N, *, deviation=0.03):
    """Return a random plant whose poles N samples determine, by the information at the truth.

    The others have a pole that a zero nearly cancels: what is asymptotic is far beyond N samples.
    """
    while True:
        plant = random_plant(rng, n, m, p)
        y, u = record(plant, N, rng)
        information = pem(plant, y, u, max_iterations=1)
        if information.covariance is None:
            continue
        if pole_uncertainty(information).standard_deviation.max() < deviation:
            return plant


def record(plant, T, rng):
    u = rng.standard_normal((T, plant.n_inputs))
    return simulate(plant, u, noise=True, rng=rng).y, u


def pole_distance(model, plant):
    """Return the root mean square distance of the poles, in the best pairing."""
    distances = np.abs(poles(model)[:, np.newaxis] - poles(plant))
    rows, columns = scipy.optimize.linear_sum_assignment(distances**2)
    return np.sqrt(np.mean(distances[rows, columns] ** 2))


def verdict(text, ok):
    print(f"bar: {text}: {'reached' if ok else 'MISSED'}", flush=True)


def consistency():
    lengths, systems, records = np.array([4000, 16000, 64000]), 20, 10
    squares = np.zeros((len(OPEN_LOOP), 2, systems, lengths.size))
    for system in range(systems):
        rng = np.random.default_rng([1, system])
        plant = determined_plant(rng, 3, 1, 2, lengths[0])
        expected = markov_parameters(plant, 15)
        for k, T in enumerate(lengths):
            for _ in range(records):
                factor = HankelFactor(2, 1, past=20, future=10).update(*record(plant, T, rng))
                for i, method in enumerate(OPEN_LOOP):
                    model = subspace_id(factor=factor, order=3, method=method).model
                    error = markov_parameters(model, 15) - expected
                    squares[i, 0, system, k] += pole_distance(model, plant) ** 2 / records
                    squares[i, 1, system, k] += np.sum(error**2) / np.sum(expected**2) / records
    logs = 0.5 * np.log(squares)
    centred = np.log(lengths) - np.log(lengths).mean()
    slopes = logs @ centred / np.sum(centred**2)  # one per method, quantity and system
    print(f"{'':8} {'poles (quartiles)':>24} {'Markov (quartiles)':>24}   error at the ends: both")
    for i, method in enumerate(OPEN_LOOP):
        cells = [
            "{1:8.3f} ({0:.2f}, {2:.2f})".format(*np.quantile(values, [0.25, 0.5, 0.75]))
            for values in slopes[i]
        ]
        ends = np.exp(np.median(logs[i], axis=1))[:, [0, -1]].ravel()
        print(f"{method:8} {cells[0]:>24} {cells[1]:>24} " + "".join(f"{v:8.4f}" for v in ends))
    worst = np.abs(np.median(slopes, axis=2) + 0.5).max()
    verdict(f"every median slope within 0.05 of -0.5 (worst off by {worst:.3f})", worst < 0.05)


def feedback():
    systems, runs, T, gain, count = 5, 10, 10000, 0.5, 12
    found = {method: [] for method in ("moesp", *FEEDBACK)}
    for system in range(systems):
        rng = np.random.default_rng([2, system])
        while True:
            plant = random_plant(rng, 2, 1, 1, feedthrough=False)
            closed = plant.A - gain * plant.B @ plant.C
            if np.abs(np.linalg.eigvals(closed)).max() < 0.9:
                break
        expected = markov_parameters(plant, count)[1:]
        errors = {method: [] for method in found}
        for _ in range(runs):
            y, u = feedback_record(plant, gain, T, rng)
            for method in found:
                result = subspace_id(y, u, 2, method=method, past=20, future=10, feedthrough=False)
                errors[method].append(markov_parameters(result.model, count)[1:] - expected)
        for method, values in errors.items():
            mean, spread = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(runs)
            size = np.linalg.norm(expected)
            found[method].append(
                (
                    100 * np.linalg.norm(mean) / size,
                    100 * np.linalg.norm(spread) / size,
                    np.sqrt(np.mean((mean / spread) ** 2)),
                )
            )
    print(f"{'':8} {'bias %':>8} {'chance %':>9} {'in standard errors, per plant':>32}")
    for method, rows in found.items():
        bias, chance, ratios = np.array(rows).T
        each = " ".join(f"{ratio:5.1f}" for ratio in ratios)
        print(f"{method:8} {np.median(bias):8.2f} {np.median(chance):9.2f}    {each}")
    ratios = {method: np.median([row[2] for row in rows]) for method, rows in found.items()}
    worst = max(ratios[method] for method in FEEDBACK)
    text = (
        f"closed-loop methods at most 2 (median {worst:.1f}), moesp above 5 ({ratios['moesp']:.1f})"
    )
    verdict(text, worst < 2 and ratios["moesp"] > 5)


def efficiency():
    N, plants, records = 1000, 20, 5
    print(f"{'':28} {'subspace':>9} {'refined':>9}   median over {plants} plants")
    medians = []
    for n, m, p in ((2, 1, 1), (3, 1, 1), (3, 2, 2)):
        ratios = np.zeros((plants, 2))
        for seed in range(plants):
            rng = np.random.default_rng([3, n, m, p, seed])
            plant = random_plant(rng, n, m, p)
            fresh_y, fresh_u = record(plant, 20000, rng)
            best = predict(plant, fresh_y, fresh_u)
            level = (2 * n * p + m * (n + p)) / N  # Re is the identity
            for _ in range(records):
                y, u = record(plant, N, rng)
                start = subspace_id(y, u, n, method="cva", past=15, future=8, offset="none")
                for k, result in enumerate((start, pem(start, y, u))):
                    error = predict(result.model, fresh_y, fresh_u) - best
                    ratios[seed, k] += np.mean(np.sum(error**2, axis=1)) / level / records
        medians.append(np.median(ratios, axis=0))
        name = f"order {n}, inputs {m}, outputs {p}"
        print(f"{name:28} {medians[-1][0]:9.3f} {medians[-1][1]:9.3f}")
    worst = max(median[1] for median in medians)
    verdict(f"refined at most 1.1 (worst {worst:.3f})", worst <= 1.1)


def coverage():
    fixed = determined_plant(np.random.default_rng(6), 2, 1, 1, 1000)
    worst = coverage_table("one plant", 1000, lambda rng: fixed)
    worst += coverage_table("random plants", 1000, lambda rng: determined_plant(rng, 2, 1, 1, 1000))
    text = f"all between 90 and 98 (found {min(worst):.1f} to {max(worst):.1f})"
    verdict(text, min(worst) >= 90 and max(worst) <= 98)
    coverage_table("plants with a pole nearly cancelled", 300, lambda rng: weak_plant())


def coverage_table(name, N, draw, *, runs=200):
    """Print how many intervals hold the truth, in percent; return the extremes."""
    omega, count = np.geomspace(0.05, 3.0, 12), 10
    inside = {"poles": [], "magnitude": [], "phase": [], "impulse response": []}
    for seed in range(runs):
        rng = np.random.default_rng([4, seed])
        plant = draw(rng)
        y, u = record(plant, N, rng)
        result = pem(subspace_id(y, u, 2, method="cva", past=10, offset="none"), y, u)
        inside["poles"].append(poles_inside(pole_uncertainty(result), poles(plant)))
        truth = frequency_response(plant, omega)
        found = frequency_response_uncertainty(result, omega)
        low, high = found.magnitude_band()
        inside["magnitude"].append(((low <= abs(truth)) & (abs(truth) <= high)).ravel())
        low, high = found.phase_band()
        off = np.angle(truth * np.exp(-0.5j * (low + high)))
        inside["phase"].append((np.abs(off) <= (high - low) / 2).ravel())
        low, high = impulse_response_uncertainty(result, count).band()
        truth = markov_parameters(plant, count)
        inside["impulse response"].append(((low <= truth) & (truth <= high)).ravel())
    print(f"{name}, {N} samples, {runs} runs: % of the intervals of 95 % that hold the truth")
    worst = []
    for quantity, rows in inside.items():
        parts = 100 * np.mean(rows, axis=0)
        worst += [parts.min(), parts.max()]
        print(f"  {quantity:17} " + " ".join(f"{part:5.1f}" for part in parts), flush=True)
    return worst


def poles_inside(found, truth):
    """Return whether the region of each pole holds the true one, by descending modulus."""
    rows, columns = scipy.optimize.linear_sum_assignment(np.abs(found.poles[:, np.newaxis] - truth))
    order = np.argsort(-np.abs(truth[columns]))
    inside = []
    for row, column in zip(rows[order], columns[order], strict=True):
        off = truth[column] - found.poles[row]
        real = found.covariance[row, 1, 1] == 0
        if real and truth[column].imag != 0:  # a pair that was found as two real poles
            inside.append(False)
        elif real:
            inside.append(abs(off.real) <= 1.959964 * np.sqrt(found.covariance[row, 0, 0]))
        else:
            planar = np.array([off.real, off.imag])
            square = planar @ np.linalg.solve(found.covariance[row], planar)
            inside.append(square <= scipy.stats.chi2(2).ppf(0.95))
    return inside


def weak_plant():
    """Return a plant of order 2 with a pole at -0.5 that a zero nearly cancels."""
    A, K = np.diag([0.7, -0.5]), [[0.3], [0.1]]
    return InnovationSSM(A, [[1.0, 1.0]], K, [[1.0]], B=[[1.0], [0.1]])


def order():
    orders, T = (2, 3, 4, 5), 4000
    hits, held_out = dict.fromkeys(CRITERIA, 0), 0
    for seed in range(20):
        rng = np.random.default_rng([5, seed])
        n = orders[seed % len(orders)]
        plant = benign_plant(rng, n)
        y, u = record(plant, T, rng)
        table = subspace_id(y, u, n, method="cva", past=10).order_table
        for criterion in CRITERIA:
            hits[criterion] += table.best(criterion) == n
        held_out += subspace_id(y, u, method="cva", criterion="cv", past=10).n_states == n
    print("20 benign systems, order found by: " + ", ".join(f"{k} {v}" for k, v in hits.items()))
    print(f"  by held-out blocks: {held_out}; nic asks too little of the sum of many small squares")
    least = min(hits[criterion] for criterion in CRITERIA if criterion != "nic")
    verdict(f"svc, aic, bic and gap at least 18 (worst {least})", least >= 18)
    plant = hard_plant()
    for T in (500, 50000):
        y, u = record(plant, T, np.random.default_rng(0))
        table = subspace_id(y, u, 4, method="cva", past=10).order_table
        print(f"\na hard system of order 4, one pole almost cancelled by a zero, {T} samples:")
        print("\n".join(str(table).splitlines()[:9]))
        squares = table.canonical_correlations**2
        price = np.diff(table.svc - squares)[3]
        print(
            f"why: the fourth state explains {squares[3]:.4f}, the fifth, which is chance, "
            f"{squares[4]:.4f}; svc asks for a difference of {price:.4f}"
        )


def benign_plant(rng, n):
    """Return a plant whose states are all seen: canonical correlations of 0.3 and more."""
    while True:
        plant = random_plant(rng, n, 1, 2)
        y, u = record(plant, 20000, np.random.default_rng(0))
        table = subspace_id(y, u, n, method="cva", past=10).order_table
        if table.canonical_correlations[n - 1] > 0.3:
            return plant


def hard_plant():
    """Return a plant of order 4 with a pole at 0.6 that a zero almost cancels."""
    A = np.array([[0.8, 0.4, 0, 0], [-0.4, 0.8, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.6]])
    B, C, K = [[0.5], [1.0], [1.0], [0.3]], [[1.0, 0.0, 1.0, 1.0]], [[0.5], [0.1], [0.2], [0.0]]
    return InnovationSSM(A, C, K, [[1.0]], B=B)


TABLES = {f.__name__: f for f in (consistency, feedback, efficiency, coverage, order)}


def main() -> None:
    for name in sys.argv[1:] or TABLES:
        start = time.perf_counter()
        print(f"== {name}")
        TABLES[name]()
        print(f"   ({time.perf_counter() - start:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
