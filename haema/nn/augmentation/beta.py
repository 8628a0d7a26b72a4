"""Numbers from the symmetric beta distribution by inverting its distribution function, with a fixed amount of work.

    density   x^(a-1) (1-x)^(a-1) / B(a, a),    B such that it integrates to 1

By symmetry x is drawn from the lower half and then mirrored or not. There, with t = x^a,

    P(X <= x) = 1 / (a B) integral from 0 to t of (1 - s^(1/a))^(a-1) ds

has no singular point, also where the density has one (a < 1), and is nearly linear in t. So t as a function of the
probability is kept at equally spaced points, and drawing is one look-up and a line between two of them. Compared with
the exact distribution, P(X <= x) is wrong by at most 2e-6 for a from 0.02 to 2, and by at most 2e-4 for a up to 100.
"""

from __future__ import annotations

import numpy as np

from haema import ops, random
from haema.functions.elementwise import where
from haema.tensor import Tensor

__all__ = ["draw", "table"]

CELLS = 1024
"""Intervals of probability between 0 and 1/2."""


def table(alpha: float) -> list[float]:
    """t at the probabilities 0, 1 / (2 CELLS), ..., 1/2."""
    even = np.linspace(0, 1, 1 << 13)
    t = np.union1d(even, even**alpha)  # as a share of the largest t, 2^-a: dense at both ends
    x = t ** (1 / alpha) / 2
    height = (1 - x) ** (alpha - 1)
    area = np.concatenate([[0], np.cumsum((height[1:] + height[:-1]) / 2 * np.diff(t))])
    return np.interp(np.linspace(0, 1, CELLS + 1), area / area[-1], t).tolist()


def draw(points: Tensor, alpha: float, shape: tuple[int, ...] = ()) -> Tensor:
    """Numbers of ``shape`` from Beta(alpha, alpha), whose ``table`` is ``points``."""
    u = random.uniform((2, *shape), dtype=points.dtype)
    place = u[0] * CELLS
    k = place.floor()
    low, high = (ops.take(points, k.long() + side, axes=(0,)) for side in (0, 1))
    x = (low + (high - low) * (place - k)) ** (1 / alpha) / 2
    return where(u[1] < 0.5, x, 1 - x)
