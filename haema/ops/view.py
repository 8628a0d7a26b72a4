"""Views: y[i] = x[affine function of i]. No arithmetic happens, and where memory allows it nothing moves.

``reshape``, ``permute``, ``expand``, ``slice`` and ``window`` share the memory of their input. ``flip``, ``pad``,
``fold`` and ``concat`` make new memory, and so does ``assign``, which replaces a viewed region.

Each is linear, and its derivative is its adjoint: of ``slice`` it is ``pad`` (with zeros between the elements for
a step), of ``expand`` a sum, of ``window`` it is ``fold``. A convolution is a contraction over ``window``; pooling a
reduction over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from haema.ops.core import Op, Spec, broadcast_shapes, same_dtype

Shape = tuple[int, ...]
Ranges = tuple[tuple[int, int, int], ...]
Path = tuple[tuple["View", dict[str, Any]], ...]


class View(Op):
    family = "view"


class Reshape(View):
    """y = x in row-major order, with another shape of the same size."""

    shares = True

    def rule(self, *specs: Spec, shape: Shape = (), **params: Any) -> Spec:
        (x,) = specs
        if math.prod(shape) != math.prod(x.shape):
            raise self.wrong_shape(
                f"shape {x.shape} has {math.prod(x.shape)} elements and {shape} has {math.prod(shape)}"
            )
        return Spec(shape, x.dtype)

    def evaluate(self, *arrays: np.ndarray, shape: Shape = (), **_: Any) -> np.ndarray:
        return arrays[0].reshape(shape)


class Permute(View):
    """y[i, j, ...] = x with its axes in the order ``axes``."""

    shares = True

    def rule(self, *specs: Spec, axes: Shape = (), **params: Any) -> Spec:
        (x,) = specs
        if sorted(axes) != list(range(len(x.shape))):
            raise self.wrong_shape(f"{axes} is no order of the {len(x.shape)} axes of shape {x.shape}")
        return Spec(tuple(x.shape[a] for a in axes), x.dtype)

    def evaluate(self, *arrays: np.ndarray, axes: Shape = (), **_: Any) -> np.ndarray:
        return arrays[0].transpose(axes)


def _inverse(axes: Shape) -> Shape:
    result = [0] * len(axes)
    for i, a in enumerate(axes):
        result[a] = i
    return tuple(result)


class Expand(View):
    """y = x stretched along axes of size 1, and along new leading axes, to ``shape``."""

    shares = True

    def rule(self, *specs: Spec, shape: Shape = (), **params: Any) -> Spec:
        (x,) = specs
        if len(shape) < len(x.shape) or broadcast_shapes(self, x.shape, shape) != tuple(shape):
            raise self.wrong_shape(f"shape {x.shape} does not stretch to {shape}: only axes of size 1 do")
        return Spec(shape, x.dtype)

    def evaluate(self, *arrays: np.ndarray, shape: Shape = (), **_: Any) -> np.ndarray:
        return np.broadcast_to(arrays[0], shape)


def _grad_expand(g: Any, x_shape: Shape) -> Any:
    from haema.ops.reduce import sum_to  # the reductions stand above the views

    return sum_to(g, x_shape)


def slice_size(start: int, stop: int, step: int) -> int:
    """How many numbers ``range(start, stop, step)`` has, step > 0."""
    return max(0, -(-(stop - start) // step))


class Slice(View):
    """y[i] = x[start + i * step] per axis; ``ranges`` has (start, stop, step), 0 <= start, stop <= n, step > 0."""

    shares = True

    def rule(self, *specs: Spec, ranges: Ranges = (), **params: Any) -> Spec:
        (x,) = specs
        if len(ranges) != len(x.shape):
            raise self.wrong_shape(f"{len(ranges)} ranges for the {len(x.shape)} axes of shape {x.shape}")
        for n, (start, stop, step) in zip(x.shape, ranges, strict=True):
            if not (0 <= start <= n and 0 <= stop <= n and step > 0):
                raise self.wrong_shape(f"range {start}:{stop}:{step} does not lie in an axis of size {n}")
        return Spec(tuple(slice_size(*r) for r in ranges), x.dtype)

    def evaluate(self, *arrays: np.ndarray, ranges: Ranges = (), **_: Any) -> np.ndarray:
        index: tuple[Any, ...] = (*(np.s_[a:b:s] for a, b, s in ranges), ...)  # with ... a view even without axes
        return arrays[0][index]


def _grad_slice(g: Any, x_shape: Shape, ranges: Ranges) -> Any:
    pads = []
    for n, count, (start, _, step) in zip(x_shape, g.shape, ranges, strict=True):
        used = (count - 1) * step + 1 if count else 0
        start = start if count else 0
        pads.append((start, n - start - used, step - 1))
    return pad(g, pads=tuple(pads), value=0)


class Flip(View):
    """y = x in reverse order along ``axes``, in new memory."""

    def rule(self, *specs: Spec, axes: Shape = (), **params: Any) -> Spec:
        return specs[0]

    def evaluate(self, *arrays: np.ndarray, axes: Shape = (), **_: Any) -> np.ndarray:
        return np.flip(arrays[0], axes).copy()


class Pad(View):
    """y = x within a border of ``value``; ``pads`` has (before, after, between) >= 0 per axis.

    ``between`` values stand between neighbours, which is what the adjoint of a slice with a step needs.
    """

    def rule(self, *specs: Spec, pads: Ranges = (), **params: Any) -> Spec:
        (x,) = specs
        if len(pads) != len(x.shape) or any(p < 0 for three in pads for p in three):
            raise self.wrong_shape(f"pads {pads} do not fit shape {x.shape}")
        shape = (n + a + b + c * max(n - 1, 0) for n, (a, b, c) in zip(x.shape, pads, strict=True))
        return Spec(tuple(shape), x.dtype)

    def evaluate(self, *arrays: np.ndarray, pads: Ranges = (), value: float = 0, **_: Any) -> np.ndarray:
        (x,) = arrays
        y = np.full(self.rule(Spec(x.shape, x.dtype), pads=pads).shape, value, x.dtype)
        y[_inside(x.shape, pads)] = x
        return y


def _inside(shape: Shape, pads: Ranges) -> tuple[Any, ...]:
    """Where the elements of a tensor of ``shape`` stand after padding."""
    return tuple(
        np.s_[a : a + (n - 1) * (c + 1) + 1 if n else a : c + 1] for n, (a, _, c) in zip(shape, pads, strict=True)
    )


def _grad_pad(g: Any, x_shape: Shape, pads: Ranges) -> Any:
    return slice(g, ranges=tuple((s.start, s.stop, s.step) for s in _inside(x_shape, pads)))


class Window(View):
    """Sliding windows along one axis: y[..., i, ..., j] = x[..., i * stride + j * dilation, ...].

    The axis keeps its place and counts windows; the position ``j`` in the window is a new last axis.
    """

    shares = True

    def rule(
        self, *specs: Spec, axis: int = 0, size: int = 1, stride: int = 1, dilation: int = 1, **params: Any
    ) -> Spec:
        (x,) = specs
        reach = (size - 1) * dilation + 1
        if min(size, stride, dilation) < 1 or x.shape[axis] < reach:
            raise self.wrong_shape(
                f"a window of {size} (reach {reach}, stride {stride}) does not fit axis {axis} of {x.shape}"
            )
        count = (x.shape[axis] - reach) // stride + 1
        return Spec((*x.shape[:axis], count, *x.shape[axis + 1 :], size), x.dtype)

    def evaluate(self, *arrays: np.ndarray, **params: Any) -> np.ndarray:
        (x,) = arrays
        shape = self.rule(Spec(x.shape, x.dtype), **params).shape
        axis, step = params["axis"], x.strides[params["axis"]]
        strides = list(x.strides)
        strides[axis] = step * params["stride"]
        return as_strided(x, shape, (*strides, step * params["dilation"]))


class Fold(View):
    """The adjoint of ``window``: adds overlapping windows into an axis of length ``length``."""

    def rule(
        self,
        *specs: Spec,
        axis: int = 0,
        length: int = 0,
        size: int = 1,
        stride: int = 1,
        dilation: int = 1,
        **params: Any,
    ) -> Spec:
        (g,) = specs
        reach = (g.shape[axis] - 1) * stride + (size - 1) * dilation + 1
        if g.shape[-1] != size or g.shape[axis] < 1 or reach > length:
            raise self.wrong_shape(
                f"windows of shape {g.shape} (size {size}, stride {stride}, dilation {dilation}) do not fit into an "
                f"axis of size {length}"
            )
        return Spec((*g.shape[:axis], length, *g.shape[axis + 1 : -1]), g.dtype)

    def evaluate(
        self,
        *arrays: np.ndarray,
        axis: int = 0,
        length: int = 0,
        size: int = 1,
        stride: int = 1,
        dilation: int = 1,
        **_: Any,
    ) -> np.ndarray:
        (g,) = arrays
        x = np.zeros((*g.shape[:axis], length, *g.shape[axis + 1 : -1]), g.dtype)
        for j in range(size):
            at = j * dilation
            x[(*(np.s_[:],) * axis, np.s_[at : at + (g.shape[axis] - 1) * stride + 1 : stride])] += g[..., j]
        return x


def _grad_window(g: Any, x_shape: Shape, axis: int, size: int, stride: int, dilation: int) -> Any:
    return fold(g, axis=axis, length=x_shape[axis], size=size, stride=stride, dilation=dilation)


def _grad_fold(g: Any, x_shape: Shape, axis: int, size: int, stride: int, dilation: int) -> Any:
    y = window(g, axis=axis, size=size, stride=stride, dilation=dilation)
    ranges = tuple((0, n, 1) for n in x_shape)  # windows at the end that no gradient came from
    return y if y.shape == x_shape else slice(y, ranges=ranges)


class Concat(View):
    """y = the inputs one behind another along ``axis``."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ())
        self.differentiable = True

    def keeps(self, n: int) -> tuple[bool, ...]:
        return (False,) * n

    def rule(self, *specs: Spec, axis: int = 0, **params: Any) -> Spec:
        dtype = same_dtype(self, specs)
        first = specs[0].shape
        for k, s in enumerate(specs):
            if len(s.shape) != len(first) or any(
                n != m for i, (n, m) in enumerate(zip(s.shape, first, strict=True)) if i != axis
            ):
                raise self.wrong_shape(
                    f"tensor 0 has shape {first} and tensor {k} has {s.shape}: they may differ along axis {axis} only"
                )
        length = sum(s.shape[axis] for s in specs)
        return Spec((*first[:axis], length, *first[axis + 1 :]), dtype)

    def evaluate(self, *arrays: np.ndarray, axis: int = 0, **_: Any) -> np.ndarray:
        return np.asarray(np.concatenate(arrays, axis), order="C")

    def vjp(self, record: Any, g: Any) -> list[Any]:
        axis = record.params["axis"]
        grads, start = [], 0
        for shape, wanted in zip(record.shapes, record.wants, strict=True):
            stop = start + shape[axis]
            ranges = tuple((start, stop, 1) if i == axis else (0, n, 1) for i, n in enumerate(g.shape))
            grads.append(slice(g, ranges=ranges) if wanted else None)
            start = stop
        return grads


