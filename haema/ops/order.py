"""Operations whose result depends on the order of values, or whose shape depends on them: eager only."""

from __future__ import annotations

from typing import Any

import numpy as np

from haema import dtypes
from haema.ops.core import Op, Spec


class ArgSort(Op):
    """Positions that sort x along ``axis``; equal values keep their order, nan counts as largest."""

    family = "order"
    compiles = False

    def rule(self, *specs: Spec, **params: Any) -> Spec:
        return Spec(specs[0].shape, dtypes.int64)

    def evaluate(self, *arrays: np.ndarray, axis: int = -1, descending: bool = False, **_: Any) -> np.ndarray:
        (x,) = arrays
        if not descending:
            return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
        last = x.shape[axis] - 1  # a stable descending sort: reverse, sort, reverse
        return last - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


class NonZero(Op):
    """Positions of the non-zero elements, one row each, in row-major order: shape (count, ndim)."""

    family = "order"
    compiles = False

    def rule(self, *specs: Spec, **params: Any) -> Spec:
        return Spec((-1, len(specs[0].shape)), dtypes.int64)

    def evaluate(self, *arrays: np.ndarray, **_: Any) -> np.ndarray:
        return np.argwhere(arrays[0]).astype(np.int64, order="C", copy=False)


argsort = ArgSort("argsort", ("x",))
nonzero = NonZero("nonzero", ("x",))
