"""filters.png: the weights that meet the image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from haema.drawing import INK, PALE
from haema.inspect.pictures.sheet import TOP, Sheet, show_tile
from haema.tensor import Tensor

__all__ = ["draw_filters"]

MOST, COLUMNS, CHANNELS = 64, 8, 4


def draw_filters(weights: Tensor, layer: str = "the first layer") -> Any:
    """A picture of filters: blue is negative, white 0 and red positive, on one scale for all.

    Filters of three channels are in colour, where grey is 0; those of other numbers of channels are side by side, up
    to four channels of each. Of more than 64 the ones with the largest norm are shown, in their order.

    Args:
        weights: (O, C, H, W), as from `first_filters`.
        layer: What the layer is called.

    Returns:
        A Matplotlib figure.
    """
    w = weights.detach().numpy().astype(np.float64)
    count, channels, height, width = w.shape
    norms = np.sqrt((w**2).sum(axis=(1, 2, 3)))
    numbers = np.sort(np.argsort(-norms, kind="stable")[:MOST])
    colour = channels == 3
    across = 1 if colour or channels == 1 else min(channels, CHANNELS)
    columns = min(COLUMNS if across == 1 else max(1, COLUMNS // across), len(numbers))
    rows = math.ceil(len(numbers) / columns)
    tile = 0.85
    high = min(max(tile * height / width, 0.25), 2.0)
    cell, line = across * tile + (across - 1) * 0.05 + 0.2, high + 0.32
    wide = max(columns * cell, 4.6)
    sheet = Sheet(
        wide + 1.75,
        TOP + rows * line + 0.5,
        f"Filters of {layer}",
        f"{count} filters of {height} x {width} weights"
        + (f" for {channels} channels" if channels > 1 else "")
        + (f"; the {MOST} with the largest norm" if count > MOST else ""),
    )
    most = float(np.abs(w).max())
    limit = float(np.percentile(np.abs(w[numbers]), 99.5)) or most or 1.0
    axes = sheet.blank(0.45, TOP, wide, rows * line)
    shown: Any = None
    for k, number in enumerate(numbers.tolist()):
        left, top = (k % columns) * cell, (k // columns) * line
        axes.text(left, top + 0.17, f"{number}", fontsize=7, color=PALE)
        for c in range(across):
            place = (left + c * (tile + 0.05), top + 0.21, tile, high)
            if colour:
                show_tile(axes, (0.5 + w[number].transpose(1, 2, 0) / (2 * limit)).clip(0, 1), *place)
            else:
                shown = show_tile(axes, w[number, c], *place, cmap="RdBu_r", vmin=-limit, vmax=limit)
    sheet.text(0.45, sheet.height - 0.2, _caption(height, width, channels, across, colour), size=8, color=PALE)
    if colour:
        shown = _grey_scale(axes, limit)
    place = (0.45 + wide + 0.15, TOP + 0.21, 0.14, min(2.4, rows * line - 0.4))
    beyond = most > limit * 1.01  # a few large weights do not make all others pale
    ends = [f"{'≤ ' if beyond else ''}{-limit:.2g}", "0", f"{'≥ ' if beyond else ''}{limit:.2g}"]
    bar = sheet.bar(shown, place, [-limit, 0, limit], ends)
    bar.set_label("weight" if not colour else "weight, in red, green and blue each", size=8, color=INK)
    return sheet.figure


def _caption(height: int, width: int, channels: int, across: int, colour: bool) -> str:
    words = f"above each its number; {width} pixels across, {height} down"
    if colour:
        return words + "; grey is 0"
    if across < channels:
        return words + f"; of each filter the first {across} of {channels} channels"
    return words + (f"; of each filter its {channels} channels" if across > 1 else "")


def _grey_scale(axes: Any, limit: float) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(-limit, limit), "gray")
