"""PyTorch as it comes: eager, channels first."""

from __future__ import annotations

from benchmarks.networks import Step, steps
from benchmarks.workloads import Workload

MODULE = "torch"


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import torch

    torch.set_num_threads(threads)
    return steps(torch, workload)


def version() -> str:
    """What is measured."""
    import torch

    return f"PyTorch {torch.__version__}"
