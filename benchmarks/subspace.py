"""Subspace identification: time, memory and error against what can be installed.

Run ``python benchmarks/subspace.py``; peers (PSID, llsi, ctrlsys: the ``bench`` extra) that are not
installed are skipped with a line. Every measurement is a process of its own with one thread: median
CPU seconds after a call to warm up (one call where that takes more than 5 seconds), and the growth
of its peak memory during the calls. ``error`` is that of the impulse response in the mean-square
norm, relative; for the singular values (of PO-MOESP), the largest relative difference from
SLICOT's. ``goal`` and ``ratio`` are over the time of the first row of each table, ``memory`` over
its memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from process_memory import memory

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CASES = {  # order, inputs, outputs, samples, horizon; goals of a model, of a factor, of memory
    "n4 m2 p2 N1e4": (4, 2, 2, 10**4, 8, 8, None, None),
    "n10 m3 p3 N1e5": (10, 3, 3, 10**5, 20, 100, 1, 20),
    "n20 m5 p5 N1e5": (20, 5, 5, 10**5, 40, 150, 2.5, 20),
    "n10 SISO N1e6": (10, 1, 1, 10**6, 20, 200, 1, 20),
}


# --- in a process of its own --------------------------------------------------------------------


def our_model(y, u, n, i, method="n4sid"):
    """Return a complete model from the factor alone: A, B, C, D, K, Re."""
    from identification import HankelFactor, subspace_id

    factor = HankelFactor(y.shape[1], u.shape[1], past=i, future=i).update(y, u)
    return model_of(subspace_id(factor=factor, order=n, method=method).model)


def our_front_door(y, u, n, i):
    """Return the same from the data: with initial state, fits on the record and its checks."""
    from identification import subspace_id

    return model_of(subspace_id(y, u, n, method="n4sid", past=i, future=i).model)


def our_values(y, u, n, i):
    """Return the singular values of PO-MOESP."""
    from identification import HankelFactor
    from identification.projections import FactorBlocks, weighted_subspace

    factor = HankelFactor(y.shape[1], u.shape[1], past=i, future=i).update(y, u)
    blocks = FactorBlocks.from_factor(factor, remove_means=False)
    return {"values": weighted_subspace(blocks, "moesp").singular_values}


def psid_model(y, u, n, i):
    """Return the model of IPSID without a second signal."""
    from PSID import IPSID

    return model_of(IPSID(y, U=u, nx=n, n1=0, i=i))


def llsi_model(y, u, n, i):
    """Return the n4sid model of llsi, single input and output; its window is its own."""
    import llsi

    data = llsi.SysIdData(y=y[:, 0], u=u[:, 0], Ts=1.0)
    return model_of(llsi.sysid(data, "y", "u", n, method="n4sid"))


def slicot_values(y, u, n, i):
    """Return the singular values of SLICOT's IB01AD by the fast Cholesky route."""
    from ctrlsys import ib01ad

    y, u = np.asfortranarray(y), np.asfortranarray(u)
    m, p = u.shape[1], y.shape[1]
    return {"values": ib01ad("M", "C", "N", "O", "N", "N", i, m, p, u, y, 0.0, -1.0)[2]}


def model_of(model):
    """Return the matrices of a model that names them so."""
    return {key: np.atleast_2d(getattr(model, key)) for key in "ABCD"}


TOOLS = {
    "ours": our_model,
    "ours, cva": partial(our_model, method="cva"),
    "ours, data and fits": our_front_door,
    "PSID": psid_model,
    "llsi n4sid": llsi_model,
    "ours, values": our_values,
    "ctrlsys ib01ad": slicot_values,
}


def measure(tool, folder):
    """Run one tool on the stored record; store what it found, with seconds and memory."""
    with np.load(Path(folder) / "record.npz") as record:
        y, u, n, i = record["y"], record["u"], int(record["n"]), int(record["i"])
    call = TOOLS[tool]
    short = slice(0, max(40 * i, 1000))
    call(y[short], u[short], n, i)  # imports and compiled loops
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    seconds = []
    while not seconds or (len(seconds) < 7 and sum(seconds) < 5):
        start = time.process_time()
        found = call(y, u, n, i)
        seconds.append(time.process_time() - start)
    np.savez(Path(folder) / "found.npz", **found)
    timed = seconds[1:] or seconds
    return {"seconds": float(np.median(timed)), "memory": memory("VmHWM") - before}


