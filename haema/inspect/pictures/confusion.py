"""confusion.png: what is taken for what, and the mistakes that the model is surest of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from haema.drawing import INK, PALE
from haema.inspect.mistakes import worst_mistakes
from haema.inspect.pictures.sheet import TOP, Sheet, grey_or_colour, shortened, show_tile

__all__ = ["draw_confusion"]

SIDE, COLUMNS, TILE = 5.4, 4, 1.2
WITH_SHARES, WITH_COUNTS = 12, 20
"""Of how many classes at most a cell holds the share too, or the count at all."""


def draw_confusion(
    probabilities: np.ndarray,
    truth: np.ndarray,
    classes: Sequence[str],
    images: Any,
    names: Sequence[str] | None = None,
) -> Any:
    """A picture of the confusion matrix, beside the images that were put into a wrong class most surely.

    Args:
        probabilities: Of the classes, (N, C).
        truth: Class ids, (N,).
        classes: Names of the C classes.
        images: (N, channels, H, W), in memory or in files; only those of the mistakes shown are read.
        names: Of the images' files, where they have any.

    Returns:
        A Matplotlib figure.
    """
    found = probabilities.argmax(axis=1)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (truth, found), 1)
    worst = worst_mistakes(probabilities, truth, 3 * COLUMNS)
    margin = min(1.3, 0.35 + 0.075 * max(len(shortened(c, 12)) for c in classes))
    left = 0.45 + margin
    right = left + SIDE + 1.15
    high = TILE * min(max(images.shape[2] / images.shape[3], 0.5), 1.5)
    line = high + (0.68 if names is None else 0.82)
    below = max(SIDE + margin + 0.35, 0.35 + math.ceil(len(worst) / COLUMNS) * line)
    wrong = int((found != truth).sum())
    sheet = Sheet(
        right + COLUMNS * (TILE + 0.2) + 0.1,
        TOP + below + 0.1,
        f"Confusion matrix: {len(truth) - wrong:,} of {len(truth):,} right ({100 * (1 - wrong / len(truth)):.2f} %)",
        "rows add up to 100 %" if len(classes) <= WITH_SHARES else "colours show the share of each row",
    )
    _matrix(sheet, counts, classes, left)
    sheet.text(right, TOP + 0.14, "The surest mistakes" if len(worst) else "No mistakes", size=10, weight="bold")
    if len(worst):
        pixels, how = grey_or_colour(images[worst])
        axes = sheet.blank(right, TOP + 0.3, COLUMNS * (TILE + 0.2), 3 * line)
        for k, row in enumerate(worst.tolist()):
            x, y = (k % COLUMNS) * (TILE + 0.2), (k // COLUMNS) * line
            width = min(TILE, high * images.shape[3] / images.shape[2])
            show_tile(axes, pixels[k], x, y, width, high, **how)
            p = _percent(float(probabilities[row, found[row]]))
            axes.text(x, y + high + 0.16, f"is {shortened(classes[truth[row]], 15)}", fontsize=8, color=INK)
            axes.text(
                x, y + high + 0.32, f"taken for {shortened(classes[found[row]], 10)}", fontsize=8, color="#b03a2e"
            )
            axes.text(x, y + high + 0.47, f"{p} sure", fontsize=8, color=PALE)
            if names is not None:
                axes.text(x, y + high + 0.6, shortened(names[row], 19, end=True), fontsize=6.5, color=PALE)
    return sheet.figure


def _matrix(sheet: Sheet, counts: np.ndarray, classes: Sequence[str], left: float) -> None:
    from matplotlib.colors import PowerNorm

    count = len(classes)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    axes = sheet.axes(left, TOP + 0.1, SIDE, SIDE)
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    wrong = np.ma.masked_where(np.eye(count, dtype=bool) | (counts == 0), share)
    # by their roots, so that rare mistakes can be seen
    mistakes = axes.imshow(wrong, cmap="Reds", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    step = math.ceil(count / 25)
    ticks = list(range(0, count, step))
    labels = [shortened(classes[k], 12) for k in ticks]
    upright = max(map(len, labels)) * len(ticks) > 70
    axes.set_xticks(ticks, labels, rotation=90 if upright else 0)
    axes.set_yticks(ticks, labels)
    axes.tick_params(labelsize=8 if count <= 12 else 7, length=2, colors=INK)
    axes.set_xlabel("predicted", fontsize=9, color=INK)
    axes.set_ylabel("what it is", fontsize=9, color=INK)
    for spine in axes.spines.values():
        spine.set_color("#aaaaaa")
    if count <= WITH_COUNTS:
        size = min(10.0, 110 / count)
        for i, j in zip(*np.nonzero(counts), strict=True):
            dark = share[i, j] > (0.55 if i == j else 0.3)
            words = f"{counts[i, j]}" + (f"\n{_percent(share[i, j])}" if count <= WITH_SHARES else "")
            size_here = size if count > WITH_SHARES else min(9.0, 76 / count)
            axes.text(j, i, words, ha="center", va="center", fontsize=size_here, color="white" if dark else INK)
    for k, (image, what, marks) in enumerate(
        ((shown, "right", (0.0, 0.25, 0.5, 0.75, 1.0)), (mistakes, "mistakes", (0.0, 0.01, 0.1, 0.3, 0.6, 1.0)))
    ):
        place = (left + SIDE + 0.12, TOP + 0.1 + k * (SIDE / 2 + 0.12), 0.12, SIDE / 2 - 0.12)
        bar = sheet.bar(image, place, marks, [f"{100 * m:g} %" for m in marks])
        bar.set_label(f"{what}, share of the row", size=8, color=INK)


def _percent(share: float) -> str:
    """A share in per cent, below 10 and above 99 with a tenth; what is not all or nothing never looks so."""
    value = 100 * share
    if 0 < value < 0.05:
        return "< 0.1 %"
    digits = 0 if 9.95 <= value < 99 or value == 100 else 1
    return f"{value if value == 100 else min(value, 99.9):.{digits}f}".removesuffix(".0") + " %"
