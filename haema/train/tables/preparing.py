"""From a table and its target to what the network learns from: layers, matrix, folds, targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from haema.autograd import no_grad
from haema.creation import from_numpy
from haema.nn.tables import PiecewiseLinear, TableColumns, TableFeatures
from haema.random import randperm
from haema.train.tables.statistics import fit_statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prepared", "fold_numbers", "prepare_table"]

MOST_BINS = 32
BUDGET = 640
"""Bins of all numbers together, about."""


@dataclass(frozen=True)
class Prepared:
    """A table ready to be learned from.

    Fields:
        columns, features: The layers in front of the network, with what the rows taught them.
        x: What the network sees, (N, width) float32; target statistics are those without the row's fold.
        folds: The number of each row's fold, (N,).
    """

    columns: TableColumns
    features: TableFeatures
    x: np.ndarray
    folds: np.ndarray


def fold_numbers(y: np.ndarray, count: int, classify: bool) -> np.ndarray:
    """A fold for each row, at random and of equal sizes; every class is spread evenly over them.

    Args:
        y: Class ids (N,), or numbers.
        count: The number of folds.
        classify: Whether they are class ids.

    Returns:
        Numbers from 0 to count - 1, (N,).
    """
    order = randperm(len(y)).numpy()
    if classify:
        order = order[np.argsort(y[order], kind="stable")]
    folds = np.empty(len(y), np.int64)
    folds[order] = np.arange(len(y)) % count
    return folds


def prepare_table(
    frame: pd.DataFrame, y: np.ndarray, classes: int | None, folds: np.ndarray, source: str = "the table"
) -> Prepared:
    """Fit the layers in front of the network to a training table.

    Args:
        frame: N rows.
        y: Class ids (N,), or standardised numbers (N, K).
        classes: The number of classes; None for numbers.
        folds: The number of each row's fold, (N,).
        source: What the table is called in messages.

    Raises:
        InputError: it has no column to learn from, or a cell does not suit its column.
    """
    columns = TableColumns.of(frame, source)
    matrix = columns.prepare(frame, source)
    p, q = len(columns.numbers), len(columns.sizes)
    numbers, codes = matrix[:, :p], matrix[:, p : p + q].astype(np.int64)
    if classes is None:
        targets = y.reshape(len(y), -1).astype(np.float64)
    else:
        targets = np.eye(classes)[y][:, 1 if classes == 2 else 0 :]
    rows = len(frame)
    most = min(MOST_BINS, max(4, BUDGET // max(p, 1)), max(4, rows // 40))
    levels = min(64, rows // 40, 2 * BUDGET // max(p, 1))
    bins = PiecewiseLinear.of(numbers, most, levels)
    texts = [columns.schema.category_names.index(c) for c in columns.words if c in columns.schema.category_names]
    holed = np.flatnonzero(np.isnan(numbers).any(axis=0)).tolist()
    words = [len(w) for w in columns.words.values()]
    features = TableFeatures(p, columns.sizes, words, holed, bins.bins, targets.shape[1], texts)
    features.bins.load_state_dict(bins.state_dict())
    features.one_hot.see(codes)
    own = fit_statistics(features.statistics, codes, targets, folds)
    with no_grad():
        parts = [features(from_numpy(matrix[i : i + 4096])).numpy() for i in range(0, rows, 4096)]
    x = np.concatenate(parts)
    x[:, features.place_of_statistics] = own
    return Prepared(columns, features, x, folds)
