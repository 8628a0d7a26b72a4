"""Pooling: each window of the image becomes one number.

Largest and sum are taken along one axis after another: the positions of a window that are j cells from its start
form a strided view of the image, and these views are combined elementwise. Of equal largest values the first in the
window, row by row, is the one picked, and gets the whole gradient.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from haema import dtypes, ops, random
from haema.errors import ShapeError
from haema.nn.functional._common import (
    Sizes,
    along,
    batched,
    bordered,
    constant,
    need_floating,
    per_axis,
    unbatched,
)
from haema.nn.functional.conv import windows
from haema.tensor import Tensor

_LONG = 8  # from this window size on, fewer operations count more than smaller ones


class Axis(NamedTuple):
    """The windows along one axis.

    Attributes:
        length: Of the input.
        size, stride, padding, dilation: Of the windows.
        number: How many windows there are.
    """

    length: int
    size: int
    stride: int
    padding: int
    dilation: int
    number: int

    @property
    def border(self) -> tuple[int, int]:
        """What the windows need before and behind the input."""
        needed = (self.number - 1) * self.stride + self.dilation * (self.size - 1) + 1
        return self.padding, max(0, needed - self.length - self.padding)

    def divisors(self, include_padding: bool) -> np.ndarray:
        """How many cells of each window count: those in the input, with or without its border."""
        start = np.arange(self.number) * self.stride - self.padding
        stop = np.minimum(start + self.size, self.length + self.padding)
        if not include_padding:
            start, stop = np.maximum(start, 0), np.minimum(stop, self.length)
        return stop - start


def _geometry(
    name: str,
    input: Tensor,
    n: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> list[Axis]:
    """The windows along the last ``n`` axes.

    Raises:
        ShapeError: the border is wider than half a window, or no window fits.
    """
    need_floating(name, input)
    sizes = per_axis(kernel_size, n, f"{name}: kernel_size", 1)
    no_stride = stride is None or (not isinstance(stride, int) and len(stride) == 0)
    strides = sizes if no_stride else per_axis(stride, n, f"{name}: stride", 1)  # type: ignore[arg-type]
    paddings = per_axis(padding, n, f"{name}: padding")
    dilations = per_axis(dilation, n, f"{name}: dilation", 1)
    axes = []
    for length, k, s, p, d in zip(input.shape[-n:], sizes, strides, paddings, dilations, strict=True):
        reach = d * (k - 1) + 1
        if p > reach // 2:
            raise ShapeError(f"{name}: padding {padding} is more than half of the window {kernel_size}")
        room = length + 2 * p - reach
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= length + p:
            count -= 1  # the last window must start in the input or its border on the left
        if count < 1 or length < 1:
            raise ShapeError(
                f"{name}: an input of shape {tuple(input.shape)} with padding {padding} is too small for a window of "
                f"{kernel_size} with dilation {dilation}"
            )
        axes.append(Axis(length, k, s, p, d, count))
    return axes


def _cells(x: Tensor, axis: int, a: Axis) -> list[Tensor]:
    """For each position in the window, the view of ``x`` that stands there."""
    starts = (j * a.dilation for j in range(a.size))
    return [along(x, axis, s, s + (a.number - 1) * a.stride + 1, a.stride) for s in starts]


def larger(left: tuple[Tensor, Tensor | None], right: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    """The larger of two values, the left at a tie, nan if either is; and its position, if positions are wanted."""
    (x, i), (y, j) = left, right
    wins = ops.gt(y, x) | ops.ne(y, y)
    index = None if i is None or j is None else ops.where(wins, j, i)
    return ops.where(wins, y, x), index


def largest_along(x: Tensor, index: Tensor | None, axis: int, a: Axis) -> tuple[Tensor, Tensor | None]:
    """The largest value of each window along ``axis``, and its position."""
    if a.size >= _LONG:  # windows of 2, 4, 8, ... cells from two of half the size each, then two that overlap
        wide, spread = 1, a.dilation
        while wide < a.size:
            shift = min(wide, a.size - wide) * spread
            n = x.shape[axis]
            both = [
                (along(t[0], axis, s, n - shift + s), None if t[1] is None else along(t[1], axis, s, n - shift + s))
                for t, s in (((x, index), 0), ((x, index), shift))
            ]
            x, index = larger(both[0], both[1])
            wide += shift // spread
        stop = (a.number - 1) * a.stride + 1
        cut = along(x, axis, 0, stop, a.stride)
        return cut, None if index is None else along(index, axis, 0, stop, a.stride)
    values = _cells(x, axis, a)
    places: list[Any] = [None] * a.size if index is None else _cells(index, axis, a)
    best: tuple[Tensor, Tensor | None] = (values[0], places[0])
    for other in zip(values[1:], places[1:], strict=True):
        best = larger(best, other)
    return best


def _max_pool(
    name: str,
    n: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x, had_batch = batched(name, input, n)
    axes = _geometry(name, x, n, kernel_size, stride, padding, dilation, ceil_mode)
    borders = {2 + i: a.border for i, a in enumerate(axes)}
    index = places(x, n) if return_indices else None
    x = bordered(x, borders, -math.inf)
    index = None if index is None else bordered(index, borders)
    for i in reversed(range(n)):
        x, index = largest_along(x, index, 2 + i, axes[i])
    y = unbatched(x, had_batch)
    if index is None:
        return y
    return y, unbatched(index if index.shape == x.shape else ops.expand(index, shape=x.shape), had_batch)


def places(x: Tensor, n: int) -> Tensor:
    """The position of each element in its flattened image: int64, (N, C, ...)."""
    numbers = np.arange(math.prod(x.shape[-n:])).reshape((1, 1, *x.shape[-n:]))
    return ops.expand(x._constant(numbers, dtypes.int64), shape=x.shape)


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of (N, C, L); see ``max_pool2d``."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window.

        y[n, c, h, w] = max over i, j of  x[n, c, h s + i d - p, w s + j d - p]

    Args:
        input: x, (N, C, H, W) or (C, H, W).
        kernel_size: Size of the window.
        stride: s; by default the size of the window.
        padding: p, a border of -inf, at most half a window.
        dilation: d, the distance between the cells of a window.
        ceil_mode: Count windows that reach over the end too.
        return_indices: Give also where in the flattened image each value stood.

    Returns:
        (N, C, H', W'), or that and the positions (int64).

    Raises:
        ShapeError: the input has the wrong number of axes or no window fits.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of (N, C, D, H, W); see ``max_pool2d``."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    name: str,
    n: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    if divisor_override == 0:
        raise ValueError(f"{name}: divisor_override must not be 0")
    x, had_batch = batched(name, input, n)
    axes = _geometry(name, x, n, kernel_size, stride, padding, 1, ceil_mode)
    x = bordered(x, {2 + i: a.border for i, a in enumerate(axes)})
    for i in reversed(range(n)):
        a = axes[i]
        if a.size >= _LONG:
            used = along(x, 2 + i, 0, (a.number - 1) * a.stride + a.size)
            v = ops.window(used, axis=2 + i, size=a.size, stride=a.stride, dilation=1)
            x = ops.sum(v, axes=(v.ndim - 1,), keepdims=False)
        else:
            first, *others = _cells(x, 2 + i, a)
            for other in others:
                first = ops.add(first, other)
            x = first
    if divisor_override is not None:
        return unbatched(x / divisor_override, had_batch)
    divisor = np.ones((), np.int64)
    for a in axes:
        divisor = divisor[..., None] * a.divisors(count_include_pad)
    if (divisor == divisor.flat[0]).all():
        return unbatched(x / int(divisor.flat[0]), had_batch)
    return unbatched(x / x._constant(divisor, x.dtype), had_batch)


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L); see ``avg_pool2d``."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: Size of the window.
        stride: By default the size of the window.
        padding: A border of zeros, at most half a window.
        ceil_mode: Count windows that reach over the end too.
        count_include_pad: Divide by the size of the window also where it lies partly on the border.
        divisor_override: Divide by this instead.

    Returns:
        (N, C, H', W').

    Raises:
        ShapeError: the input has the wrong number of axes or no window fits.
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, D, H, W); see ``avg_pool2d``."""
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _stochastic_pool(
    name: str,
    n: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    training: bool,
    generator: random.Generator | None,
) -> Tensor:
    x, had_batch = batched(name, input, n)
    axes = _geometry(name, x, n, kernel_size, stride, padding)
    x = bordered(x, {2 + i: a.border for i, a in enumerate(axes)})
    v = windows(x, 2, [a.size for a in axes], [a.stride for a in axes], 1)  # (N, C, *image, *kernel)
    v = ops.reshape(v, shape=(*v.shape[: 2 + n], math.prod(v.shape[2 + n :])))
    cells = v.ndim - 1
    zero = constant(0, v)
    a = ops.where(ops.gt(v, zero), v, zero)
    if not training:
        total = ops.sum(a, axes=(cells,), keepdims=False)
        empty = ops.eq(total, zero)
        mean = ops.sum(a * a, axes=(cells,), keepdims=False) / ops.where(empty, constant(1, v), total)
        return unbatched(mean, had_batch)
    ends = ops.cumsum(a.detach(), axis=cells)
    starts = bordered(ends, {cells: (1, -1)})
    total = along(ends, cells, v.shape[cells] - 1, v.shape[cells])
    u = random.uniform(total.shape, dtype=v.dtype, generator=generator)
    at = (1 - u) * total  # in (0, total]: the cell in whose share this point lies
    picked = ops.bitwise_and(ops.lt(starts, at), ops.ge(ends, at))
    return unbatched(ops.sum(ops.where(picked, a, zero), axes=(cells,), keepdims=False), had_batch)


