"""What the primitives mean, in plain loops over positions: what their NumPy evaluation is compared with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.ops import scalars

Shape = tuple[int, ...]
Reference = Callable[..., np.ndarray]


def places(shape: Shape) -> Iterator[Shape]:
    """All positions in a tensor of ``shape``."""
    return itertools.product(*map(range, shape))


def built(shape: Shape, dtype: Any, f: Callable[[Shape], Any]) -> np.ndarray:
    """The array with ``f(position)`` at every position."""
    y = np.zeros(shape, dtype)
    for i in places(shape):
        y[i] = f(i)
    return y


def where(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return scalars.each(lambda c, a, b: a if c else b, c, a, b)


def cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    kind: Any = {"b": bool, "f": float}.get(dtype.kind, int)
    return scalars.each(kind, x, dtype=dtype)


def reduction(f: Callable[[list[Any]], Any], dtype: Any = None) -> Reference:
    """``f`` of the list of elements that are reduced into one."""

    def reference(x: np.ndarray, axes: Shape, keepdims: bool) -> np.ndarray:
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        inner = [range(n) if a in axes else (0,) for a, n in enumerate(x.shape)]

        def value(i: Shape) -> Any:
            return f([x[tuple(map(sum, zip(i, j, strict=True)))].item() for j in itertools.product(*inner)])

        y = built(kept, dtype or x.dtype, value)
        return y if keepdims else y.reshape([n for a, n in enumerate(x.shape) if a not in axes])

    return reference


def _sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # it takes no inf - inf
        return sum(values)


def total(x: np.ndarray, axes: Shape, keepdims: bool) -> np.ndarray:
    wide = x.dtype.kind != "f"
    return reduction(sum if wide else _sum, np.int64 if wide else x.dtype)(x, axes, keepdims)


def cumsum(x: np.ndarray, axis: int) -> np.ndarray:
    y = x.astype(x.dtype if x.dtype.kind == "f" else np.int64)
    for i in range(1, x.shape[axis]):
        before, here = [(slice(None),) * axis + (j,) for j in (i - 1, i)]
        y[here] = y[before] + y[here]
    return y


# -- order ------------------------------------------------------------------


def argsort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """A stable insertion by comparison; nan is larger than all else."""

    def key(v: Any) -> tuple[bool, Any]:
        return (v != v, 0 if v != v else v)

    def rank(i: Shape) -> int:
        column = [x[(*i[:axis], j, *i[axis + 1 :])].item() for j in range(x.shape[axis])]
        return sorted(range(len(column)), key=lambda j: key(column[j]), reverse=descending)[i[axis]]

    return built(x.shape, np.int64, rank)


def nonzero(x: np.ndarray) -> np.ndarray:
    found = [i for i in places(x.shape) if x[i] != 0]
    return np.array(found, np.int64).reshape(len(found), x.ndim)


def contract(x: np.ndarray, w: np.ndarray, spec: str) -> np.ndarray:
    inputs, out = spec.split("->")
    a, b = inputs.split(",")
    sizes = dict(zip(a + b, x.shape + w.shape, strict=True))
    y = np.zeros(tuple(sizes[c] for c in out), x.dtype)
    labels = list(sizes)
    for place in places(tuple(sizes.values())):
        at = dict(zip(labels, place, strict=True))
        y[tuple(at[c] for c in out)] += x[tuple(at[c] for c in a)] * w[tuple(at[c] for c in b)]
    return y


# -- view ------------------------------------------------------------------


def reshape(x: np.ndarray, shape: Shape) -> np.ndarray:
    values = iter([x[i] for i in places(x.shape)])
    return built(shape, x.dtype, lambda i: next(values))


def permute(x: np.ndarray, axes: Shape) -> np.ndarray:
    y = np.zeros(tuple(x.shape[a] for a in axes), x.dtype)
    for i in places(x.shape):
        y[tuple(i[a] for a in axes)] = x[i]
    return y


def expand(x: np.ndarray, shape: Shape) -> np.ndarray:
    lead = len(shape) - x.ndim
    return built(shape, x.dtype, lambda i: x[tuple(0 if n == 1 else j for j, n in zip(i[lead:], x.shape, strict=True))])


def slice_(x: np.ndarray, ranges: Any) -> np.ndarray:
    positions = [list(range(*r)) for r in ranges]
    return built(
        tuple(map(len, positions)), x.dtype, lambda i: x[tuple(p[j] for p, j in zip(positions, i, strict=True))]
    )


def flip(x: np.ndarray, axes: Shape) -> np.ndarray:
    return built(x.shape, x.dtype, lambda i: x[tuple(x.shape[a] - 1 - j if a in axes else j for a, j in enumerate(i))])


def pad(x: np.ndarray, pads: Any, value: float = 0) -> np.ndarray:
    shape = tuple(n + a + b + c * max(n - 1, 0) for n, (a, b, c) in zip(x.shape, pads, strict=True))
    y = built(shape, x.dtype, lambda i: value)
    for i in places(x.shape):
        y[tuple(a + j * (c + 1) for j, (a, _, c) in zip(i, pads, strict=True))] = x[i]
    return y


def window(x: np.ndarray, axis: int, size: int, stride: int, dilation: int) -> np.ndarray:
    count = len(range(0, x.shape[axis] - (size - 1) * dilation, stride))
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
    return built(shape, x.dtype, lambda i: x[(*i[:axis], i[axis] * stride + i[-1] * dilation, *i[axis + 1 : -1])])


def fold(g: np.ndarray, axis: int, length: int, size: int, stride: int, dilation: int) -> np.ndarray:
    y = np.zeros((*g.shape[:axis], length, *g.shape[axis + 1 : -1]), g.dtype)
    for i in places(g.shape):
        y[(*i[:axis], i[axis] * stride + i[-1] * dilation, *i[axis + 1 : -1])] += g[i]
    return y


def concat(*xs: np.ndarray, axis: int) -> np.ndarray:
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    y, start = np.zeros(shape, xs[0].dtype), 0
    for x in xs:
        for i in places(x.shape):
            y[(*i[:axis], i[axis] + start, *i[axis + 1 :])] = x[i]
        start += x.shape[axis]
    return y


def assign(x: np.ndarray, v: np.ndarray, path: Any) -> np.ndarray:
    numbers = np.arange(x.size).reshape(x.shape)  # which element of x each element of the region is
    for op, params in path:
        numbers = op.evaluate(numbers, **params)
    y = x.flatten()
    for i in places(v.shape):
        y[numbers[i]] = v[i]
    return y.reshape(x.shape)


def _spot(i: Shape, s: int, indices: Any, axes: Shape, shape: Shape) -> Shape:
    """Where in x the element at ``i`` of a picked region lies; ``s`` is the number of axes of the indices."""
    rest = iter(i[s:])
    picked = {a: int(index[i[:s]]) % shape[a] for a, index in zip(axes, indices, strict=True)}
    return tuple(picked[a] if a in picked else next(rest) for a in range(len(shape)))


def take(x: np.ndarray, *indices: np.ndarray, axes: Shape) -> np.ndarray:
    shape = (*indices[0].shape, *(n for a, n in enumerate(x.shape) if a not in axes))
    return built(shape, x.dtype, lambda i: x[_spot(i, indices[0].ndim, indices, axes, x.shape)])


def put(x: np.ndarray, v: np.ndarray, *indices: np.ndarray, axes: Shape) -> np.ndarray:
    y = x.copy()
    for i in places(v.shape):
        y[_spot(i, indices[0].ndim, indices, axes, x.shape)] = v[i]
    return y


def put_add(v: np.ndarray, *indices: np.ndarray, axes: Shape, shape: Shape) -> np.ndarray:
    y = np.zeros(shape, v.dtype)
    for i in places(v.shape):
        y[_spot(i, indices[0].ndim, indices, axes, shape)] += v[i]
    return y


# -- random ------------------------------------------------------------------


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 in Python integers, written from the paper."""
    word = 0xFFFFFFFF
    for _ in range(10):
        a, b = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [(b >> 32) ^ counter[1] ^ key[0], b & word, (a >> 32) ^ counter[3] ^ key[1], a & word]
        key = [(key[0] + 0x9E3779B9) & word, (key[1] + 0xBB67AE85) & word]
    return counter


def random_bits(state: np.ndarray, shape: Shape) -> np.ndarray:
    seed, block = (int(v) % 2**64 for v in state)
    words: list[int] = []
    while len(words) < math.prod(shape):
        words += philox([block % 2**32, block >> 32, 0, 0], [seed % 2**32, seed >> 32])
        block = (block + 1) % 2**64
    return np.array(words[: math.prod(shape)], np.uint32).reshape(shape)
