"""What the augmenting layers have in common: images checked, one random number per image, whole numbers restored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from haema import dtypes, random
from haema.errors import ShapeError
from haema.nn.module import Module
from haema.tensor import Tensor

Span = tuple[float, float]


class Augmentation(Module):
    """A layer that changes images in training and lets them through otherwise.

    A subclass defines ``augment(x)``. What it computes with real numbers it gets as such, and the result becomes what
    x was: whole numbers are rounded and kept between 0 and 255.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self.augment(images(type(self).__name__, input)) if self.training else input

    def augment(self, x: Tensor) -> Tensor:
        """The images changed, in their own dtype."""
        raise NotImplementedError(f"{type(self).__name__} defines no augment")


def images(name: str, x: Tensor) -> Tensor:
    """``x``, if it is a batch of images.

    Raises:
        ShapeError: it is not (N, C, H, W).
    """
    if x.ndim != 4:
        raise ShapeError(f"{name}: a batch of images is (N, C, H, W), not of shape {tuple(x.shape)}")
    return x


def real(x: Tensor) -> Tensor:
    """``x`` as real numbers."""
    return x if x.dtype.kind == "f" else x.float()


def restored(y: Tensor, x: Tensor) -> Tensor:
    """``y`` in the dtype of ``x``: whole numbers are rounded, and kept between 0 and 255."""
    return y.to(x.dtype) if x.dtype.kind == "f" else y.round().clamp(0, 255).to(x.dtype)


def white(x: Tensor) -> float:
    """The largest value of a pixel: 1, or 255 where pixels are whole numbers."""
    return 1.0 if x.dtype.kind == "f" else 255.0


def drawn(x: Tensor, low: float, high: float) -> Tensor:
    """For each image a number from the uniform distribution on [low, high), (N, 1, 1, 1)."""
    return random.uniform((x.shape[0], 1, 1, 1), low, high, dtype=real(x).dtype)


def chosen(x: Tensor, p: float) -> Tensor:
    """For each image whether to change it, true with probability p, (N, 1, 1, 1)."""
    return random.uniform((x.shape[0], 1, 1, 1), dtype=dtypes.float32) < p


def probability(name: str, p: float) -> float:
    """``p``, if it is one.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: the probability p must be between 0 and 1, not {p}")
    return p


def filling(name: str, value: float) -> float:
    """``value`` of what comes in from outside, if it is one number: one for each channel would be spread along a row.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name}: fill is {value!r}; one number, for all channels, is right")
    return value


def span(
    name: str, what: str, value: float | Sequence[float], centre: float | None = 0.0, least: float = -math.inf
) -> Span:
    """``value`` as (lowest, highest); a single number d means centre - d .. centre + d.

    Args:
        name, what: The layer and its argument.
        value: A number, or two.
        centre: Of the interval; None where only two numbers are right.
        least: No number may be below it; of an interval around a centre the lower end is raised to it.

    Raises:
        ValueError: it is neither, or out of order, or too small.
    """
    if isinstance(value, (int, float)) and centre is not None:
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}: {what} is {value}; a number from 0 upwards, or a pair of numbers, is right")
        return max(centre - value, least), centre + value
    pair: Any = value
    right = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    if not right or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in pair):
        one = "" if centre is None else "a number, or "
        raise ValueError(f"{name}: {what} is {value!r}; {one}a pair (lowest, highest) is right")
    low, high = pair
    if not least <= low <= high:
        bound = "" if least == -math.inf else f", from {least:g} upwards"
        raise ValueError(f"{name}: {what} is {value!r}; a pair (lowest, highest) in this order{bound} is right")
    return float(low), float(high)
