"""Layers that put a border around the image; see ``haema.nn.functional.pad``."""

from __future__ import annotations

from collections.abc import Sequence

from haema.nn import functional as F
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """A border of ``padding`` values: one size for all sides, or (left, right, top, bottom, front, back)."""

    axes = 0
    mode = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        sizes = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        if len(sizes) != 2 * self.axes:
            raise ValueError(f"{type(self).__name__}: padding must be one size or {2 * self.axes}, not {padding!r}")
        self.padding = sizes

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A border of one value around (..., L)."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A border of one value around (..., H, W)."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A border of one value around (..., D, H, W)."""

    axes = 3


class ZeroPad1d(_Pad):
    """A border of zeros around (..., L)."""

    axes = 1


class ZeroPad2d(_Pad):
    """A border of zeros around (..., H, W)."""

    axes = 2


class ZeroPad3d(_Pad):
    """A border of zeros around (..., D, H, W)."""

    axes = 3


class ReflectionPad1d(_Pad):
    """A border in which (..., L) is mirrored."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A border in which (..., H, W) is mirrored."""

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A border in which (..., D, H, W) is mirrored."""

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """A border that repeats the ends of (..., L)."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """A border that repeats the edges of (..., H, W)."""

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """A border that repeats the faces of (..., D, H, W)."""

    axes = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """A border that goes on at the other end of (..., L)."""

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """A border that goes on at the other side of (..., H, W)."""

    axes = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """A border that goes on at the other side of (..., D, H, W)."""

    axes = 3
    mode = "circular"
