"""What a training run was like: its values epoch by epoch, what they say, and its hyperparameters."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from haema.atomic import atomic_write
from haema.errors import InputError, suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Diagnosis", "History", "larger_is_better"]

_LARGER = ("accuracy", "precision", "recall", "f1", "auc", "r2", "top")


def larger_is_better(name: str) -> bool:
    """Whether a value of this name is better when larger, as accuracy is and a loss is not."""
    return any(part in name.lower() for part in _LARGER)


class Diagnosis(NamedTuple):
    """What the curves say.

    Fields:
        verdict: "underfitting", "overfitting", "fine", or "unknown".
        reason: The sentence with the numbers behind it.
        advice: What usually helps.
    """

    verdict: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}" + (f"; {self.advice}" if self.advice else "")


class History:
    """The values of each epoch by name: "loss", the metrics, each with "val_" for validation, "lr", "seconds".

        history["val_loss"][-1];  history.plot("curves.png");  print(history)

    Attributes:
        values: Name -> one number per epoch (nan where an epoch has none).
        hyperparameters: All choices that made the run, in one place; parameters are what it learned.
        metrics: Names of the metrics, in order.
        interrupted: Whether Ctrl-C ended it.
        stopped: Why it ended before its last epoch, or None.
        chance: The share of the most frequent class among the training rows; 0 if there are none.
    """

    def __init__(self, hyperparameters: dict[str, Any] | None = None, metrics: list[str] | None = None) -> None:
        self.values: dict[str, list[float]] = {}
        self.hyperparameters = dict(hyperparameters or {})
        self.metrics = list(metrics or [])
        self.interrupted = False
        self.stopped: str | None = None
        self.chance = 0.0

    # -- reading ------------------------------------------------------------------

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.values:
            raise InputError(f"the history has no {name!r}; {suggest(name, self.values)}")
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return max((len(v) for v in self.values.values()), default=0)

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self)

    @property
    def monitor(self) -> str:
        """The value that tells which epoch is the best: the validation loss, else the loss."""
        return "val_loss" if "val_loss" in self else "loss"

    def best_epoch(self, monitor: str | None = None) -> int:
        """The epoch, counted from 1, in which a value was best; the first of equals; 0 if there is none.

        Args:
            monitor: The value's name; default: ``monitor``.
        """
        name = monitor or self.monitor
        sign = -1.0 if larger_is_better(name) else 1.0
        scores = [sign * v for v in self[name]] if len(self) else []
        finite = [(v, i) for i, v in enumerate(scores, 1) if not math.isnan(v)]
        return min(finite)[1] if finite else 0

    def last(self) -> dict[str, float]:
        """The values of the last epoch."""
        return {name: v[-1] for name, v in self.values.items() if len(v) == len(self)}

    def __repr__(self) -> str:
        return f"<History of {len(self)} epochs: {', '.join(self.values) or 'no values'}>"

    def __str__(self) -> str:
        """A table of at most 12 epochs (the first, the best, the last and others at equal distances)."""
        if not len(self):
            return "History: no epoch was finished"
        n, best = len(self), self.best_epoch()
        shown = range(1, n + 1) if n <= 12 else sorted({1 + round(i * (n - 1) / 10) for i in range(11)} | {best})
        names = [k for k in self.values if k != "seconds"]
        rows = [["epoch", *names]]
        for e in shown:
            mark = " *" if e == best else ""
            rows.append([f"{e}{mark}", *(_short(self.values[k][e - 1]) for k in names)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append(f"* best {self.monitor}")
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        return "\n".join(lines)

    # -- writing ------------------------------------------------------------------

    def append(self, row: dict[str, float]) -> None:
        """Add the values of an epoch; a name that comes late has nan for the epochs before."""
        n = len(self)
        for name, value in row.items():
            self.values.setdefault(name, [math.nan] * n).append(float(value))
        for v in self.values.values():
            v.extend([math.nan] * (n + 1 - len(v)))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row per epoch, under the values' names.

        Args:
            path: The file; it appears as a whole or not at all.

        Raises:
            InputError: it cannot be written.
        """
        with atomic_write(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.values])
            writer.writerows([e + 1, *(repr(v[e]) for v in self.values.values())] for e in range(len(self)))

    def to_frame(self) -> pd.DataFrame:
        """The values as a table with the epochs, counted from 1, as its index."""
        import pandas as pd

        return pd.DataFrame(self.values, index=pd.RangeIndex(1, len(self) + 1, name="epoch"))

    def plot(self, path: str | os.PathLike[str], title: str | None = None) -> None:
        """Draw the curves of the loss and the first metric; see `haema.train.curves.draw`."""
        from haema.train.curves import draw

        draw(self, path, title)

    def to_json(self) -> dict[str, Any]:
        """This as plain data."""
        return {
            "values": {k: list(v) for k, v in self.values.items()},
            "hyperparameters": self.hyperparameters,
            "metrics": list(self.metrics),
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "chance": self.chance,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> History:
        """The reverse of ``to_json``."""
        history = History(value["hyperparameters"], value["metrics"])
        history.values = {k: [float(x) for x in v] for k, v in value["values"].items()}
        history.interrupted, history.stopped = bool(value["interrupted"]), value["stopped"]
        history.chance = float(value["chance"])
        return history

    # -- what it says ------------------------------------------------------------------

    def diagnosis(self) -> Diagnosis:
        """Underfitting, overfitting or fine, told from the two loss curves (or of a metric where there is one).

        With a classification's accuracy or a regression's R2 the last epochs' medians are compared:

            overfitting    validation is worse than training by more than 0.1, or the validation loss has risen
                           by more than 10 % of what it fell while the training loss went on falling
            underfitting   training itself is far from good (less than 0.6 of the way from chance to perfect), or the
                           loss was still falling by more than 2 % per epoch at the end
            fine           neither

        Returns:
            The verdict, the numbers behind it, and what usually helps.
        """
        if "val_loss" not in self or len(self) < 3:
            return Diagnosis(
                "unknown",
                "it takes a validation set" if "val_loss" not in self else "it takes three epochs or more",
                "fit with validation=0.2" if "val_loss" not in self else "train longer",
            )
        train, valid = self["loss"], self["val_loss"]
        tail = max(1, len(self) // 10)
        now, now_valid = _median(train[-tail:]), _median(valid[-tail:])
        best = min(valid)
        fallen = max(max(valid[: valid.index(best) + 1]) - best, 1e-12)
        risen = now_valid - best
        both_losses = f"{_short(now)} in training and {_short(now_valid)} in validation"
        score = next((m for m in self.metrics if m in ("accuracy", "r2") and f"val_{m}" in self), None)
        over = "stop early, add dropout or weight decay, augment the data or gather more of it"
        under = "train longer, raise the learning rate or enlarge the model"
        if risen > 0.1 * fallen and now < train[valid.index(best)]:
            return Diagnosis(
                "overfitting",
                f"the validation loss rose from {_short(best)} in epoch {self.best_epoch('val_loss')} to "
                f"{_short(now_valid)} while the training loss fell to {_short(now)}",
                over,
            )
        if score is not None:
            a, b = _median(self[score][-tail:]), _median(self[f"val_{score}"][-tail:])
            if a - b > 0.1:
                both = f"{_short(a)} in training and {_short(b)} in validation"
                return Diagnosis("overfitting", f"{score} is {both}", over)
            chance = self.chance if score == "accuracy" else 0.0
            if a - chance < 0.6 * (1 - chance):
                return Diagnosis("underfitting", f"{score} in training is only {_short(a)}", under)
        elif now_valid > 1.5 * now and now_valid - now > 0.1 * fallen:
            return Diagnosis("overfitting", f"the loss is {both_losses}", over)
        elif train[0] > 0 and now > 0.5 * train[0]:
            return Diagnosis("underfitting", f"the loss fell only from {_short(train[0])} to {_short(now)}", under)
        back = min(5, len(self) - 1)
        pace = (train[-1 - back] - train[-1]) / back
        if score is None and train[-1] > 0 and pace > 0.02 * train[-1] and train[-1] > 0.2 * train[0]:
            return Diagnosis("underfitting", f"the loss still falls by {_short(pace)} per epoch", under)
        return Diagnosis("fine", f"the loss is {both_losses}", "")


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _short(value: float) -> str:
    """Four digits that matter."""
    return f"{value:.4g}"
