"""The picture of a training run."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from haema.drawing import INK, check_ending, load_matplotlib, plain_axes, save
from haema.errors import InputError
from haema.train.history import larger_is_better

if TYPE_CHECKING:
    from haema.train.history import History

__all__ = ["draw"]

TRAIN, VALID, BEST, FAINT = "#1f6f8b", "#e07a3f", "#3a3a3a", "#d9d9d9"


def draw(history: History, path: str | os.PathLike[str], title: str | None = None) -> None:
    """Draw the loss and the first metric over the epochs, training and validation, and write the picture.

    The best epoch is marked; the gap between the two curves is shaded. Matplotlib's global state is left alone.

    Args:
        history: The run.
        path: A PNG, SVG or PDF file; it appears as a whole or not at all.
        title: What stands above.

    Raises:
        InputError: no epoch was finished, or the file's ending is another.
    """
    check_ending(path)
    if not len(history):
        raise InputError("there is nothing to draw: no epoch was finished")
    Figure, FigureCanvasAgg = load_matplotlib()
    names = ["loss", *[m for m in history.metrics if m in history][:1]]
    figure = Figure(figsize=(5.4 * len(names), 3.9), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    best = history.best_epoch()
    for i, name in enumerate(names):
        _panel(figure.add_subplot(1, len(names), i + 1), history, name, best)
    wide = figure.get_figwidth()
    figure.subplots_adjust(
        left=0.62 / wide, right=1 - 0.15 / wide, bottom=0.13, top=0.82 if title else 0.91, wspace=0.2
    )
    if title:
        figure.suptitle(title, color=INK, fontsize=12, fontweight="bold")
    save(figure, path)


def _panel(axes: Any, history: History, name: str, best: int) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    epochs = range(1, len(history) + 1)
    curves = [(name, "training", TRAIN)]
    if f"val_{name}" in history:
        curves.append((f"val_{name}", "validation", VALID))
        axes.fill_between(epochs, history[name], history[f"val_{name}"], color=VALID, alpha=0.10, linewidth=0)
    dots = {"marker": "o", "markersize": 3} if len(history) <= 30 else {}
    for key, label, colour in curves:
        axes.plot(epochs, history[key], color=colour, linewidth=1.8, label=label, solid_capstyle="round", **dots)
    key = curves[-1][0]
    if best and math.isfinite(history[key][best - 1]):
        value = history[key][best - 1]
        axes.axvline(best, color=BEST, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
        label = f"best epoch {best}: {value:.4g}"
        axes.plot([best], [value], "o", color=curves[-1][2], markeredgecolor=BEST, markersize=7, label=label)
    shown = [v for k, _, _ in curves for v in history[k] if math.isfinite(v)]
    if not larger_is_better(name) and shown and min(shown) > 0 and max(shown) > 50 * min(shown):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(name.replace("_", " "), loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.margins(x=0.02)
    if len(history) == 1:
        axes.set_xlim(0.5, 1.5)
    axes.grid(True, axis="y", color=FAINT, linewidth=0.7)
    plain_axes(axes)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
