"""The kinds of a table's columns: how each is recognised, and how its cells become numbers or codes.

    kind       recognised by                                      becomes
    numeric    numbers, or texts that are all numbers             the number
    boolean    booleans; both of yes/no, true/false, on/off ...   0 or 1
    date       dates; texts that are all dates of one format      year, month, day of week, elapsed days ...
    category   at most max(10, rows/5) different texts            a code: 0 missing, 1 unknown, 2, 3 ...
    text       more different texts than that                     its number of words and hashed word counts
    ignored    no values, a single one, or a name per row         nothing

Whole numbers are numeric however few they are: their order is information, and a category can be asked for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from haema.data.task import label_of
from haema.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "MISSING", "UNKNOWN", "Column", "Line", "encode", "feature_names", "infer_column"]

Line = Callable[[int], str]
"""Says where row i stands, e.g. ``line 7``."""

KINDS = ("numeric", "boolean", "date", "category", "text", "ignored")
MISSING, UNKNOWN = 0, 1
MOST_CATEGORIES = 256
"""Unless another number is given: of more categories the most frequent ones are kept; the others are unknown."""
TEXT_BUCKETS = 32

_TRUE = {"true", "yes", "y", "t", "on", "1"}
_FALSE = {"false", "no", "n", "f", "off", "0"}
_BOOLEAN_PAIRS = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"on", "off"})
_DATE_FORMATS = (
    "ISO8601",
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M",
    "%Y년 %m월 %d일",
    "%b %d, %Y",
    "%d %b %Y",
)
_DATE_SHAPE = re.compile(r"\d{8}$|\d{4}-\d{1,2}(-\d{1,2}.*)?$|.*\d.*[-/.년, ].*\d.*")
_ROW_NAME = re.compile(r"(?i:(.*[ _-])?id|index|row|nr\.?|no\.?|#|unnamed: 0)$|.*[a-z](Id|ID)$")


@dataclass(frozen=True)
class Column:
    """What is remembered about a column of the training table.

    Fields:
        name: the column's name.
        kind: one of ``KINDS``.
        categories: the labels of a category's codes 2, 3, ...
        format: of a date, as pandas takes it; None where the column held dates already.
        origin: of a date, the earliest day, as YYYY-MM-DD; elapsed days count from it.
        hour: whether a date has a time of day.
        note: why the column is ignored, or what else its user should know.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    format: str | None = None
    origin: str | None = None
    hour: bool = False
    note: str | None = None


def infer_column(
    values: pd.Series,
    name: str,
    where: str,
    line: Line,
    kind: str | None = None,
    most_categories: int = MOST_CATEGORIES,
    least_rows: int = 1,
) -> Column:
    """Recognises a column's kind, by the rule at the head of this file, and what has to be remembered of it.

    Args:
        values: the column, of the training rows only.
        name: its name.
        where: what it is called in messages, e.g. ``column 'age' of f.csv``.
        line: says where a row stands.
        kind: the kind, where it is not to be inferred.
        most_categories: of more categories than this the most frequent ones are kept.
        least_rows: categories of fewer rows are not kept.

    Raises:
        InputError: the cells do not suit ``kind``, or a column of numbers holds a few texts.
    """
    values = _tidy(values, where)
    if kind is None:
        kind, note = _infer_kind(values, name, where, line)
        if kind == "ignored":
            return Column(name, kind, note=note)
    if kind == "date":
        return _infer_date(values, name, where)
    if kind == "category":
        return _infer_category(values, name, most_categories, least_rows)
    return Column(name, kind)


