"""A table's columns as numbers: the part of the preprocessing that reads cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.errors import InputError
from haema.nn.module import Module
from haema.tensor import Tensor

if TYPE_CHECKING:
    import pandas as pd

    from haema.data import TableSchema

__all__ = ["TableColumns"]

MOST_CATEGORIES = 20_000
MOST_WORDS = 64
_WORD = re.compile(r"\w+")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$")
_SAMPLE = 200  # cells that tell most columns that they are neither clock times nor texts


class TableColumns(Module):
    """Reads a table: ``prepare`` makes a matrix of it, which the module itself passes on.

        numbers      (v - center) / scale, nan for a hole: numbers, yes and no, clock times in hours, parts of dates
        cycles       sin(2 pi v / period), cos(2 pi v / period) of days of the year and hours, scaled the same
        categories   a code: 0 for a hole, 1 for one not known, 2, 3, ...
        words        1 where a text has the word, else 0

    The median is the center and (q75 - q25) / 1.349, a normal distribution's standard deviation, is the scale, so
    that a few huge values do not matter. A text is a category too, by its whole content.

    Args:
        schema: What ``TableSchema.to_json`` gave.
        clocks: Columns of clock times such as 07:30.
        words: The words that count, by column of texts.
        cycles: Pairs of a number's position and its period.
        keep: Positions, among numbers and cycles, of those that are of use.
        center, scale: One number for each of those.

    Shapes:
        x, y: (N, P + Q + W), P numbers, Q codes, W words.

    Raises:
        ValueError: the lists do not fit each other, or a ``scale`` is 0.
    """

    def __init__(
        self,
        schema: dict[str, Any],
        clocks: list[str],
        words: dict[str, list[str]],
        cycles: list[list[float]],
        keep: list[int],
        center: list[float],
        scale: list[float],
    ) -> None:
        from haema.data import TableSchema

        super().__init__()
        self._schema = TableSchema.from_json(schema)
        numbers = self._schema.numeric_names
        if not all(0 <= int(i) < len(numbers) and period > 0 for i, period in cycles):
            raise ValueError(f"TableColumns: cycles is {cycles} of {len(numbers)} numbers")
        numbers = [*numbers, *(f"{numbers[int(i)]} ({f})" for i, _ in cycles for f in ("sin", "cos"))]
        if not all(0 <= i < len(numbers) for i in keep):
            raise ValueError(f"TableColumns: keep is {keep} of {len(numbers)} numbers")
        if not len(keep) == len(center) == len(scale) or not all(scale):
            raise ValueError(
                f"TableColumns: {len(keep)} numbers have {len(center)} centers and {len(scale)} scales, none of them 0"
            )
        self.clocks, self.words, self.cycles, self.keep = clocks, words, cycles, keep
        self.center, self.scale = center, scale
        self.numbers = [numbers[i] for i in keep]
        self.sizes = self._schema.category_sizes

    @staticmethod
    def of(frame: pd.DataFrame, source: str = "the table") -> TableColumns:
        """What the training rows say: kinds, categories, words, centers and scales.

        Raises:
            InputError: there is no column to learn from, or a cell does not suit its column.
        """
        from haema.data import TableSchema

        clocks = [str(c) for i, c in enumerate(frame.columns) if _are_clocks(frame.iloc[:, i])]
        frame = _with_hours(frame, clocks, source)
        rare = 1 if len(frame) < 50 else 2 if len(frame) < 2000 else 4
        found = {str(c): _frequent_words(frame.iloc[:, i]) for i, c in enumerate(frame.columns)}
        words = {c: w for c, w in found.items() if w is not None}
        schema = TableSchema.infer(frame, dict.fromkeys(words, "category"), source, MOST_CATEGORIES, rare)
        cycles = _cycles(schema.numeric_names, clocks)
        numeric = _with_cycles(schema.transform(frame, source).numeric, cycles)
        keep, center, scale = [], [], []
        for i, v in enumerate(numeric.T):
            found_scale = _robust_scale(v)
            if found_scale is not None:
                keep.append(i)
                center.append(found_scale[0])
                scale.append(found_scale[1])
        return TableColumns(schema.to_json(), clocks, words, cycles, keep, center, scale)

    @property
    def schema(self) -> TableSchema:
        """The columns with their kinds."""
        return self._schema

    @property
    def names(self) -> list[str]:
        """The names of the numbers and words."""
        return [*self.numbers, *(f"{c} ({w})" for c, words in self.words.items() for w in words)]

    def prepare(self, frame: pd.DataFrame, source: str = "the table") -> np.ndarray:
        """A table as a matrix (N, P + Q + W), float32.

        Args:
            frame: The rows; columns may stand in any order, and unknown ones are passed over.
            source: What the table is called in messages.

        Raises:
            InputError: a column is missing, or a cell does not suit its column.
        """
        frame = _with_hours(frame, self.clocks, source)
        arrays = self._schema.transform(frame, source)
        numeric = _with_cycles(arrays.numeric, self.cycles)[:, self.keep]
        # in float64, for the days of a calendar or a column of large numbers have few digits left in float32
        numeric = (numeric - np.asarray(self.center)) / np.asarray(self.scale)
        there = [str(c) for c in frame.columns]
        bags = [_bag(frame.iloc[:, there.index(c)], words) for c, words in self.words.items() if words]
        return np.concatenate([numeric.clip(-1e15, 1e15), arrays.codes, *bags], axis=1).astype(np.float32)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def extra_repr(self) -> str:
        return f"{len(self.numbers)} numbers, {len(self.sizes)} categories, {len(self.names) - len(self.numbers)} words"


def _robust_scale(v: np.ndarray) -> tuple[float, float] | None:
    """Median and scale of a column with nan for holes; None where it tells nothing."""
    there = v[~np.isnan(v)]
    if len(there) == 0 or (len(there) == len(v) and there.min() == there.max()):
        return None
    low, median, high = np.quantile(there, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349
    if scale <= 1e-9 * max(1.0, abs(median)):
        scale = there.std()
    if not np.isfinite(scale) or scale <= 1e-12 * abs(median):
        scale = max(1.0, abs(median))
    return float(median), float(scale)


# -- clock times and cycles ------------------------------------------------------------------


def _texts(values: pd.Series) -> pd.Series | None:
    """The cells that are there, if the column holds texts."""
    from pandas.api import types

    if types.is_numeric_dtype(values) or types.is_bool_dtype(values) or types.is_datetime64_any_dtype(values):
        return None
    there = values.dropna()
    if not len(there) or not all(isinstance(v, str) for v in there.iloc[:_SAMPLE]):
        return None
    return there.astype(str).str.strip()


def _are_clocks(values: pd.Series) -> bool:
    texts = _texts(values)
    return texts is not None and all(_CLOCK.match(t) for t in texts.iloc[:_SAMPLE]) and all(map(_CLOCK.match, texts))


def _with_hours(frame: pd.DataFrame, clocks: list[str], source: str) -> pd.DataFrame:
    """The table with clock times as hours.

    Raises:
        InputError: a cell is no clock time.
    """
    there = [str(c) for c in frame.columns]
    for name in clocks:
        if there.count(name) != 1:  # the schema says so
            continue
        frame = frame.copy(deep=False)
        cells = frame.iloc[:, there.index(name)]
        known: dict[str, float] = {"": np.nan}
        hours = np.full(len(frame), np.nan)
        for i, cell in enumerate(cells.astype(object).where(cells.notna(), "").tolist()):
            text = str(cell).strip()
            if text not in known:
                match = _CLOCK.match(text)
                if match is None:
                    from haema.data.csvfile import line_namer

                    raise InputError(
                        f"column {name!r} of {source} holds {text!r} on {line_namer(frame)(i)}, where a time "
                        "such as 07:30 is right"
                    )
                hour, minute, second = (int(g or 0) for g in match.groups())
                known[text] = hour + minute / 60 + second / 3600
            hours[i] = known[text]
        frame[frame.columns[there.index(name)]] = hours
    return frame


def _cycles(names: list[str], clocks: list[str]) -> list[list[float]]:
    periods = {"(day of year)": 365.25, "(hour)": 24.0, "(day of week)": 7.0}
    return [
        [i, period]
        for i, name in enumerate(names)
        for ending, period in periods.items()
        if name.endswith(ending) or (name in clocks and ending == "(hour)")
    ]


def _with_cycles(numeric: np.ndarray, cycles: list[list[float]]) -> np.ndarray:
    """The numbers with the sine and cosine of those that come round again behind them."""
    more = [f(2 * math.pi * numeric[:, int(i)] / period) for i, period in cycles for f in (np.sin, np.cos)]
    return np.column_stack([numeric, *more])


# -- words ------------------------------------------------------------------


def _words_of(cell: Any) -> set[str]:
    return set(_WORD.findall(cell.lower())) if isinstance(cell, str) else set()


def _frequent_words(values: pd.Series) -> list[str] | None:
    """The words of a column of texts that tell rows apart, the most frequent first; None for other columns.

    A column holds texts if its values have one and a half words or more on average and are more than 50.
    """
    texts = _texts(values)
    if texts is None or texts.str.contains(r"^[\d\s:/.,+-]*$").mean() > 0.5:  # numbers or dates
        return None
    distinct = texts.unique()
    if len(distinct) <= 50 or np.mean([len(_WORD.findall(t)) for t in distinct[:1000]]) < 1.5:
        return None
    counts = Counter(w for t in texts for w in _words_of(t))
    least, most = max(5, len(values) / 500), 0.98 * len(values)
    frequent = sorted((w for w, k in counts.items() if least <= k <= most), key=lambda w: (-counts[w], w))
    return frequent[:MOST_WORDS]


def _bag(values: pd.Series, words: list[str]) -> np.ndarray:
    """1 where a cell has the word, else 0: (N, len(words))."""
    place = {w: i for i, w in enumerate(words)}
    bag = np.zeros((len(values), len(words)))
    for row, cell in zip(bag, values, strict=True):
        row[[place[w] for w in _words_of(cell) if w in place]] = 1
    return bag
