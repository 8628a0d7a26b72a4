"""The names of what a training run writes, all derived from the model file's.

digits.haema          the model
digits-curves.png     the learning curves
digits-report.txt     the report
digits.checkpoint     the state to go on from; gone when the run is finished
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from haema.atomic import remove_leftovers
from haema.errors import InputError

__all__ = ["ENDING", "RunFiles"]

ENDING = ".haema"
_OTHER_KINDS = (".png", ".txt", ".checkpoint")


@dataclass(frozen=True)
class RunFiles:
    """Where a run writes; see the head of this file.

    Fields:
        model, picture, report, checkpoint: Paths as the user would write them.
    """

    model: str
    picture: str
    report: str
    checkpoint: str

    @staticmethod
    def of(out: str | None, data: str) -> RunFiles:
        """The names for ``--out``, or those that the data suggests: ``folder/iris.csv`` makes ``iris.haema``.

        Raises:
            InputError: ``--out`` cannot be written, or is the data itself.
        """
        if out is not None and (not out or out.endswith(("/", os.sep))):
            raise InputError(f"--out is {out!r}, where the name of a file such as model{ENDING} is right")
        if out is not None and os.path.isdir(out):
            raise InputError(
                f"--out is {out!r}, which is a folder; {os.path.join(out, 'model' + ENDING)}, say, is right"
            )
        model = out if out is not None else _suggested(data)
        stem, ending = os.path.splitext(model)
        if ending.lower() in _OTHER_KINDS:
            raise InputError(f"--out is {model!r}, a name for another kind of file; {stem}{ENDING} is right")
        if not ending:
            model = stem + ENDING
        files = RunFiles(model, f"{stem}-curves.png", f"{stem}-report.txt", f"{stem}.checkpoint")
        files._check(data)
        return files

    def _check(self, data: str) -> None:
        folder = os.path.dirname(self.model) or "."
        if not os.path.isdir(folder):
            raise InputError(f"cannot write {self.model}: there is no folder {folder}; make it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"cannot write {self.model}: the folder {folder} is not writable")
        for path in (self.model, self.picture, self.report, self.checkpoint):
            if os.path.isdir(path):
                raise InputError(f"cannot write {path}: it is a folder; another --out is right")
            if os.path.exists(path) and os.path.exists(data) and os.path.samefile(path, data):
                raise InputError(f"{path} is the data itself, which would be overwritten; another --out is right")

    def clean(self) -> None:
        """Remove what a killed run left half-written beside its files."""
        for path in (self.model, self.picture, self.report, self.checkpoint):
            remove_leftovers(path)


def _suggested(data: str) -> str:
    path = Path(os.path.realpath(data) if data in (".", "..") or data.endswith("..") else data)
    name = path.name
    while Path(name).suffix.lower() in (".gz", ".csv", ".tsv", ".txt", ".tab", ".npz", ".png", ".jpg", ".jpeg"):
        name = Path(name).stem
    return f"{name or 'model'}{ENDING}"
