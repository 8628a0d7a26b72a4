"""What a trainer learns to predict: classes or numbers, told from the values given.

    values of Y                      task              the loss gets               predictions are
    texts (N,)                       classification    class ids, names sorted     the texts
    whole numbers, booleans (N,)     classification    class ids 0 .. C-1          ids
    probabilities (N, C)             classification    them, if cross entropy      ids
    one-hot rows (N, C)              classification    class ids                   ids
    fractional numbers (N,), (N, K)  regression        numbers                     numbers

An elementwise loss (MSE and the like) gets class ids as one-hot rows, or as 0 and 1 where the model has one
output; whole numbers with such a loss and one output are a regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from haema.errors import InputError, suggest
from haema.train.metrics import as_array
from haema.train.objective import Kind

__all__ = ["Targets", "infer_targets", "label_array"]


@dataclass(frozen=True)
class Targets:
    """How truth is encoded.

    Fields:
        task: "classification" or "regression".
        form: What the loss gets: "ids" (N,) int64; "one_hot" (N, C); "binary" 0 and 1 in the output's shape;
            "soft" (N, C) as given; "numbers" in the output's shape; "given" as it is.
        tail: Shape of the model's output for one row.
        classes: Names of the classes in the order of their ids, or None where ids are their own names.
    """

    task: str
    form: str
    tail: tuple[int, ...]
    classes: list[Any] | None = None

    @property
    def size(self) -> int:
        """The number of classes."""
        return 2 if self.form == "binary" else self.tail[0]

    def ids(self, y: np.ndarray, name: str = "Y") -> np.ndarray:
        """Labels as class ids, int64 (N,) or (N, ...).

        Raises:
            InputError: a label is no class.
        """
        if self.classes is not None and y.dtype.kind in "US":
            place = {c: i for i, c in enumerate(self.classes)}
            distinct, codes = np.unique(y, return_inverse=True)
            for k, label in enumerate(distinct.tolist()):
                if label not in place:
                    row = int(np.flatnonzero(codes.reshape(-1) == k)[0])
                    raise InputError(f"{name}[{row}] is {label!r}, which is no class; {suggest(label, self.classes)}")
            return np.array([place[c] for c in distinct.tolist()], np.int64)[codes.reshape(y.shape)]
        if y.dtype.kind in "US":
            raise InputError(f"{name} holds texts such as {str(y.flat[0])!r}, and the classes are numbers here")
        if y.ndim > 1 and y.shape[1:] == self.tail[:1] and self.form != "binary":
            return y.argmax(axis=1).astype(np.int64)
        whole = y.astype(np.int64)
        bad = np.argwhere((whole != y) | (whole < 0) | (whole >= self.size))
        if len(bad):
            at = ", ".join(map(str, bad[0]))
            raise InputError(
                f"{name}[{at}] is {y[tuple(bad[0])]}, where a class id from 0 to {self.size - 1} is right "
                f"(the model has {_outputs(self.tail)})"
            )
        return whole

    def truth(self, values: Any, name: str = "Y") -> np.ndarray:
        """What metrics compare with: class ids, or numbers of the output's shape."""
        y = label_array(values, name)
        if self.task == "classification":
            y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
            return self.ids(y, name)
        if y.dtype.kind in "US":
            raise InputError(f"{name} holds texts such as {str(y.flat[0])!r}, where a regression's target is a number")
        return self._shaped(y, name)

    def encode(self, values: Any, truth: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """What the loss gets, from the values given and their ``truth``."""
        if self.form == "ids":
            return truth
        if self.form == "one_hot":
            return np.eye(self.size, dtype=dtype)[truth]
        if self.form == "binary":
            return truth.astype(dtype).reshape(len(truth), *self.tail)
        if self.form == "soft":
            return label_array(values, "Y").astype(dtype)
        if self.form == "numbers":
            return truth.astype(dtype)
        return truth.astype(dtype) if truth.dtype.kind == "f" else truth

    def _shaped(self, y: np.ndarray, name: str) -> np.ndarray:
        """Numbers in the shape of the model's output, for (N,) less (N, 1) would be (N, N)."""
        if int(np.prod(self.tail)) == 1 and y.size == len(y):
            return y.reshape(len(y), *self.tail)
        if self.form == "given" or y.shape[1:] == self.tail:
            return y
        raise InputError(f"{name} has shape {y.shape} and the model's output {(len(y), *self.tail)}; they must agree")

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Class ids as the labels they stand for."""
        return ids if self.classes is None else np.asarray(self.classes)[ids]

    def names(self) -> list[str]:
        """The classes in words."""
        return [str(c) for c in (range(self.size) if self.classes is None else self.classes)]

    def to_json(self) -> dict[str, Any]:
        """This as plain data."""
        return {"task": self.task, "form": self.form, "tail": list(self.tail), "classes": self.classes}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Targets:
        """The reverse of ``to_json``."""
        return Targets(value["task"], value["form"], tuple(value["tail"]), value["classes"])


def label_array(values: Any, name: str = "Y") -> np.ndarray:
    """Labels or numbers as an array of one plain type, checked.

    Raises:
        InputError: there are none, one is missing or not finite, or they are no labels.
    """
    y = as_array(values)
    if y.ndim == 0:
        raise InputError(f"{name} is a single value; one per row is right")
    if y.size == 0:
        raise InputError(f"{name} is empty; there is nothing to learn from")
    if y.dtype.kind not in "OUSTbiuf":
        raise InputError(f"{name} is of type {y.dtype}, where numbers or texts are right")
    if y.dtype.kind in "OT":
        hole = next((i for i, v in enumerate(y.flat) if v is None or v != v), None)
        if hole is not None:
            raise InputError(f"{name}[{hole}] is {y.flat[hole]}, where a label is right")
        kinds = {type(v) for v in y.flat}
        if kinds <= {int, float, bool} or all(issubclass(k, np.number) for k in kinds):
            return label_array(np.array(y.tolist()), name)
        return np.array([str(v) for v in y.flat]).reshape(y.shape)
    if y.dtype.kind == "S":
        return y.astype(str)
    if y.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(y))
        if len(bad):
            at = ", ".join(map(str, bad[0]))
            raise InputError(f"{name}[{at}] is {y[tuple(bad[0])]}, where a finite number is right")
    return y.astype(np.int64) if y.dtype.kind in "bu" else y


def _one_hot(y: np.ndarray) -> bool:
    return y.ndim == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _outputs(tail: tuple[int, ...]) -> str:
    n = tail[0] if tail else 1
    return f"{n} output{'s' * (n != 1)}"


def infer_targets(
    values: Any,
    tail: tuple[int, ...],
    kind: Kind | None,
    *,
    last: str = "",
    task: str | None = None,
    classes: Sequence[Any] | None = None,
) -> Targets:
    """The task that a target's values, the loss and the model's output tell, by the table at the head of this file.

    Args:
        values: Truth, (N,) or (N, K).
        tail: Shape of the model's output for one row.
        kind: What the loss wants; None if it is to be chosen.
        last: Class name of the model's last layer.
        task: "classification" or "regression", where it is not to be told.
        classes: Names of the classes, where they are known.

    Raises:
        InputError: the values suit neither, or the number of classes does not suit the model's output.
    """
    y = label_array(values)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    truth = "any" if kind is None else kind.truth
    single = int(np.prod(tail)) == 1
    text = y.dtype.kind == "U"
    hot = _one_hot(y) and tail[:1] == y.shape[1:]
    bits = y.ndim == 1 and not text and bool(((y == 0) | (y == 1)).all())
    if task is None:
        two = bits and single and (truth in ("binary", "given") or last == "Sigmoid")
        task = _task(y, truth, text, hot, two, single)
    if task == "regression":
        if text:
            raise InputError(f"Y holds texts such as {str(y[0])!r}, where a regression's target is a number")
        targets = Targets(task, "given" if truth == "given" else "numbers", tail)
        targets._shaped(y, "Y")
        return targets

    if truth == "ids" and y.ndim == 2 and y.dtype.kind == "f" and y.shape[1:] == tail and not hot:
        return Targets(task, "soft", tail, None if classes is None else list(classes))
    if text and classes is None:
        classes = np.unique(y).tolist()
    binary = single and truth != "ids"
    found = int(y.max()) + 1 if classes is None and not hot else len(classes or tail)
    if hot and classes is None:
        found = tail[0]
    size = 2 if binary else (tail[0] if tail else 1)
    if found > size or (classes is not None and found != size):
        raise InputError(
            f"Y holds {found} classes and the model has {_outputs(tail)}; "
            + (f"{found} outputs are right" if found != 2 or truth == "ids" else "1 or 2 outputs are right")
            + (", or task='regression'" if single and not text and truth != "ids" else "")
        )
    if size < 2:
        raise InputError(f"the model has {_outputs(tail)}, and this loss needs one for each class, 2 or more")
    form = {"ids": "ids", "any": "ids", "given": "ids"}.get(truth, "one_hot")
    form = "binary" if binary else form
    targets = Targets(task, form, tail, None if classes is None else list(classes))
    targets.ids(y)
    return targets


def _task(y: np.ndarray, truth: str, text: bool, hot: bool, two: bool, single: bool) -> str:
    if text or hot or two or truth == "ids":
        return "classification"
    if y.dtype.kind == "f" or (truth in ("numbers", "given") and (single or y.ndim > 1)):
        return "regression"
    return "classification"
