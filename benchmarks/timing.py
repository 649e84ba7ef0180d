"""Time several functions in one run, on one thread, interleaved."""

import statistics
import time
from collections.abc import Callable, Mapping

from threadpoolctl import threadpool_limits


def cpu_seconds(
    functions: Mapping[str, Callable[[], object]], *, repeats: int = 7
) -> dict[str, float]:
    """Return the median CPU seconds of each function after one call to warm up.

    The functions take turns, so that whatever else the machine does falls on all of them.
    """
    samples: dict[str, list[float]] = {name: [] for name in functions}
    with threadpool_limits(1):
        for function in functions.values():
            function()
        for _ in range(repeats):
            for name, function in functions.items():
                start = time.process_time()
                function()
                samples[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in samples.items()}
