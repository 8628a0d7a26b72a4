"""Reading and writing at positions that are data.

``axes`` names the axes of x that are indexed, in increasing order, one index tensor (int64) for each; the index
tensors have one common shape S. The result has S first and the remaining axes of x behind it. Negative positions
count from the end.

    take      y[s, r]  = x[i(s), r]
    put_add   y        = zeros of ``shape``; y[i(s), r] += v[s, r], in the order of s
    put       y        = x; y[i(s), r] = v[s, r]; the last write to a place stays
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from haema import dtypes
from haema.errors import DTypeError
from haema.ops.core import Op, Spec, same_dtype

Axes = tuple[int, ...]


def _front(x: np.ndarray, axes: Axes) -> np.ndarray:
    """``x`` with ``axes`` moved to the front: a view."""
    return x.transpose(*axes, *(a for a in range(x.ndim) if a not in axes))


class Indexing(Op):
    """An operation with index tensors as its last inputs, however many ``axes`` there are.

    Args:
        name: Name of the operation.
        values: How many inputs stand before the index tensors.
    """

    family = "index"

    def __init__(self, name: str, values: int) -> None:
        super().__init__(name, ())
        self.differentiable = True
        self.values = values

    def keeps(self, n: int) -> tuple[bool, ...]:
        return (False,) * self.values + (True,) * (n - self.values)

    def check(self, x_shape: tuple[int, ...], indices: tuple[Spec, ...], axes: Axes) -> tuple[int, ...]:
        """The shape of what ``take`` would give."""
        for s in indices:
            if s.dtype != dtypes.int64:
                raise DTypeError(f"{self.name}: an index must be int64, not {s.dtype.name}")
            if s.shape != indices[0].shape:
                raise self.wrong_shape(f"index shapes {indices[0].shape} and {s.shape} differ")
        rest = tuple(n for a, n in enumerate(x_shape) if a not in axes)
        return (*indices[0].shape, *rest)

    def guard(self, x_shape: tuple[int, ...], indices: tuple[np.ndarray, ...], axes: Axes) -> None:
        """Say which index is out of range.

        Raises:
            IndexError: one is.
        """
        for axis, index in zip(axes, indices, strict=True):
            n = x_shape[axis]
            wrong = (index < -n) | (index >= n)
            if wrong.any():
                found = index[wrong].flat[0]
                raise IndexError(f"index {found} is out of range for axis {axis} with size {n}")


class Take(Indexing):
    def rule(self, *specs: Spec, axes: Axes = (), **params: Any) -> Spec:
        return Spec(self.check(specs[0].shape, specs[1:], axes), specs[0].dtype)

    def evaluate(self, *arrays: np.ndarray, axes: Axes = (), **_: Any) -> np.ndarray:
        x, *indices = arrays
        try:
            return np.asarray(_front(x, axes)[tuple(indices)], order="C")
        except IndexError:
            self.guard(x.shape, tuple(indices), axes)
            raise

    def vjp(self, record: Any, g: Any) -> list[Any]:
        indices = [record.input(i) for i in range(1, len(record.shapes))]
        gx = put_add(g, *indices, shape=record.shapes[0], axes=record.params["axes"])
        return [gx] + [None] * len(indices)


class PutAdd(Indexing):
    def rule(self, *specs: Spec, axes: Axes = (), shape: tuple[int, ...] = (), **params: Any) -> Spec:
        region = self.check(shape, specs[1:], axes)
        if region != specs[0].shape:
            raise self.wrong_shape(f"values of shape {specs[0].shape} do not fit a region of shape {region}")
        return Spec(shape, specs[0].dtype)

    def evaluate(self, *arrays: np.ndarray, axes: Axes = (), shape: tuple[int, ...] = (), **_: Any) -> np.ndarray:
        v, *indices = arrays
        y = np.zeros(shape, v.dtype)
        self.guard(shape, tuple(indices), axes)
        np.add.at(_front(y, axes), tuple(indices), v)
        return y

    def vjp(self, record: Any, g: Any) -> list[Any]:
        indices = [record.input(i) for i in range(1, len(record.shapes))]
        return [take(g, *indices, axes=record.params["axes"])] + [None] * len(indices)


class Put(Indexing):
    def rule(self, *specs: Spec, axes: Axes = (), **params: Any) -> Spec:
        x, v, *indices = specs
        same_dtype(self, (x, v))
        region = self.check(x.shape, tuple(indices), axes)
        if region != v.shape:
            raise self.wrong_shape(f"values of shape {v.shape} do not fit a region of shape {region}")
        return x

    def evaluate(self, *arrays: np.ndarray, axes: Axes = (), **_: Any) -> np.ndarray:
        y = arrays[0].copy()
        self.update(y, *arrays, axes=axes)
        return y

    def update(self, out: np.ndarray, *arrays: np.ndarray, axes: Axes = (), **_: Any) -> None:
        v, *indices = arrays[1:]
        self.guard(out.shape, tuple(indices), axes)
        _front(out, axes)[tuple(indices)] = v

    def vjp(self, record: Any, g: Any) -> list[Any]:
        axes = record.params["axes"]
        indices = [record.input(i) for i in range(2, len(record.shapes))]
        want_x, want_v = record.wants[:2]
        gx = gv = None
        if want_x:
            zeros = g._constant(0, g.dtype).expand(record.shapes[1])
            gx = put(g, zeros, *indices, axes=axes)
        if want_v:
            gv = take(g, *indices, axes=axes)
            stays = self._last(record, indices).reshape((*indices[0].shape, *(1,) * (len(g.shape) - len(axes))))
            gv = gv.where(stays, 0)
        return [gx, gv] + [None] * len(indices)

    def _last(self, record: Any, indices: list[Any]) -> Any:
        """For each write, whether no later one overwrote it: write the numbers of the writes, and read them back."""
        axes = tuple(range(len(indices)))
        shape = indices[0].shape
        number = indices[0]._constant(np.arange(math.prod(shape)).reshape(shape), dtypes.int64)
        none = number._constant(0, dtypes.int64).expand(tuple(record.shapes[0][a] for a in record.params["axes"]))
        return take(put(none, number, *indices, axes=axes), *indices, axes=axes) == number


take = Take("take", 1)
put_add = PutAdd("put_add", 1)
put = Put("put", 2)
