"""The contraction of two tensors: an einsum of two operands.

    y[out labels] = sum over the labels not in out of  x[x labels] * w[w labels]

``spec`` is written as for ``einsum``, e.g. ``"mk,kn->mn"``. Each label is in at least two of the three terms and
at most once in each, so that both derivatives are contractions again, with the terms swapped:

    gx = g, w -> x        gw = g, x -> w

A dense layer, batched matrix products, outer products and the three products of a convolution are all this.

Words (uint32) are pairs of bfloat16, two neighbours of the sum; with x0 and x1 the numbers in the lower and upper half

    y[out labels] = sum of  x0[x labels] * w0[w labels] + x1[x labels] * w1[w labels],  in float32
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from haema import dtypes
from haema.ops.core import Op, Spec, same_dtype
from haema.threads import shared

Axes = tuple[int, ...]


def multiplications(spec: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...]) -> int:
    """How many products a contraction adds up: the product of all its axes' sizes."""
    x, w, _ = parse(spec)
    return math.prod({**dict(zip(x, x_shape, strict=True)), **dict(zip(w, w_shape, strict=True))}.values())


class Plan(NamedTuple):
    """How a contraction becomes one batched matrix product: (batch, m, k) times (batch, k, n)."""

    x_axes: Axes
    w_axes: Axes
    batch: int  # how many labels are in x, w and out
    m: int  # in x and out
    k: int  # in x and w
    n: int  # in w and out
    out_axes: Axes
    swap: bool  # compute the transposed product, whose axes stand in the order wanted


@lru_cache(maxsize=4096)
def parse(spec: str) -> tuple[str, str, str]:
    """The labels of x, w and the output.

    Raises:
        ValueError: ``spec`` is no contraction of two operands.
    """
    inputs, _, out = spec.partition("->")
    x, _, w = inputs.partition(",")
    for label in set(x + w + out):
        if max(x.count(label), w.count(label), out.count(label)) > 1:
            raise ValueError(f"contract: label {label} stands twice in one term of {spec}")
        if (label in x) + (label in w) + (label in out) < 2:
            raise ValueError(f"contract: label {label} is in one term only of {spec}")
    return x, w, out


@lru_cache(maxsize=4096)
def plan(spec: str) -> Plan:
    """The matrix product behind ``spec``."""
    x, w, out = parse(spec)
    batch = [c for c in out if c in x and c in w]
    k = [c for c in x if c in w and c not in out]
    m = [c for c in out if c not in w]
    n = [c for c in out if c not in x]
    swap = bool(n) and bool(m) and out.index(n[0]) < out.index(m[0])
    if swap:
        x, w, m, n = w, x, n, m
    order = [*batch, *m, *n]
    return Plan(
        tuple(x.index(c) for c in (*batch, *m, *k)),
        tuple(w.index(c) for c in (*batch, *k, *n)),
        len(batch),
        len(m),
        len(k),
        len(n),
        tuple(order.index(c) for c in out),
        swap,
    )


def _product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Matrix products, (batch..., M, K) times (batch..., K, N)."""
    return shared(x.size * w.shape[-1], np.matmul, x, w)


def _lower(pairs: np.ndarray) -> np.ndarray:
    """The first numbers of pairs."""
    return (pairs << np.uint32(16)).view(np.float32)


def _upper(pairs: np.ndarray) -> np.ndarray:
    """The second numbers."""
    return (pairs & np.uint32(0xFFFF0000)).view(np.float32)


class Contract(Op):
    """y = contraction of x and w by ``spec``."""

    family = "contract"

    def rule(self, *specs: Spec, spec: str = "", **params: Any) -> Spec:
        x, w = specs
        labels_x, labels_w, out = parse(spec)
        for labels, s in ((labels_x, x), (labels_w, w)):
            if len(labels) != len(s.shape):
                raise self.wrong_shape(f"{spec}: shape {s.shape} does not have the {len(labels)} axes {labels}")
        sizes = dict(zip(labels_x, x.shape, strict=True))
        for label, n in zip(labels_w, w.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                raise self.wrong_shape(
                    f"{spec}: shapes {x.shape} and {w.shape} disagree on axis {label}: {sizes[label]} and {n}"
                )
        dtype = same_dtype(self, specs)
        return Spec(tuple(sizes[c] for c in out), dtypes.float32 if dtype == dtypes.uint32 else dtype)

    def evaluate(self, *arrays: np.ndarray, spec: str = "", **_: Any) -> np.ndarray:
        if arrays[0].dtype == dtypes.uint32:
            first, second = (self.evaluate(*map(half, arrays), spec=spec) for half in (_lower, _upper))
            return np.asarray(first + second)
        p = plan(spec)
        x, w = reversed(arrays) if p.swap else arrays
        x = x.transpose(p.x_axes)
        w = w.transpose(p.w_axes)
        if p.batch <= 1 and p.m == 1 and p.k == 1 and p.n == 1:
            y = _product(x, w)
        else:
            b, m, n = x.shape[: p.batch], x.shape[p.batch : p.batch + p.m], w.shape[p.batch + p.k :]
            k = math.prod(x.shape[p.batch + p.m :])
            x = x.reshape(*b, math.prod(m), k)  # (batch..., M, K)
            w = w.reshape(*b, k, math.prod(n))  # (batch..., K, N)
            y = _product(x, w).reshape((*b, *m, *n))
        y = y.transpose(p.out_axes)
        return y if y.flags.c_contiguous else y.copy()  # row-major, so that view() works on every product


def _gradient(spec: str, g: Any, other: Any, *, of_x: bool) -> Any:
    x, w, out = parse(spec)
    return contract(g, other, spec=f"{out},{w}->{x}" if of_x else f"{out},{x}->{w}")


contract = Contract(
    "contract",
    ("x", "w"),
    {
        "x": lambda g, w, spec: _gradient(spec, g, w, of_x=True),
        "w": lambda g, x, spec: _gradient(spec, g, x, of_x=False),
    },
)
