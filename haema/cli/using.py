"""haema evaluate and haema predict: what a saved model says of data."""

from __future__ import annotations

import csv
import io
import os
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from haema.cli.card import Card
from haema.cli.guard import say, writing
from haema.cli.scores import Scores, fingerprint, outputs_of, prepared, probabilities_of, scored
from haema.data import Data
from haema.errors import InputError

__all__ = ["evaluate", "open_model", "predict"]


def open_model(path: str) -> tuple[Any, Card]:
    """A model and its card.

    Raises:
        InputError: the file is missing, damaged, or holds no model of `haema train`.
    """
    from haema import io
    from haema.nn import Module

    model = io.load(path)
    if not isinstance(model, Module):
        raise InputError(f"{path} holds tensors and no network; a file that `haema train` wrote is right")
    return model, Card.of(model, path)


def _part(data: Data) -> tuple[Data, bool]:
    """The rows to use: the data's own test part if it has one."""
    return (data, False) if data.test is None else (data.test, True)


def _say_notes(data: Data) -> None:
    for note in data.notes:
        say(note)


# -- evaluate ------------------------------------------------------------------


def evaluate(
    path: str, source: str, target: str | None, part: str, stream: bool | None = None, skip_broken: bool = False
) -> tuple[Scores, Card, dict[str, Any]]:
    """Measure a model on data with its truth.

    Args:
        path: The model file.
        source: The data.
        target: Its target column, where it is called otherwise than in training.
        part: "all" rows, or only those "test" rows that training on this data held out.
        stream, skip_broken: As for ``haema.data.load``.

    Returns:
        The scores, the model's card, and the object for ``--json``.

    Raises:
        InputError: the file or the data is damaged, or does not fit the other.
    """
    start = time.perf_counter()
    model, card = open_model(path)
    data = card.load(source, target=target, stream=stream, skip_broken=skip_broken)
    _say_notes(_part(data)[0])
    own = fingerprint(data) == card.fingerprint
    if part == "test":
        data = _held_out(data, card, source, path, own)
    else:
        data, official = _part(data)
        if official:
            say(f"{source} has a test part of its own, which is used")
        elif own:
            hint = " (--part test measures on those held out)" if card.rows.get("test") else ""
            say(f"{path} was trained on these very rows, so the score says little about new ones{hint}")
    if data.y is None:
        raise InputError(f"{source} has no labels, which evaluation needs; `haema predict` does without")
    data = prepared(card.fit(data), model)
    scores = scored(outputs_of(model, data, path), data, card, path, "test" if part == "test" else "all")
    found = {
        "command": "evaluate",
        "task": card.task,
        "metric": card.metric,
        "value": scores.values[card.metric] if card.metric in scores.values else next(iter(scores.values.values())),
        "rows": scores.rows,
        "seconds": round(time.perf_counter() - start, 3),
        "part": scores.part,
        "metrics": scores.values,
        "trivial": scores.trivial,
        "model": path,
        "data": source,
    }
    return scores, card, found


def _held_out(data: Data, card: Card, source: str, path: str, own: bool) -> Data:
    """The rows that the training held out, divided anew by the same seed."""
    from haema.cli.training import split_rows

    if data.test is not None:
        return data.test
    if not own:
        raise InputError(f"--part test is for the data that {path} was trained on, and {source} is other data")
    if not card.rows.get("test") or len(card.shares) != 3 or data.y is None:
        raise InputError(f"{path} was trained without holding test rows out; leave out --part test")
    return data.take(split_rows(data.y, card.shares, card.seed)[2])


# -- predict ------------------------------------------------------------------


