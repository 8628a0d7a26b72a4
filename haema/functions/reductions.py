"""Functions that combine the elements along some axes, or all of them.

``dim`` is an axis, a tuple of axes, or None for all; ``keepdim`` leaves reduced axes in the result with size 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from haema import dtypes, ops
from haema.errors import DTypeError
from haema.functions import elementwise as ew
from haema.functions.promotion import convert, floating, is_tensor
from haema.ops.view import normal_axes, normal_axis

if TYPE_CHECKING:
    from haema.tensor import Tensor

Dim = int | Sequence[int] | None


class ValuesIndices(NamedTuple):
    """The result of a reduction that also says where: ``values`` and ``indices`` (int64)."""

    values: Any
    indices: Any


def _count(x: Tensor, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[a] for a in axes)


def _need_floating(x: Tensor, name: str) -> None:
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: needs a floating tensor, not {x.dtype.name}; convert it with .float() first")


def sum(x: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over ``dim``; booleans and integers are added up as int64."""
    if dtype is not None:
        x = convert(x, dtypes.as_dtype(dtype))
    return ops.sum(x, axes=normal_axes(dim, x.ndim), keepdims=keepdim)


def mean(x: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Arithmetic mean over ``dim``; nan over no elements.

    Raises:
        DTypeError: the tensor is not floating.
    """
    if dtype is not None:
        x = convert(x, dtypes.as_dtype(dtype))
    _need_floating(x, "mean")
    axes = normal_axes(dim, x.ndim)
    return ops.sum(x, axes=axes, keepdims=keepdim) / _count(x, axes)


def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product over ``dim``, in halves: its gradients of any order hold at zeros too."""
    x = convert(x, dtypes.as_dtype(dtype) if dtype is not None else dtypes.cast_for_sum(x.dtype))
    if dim is None:
        x, axis, shape = ops.reshape(x, shape=(x.numel(),)), 0, (1,) * x.ndim if keepdim else ()
    else:
        axis = normal_axis(dim, x.ndim)
        shape = ops.reduce.reduced_shape(x.shape, (axis,), keepdim)
    while x.shape[axis] != 1:
        n = x.shape[axis]
        if n == 0 or n % 2:
            x = ops.pad(x, pads=tuple((0, int(a == axis), 0) for a in range(x.ndim)), value=1)
            continue
        halves = [
            tuple((*half, 1) if a == axis else (0, m, 1) for a, m in enumerate(x.shape))
            for half in ((0, n // 2), (n // 2, n))
        ]
        x = ops.mul(ops.slice(x, ranges=halves[0]), ops.slice(x, ranges=halves[1]))
    return ops.reshape(x, shape=shape)


def var(
    x: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance over ``dim``: sum (x - mean)^2 / (n - correction).

    Args:
        x: Floating tensor.
        dim: Axes.
        unbiased: Correction of 1 (Bessel's) rather than 0.
        keepdim: Keep reduced axes.
        correction: What is taken off the count; overrides ``unbiased``.
    """
    _need_floating(x, "var")
    if isinstance(dim, bool):  # PyTorch's var(unbiased)
        unbiased, dim = dim, None
    axes = normal_axes(dim, x.ndim)
    d = x - mean(x, axes, True)
    less = (1 if unbiased else 0) if correction is None else correction
    divisor = _count(x, axes) - less
    total = ops.sum(d * d, axes=axes, keepdims=keepdim)
    return total / (divisor if divisor > 0 else 0.0)


def std(
    x: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Standard deviation over ``dim``: the square root of ``var``."""
    return ew.sqrt(var(x, dim, unbiased, keepdim, correction=correction))


def var_mean(x: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Variance and mean."""
    return var(x, dim, unbiased, keepdim), mean(x, dim, keepdim)


def amax(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest element over ``dim``; tied elements share the gradient evenly."""
    return ops.max(x, axes=normal_axes(dim, x.ndim), keepdims=keepdim)


def amin(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim``; tied elements share the gradient evenly."""
    return ops.min(x, axes=normal_axes(dim, x.ndim), keepdims=keepdim)


def _arg(op: ops.Op, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is None:
        y = op(ops.reshape(x, shape=(x.numel(),)), axes=(0,), keepdims=False)
        return ops.reshape(y, shape=(1,) * x.ndim) if keepdim else y
    if x.ndim == 0:
        return ops.reshape(_arg(op, ops.reshape(x, shape=(1,)), 0, False), shape=())
    return op(x, axes=(normal_axis(dim, x.ndim),), keepdims=keepdim)


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the first largest element along ``dim``, or in the flattened tensor."""
    return _arg(ops.argmax, x, dim, keepdim)


def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the first smallest element along ``dim``, or in the flattened tensor."""
    return _arg(ops.argmin, x, dim, keepdim)


def _picked(x: Tensor, at: Tensor, dim: int, keepdim: bool) -> ValuesIndices:
    """The elements at positions ``at`` (axis kept) and the positions."""
    from haema.functions.indexing import gather

    values = gather(x, dim, at)
    if not keepdim:
        shape = ops.reduce.reduced_shape(x.shape, (dim,), False)
        values, at = ops.reshape(values, shape=shape), ops.reshape(at, shape=shape)
    return ValuesIndices(values, at)


def max(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; along an axis also its position; with a second tensor the larger, elementwise.

    Along an axis the gradient goes to the first of tied elements, over all of them it is shared evenly.
    """
    if is_tensor(dim):
        return ew.maximum(x, dim)
    if dim is None:
        return amax(x)
    dim = normal_axis(dim, x.ndim)
    return _picked(x, argmax(x, dim, True), dim, keepdim)


def min(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; along an axis also its position; with a second tensor the smaller, elementwise.

    Along an axis the gradient goes to the first of tied elements, over all of them it is shared evenly.
    """
    if is_tensor(dim):
        return ew.minimum(x, dim)
    if dim is None:
        return amin(x)
    dim = normal_axis(dim, x.ndim)
    return _picked(x, argmin(x, dim, True), dim, keepdim)


def any(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether some element is non-zero; False over no elements."""
    return sum(ew.ne(x, 0), dim, keepdim) > 0


def all(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether every element is non-zero; True over no elements."""
    return sum(ew.eq(x, 0), dim, keepdim) == 0


def count_nonzero(x: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are non-zero."""
    return sum(ew.ne(x, 0), dim)


def cumsum(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sum along ``dim``: y[i] = x[0] + ... + x[i]."""
    if dtype is not None:
        x = convert(x, dtypes.as_dtype(dtype))
    return ops.cumsum(x, axis=normal_axis(dim, x.ndim))


def norm(x: Tensor, p: float | str = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Vector norm over ``dim``: (sum |x|^p)^(1/p).

    Args:
        x: Floating tensor.
        p: Order; inf is the largest |x|, 0 the count of non-zeros, "fro" the same as 2.
        dim: Axes.
        keepdim: Keep reduced axes.

    Returns:
        The norm; the derivative of the 2-norm at the zero vector is 0.
    """
    _need_floating(x, "norm")
    if p in (2, "fro"):
        s = sum(x * x, dim, keepdim)
        zero = s == 0
        return ew.where(zero, 0.0, ew.sqrt(ew.where(zero, 1.0, s)))  # sqrt'(0) is infinite
    if isinstance(p, str):
        raise ValueError(f"norm: the order must be a number or 'fro', not {p!r}")
    if p == 1:
        return sum(ew.abs(x), dim, keepdim)
    if p == math.inf:
        return amax(ew.abs(x), dim, keepdim)
    if p == -math.inf:
        return amin(ew.abs(x), dim, keepdim)
    if p == 0:
        return sum(convert(ew.ne(x, 0), x.dtype), dim, keepdim)
    return ew.pow(sum(ew.pow(ew.abs(x), p), dim, keepdim), 1 / p)


def logsumexp(x: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over ``dim``, without overflow.

        m + log sum e^(x - m),  m = max x

    The result does not depend on m, so m counts as a constant, and as 0 where it is infinite.
    """
    x = floating(x)
    m = amax(x, dim, True).detach()
    m = ew.where(ew.isfinite(m), m, 0.0)
    y = ew.log(sum(ew.exp(x - m), dim, True)) + m
    shape = ops.reduce.reduced_shape(x.shape, normal_axes(dim, x.ndim), keepdim)
    return ops.reshape(y, shape=shape)


def softmax(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along ``dim``, without overflow."""
    x = convert(x, dtypes.as_dtype(dtype)) if dtype is not None else x
    _need_floating(x, "softmax")
    e = ew.exp(x - amax(x, dim, True).detach())
    return e / sum(e, dim, True)


def log_softmax(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """x - log sum e^x along ``dim``, without overflow or loss of small numbers."""
    x = convert(x, dtypes.as_dtype(dtype)) if dtype is not None else x
    _need_floating(x, "log_softmax")
    d = x - amax(x, dim, True).detach()
    return d - ew.log(sum(ew.exp(d), dim, True))


def argsort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Positions that sort ``x`` along ``dim``; equal values keep their order, nan is largest."""
    if x.ndim == 0:
        return x._constant(0, dtypes.int64)
    return ops.argsort(x, axis=normal_axis(dim, x.ndim), descending=descending)


def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """The elements in order along ``dim``, and where they stood."""
    at = argsort(x, dim, descending)
    if x.ndim == 0:
        return ValuesIndices(x, at)
    return _picked(x, at, normal_axis(dim, x.ndim), True)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and where they stood.

    Raises:
        ValueError: there are fewer than ``k`` elements.
    """
    axis = normal_axis(dim, x.ndim)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"topk: k is {k}, and axis {dim} has {x.shape[axis]} elements")
    at = argsort(x, axis, largest)
    ranges = tuple((0, k, 1) if a == axis else (0, n, 1) for a, n in enumerate(x.shape))
    return _picked(x, ops.slice(at, ranges=ranges), axis, True)


def median(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower one of two, nan if one is nan; along an axis also its position."""
    if dim is None:
        flat = ops.reshape(x, shape=(x.numel(),))
        return median(flat, 0).values
    axis = normal_axis(dim, x.ndim)
    middle = (x.shape[axis] - 1) // 2
    at = argsort(x, axis)
    ranges = tuple((middle, middle + 1, 1) if a == axis else (0, n, 1) for a, n in enumerate(x.shape))
    at = ops.slice(at, ranges=ranges)
    if x.dtype.kind == "f":
        at = ew.where(any(ew.isnan(x), axis, True), argmax(x, axis, True), at)
    return _picked(x, at, axis, keepdim)
