"""A sheet of paper: parts are placed on it in inches from its upper left corner, so that none lies over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np

from haema.drawing import INK, PALE, load_matplotlib

__all__ = ["Sheet", "grey_or_colour", "shortened", "show_tile"]

TOP = 0.75
"""Inches that title and subtitle take."""


class Sheet:
    """A Matplotlib figure of its own, with a title.

    Args:
        width, height: Inches.
        title: What the picture shows.
        subtitle: What to know about it, in a line.

    Attributes:
        figure: The figure.
    """

    def __init__(self, width: float, height: float, title: str, subtitle: str = "") -> None:
        Figure, FigureCanvasAgg = load_matplotlib()
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.text(0.25, 0.33, title, size=13, weight="bold")
        self.text(0.25, 0.58, subtitle, size=9, color=PALE)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Axes with the given place and size in inches."""
        bottom = self.height - top - height
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def blank(self, left: float, top: float, width: float, height: float) -> Any:
        """Axes without frame or ticks, with data coordinates in inches from the upper left corner."""
        axes = self.axes(left, top, width, height)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.axis("off")
        return axes

    def text(self, left: float, baseline: float, words: str, **more: Any) -> None:
        """A line of text that begins at the given place."""
        more = {"size": 9, "color": INK, **more}
        self.figure.text(left / self.width, 1 - baseline / self.height, words, **more)

    def bar(
        self, image: Any, place: tuple[float, float, float, float], ticks: Sequence[float], labels: Any = None
    ) -> Any:
        """The colour bar of an image, at a place as for `axes`."""
        bar = self.figure.colorbar(image, cax=self.axes(*place), ticks=ticks)
        bar.ax.set_yticklabels([f"{v:.2g}" for v in ticks] if labels is None else labels)
        bar.ax.tick_params(labelsize=7, length=2, colors=INK, pad=2)
        bar.outline.set_linewidth(0.4)
        return bar


def show_tile(axes: Any, pixels: np.ndarray, left: float, top: float, width: float, height: float, **more: Any) -> Any:
    """An image at its place, in the axes' own coordinates from the upper left corner."""
    return axes.imshow(pixels, extent=(left, left + width, top + height, top), aspect="auto", **more)


def grey_or_colour(images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Images (N, C, H, W) as Matplotlib shows them: (N, H, W, 3) for three channels, else their mean (N, H, W).

    Bytes keep their brightness, 0 is black and 255 white, unless none is above 127 as in images of few grey levels;
    other numbers are stretched from their least to their largest.

    Returns:
        The pixels, and what ``imshow`` must know.
    """
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint8:
        low, high = 0.0, 255.0 if high > 127 else max(high, 1.0)
    span = high - low if high > low else 1.0
    if images.shape[1] == 3:
        return ((images.transpose(0, 2, 3, 1) - low) / span).clip(0, 1), {}
    return images.mean(axis=1), {"cmap": "gray", "vmin": low, "vmax": low + span}


def shortened(text: str, most: int, end: bool = False) -> str:
    """A text at most so many letters wide; where some are left out stands an ellipsis, at its beginning if ``end``.

    Letters of Korean, Chinese and Japanese are two wide.
    """
    text = text.encode("utf-8", "replace").decode()  # the name of a file may hold bytes that are no text
    if end:
        return shortened(text[::-1], most)[::-1]
    width, kept = 0, 0
    for letter in text:
        width += 2 if east_asian_width(letter) in "WF" else 1
        if width > most:
            return text[:kept] + "…"
        kept += width <= most - 1
    return text
