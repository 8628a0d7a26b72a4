"""The mistakes that a classifier is surest of."""

from __future__ import annotations

from typing import Any

import numpy as np

from haema.errors import InputError

__all__ = ["worst_mistakes"]


def worst_mistakes(probabilities: Any, truth: Any, most: int = 12) -> np.ndarray:
    """The rows that are put into a wrong class with the highest probability.

    Args:
        probabilities: Of the classes, (N, C); of equal ones the first counts as predicted.
        truth: Class ids, (N,).
        most: How many rows at most. Default: 12.

    Returns:
        Row numbers, the surest mistake first; of equally sure ones the earlier row first.

    Raises:
        InputError: the shapes do not fit.
    """
    p, y = (np.asarray(v.detach() if hasattr(v, "detach") else v) for v in (probabilities, truth))
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise InputError(
            f"worst_mistakes: probabilities of shape {p.shape} and truth of shape {y.shape}, where (N, C) and (N,) "
            "are right"
        )
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    return wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")][:most]
