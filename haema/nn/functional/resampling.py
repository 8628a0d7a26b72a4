"""Images made larger or smaller, and channels turned into pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from haema import dtypes, ops
from haema.errors import ShapeError
from haema.nn.functional._common import row_major
from haema.tensor import Tensor


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Resize the inner axes.

        nearest   y[i] = x[floor(i L / L')]
        linear    y[i] = (1 - p + j) x[j] + (p - j) x[j + 1],  j = floor(p),  axis after axis;
                  p = (i + 1/2) L / L' - 1/2, at least 0, or with aligned corners p = i (L - 1) / (L' - 1)

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: Output size, for all axes or each.
        scale_factor: Or how many times larger, for all axes or each.
        mode: "nearest", or "linear", "bilinear" or "trilinear" for 1, 2 or 3 inner axes.
        align_corners: Whether the centres of the outermost pixels stay where they are. Default: False; only for the
            linear modes.

    Raises:
        ValueError: not exactly one of ``size`` and ``scale_factor``, another mode, or ``align_corners`` for nearest.
        ShapeError: the input has not as many inner axes as the mode needs, or nothing would be left.
    """
    check_mode("interpolate", mode)
    if mode == "nearest" and align_corners is not None:
        raise ValueError("interpolate: align_corners is for the linear modes")
    n = input.ndim - 2
    if mode in LINEAR and n != LINEAR[mode]:
        raise ShapeError(f"interpolate: {mode} is for {LINEAR[mode]} inner axes, not for shape {tuple(input.shape)}")
    if n < 1:
        raise ShapeError(f"interpolate: the input must be (N, C, ...), not shape {tuple(input.shape)}")
    given: Any = size if scale_factor is None else scale_factor
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    several = [given] * n if isinstance(given, (int, float)) else list(given)
    if len(several) != n:
        raise ValueError(f"interpolate: needs one number or {n}, not {given!r}")
    y = input
    for axis, wanted in enumerate(several, 2):
        length = input.shape[axis]
        count = int(wanted) if scale_factor is None else math.floor(length * wanted)
        if count < 1 or length < 1:
            raise ShapeError(f"interpolate: {given} leaves nothing of an input of shape {tuple(input.shape)}")
        if mode in LINEAR:
            y = _between(y, axis, count, 1 / wanted if size is None else length / count, bool(align_corners))
            continue
        if count % length == 0:
            y = _repeated(y, axis, count // length)
            continue
        ratio = length / count if scale_factor is None else 1 / wanted
        at = np.minimum((np.arange(count) * np.float32(ratio)).astype(np.int64), length - 1)
        y = row_major(y.index_select(axis, y._constant(at, dtypes.int64)))
    return y


LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
"""Modes that mix neighbours, and their number of inner axes."""


def check_mode(name: str, mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        ValueError: it is none of those that there are.
    """
    if mode != "nearest" and mode not in LINEAR:
        raise ValueError(f"{name}: mode must be 'nearest', {', '.join(map(repr, LINEAR))}, not {mode!r}")


def _between(x: Tensor, axis: int, count: int, ratio: float, align_corners: bool) -> Tensor:
    """``count`` points on the lines between the entries of an axis."""
    n = x.shape[axis]
    i = np.arange(count)
    step = (n - 1) / max(count - 1, 1)
    p = i * step if align_corners else np.maximum((i + 0.5) * ratio - 0.5, 0)
    low = np.minimum(p.astype(np.int64), n - 1)
    high = np.minimum(low + 1, n - 1)
    share = x._constant((p - low).reshape((-1,) + (1,) * (x.ndim - axis - 1)), x.dtype)
    a, b = (x.index_select(axis, x._constant(at, dtypes.int64)) for at in (low, high))
    return row_major(a * (1 - share) + b * share)


def _repeated(x: Tensor, axis: int, times: int) -> Tensor:
    """Each entry of an axis several times in a row."""
    if times == 1:
        return x
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    x = ops.reshape(x, shape=(*before, n, 1, *after))
    x = ops.expand(x, shape=(*before, n, times, *after))
    return ops.reshape(x, shape=(*before, n * times, *after))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) as (..., C, H r, W r).

    Source: W. Shi et al., "Real-time single image and video super-resolution", CVPR 2016.
    """
    r = upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise ShapeError(f"pixel_shuffle: shape {tuple(input.shape)} has no channels in multiples of {r}^2")
    *lead, c, h, w = input.shape
    k = len(lead)
    x = ops.reshape(input, shape=(*lead, c // (r * r), r, r, h, w))
    x = ops.permute(x, axes=(*range(k), k, k + 3, k + 1, k + 4, k + 2))  # (..., C, H, r, W, r)
    return ops.reshape(x, shape=(*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) as (..., C r^2, H, W): the inverse of ``pixel_shuffle``."""
    r = downscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-2] % r or input.shape[-1] % r:
        raise ShapeError(f"pixel_unshuffle: the last axes of shape {tuple(input.shape)} are no multiples of {r}")
    *lead, c, h, w = input.shape
    k = len(lead)
    x = ops.reshape(input, shape=(*lead, c, h // r, r, w // r, r))
    x = ops.permute(x, axes=(*range(k), k, k + 2, k + 4, k + 1, k + 3))  # (..., C, r, r, H, W)
    return ops.reshape(x, shape=(*lead, c * r * r, h // r, w // r))
