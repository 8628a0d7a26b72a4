"""PyTorch, eager, images and weights channels-last."""

from __future__ import annotations

from typing import Any

from benchmarks.networks import Step, steps
from benchmarks.peers.torch_eager import MODULE, version
from benchmarks.workloads import MLP, Workload

__all__ = ["MODULE", "build", "channels_last", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Only images have channels."""
    return not isinstance(workload, MLP)


def channels_last(x: Any) -> Any:
    """A network or a batch of images, channels last in memory."""
    import torch

    return x.to(memory_format=torch.channels_last)


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import torch

    torch.set_num_threads(threads)
    return steps(torch, workload, channels_last)
