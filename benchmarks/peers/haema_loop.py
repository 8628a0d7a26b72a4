"""haema, many training steps in one call of a compiled program, which picks the rows of each mini-batch itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.networks import Step, prepared, train_step
from benchmarks.peers.haema_eager import MODULE, version
from benchmarks.workloads import Workload

__all__ = ["MODULE", "at_once", "build", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Training only: a loop of predictions is a larger batch."""
    return workload.training


def at_once(workload: Workload) -> int:
    """How many steps are one call."""
    return workload.at_once


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import haema

    hm: Any = haema
    hm.set_num_threads(threads)
    model, x, y = prepared(hm, workload)
    step = hm.compile(train_step(hm, model))
    rows = np.tile(np.arange(workload.batch), (workload.at_once, 1))  # (steps, batch)

    def run(n: int) -> float:
        for done in range(0, n, workload.at_once):
            losses = step.loop(x, y, rows[: n - done])  # (steps,)
        return float(losses[-1].item())

    return run
