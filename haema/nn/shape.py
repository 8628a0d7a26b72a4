"""Layers that change the shape and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from haema.nn import functional as F
from haema.nn.functional.resampling import check_mode
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["Flatten", "PixelShuffle", "PixelUnshuffle", "Unflatten", "Upsample", "UpsamplingNearest2d"]


class Flatten(Module):
    """Axes from ``start_dim`` to ``end_dim`` merged into one: (N, C, H, W) -> (N, C H W).

    Args:
        start_dim, end_dim: The first and the last axis to merge.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis split into several.

    Args:
        dim: The axis.
        unflattened_size: Its parts, of which one may be -1.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Upsample(Module):
    """Images of another size, each pixel taking the value of the nearest one or lying between its neighbours.

    Args:
        size: Output size, for all inner axes or each.
        scale_factor: Or how many times larger.
        mode: "nearest", or "linear", "bilinear" or "trilinear" for 1, 2 or 3 inner axes.
        align_corners: Whether the centres of the outermost pixels stay where they are; for the linear modes.

    Shape: (N, C, ...) -> (N, C, ...).
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        check_mode(type(self).__name__, mode)
        several = isinstance(scale_factor, (tuple, list))
        self.size = size
        self.scale_factor = (
            tuple(map(float, scale_factor)) if several else None if scale_factor is None else float(scale_factor)  # type: ignore[arg-type]
        )
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        what = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` of (N, C, H, W)."""

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor)


class PixelShuffle(Module):
    """(..., C r^2, H, W) as (..., C, H r, W r).

    Args:
        upscale_factor: r.

    Source: W. Shi et al., "Real-time single image and video super-resolution", CVPR 2016.
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) as (..., C r^2, H, W).

    Args:
        downscale_factor: r.
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
