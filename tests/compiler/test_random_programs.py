"""Random programs, and random convolutions and poolings: compiled equals eager, in values, types, and what they change.

``HAEMA_EXAMPLES=2000 pytest tests/compiler/test_random_programs.py`` searches longer, each time elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import haema as hm
import haema.nn.functional as F
from haema import Tensor
from tests.compiler.checking import all_close
from tests.compiler.programs import CHANGES, STEPS

MORE = int(os.environ.get("HAEMA_EXAMPLES", "0"))

SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 17]), max_size=3).map(tuple)
PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from([None, *CHANGES]), st.integers(0, 4)),
    min_size=1,
    max_size=6,
)
DTYPES = st.sampled_from(["float32", "float64"])
SEEDS = st.integers(0, 1000)


def searched(examples: int) -> Callable[[Any], Any]:
    """So many examples, the same ones in every run; or as many as the environment says, others in every run."""
    return settings(max_examples=MORE or examples, deadline=None, derandomize=not MORE, database=None)


def tensors(seed: int, dtype: str, *shapes: tuple[int, ...]) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [hm.tensor(rng.uniform(-1, 1, s).astype(dtype), requires_grad=True) for s in shapes]


def agree(make: Callable[[], tuple[Callable[..., Any], list[Tensor]]], inputs: list[Tensor], calls: int = 2) -> None:
    """Two calls, the second from what the first left: results, state and random numbers, compiled and eager."""
    f, states = make()
    expected = []
    hm.manual_seed(1)
    for _ in range(calls):
        expected.append([y.clone() for y in f(*inputs)])
    end = hm.get_rng_state()
    found_f, found_states = make()
    g = hm.compile(found_f)
    hm.manual_seed(1)
    for e in expected:
        all_close(g(*inputs), e, scale=30)
    all_close(found_states, states, scale=30)
    assert hm.get_rng_state().tolist() == end.tolist()


def small(x: Tensor, most: int) -> Tensor:
    return x.flatten()[:most] if x.numel() > most else x


@searched(100)
@given(PROGRAMS, SHAPES, SHAPES, DTYPES, SEEDS)
def test_programs(program: Any, shape: Any, other: Any, dtype: str, seed: int) -> None:
    """Forward, gradients, and a state changed in place on the way."""
    inputs = tensors(seed, dtype, shape, other)

    def make() -> tuple[Any, list[Tensor]]:
        (s,) = (t.detach() for t in tensors(seed + 1, dtype, (3, 4)))

        def f(x: Tensor, w: Tensor) -> list[Tensor]:
            y = x
            for step, change, k in program:
                y = small(STEPS[step](y, w, k), 200).tanh()
                if change is not None:
                    with hm.no_grad():
                        CHANGES[change](s, y.detach(), k)
                    y = y + s.sum() * 0.1
            gs = hm.autograd.grad((y * (y + 1)).sum(), [x, w], allow_unused=True) if y.requires_grad else ()
            return [y.detach(), *(g for g in gs if g is not None)]

        return f, [s]

    agree(make, inputs)


@searched(40)
@given(PROGRAMS.filter(lambda p: len(p) < 4), SHAPES, SEEDS)
def test_gradients_of_gradients(program: Any, shape: Any, seed: int) -> None:
    inputs = tensors(seed, "float64", shape, (2,))

    def f(x: Tensor, w: Tensor) -> list[Tensor]:
        y = x
        for step, _, k in program:
            y = small(STEPS[step](y, w, k), 60).tanh()
        if not y.requires_grad:
            return [y]
        gs = hm.autograd.grad((y * y).sum(), [x, w], allow_unused=True, create_graph=True)
        first = [g for g in gs if g is not None and g.requires_grad]
        total = sum((g * g).sum() for g in first)
        hs = hm.autograd.grad(total, [x, w], allow_unused=True) if isinstance(total, Tensor) else ()
        return [t.detach() for t in (y, *gs, *hs) if t is not None]

    agree(lambda: (f, []), inputs, calls=1)


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 19))
PADS = st.tuples(st.integers(0, 2), st.integers(0, 2))
WIDTHS = st.sampled_from([1, 2, 3, 5, 17])


def with_gradients(f: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    """f, and the gradients of a sum over its result that weighs every element differently."""

    def g(*xs: Tensor) -> list[Tensor]:
        y = f(*xs)
        weights = (hm.arange(y.numel()).reshape(y.shape) % 7).to(y.dtype) * 0.1 + 0.5
        return [y.detach(), *hm.autograd.grad((y * weights).sum(), list(xs))]

    return g


@searched(40)
@given(st.integers(0, 3), st.integers(1, 3), WIDTHS, WIDTHS, SIZES, PAIRS, PAIRS, PADS, PAIRS, DTYPES, st.booleans())
def test_convolutions(n, groups, c, o, size, kernel, stride, padding, dilation, dtype, bias) -> None:
    """Batches of 0 and 1, odd sizes, and every option."""
    if any(s + 2 * p < d * (k - 1) + 1 for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)):
        return
    inputs = tensors(n, dtype, (n, groups * c, *size), (groups * o, c, *kernel), *([(groups * o,)] if bias else []))

    def f(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return F.conv2d(x, w, b, stride, padding, dilation, groups)

    agree(lambda: (with_gradients(f), []), inputs, calls=1)


@searched(25)
@given(st.integers(0, 3), st.integers(1, 2), WIDTHS, WIDTHS, SIZES, PAIRS, PAIRS, PADS, PADS, PAIRS, DTYPES)
def test_transposed_convolutions(n, groups, c, o, size, kernel, stride, padding, extra, dilation, dtype) -> None:
    extra = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation, strict=True))
    out = [
        (s - 1) * t - 2 * p + d * (k - 1) + e + 1
        for s, t, p, d, k, e in zip(size, stride, padding, dilation, kernel, extra, strict=True)
    ]
    if min(out) < 1:
        return
    inputs = tensors(n, dtype, (n, groups * c, *size), (groups * c, o, *kernel))

    def f(x: Tensor, w: Tensor) -> Tensor:
        return F.conv_transpose2d(x, w, None, stride, padding, extra, groups, dilation)

    agree(lambda: (with_gradients(f), []), inputs, calls=1)


@searched(40)
@given(st.sampled_from(["max", "avg"]), st.integers(0, 3), WIDTHS, SIZES, PAIRS, PAIRS, PADS, PAIRS, DTYPES)
def test_poolings(kind, n, c, size, kernel, stride, padding, dilation, dtype) -> None:
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    if kind == "avg":
        dilation = (1, 1)
    if any(s + 2 * p < d * (k - 1) + 1 for s, p, d, k in zip(size, padding, dilation, kernel, strict=True)):
        return
    inputs = tensors(n, dtype, (n, c, *size))

    def f(x: Tensor) -> Tensor:
        if kind == "max":
            return F.max_pool2d(x, kernel, stride, padding, dilation)
        return F.avg_pool2d(x, kernel, stride, padding)

    agree(lambda: (with_gradients(f), []), inputs, calls=1)


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_a_state(change: str) -> None:
    """Each alone, in three calls, next to a reader of the old value."""

    def make() -> tuple[Any, list[Tensor]]:
        s = hm.arange(12.0).reshape(3, 4) * 0.1

        def f(x: Tensor) -> list[Tensor]:
            before = s * 2
            CHANGES[change](s, x, 1)
            return [before, s + 0]

        return f, [s]

    agree(make, [hm.ones(2)], calls=3)
