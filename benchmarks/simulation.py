"""Simulation of linear models: this package against python-control and scipy.

Run ``python benchmarks/simulation.py``. Median CPU nanoseconds a sample on one thread, all in one
run: ``simulate`` with its checks, ``control.forced_response`` (on a tenth of the record, it is a
Python loop) and, for one input and one output, ``scipy.signal.lfilter``. Beside each, the error
relative to the largest output, against a loop in extended precision over the first samples. The
last column is the least that the machine could do: the arithmetic of the blocks at the speed of
this machine's matrix product, or one pass over input and output at the speed of a copy.
"""

import control
import numpy as np
import scipy.signal
from timing import cpu_seconds

import realization
from realization.scan.linear import _block_length

STEPS = 1_000_000
CHECKED = 2000
# order, inputs, outputs, goal against python-control
SIZES = ((4, 1, 1, 400), (16, 1, 1, 100), (16, 4, 1, 100), (64, 1, 1, 60), (64, 4, 1, 60))


def random_model(order, inputs, outputs, rng):
    """Return a model whose poles have moduli between 0.5 and 0.95."""
    half = order // 2
    poles = rng.uniform(0.5, 0.95, half) * np.exp(1j * rng.uniform(0.1, 3.0, half))
    A = np.zeros((order, order))
    for k, pole in enumerate(poles):
        block = [[pole.real, pole.imag], [-pole.imag, pole.real]]
        A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = block
    Q = np.linalg.qr(rng.standard_normal((order, order)))[0]
    B, C = rng.standard_normal((order, inputs)), rng.standard_normal((outputs, order))
    D = rng.standard_normal((outputs, inputs))
    return realization.LinearSSM(Q @ A @ Q.T, B, C, D)


def extended_precision(model, u):
    """Return the outputs of the plain recursion in long double."""
    A, B, C, D, u = (np.asarray(M, np.longdouble) for M in (model.A, model.B, model.C, model.D, u))
    x, y = np.zeros(len(A), np.longdouble), []
    for sample in u:
        y.append(C @ x + D @ sample)
        x = A @ x + B @ sample
    return np.array(y)


def machine_speed():
    """Return nanoseconds for one multiply-add of a matrix product and for one number copied."""
    X, v = np.ones((512, 512)), np.ones(STEPS)
    copy = np.empty_like(v)
    seconds = cpu_seconds({"product": lambda: X @ X, "copy": lambda: np.copyto(copy, v)})
    return seconds["product"] / 512**3 * 1e9, seconds["copy"] / STEPS * 1e9


def main():
    """Print one line for each size."""
    rng = np.random.default_rng(0)
    per_product, per_copy = machine_speed()
    print(f"T = {STEPS}; nanoseconds a sample, CPU, one thread; errors in brackets")
    print(f"{'n':>3} {'m':>2} {'p':>2} {'simulate':>17} {'control':>17} {'ratio':>6} {'goal':>5}")
    for n, m, p, goal in SIZES:
        model = random_model(n, m, p, rng)
        u = rng.standard_normal((STEPS, m))
        exact = extended_precision(model, u[:CHECKED])
        peer = control.ss(model.A, model.B, model.C, model.D, 1.0)
        functions = {
            "simulate": lambda model=model, u=u: realization.simulate(model, u).y,
            "control": lambda peer=peer, u=u: (
                control.forced_response(peer, inputs=u[: STEPS // 10].T, squeeze=False).outputs.T
            ),
        }
        if m == p == 1:
            numerator, denominator = scipy.signal.ss2tf(model.A, model.B, model.C, model.D)
            functions["lfilter"] = lambda b=numerator[0], a=denominator, u=u: scipy.signal.lfilter(
                b, a, u, axis=0
            )
        scale = np.abs(exact).max()
        errors = {k: np.abs(f()[:CHECKED] - exact).max() / scale for k, f in functions.items()}
        seconds = cpu_seconds(functions, repeats=9)
        seconds["control"] *= 10
        time = {name: value / STEPS * 1e9 for name, value in seconds.items()}
        ratio = time["control"] / time["simulate"]
        print(f"{n:3d} {m:2d} {p:2d}", end="")
        for name in ("simulate", "control"):
            print(f" {time[name]:8.1f} [{errors[name]:.0e}]", end="")
        print(f" {ratio:5.0f}x {goal:4d}x", end="")
        if "lfilter" in time:
            print(f"   lfilter {time['lfilter']:.1f} [{errors['lfilter']:.0e}]", end="")
            print(f" {time['lfilter'] / time['simulate']:.2f}x", end="")
        length = _block_length(n, m, p, STEPS)
        work = length * p * m + n * (m + p) + n * n / length
        print(f"   limit {max(work * per_product, (m + p) * per_copy):.1f}")


if __name__ == "__main__":
    main()
