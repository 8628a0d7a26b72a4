"""haema, each operation at once."""

from __future__ import annotations

from benchmarks.networks import Step, steps
from benchmarks.workloads import Workload

MODULE = "haema"


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import haema

    haema.set_num_threads(threads)
    return steps(haema, workload)


def version() -> str:
    """What is measured."""
    import haema

    return f"haema {haema.__version__}"
