"""Preprocessing as modules, so that a saved model takes the data as it comes.

Standardize     x -> (x - mean) / std, feature by feature or channel by channel
PrepareTable    a table -> numbers without holes: schema, standardised numbers, one-hot categories
RestoreScale    y -> mean + std y, behind a network that learns standardised numbers
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.creation import arange, tensor
from haema.functions.elementwise import isnan, where
from haema.functions.shaping import cat
from haema.nn.module import Module
from haema.tensor import Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MinMaxScale", "PrepareTable", "RestoreScale", "Standardize"]


class Standardize(Module):
    """Centres and scales each feature, or each channel of images.

        y[:, c, ...] = (x[:, c, ...] - mean[c]) / std[c]

    Args:
        mean: C numbers.
        std: C numbers, none of them 0.

    Shapes:
        x: (N, C, ...) of any type; y: the same, in the type of the module.

    Raises:
        ValueError: there are not equally many numbers, or a ``std`` is 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(std):
            raise ValueError(
                f"Standardize: {len(mean)} means and {len(std)} deviations; equally many, none 0, are right"
            )
        self.register_buffer("mean", tensor(mean), persistent=False)
        self.register_buffer("std", tensor(std), persistent=False)

    @staticmethod
    def of(x: np.ndarray) -> Standardize:
        """With the means and deviations of x, (N, C, ...); a feature that never changes is only centred."""
        if x.dtype == np.uint8 and x.ndim == 4:
            return Standardize._of_images(x)
        sums, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        axes = (0, *range(2, x.ndim))
        for part in _parts(x):
            sums += part.sum(axis=axes)
        mean = sums / (x.size // x.shape[1])
        for part in _parts(x):
            squares += np.square(part - mean.reshape(-1, *(1,) * (x.ndim - 2))).sum(axis=axes)
        std = np.sqrt(squares / (x.size // x.shape[1]))
        std[std <= 1e-7 * np.abs(mean)] = 1.0
        return Standardize(mean.tolist(), std.tolist())

    @staticmethod
    def _of_images(x: Any) -> Standardize:
        """By sums of whole numbers, so that it is the same for images in files, which know theirs already."""
        from haema.data.imagerows import channel_moments

        n, mean, std = x.size // x.shape[1], [], []
        for total, square in channel_moments(x).T.tolist():
            mean.append(total / n)
            std.append(math.sqrt((n * square - total * total) / (n * n)) or 1.0)
        return Standardize(mean, std)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        return (x.to(self.mean.dtype) - self.mean.reshape(shape)) / self.std.reshape(shape)

    def extra_repr(self) -> str:
        return f"{len(self.mean)} features" if len(self.mean) > 1 else "1 feature"


class MinMaxScale(Module):
    """Scales each feature, or each channel of images, to the interval from 0 to 1.

        y[:, c, ...] = (x[:, c, ...] - low[c]) / (high[c] - low[c])

    What lies outside the training part's extremes comes out below 0 or above 1. A feature that never changes is only
    shifted. Pixels from 0 to 255 become numbers from 0 to 1 by ``MinMaxScale([0] * C, [255] * C)``.

    Args:
        low: C numbers.
        high: C numbers, none below its ``low``.

    Shapes:
        x: (N, C, ...) of any type; y: the same, in the type of the module.

    Raises:
        ValueError: there are not equally many numbers, or a ``high`` is below its ``low``.
    """

    low: Tensor
    range: Tensor

    def __init__(self, low: list[float], high: list[float]) -> None:
        super().__init__()
        if len(low) != len(high) or any(a > b for a, b in zip(low, high, strict=True)):
            raise ValueError(
                f"MinMaxScale: {len(low)} lowest and {len(high)} highest numbers, equally many and none of these below "
                "its lowest"
            )
        self.register_buffer("low", tensor([float(v) for v in low]), persistent=False)
        spans = [b - a if b > a else 1.0 for a, b in zip(low, high, strict=True)]
        self.register_buffer("range", tensor(spans), persistent=False)

    @staticmethod
    def of(x: np.ndarray) -> MinMaxScale:
        """With the extremes of x, (N, C, ...)."""
        axes = (0, *range(2, x.ndim))
        return MinMaxScale(x.min(axis=axes).tolist(), x.max(axis=axes).tolist())

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        return (x.to(self.low.dtype) - self.low.reshape(shape)) / self.range.reshape(shape)

    def extra_repr(self) -> str:
        return f"{len(self.low)} features" if len(self.low) > 1 else "1 feature"


def _parts(x: np.ndarray) -> Any:
    """Slices of x along its first axis as float64, so that no copy of the whole is made."""
    rows = max(1, (1 << 22) * len(x) // max(x.size, 1))
    return (x[i : i + rows].astype(np.float64) for i in range(0, len(x), rows))


class PrepareTable(Module):
    """Makes numbers of a table: what ``prepare`` gives is a matrix, and what the module gives has no holes.

        numbers       (v - center) / scale, 0 for a hole
        holes         1 where a number is missing, for the columns in ``holed``
        categories    one-hot over missing, unknown and the known ones

    Args:
        schema: What ``TableSchema.to_json`` gave.
        center, scale: P numbers each, for the numeric features.
        holed: Numbers of the features that had holes in training.

    Shapes:
        x: (N, P + Q), Q category codes behind the numbers; y: (N, ``features``).

    Raises:
        ValueError: the numbers are not as many as the schema has numeric features, or a ``scale`` is 0.
    """

    def __init__(self, schema: dict[str, Any], center: list[float], scale: list[float], holed: list[int]) -> None:
        from haema.data import TableSchema

        super().__init__()
        self._schema = TableSchema.from_json(schema)
        self.names = self._schema.numeric_names
        self.sizes = self._schema.category_sizes
        if not len(center) == len(scale) == len(self.names) or not all(scale):
            raise ValueError(
                f"PrepareTable: {len(center)} centres and {len(scale)} scales for {len(self.names)} features"
            )
        if not all(isinstance(i, int) and 0 <= i < len(center) for i in holed):
            raise ValueError(f"PrepareTable: holed is {holed}, where numbers of features are right")
        self.center, self.scale, self.holed = center, scale, holed

    @staticmethod
    def of(frame: pd.DataFrame, source: str = "the table") -> PrepareTable:
        """With the schema, means and deviations of a training table.

        Raises:
            InputError: it has no column to learn from, or a cell does not suit its column.
        """
        from haema.data import TableSchema

        schema = TableSchema.infer(frame, source=source)
        numeric = schema.transform(frame, source).numeric
        holes = np.isnan(numeric)
        count = np.maximum((~holes).sum(axis=0), 1)
        center = np.where(holes, 0.0, numeric).sum(axis=0) / count
        scale = np.sqrt(np.square(np.where(holes, 0.0, numeric - center)).sum(axis=0) / count)
        scale[scale <= 1e-12 * np.abs(center)] = 1.0
        holed = np.flatnonzero(holes.any(axis=0)).tolist()
        return PrepareTable(schema.to_json(), center.tolist(), scale.tolist(), holed)

    @property
    def schema(self) -> Any:
        """The `TableSchema`."""
        return self._schema

    @property
    def features(self) -> int:
        """Width of what the module gives."""
        return len(self.names) + len(self.holed) + sum(self.sizes)

    def prepare(self, frame: pd.DataFrame, source: str = "the table") -> np.ndarray:
        """A table as a matrix (N, P + Q): standardised numbers with nan for holes, then category codes.

        Raises:
            InputError: a column is missing, or a cell does not suit its column.
        """
        arrays = self._schema.transform(frame, source)
        # in float64, for the days of a calendar or a column of large numbers have few digits left in float32
        numeric = (arrays.numeric - np.asarray(self.center)) / np.asarray(self.scale)
        return np.concatenate([numeric.clip(-1e6, 1e6), arrays.codes], axis=1).astype(np.float32)

    def forward(self, x: Tensor) -> Tensor:
        p = len(self.names)
        numeric = x[:, :p]
        holes = isnan(numeric)
        parts = [where(holes, 0.0, numeric)]
        if self.holed:
            parts.append(cat([holes[:, i : i + 1] for i in self.holed], 1).to(x.dtype))
        for j, size in enumerate(self.sizes, p):
            parts.append((x[:, j : j + 1] == arange(size, dtype=x.dtype)).to(x.dtype))
        return cat(parts, 1)  # (N, features)

    def extra_repr(self) -> str:
        return f"{len(self.names)} numbers, {len(self.sizes)} categories -> {self.features}"


class RestoreScale(Module):
    """Gives standardised numbers their scale back.

        y = mean + std x

    Args:
        mean: K numbers.
        std: K numbers.

    Shapes:
        x, y: (N, K).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", tensor(mean), persistent=False)
        self.register_buffer("std", tensor(std), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.std * x

    def extra_repr(self) -> str:
        return f"{len(self.mean)} outputs"
