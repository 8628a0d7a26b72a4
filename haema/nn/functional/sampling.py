"""Images read at places between their pixels: warps of every kind.

The centre of the pixel in row i and column j lies at (i, j). Around the image lies a border without end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from haema import dtypes, ops
from haema.errors import ShapeError
from haema.nn.functional._common import need_floating
from haema.tensor import Tensor

MODES = ("bilinear", "nearest")


def check_interpolation(name: str, mode: str) -> None:
    """Refuse an unknown way of reading between pixels.

    Raises:
        ValueError: it is none of those that there are.
    """
    if mode not in MODES:
        raise ValueError(f"{name}: 'bilinear' or 'nearest' is right, not {mode!r}")


def sample(input: Tensor, rows: Tensor, columns: Tensor, mode: str = "bilinear", fill: float = 0.0) -> Tensor:
    """The image at any places, with ``fill`` for the border.

        nearest    x[round(i), round(j)]
        bilinear   (1 - q) ((1 - p) x[k, l] + p x[k, l + 1]) + q ((1 - p) x[k + 1, l] + p x[k + 1, l + 1]),
                   k = floor(i), q = i - k, l = floor(j), p = j - l

    Args:
        input: x, (N, C, H, W), floating.
        rows, columns: i and j, (N, H', W').
        mode: How to read between pixels.
        fill: The border's value.

    Returns:
        (N, C, H', W').
    """
    n, _, height, width = input.shape
    number = ops.expand(input._constant(np.arange(n).reshape(n, 1, 1), dtypes.int64), shape=rows.shape)
    i, j = rows.clamp(-1, height), columns.clamp(-1, width)  # what lies further out is border as well
    bordered = border(input, (1, 2), (1, 2), fill)  # the last row and column only meet the weight 0

    def read(k: Tensor, l: Tensor) -> Tensor:
        return ops.permute(ops.take(bordered, number, k, l, axes=(0, 2, 3)), axes=(0, 3, 1, 2))

    if mode == "nearest":
        return read(i.round().long() + 1, j.round().long() + 1)
    k, l = i.floor(), j.floor()
    q, p = (i - k).unsqueeze(1), (j - l).unsqueeze(1)  # (N, 1, H', W')
    k, l = k.long() + 1, l.long() + 1
    upper = read(k, l) * (1 - p) + read(k, l + 1) * p
    lower = read(k + 1, l) * (1 - p) + read(k + 1, l + 1) * p
    return upper * (1 - q) + lower * q


def border(x: Tensor, rows: tuple[int, int], columns: tuple[int, int], value: float = 0.0) -> Tensor:
    """(N, C, H, W) within a border, (above, below) and (left, right), that lies in memory, where it is read quickest.

    A ``pad`` is a view: whoever reads it asks at each place whether it is border.
    """
    n, c, height, width = x.shape

    def band(h: int, w: int) -> Tensor:
        return ops.expand(x._constant(value, x.dtype), shape=(n, c, h, w))

    if any(rows):
        x = ops.concat(band(rows[0], width), x, band(rows[1], width), axis=2)
        height += sum(rows)
    if any(columns):
        x = ops.concat(band(height, columns[0]), x, band(height, columns[1]), axis=3)
    return x


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Where an affine map takes the pixels of an image, for ``grid_sample``.

        grid[n, i, j] = theta[n] (u_j, v_i, 1)^T,    u and v from -1 to 1 over the width and the height

    Args:
        theta: (N, 2, 3), floating.
        size: Of the result: (N, C, H, W).
        align_corners: Whether -1 and 1 are the centres of the outermost pixels, and not their outer edges.

    Returns:
        (N, H, W, 2), the last axis (x, y).

    Raises:
        ShapeError: ``theta`` is not (N, 2, 3), or ``size`` not of four numbers with the same N.

    Source: M. Jaderberg et al., "Spatial transformer networks", NIPS 2015, equation 1.
    """
    need_floating("affine_grid", theta)
    if len(size) != 4 or tuple(theta.shape) != (size[0], 2, 3):
        came = f"theta of shape {tuple(theta.shape)} and size {tuple(size)}"
        raise ShapeError(f"affine_grid: {came}; theta (N, 2, 3) and size (N, C, H, W) are right")
    n, _, height, width = size
    v, u = (theta._constant(_span(k, align_corners), theta.dtype) for k in (height, width))
    v, u = v.reshape(1, height, 1, 1), u.reshape(1, 1, width, 1)
    t = theta.reshape(n, 1, 1, 2, 3)
    return t[..., 0] * u + t[..., 1] * v + t[..., 2]  # (N, H, W, 2)


def _span(n: int, align_corners: bool) -> np.ndarray:
    """n pixels' places between -1 and 1."""
    k = np.arange(n)
    return (2 * k / max(n - 1, 1) - 1) * (n > 1) if align_corners else (2 * k + 1) / n - 1


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The image at the places of a grid, whose x and y run from -1 to 1 over its width and height.

    Args:
        input: (N, C, H, W), floating.
        grid: (N, H', W', 2), the last axis (x, y).
        mode: "bilinear" or "nearest".
        padding_mode: What lies around the image: "zeros", or "border", the outermost pixels' values.
        align_corners: Whether -1 and 1 are the centres of the outermost pixels, and not their outer edges. Default:
            False.

    Returns:
        (N, C, H', W').

    Raises:
        ValueError: a mode is unknown.
        ShapeError: input and grid are of other shapes, or of different N.

    Source: M. Jaderberg et al., "Spatial transformer networks", NIPS 2015, equations 3 and 5.
    """
    need_floating("grid_sample", input)
    check_interpolation("grid_sample: mode", mode)
    if padding_mode not in ("zeros", "border"):
        raise ValueError(f"grid_sample: padding_mode must be 'zeros' or 'border', not {padding_mode!r}")
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != input.shape[0]:
        came = f"shapes {tuple(input.shape)} and {tuple(grid.shape)}"
        raise ShapeError(f"grid_sample: {came} came; (N, C, H, W) and (N, H', W', 2) are right")
    places = []
    for axis, n in ((1, input.shape[2]), (0, input.shape[3])):
        g = grid[..., axis]
        at = (g + 1) * ((n - 1) / 2) if align_corners else ((g + 1) * n - 1) / 2
        places.append(at.clamp(0, n - 1) if padding_mode == "border" else at)
    return sample(input, places[0], places[1], mode)
