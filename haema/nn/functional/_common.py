"""What the functions of this package have in common: writing in place, sizes per axis, axes without a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from haema import autograd, ops
from haema.errors import DTypeError, ShapeError
from haema.tensor import Tensor

Sizes = int | Sequence[int]
"""One number for all spatial axes, or one for each."""


def in_place(function: Callable[[Tensor], Tensor], x: Tensor, inplace: bool) -> Tensor:
    """``function(x)``, written into ``x`` itself if ``inplace``."""
    if not inplace:
        return function(x)
    source = x._snapshot() if autograd.is_grad_enabled() and x.requires_grad else x
    return x._become(function(source))


def constant(value: float, like: Tensor) -> Tensor:
    """A number as a tensor of the dtype of ``like``."""
    return like._constant(value, like.dtype)


def per_axis(value: Sizes, n: int, what: str, least: int = 0) -> tuple[int, ...]:
    """``value`` as one integer for each of ``n`` spatial axes.

    Raises:
        ValueError: it has another length, or a number in it is too small.
    """
    sizes = (int(value),) * n if isinstance(value, int) else tuple(int(v) for v in value)
    if len(sizes) == 1:
        sizes = sizes * n
    if len(sizes) != n:
        raise ValueError(f"{what} must be one number or {n}, not {value!r}")
    if any(v < least for v in sizes):
        raise ValueError(f"{what} must be {least} or more, not {value!r}")
    return sizes


def need_floating(name: str, x: Tensor) -> None:
    """Refuse integers.

    Raises:
        DTypeError: ``x`` is not floating.
    """
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: needs a floating tensor, not {x.dtype.name}; convert it with .float() first")


def batched(name: str, x: Tensor, n: int) -> tuple[Tensor, bool]:
    """``x`` as (N, C, d1 .. dn), and whether it came with a batch axis; (C, d1 .. dn) counts as one sample.

    Raises:
        ShapeError: it has neither n + 2 nor n + 1 axes.
    """
    if x.ndim == n + 2:
        return x, True
    if x.ndim == n + 1:
        return ops.reshape(x, shape=(1, *x.shape)), False
    axes = ("L",) if n == 1 else ("H", "W") if n == 2 else ("D", "H", "W")
    inner = ", ".join(axes)
    raise ShapeError(f"{name}: the input must be (N, C, {inner}) or (C, {inner}), not shape {tuple(x.shape)}")


def unbatched(y: Tensor, had_batch: bool) -> Tensor:
    """``y`` without the batch axis that ``batched`` added."""
    return y if had_batch else ops.reshape(y, shape=y.shape[1:])


def row_major(x: Tensor) -> Tensor:
    """``x`` in row-major order, copied where it is not, so that ``view`` works on what a layer returns."""
    return ops.reshape(ops.reshape(x, shape=(x.numel(),)), shape=x.shape)


def along(x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """x[start:stop:step] on one axis, a view."""
    ranges = tuple((start, stop, step) if a == axis else (0, n, 1) for a, n in enumerate(x.shape))
    return ops.slice(x, ranges=ranges)


def bordered(x: Tensor, pads: dict[int, tuple[int, int]], value: float = 0.0) -> Tensor:
    """``x`` within a border of ``value``: per axis (before, after), negative to crop."""
    if any(p < 0 for both in pads.values() for p in both):
        ranges = []
        for a, n in enumerate(x.shape):
            before, after = pads.get(a, (0, 0))
            ranges.append((min(n, max(0, -before)), max(0, n + min(0, after)), 1))
        x = ops.slice(x, ranges=tuple(ranges))
    full = tuple((*(max(0, p) for p in pads.get(a, (0, 0))), 0) for a in range(x.ndim))
    return ops.pad(x, pads=full, value=value) if any(any(p) for p in full) else x
