"""The picture of a training run."""

from __future__ import annotations

import math
import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from haema.atomic import atomic_write
from haema.errors import InputError
from haema.train.history import larger_is_better

if TYPE_CHECKING:
    from haema.train.history import History

__all__ = ["draw"]

TRAIN, VALID, BEST, INK, FAINT = "#1f6f8b", "#e07a3f", "#3a3a3a", "#333333", "#d9d9d9"
_FORMATS = (".png", ".svg", ".pdf")
_WIDER = re.compile(
    "(Noto Sans CJK|Source Han Sans|Nanum|Malgun|Apple SD Gothic|Hiragino Sans|PingFang|Microsoft YaHei|Yu Gothic|"
    "WenQuanYi|Arial Unicode|Unifont)"
)


def load_matplotlib() -> tuple[Any, Any]:
    """Matplotlib's figure and canvas, loaded when first asked for, which takes a moment."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return Figure, FigureCanvasAgg


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
    Figure, FigureCanvasAgg = load_matplotlib()
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _FORMATS:
        came = ending or "no ending"
        raise InputError(f"cannot draw {os.fspath(path)}: {came} came, where .png, .svg or .pdf is right")
    if not len(history):
        raise InputError("there is nothing to draw: no epoch was finished")
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
        title = title.encode("utf-8", "replace").decode()  # the name of a file may hold bytes that are no text
        family = ["sans-serif", *_wider_fonts()] if not title.isascii() else None
        figure.suptitle(title, color=INK, fontsize=12, fontweight="bold", fontfamily=family, parse_math=False)
    changing = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}[ending]  # left out: same run, same bytes
    with atomic_write(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # where no font has a letter, there is a box
        figure.savefig(file, format=ending[1:], metadata={changing: None})  # type: ignore[arg-type]


def _wider_fonts() -> list[str]:
    """The installed fonts known to have the letters of many languages."""
    from matplotlib.font_manager import get_font_names

    return sorted(name for name in get_font_names() if _WIDER.match(name))


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
    axes.tick_params(colors=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#aaaaaa")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
