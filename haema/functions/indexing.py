"""Picking and placing elements: ``x[index]``, ``x[index] = v``, gather and scatter.

An index is read in PyTorch's way. Integers, slices, None and Ellipsis are views. Integer and boolean arrays pick
copies; they are broadcast against each other, and the axes they pick stand where the arrays stood if those are side
by side, else in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from haema import dtypes, ops
from haema.errors import DTypeError, ShapeError
from haema.functions.promotion import Operand, convert, is_tensor, lift
from haema.functions.shaping import expand, movedim
from haema.ops.core import broadcast_shapes
from haema.ops.view import normal_axis, slice_size

if TYPE_CHECKING:
    from haema.tensor import Tensor


class Basic(NamedTuple):
    """The view part of an index: a slice, then a reshape that drops and adds axes."""

    ranges: tuple[tuple[int, int, int], ...]
    shape: tuple[int, ...]


class Parsed(NamedTuple):
    """An index taken apart.

    Attributes:
        basic: The views.
        arrays: Index tensors per axis of what the views leave, int64.
        first: Where the picked axes go in the result.
    """

    basic: Basic
    arrays: dict[int, Tensor]
    first: int


def _as_index(x: Tensor, item: Any) -> Any:
    """Lists, arrays and tensors as an integer or boolean tensor, or a number if they are one."""
    if is_tensor(item):
        if item.ndim == 0 and item.dtype.kind in "iub":
            return item.item()
        index = item
    else:
        array = np.asarray(item)
        if array.size == 0 and array.dtype.kind == "f":
            array = array.astype(np.int64)
        index = x._constant(array, array.dtype)
    if index.dtype.kind not in "iub":
        raise IndexError(f"an index must hold integers or booleans, not {index.dtype.name}")
    return index


def _slice_range(item: slice, n: int) -> tuple[int, int, int]:
    step = 1 if item.step is None else int(item.step)
    if step <= 0:
        raise ValueError(f"a slice needs a step above 0, not {step}; use flip() to go backwards")
    start, stop, _ = slice(
        None if item.start is None else int(item.start), None if item.stop is None else int(item.stop), step
    ).indices(n)
    return start, max(start, stop), step


def parse(input: Tensor, index: Any) -> Parsed:
    """Take an index apart.

    Raises:
        IndexError: it has too many entries, an integer out of range, or something that is no index.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    items = [
        i if i is None or i is Ellipsis or isinstance(i, (int, np.integer, slice, np.bool_)) else _as_index(input, i)
        for i in items
    ]
    used = sum(_axes_of(i) for i in items)
    if used > input.ndim:
        raise IndexError(f"{used} indices for a tensor with {input.ndim} axes (shape {tuple(input.shape)})")
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can have only one ellipsis (...)")
    k = dots[0] if dots else len(items)
    items[k : k + 1] = [slice(None)] * (input.ndim - used)

    ranges: list[tuple[int, int, int]] = []
    shape: list[int] = []
    arrays: dict[int, Tensor] = {}
    for item in items:
        axis = len(ranges)
        if item is None:
            shape.append(1)
        elif isinstance(item, (bool, np.bool_)):
            arrays[len(shape)] = input._constant(np.flatnonzero(np.asarray([item])), dtypes.int64)
            shape.append(1)
        elif isinstance(item, slice):
            ranges.append(_slice_range(item, input.shape[axis]))
            shape.append(slice_size(*ranges[-1]))
        elif isinstance(item, (int, np.integer)):
            n = input.shape[axis]
            if not -n <= item < n:
                raise IndexError(f"index {item} is out of range for axis {axis} with size {n}")
            ranges.append((int(item) % n, int(item) % n + 1, 1))
        else:
            for part in _integers(item, input.shape[axis : axis + item.ndim], axis):
                arrays[len(shape)] = part
                ranges.append((0, input.shape[len(ranges)], 1))
                shape.append(input.shape[len(ranges) - 1])
    first = min(arrays) if arrays and max(arrays) - min(arrays) == len(arrays) - 1 else 0
    return Parsed(Basic(tuple(ranges), tuple(shape)), arrays, first)


def _axes_of(item: Any) -> int:
    """How many axes of the tensor an index entry uses up."""
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    return item.ndim if is_tensor(item) and item.dtype == dtypes.bool else 1


def _integers(item: Tensor, shape: tuple[int, ...], axis: int) -> Iterable[Tensor]:
    """An index tensor as int64, one per axis: a boolean one names the places where it is true."""
    if item.dtype != dtypes.bool:
        return [convert(item, dtypes.int64)]
    if item.shape != shape:
        raise IndexError(f"a boolean index of shape {item.shape} does not fit axes {axis}.. of sizes {shape}")
    return nonzero(item, as_tuple=True)


