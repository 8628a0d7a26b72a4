"""Reductions over axes: y[i] = combine of x[i, j] over j.

``axes`` is a sorted tuple of non-negative axes; ``keepdims`` leaves them in the result with size 1. Sums are
NumPy's: pairwise along the last axis, row by row over the others. The gradient of ``max`` and ``min`` is shared evenly
among tied elements (``amax`` in PyTorch); ``argmax`` names the first of them. A nan among the elements is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from haema import dtypes
from haema.errors import DTypeError
from haema.ops.core import Op, Spec
from haema.ops.view import expand, flip, reshape

Axes = tuple[int, ...]


def reduced_shape(shape: tuple[int, ...], axes: Axes, keepdims: bool) -> tuple[int, ...]:
    """``shape`` with ``axes`` taken out, or kept as 1."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def spread(g: Any, shape: tuple[int, ...], axes: Axes, keepdims: bool) -> Any:
    """A reduced tensor stretched back over ``axes`` to ``shape``: the adjoint of a sum."""
    if not keepdims:
        g = reshape(g, shape=reduced_shape(shape, axes, True))
    return expand(g, shape=shape)


class Reduce(Op):
    """A reduction with a NumPy function ``f(x, axis=, keepdims=)``."""

    family = "reduce"

    def __init__(
        self,
        name: str,
        function: Callable[..., np.ndarray],
        grad: Callable[..., Any] | None = None,
        *,
        result: np.dtype | None = None,
        identity: bool = True,
    ) -> None:
        super().__init__(name, ("x",), {"x": grad} if grad else None)
        self.function = function
        self.result = result
        self.identity = identity

    def rule(self, *specs: Spec, axes: Axes = (), keepdims: bool = False, **params: Any) -> Spec:
        (x,) = specs
        for axis in axes:
            if not self.identity and x.shape[axis] == 0:
                raise self.wrong_shape(f"axis {axis} of shape {x.shape} is empty, so there is nothing to pick")
        return Spec(reduced_shape(x.shape, axes, keepdims), self.result or x.dtype)

    def evaluate(self, *arrays: np.ndarray, axes: Axes = (), keepdims: bool = False, **_: Any) -> np.ndarray:
        return np.asarray(self.function(arrays[0], axis=axes, keepdims=keepdims), order="C")


def _sum(x: np.ndarray, axis: Axes, keepdims: bool) -> np.ndarray:
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=dtypes.cast_for_sum(x.dtype))  # type: ignore[call-overload]


class Sum(Reduce):
    """y = sum of x over ``axes``, taken in int64 for booleans and integers."""

    def rule(self, *specs: Spec, axes: Axes = (), keepdims: bool = False, **params: Any) -> Spec:
        shape = reduced_shape(specs[0].shape, axes, keepdims)
        return Spec(shape, dtypes.cast_for_sum(specs[0].dtype))


def _grad_extreme(g: Any, y: Any, x: Any, axes: Axes, keepdims: bool) -> Any:
    """Even shares for the elements that equal the extreme."""
    best = spread(y, x.shape, axes, keepdims)
    tied = (x == best).to(g.dtype)
    return spread(g, x.shape, axes, keepdims) * tied / sum(tied, axes=axes, keepdims=True)


class Arg(Reduce):
    """The position of the first extreme along one axis."""

    def evaluate(self, *arrays: np.ndarray, axes: Axes = (), keepdims: bool = False, **_: Any) -> np.ndarray:
        (axis,) = axes
        return self.function(arrays[0], axis=axis, keepdims=keepdims)


class Scan(Op):
    """A running reduction along ``axis``: y[i] = x[0] + ... + x[i]."""

    family = "reduce"

    def rule(self, *specs: Spec, axis: int = 0, **params: Any) -> Spec:
        return Spec(specs[0].shape, dtypes.cast_for_sum(specs[0].dtype))

    def evaluate(self, *arrays: np.ndarray, axis: int = 0, **_: Any) -> np.ndarray:
        y = np.cumsum(arrays[0], axis=axis, dtype=dtypes.cast_for_sum(arrays[0].dtype))
        return np.asarray(y, order="C")


sum = Sum("sum", _sum, lambda g, x_shape, axes, keepdims: spread(g, x_shape, axes, keepdims))
max = Reduce("max", np.maximum.reduce, _grad_extreme, identity=False)
min = Reduce("min", np.minimum.reduce, _grad_extreme, identity=False)
argmax = Arg("argmax", np.argmax, result=dtypes.int64, identity=False)
argmin = Arg("argmin", np.argmin, result=dtypes.int64, identity=False)
cumsum: Scan = Scan(
    "cumsum",
    ("x",),
    {"x": lambda g, axis: flip(cumsum(flip(g, axes=(axis,)), axis=axis), axes=(axis,))},
)


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` summed over the axes along which ``shape`` was broadcast: the adjoint of broadcasting.

    Raises:
        DTypeError: ``x`` is not floating, for only gradients are summed back.
    """
    if not dtypes.is_floating(x.dtype):
        raise DTypeError(f"sum_to: a gradient must be floating, not {x.dtype.name}")
    lead = len(x.shape) - len(shape)
    axes = tuple(range(lead))
    axes += tuple(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1)
    if axes:
        x = sum(x, axes=axes, keepdims=False)
    return x if x.shape == shape else reshape(x, shape=shape)
