"""Telling classification from regression, and turning a target into class ids or numbers.

The rule, for a target's values (an override is the ``task`` argument of ``load``):

    text, categories, booleans                                      classification
    whole numbers with few different values                         classification
        (at most 20 of them, and at most half as many as rows; two are always few)
    other numbers                                                   regression

Labels of images are class ids whenever they are whole numbers. Classes are named by their text, ordered as
numbers where they are numbers and alphabetically otherwise; a pandas categorical keeps its own order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from haema.errors import InputError, suggest

__all__ = ["MOST_CLASSES", "Task", "encode_target", "infer_task", "label_of"]

Task = Literal["classification", "regression"]

MOST_CLASSES = 20
"""Whole numbers with more different values than this are quantities."""


def label_of(value: Any) -> str:
    """The text that names a class or category: ``str(value)``, with whole numbers written without a point."""
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and value == np.floor(value):
        return str(int(value))
    return str(value).strip()


def infer_task(values: np.ndarray) -> Task:
    """Classification or regression, by the rule at the head of this file.

    Args:
        values: (n,), without holes.
    """
    kind = values.dtype.kind
    if kind in "iuf":
        if kind == "f" and not (values == np.floor(values)).all():
            return "regression"
        few = min(MOST_CLASSES, max(2, len(values) // 2))
        return "classification" if len(np.unique(values)) <= few else "regression"
    return "classification"


def encode_target(
    values: np.ndarray,
    name: str,
    line: Callable[[int], str],
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    order: Sequence[Any] | None = None,
) -> tuple[np.ndarray, list[str] | None, Task]:
    """A target's values as class ids or numbers.

    Args:
        values: (n,) numbers, booleans or texts, without holes.
        name: what the target is called in messages, e.g. ``column 'species' of iris.csv``.
        line: says where row i stands, e.g. ``line 7``.
        task: the task, where it is not to be inferred.
        classes: the classes, in order, where a model already knows them.
        order: the values in the order the classes should have, where the data has an order of its own.

    Returns:
        y: (n,) int64 class ids, or float64 numbers.
        classes: the names of the classes, or None for regression.
        task: the task.

    Raises:
        InputError: there are no rows, a single class, a class that the model does not know, texts where
            numbers should be, numbers that are not finite, or as good as every text is different.
    """
    if task not in (None, "classification", "regression"):
        raise InputError(f"task is {task!r}; 'classification' or 'regression' is right")
    if len(values) == 0:
        raise InputError(f"{name} holds no rows; there is nothing to learn from")
    asked = task
    if values.dtype.kind not in "iufb":
        values = np.array([label_of(v) for v in values])
    if values.dtype.kind == "f":
        _check_finite(values, name, line)
    task = "classification" if classes is not None else task or infer_task(values)
    if task == "regression":
        y = _numbers(values, name, line)
        if asked is None and len(y) > 1 and (y == y[0]).all():
            raise InputError(f"{name} holds {y[0]:g} in all {len(y)} rows; there is nothing to learn from it")
        return y, None, task

    distinct, codes = np.unique(values, return_inverse=True)
    codes = codes.reshape(-1)
    if order is not None:
        place = {label_of(v): i for i, v in enumerate(order)}
        by_order = np.argsort([place[label_of(v)] for v in distinct], kind="stable")
        distinct, codes = distinct[by_order], np.argsort(by_order)[codes]
    names = [label_of(v) for v in distinct]
    if classes is not None:
        known = {c: i for i, c in enumerate(classes)}
        for i, label in enumerate(names):
            if label not in known:
                where = line(int(np.flatnonzero(codes == i)[0]))
                raise InputError(
                    f"{name} holds {label!r} on {where}, which is no class of the model; {suggest(label, classes)}"
                )
        return np.array([known[label] for label in names], dtype=np.int64)[codes], list(classes), task
    if len(names) == 1:
        raise InputError(
            f"{name} holds the single value {names[0]!r} in all {len(values)} rows, "
            "where two or more classes are needed"
        )
    if asked is None and values.dtype.kind == "U" and len(names) > max(MOST_CLASSES, len(values) // 2):
        raise InputError(
            f"{name} holds {len(names)} different texts in {len(values)} rows, so it names rows, not "
            "classes; choose a column whose values repeat, or one of numbers"
        )
    return codes.astype(np.int64), names, task


def _numbers(values: np.ndarray, name: str, line: Callable[[int], str]) -> np.ndarray:
    """A regression's target as float64, all of it finite."""
    if values.dtype.kind in "iufb":
        numbers = values.astype(np.float64)
    else:
        numbers = np.empty(len(values))
        for i, text in enumerate(values):
            try:
                numbers[i] = float(text)
            except ValueError:
                raise InputError(
                    f"{name} holds {str(text)!r} on {line(i)}, where a regression's target is a number"
                ) from None
    _check_finite(numbers, name, line)
    return numbers


def _check_finite(numbers: np.ndarray, name: str, line: Callable[[int], str]) -> None:
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        where = line(int(bad[0]))
        raise InputError(f"{name} holds {numbers[bad[0]]} on {where}, where a finite number is right")
