"""Dividing rows into parts, reproducibly and with every class in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from haema.errors import InputError

__all__ = ["split"]


def split(y: Any, shares: Sequence[float] = (0.8, 0.2), stratify: bool = True, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Divides the rows 0..n-1 into as many parts as there are shares.

    Stratified, a class of m rows gives each part floor(m share) rows, and what is left over goes one by one
    to the parts that lag behind the most so far, which keeps classes and sizes within a row or so of their
    shares. The first part (the training part) gets at least one row of every class, so that no class is
    met for the first time in a test. A part may be empty where there are too few rows.

    Args:
        y: class ids, (n,), or just the number of rows n. Values with a fractional dtype have no classes, and
            the split is then simply random.
        shares: positive and summing to 1; default (0.8, 0.2).
        stratify: keep the classes' proportions; default True.
        seed: the same seed gives the same parts; default 0.

    Returns:
        One array of ascending row numbers (int64) per share; together they hold every row once.

    Raises:
        InputError: the shares are not positive or do not sum to 1, the seed is negative, or
            ``y`` is not one-dimensional.
    """
    fractions = np.asarray(shares, dtype=np.float64)
    if fractions.ndim != 1 or not (fractions > 0).all() or abs(fractions.sum() - 1) > 1e-6:
        raise InputError(f"split: shares are {shares!r}; positive numbers that sum to 1 are right")
    if seed < 0:
        raise InputError(f"split: seed is {seed}; a whole number from 0 upwards is right")
    labels = np.arange(0) if isinstance(y, (int, np.integer)) else np.asarray(y)
    if isinstance(y, (int, np.integer)):
        if y < 0:
            raise InputError(f"split: the number of rows is {y}; it cannot be negative")
        rows, stratify = int(y), False
    elif labels.ndim == 2 and labels.dtype.kind == "f":
        rows, stratify = len(labels), False
    elif labels.ndim != 1:
        raise InputError(f"split: y has shape {labels.shape}; one class id per row, of shape (n,), is right")
    else:
        rows, stratify = len(labels), stratify and labels.dtype.kind != "f"

    # One uniform number per row decides its place among the rows of its class.
    order = np.argsort(np.random.Generator(np.random.PCG64(seed)).random(rows), kind="stable")
    groups = np.unique(labels, return_inverse=True)[1][order] if stratify else np.zeros(rows, dtype=np.int64)
    by_group = order[np.argsort(groups, kind="stable")]
    counts = np.bincount(groups)

    parts: list[list[np.ndarray]] = [[] for _ in fractions]
    lag = np.zeros(len(fractions))  # how many rows each part is short of its share so far
    start = 0
    for count in counts:
        sizes = _sizes(int(count), fractions, lag)
        lag += count * fractions - sizes
        for part, stop in zip(parts, start + np.cumsum(sizes), strict=True):
            part.append(by_group[start:stop])
            start = stop
    return tuple(np.sort(np.concatenate(part)) if part else np.zeros(0, dtype=np.int64) for part in parts)


def _sizes(count: int, fractions: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """How many of a class's ``count`` rows each part gets."""
    ideal = count * fractions
    sizes = np.floor(ideal + 1e-9).astype(np.int64)
    while sizes.sum() < count:
        sizes[np.argmax(np.round(ideal - sizes + lag, 9))] += 1  # rounded: ties go to the earlier part
    if count and sizes[0] == 0:
        sizes[np.argmax(sizes)] -= 1
        sizes[0] = 1
    return sizes
