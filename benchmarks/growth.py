"""Growth of the factor's cost: samples, channels, horizon, workers; and a model of a large run.

CPU seconds and growth of peak memory of a ``HankelFactor`` filled by chunks of 1e5 samples, each
measurement in a process of its own on one thread. The error is that of the last innovation's
deviation, for white noise whose true value is 1; all chunks are the same noise, shifted, so that it
stays at what 1e5 samples leave uncertain. Then Dask on this machine: the wall time of chunks
of 1e6 samples that one worker or two read from a file, and of a thousand chunks that hold next to
nothing: what a chunk costs before its first sample. The last table is computed from the others:
nobody ran it.
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

from identification import HankelFactor

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
CHUNK = 10**5
CHANNELS, HORIZON = 4, 20
WORKERS, LARGE = 1000, 10**9
DISK, NETWORK = 200e6, 1e9  # bytes a second, assumed for the large run


def fill(samples, channels, horizon):
    """Return a factor of white noise, half of the channels inputs, given chunk by chunk."""
    m = channels // 2
    noise = np.random.default_rng(0).standard_normal((min(samples, CHUNK), channels))
    factor = HankelFactor(channels - m, m, past=horizon, future=horizon)
    for first in range(0, samples, CHUNK):
        chunk = np.roll(noise[: samples - first], first // CHUNK, axis=0)
        factor.update(chunk[:, m:], chunk[:, :m])
    return factor, abs(factor.R[-1, -1]) / np.sqrt(factor.n_columns)


def measure(samples, channels, horizon):
    """Return CPU seconds of `fill`, without making the noise, the growth of memory, the error."""
    fill(4 * channels * horizon, channels, horizon)  # imports
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    start = time.process_time()
    _, innovation = fill(samples, channels, horizon)
    seconds = time.process_time() - start
    growth = memory("VmHWM") - before
    start = time.process_time()
    noise = np.random.default_rng(0).standard_normal((min(samples, CHUNK), channels))
    for k in range(-(-samples // CHUNK)):
        np.roll(noise, k, axis=0)
    return seconds - (time.process_time() - start), growth, abs(innovation - 1)


def in_process(*arguments):
    """Return what `measure` does, from a fresh process."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def curve(title, cases):
    """Print one growth curve; return its seconds."""
    print(f"\n{title:>12} {'seconds':>9} {'us/sample':>10} {'MB':>6} {'columns':>8} {'error':>8}")
    seconds = []
    for name, (samples, channels, horizon) in cases.items():
        cost, growth, error = in_process(samples, channels, horizon)
        seconds.append(cost)
        print(
            f"{name:>12} {cost:9.3f} {1e6 * cost / samples:10.3f} {growth:6.0f} "
            f"{1 + 2 * channels * horizon:>8} {error:8.0e}",
            flush=True,
        )
    return seconds


def joining():
    """Return the seconds of one join of two factors, and print them for growing factors."""
    print("\njoin of two factors:", end="")
    found = {}
    for horizon in (10, HORIZON, 40):
        parts = [fill(10_000, CHANNELS, horizon)[0] for _ in range(2)]
        start = time.process_time()
        for _ in range(20):
            parts[0].merge(parts[1])
        found[horizon] = (time.process_time() - start) / 20
        print(f"  {1 + 2 * CHANNELS * horizon} columns {1e3 * found[horizon]:.2f} ms", end="")
    print()
    return found[HORIZON]


def read(path, rows=None):
    """Return the record (y, u) in a file, or its first rows."""
    samples = np.load(path, mmap_mode="r")[:rows]
    return samples[:, 2:], samples[:, :2]


def workers():
    """Print wall times of one worker process and two; return Dask's seconds a chunk."""
    from distributed import Client, LocalCluster

    from identification.distributed import hankel_factor

    reduce = partial(hankel_factor, past=HORIZON, future=HORIZON)
    print("\n  workers  16 chunks of 1e6   1000 chunks of 100 samples")
    overhead = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.npy"
        np.save(path, np.random.default_rng(0).standard_normal((10**6, CHANNELS)))
        for count in (1, 2):
            options = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None}
            with LocalCluster(**options) as cluster, Client(cluster):
                reduce([path] * 2 * count, load=read)  # imports
                start = time.perf_counter()
                reduce([path] * 16, load=read)
                middle = time.perf_counter()
                reduce([path] * 1000, load=partial(read, rows=100))
                overhead = (time.perf_counter() - middle) / 1000
                print(f"{count:>9} {middle - start:14.2f} s {1000 * overhead:25.2f} s", flush=True)
    return overhead


def model(per_sample, join, overhead):
    """Print what the large run would take, by the model."""
    columns = 1 + 2 * CHANNELS * HORIZON
    each, rounds = LARGE / WORKERS, int(np.ceil(np.log(WORKERS) / np.log(8)))
    parts = {
        "computing": each * per_sample,
        f"reading {8 * CHANNELS * each / 1e6:.0f} MB at 200 MB/s (assumed)": 8
        * CHANNELS
        * each
        / DISK,
        f"joining, {rounds} rounds of 8": rounds * 8 * (join + 8 * columns**2 / NETWORK),
        "Dask, one chunk a worker (an upper bound)": WORKERS * overhead,
    }
    print(f"\n{LARGE:.0e} samples of {CHANNELS} channels on {WORKERS} workers, by the model:")
    for name, seconds in parts.items():
        print(f"  {name:<42} {seconds:7.2f} s")
    print(
        f"  {'together':<42} {sum(parts.values()):7.2f} s   (one core alone: "
        f"{LARGE * per_sample:.0f} s; {WORKERS * 8e-6 * columns**2:.0f} MB over the network)"
    )


def main():
    """Print all tables."""
    print(f"{CHANNELS} channels (half of them inputs), horizon {HORIZON} + {HORIZON}; goal: memory")
    print("growth below 200 MB for 1e7 samples")
    lengths = {f"{n:.0e}": (n, CHANNELS, HORIZON) for n in (10**4, 10**5, 10**6, 10**7)}
    per_sample = curve("samples", lengths)[-1] / 10**7
    curve("channels", {str(c): (10**6, c, HORIZON) for c in (2, 4, 8, 16)})
    curve("horizon", {str(s): (10**6, CHANNELS, s) for s in (5, 10, 20, 40, 80)})
    join = joining()
    try:
        overhead = workers()
    except ImportError:
        print('\nDask is not installed: pip install "stochastic-realization[distributed]"')
        return
    model(per_sample, join, overhead)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(*map(int, sys.argv[1:]))))
    else:
        main()
