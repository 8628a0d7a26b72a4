"""What the target is among the rows of each category, and how training rows are shown it without their own."""

from __future__ import annotations

import numpy as np

from haema.creation import tensor
from haema.nn.tables import TargetStatistics

__all__ = ["category_means", "fit_statistics", "out_of_fold"]


def category_means(codes: np.ndarray, targets: np.ndarray, size: int) -> np.ndarray:
    """The shrunken mean target of each category, and how frequent it is.

        (n_c mean_c + m mean) / (n_c + m),  log(1 + n_c) / log(1 + n)        m = within / between, from 1 to 100

    Args:
        codes: (N,) whole numbers below ``size``.
        targets: (N, T).
        size: The number of codes.

    Returns:
        (size, T + 1); a category without rows has the mean of all and 0.

    Source: H. Robbins (1956), An empirical Bayes approach to statistics; for normal distributions.
    """
    count = np.bincount(codes, minlength=size).astype(np.float64)
    n, levels, mean = len(codes), int((count > 0).sum()), targets.mean(axis=0)
    values = np.empty((size, targets.shape[1] + 1))
    for t, y in enumerate(targets.T):
        means = np.bincount(codes, y, minlength=size) / np.maximum(count, 1)
        within = np.maximum(np.square(y - means[codes]).sum() / max(1, n - levels), 0)
        spread = (count * np.square(means - mean[t])).sum() / n - within * levels / n
        m = min(max(within / max(spread, 1e-9), 1.0), 100.0)
        values[:, t] = (count * means + m * mean[t]) / (count + m)
    values[:, -1] = np.log1p(count) / np.log1p(n)
    return values


def out_of_fold(codes: np.ndarray, targets: np.ndarray, size: int, folds: np.ndarray) -> np.ndarray:
    """For each row the ``category_means`` of the rows of all other folds, (N, T + 1).

    Args:
        codes, targets, size: As there.
        folds: (N,) fold numbers, at least two different ones; with one only every row gets the mean of all.
    """
    found = np.empty((len(codes), targets.shape[1] + 1))
    numbers = np.unique(folds)
    for fold in numbers:
        inside = folds == fold
        if len(numbers) > 1:
            found[inside] = category_means(codes[~inside], targets[~inside], size)[codes[inside]]
        else:
            found[inside] = [*targets.mean(axis=0), 0.0]
    return found


def fit_statistics(layer: TargetStatistics, codes: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Fill the layer's table from the training rows.

    Both what is in it and what the training rows get are centred on the mean target and divided by the standard
    deviation of what they get, but by no less than a tenth of the target's own, lest pure noise be blown up.

    Args:
        layer: The layer.
        codes: (N, Q) of all columns.
        targets: (N, T).
        folds: (N,) fold numbers.

    Returns:
        What the training rows get in place of the layer's output: the statistics without their own folds.
    """
    center = np.append(targets.mean(axis=0), 0.0)
    least = np.append(np.maximum(0.1 * targets.std(axis=0), 1e-9), 0.05)
    tables, rows = [np.zeros((0, len(center)))], [np.zeros((len(codes), 0))]
    for j, size in zip(layer.columns, layer.sizes, strict=True):
        own = out_of_fold(codes[:, j], targets, size, folds)
        scale = np.maximum(own.std(axis=0), least)
        tables.append((category_means(codes[:, j], targets, size) - center) / scale)
        rows.append((own - center) / scale)
    layer.table.copy_(tensor(np.concatenate(tables)))
    return np.concatenate(rows, axis=1)
