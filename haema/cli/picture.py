"""The picture of a training, drawn by a process of its own that loads Matplotlib while the training runs.

What goes to it is JSON on its standard input; where it is missing or fails, the picture is drawn here, which says why.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haema.train import History

__all__ = ["Draughtsman", "main"]


class Draughtsman:
    """Waits for a history to draw. It ends with the process that started it, and Ctrl-C does not reach it."""

    def __init__(self) -> None:
        code = "from haema.cli.picture import main; main()"
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def draw(self, history: History, path: str, title: str) -> None:
        """Write the picture.

        Raises:
            InputError: it cannot be written.
        """
        process, self._process = self._process, None
        if process is not None:
            process.communicate(json.dumps([history.to_json(), path, title]).encode())
        if process is None or process.returncode:
            history.plot(path, title=title)

    def close(self) -> None:
        """Let it go if there is nothing to draw."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def main() -> None:
    """The process: load what draws, wait, draw."""
    from haema.drawing import load_matplotlib
    from haema.train.curves import draw
    from haema.train.history import History

    figure_of, canvas_of = load_matplotlib()
    figure = figure_of()
    canvas_of(figure)
    figure.add_subplot().set_title("fonts and all else that the first picture loads")
    figure.savefig(io.BytesIO())
    text = sys.stdin.read()
    if text:
        history, path, title = json.loads(text)
        draw(History.from_json(history), path, title=title)
    os._exit(0)  # the picture is written, and taking all else down would keep the user waiting
