"""The networks and steps of the workloads in plain JAX.

Images are N H W C and kernels H W I O, for XLA's convolutions on CPUs are made for that: with N C H W throughout,
the CNN takes 1.8 times and the residual network 1.3 times as long. Max pooling is a maximum over reshaped axes, which
with its gradient takes half as long as ``lax.reduce_window``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.workloads import CNN, MLP, ResNet, Workload, batch, weights

Arrays = dict[str, Any]
"""Arrays by PyTorch's names."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
MOMENTUM, NORM_EPS = 0.1, 1e-5


def arrays(workload: Workload) -> tuple[Arrays, Arrays]:
    """Initial parameters and running statistics; matrices as (in, out), kernels as H W I O, flattened images H W C."""
    parameters, statistics = {}, {}
    for name, a in weights(workload).items():
        if name.rpartition(".")[2] in STATISTICS:
            statistics[name] = jnp.asarray(a, jnp.int32 if a.dtype.kind == "i" else a.dtype)
            continue
        if a.ndim == 4:
            a = a.transpose(2, 3, 1, 0)
        elif a.ndim == 2:
            if isinstance(workload, CNN) and a.shape[0] == 128:
                size = workload.pooled
                a = a.reshape(128, -1, size, size).transpose(0, 2, 3, 1).reshape(128, -1)
            a = a.T
        parameters[name] = jnp.array(a)
    return parameters, statistics


def data(workload: Workload) -> tuple[Any, Any]:
    """The batch; images as N H W C."""
    x, y = batch(workload)
    return jnp.array(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), jnp.array(y, jnp.int32)


def dense(p: Arrays, name: str, x: Any) -> Any:
    """x W + b."""
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def conv(p: Arrays, name: str, x: Any, stride: int = 1) -> Any:
    """A convolution, padded so that at stride 1 the size stays."""
    w = p[f"{name}.weight"]
    pad = w.shape[0] // 2
    y = lax.conv_general_dilated(x, w, (stride, stride), ((pad, pad),) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def norm(p: Arrays, s: Arrays, new: Arrays, name: str, x: Any) -> Any:
    """Batch normalisation in training; the moved statistics are put into ``new``."""
    mean, var = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    count = x.size // x.shape[-1]
    batch_values = {"running_mean": mean, "running_var": var * (count / (count - 1))}
    for part, value in batch_values.items():
        new[f"{name}.{part}"] = (1 - MOMENTUM) * s[f"{name}.{part}"] + MOMENTUM * value
    new[f"{name}.num_batches_tracked"] = s[f"{name}.num_batches_tracked"] + 1
    scale = p[f"{name}.weight"] * lax.rsqrt(var + NORM_EPS)
    return (x - mean) * scale + p[f"{name}.bias"]


def pool(x: Any) -> Any:
    """Max pooling 2x2."""
    n, h, w, c = x.shape
    return jnp.max(x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c), (2, 4))


def dropout(x: Any, share: float, key: Any) -> Any:
    """Each element 0 with probability ``share``, else x / (1 - share)."""
    return jnp.where(jax.random.bernoulli(key, 1 - share, x.shape), x / (1 - share), 0) if share else x


def network(workload: Workload, p: Arrays, s: Arrays, x: Any, key: Any) -> tuple[Any, Arrays]:
    """Logits, and the moved running statistics."""
    new: Arrays = {}
    relu = jax.nn.relu
    match workload:
        case MLP(sizes=sizes):
            for i in range(len(sizes) - 2):
                x = relu(dense(p, str(2 * i), x))
            return dense(p, str(2 * (len(sizes) - 2)), x), new
        case CNN(channels=channels):
            block = 4 if workload.batch_norm else 3
            flat = block * (len(channels) - 1)
            for i in range(0, flat, block):
                x = conv(p, str(i), x)
                if workload.batch_norm:
                    x = norm(p, s, new, str(i + 1), x)
                x = pool(relu(x))
            x = relu(dense(p, str(flat + 1), x.reshape(len(x), -1)))
            return dense(p, str(flat + 4), dropout(x, workload.dropout, key)), new
        case ResNet():
            x = conv(p, "0", x)
            for i, (_, _, stride) in enumerate(workload.stages, 1):
                y = relu(norm(p, s, new, f"{i}.body.1", conv(p, f"{i}.body.0", x, stride)))
                y = relu(norm(p, s, new, f"{i}.body.4", conv(p, f"{i}.body.3", y)))
                if f"{i}.skip.0.weight" in p:
                    x = norm(p, s, new, f"{i}.skip.1", conv(p, f"{i}.skip.0", x, stride))
                x = x + y
            return dense(p, str(len(workload.stages) + 3), jnp.mean(x, (1, 2))), new


def cross_entropy(logits: Any, y: Any) -> Any:
    """The mean cross entropy with classes ``y``."""
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
    return -jnp.mean(picked)


def adam(p: Any, m: Any, v: Any, t: Any, g: Any) -> tuple[Any, Any, Any]:
    """Adam with PyTorch's formula: the new parameter and averages."""
    m = m + (1 - BETA1) * (g - m)
    v = BETA2 * v + (1 - BETA2) * g * g
    first, second = 1 - BETA1**t, 1 - BETA2**t
    return p - RATE / first * m / (jnp.sqrt(v) / jnp.sqrt(second) + EPS), m, v


State = tuple[Arrays, Arrays, Arrays, Arrays, Any, Any]
"""Parameters, Adam's averages m and v, running statistics, steps done, the key of dropout."""


def start(workload: Workload) -> State:
    """The state before the first step."""
    p, s = arrays(workload)
    zeros = {name: jnp.zeros_like(a) for name, a in p.items()}
    more = {name: jnp.zeros_like(a) for name, a in p.items()}
    return p, zeros, more, s, jnp.zeros((), jnp.float32), jax.random.key(0)


def train_step(workload: Workload, state: State, x: Any, y: Any) -> tuple[State, Any]:
    """One training step: the next state and the loss."""
    p, m, v, s, t, key = state
    key, drawn = jax.random.split(key)

    def objective(p: Arrays) -> tuple[Any, Arrays]:
        logits, new = network(workload, p, s, x, drawn)
        return cross_entropy(logits, y), new

    (loss, s), g = jax.value_and_grad(objective, has_aux=True)(p)
    t = t + 1
    moved = {name: adam(p[name], m[name], v[name], t, g[name]) for name in p}
    p, m, v = ({name: new[i] for name, new in moved.items()} for i in range(3))
    return (p, m, v, s, t, key), loss


def finished(value: Any) -> float:
    """The sum of the absolute values of ``value``, once it is computed."""
    return float(np.abs(np.asarray(jax.block_until_ready(value))).sum())
