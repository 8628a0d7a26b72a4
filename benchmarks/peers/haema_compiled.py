"""haema, each training step one call of a compiled program."""

from __future__ import annotations

from typing import Any

from benchmarks.networks import Step, predicted, prepared, repeated, train_step
from benchmarks.peers.haema_eager import MODULE, version
from benchmarks.workloads import Workload

__all__ = ["MODULE", "build", "version"]


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import haema

    hm: Any = haema
    hm.set_num_threads(threads)
    model, x, y = prepared(hm, workload)
    if not workload.training:
        return predicted(hm, hm.compile(model), x)
    return repeated(hm.compile(train_step(hm, model)), x, y)