def _infer_kind(values: pd.Series, name: str, where: str, line: Line) -> tuple[str, str | None]:
    from pandas.api import types

    present = values.dropna()
    if len(present) == 0:
        return "ignored", "it is empty"
    distinct = present.nunique()
    if distinct == 1 and len(present) == len(values) > 1:
        return "ignored", f"every row has the same value, {label_of(present.iloc[0])!r}"
    whole = types.is_integer_dtype(values) or values.dtype == object
    if distinct == len(values) > 2 and whole and _ROW_NAME.match(name):
        return "ignored", "its name and values say that it numbers the rows"
    if isinstance(values.dtype, _categorical()):
        return "category", None
    if types.is_bool_dtype(values):
        return "boolean", None
    if types.is_datetime64_any_dtype(values):
        return "date", None
    if types.is_numeric_dtype(values):
        return "numeric", None
    if set(present.str.lower().unique()) in _BOOLEAN_PAIRS:
        return "boolean", None
    numbers = _to_numbers(present)
    texts = int(np.isnan(numbers).sum())
    if texts == 0:
        return "numeric", None
    if _find_date_format(present) is not None:
        return "date", None
    if texts <= len(present) // 20 and len(np.unique(numbers)) > 20:
        row = int(np.flatnonzero(np.isnan(_to_numbers(values)) & values.notna().to_numpy())[0])
        raise InputError(
            f"{where} holds {values.iloc[row]!r} on {line(row)}, where nearly all other rows hold a number; "
            "correct the cell or empty it"
        )
    if distinct <= max(10, len(present) // 5):
        return "category", None
    if distinct > 0.9 * len(present) and present.str.count(r"\w+").mean() < 1.5:
        return "ignored", "nearly every row has a value of its own"
    return "text", None


def _infer_category(values: pd.Series, name: str, most: int, least_rows: int) -> Column:
    labels = _labels(values)
    counts = labels.value_counts()
    counts = counts[counts >= least_rows]
    note = None
    if len(counts) > most:
        note = f"it has {len(counts)} categories, of which the {most} most frequent are told apart"
        frequent = sorted(counts.index, key=lambda c: (-counts[c], _by_number(c)))
        counts = counts[frequent[:most]]
    if isinstance(values.dtype, _categorical()):
        categories = [c for c in map(label_of, values.cat.categories) if c in counts.index]
    else:
        categories = sorted(counts.index, key=_by_number)
    return Column(name, "category", categories=tuple(categories), note=note)


def _infer_date(values: pd.Series, name: str, where: str) -> Column:
    from pandas.api import types

    if not values.notna().any():
        return Column(name, "ignored", note="it is empty")
    found = None
    if not types.is_datetime64_any_dtype(values):
        present = values.dropna().astype(str)
        found = _find_date_format(present)
        if found is None:
            raise InputError(f"{where} holds no dates of one format; dates such as 2024-12-31 are right")
    dates = _to_dates(values, found).dropna()
    note = None
    if found is not None and found.startswith("%m/%d") and _parses(present, found.replace("%m/%d", "%d/%m")):
        note = f"dates such as {present.iloc[0]} are read with the month first"
    return Column(
        name,
        "date",
        format=found,
        origin=str(dates.min().date()),
        hour=bool((dates != dates.dt.normalize()).any()),
        note=note,
    )


def feature_names(column: Column) -> list[str]:
    """The names of the numbers that a column becomes; none for a category, which becomes a code."""
    if column.kind in ("numeric", "boolean"):
        return [column.name]
    if column.kind == "date":
        parts = ["year", "month", "day of week", "day of year", f"days since {column.origin}"]
        return [f"{column.name} ({p})" for p in parts + ["hour"] * column.hour]
    if column.kind == "text":
        return [f"{column.name} (words)", *(f"{column.name} (hash {i})" for i in range(TEXT_BUCKETS))]
    return []


def encode(column: Column, values: pd.Series, where: str, line: Line) -> np.ndarray:
    """A column's cells as numbers (N, len(feature_names)), nan for holes; a category's as codes (N,).

    Raises:
        InputError: a cell does not suit the column's kind; the message names its line and value.
    """
    values = _tidy(values, where)
    if column.kind == "category":
        code = {c: i for i, c in enumerate(column.categories, UNKNOWN + 1)}
        labels = _labels(values)
        codes = labels.map(lambda v: code.get(v, UNKNOWN), na_action="ignore")
        return codes.fillna(MISSING).to_numpy(np.int64)
    if column.kind == "numeric":
        return _encode_numbers(values, where, line)[:, None]
    if column.kind == "boolean":
        return _encode_booleans(values, where, line)[:, None]
    if column.kind == "date":
        return _encode_dates(column, values, where, line)
    return _encode_texts(values)


def _encode_numbers(values: pd.Series, where: str, line: Line) -> np.ndarray:
    numbers = _to_numbers(values)
    _check(np.isnan(numbers) & values.notna().to_numpy(), values, where, line, "a number")
    _check(np.isinf(numbers), values, where, line, "a finite number or an empty cell")
    return numbers


def _encode_booleans(values: pd.Series, where: str, line: Line) -> np.ndarray:
    labels = _labels(values).str.lower()
    known = {**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0)}
    numbers = labels.map(known).to_numpy(np.float64)
    bad = np.isnan(numbers) & values.notna().to_numpy()
    _check(bad, values, where, line, "yes or no, or true or false,")
    return numbers


