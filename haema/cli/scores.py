"""What a model's outputs say and how good they are, beside the trivial predictor.

The trivial predictor always names the most frequent class of the training rows, or their mean.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from haema.cli.card import Card
from haema.data import Data
from haema.data.imagerows import rows_in_parts, update_digest
from haema.errors import HaemaError, InputError

__all__ = ["Scores", "fingerprint", "outputs_of", "prepared", "probabilities_of", "scored", "trivial_of"]


PORTION = 1_000_000
"""Numbers of the inputs that go through a model at once."""


@dataclass(frozen=True)
class Scores:
    """How good predictions are.

    Fields:
        part: Which rows: "test", "validation", "training" or "all".
        rows: How many.
        values: Metrics by name, the headline first.
        trivial: The same of the trivial predictor.
        confusion: Rows of class i predicted as class j, (C, C), or None.
    """

    part: str
    rows: int
    values: dict[str, float]
    trivial: dict[str, float]
    confusion: np.ndarray | None = None


def prepared(data: Data, model: Any) -> Data:
    """A table as the matrix that the model's first stage makes of it; other data as it is.

    Raises:
        InputError: a column is missing, or a cell does not suit its column.
    """
    if data.kind != "table":
        return data
    from haema.train.sources import first_stage

    stage = first_stage(model)
    if not hasattr(stage, "prepare"):
        raise InputError(f"{data.source} is a table, and the model has no first stage that takes tables")
    return replace(data, kind="arrays", x=stage.prepare(data.x, data.source))


def outputs_of(model: Any, data: Data, path: str) -> np.ndarray:
    """The model's outputs in evaluation mode, (N, K).

    Args:
        model: The module.
        data: Inputs in the form that the model takes.
        path: Name of the model in messages.

    Raises:
        InputError: the model does not take the data, or gives what is not finite.
    """
    size = max(1, math.prod(data.x.shape[1:])) * _views(model)
    step = max(16, min(1024, PORTION // size))
    try:
        outputs = np.concatenate(_outputs(model, data.x, step))
    except (InputError, MemoryError):
        raise
    except (HaemaError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        shape = " x ".join(map(str, data.x.shape[1:])) or "a single number"
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not take {data.source}, whose inputs have shape {shape}: {reason}") from None
    if outputs.ndim != 2 or len(outputs) != len(data.x):
        raise InputError(
            f"{path} makes {outputs.shape} of {len(data.x)} rows, where an output of shape (N, K) is right"
        )
    bad = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(bad):
        raise InputError(f"{path} gives {outputs[bad[0]][0]} for row {bad[0]} of {data.source}; train it anew")
    return outputs


def _views(model: Any) -> int:
    """How many views of each image the model looks at, at most."""
    from haema.nn import TestTimeAugmentation

    found = (m for m in model.modules() if isinstance(m, TestTimeAugmentation))
    return max(((1 + m.flip) * (1 if m.size is None and m.padding is None else 5) for m in found), default=1)


def _outputs(model: Any, x: np.ndarray, step: int) -> list[np.ndarray]:
    """The outputs, so many rows at a time; many portions are compiled, unless the model cannot be."""
    from haema.creation import from_numpy
    from haema.train.engine import MANY, eager_by_wish
    from haema.train.step import evaluating

    parts: list[np.ndarray] = []
    run = model
    if len(x) >= MANY * step and not eager_by_wish():
        from haema.compiler import compile

        run = compile(model)
    with evaluating(model):
        for part in rows_in_parts(x, step):
            rows = from_numpy(part)
            if run is not model and len(rows) == step:
                try:
                    parts.append(run(rows).numpy())
                    continue
                except HaemaError:
                    run = model
            parts.append(model(rows).numpy())
    return parts


def probabilities_of(outputs: np.ndarray, card: Card, path: str) -> np.ndarray:
    """The classes' probabilities, (N, C), from the model's outputs (logits).

    Raises:
        InputError: the outputs are not as many as the classes.
    """
    count = len(card.classes or [])
    if outputs.shape[1] != count:
        raise InputError(f"{path} has {outputs.shape[1]} outputs and {count} classes; train it anew")
    z = outputs.astype(np.float64)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def trivial_of(data: Data) -> list[float]:
    """What the trivial predictor learns from the training rows: the most frequent class's id, or the means."""
    assert data.y is not None
    if data.task == "classification":
        return [float(np.bincount(data.y).argmax())]
    return [float(v) for v in data.y.reshape(len(data.y), -1).mean(axis=0)]


def scored(outputs: np.ndarray, data: Data, card: Card, path: str, part: str) -> Scores:
    """The metrics of a model's outputs on data with its truth.

    Raises:
        InputError: the outputs do not fit the truth.
    """
    from haema.train import metrics

    assert data.y is not None
    rows = len(data.y)
    if card.task == "classification":
        p = probabilities_of(outputs, card, path)
        truth, found, always = data.y, p.argmax(axis=1), card.trivial_outputs(rows)
        classes = np.arange(p.shape[1])
        values = {
            "accuracy": metrics.accuracy(truth, found),
            "f1": metrics.f1(truth, found, average="macro"),
            "log_loss": _log_loss(truth, p),
        }
        trivial = {
            "accuracy": metrics.accuracy(truth, always),
            "f1": metrics.f1(truth, always, average="macro"),
        }  # no log loss: of a predictor that is always sure it is infinite
        confusion = metrics.confusion_matrix(truth, found, labels=classes)
        return Scores(part, rows, values, trivial, confusion)
    truth = data.y.reshape(rows, -1)
    if outputs.shape != truth.shape:
        raise InputError(f"{path} predicts {outputs.shape[1]} numbers per row, and {data.source} has {truth.shape[1]}")
    named = {"r2": metrics.r2, "rmse": metrics.rmse, "mae": metrics.mae}
    always = card.trivial_outputs(rows)
    if always.shape != truth.shape:
        raise InputError(f"{path} has a damaged note on its data; train the model anew")
    return Scores(
        part,
        rows,
        {name: float(f(truth, outputs)) for name, f in named.items()},
        {name: float(f(truth, always)) for name, f in named.items()},
    )


def _log_loss(truth: np.ndarray, p: np.ndarray) -> float:
    """The mean of -log p(truth), where p is kept from 0."""
    return float(-np.log(p[np.arange(len(truth)), truth].clip(1e-15, None)).mean())


def fingerprint(data: Data) -> str:
    """A text that differs where data does, to recognise the rows a model was trained on."""
    digest = hashlib.blake2b(digest_size=12)
    if data.kind == "table":
        import pandas as pd

        frame = data.x.astype(object).map(str, na_action="ignore")
        digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(frame, index=False).to_numpy()).data)
    else:
        update_digest(digest, data.x)
    if data.y is not None:
        digest.update(np.ascontiguousarray(data.y).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