def stochastic_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    training: bool = True,
    generator: random.Generator | None = None,
) -> Tensor:
    """Stochastic pooling of (N, C, L); see ``stochastic_pool2d``."""
    return _stochastic_pool("stochastic_pool1d", 1, input, kernel_size, stride, padding, training, generator)


def stochastic_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    training: bool = True,
    generator: random.Generator | None = None,
) -> Tensor:
    """One value of each window, drawn with a probability proportional to its size.

        p_i = a_i / sum of a in the window
        training: y = a_l with l drawn from p           inference: y = sum over i of p_i a_i

    Args:
        input: a, (N, C, H, W) or (C, H, W), activations >= 0; a negative one counts as 0.
        kernel_size: Size of the window.
        stride: By default the size of the window.
        padding: A border of zeros, at most half a window.
        training: Draw, or take the weighted mean.
        generator: Where the random numbers come from; by default the global generator.

    Returns:
        (N, C, H', W'); 0 for a window of zeros. In training the gradient goes to the value drawn.

    Raises:
        ShapeError: the input has the wrong number of axes or no window fits.

    Source: M. Zeiler, R. Fergus, "Stochastic pooling for regularization of deep convolutional neural networks",
    ICLR 2013, equations 4 to 6.
    """
    return _stochastic_pool("stochastic_pool2d", 2, input, kernel_size, stride, padding, training, generator)
