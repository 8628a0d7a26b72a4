"""What the networks for tables see of a row."""

from __future__ import annotations

from haema.creation import ones
from haema.functions.shaping import cat
from haema.nn.module import Module
from haema.nn.tables.encodings import HoleIndicator, OneHot, PiecewiseLinear, SoftClip, TargetStatistics
from haema.tensor import Tensor

__all__ = ["TableFeatures"]

MOST_ONE_HOT = 64
"""A column of more codes than this (and two for holes and unknown ones) is not shown one-hot."""

LEAST_STATISTICS = 10
"""A column of more categories than this is shown as target statistics."""


class TableFeatures(Module):
    """The input of the networks, from the matrix that `TableColumns` makes.

        y = [ 1 | clipped numbers | holes | target statistics | one-hot | words | piecewise linear numbers ]

    The smooth network sees all but the last part, whose width is ``steps``.

    Args:
        numbers: P, the number of numbers.
        sizes: How many codes each category has.
        words: The number of words of each text, W together.
        holed: Positions of the numbers that had holes in training.
        bins: Bins of each number.
        outputs: Columns of the target.
        texts: Positions of the categories that are texts, which always have target statistics.

    Shapes:
        x: (N, P + Q + W); y: (N, ``smooth + steps``).
    """

    def __init__(
        self,
        numbers: int,
        sizes: list[int],
        words: list[int],
        holed: list[int],
        bins: list[int],
        outputs: int,
        texts: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.numbers, self.sizes, self.words = numbers, sizes, words
        many = [j for j, size in enumerate(sizes) if size > LEAST_STATISTICS + 2 or j in (texts or [])]
        few = [j for j, size in enumerate(sizes) if size <= MOST_ONE_HOT + 2]
        self.clip = SoftClip()
        self.holes = HoleIndicator(holed)
        self.statistics = TargetStatistics([sizes[j] for j in many], many, outputs)
        self.one_hot = OneHot([sizes[j] for j in few], few)
        self.bins = PiecewiseLinear(bins)

    @property
    def smooth(self) -> int:
        """Width of what the smooth network sees."""
        before = 1 + self.numbers + len(self.holes.columns) + self.statistics.features
        return before + sum(self.one_hot.sizes) + sum(self.words)

    @property
    def steps(self) -> int:
        """Width of the piecewise linear encoding, which the stepwise network sees in addition."""
        return sum(self.bins.bins)

    @property
    def groups(self) -> tuple[list[int], list[int]]:
        """The number, category or text behind each column of y but the first: of the smooth part, and of the steps."""
        p, q = self.numbers, self.numbers + len(self.sizes)
        statistics = [p + j for j in self.statistics.columns for _ in range(self.statistics.outputs + 1)]
        one_hot = [p + j for j, size in zip(self.one_hot.columns, self.one_hot.sizes, strict=True) for _ in range(size)]
        words = [q + i for i, count in enumerate(self.words) for _ in range(count)]
        steps = [j for j, count in enumerate(self.bins.bins) for _ in range(count)]
        return [*range(p), *self.holes.columns, *statistics, *one_hot, *words], steps

    @property
    def place_of_statistics(self) -> slice:
        """The columns of y that hold target statistics."""
        start = 1 + self.numbers + len(self.holes.columns)
        return slice(start, start + self.statistics.features)

    def forward(self, x: Tensor) -> Tensor:
        p, q = self.numbers, self.numbers + len(self.sizes)
        numbers, codes, words = x[:, :p], x[:, p:q], x[:, q:]
        one = ones(x.shape[0], 1, dtype=x.dtype)
        parts = [one, self.clip(numbers), self.holes(numbers), self.statistics(codes), self.one_hot(codes), words]
        return cat([*parts, self.bins(numbers)], 1)

    def extra_repr(self) -> str:
        return f"{self.numbers + len(self.sizes) + sum(self.words)} -> {self.smooth} + {self.steps}"
