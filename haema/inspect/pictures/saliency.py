"""saliency.png: which pixels a score depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from haema.drawing import INK, PALE
from haema.inspect.pictures.sheet import TOP, Sheet, grey_or_colour, shortened, show_tile
from haema.tensor import Tensor

__all__ = ["draw_saliency"]

TILE, LEFT, RED = 1.45, 1.35, "#b03a2e"


def draw_saliency(
    images: np.ndarray,
    maps: Sequence[tuple[str, Tensor]],
    headings: Sequence[tuple[str, str, bool]],
    subtitle: str = "",
) -> Any:
    """A picture with a column for each image: the image, and the maps below it.

    Each map is black at 0 and bright at the 99.5th percentile of its values.

    Args:
        images: (N, C, H, W).
        maps: Name and values (N, H, W) of each kind of map.
        headings: Two lines for each image, and whether the second is red.
        subtitle: What to know about them.

    Returns:
        A Matplotlib figure.
    """
    count, _, h, w = images.shape
    high = min(max(TILE * h / w, 0.5), 2.2)
    rows = 1 + len(maps)
    title = "Saliency: what the score looks at"
    wide = max(count * (TILE + 0.15), 4.6)
    sheet = Sheet(LEFT + wide + 0.85, TOP + 0.7 + rows * (high + 0.15), title, subtitle)
    axes = sheet.blank(LEFT, TOP, wide, 0.5 + rows * (high + 0.15))
    pixels, how = grey_or_colour(images)
    for k, (first, second, red) in enumerate(headings):
        left = k * (TILE + 0.15)
        axes.text(left, 0.17, shortened(first, 23), fontsize=8, color=INK)
        axes.text(left, 0.35, shortened(second, 24), fontsize=8, color=RED if red else PALE)
        show_tile(axes, pixels[k], left, 0.5, TILE, high, **how)
    shown: Any = None
    for r, (_, values) in enumerate(maps, 1):
        for k, s in enumerate(values.detach().numpy().astype(np.float64)):
            top = float(np.percentile(s, 99.5)) or float(s.max()) or 1.0
            place = (k * (TILE + 0.15), 0.5 + r * (high + 0.15), TILE, high)
            shown = show_tile(axes, s / top, *place, cmap="inferno", vmin=0, vmax=1)
    for r, name in enumerate(["the image", *(name for name, _ in maps)]):
        middle = TOP + 0.5 + r * (high + 0.15) + high / 2
        for i, part in enumerate(name.split("\n")):
            sheet.text(0.25, middle + 0.16 * i, part, size=8.5 if i == 0 else 7.5, color=INK if i == 0 else PALE)
    if shown is not None:
        place = (LEFT + count * (TILE + 0.15), TOP + 0.5 + high + 0.15, 0.12, (rows - 1) * (high + 0.15) - 0.15)
        sheet.bar(shown, place, [0, 1], ["0", "most"])
    return sheet.figure
