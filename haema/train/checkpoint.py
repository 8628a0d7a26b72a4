"""Checkpoints: a run killed at any moment goes on from its last one and ends as if it had never been killed.

A checkpoint holds the model's and the optimizer's state, the random generators, the state of every callback, the
history, the hyperparameters, and a fingerprint of the data and settings, by which going on with others is refused.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

from haema.errors import InputError
from haema.train.callbacks import Callback, Monitor

if TYPE_CHECKING:
    from haema.train.run import Run

__all__ = ["Checkpoint", "check_identity", "model_fingerprint", "read", "write"]

_HASHED = {
    "data": "other data (X, Y or their weights differ)",
    "validation data": "other validation data",
    "layers": "a model of other layers or shapes",
}
FORMAT = "haema training checkpoint"
VERSION = 1


class Checkpoint(Callback):
    """Writes the state of the training to a file, whole or not at all, so that ``fit(resume=path)`` can go on.

    Args:
        path: The file; "{epoch}" in it is replaced by the epoch's number.
        every: Write after each so many epochs (and after the last); default 1.
        seconds: Write no sooner than so long after the one before (and at the end, whatever ended the training), so
            that writing takes little of the time where epochs are short; default 0.
        keep: "last" (default): the state after the last epoch; "best": only when ``monitor`` got better.
        monitor: The value for "best"; default: "val_loss", or "loss" without validation.
        mode: "min", "max" or "auto" (default), which tells it by the name.

    Raises:
        InputError: an argument is out of its range, or the file cannot be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int = 1,
        keep: str = "last",
        monitor: str | None = None,
        mode: str = "auto",
        seconds: float = 0.0,
    ) -> None:
        if every < 1:
            raise InputError(f"Checkpoint: every is {every}; 1 or more epochs are right")
        if not seconds >= 0:
            raise InputError(f"Checkpoint: seconds is {seconds}; 0 or more is right")
        if keep not in ("last", "best"):
            raise InputError(f"Checkpoint: keep is {keep!r}; 'last' or 'best' is right")
        self.path, self.every, self.keep, self.monitor, self.mode = os.fspath(path), every, keep, monitor, mode
        self.seconds = seconds
        self._next = 0.0
        self._begun = False  # what cannot be written at the beginning is not tried at the end
        self.order = 100 if keep == "last" else 99  # after all callbacks whose state it holds
        self._watch = Monitor(monitor, mode)
        self._written = -1

    def on_fit_begin(self, run: Run) -> None:
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise InputError(f"cannot write {self.path}: there is no folder {folder}; make it first")
        if not os.access(folder, os.W_OK):
            raise InputError(f"cannot write {self.path}: the folder {folder} is not writable")
        self._watch = Monitor(self.monitor, self.mode)
        self._written = -1
        self._begun = True
        self._next = time.monotonic() + self.seconds

    def on_epoch_end(self, run: Run) -> None:
        if self.keep == "best":
            if self._watch.improved(run):
                self._write(run)
            return
        due = run.epoch % self.every == 0 and time.monotonic() >= self._next
        if due or run.epoch >= run.epochs or run.stopped is not None:
            self._write(run)

    def on_fit_end(self, run: Run) -> None:
        if self.seconds and self._begun:
            self.keep_up(run)

    def _write(self, run: Run) -> None:
        run.save(self.path.replace("{epoch}", str(run.epoch)))
        self._written = run.epoch
        self._next = time.monotonic() + self.seconds

    def keep_up(self, run: Run) -> str | None:
        """Write the state of the last finished epoch if it is not written yet, and return where it is."""
        if self.keep == "best" or run.epoch == 0:
            return None
        if self._written < run.epoch:
            self._write(run)
        return self.path.replace("{epoch}", str(self._written))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._watch.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._watch.best = None if state["best"] is None else float(state["best"])


def write(path: str, run: Run) -> None:
    """Write the state of a run to a file."""
    from haema import io

    state = {"format": FORMAT, "version": VERSION, **run.saved(), "history": run.history.to_json()}
    state |= {"targets": run.targets.to_json(), "identity": run.identity}
    io.save_checkpoint(state, path)


def read(path: str) -> dict[str, Any]:
    """Read the state that ``write`` wrote.

    Raises:
        InputError: there is no such file, it is damaged, or no checkpoint of a training.
    """
    from haema import io

    if not os.path.exists(path):
        raise InputError(f"resume is {path!r}, and there is no such file; leave resume out to begin anew")
    state = io.load_checkpoint(path)
    if state.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of a training; a file that Checkpoint wrote is right")
    if state["version"] != VERSION:
        raise InputError(f"{path} is a checkpoint of version {state['version']}, and this haema reads {VERSION}")
    return state


def model_fingerprint(model: Any) -> str:
    """A text that differs where two models' layers or shapes do."""
    shapes = [(name, x.shape, x.dtype.name) for name, x in model.state_dict().items()]
    return hashlib.blake2b(f"{model!r} {shapes}".encode(), digest_size=16).hexdigest()


def check_identity(path: str, saved: dict[str, Any], present: dict[str, Any]) -> None:
    """Refuse to go on with another model, other data or other settings than the checkpoint's.

    Raises:
        InputError: something differs; the sentence names it.
    """
    then, now = (", ".join(identity["callbacks"]) or "none" for identity in (saved, present))
    if then != now:
        raise InputError(
            f"{path} belongs to a run whose callbacks that steer it were: {then}; and now they are: {now}; "
            "resume with the same, or leave resume out to begin anew"
        )
    old, new = _flat(saved), _flat(present)
    for key in sorted({*old, *new}, key=lambda k: (k in _HASHED, k)):
        if old.get(key) == new.get(key):
            continue
        if key in _HASHED:
            raise InputError(
                f"{path} belongs to a run with {_HASHED[key]}; resume with the same, or leave resume out to begin anew"
            )
        raise InputError(
            f"{path} belongs to a run with {key} = {old.get(key)!r}, and now it is {new.get(key)!r}; "
            "resume with the same settings, or leave resume out to begin anew"
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{prefix}{name}.").items()}
    if isinstance(value, (list, tuple)):
        value = [v.item() if hasattr(v, "item") else v for v in value]
    return {prefix.removesuffix("."): value}