def _encode_dates(column: Column, values: pd.Series, where: str, line: Line) -> np.ndarray:
    import pandas as pd

    dates = _to_dates(values, column.format)
    plain = "%Y-%m-%d" if column.format in (None, "ISO8601") else column.format
    example = pd.Timestamp(column.origin).strftime(plain)
    bad = dates.isna().to_numpy() & values.notna().to_numpy()
    _check(bad, values, where, line, f"a date such as {example}")
    part = dates.dt
    days = (dates - pd.Timestamp(column.origin)) / pd.Timedelta(days=1)
    parts = [part.year, part.month, part.day_of_week, part.day_of_year, days]
    if column.hour:
        parts.append(part.hour + part.minute / 60 + part.second / 3600)
    return np.stack([p.to_numpy(np.float64) for p in parts], axis=1)


def _encode_texts(values: pd.Series) -> np.ndarray:
    """Signed feature hashing: each word adds +1 or -1 to one of the buckets.

    The hash is CRC-32, which is the same in every process (Python's own is not).

    Source: K. Weinberger et al. (2009), Feature Hashing for Large Scale Multitask Learning, section 2.
    """
    features = np.zeros((len(values), 1 + TEXT_BUCKETS))
    for row, text in zip(features, _labels(values), strict=True):
        words = re.findall(r"\w+", text.lower()) if isinstance(text, str) else []
        row[0] = len(words)
        for word in words:
            bits = zlib.crc32(word.encode())
            row[1 + (bits >> 1) % TEXT_BUCKETS] += 1 - 2 * (bits & 1)
    return features


def _check(bad: np.ndarray, values: pd.Series, where: str, line: Line, right: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = label_of(values.iloc[row])
        raise InputError(f"{where} holds {value!r} on {line(row)}, where {right} is right")


def _tidy(values: pd.Series, where: str) -> pd.Series:
    """The column as booleans, numbers, dates, a categorical, or stripped texts with nan for holes."""
    from pandas.api import types

    if isinstance(values.dtype, _categorical()) or types.is_bool_dtype(values):
        return values
    if types.is_complex_dtype(values) or types.is_timedelta64_dtype(values):
        raise InputError(f"{where} is of type {values.dtype}; numbers, texts, booleans or dates are right")
    if types.is_numeric_dtype(values):
        return values
    if types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None)  # the time as the clock there shows it
    texts = values.astype(object).map(label_of, na_action="ignore")
    return texts.where(texts.notna() & (texts != ""), np.nan)


def _to_numbers(values: pd.Series) -> np.ndarray:
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(values):
        return np.full(len(values), np.nan)
    if isinstance(values.dtype, _categorical()):
        values = values.astype(object)
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _labels(values: pd.Series) -> pd.Series:
    """The labels of a column's values; a whole number has one label, however it is written."""
    labels = values.astype(object).map(lambda v: _number_label(label_of(v)), na_action="ignore")
    return labels.astype(object)


def _number_label(label: str) -> str:
    if re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", label):
        return str(int(float(label)))
    return label


def _by_number(label: str) -> tuple[int, float, str]:
    """Sorts labels that are numbers as numbers, before the others."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _to_dates(values: pd.Series, format: str | None) -> pd.Series:
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(values):
        return values
    texts = values.astype(object).map(str, na_action="ignore")
    dates = pd.to_datetime(texts, format=format or "ISO8601", errors="coerce", utc=True)
    return dates.dt.tz_localize(None)


def _parses(texts: pd.Series, format: str) -> bool:
    return bool(_to_dates(texts, format).notna().all())


def _find_date_format(present: pd.Series) -> str | None:
    """The first format under which every text is a date."""
    if len(present) == 0 or not all(map(_DATE_SHAPE.match, present.iloc[:50])):
        return None
    head = present.iloc[:50]  # most columns are none, which these show
    return next((f for f in _DATE_FORMATS if _parses(head, f) and _parses(present, f)), None)


def _categorical() -> type:
    import pandas as pd

    return pd.CategoricalDtype
