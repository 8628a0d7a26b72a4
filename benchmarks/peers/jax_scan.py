"""JAX, many training steps in one call: ``lax.scan`` over the row numbers of the mini-batches, state donated.

Inside a loop XLA computes convolutions on one thread by slower code: the CNN at batch 32 took 311 ms a step there and
18 ms outside. So for networks with convolutions the scan is unrolled whole, and shorter, for each step of it takes
seconds to compile; such a step takes as long as one of ``jax_jit``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.networks import Step
from benchmarks.peers import jax_jit
from benchmarks.peers.jax_jit import MODULE, use_threads, version
from benchmarks.workloads import MLP, ResNet, Workload

__all__ = ["MODULE", "at_once", "build", "takes", "version"]


def takes(workload: Workload) -> bool:
    """Training only: a scan over predictions is a larger batch."""
    return workload.training and jax_jit.takes(workload)


def at_once(workload: Workload) -> int:
    """How many steps are one call."""
    if isinstance(workload, MLP):
        return workload.at_once
    return 2 if isinstance(workload, ResNet) else 5


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    use_threads(threads)
    import jax
    import jax.numpy as jnp

    from benchmarks import jax_networks as net

    state: Any = net.start(workload)
    x, y = net.data(workload)
    most = at_once(workload)
    rows = jnp.tile(jnp.arange(workload.batch), (most, 1))  # (steps, batch)
    unrolled = not isinstance(workload, MLP)

    @partial(jax.jit, donate_argnums=0)
    def loop(state: Any, x: Any, y: Any, rows: Any) -> Any:
        unroll = len(rows) if unrolled else 1
        return jax.lax.scan(lambda s, r: net.train_step(workload, s, x[r], y[r]), state, rows, unroll=unroll)

    def run(n: int) -> float:
        nonlocal state
        for done in range(0, n, most):
            state, losses = loop(state, x, y, rows[: n - done])  # (steps,)
        jax.block_until_ready(state)
        return net.finished(losses[-1])

    return run
