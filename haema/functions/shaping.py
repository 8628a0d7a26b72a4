"""Functions that give the same elements another shape or order, join tensors or cut them up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import dtypes, ops
from haema.errors import ShapeError
from haema.functions.naming import numpy_names
from haema.functions.promotion import convert, result_type
from haema.ops.view import normal_axes, normal_axis

if TYPE_CHECKING:
    from haema.tensor import Tensor

Sizes = Any
"""Sizes one by one, or a tuple of them."""


def sizes_of(args: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same, and ``f(size=(2, 3))``, where they are named.

    Raises:
        TypeError: they are given both ways.
    """
    if named is not None:
        if args:
            raise TypeError(f"sizes are given twice: {args} and {named}")
        args = (named,)
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


def reshape(input: Tensor, *sizes: Sizes, shape: Sizes = None) -> Tensor:
    """The elements in row-major order in another shape; one size may be -1 and is worked out."""
    return ops.reshape(input, shape=_infer(sizes_of(sizes, shape), input.numel(), "reshape"))


def view(input: Tensor, *shape: Sizes) -> Tensor:
    """``reshape`` that promises to share memory.

    Raises:
        ShapeError: the layout of ``input`` does not allow it (say, after a transpose); use ``reshape``.
    """
    y = reshape(input, *shape)
    if y.numel() and not y._shares_memory(input):
        raise ShapeError(
            f"view: shape {tuple(input.shape)} cannot be seen as {y.shape} without copying; use .reshape()"
        )
    return y


def permute(input: Tensor, *axes: Sizes, dims: Sizes = None) -> Tensor:
    """The axes in another order."""
    given = sizes_of(axes, dims)
    if len(given) != input.ndim:
        raise ShapeError(f"permute: {len(given)} axes given for a tensor with {input.ndim}")
    return ops.permute(input, axes=tuple(normal_axis(d, input.ndim) for d in given))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    axes = list(range(max(input.ndim, 1)))
    a, b = (normal_axis(d, len(axes)) for d in (dim0, dim1))
    axes[a], axes[b] = b, a
    return ops.permute(input, axes=tuple(axes[: input.ndim]))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or number as it is."""
    if input.ndim > 2:
        raise ShapeError(f"t: needs at most 2 axes, and shape {input.shape} has {input.ndim}; use transpose or permute")
    return ops.permute(input, axes=tuple(reversed(range(input.ndim))))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved from ``source`` to ``destination``, the others in their order."""
    src = [source] if isinstance(source, int) else list(source)
    dst = [destination] if isinstance(destination, int) else list(destination)
    src, dst = ([normal_axis(a, max(input.ndim, 1)) for a in axes] for axes in (src, dst))
    rest = iter(a for a in range(input.ndim) if a not in src)
    where = dict(zip(dst, src, strict=True))
    return ops.permute(input, axes=tuple(where[i] if i in where else next(rest) for i in range(input.ndim)))


