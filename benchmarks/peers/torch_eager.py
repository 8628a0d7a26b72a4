"""PyTorch as it comes: eager, channels first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers.haema_eager import training_step


def build(workload: Any, threads: int) -> Callable[[int], None]:
    """A training step."""
    import torch

    torch.set_num_threads(threads)
    return training_step(torch, workload)


def version() -> str:
    """What is measured."""
    import torch

    return f"PyTorch {torch.__version__}"
