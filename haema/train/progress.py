"""Showing how a training goes, and keeping a log of it."""

from __future__ import annotations

import csv
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any

from haema.errors import InputError
from haema.train.callbacks import Callback

if TYPE_CHECKING:
    from haema.train.run import Run

__all__ = ["CSVLog", "ProgressBar"]

REDRAW = 0.1  # seconds between two updates of the bar


def _values(logs: dict[str, float]) -> str:
    """An epoch's values in a line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if name not in ("lr", "seconds"))


class ProgressBar(Callback):
    """A bar with the rate, the remaining time, the loss and the metrics, on a terminal; a line per epoch elsewhere.

    Args:
        lines: What happens where the output is no terminal: True (default) writes one plain line per epoch, False
            nothing.
        file: Where to; default: standard error.
    """

    order = 50

    def __init__(self, lines: bool = True, file: IO[str] | None = None) -> None:
        self.lines = lines
        self._file = file
        self._bar: Any = None
        self._task: Any = None
        self._next = 0.0
        self._first = 0

    @property
    def file(self) -> IO[str]:
        """Where it writes."""
        return sys.stderr if self._file is None else self._file

    def settings(self) -> dict[str, Any]:
        return {"lines": self.lines}

    def on_fit_begin(self, run: Run) -> None:
        self._bar = None
        self._first = run.epoch

    def on_epoch_begin(self, run: Run) -> None:
        if self._bar is None and self.file.isatty():
            self._start(run)
        if self._bar is not None:
            self._bar.update(self._task, description=f"epoch {run.epoch}/{run.epochs}")

    def _start(self, run: Run) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Rate(ProgressColumn):
            """Steps per second."""

            def render(self, task: Any) -> Text:
                return Text(f"{task.speed:.0f} steps/s" if task.speed else "", style="dim")

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(file=self.file),
            transient=True,
        )
        total = None if run.batches is None else run.batches * (run.epochs - run.epoch + 1)
        self._task = self._bar.add_task("", total=total, text="")
        self._first = run.steps
        self._next = 0.0
        self._bar.start()

    def on_batch_end(self, run: Run) -> None:
        if self._bar is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + REDRAW
            self._bar.update(self._task, completed=run.steps - self._first, text=f"loss {run.loss:.4g}")

    def on_epoch_end(self, run: Run) -> None:
        line = f"epoch {run.epoch}/{run.epochs}  {_values(run.logs)}  ({run.logs['seconds']:.2f} s)"
        if self._bar is not None:
            self._bar.update(self._task, completed=run.steps - self._first)
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif self.lines:
            print(line, file=self.file, flush=True)

    def on_fit_end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if run.stopped is not None and not run.history.interrupted and (self.lines or self.file.isatty()):
            print(f"stopped: {run.stopped}", file=self.file, flush=True)


class CSVLog(Callback):
    """Writes the values of each epoch to a CSV file as they come, one row per epoch.

    A run that goes on from a checkpoint writes the epochs before anew, so that each stands there once.

    Args:
        path: The file.

    Raises:
        InputError: its folder does not exist, or it cannot be written.
    """

    order = 50

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._columns: list[str] = []

    def on_fit_begin(self, run: Run) -> None:
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise InputError(f"cannot write {self.path}: there is no folder {folder}; make it first")
        self._columns = []

    def on_epoch_end(self, run: Run) -> None:
        columns = list(run.history)
        if columns != self._columns:
            run.history.to_csv(self.path)
            self._columns = columns
            return
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([len(run.history), *(repr(run.history[c][-1]) for c in columns)])
