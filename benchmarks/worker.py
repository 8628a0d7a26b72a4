"""The side of a peer: a process of its own that times a step each time it is asked to.

    python -m benchmarks.worker PEER WORKLOAD THREADS

It says ``ready VERSION`` when it is, and answers each line on standard input with the seconds per step, the median
of a few short series.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.workloads import WORKLOADS

SERIES = 5
SECONDS = 0.15  # about how long one series takes


def seconds_per_step(step: Callable[[int], None]) -> float:
    """Median over a few series of the time of one step; ``step(n)`` does n of them and waits for the last."""
    n = 1
    while True:
        start = time.perf_counter()
        step(n)
        took = time.perf_counter() - start
        if took > SECONDS / 4:
            break
        n *= 4
    n = max(1, round(n * SECONDS / took))
    times = []
    for _ in range(SERIES):
        start = time.perf_counter()
        step(n)
        times.append((time.perf_counter() - start) / n)
    return statistics.median(times)


def main(peer: str, workload: str, threads: int) -> None:
    """Build, warm up, and answer until standard input ends."""
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    step = module.build(WORKLOADS[workload], threads)
    step(3)
    print("ready", module.version(), flush=True)
    for _ in sys.stdin:
        print(seconds_per_step(step), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
