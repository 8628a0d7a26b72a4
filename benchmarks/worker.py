"""The side of a peer: a process of its own that times a step each time it is asked to.

    python -m benchmarks.worker PEER WORKLOAD THREADS [losses]

It says ``ready VERSION`` when it is, or ``failed REASON``, and answers each line on standard input: ``time`` with the
seconds per step, the median of a few short series; ``memory`` with the bytes that the process had in memory at most,
the libraries it imported and what compiling took among them. With ``losses`` it answers instead with the losses of
five steps one by one, then with the fifth of five steps at once from the same start; dropout is switched off.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import resource
import statistics
import sys
import time
from typing import Any

from benchmarks.networks import Step
from benchmarks.workloads import CNN, WORKLOADS, Ready, Workload

SERIES = 5
SECONDS = 0.15  # about how long one series takes, if a step or a call of several does not take longer
PATIENCE = 3.0  # seconds from which on there are fewer series


def seconds_per_step(step: Step, at_once: int = 1) -> float:
    """Median over a few series of the time of one step.

    Args:
        step: ``step(n)`` does n steps and waits for the last.
        at_once: n is a multiple of this.
    """
    n = at_once
    while True:
        start = time.perf_counter()
        step(n)
        took = time.perf_counter() - start
        if took > SECONDS / 4:
            break
        n *= 4
    calls = max(1, round(n / at_once * SECONDS / took))
    series = max(1, min(SERIES, int(PATIENCE * n / (took * calls * at_once))))
    times = []
    for _ in range(series):
        start = time.perf_counter()
        step(calls * at_once)
        times.append((time.perf_counter() - start) / (calls * at_once))
    return statistics.median(times)


def peak_memory() -> int:
    """The most bytes that this process has had in memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def losses(peer: Any, workload: Workload, threads: int) -> list[float]:
    """Five losses one by one, and the fifth of five steps at once; without dropout, whose noise is each peer's own."""
    if isinstance(workload, (CNN, Ready)):
        workload = dataclasses.replace(workload, dropout=0.0)
    step = peer.build(workload, threads)
    return [*(step(1) for _ in range(5)), peer.build(workload, threads)(5)]


def main(name: str, workload_name: str, threads: int, what: str = "time") -> None:
    """Build, warm up, and answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else prints, prints to standard error
    peer: Any = importlib.import_module(f"benchmarks.peers.{name}")
    workload = WORKLOADS[workload_name]
    at_once = peer.at_once(workload) if hasattr(peer, "at_once") else 1
    try:
        if what == "losses":
            found = losses(peer, workload, threads)
        else:
            step = peer.build(workload, threads)
            step(max(3, at_once))
        print("ready", peer.version(), file=answers)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        print("failed", f"{type(error).__name__}: {reason}"[:200], file=answers)
        return
    if what == "losses":
        print(*found, file=answers)
        return
    for line in sys.stdin:
        print(peak_memory() if line.strip() == "memory" else seconds_per_step(step, at_once), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
