"""What all pictures share: Matplotlib without its global state, and a file that appears as a whole or not at all."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

from haema.atomic import atomic_write
from haema.errors import InputError

__all__ = ["INK", "PALE", "check_ending", "load_matplotlib", "plain_axes", "save"]

INK, PALE = "#333333", "#777777"
_CHANGING = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}
_WIDER = re.compile(
    "(Noto Sans CJK|Source Han Sans|Nanum|Malgun|Apple SD Gothic|Hiragino Sans|PingFang|Microsoft YaHei|Yu Gothic|"
    "WenQuanYi|Arial Unicode|Unifont)"
)


def load_matplotlib() -> tuple[Any, Any]:
    """Matplotlib's figure and canvas, loaded when first asked for, which takes a moment."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return Figure, FigureCanvasAgg


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending of a picture's file, one of .png, .svg and .pdf.

    Raises:
        InputError: it is another.
    """
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _CHANGING:
        came = ending or "no ending"
        raise InputError(f"cannot draw {os.fspath(path)}: {came} came, where .png, .svg or .pdf is right")
    return ending


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure; the same one gives the same bytes.

    Its texts are taken as they stand: no mathematics is read into the name of a class or a file, and letters that
    the usual font lacks come from the installed ones that have them, or are a box.

    Args:
        figure: Matplotlib's.
        path: A PNG, SVG or PDF file; it appears as a whole or not at all.

    Raises:
        InputError: the file's ending is another, or it cannot be written.
    """
    from matplotlib.text import Text

    ending = check_ending(path)
    wider: list[str] | None = None
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        if not text.get_text().isascii():
            wider = _wider_fonts() if wider is None else wider
            text.set_text(text.get_text().encode("utf-8", "replace").decode())  # bytes of a file's name that are none
            text.set_fontfamily(["sans-serif", *wider])
    with atomic_write(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        # left out, so that the bytes are the same: the version or the date
        figure.savefig(file, format=ending[1:], metadata={_CHANGING[ending]: None})


def plain_axes(axes: Any) -> None:
    """Axes with a left and a lower line only."""
    axes.tick_params(colors=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#aaaaaa")


def _wider_fonts() -> list[str]:
    """The installed fonts known to have the letters of many languages."""
    from matplotlib.font_manager import get_font_names

    return sorted(name for name in get_font_names() if _WIDER.match(name))
