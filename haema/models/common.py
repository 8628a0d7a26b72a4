"""What all ready networks ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from haema.errors import InputError

__all__ = ["LEAST", "halved", "image"]

LEAST = 8
"""Pixels of the shorter side that the networks need at least."""


def image(network: str, in_channels: Any, size: Any, classes: Any, least: int = LEAST) -> tuple[int, int]:
    """The height and width in pixels that a network is made for.

    Args:
        network: Its name in messages.
        in_channels: Channels of the images.
        size: Height and width in pixels, or one number for both.
        classes: How many outputs it has.
        least: Pixels of the shorter side at least.

    Raises:
        InputError: one is no whole number, or too small.
    """
    for name, value in (("in_channels", in_channels), ("classes", classes)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{network}: {name} is {value!r}; a whole number from 1 upwards is right")
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < least for n in sides):
        raise InputError(f"{network}: size is {size!r}; a height and a width of {least} pixels or more are right")
    return sides[0], sides[1]


def halved(sides: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The window of a 2x2 pooling, of 1 along a side that has a single pixel left, and the sides after it."""
    window = (min(2, sides[0]), min(2, sides[1]))
    return window, (sides[0] // window[0], sides[1] // window[1])
