"""Functions that give the same elements another shape or order, join tensors or cut them up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from haema import ops
from haema.errors import ShapeError
from haema.functions.promotion import convert, result_type
from haema.ops.view import normal_axes, normal_axis

if TYPE_CHECKING:
    from haema.tensor import Tensor

Sizes = Any
"""Sizes one by one, or a tuple of them."""


def sizes_of(args: tuple[Any, ...]) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(args) == 1 and not isinstance(args[0], int) and hasattr(args[0], "__iter__"):
        args = tuple(args[0])
    return tuple(int(a) for a in args)


def _infer(shape: tuple[int, ...], size: int, name: str) -> tuple[int, ...]:
    """``shape`` with its one -1 worked out."""
    if shape.count(-1) > 1:
        raise ShapeError(f"{name}: only one size can be -1, not {shape.count(-1)} as in {shape}")
    if any(n < -1 for n in shape):
        raise ShapeError(f"{name}: a size cannot be negative, as in {shape}")
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if known == 0 or size % known:
            raise ShapeError(f"{name}: {size} elements do not fill shape {shape} evenly")
        shape = tuple(size // known if n == -1 else n for n in shape)
    return shape


def reshape(x: Tensor, *shape: Sizes) -> Tensor:
    """The elements in row-major order in another shape; one size may be -1 and is worked out."""
    return ops.reshape(x, shape=_infer(sizes_of(shape), x.numel(), "reshape"))


def view(x: Tensor, *shape: Sizes) -> Tensor:
    """``reshape`` that promises to share memory.

    Raises:
        ShapeError: the layout of ``x`` does not allow it (say, after a transpose); use ``reshape``.
    """
    y = reshape(x, *shape)
    if y.numel() and not y._shares_memory(x):
        raise ShapeError(f"view: shape {tuple(x.shape)} cannot be seen as {y.shape} without copying; use .reshape()")
    return y


def permute(x: Tensor, *dims: Sizes) -> Tensor:
    """The axes in another order."""
    given = sizes_of(dims)
    if len(given) != x.ndim:
        raise ShapeError(f"permute: {len(given)} axes given for a tensor with {x.ndim}")
    return ops.permute(x, axes=tuple(normal_axis(d, x.ndim) for d in given))


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    axes = list(range(x.ndim))
    a, b = normal_axis(dim0, x.ndim), normal_axis(dim1, x.ndim)
    axes[a], axes[b] = b, a
    return ops.permute(x, axes=tuple(axes))


def t(x: Tensor) -> Tensor:
    """A matrix transposed; a vector or number as it is."""
    if x.ndim > 2:
        raise ShapeError(f"t: needs at most 2 axes, and shape {x.shape} has {x.ndim}; use transpose or permute")
    return ops.permute(x, axes=tuple(reversed(range(x.ndim))))


def movedim(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved from ``source`` to ``destination``, the others in their order."""
    src = [source] if isinstance(source, int) else list(source)
    dst = [destination] if isinstance(destination, int) else list(destination)
    src = [normal_axis(a, x.ndim) for a in src]
    dst = [normal_axis(a, x.ndim) for a in dst]
    rest = iter(a for a in range(x.ndim) if a not in src)
    where = dict(zip(dst, src, strict=True))
    return ops.permute(x, axes=tuple(where[i] if i in where else next(rest) for i in range(x.ndim)))


def expand(x: Tensor, *shape: Sizes) -> Tensor:
    """Axes of size 1 stretched, without copying; -1 keeps a size; new axes come in front."""
    given = sizes_of(shape)
    lead = len(given) - x.ndim
    if lead < 0:
        raise ShapeError(f"expand: {given} has fewer axes than shape {x.shape}")
    full = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(given))
    return ops.expand(x, shape=full)


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """``x`` stretched to the shape of ``other``."""
    return ops.expand(x, shape=other.shape)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """``x`` stretched to ``shape``."""
    return expand(x, shape)


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at ``dim``."""
    d = normal_axis(dim, x.ndim + 1)
    return ops.reshape(x, shape=(*x.shape[:d], 1, *x.shape[d:]))


def squeeze(x: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Axes of size 1 taken out: all, or those named that have size 1."""
    axes = normal_axes(dim, x.ndim)
    return ops.reshape(x, shape=tuple(n for a, n in enumerate(x.shape) if n != 1 or a not in axes))


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes from ``start_dim`` to ``end_dim`` merged into one."""
    if x.ndim == 0:
        return ops.reshape(x, shape=(1,))
    a, b = normal_axis(start_dim, x.ndim), normal_axis(end_dim, x.ndim)
    if a > b:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return ops.reshape(x, shape=(*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Axis ``dim`` split into ``sizes``, of which one may be -1."""
    d = normal_axis(dim, x.ndim)
    parts = _infer(tuple(sizes), x.shape[d], "unflatten")
    if math.prod(parts) != x.shape[d]:
        raise ShapeError(f"unflatten: axis {dim} of shape {x.shape} does not split into {tuple(sizes)}")
    return ops.reshape(x, shape=(*x.shape[:d], *parts, *x.shape[d + 1 :]))


