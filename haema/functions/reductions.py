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
from haema.functions.naming import numpy_names
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


@numpy_names
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over ``dim``; booleans and integers are added up as int64."""
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    return ops.sum(input, axes=normal_axes(dim, input.ndim), keepdims=keepdim)


@numpy_names
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Arithmetic mean over ``dim``; nan over no elements.

    Raises:
        DTypeError: the tensor is not floating.
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    _need_floating(input, "mean")
    axes = normal_axes(dim, input.ndim)
    return ops.sum(input, axes=axes, keepdims=keepdim) / _count(input, axes)


@numpy_names
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product over ``dim``, in halves: its gradients of any order hold at zeros too."""
    input = convert(input, dtypes.as_dtype(dtype) if dtype is not None else dtypes.cast_for_sum(input.dtype))
    if dim is None:
        input, axis, shape = ops.reshape(input, shape=(input.numel(),)), 0, (1,) * input.ndim if keepdim else ()
    else:
        axis = normal_axis(dim, input.ndim)
        shape = ops.reduce.reduced_shape(input.shape, (axis,), keepdim)
    while input.shape[axis] != 1:
        n = input.shape[axis]
        if n == 0 or n % 2:
            input = ops.pad(input, pads=tuple((0, int(a == axis), 0) for a in range(input.ndim)), value=1)
            continue
        halves = [
            tuple((*half, 1) if a == axis else (0, m, 1) for a, m in enumerate(input.shape))
            for half in ((0, n // 2), (n // 2, n))
        ]
        input = ops.mul(ops.slice(input, ranges=halves[0]), ops.slice(input, ranges=halves[1]))
    return ops.reshape(input, shape=shape)


@numpy_names
def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance over ``dim``: sum (x - mean)^2 / (n - correction).

    Args:
        input: x, floating tensor.
        dim: Axes.
        unbiased: Correction of 1 (Bessel's) rather than 0.
        keepdim: Keep reduced axes.
        correction: What is taken off the count; overrides ``unbiased``.
    """
    _need_floating(input, "var")
    if isinstance(dim, bool):  # PyTorch's var(unbiased)
        unbiased, dim = dim, None
    axes = normal_axes(dim, input.ndim)
    d = input - mean(input, axes, True)
    less = (1 if unbiased else 0) if correction is None else correction
    divisor = _count(input, axes) - less
    total = ops.sum(d * d, axes=axes, keepdims=keepdim)
    return total / (divisor if divisor > 0 else 0.0)


@numpy_names
def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Standard deviation over ``dim``: the square root of ``var``."""
    return ew.sqrt(var(input, dim, unbiased, keepdim, correction=correction))


@numpy_names
def var_mean(input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Variance and mean."""
    return var(input, dim, unbiased, keepdim), mean(input, dim, keepdim)


@numpy_names
def std_mean(input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """``std`` and ``mean``."""
    return std(input, dim, unbiased, keepdim), mean(input, dim, keepdim)


@numpy_names
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """``sum`` of the elements that are not nan."""
    return sum(ew.where(ew.isnan(input), 0, input), dim, keepdim)


@numpy_names
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """``mean`` of the elements that are not nan."""
    return nansum(input, dim, keepdim) / sum(ew.logical_not(ew.isnan(input)), dim, keepdim)


@numpy_names
def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest element over ``dim``; tied elements share the gradient evenly."""
    return ops.max(input, axes=normal_axes(dim, input.ndim), keepdims=keepdim)


@numpy_names
def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim``; tied elements share the gradient evenly."""
    return ops.min(input, axes=normal_axes(dim, input.ndim), keepdims=keepdim)


def _arg(op: ops.Op, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is None:
        y = op(ops.reshape(x, shape=(x.numel(),)), axes=(0,), keepdims=False)
        return ops.reshape(y, shape=(1,) * x.ndim) if keepdim else y
    if x.ndim == 0:
        return ops.reshape(_arg(op, ops.reshape(x, shape=(1,)), 0, False), shape=())
    return op(x, axes=(normal_axis(dim, x.ndim),), keepdims=keepdim)


@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the first largest element along ``dim``, or in the flattened tensor."""
    return _arg(ops.argmax, input, dim, keepdim)


@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the first smallest element along ``dim``, or in the flattened tensor."""
    return _arg(ops.argmin, input, dim, keepdim)


def _picked(x: Tensor, at: Tensor, dim: int, keepdim: bool) -> ValuesIndices:
    """The elements at positions ``at`` (axis kept) and the positions."""
    from haema.functions.indexing import gather

    values = gather(x, dim, at)
    if not keepdim:
        shape = ops.reduce.reduced_shape(x.shape, (dim,), False)
        values, at = ops.reshape(values, shape=shape), ops.reshape(at, shape=shape)
    return ValuesIndices(values, at)


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; along an axis also its position; with a second tensor the larger, elementwise.

    Along an axis the gradient goes to the first of tied elements, over all of them it is shared evenly.
    """
    if is_tensor(dim):
        return ew.maximum(input, dim)
    if dim is None:
        return amax(input)
    dim = normal_axis(dim, input.ndim)
    return _picked(input, argmax(input, dim, True), dim, keepdim)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; along an axis also its position; with a second tensor the smaller, elementwise.

    Along an axis the gradient goes to the first of tied elements, over all of them it is shared evenly.
    """
    if is_tensor(dim):
        return ew.minimum(input, dim)
    if dim is None:
        return amin(input)
    dim = normal_axis(dim, input.ndim)
    return _picked(input, argmin(input, dim, True), dim, keepdim)


@numpy_names
def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether some element is non-zero; False over no elements."""
    return sum(ew.ne(input, 0), dim, keepdim) > 0


@numpy_names
def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether every element is non-zero; True over no elements."""
    return sum(ew.eq(input, 0), dim, keepdim) == 0


@numpy_names
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are non-zero."""
    return sum(ew.ne(input, 0), dim)


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sum along ``dim``: y[i] = x[0] + ... + x[i]."""
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    return ops.cumsum(input, axis=normal_axis(dim, input.ndim))


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running product along ``dim``: y[i] = x[0] x[1] ... x[i]."""
    from haema.functions.shaping import cat, narrow

    if dtype is not None or input.dtype.kind != "f":
        input = convert(input, dtypes.as_dtype(dtype) if dtype is not None else dtypes.cast_for_sum(input.dtype))
    axis, reach = normal_axis(dim, input.ndim), 1
    n = input.shape[axis] if input.ndim else 1
    while reach < n:  # y[i] is the product of the last `reach` elements up to i
        more = narrow(input, axis, reach, n - reach) * narrow(input, axis, 0, n - reach)
        input, reach = cat([narrow(input, axis, 0, reach), more], axis), 2 * reach
    return input


@numpy_names
def norm(input: Tensor, p: float | str = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Vector norm over ``dim``: (sum |x|^p)^(1/p).

    Args:
        input: x, floating tensor.
        p: Order; inf is the largest |x|, 0 the count of non-zeros, "fro" the same as 2.
        dim: Axes.
        keepdim: Keep reduced axes.

    Returns:
        The norm; the derivative of the 2-norm at the zero vector is 0.
    """
    _need_floating(input, "norm")
    if p in (2, "fro"):
        s = sum(input * input, dim, keepdim)
        zero = s == 0
        return ew.where(zero, 0.0, ew.sqrt(ew.where(zero, 1.0, s)))  # sqrt'(0) is infinite
    if isinstance(p, str):
        raise ValueError(f"norm: the order must be a number or 'fro', not {p!r}")
    if p == 1:
        return sum(ew.abs(input), dim, keepdim)
    if p == math.inf:
        return amax(ew.abs(input), dim, keepdim)
    if p == -math.inf:
        return amin(ew.abs(input), dim, keepdim)
    if p == 0:
        return sum(convert(ew.ne(input, 0), input.dtype), dim, keepdim)
    return ew.pow(sum(ew.pow(ew.abs(input), p), dim, keepdim), 1 / p)


@numpy_names
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over ``dim``, without overflow.

        m + log sum e^(x - m),  m = max x

    The result does not depend on m, so m counts as a constant, and as 0 where it is infinite.
    """
    input = floating(input)
    m = amax(input, dim, True).detach()
    m = ew.where(ew.isfinite(m), m, 0.0)
    y = ew.log(sum(ew.exp(input - m), dim, True)) + m
    shape = ops.reduce.reduced_shape(input.shape, normal_axes(dim, input.ndim), keepdim)
    return ops.reshape(y, shape=shape)


@numpy_names
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along ``dim``, without overflow."""
    input = convert(input, dtypes.as_dtype(dtype)) if dtype is not None else input
    _need_floating(input, "softmax")
    e = ew.exp(input - amax(input, dim, True).detach())
    return e / sum(e, dim, True)


@numpy_names
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """x - log sum e^x along ``dim``, without overflow or loss of small numbers."""
    input = convert(input, dtypes.as_dtype(dtype)) if dtype is not None else input
    _need_floating(input, "log_softmax")
    d = input - amax(input, dim, True).detach()
    return d - ew.log(sum(ew.exp(d), dim, True))


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Positions that sort ``input`` along ``dim``; equal values keep their order, nan is largest."""
    if input.ndim == 0:
        return input._constant(0, dtypes.int64)
    return ops.argsort(input, axis=normal_axis(dim, input.ndim), descending=descending)


@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """The elements in order along ``dim``, and where they stood."""
    at = argsort(input, dim, descending)
    if input.ndim == 0:
        return ValuesIndices(input, at)
    return _picked(input, at, normal_axis(dim, input.ndim), True)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and where they stood.

    Raises:
        ValueError: there are fewer than ``k`` elements.
    """
    axis = normal_axis(dim, input.ndim)
    if not 0 <= k <= input.shape[axis]:
        raise ValueError(f"topk: k is {k}, and axis {dim} has {input.shape[axis]} elements")
    at = argsort(input, axis, largest)
    ranges = tuple((0, k, 1) if a == axis else (0, n, 1) for a, n in enumerate(input.shape))
    return _picked(input, ops.slice(at, ranges=ranges), axis, True)


@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower one of two, nan if one is nan; along an axis also its position."""
    if dim is None:
        flat = ops.reshape(input, shape=(input.numel(),))
        return median(flat, 0).values
    axis = normal_axis(dim, input.ndim)
    middle = (input.shape[axis] - 1) // 2
    at = argsort(input, axis)
    ranges = tuple((middle, middle + 1, 1) if a == axis else (0, n, 1) for a, n in enumerate(input.shape))
    at = ops.slice(at, ranges=ranges)
    if input.dtype.kind == "f":
        at = ew.where(any(ew.isnan(input), axis, True), argmax(input, axis, True), at)
    return _picked(input, at, axis, keepdim)
