"""What a model file says of the data that it was trained on and takes: its card, in the file's notes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from haema.data import Data
from haema.errors import InputError

__all__ = ["Card"]


@dataclass(frozen=True)
class Card:
    """What `haema evaluate` and `haema predict` must know.

    Fields:
        kind: "images", "table" or "arrays".
        task: "classification" or "regression".
        shape: Of one input, (C, H, W) or (K, ...); () for a table.
        classes: Names of the classes, or None.
        target: Column or array of the target, or None.
        metric: The headline metric's name.
        trivial: What the trivial predictor always says: the most frequent class's id, or the means.
        seed, shares: How the rows were divided: the seed, and the shares of training, validation and test.
        rows: Rows of training, validation and test.
        scores: Metrics on the held-out rows.
        source: Name of the data.
        fingerprint: Of the data, to recognise it.
    """

    kind: str
    task: str
    shape: tuple[int, ...] = ()
    classes: list[str] | None = None
    target: str | None = None
    metric: str = "accuracy"
    trivial: list[float] = field(default_factory=list)
    seed: int = 0
    shares: list[float] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    source: str = ""
    fingerprint: str = ""

    def to_notes(self) -> dict[str, Any]:
        """This as plain data."""
        return {**asdict(self), "shape": list(self.shape)}

    @staticmethod
    def of(model: Any, path: str) -> Card:
        """The card in a model's notes.

        Raises:
            InputError: there is none, or it is damaged.
        """
        notes = getattr(model, "meta", None) or {}
        raw = notes.get("card")
        if raw is None:
            raise InputError(f"{path} holds a network without a note on its data; a file of `haema train` is right")
        try:
            card = Card(**{**raw, "shape": tuple(raw["shape"])})
            card._check()
        except (TypeError, KeyError, ValueError, AttributeError):
            raise InputError(f"{path} has a damaged note on its data; train the model anew") from None
        return card

    def _check(self) -> None:
        texts = (self.kind, self.task, self.metric, self.source, self.fingerprint)
        good = (
            all(isinstance(t, str) for t in texts)
            and self.kind in ("images", "table", "arrays")
            and self.task in ("classification", "regression")
            and (self.target is None or isinstance(self.target, str))
            and all(type(n) is int and n > 0 for n in self.shape)
            and (len(self.shape) == 3 if self.kind == "images" else True)
            and isinstance(self.trivial, list)
            and all(isinstance(v, (int, float)) and math.isfinite(v) for v in self.trivial)
            and len(self.trivial) >= 1
            and all(isinstance(v, (int, float)) and 0 <= v <= 1 for v in self.shares)
            and type(self.seed) is int
            and all(isinstance(k, str) and isinstance(v, (int, float)) for k, v in (self.rows | self.scores).items())
        )
        if self.task == "classification":
            good = good and isinstance(self.classes, list) and len(self.classes) >= 2
            good = good and all(isinstance(c, str) for c in self.classes or [])
            good = good and 0 <= self.trivial[0] < len(self.classes or [])
        if not good:
            raise ValueError("the card is not what haema writes")

    def load(
        self,
        source: str,
        labels: bool = True,
        target: str | None = None,
        stream: bool | None = None,
        skip_broken: bool = False,
    ) -> Data:
        """The data in ``source``, read as the model's own was.

        Args:
            source: As for ``haema.data.load``.
            labels: Whether the truth is wanted too.
            target: Its column, where it is called otherwise than in training.
            stream, skip_broken: As for ``haema.data.load``.

        Raises:
            InputError: it cannot be read, or is of another kind or size than the model takes.
        """
        import os

        from haema.data import load

        if self.kind == "table" and (source == "digits" or os.path.isdir(source)):
            raise InputError(f"{source} is no table, and the model was trained on one; a CSV file is right")
        wanted = (target or self.target) if labels else None
        size, channels = self._of_images()
        data = load(
            source,
            wanted,
            task=self.task if labels else None,  # type: ignore[arg-type]
            classes=self.classes if labels else None,
            labels=labels,
            size=size,
            channels=channels,
            stream=stream,
            skip_broken=skip_broken,
        )
        return self.fit(data)

    def load_images(self, paths: list[str], stream: bool | None = None, skip_broken: bool = False) -> Data:
        """The images in several files and folders, brought to the model's size and channels.

        Raises:
            InputError: the model was trained on something else, or a path is no image or cannot be read.
        """
        from haema.data import load_images

        if self.kind != "images":
            words = "a table" if self.kind == "table" else "arrays of numbers"
            raise InputError(f"the model was trained on {words}, for which a single DATA is right, not {len(paths)}")
        size, channels = self._of_images()
        found = load_images(paths, size=size, channels=channels, stream=stream, skip_broken=skip_broken)
        return self.fit(found)

    def _of_images(self) -> tuple[tuple[int, int] | None, int | None]:
        """The size and the channels that image files are brought to."""
        if self.kind != "images":
            return None, None
        return (self.shape[1], self.shape[2]), self.shape[0] if self.shape[0] in (1, 3) else None

    def fit(self, data: Data) -> Data:
        """The data in the form that the model takes.

        Raises:
            InputError: it is of another kind, or of another size.
        """
        words = {"images": "images", "table": "a table", "arrays": "arrays of numbers"}
        if (data.kind == "table") != (self.kind == "table"):
            raise InputError(f"{data.source} holds {words[data.kind]}, and the model was trained on {words[self.kind]}")
        shape = tuple(data.x.shape[1:])
        if self.kind != "table" and shape != self.shape:
            raise InputError(
                f"{data.source} has inputs of shape {_product(shape)}, and the model takes {_product(self.shape)}"
            )
        return data

    def trivial_outputs(self, rows: int) -> np.ndarray:
        """What the trivial predictor says of so many rows: class ids (N,), or numbers (N, K)."""
        if self.task == "classification":
            return np.full(rows, int(self.trivial[0]))
        return np.tile(np.asarray(self.trivial, dtype=np.float64), (rows, 1))


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "a single number"
