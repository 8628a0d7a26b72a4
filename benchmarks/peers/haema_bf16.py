"""haema, each training step one call of a compiled program whose large products are of bfloat16."""

from __future__ import annotations

from typing import Any

from benchmarks.networks import Step, prepared, repeated, train_step
from benchmarks.peers.haema_eager import MODULE, version
from benchmarks.workloads import Workload

__all__ = ["MODULE", "build", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Training steps."""
    return workload.training


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import haema

    hm: Any = haema
    hm.set_num_threads(threads)
    model, x, y = prepared(hm, workload)
    return repeated(hm.compile(train_step(hm, model), precision="bf16"), x, y)
