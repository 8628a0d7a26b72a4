"""Ways to show a network a number or a category; what they know of the training rows is in their buffers."""

from __future__ import annotations

import numpy as np

from haema.creation import arange, tensor, zeros
from haema.functions.elementwise import isnan, where
from haema.functions.shaping import cat
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["HoleIndicator", "OneHot", "PiecewiseLinear", "SoftClip", "TargetStatistics"]


class SoftClip(Module):
    """Numbers drawn softly into (-bound, bound); a hole becomes 0.

        y = x / sqrt(1 + (x / bound)^2)

    Args:
        bound: Numbers much smaller than it stay as they are; default 4.

    Shapes:
        x, y: any.
    """

    def __init__(self, bound: float = 4.0) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        x = where(isnan(x), 0.0, x)
        return x / (1 + (x / self.bound) ** 2).sqrt()

    def extra_repr(self) -> str:
        return f"bound={self.bound}"


class HoleIndicator(Module):
    """Says where numbers are missing.

        y_j = 1 if x[columns_j] is nan else 0

    Args:
        columns: Positions in the last axis of x.

    Shapes:
        x: (N, P); y: (N, len(columns)).
    """

    index: Tensor

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        self.columns = columns
        self.register_buffer("index", tensor(np.array(columns, np.int64)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return isnan(x.index_select(1, self.index)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{len(self.columns)} columns"


class PiecewiseLinear(Module):
    """A number as how far it has come through each of its bins: what a tree's thresholds are to a tree.

        y_t = clip((x - e_t) / (e_(t+1) - e_t), 0, 1) - 1/2        t = 0 .. B - 1

    A hole counts as 0, the median.

    Args:
        bins: B for each column; a column of 0 bins is left out.

    Shapes:
        x: (N, P); y: (N, sum of bins).

    Attributes:
        left: e_0 .. e_(B-1), column after column.
        width: e_(t+1) - e_t of the same.

    Source: Y. Gorishniy et al. (2022), On Embeddings for Numerical Features in Tabular Deep Learning, section 3.2.
    """

    left: Tensor
    width: Tensor
    column: Tensor

    def __init__(self, bins: list[int]) -> None:
        super().__init__()
        self.bins = bins
        column = np.repeat(np.arange(len(bins)), bins)
        self.register_buffer("left", zeros(len(column)))
        self.register_buffer("width", zeros(len(column)) + 1)
        self.register_buffer("column", tensor(column.astype(np.int64)), persistent=False)

    @staticmethod
    def of(x: np.ndarray, most: int, most_levels: int) -> PiecewiseLinear:
        """With bins of equally many training rows.

        Args:
            x: (N, P), nan for holes.
            most: Bins per column at most.
            most_levels: A column of so many different values or fewer has an edge at each of them.
        """
        edges = [_edges(np.where(np.isnan(v), 0, v)[~np.isnan(v)], most, most_levels) for v in x.T]
        layer = PiecewiseLinear([max(0, len(e) - 1) for e in edges])
        if edges:
            layer.left.copy_(tensor(np.concatenate([e[:-1] for e in edges])))
            layer.width.copy_(tensor(np.concatenate([np.diff(e) for e in edges])))
        return layer

    def forward(self, x: Tensor) -> Tensor:
        x = where(isnan(x), 0.0, x).index_select(1, self.column)  # (N, sum of bins)
        return ((x - self.left) / self.width).clamp(0, 1) - 0.5

    def extra_repr(self) -> str:
        return f"{len(self.bins)} columns -> {sum(self.bins)}"


def _edges(v: np.ndarray, most: int, most_levels: int) -> np.ndarray:
    """The edges of a column's bins; of two values or fewer there are none, for they are told apart already."""
    v = v.astype(np.float32)
    levels = np.unique(v)
    if len(levels) > max(most + 1, most_levels):
        levels = np.unique(np.quantile(v, np.linspace(0, 1, most + 1)).astype(np.float32))
    return levels if len(levels) > 2 else levels[:0]


class OneHot(Module):
    """Category codes as ones among zeros.

        y[offset_j + x_j] = seen[offset_j + x_j], the others 0

    A code that no training row has (a hole, or an unknown category, where training had none) gives zeros: behind it
    stand weights that were never learned.

    Args:
        sizes: How many codes each column has.
        columns: Positions of those columns in x.

    Attributes:
        seen: 1 for each code that training has, (sum of sizes,); all at first, until ``see``.

    Shapes:
        x: (N, Q), whole numbers of any type; y: (N, sum of sizes).
    """

    seen: Tensor

    def __init__(self, sizes: list[int], columns: list[int]) -> None:
        super().__init__()
        if len(sizes) != len(columns):
            raise ValueError(f"OneHot: {len(columns)} columns have {len(sizes)} sizes")
        self.sizes, self.columns = sizes, columns
        self.register_buffer("seen", zeros(sum(sizes)) + 1)

    def see(self, x: np.ndarray) -> None:
        """Take note of the codes in the training rows ``x``, (N, Q)."""
        parts = [np.isin(np.arange(size), x[:, j]) for j, size in zip(self.columns, self.sizes, strict=True)]
        self.seen.data.copy_(np.concatenate([*parts, np.zeros(0, bool)]).astype(np.float32))

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            (x[:, j : j + 1] == arange(size, dtype=x.dtype)).to(x.dtype)
            for j, size in zip(self.columns, self.sizes, strict=True)
        ]
        return cat(parts, 1) * self.seen.to(x.dtype) if parts else x[:, :0]

    def extra_repr(self) -> str:
        return f"{len(self.sizes)} columns -> {sum(self.sizes)}"


class TargetStatistics(Module):
    """Categories as what the target is among their training rows, for columns of many of them.

        y = [ (n_c mean_c + m mean) / (n_c + m),  log(1 + n_c) / log(1 + n) ],  both standardised

    with n_c rows of category c, and m by empirical Bayes: the variance within categories over that between them, so
    that a category of few rows says little. Training rows must not see their own target in it: they are given the
    statistics of the other folds' rows instead, by `haema.train.tables.statistics`.

    Args:
        sizes: How many codes each column has.
        columns: Positions of those columns in x.
        outputs: Columns of the target: 1 for numbers and two classes, else one for each class.

    Shapes:
        x: (N, Q), whole numbers of any type; y: (N, len(sizes) (outputs + 1)).

    Attributes:
        table: The values by category, (sum of sizes, outputs + 1).

    Source: D. Micci-Barreca (2001), A preprocessing scheme for high-cardinality categorical attributes, equations 3
    to 7.
    """

    table: Tensor

    def __init__(self, sizes: list[int], columns: list[int], outputs: int) -> None:
        super().__init__()
        if len(sizes) != len(columns):
            raise ValueError(f"TargetStatistics: {len(columns)} columns have {len(sizes)} sizes")
        self.sizes, self.columns, self.outputs = sizes, columns, outputs
        self.register_buffer("table", zeros(sum(sizes), outputs + 1))

    @property
    def features(self) -> int:
        """Width of y."""
        return len(self.sizes) * (self.outputs + 1)

    def forward(self, x: Tensor) -> Tensor:
        parts, offset = [], 0
        for j, size in zip(self.columns, self.sizes, strict=True):
            parts.append(self.table.index_select(0, x[:, j].long() + offset))
            offset += size
        return cat(parts, 1) if parts else x[:, :0]

    def extra_repr(self) -> str:
        return f"{len(self.sizes)} columns -> {self.features}"
