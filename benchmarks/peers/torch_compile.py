"""PyTorch, network and loss through ``torch.compile`` in its default mode; needs a C++ compiler.

Adam is the fused one, which does the same in fewer passes and was faster, of dense networks by a fifth of the step.
"""

from __future__ import annotations

from benchmarks.networks import Step, steps
from benchmarks.peers.torch_eager import MODULE, version
from benchmarks.workloads import Workload

__all__ = ["MODULE", "build", "version"]


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    import torch

    torch.set_num_threads(threads)
    return steps(torch, workload, compiled=torch.compile, fused=True)