def flip(x: Tensor, *dims: Sizes) -> Tensor:
    """Reversed along the axes named, in new memory."""
    return ops.flip(x, axes=normal_axes(sizes_of(dims), x.ndim))


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` entries of axis ``dim`` from ``start`` on: a view."""
    d = normal_axis(dim, x.ndim)
    start = start + x.shape[d] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[d]:
        raise ShapeError(f"narrow: {start}:{start + length} does not lie in axis {dim} of shape {x.shape}")
    ranges = tuple((start, start + length, 1) if a == d else (0, n, 1) for a, n in enumerate(x.shape))
    return ops.slice(x, ranges=ranges)


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """Entry ``index`` of axis ``dim``, which goes: a view."""
    d = normal_axis(dim, x.ndim)
    i = normal_axis(index, x.shape[d], f"axis {dim}: index")
    return ops.reshape(narrow(x, d, i, 1), shape=(*x.shape[:d], *x.shape[d + 1 :]))


def unbind(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of axis ``dim`` as a tuple of views."""
    return tuple(select(x, dim, i) for i in range(x.shape[normal_axis(dim, x.ndim)]))


def split(x: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces: of one size (the last may be smaller), or of the sizes listed."""
    n = x.shape[normal_axis(dim, x.ndim)]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 1:
            raise ShapeError(f"split: the size of a piece must be positive, not {size}")
        sections = [min(size, n - i) for i in range(0, max(n, 1), size)]
    else:
        sections = list(split_size_or_sections)
        if sum(sections) != n:
            raise ShapeError(f"split: sizes {sections} add up to {sum(sections)} and axis {dim} has {n}")
    starts = [sum(sections[:i]) for i in range(len(sections))]
    return tuple(narrow(x, dim, a, m) for a, m in zip(starts, sections, strict=True))


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size; the last may be smaller."""
    n = x.shape[normal_axis(dim, x.ndim)]
    return split(x, max(1, -(-n // chunks)), dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one behind another along ``dim``.

    Raises:
        ShapeError: there are none, or they differ along another axis.
    """
    if len(tensors) == 0:
        raise ShapeError("cat: needs at least one tensor")
    dtype = result_type(*tensors)
    return ops.concat(*(convert(x, dtype) for x in tensors), axis=normal_axis(dim, tensors[0].ndim))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new axis ``dim``."""
    if len(tensors) == 0:
        raise ShapeError("stack: needs at least one tensor")
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise ShapeError(f"stack: tensor 0 has shape {tensors[0].shape} and tensor {i} has {x.shape}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def repeat(x: Tensor, *repeats: Sizes) -> Tensor:
    """The tensor as a tile, ``repeats`` times along each axis; more repeats than axes make new axes in front."""
    times = sizes_of(repeats)
    if len(times) < x.ndim:
        raise ShapeError(f"repeat: {len(times)} repeats for the {x.ndim} axes of shape {x.shape}")
    shape = (1,) * (len(times) - x.ndim) + x.shape
    tiled = tuple(v for pair in zip(times, shape, strict=True) for v in pair)
    single = tuple(v for n in shape for v in (1, n))
    y = ops.expand(ops.reshape(x, shape=single), shape=tiled)
    return ops.reshape(y, shape=tuple(t * n for t, n in zip(times, shape, strict=True))).clone()


def tile(x: Tensor, *dims: Sizes) -> Tensor:
    """``repeat``, where missing repeats in front are 1."""
    times = sizes_of(dims)
    return repeat(x, (1,) * (x.ndim - len(times)) + times)


def repeat_interleave(x: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Each entry of axis ``dim`` (of the flattened tensor) ``repeats`` times in a row."""
    if dim is None:
        x, dim = flatten(x), 0
    d = normal_axis(dim, x.ndim)
    wide = expand(unsqueeze(x, d + 1), *(repeats if a == d + 1 else -1 for a in range(x.ndim + 1)))
    return flatten(wide, d, d + 1).clone()


def roll(x: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Entries moved along ``dims`` by ``shifts``; what leaves at the end comes in at the start."""
    if dims is None:
        assert isinstance(shifts, int)
        return reshape(roll(flatten(x), shifts, 0), x.shape)
    steps = [shifts] if isinstance(shifts, int) else list(shifts)
    axes = [dims] if isinstance(dims, int) else list(dims)
    for step, dim in zip(steps, axes, strict=True):
        n = x.shape[normal_axis(dim, x.ndim)]
        if n and step % n:
            cut = n - step % n
            x = cat([narrow(x, dim, cut, n - cut), narrow(x, dim, 0, cut)], dim)
    return x


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Sliding windows of ``size`` along an axis, ``step`` apart: a view with the window as new last axis."""
    return ops.window(x, axis=normal_axis(dimension, x.ndim), size=size, stride=step, dilation=1)


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of axes ``dim1`` and ``dim2`` as a new last axis: a view if the two can be merged into one."""
    flat = flatten(movedim(x, (dim1, dim2), (-2, -1)), -2)  # (..., rows * cols)
    rows, cols = x.shape[dim1], x.shape[dim2]
    count = max(0, min(rows + min(offset, 0), cols - max(offset, 0)))
    start = (max(-offset, 0) * cols + max(offset, 0)) if count else 0
    stop = start + (count - 1) * (cols + 1) + 1 if count else 0
    return ops.slice(flat, ranges=(*((0, n, 1) for n in flat.shape[:-1]), (start, stop, cols + 1)))


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros above the given diagonal."""
    return _triangle(x, lambda i, j: j - i <= diagonal)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros below the given diagonal."""
    return _triangle(x, lambda i, j: j - i >= diagonal)


def _triangle(x: Tensor, inside: Any) -> Tensor:
    import numpy as np

    rows, cols = x.shape[-2:]
    mask = inside(np.arange(rows)[:, None], np.arange(cols)[None, :])
    return ops.where(x._constant(mask, np.dtype(bool)), x, x._constant(0, x.dtype))