def follow(path: Path, x: Any) -> Any:
    """The views of ``path`` applied to a tensor one after another."""
    for op, params in path:
        x = op(x, **params)
    return x


class Assign(View):
    """y = x with the region that a chain of views selects replaced by v, which has the shape of the region."""

    def rule(self, *specs: Spec, path: Path = (), **params: Any) -> Spec:
        x, v = specs
        region = x
        for op, view_params in path:
            region = op.rule(region, **view_params)
        same_dtype(self, specs)
        if region.shape != v.shape:
            raise self.wrong_shape(f"a value of shape {v.shape} does not fit a region of shape {region.shape}")
        return x

    def evaluate(self, *arrays: np.ndarray, path: Path = (), **_: Any) -> np.ndarray:
        x, v = arrays
        y = x.copy()
        self.update(y, y, v, path=path)
        return y

    def update(self, out: np.ndarray, *arrays: np.ndarray, path: Path = (), **_: Any) -> None:
        region = out
        for op, params in path:
            region = op.evaluate(region, **params)
        region[...] = arrays[1]


def _grad_assign_x(g: Any, path: Path) -> Any:
    zeros = expand(g._constant(0, g.dtype), shape=follow(path, g).shape)
    return assign(g, zeros, path=path)


reshape: Reshape = Reshape("reshape", ("x",), {"x": lambda g, x_shape: reshape(g, shape=x_shape)})
permute: Permute = Permute("permute", ("x",), {"x": lambda g, axes: permute(g, axes=_inverse(axes))})
expand = Expand("expand", ("x",), {"x": _grad_expand})
slice = Slice("slice", ("x",), {"x": _grad_slice})
flip: Flip = Flip("flip", ("x",), {"x": lambda g, axes: flip(g, axes=axes)})
pad = Pad("pad", ("x",), {"x": _grad_pad})
window = Window("window", ("x",), {"x": _grad_window})
fold = Fold("fold", ("x",), {"x": _grad_fold})
concat = Concat("concat")
assign = Assign("assign", ("x", "v"), {"x": _grad_assign_x, "v": lambda g, path: follow(path, g)})


def normal_axis(axis: int, ndim: int, name: str = "axis") -> int:
    """``axis`` counted from the front.

    Raises:
        IndexError: it names no axis of a tensor with ``ndim`` axes.
    """
    if not -ndim <= axis < ndim:
        raise IndexError(f"{name} {axis} is out of range for a tensor with {ndim} axes")
    return axis % ndim


def normal_axes(axes: int | Sequence[int] | None, ndim: int) -> Shape:
    """Sorted distinct axes counted from the front; None means all."""
    if axes is None:
        return tuple(range(ndim))
    several = (axes,) if isinstance(axes, int) else tuple(axes)
    result = tuple(sorted(normal_axis(int(a), max(ndim, 1)) for a in several))
    if len(set(result)) != len(result):
        raise ValueError(f"axis {axes} is named more than once")
    return result if ndim else ()
