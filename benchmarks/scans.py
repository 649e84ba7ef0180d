"""Compiled scans against jax.lax.scan, and against what the machine can do.

Run ``python benchmarks/scans.py`` with numpy, numba and (optionally) jax installed. Median CPU time
of one thread, both in one run, with the relative error of each against a loop in extended precision
beside it. Times are nanoseconds a step; for the selective scan, a step of one state. Each jax
scan is written in several ways: the ratios are to the fastest of them, which is named, and to the
first, the formula as it stands. ``limit`` is the larger of the time for
the arithmetic at the speed of a matrix product and of the time to write the result at the speed of
a copy, both measured here.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import types
from functools import partial

import numpy as np
from numba import njit
from timing import cpu_seconds

from realization import scan
from realization.scan import bilinear as bilinear_kernels
from realization.scan import selective as selective_kernels

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None

STEPS = 100_000  # fewer where the result would exceed 50 MB
CHECKED = 2000  # steps compared with extended precision


def machine():
    """Return the speed of a matrix product (flop/s; float64, float32) and of a copy (byte/s)."""
    speeds = []
    for dtype in (np.float64, np.float32):
        a = np.ones((1000, 1000), dtype)
        out = np.empty_like(a)
        seconds = cpu_seconds({"gemm": lambda a=a, out=out: np.matmul(a, a, out=out)})["gemm"]
        speeds.append(2e9 / seconds)
    source = np.ones(25_000_000)
    target = np.empty_like(source)
    seconds = cpu_seconds({"copy": lambda: np.copyto(target, source)})["copy"]
    return (*speeds, source.nbytes / seconds)


def report(name, ours, peers, reference, count, limit, goal):
    """Print one line: ours against the fastest peer; each returns the array that is checked."""
    functions = {"ours": ours} | peers
    seconds = {key: 1e9 * value / count for key, value in cpu_seconds(functions).items()}
    size = np.abs(reference).max()
    error = {
        key: np.abs(np.asarray(function())[: len(reference)] - reference).max() / size
        for key, function in functions.items()
    }
    line = f"{name:<28} {seconds['ours']:9.2f} {error['ours']:9.1e} {limit:9.2f}"
    if not peers:
        print(f"{line} {'jax not installed':>30}")
        return
    best, plain = min(peers, key=seconds.__getitem__), next(iter(peers))
    ratio, first = (seconds[key] / seconds["ours"] for key in (best, plain))
    print(
        f"{line} {seconds[best]:9.2f} {error[best]:9.1e} {ratio:7.2f}x {first:7.2f}x {goal:>5}x"
        f"  {best}"
    )


def jax_scan(step, state, *sequences):
    """Return a compiled function without arguments that runs ``step`` over the sequences."""
    moved = [jnp.asarray(sequence) for sequence in sequences]
    run = jax.jit(lambda *xs: jax.lax.scan(step, state, xs)[1])
    return lambda: run(*moved).block_until_ready()


def carried(update):
    """Return a step for lax.scan that emits the state it carries."""

    def step(x, inputs):
        x = update(x, *inputs)
        return x, x

    return step


def diagonal_bilinear(rng, n, m, speeds, goal):
    """Decays lam + u @ gates, drive B u: x+ = (lam + u @ gates) x + B u."""
    lam, gates = rng.uniform(0.5, 0.9, n), rng.uniform(-0.05, 0.05, (m, n))
    steps = STEPS if n < 200 else STEPS // 4
    B, u, x0 = rng.standard_normal((n, m)), rng.uniform(-1, 1, (steps, m)), np.zeros(n)
    peers = {}
    if jax:
        rows = jnp.asarray(B.T)
        peers = {
            "products inside": jax_scan(
                carried(lambda x, v: (lam + v @ gates) * x + v @ rows), jnp.zeros(n), u
            ),
            "columns inside": jax_scan(
                carried(
                    lambda x, v: (lam + sum(v[i] * gates[i] for i in range(m))) * x
                    + sum(v[i] * rows[i] for i in range(m))
                ),
                jnp.zeros(n),
                u,
            ),
            "gates given": jax_scan(carried(lambda x, g, b: g * x + b), jnp.zeros(n),
                                    lam + u @ gates, u @ B.T),
        }  # fmt: skip
    x, states = x0.astype(np.longdouble), []
    for v in u[:CHECKED].astype(np.longdouble):
        x = (lam + v @ gates) * x + B @ v
        states.append(x)
    limit = 1e9 * max((4 * m + 2) * n / speeds[0], 8 * n / speeds[2])
    ours = lambda: scan.bilinear_scan(lam, gates, B, u, x0)[1:]  # noqa: E731
    report(f"diagonal bilinear n{n} m{m}", ours, peers, np.array(states), steps, limit, goal)


def time_varying(rng, n, speeds, goal):
    """Decays and drive given for each step: x+ = lam_t x + b_t."""
    lam, b = rng.uniform(0.3, 0.95, (STEPS, n)), rng.standard_normal((STEPS, n))
    peers = {}
    if jax:
        peers["as written"] = jax_scan(carried(lambda x, g, d: g * x + d), jnp.zeros(n), lam, b)
    x, states = np.zeros(n, np.longdouble), []
    for g, d in zip(lam[:CHECKED], b[:CHECKED], strict=True):
        x = g * x + d
        states.append(x)
    limit = 1e9 * max(2 * n / speeds[0], 24 * n / speeds[2] / 2)
    ours = lambda: scan.diagonal_scan(lam, b, np.zeros(n))[1:]  # noqa: E731
    report(f"diagonal, decays given n{n}", ours, peers, np.array(states), STEPS, limit, goal)


def dense_bilinear(rng, n, m, speeds, goal):
    """Dense matrices: x+ = A x + sum u_i N_i x + B u."""
    A, N = rng.standard_normal((n, n)), rng.standard_normal((m, n, n))
    A *= 0.8 / np.linalg.norm(A, 2)
    N *= 0.1 / np.linalg.norm(N, 2, axis=(1, 2))[:, np.newaxis, np.newaxis]
    steps = STEPS if n < 200 else STEPS // 20
    B, u, x0 = rng.standard_normal((n, m)), rng.uniform(-1, 1, (steps, m)), np.zeros(n)
    peers = {}
    if jax:
        stacked = jnp.asarray(np.concatenate([A[None], N]).transpose(1, 0, 2).reshape(n, -1))
        rows, matrices = jnp.asarray(B), jnp.asarray(N)
        updates = {
            "einsum": lambda x, v: A @ x + jnp.einsum("i,ijk,k->j", v, matrices, x) + rows @ v,
            "matrix first": lambda x, v: (A + jnp.tensordot(v, matrices, 1)) @ x + rows @ v,
            "products first": lambda x, v: A @ x + v @ (matrices @ x) + rows @ v,
            "stacked": lambda x, v: (
                stacked @ jnp.kron(jnp.concatenate([jnp.ones(1), v]), x) + rows @ v
            ),
        }
        peers = {key: jax_scan(carried(f), jnp.zeros(n), u) for key, f in updates.items()}
    x, states = x0.astype(np.longdouble), []
    for v in u[:CHECKED].astype(np.longdouble):
        x = A @ x + np.tensordot(v, N, 1) @ x + B @ v
        states.append(x)
    limit = 1e9 * max(2 * (m + 1) * n * n / speeds[0], 8 * n / speeds[2])
    ours = lambda: scan.bilinear_scan(A, N, B, u, x0)[1:]  # noqa: E731
    report(f"dense bilinear n{n} m{m}", ours, peers, np.array(states), steps, limit, goal)


def selective(rng, batch, steps, d, s, dtype, speeds, goal):
    """Run the recurrence of a Mamba layer; the checked result is y of the first series."""
    delta = rng.uniform(0.001, 0.1, (batch, steps, d)).astype(dtype)
    a = -np.tile(np.arange(1.0, s + 1), (d, 1)).astype(dtype)
    B, C = (rng.standard_normal((batch, steps, s)).astype(dtype) for _ in range(2))
    u, x0 = rng.standard_normal((batch, steps, d)).astype(dtype), np.zeros((d, s), dtype)
    peers = {}
    if jax:
        sequences = [jnp.asarray(np.moveaxis(v, 0, 1)) for v in (delta, B, C, u)]
        transposed = jnp.asarray(a.T)

        def step(h, inputs):
            dt, b, c, v = inputs
            h = jnp.exp(dt[..., None] * a) * h + (dt * v)[..., None] * b[:, None, :]
            return h, jnp.einsum("bds,bs->bd", h, c)

        def step_transposed(h, inputs):
            dt, b, c, v = inputs
            h = jnp.exp(dt[:, None] * transposed) * h + (dt * v)[:, None] * b[..., None]
            return h, jnp.einsum("bsd,bs->bd", h, c)

        runs = {
            "state (d, s)": jax_scan(step, jnp.zeros((batch, d, s), dtype), *sequences),
            "state (s, d)": jax_scan(step_transposed, jnp.zeros((batch, s, d), dtype), *sequences),
        }
        peers = {key: (lambda run=run: run()[:, 0]) for key, run in runs.items()}
    h, outputs = np.zeros((d, s), np.longdouble), []
    for dt, b, c, v in zip(delta[0], B[0], C[0], u[0], strict=True):
        dt, b, c, v = (w.astype(np.longdouble) for w in (dt, b, c, v))
        h = np.exp(dt[:, None] * a) * h + (dt * v)[:, None] * b
        outputs.append(h @ c)
    # 22 operations for the exponential of one state, its update and its share of the output
    limit = 1e9 * 22 / speeds[1 if dtype == np.float32 else 0]
    ours = lambda: scan.selective_scan(delta, a, B, C, u, x0)[0][0]  # noqa: E731
    name = f"selective {batch}x{steps}x{d}x{s} {np.dtype(dtype).name}"
    count = batch * steps * d * s
    report(name, ours, peers, np.array(outputs), count, limit, goal)


def strict(kernel, **helpers):
    """Return a kernel compiled without relaxed arithmetic, its helpers too."""
    python = kernel.py_func
    names = {name: njit(nogil=True)(helper.py_func) for name, helper in helpers.items()}
    copy = types.FunctionType(python.__code__, {**python.__globals__, **names})
    return njit(nogil=True)(copy)


def relaxed_arithmetic(rng):
    """Print what reordered sums and fused multiply-adds save in the two kernels that allow them."""
    n, m, steps = 16, 1, 20_000
    W = rng.standard_normal((n, (m + 1) * n + m)) * 0.1 / n
    v, x = rng.uniform(-1, 1, (1, steps, m)), np.zeros((1, steps + 1, n))
    dense = (W, m, v, x, np.empty(W.shape[1]))
    delta, u = (rng.uniform(0.001, 0.1, (1, 2000, 64)).astype(np.float32) for _ in range(2))
    B = rng.standard_normal((1, 2000, 16)).astype(np.float32)
    a, h = -np.ones((16, 64), np.float32), np.zeros((1, 16, 64), np.float32)
    layer = (delta, a, B, B, u, h, np.empty_like(delta), np.empty(64, np.float32))
    power = {"single_power": selective_kernels.single_power}
    for name, kernel, helpers, arguments in (
        ("dense n16 m1", bilinear_kernels.dense_steps, {}, dense),
        ("selective float32", selective_kernels.single_steps, power, layer),
    ):
        runs = {
            "relaxed": partial(kernel, *arguments),
            "strict": partial(strict(kernel, **helpers), *arguments),
        }
        seconds = cpu_seconds(runs, repeats=25)
        saved = 1 - seconds["relaxed"] / seconds["strict"]
        print(f"relaxed arithmetic, {name}: {100 * saved:.0f} % less time")


def main():
    """Print the table."""
    if jax:
        jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    speeds = machine()
    print(
        f"one thread: matrix product {speeds[0] / 1e9:.0f} GFLOP/s, single precision "
        f"{speeds[1] / 1e9:.0f}; copy {speeds[2] / 1e9:.1f} GB/s; T = {STEPS}"
    )
    print(f"{'ns a step':<28} {'ours':>9} {'error':>9} {'limit':>9} {'jax':>9} {'error':>9}"
          f" {'ratio':>8} {'formula':>8} {'goal':>6}  fastest")  # fmt: skip
    for n, m, goal in ((64, 2, 3), (256, 4, 2)):
        diagonal_bilinear(rng, n, m, speeds, goal)
    time_varying(rng, 64, speeds, 1)
    for n, m, goal in ((4, 1, 3), (16, 1, 3), (16, 4, 3), (64, 2, 1), (256, 4, 1)):
        dense_bilinear(rng, n, m, speeds, goal)
    selective(rng, 8, 2048, 64, 16, np.float32, speeds, 1.5)
    selective(rng, 8, 2048, 64, 16, np.float64, speeds, 1.5)
    relaxed_arithmetic(rng)


if __name__ == "__main__":
    main()