def _basic(x: Tensor, basic: Basic) -> Tensor:
    """The view part of an index applied."""
    if any(r != (0, n, 1) for r, n in zip(basic.ranges, x.shape, strict=True)):
        x = ops.slice(x, ranges=basic.ranges)
    return x if x.shape == basic.shape else ops.reshape(x, shape=basic.shape)


def _aligned(arrays: Iterable[Tensor]) -> list[Tensor]:
    """Index tensors broadcast to one shape."""
    several = list(arrays)
    try:
        shape = broadcast_shapes("index", *(a.shape for a in several))
    except ShapeError as error:
        raise IndexError(str(error)) from None
    return [a if a.shape == shape else ops.expand(a, shape=shape) for a in several]


def take_along(input: Tensor, indices: Mapping[int, Any]) -> Tensor:
    """Elements of ``input`` at the positions given per axis; the picked axes come first."""
    axes = tuple(sorted(indices))
    tensors = [
        indices[a] if is_tensor(indices[a]) else input._constant(np.array(indices[a], np.int64), dtypes.int64)
        for a in axes
    ]
    return ops.take(input, *_aligned(tensors), axes=axes)


def getitem(input: Tensor, index: Any) -> Tensor:
    """``x[index]``."""
    p = parse(input, index)
    base = _basic(input, p.basic)
    if not p.arrays:
        return base if base is not input else ops.reshape(input, shape=input.shape)
    y = take_along(base, p.arrays)
    picked = next(iter(_aligned(p.arrays.values()))).ndim
    if p.first:
        y = movedim(y, tuple(range(picked)), tuple(range(p.first, p.first + picked))).clone()  # row-major
    return y


def setitem(input: Tensor, index: Any, value: Operand) -> None:
    """``x[index] = value``: in place, seen by every view of the same memory, and differentiable."""
    value = (
        lift(value, input, input.dtype) if not isinstance(value, (list, tuple)) else input._constant(value, input.dtype)
    )
    if is_tensor(index) and index.dtype == dtypes.bool and value.ndim == 0 and index.shape == input.shape[: index.ndim]:
        mask = ops.reshape(index, shape=index.shape + (1,) * (input.ndim - index.ndim))
        input._become(ops.where(mask, value, input))  # no positions are needed
        return
    p = parse(input, index)
    region = _basic(input, p.basic)
    if not p.arrays:
        region._update(ops.assign, _fitted(value, tuple(region.shape)), path=())
        return
    arrays = _aligned(p.arrays[a] for a in sorted(p.arrays))
    picked = arrays[0].ndim
    axes = tuple(sorted(p.arrays))
    rest = tuple(n for a, n in enumerate(region.shape) if a not in axes)
    wanted = (*rest[: p.first], *arrays[0].shape, *rest[p.first :])
    value = _fitted(value, wanted)
    if p.first:
        value = movedim(value, tuple(range(p.first, p.first + picked)), tuple(range(picked)))
    region._update(ops.put, value, *arrays, axes=axes)


