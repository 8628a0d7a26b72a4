"""Quantiles, counts and distinct values: functions that look at values in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from haema import dtypes, ops
from haema.errors import DTypeError, ShapeError
from haema.functions import elementwise as ew
from haema.functions import indexing, reductions, shaping
from haema.functions.promotion import is_tensor
from haema.ops.view import normal_axis

if TYPE_CHECKING:
    from haema.tensor import Tensor


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The values below which a share ``q`` of the elements lies; nan if an element is nan.

        y = s[i] + (p - i) (s[i + 1] - s[i]),  p = q (n - 1),  i = floor(p),  s the n elements in order

    Args:
        input: x, tensor, floating.
        q: A share from 0 to 1, or a vector of shares.
        dim: Axis; all elements by default.
        keepdim: Keep the axis with size 1.
        interpolation: "linear", "lower", "higher", "midpoint" or "nearest": what to take between two elements.

    Returns:
        The shape of x without ``dim``; for a vector of shares one such for each, stacked in front.

    Raises:
        ValueError: a share is not from 0 to 1, or the interpolation is unknown.
        DTypeError: x is not floating.
        ShapeError: there are no elements.
    """
    if not input.is_floating_point():
        raise DTypeError(f"quantile: needs floating numbers, not {input.dtype.name}; convert them with .float()")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise ValueError(f"quantile: interpolation {interpolation!r} is unknown")
    if dim is None:
        kept = (1,) * input.ndim
        y = quantile(ops.reshape(input, shape=(input.numel(),)), q, 0, interpolation=interpolation)
        return shaping.reshape(y, (*y.shape, *kept)) if keepdim else y
    axis = normal_axis(dim, input.ndim)
    n = input.shape[axis]
    if n == 0:
        raise ShapeError("quantile: there are no elements")
    shares = q.tolist() if is_tensor(q) else q
    values = reductions.sort(input, axis).values
    anywhere = reductions.any(ew.isnan(input), axis, True)
    found = []
    for share in shares if isinstance(shares, (list, tuple)) else [shares]:
        if not 0 <= share <= 1:
            raise ValueError(f"quantile: q must be from 0 to 1, not {share}")
        p = share * (n - 1)
        low, high = math.floor(p), math.ceil(p)
        weight = {"linear": p - low, "lower": 0, "higher": 1, "midpoint": 0.5, "nearest": float(round(p) > low)}
        a, b = (shaping.narrow(values, axis, i, 1) for i in (low, high))
        y = a if low == high else a + (b - a) * weight[interpolation]
        y = ew.where(anywhere, math.nan, y)
        found.append(y if keepdim else shaping.squeeze(y, axis))
    return shaping.stack(found) if isinstance(shares, (list, tuple)) else found[0]


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of the numbers 0, 1, 2, ... occurs, or the sum of the weights where it does.

    Args:
        input: x, vector of integers, 0 or more.
        weights: One weight per element.
        minlength: Length of the result, if the largest number does not ask for more.

    Raises:
        DTypeError: x does not hold integers.
        ShapeError: x is no vector.
        ValueError: a number is negative.
    """
    if input.dtype.kind not in "iu":
        raise DTypeError(f"bincount: needs integers, not {input.dtype.name}")
    if input.ndim != 1:
        raise ShapeError(f"bincount: needs a vector, not shape {input.shape}")
    if input.numel() and int(input.min()) < 0:
        raise ValueError(f"bincount: the numbers must be 0 or more, not {int(input.min())}")
    n = max(int(input.max()) + 1 if input.numel() else 0, minlength)
    index = ops.cast(input, dtype=dtypes.int64)
    if weights is None:
        weights = shaping.expand(input._constant(1, dtypes.int64), input.shape)
    elif not weights.is_floating_point():
        weights = weights.to(dtypes.float64)
    return ops.put_add(weights, index, shape=(n,), axes=(0,))


def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The distinct elements in increasing order.

    Args:
        input: x, tensor.
        sorted: True or False; the order is the same.
        return_inverse: Give also, in the shape of x, which of them each element is.
        return_counts: Give also how often each occurs.

    Returns:
        Vector; with one of the options a tuple (values, inverse, counts) of what was asked for.
    """
    flat = ops.reshape(input, shape=(input.numel(),))
    values, at = reductions.sort(flat, 0)
    first = shaping.cat([flat.new_ones(min(flat.numel(), 1), dtype=dtypes.bool), values[1:] != values[:-1]])
    number = reductions.cumsum(first, 0) - 1
    result = [indexing.masked_select(values, first)]
    if return_inverse:
        inverse = indexing.scatter(number.new_zeros(number.shape), 0, at, number)
        result.append(ops.reshape(inverse, shape=input.shape))
    if return_counts:
        result.append(bincount(number))
    return tuple(result) if len(result) > 1 else result[0]