# --- the tables ---------------------------------------------------------------------------------


def run(tool, y, u, n, i):
    """Return what `measure` says, and what the tool found; None if it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "record.npz", y=y, u=u, n=n, i=i)
        command = [sys.executable, __file__, tool, folder]
        one_thread = os.environ | ONE_THREAD
        done = subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{tool:<22} skipped: {(done.stderr.strip().splitlines() or ['stopped'])[-1]}")
            return None
        with np.load(Path(folder) / "found.npz") as found:
            return json.loads(done.stdout.splitlines()[-1]), dict(found)


def plant(n, m, p, seed=0):
    """Return a random model in innovations form, largest modulus 0.95."""
    from realization import GaussianSSM, innovation_form

    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A *= 0.95 / np.abs(np.linalg.eigvals(A)).max()
    B, C = rng.standard_normal((n, m)), rng.standard_normal((p, n))
    return innovation_form(GaussianSSM(A, C, 0.05 * np.eye(n), np.eye(p), B=B))


def record(n, m, p, T, seed=0):
    """Return the plant, its outputs and white inputs."""
    from realization import simulate

    rng = np.random.default_rng(seed)
    model, u = plant(n, m, p, seed), rng.standard_normal((T, m))
    return model, simulate(model, u, noise=True, rng=rng).y, u


def impulse_error(found, truth):
    """Return the relative mean-square error of the impulse response."""
    from realization import LinearSSM, markov_parameters

    expected = markov_parameters(truth, 300)
    response = markov_parameters(LinearSSM(*(found[key] for key in "ABCD")), 300)
    return np.linalg.norm(response - expected) / np.linalg.norm(expected)


def table(title, rows, goal, memory_goal, error):
    """Print time, memory, error and ratios to the first row, which is ours."""
    print(f"\n{title}\n{'':<22} {'seconds':>9} {'MB':>7} {'error':>9} {'ratio':>8} {'goal':>6}"
          f" {'memory':>7} {'goal':>5}")  # fmt: skip
    first = None
    for tool, found in rows:
        if found is None:
            continue
        cost, values = found
        line = f"{tool:<22} {cost['seconds']:9.4f} {cost['memory']:7.0f} {error(values):9.1e}"
        if first is None:
            first = cost
        elif not tool.startswith("ours"):
            line += f" {cost['seconds'] / first['seconds']:7.1f}x {goal or '-':>5}"
            line += f" {cost['memory'] / max(first['memory'], 1.0):7.1f} {memory_goal or '-':>5}"
        print(line, flush=True)


def compared(name):
    """Print the tables of one case."""
    n, m, p, T, i, goal, factor_goal, memory_goal = CASES[name]
    truth, y, u = record(n, m, p, T)
    tools = ["ours", "ours, cva", "ours, data and fits", "PSID", "llsi n4sid"]
    if m * p > 1:
        tools.remove("llsi n4sid")  # single input and output only
    rows = [(tool, run(tool, y, u, n, i)) for tool in tools]
    table(f"{name}, horizon {i}: complete model", rows, goal, memory_goal,
          lambda found: impulse_error(found, truth))  # fmt: skip
    rows = [(tool, run(tool, y, u, n, i)) for tool in ("ours, values", "ctrlsys ib01ad")]
    reference = (rows[1][1] or rows[0][1])[1]["values"][:n]
    table(f"{name}, horizon {i}: factor and singular values", rows, factor_goal, None,
          lambda found: np.abs(found["values"][:n] / reference - 1).max())  # fmt: skip


def main():
    """Print all tables, or the cases named."""
    for name in sys.argv[1:] or CASES:
        compared(name)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in TOOLS:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
