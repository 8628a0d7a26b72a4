"""PyTorch, eager, with the fused Adam, which does the same in fewer passes; images channels-last."""

from __future__ import annotations

from benchmarks.networks import Step, same, steps
from benchmarks.peers.torch_channels_last import channels_last
from benchmarks.peers.torch_eager import MODULE, version
from benchmarks.workloads import MLP, Workload

__all__ = ["MODULE", "build", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Training only: a prediction has no Adam."""
    return workload.training


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import torch

    torch.set_num_threads(threads)
    return steps(torch, workload, same if isinstance(workload, MLP) else channels_last, fused=True)