def predict(
    path: str, sources: list[str], out: str | None, stream: bool | None = None, skip_broken: bool = False
) -> int:
    """Write a CSV table: the input's columns, then the prediction and each class's probability.

    Args:
        path: The model file.
        sources: The data; several are image files, and folders of such.
        out: The file to write; None: standard output.
        stream, skip_broken: As for ``haema.data.load``.

    Returns:
        The number of rows.

    Raises:
        InputError: the file or the data is damaged, or does not fit the other.
    """
    if out is not None:
        _check_place(out, path, *sources)
    model, card = open_model(path)
    source = sources[0]
    if len(sources) > 1:
        data, official = card.load_images(sources, stream, skip_broken), False
    else:
        data, official = _part(card.load(source, labels=False, stream=stream, skip_broken=skip_broken))
    _say_notes(data)
    if official:
        say(f"{source} has a test part of its own, whose rows are predicted")
    data = card.fit(data)
    outputs = outputs_of(model, prepared(data, model), path)
    names, cells = _predictions(outputs, card, path)
    columns, rows = _columns(data, source)
    both = next((n for n in names if n in columns), None)
    if both is not None:
        raise InputError(f"{source} has a column {both!r} already, where the prediction would stand; rename it")
    if out is None:
        with writing("standard output"):
            if isinstance(sys.stdout, io.TextIOWrapper):
                # as in a file: the cells are data, whatever the terminal
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
            _table(sys.stdout, columns + names, rows, cells)
            sys.stdout.flush()
        return len(outputs)
    from haema.io import atomic_write

    with writing(out), atomic_write(out, "w", newline="") as file:
        _table(file, columns + names, rows, cells)
    return len(outputs)


def _check_place(out: str, *inputs: str) -> None:
    """Refuse to write over what is read, or where nothing can be written, before any work is done.

    Raises:
        InputError: ``out`` is one of the inputs or a folder, or its folder is missing.
    """
    if not out or os.path.isdir(out):
        raise InputError(f"--out is {out!r}, where the name of a file such as predictions.csv is right")
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise InputError(f"cannot write {out}: there is no folder {folder}; make it first")
    for path in inputs:
        if os.path.exists(out) and os.path.exists(path) and os.path.samefile(out, path):
            raise InputError(f"--out is {out}, which is read and would be overwritten; another name is right")


def _table(file: IO[str], names: list[str], rows: Iterator[list[str]], cells: Iterator[list[str]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([*row, *cell] for row, cell in zip(rows, cells, strict=True))


def _predictions(outputs: np.ndarray, card: Card, path: str) -> tuple[list[str], Iterator[list[str]]]:
    """The columns that the model adds."""
    if card.task == "classification":
        classes = card.classes or []
        p = probabilities_of(outputs, card, path)
        best = p.argmax(axis=1)
        names = ["prediction", *(f"p({c})" for c in classes)]
        return names, ([classes[int(b)], *(f"{v:.6g}" for v in row)] for b, row in zip(best, p, strict=True))
    count = outputs.shape[1]
    names = ["prediction"] if count == 1 else [f"prediction {i}" for i in range(count)]
    return names, ([f"{v:.9g}" for v in row] for row in outputs)


def _columns(data: Data, source: str) -> tuple[list[str], Iterator[list[str]]]:
    """The input's own columns and their cells; for what has none, something to tell the rows by."""
    if data.kind == "table":
        return _raw_cells(data, source)
    if data.names is not None:
        return ["file"], ([name.encode(errors="backslashreplace").decode()] for name in data.names)
    if data.kind == "arrays" and data.x.ndim == 2:
        return [f"x{i}" for i in range(data.x.shape[1])], ([str(v) for v in row.tolist()] for row in data.x)
    return ["row"], ([str(i)] for i in range(len(data.x)))


def _raw_cells(data: Data, source: str) -> tuple[list[str], Iterator[list[str]]]:
    """A table's cells as they stand in the file, not as they were understood."""
    from haema.data.csvfile import read_cells

    columns = [str(c) for c in data.x.columns]
    records = read_cells(source)
    # the index of a table holds the number of each row's record in the file
    return columns, (records[line - 1] for line in data.x.index.tolist())
