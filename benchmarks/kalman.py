"""Log-likelihood by the Kalman filter: this package against statsmodels.

Run ``python benchmarks/kalman.py``. Median CPU time a step on one thread, both in one run, with
the relative difference of the two log-likelihoods beside it. Complete data: statsmodels with its
default steady-state tolerance. Missing data: statsmodels with tolerance=0; a third of the entries
missing at random (the covariance never settles), and 1 % of the samples missing (it settles
between the gaps).
"""

import numpy as np
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter
from timing import cpu_seconds

import realization

STEPS = 100_000
SIZES = ((4, 2), (10, 4), (50, 10))
CASES = {"complete": (1e-19, 15.0), "a third missing": (0.0, 1.0), "1 % missing": (0.0, 1.0)}


def random_model(order, outputs, rng):
    """Return a model with spectral radius 0.95 and a known covariance of the initial state."""
    A = rng.standard_normal((order, order))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    C = rng.standard_normal((outputs, order))
    Fw = rng.standard_normal((order, order)) / np.sqrt(order)
    Fv = rng.standard_normal((outputs, outputs)) / np.sqrt(outputs)
    R = Fv @ Fv.T + 0.1 * np.eye(outputs)
    return realization.GaussianSSM(A, C, Fw @ Fw.T, R, P0=np.eye(order))


def statsmodels_filter(model, y, tolerance):
    """Return statsmodels' filter for the same model, bound to the data."""
    n, p = model.n_states, model.n_outputs
    peer = KalmanFilter(k_endog=p, k_states=n, tolerance=tolerance)
    peer["design"], peer["transition"], peer["selection"] = model.C, model.A, np.eye(n)
    peer["state_cov"], peer["obs_cov"] = model.Q, model.R
    peer.initialize_known(model.m0, model.P0)
    peer.bind(y.copy())
    return peer


def with_missing(y, case, rng):
    """Return a copy of y with the missing entries of a case."""
    y = y.copy()
    if case == "a third missing":
        y[rng.random(y.shape) < 1 / 3] = np.nan
    elif case == "1 % missing":
        y[rng.random(len(y)) < 0.01] = np.nan
    return y


def main():
    """Print one line for each size and kind of data."""
    rng = np.random.default_rng(0)
    print(f"T = {STEPS}; microseconds a step, CPU, one thread")
    print(f"{'n':>3} {'p':>3}  {'data':<16} {'here':>8} {'statsmodels':>12} {'ratio':>7}", end="")
    print(f" {'goal':>5} {'difference':>11}")
    for order, outputs in SIZES:
        model = random_model(order, outputs, rng)
        path = realization.simulate(model, steps=STEPS, noise=True, rng=rng)
        for case, (tolerance, goal) in CASES.items():
            y = with_missing(path.y, case, rng)
            peer = statsmodels_filter(model, y, tolerance)
            ours = realization.log_likelihood(model, y)
            difference = abs(ours - peer.loglike()) / abs(ours)
            seconds = cpu_seconds(
                {
                    "here": lambda model=model, y=y: realization.log_likelihood(model, y),
                    "statsmodels": peer.loglike,
                },
                repeats=5 if order < 50 else 3,
            )
            here, there = (seconds[name] / STEPS * 1e6 for name in ("here", "statsmodels"))
            print(f"{order:3d} {outputs:3d}  {case:<16} {here:8.3f} {there:12.3f}", end="")
            print(f" {there / here:6.1f}x {goal:4.0f}x {difference:11.1e}")


if __name__ == "__main__":
    main()
