"""Random programs of several operations on random shapes, sizes 0 and 1 included, against finite differences.

The operations are smooth on the interval where the numbers stay, so that every disagreement is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import haema as hm
from haema.autograd import gradcheck, gradgradcheck

SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=3).map(tuple)


def _axis(x: Any, k: int) -> int:
    return k % max(x.ndim, 1)


STEPS: dict[str, Any] = {
    "tanh": lambda x, w, k: x.tanh(),
    "sigmoid": lambda x, w, k: x.sigmoid(),
    "sin": lambda x, w, k: (x * 2).sin(),
    "square": lambda x, w, k: x * x,
    "divide": lambda x, w, k: x / (1 + (w * w).sum()),
    "softplus": lambda x, w, k: (1 + x.exp()).log(),
    "multiply": lambda x, w, k: x * w.mean() if w.numel() else x,
    "sum": lambda x, w, k: x.sum(_axis(x, k), keepdim=k > 2),
    "mean": lambda x, w, k: x.mean(_axis(x, k)) if x.numel() else x.sum(),
    "softmax": lambda x, w, k: x.softmax(_axis(x, k)) if x.numel() else x,
    "logsumexp": lambda x, w, k: x.logsumexp(_axis(x, k)) if x.numel() else x,
    "cumsum": lambda x, w, k: x.cumsum(_axis(x, k)) if x.ndim else x,
    "prod": lambda x, w, k: x.prod(_axis(x, k)) if x.ndim else x,
    "outer": lambda x, w, k: x.unsqueeze(-1) * w.flatten()[:2],
    "matmul": lambda x, w, k: x @ x.mT if x.ndim > 1 else x * 2,
    "transpose": lambda x, w, k: x.transpose(0, -1) if x.ndim else x,
    "flatten": lambda x, w, k: x.flatten(),
    "flip": lambda x, w, k: x.flip(_axis(x, k)) if x.ndim else x,
    "slice": lambda x, w, k: x[k % 2 :: 2] if x.ndim else x,
    "pick": lambda x, w, k: x[[0, -1, 0]] if x.ndim and x.shape[0] else x,
    "pad": lambda x, w, k: hm.cat([x, x * 0.5], _axis(x, k)) if x.ndim else x,
    "write": lambda x, w, k: _written(x, w),
    "view": lambda x, w, k: _through_a_view(x, w),
    "unsqueeze": lambda x, w, k: x.unsqueeze(k % (x.ndim + 1)),
    "expand": lambda x, w, k: x.expand(2, *x.shape),
    "where": lambda x, w, k: hm.where(hm.arange(x.numel()).reshape(x.shape) % 2 == 0, x, x * x),
    "variance": lambda x, w, k: (x.var(unbiased=False) + 1).sqrt() * x if x.numel() else x,
}


def _written(x: hm.Tensor, w: hm.Tensor) -> hm.Tensor:
    y = x * 1
    if y.ndim and y.shape[0]:
        y[0] = (w * w).sum().tanh()
    return y


def _through_a_view(x: hm.Tensor, w: hm.Tensor) -> hm.Tensor:
    y = x * 1
    v = y.reshape(-1)[1:]
    v.mul_(0.5)
    v.add_((w * w).sum().tanh())
    return y + v.sum()


PROGRAMS = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 4)), min_size=1, max_size=5)


def _run(program: list[tuple[str, int]], x: hm.Tensor, w: hm.Tensor) -> hm.Tensor:
    for name, k in program:
        x = STEPS[name](x, w, k)
        if x.numel() > 24:
            x = x.flatten()[:24]
        x = x.tanh()  # the numbers stay where finite differences are good
    return x


@settings(max_examples=120, deadline=None, derandomize=True)
@given(PROGRAMS, SHAPES, SHAPES, st.integers(0, 1000))
def test_random_programs(program, shape, other, seed) -> None:
    rng = np.random.default_rng(seed)
    x, w = (hm.tensor(rng.uniform(-1, 1, s), requires_grad=True) for s in (shape, other))
    y = _run(program, x, w)
    assert y.dtype == hm.float64
    if y.requires_grad:
        assert gradcheck(lambda x, w: _run(program, x, w), (x, w), atol=1e-7, rtol=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(PROGRAMS.filter(lambda p: len(p) < 4), SHAPES, st.integers(0, 1000))
def test_random_programs_twice(program, shape, seed) -> None:
    rng = np.random.default_rng(seed)
    x, w = (hm.tensor(rng.uniform(-1, 1, s), requires_grad=True) for s in (shape, (2,)))
    y = _run(program, x, w)
    if y.requires_grad and y.numel() and x.numel() < 10:
        assert gradgradcheck(
            lambda x, w: _run(program, x, w)[..., :6] if y.ndim else _run(program, x, w), (x, w), rtol=1e-4
        )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(PROGRAMS, SHAPES, st.integers(0, 1000))
def test_the_same_program_gives_the_same_bits(program, shape, seed) -> None:
    rng = np.random.default_rng(seed)
    array = rng.uniform(-1, 1, shape).astype(np.float32)
    results = []
    for _ in range(2):
        x = hm.tensor(array, requires_grad=True)
        y = _run(program, x, hm.ones(2))
        y.sum().backward()
        results.append((y.tolist(), x.grad.tolist()))
    assert repr(results[0]) == repr(results[1])
    assert y.dtype == x.grad.dtype == hm.float32