def expand(input: Tensor, *sizes: Sizes, size: Sizes = None) -> Tensor:
    """Axes of size 1 stretched, without copying; -1 keeps a size; new axes come in front."""
    given = sizes_of(sizes, size)
    lead = len(given) - input.ndim
    if lead < 0:
        raise ShapeError(f"expand: {given} has fewer axes than shape {input.shape}")
    full = tuple(input.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(given))
    return ops.expand(input, shape=full)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` stretched to the shape of ``other``."""
    return ops.expand(input, shape=other.shape)


def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """``input`` stretched to ``shape``."""
    return expand(input, shape)


@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at ``dim``."""
    d = normal_axis(dim, input.ndim + 1)
    return ops.reshape(input, shape=(*input.shape[:d], 1, *input.shape[d:]))


@numpy_names
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Axes of size 1 taken out: all, or those named that have size 1."""
    axes = normal_axes(dim, input.ndim)
    return ops.reshape(input, shape=tuple(n for a, n in enumerate(input.shape) if n != 1 or a not in axes))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes from ``start_dim`` to ``end_dim`` merged into one."""
    if input.ndim == 0:
        return ops.reshape(input, shape=(1,))
    a, b = normal_axis(start_dim, input.ndim), normal_axis(end_dim, input.ndim)
    if a > b:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return ops.reshape(input, shape=(*input.shape[:a], math.prod(input.shape[a : b + 1]), *input.shape[b + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Axis ``dim`` split into ``sizes``, of which one may be -1."""
    d = normal_axis(dim, input.ndim)
    parts = _infer(tuple(sizes), input.shape[d], "unflatten")
    if math.prod(parts) != input.shape[d]:
        raise ShapeError(f"unflatten: axis {dim} of shape {input.shape} does not split into {tuple(sizes)}")
    return ops.reshape(input, shape=(*input.shape[:d], *parts, *input.shape[d + 1 :]))


def flip(input: Tensor, *axes: Sizes, dims: Sizes = None) -> Tensor:
    """Reversed along the axes named, in new memory."""
    return ops.flip(input, axes=normal_axes(sizes_of(axes, dims), input.ndim))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` entries of axis ``dim`` from ``start`` on: a view."""
    d = normal_axis(dim, input.ndim)
    start = start + input.shape[d] if start < 0 else start
    if not 0 <= start <= start + length <= input.shape[d]:
        raise ShapeError(f"narrow: {start}:{start + length} does not lie in axis {dim} of shape {input.shape}")
    ranges = tuple((start, start + length, 1) if a == d else (0, n, 1) for a, n in enumerate(input.shape))
    return ops.slice(input, ranges=ranges)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Entry ``index`` of axis ``dim``, which goes: a view."""
    d = normal_axis(dim, input.ndim)
    i = normal_axis(index, input.shape[d], f"axis {dim}: index")
    return ops.reshape(narrow(input, d, i, 1), shape=(*input.shape[:d], *input.shape[d + 1 :]))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of axis ``dim`` as a tuple of views."""
    return tuple(select(input, dim, i) for i in range(input.shape[normal_axis(dim, input.ndim)]))


@numpy_names
def split(input: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive pieces: of one size (the last may be smaller), or of the sizes listed."""
    n = input.shape[normal_axis(dim, input.ndim)]
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
    return tuple(narrow(input, dim, a, m) for a, m in zip(starts, sections, strict=True))


@numpy_names
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size; the last may be smaller."""
    n = input.shape[normal_axis(dim, input.ndim)]
    return split(input, max(1, -(-n // chunks)), dim)


@numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one behind another along ``dim``; a vector without elements goes with any others.

    Raises:
        ShapeError: there are none, or they differ along another axis.
    """
    if len(tensors) == 0:
        raise ShapeError("cat: needs at least one tensor")
    dtype = result_type(*tensors)
    if any(x.shape == (0,) for x in tensors):
        tensors = [x for x in tensors if x.shape != (0,)] or list(tensors)
    return ops.concat(*(convert(x, dtype) for x in tensors), axis=normal_axis(dim, tensors[0].ndim))


@numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new axis ``dim``."""
    if len(tensors) == 0:
        raise ShapeError("stack: needs at least one tensor")
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise ShapeError(f"stack: tensor 0 has shape {tensors[0].shape} and tensor {i} has {x.shape}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined side by side: along their second axis, vectors along their only one."""
    several = [x if x.ndim else reshape(x, 1) for x in tensors]
    return cat(several, 0 if several and several[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined on top of each other: along their first axis, vectors as rows."""
    return cat([reshape(x, 1, -1) if x.ndim < 2 else x for x in tensors], 0)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the square matrix with a given diagonal."""
    if input.ndim == 2:
        return input.diagonal(diagonal)
    n = input.shape[0]
    at = [input._constant(np.arange(n) + max(step, 0), dtypes.int64) for step in (-diagonal, diagonal)]
    size = n + abs(diagonal)
    return ops.put_add(input, *at, shape=(size, size), axes=(0, 1))


def fliplr(input: Tensor) -> Tensor:
    """The second axis in reverse order."""
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """The first axis in reverse order."""
    return flip(input, 0)


def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix."""
    return diagonal(input).sum()


@numpy_names
def diff(input: Tensor, n: int = 1, dim: int = -1) -> Tensor:
    """Differences between neighbours along ``dim``, taken ``n`` times: y[i] = x[i + 1] - x[i]."""
    axis = normal_axis(dim, input.ndim)
    for _ in range(n):
        rest = max(input.shape[axis] - 1, 0)
        a, b = narrow(input, axis, 0, rest), narrow(input, axis, input.shape[axis] - rest, rest)
        input = a != b if input.dtype.kind == "b" else b - a
    return input


def ravel(input: Tensor) -> Tensor:
    """All elements as one vector."""
    return flatten(input)


def repeat(input: Tensor, *repeats: Sizes) -> Tensor:
    """The tensor as a tile, ``repeats`` times along each axis; more repeats than axes make new axes in front."""
    times = sizes_of(repeats)
    if len(times) < input.ndim:
        raise ShapeError(f"repeat: {len(times)} repeats for the {input.ndim} axes of shape {input.shape}")
    shape = (1,) * (len(times) - input.ndim) + input.shape
    tiled = tuple(v for pair in zip(times, shape, strict=True) for v in pair)
    single = tuple(v for n in shape for v in (1, n))
    y = ops.expand(ops.reshape(input, shape=single), shape=tiled)
    return ops.reshape(y, shape=tuple(t * n for t, n in zip(times, shape, strict=True))).clone()


def tile(input: Tensor, *dims: Sizes) -> Tensor:
    """``repeat``, where missing repeats in front are 1."""
    times = sizes_of(dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def repeat_interleave(input: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    """Each entry of axis ``dim`` (of the flattened tensor) ``repeats`` times in a row."""
    if dim is None:
        input, dim = flatten(input), 0
    d = normal_axis(dim, input.ndim)
    wide = expand(unsqueeze(input, d + 1), *(repeats if a == d + 1 else -1 for a in range(input.ndim + 1)))
    return flatten(wide, d, d + 1).clone()


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Entries moved along ``dims`` by ``shifts``; what leaves at the end comes in at the start."""
    if dims is None:
        assert isinstance(shifts, int)
        return reshape(roll(flatten(input), shifts, 0), input.shape)
    steps = [shifts] if isinstance(shifts, int) else list(shifts)
    axes = [dims] if isinstance(dims, int) else list(dims)
    for step, dim in zip(steps, axes, strict=True):
        n = input.shape[normal_axis(dim, input.ndim)]
        if n and step % n:
            cut = n - step % n
            input = cat([narrow(input, dim, cut, n - cut), narrow(input, dim, 0, cut)], dim)
    return input


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Sliding windows of ``size`` along an axis, ``step`` apart: a view with the window as new last axis."""
    return ops.window(input, axis=normal_axis(dimension, input.ndim), size=size, stride=step, dilation=1)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of axes ``dim1`` and ``dim2`` as a new last axis: a view if the two can be merged into one."""
    flat = flatten(movedim(input, (dim1, dim2), (-2, -1)), -2)  # (..., rows * cols)
    rows, cols = input.shape[dim1], input.shape[dim2]
    count = max(0, min(rows + min(offset, 0), cols - max(offset, 0)))
    start = (max(-offset, 0) * cols + max(offset, 0)) if count else 0
    stop = start + (count - 1) * (cols + 1) + 1 if count else 0
    return ops.slice(flat, ranges=(*((0, n, 1) for n in flat.shape[:-1]), (start, stop, cols + 1)))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros above the given diagonal."""
    return _triangle(input, lambda i, j: j - i <= diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros below the given diagonal."""
    return _triangle(input, lambda i, j: j - i >= diagonal)


def _triangle(x: Tensor, inside: Any) -> Tensor:
    import numpy as np

    rows, cols = x.shape[-2:]
    mask = inside(np.arange(rows)[:, None], np.arange(cols)[None, :])
    return ops.where(x._constant(mask, np.dtype(bool)), x, x._constant(0, x.dtype))
