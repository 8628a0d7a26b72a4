"""PyTorch, network and loss under autocast to bfloat16, images channels-last, Adam fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.networks import Step, same, steps
from benchmarks.peers.torch_channels_last import channels_last
from benchmarks.peers.torch_eager import MODULE, version
from benchmarks.workloads import MLP, Workload

__all__ = ["MODULE", "build", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Training steps."""
    return workload.training


def autocast(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose products are of bfloat16."""
    import torch

    def narrow(*args: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return f(*args)

    return narrow


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import torch

    torch.set_num_threads(threads)
    return steps(torch, workload, same if isinstance(workload, MLP) else channels_last, autocast, fused=True)
