"""What a model must know of its training table to read any later one: the schema.

It is inferred from the training rows only, stored as JSON with the model, and turns a table into a matrix of
numbers with nan for holes and a matrix of category codes. Filling holes, scaling and one-hot are the
model's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.data.columns import KINDS, MOST_CATEGORIES, UNKNOWN, Column, encode, feature_names, infer_column
from haema.data.csvfile import line_namer
from haema.errors import InputError, suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableArrays", "TableSchema"]


@dataclass(frozen=True)
class TableArrays:
    """A table as arrays.

    Fields:
        numeric: (N, P) float64, nan for holes; the columns are ``TableSchema.numeric_names``.
        codes: (N, Q) int64: 0 missing, 1 a category not met in training, 2, 3, ... the categories in order;
            the columns are ``TableSchema.category_names`` and their codes lie below ``category_sizes``.
    """

    numeric: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class TableSchema:
    """The columns of a training table, each with its kind and what belongs to it (see ``Column``)."""

    columns: tuple[Column, ...]

    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        kinds: Mapping[str, str] | None = None,
        source: str = "the table",
        most_categories: int = MOST_CATEGORIES,
        least_rows: int = 1,
    ) -> TableSchema:
        """The schema of a table of training rows, without its target column.

        Args:
            frame: the rows.
            kinds: kinds of columns by name, where they are not to be inferred: ``numeric``, ``boolean``,
                ``date``, ``category``, ``text`` or ``ignored``.
            source: what the table is called in messages.
            most_categories: of a column with more categories the most frequent ones are told apart; default 256.
            least_rows: categories of fewer rows count as unknown; default 1.

        Raises:
            InputError: no column is of use, a cell does not suit its column, or ``kinds`` names a column
                or kind that does not exist.
        """
        kinds = dict(kinds or {})
        names = [str(c) for c in frame.columns]
        for name, kind in kinds.items():
            if name not in names:
                raise InputError(f"kinds: {source} has no column {name!r}; {suggest(name, names)}")
            if kind not in KINDS:
                raise InputError(f"kinds: column {name!r} is called {kind!r}; {', '.join(KINDS)} are right")
        line = line_namer(frame)
        columns = tuple(
            infer_column(
                frame.iloc[:, i], name, _where(name, source), line, kinds.get(name), most_categories, least_rows
            )
            for i, name in enumerate(names)
        )
        if all(c.kind == "ignored" for c in columns):
            why = "; ".join(f"{c.name!r}: {c.note}" for c in columns[:3] if c.note) or "there is none"
            raise InputError(f"{source} has no column to learn from ({why})")
        return cls(columns)

    def transform(self, frame: pd.DataFrame, source: str = "the table") -> TableArrays:
        """Turns a table into arrays.

        The columns may stand in any order; those that the schema does not know are passed over.

        Args:
            frame: the rows.
            source: what the table is called in messages.

        Raises:
            InputError: columns are missing or double, or a cell does not suit its column.
        """
        there = [str(c) for c in frame.columns]
        wanted = [c for c in self.columns if c.kind != "ignored"]
        missing = [c.name for c in wanted if c.name not in there]
        if missing:
            some = ", ".join(map(repr, missing[:8]))
            some += f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            hint = suggest(missing[0], sorted(set(there) - {c.name for c in wanted}))
            hint = f"; {hint}" if hint.startswith("did") else ""
            plural = "s" * (len(missing) > 1)
            raise InputError(f"{source} lacks the column{plural} {some} that the model learned from{hint}")
        double = next((c.name for c in wanted if there.count(c.name) > 1), None)
        if double is not None:
            raise InputError(f"{source} has several columns called {double!r}; every name must be different")
        line = line_namer(frame)
        numeric = [np.empty((len(frame), 0))]
        codes = [np.empty((len(frame), 0), dtype=np.int64)]
        for column in wanted:
            cells = frame.iloc[:, there.index(column.name)]
            values = encode(column, cells, _where(column.name, source), line)
            if column.kind == "category":
                codes.append(values[:, None])
            else:
                numeric.append(values)
        return TableArrays(np.concatenate(numeric, axis=1), np.concatenate(codes, axis=1))

    @property
    def numeric_names(self) -> list[str]:
        """The names of the columns of ``TableArrays.numeric``."""
        return [name for c in self.columns for name in feature_names(c)]

    @property
    def category_names(self) -> list[str]:
        """The names of the columns of ``TableArrays.codes``."""
        return [c.name for c in self.columns if c.kind == "category"]

    @property
    def category_sizes(self) -> list[int]:
        """How many codes each column of ``TableArrays.codes`` has, missing and unknown among them."""
        return [UNKNOWN + 1 + len(c.categories) for c in self.columns if c.kind == "category"]

    @property
    def notes(self) -> list[str]:
        """A sentence for each column that is ignored or read in a way that its user should know."""
        return [f"column {c.name!r}{' is ignored' * (c.kind == 'ignored')}: {c.note}" for c in self.columns if c.note]

    def to_json(self) -> dict[str, Any]:
        """The schema as what JSON can hold; defaults are left out."""
        blank = Column("", "")
        return {
            "columns": [
                {k: v for k, v in asdict(c).items() if k in ("name", "kind") or v != getattr(blank, k)}
                for c in self.columns
            ]
        }

    @classmethod
    def from_json(cls, value: Any) -> TableSchema:
        """The schema that ``to_json`` described.

        Raises:
            InputError: the value is not what ``to_json`` writes.
        """
        try:
            return cls(tuple(_column(entry) for entry in value["columns"]))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise InputError(f"the stored table schema is damaged ({error}); save the model anew") from None


_TYPES: dict[str, Any] = {
    "name": str,
    "kind": str,
    "categories": (list, tuple),
    "format": str,
    "origin": str,
    "hour": bool,
    "note": str,
}


def _column(entry: Mapping[str, Any]) -> Column:
    for key, value in entry.items():
        if key not in _TYPES:
            raise ValueError(f"a column has the unknown field {key!r}")
        if not isinstance(value, _TYPES[key]):
            raise ValueError(f"a column's {key} is {value!r}")
    column = Column(**{**entry, "categories": tuple(entry.get("categories", ()))})
    if column.kind not in KINDS or not all(isinstance(c, str) for c in column.categories):
        raise ValueError(f"the column {column.name!r} is of kind {column.kind!r}")
    if column.kind == "date":
        np.datetime64(column.origin, "D")
    return column


def _where(name: str, source: str) -> str:
    return f"column {name!r} of {source}"
