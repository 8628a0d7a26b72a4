"""JAX, each training step one call of a jitted function, whose state is donated."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from benchmarks.networks import Step
from benchmarks.workloads import Ready, Workload

MODULE = "jax"


def use_threads(n: int) -> None:
    """Let XLA compute with ``n`` threads; before JAX is imported."""
    os.environ["NPROC"] = str(n)  # the size of XLA's thread pool
    os.environ["JAX_PLATFORMS"] = "cpu"


def takes(workload: Workload) -> bool:
    """All that is written out in plain JAX."""
    return not isinstance(workload, Ready)


def build(workload: Workload, threads: int) -> Step:
    """The steps of a workload."""
    use_threads(threads)
    import jax

    from benchmarks import jax_networks as net

    state: Any = net.start(workload)
    x, y = net.data(workload)

    if not workload.training:
        p, s, key = state[0], state[3], state[5]
        model = jax.jit(lambda p, x: net.network(workload, p, s, x, key)[0])

        def predict(n: int) -> float:
            for _ in range(n):
                output = model(p, x)
            return net.finished(output)

        return predict

    step = jax.jit(partial(net.train_step, workload), donate_argnums=0)

    def train(n: int) -> float:
        nonlocal state
        for _ in range(n):
            state, loss = step(state, x, y)
        jax.block_until_ready(state)
        return net.finished(loss)

    return train


def version() -> str:
    """What is measured."""
    import jax

    return f"JAX {jax.__version__}"
