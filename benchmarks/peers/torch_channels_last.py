"""PyTorch, eager, images and weights channels-last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers.haema_eager import training_step
from benchmarks.peers.torch_eager import version

__all__ = ["build", "version"]


def build(workload: Any, threads: int) -> Callable[[int], None]:
    """A training step."""
    import torch

    torch.set_num_threads(threads)
    return training_step(torch, workload, lambda x: x.to(memory_format=torch.channels_last))