def _fitted(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``value`` stretched to the region it is written to; leading axes of size 1 may go."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = ops.reshape(value, shape=value.shape[1:])
    if value.shape == shape:
        return value
    if value.ndim > len(shape):
        raise ShapeError(f"setitem: a value of shape {value.shape} does not fit a region of shape {shape}")
    return ops.expand(value, shape=shape)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Positions of the non-zero elements: (count, ndim), or one tensor per axis. Eager only."""
    at = ops.nonzero(input)
    if not as_tuple:
        return at
    count = at.shape[0]
    ranges = [((0, count, 1), (a, a + 1, 1)) for a in range(input.ndim)]
    return tuple(ops.reshape(ops.slice(at, ranges=r), shape=(count,)) for r in ranges)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask``, as a vector. Eager only."""
    shape = broadcast_shapes("masked_select", input.shape, mask.shape)
    return getitem(expand(input, shape), expand(mask, shape))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries of axis ``dim`` named by the vector ``index``."""
    d = normal_axis(dim, input.ndim)
    y = ops.take(input, convert(index, dtypes.int64), axes=(d,))
    return movedim(y, 0, d).clone() if d else y


def _coordinates(x: Tensor, dim: int, index: Tensor) -> list[Tensor]:
    """For each axis the positions that ``gather`` reads: ``index`` along ``dim``, else the own place."""
    if index.dtype.kind not in "iu":
        raise DTypeError(f"gather: the index must hold integers, not {index.dtype.name}")
    if index.ndim != x.ndim or any(
        m > n for a, (m, n) in enumerate(zip(index.shape, x.shape, strict=True)) if a != dim
    ):
        raise ShapeError(
            f"gather: an index of shape {index.shape} does not lie within shape {tuple(x.shape)} outside axis {dim}"
        )
    result = []
    for a, n in enumerate(index.shape):
        if a == dim:
            result.append(convert(index, dtypes.int64))
        else:
            own = np.arange(n).reshape([-1 if b == a else 1 for b in range(index.ndim)])
            result.append(ops.expand(x._constant(own, dtypes.int64), shape=index.shape))
    return result


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """y[i, j, k] = x[i, index[i, j, k], k] for ``dim`` = 1: the result has the shape of ``index``."""
    if input.ndim == 0:
        return ops.reshape(gather(ops.reshape(input, shape=(1,)), 0, ops.reshape(index, shape=(1,))), shape=())
    d = normal_axis(dim, input.ndim)
    return ops.take(input, *_coordinates(input, d, index), axes=tuple(range(input.ndim)))


def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """``gather`` with ``input`` and ``indices`` broadcast against each other outside ``dim``."""
    d = normal_axis(dim, input.ndim)
    shape = list(broadcast_shapes("take_along_dim", *(_without(t.shape, d) for t in (input, indices))))
    return gather(
        expand(input, (*shape[:d], input.shape[d], *shape[d + 1 :])),
        d,
        expand(indices, (*shape[:d], indices.shape[d], *shape[d + 1 :])),
    )


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(1 if a == axis else n for a, n in enumerate(shape))


def _sources(x: Tensor, dim: int, index: Tensor, src: Operand) -> tuple[list[Tensor], Tensor]:
    """Coordinates to write to, and the values, cut to the shape of the index."""
    at = _coordinates(x, dim, index)
    value = lift(src, x, x.dtype)
    if value.ndim == 0:
        return at, ops.expand(value, shape=index.shape)
    if any(m > n for m, n in zip(index.shape, value.shape, strict=True)):
        raise ShapeError(f"scatter: the index has shape {index.shape} and the source only {value.shape}")
    return at, ops.slice(value, ranges=tuple((0, n, 1) for n in index.shape))


def scatter(input: Tensor, dim: int, index: Tensor, src: Operand = None, *, value: Operand = None) -> Tensor:
    """x with x[i, index[i, j, k], k] = src[i, j, k] for ``dim`` = 1; of writes to one place the last stays.

    A number may be called ``value``.

    Raises:
        ValueError: not exactly one of ``src`` and ``value`` is given.
    """
    if (src is None) == (value is None):
        raise ValueError("scatter: give either src or value")
    src = value if src is None else src
    d = normal_axis(dim, input.ndim)
    at, values = _sources(input, d, index, src)
    return ops.put(input, values, *at, axes=tuple(range(input.ndim)))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Operand) -> Tensor:
    """x with src[i, j, k] added to x[i, index[i, j, k], k] for ``dim`` = 1."""
    d = normal_axis(dim, input.ndim)
    at, value = _sources(input, d, index, src)
    return input + ops.put_add(value, *at, shape=input.shape, axes=tuple(range(input.ndim)))


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """x with alpha * source[i] added to entry index[i] of axis ``dim``."""
    d = normal_axis(dim, input.ndim)
    values = movedim(source * alpha if alpha != 1 else source, d, 0)
    return input + ops.put_add(values, convert(index, dtypes.int64), shape=input.shape, axes=(d,))


def index_fill(input: Tensor, dim: int, index: Tensor, value: Operand) -> Tensor:
    """x with ``value`` in the entries of axis ``dim`` named by the vector ``index``."""
    d = normal_axis(dim, input.ndim)
    shape = (*index.shape, *(n for a, n in enumerate(input.shape) if a != d))
    return ops.put(input, expand(lift(value, input, input.dtype), shape), convert(index, dtypes.int64), axes=(d,))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """x with entry index[i] of axis ``dim`` replaced by source[i]."""
    d = normal_axis(dim, input.ndim)
    return ops.put(input, movedim(source, d, 0), convert(index, dtypes.int64), axes=(d,))


def one_hot(input: Tensor, num_classes: int) -> Tensor:
    """Rows of zeros with a 1 at the class number; int64, shape (*x.shape, num_classes)."""
    classes = input._constant(np.arange(num_classes), dtypes.int64)
    last = ops.reshape(convert(input, dtypes.int64), shape=(*input.shape, 1))
    return ops.cast(ops.eq(last, classes), dtype=dtypes.int64)
