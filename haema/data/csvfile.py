"""Reading a table from a text file, and saying in one sentence what is wrong with it.

The rules:

- The first line names the columns. Fields are separated by comma, semicolon, tab or ``|``, whichever the
  header and the rows agree on. Blank lines are skipped.
- The text is UTF-8, with or without a byte order mark, or UTF-16 with one; gzipped files are unpacked.
- Empty fields, ``?`` and pandas' usual marks (NA, NaN, null, N/A, ...) are holes.
- Where semicolons or tabs separate the fields, a column of numbers such as 1,5 is read with a decimal comma.
- A table's index holds the line on which each row stands as a spreadsheet counts them: the header is line 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from haema.data.reading import reading
from haema.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["line_namer", "read_csv"]

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 1 << 16
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_csv(path: str | os.PathLike[str], encoding: str | None = None) -> pd.DataFrame:
    """Reads a table by the rules at the head of this file.

    Args:
        path: the file.
        encoding: the text's encoding, where it is not UTF-8 or UTF-16.

    Returns:
        A pandas DataFrame whose index, called ``line``, holds the rows' lines.

    Raises:
        InputError: the file cannot be read or decoded, is empty or has no rows, a row has more or fewer
            fields than the header, a quote is not closed, a column has no name, or two have the same.
    """
    name = os.fspath(path)
    text = _decode(_read_bytes(path, name), name, encoding)
    delimiter = _find_delimiter(text)
    columns, lines = _check_rows(text, delimiter, name)
    frame = _parse(text, delimiter, columns, lines, name)
    frame.index = _index([n for n in lines if n])
    if delimiter in ";\t":
        _decimal_commas(frame)
    return frame


def read_cells(path: str | os.PathLike[str], encoding: str | None = None) -> list[list[str]]:
    """Every record of a file, its header first, as the texts that stand in it, not as they are understood."""
    name = os.fspath(path)
    text = _decode(_read_bytes(path, name), name, encoding)
    limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        return list(csv.reader(io.StringIO(text), delimiter=_find_delimiter(text), skipinitialspace=True))
    finally:
        csv.field_size_limit(limit)


def line_namer(frame: pd.DataFrame) -> Any:
    """A function that says where row i of a table stands: ``line 7`` of a file, ``row 5`` of a frame."""
    word = "line" if frame.index.name == "line" else "row"
    return lambda i: f"{word} {frame.index[i]}"


def _read_bytes(path: str | os.PathLike[str], name: str) -> bytes:
    with reading(name):
        with open(path, "rb") as file:
            data = file.read()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _decode(data: bytes, name: str, encoding: str | None) -> str:
    if encoding is None:
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        where = data.count(b"\n", 0, error.start) + 1
        shown = encoding.removesuffix("-sig").upper()
        raise InputError(
            f"line {where} of {name} holds the byte 0x{data[error.start]:02x}, which is not {shown} text; "
            "save the file as UTF-8"
        ) from None
    except LookupError:
        raise InputError(f"there is no encoding {encoding!r}; 'utf-8' or 'cp949', say, is right") from None
    if "\0" in text:
        raise InputError(f"{name} is no text file: it holds zero bytes, where comma-separated text is right")
    if not text or text.isspace():
        raise InputError(f"{name} is empty, where a header line with the columns' names is right")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _find_delimiter(text: str) -> str:
    """The separator that splits the header into several fields, and most rows into as many."""
    best, best_score = ",", (0.0, 0)
    sample = text[:_SAMPLE_CHARACTERS]
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(sample), delimiter=delimiter, skipinitialspace=True)
        rows = [len(row) for row in reader if row]
        if len(text) > len(sample) and len(rows) > 1:
            rows.pop()  # cut off in the middle
        if rows and rows[0] > 1:
            score = (rows.count(rows[0]) / len(rows), rows[0])
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _check_rows(text: str, delimiter: str, name: str) -> tuple[list[str], list[int]]:
    """The column names, and the line of every row after the header, 0 for a blank one."""
    limit = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        return _scan(text, delimiter, name, strict=True)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            line = text.count("\n", 0, text.rfind('"')) + 1
            raise InputError(f"the quote near line {line} of {name} is never closed; close it") from None
        return _scan(text, delimiter, name, strict=False)  # a quote in the middle of a field is forgiven
    finally:
        csv.field_size_limit(limit)


def _scan(text: str, delimiter: str, name: str, strict: bool) -> tuple[list[str], list[int]]:
    lines: list[int] = []
    ragged: list[tuple[int, int]] = []
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=strict)
    head, names = next((line, row) for line, row in enumerate(rows, 1) if row)
    columns = _check_header([c.strip() for c in names], head, name)
    for line, (count, blank) in enumerate(_field_counts(text, rows, delimiter, head), head + 1):
        blank = blank and count < max(2, len(columns))
        lines.append(0 if blank else line)
        if count != len(columns) and not blank:
            ragged.append((line, count))
    if ragged:
        line, count = ragged[0]
        more = f" ({len(ragged)} lines differ)" if len(ragged) > 1 else ""
        raise InputError(
            f"line {line} of {name} has {count} field{'s' * (count != 1)} separated by {_NAMES[delimiter]}s, "
            f"where the header has {len(columns)}{more}; give every line as many"
        )
    if not any(lines):
        raise InputError(f"{name} has a header but no rows; at least one row is needed")
    return columns, lines


def _field_counts(text: str, rows: Iterator[list[str]], delimiter: str, head: int) -> Iterator[tuple[int, bool]]:
    """The number of fields of every row after the header on line ``head``, and whether it is blank."""
    if '"' in text:
        for row in rows:
            yield len(row), not row or (len(row) == 1 and not row[0].strip())
        return
    # Without quotes a row is a line and a field ends at every delimiter: five times faster than a parser.
    texts = text.split("\n")[head:]
    for i, row_text in enumerate(texts):
        count = row_text.count(delimiter) + 1
        if row_text or i + 1 < len(texts):  # nothing follows the last line's end
            yield count, count == 1 and not row_text.strip()


def _check_header(columns: list[str], line: int, name: str) -> list[str]:
    if columns[0] == "" and len(columns) > 1:
        columns[0] = "Unnamed: 0"  # what pandas writes for its index, under the name pandas reads it by
    if "" in columns:
        raise InputError(f"column {columns.index('') + 1} of {name} has no name on line {line}; give it one")
    numbers = [c for c in columns if re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", c)]
    if numbers:
        raise InputError(
            f"line {line} of {name} holds the number {numbers[0]}, where the first line names the columns; "
            "put a line of names before it"
        )
    twice = next((c for c, n in Counter(columns).items() if n > 1), None)
    if twice is not None:
        places = [i for i, c in enumerate(columns, 1) if c == twice]
        raise InputError(
            f"{name} has {len(places)} columns called {twice!r} (columns {', '.join(map(str, places))}); "
            "rename them so that every name is different"
        )
    return columns


def _parse(text: str, delimiter: str, columns: list[str], lines: list[int], name: str) -> pd.DataFrame:
    import pandas as pd

    def parse(skip_blank_lines: bool) -> pd.DataFrame:
        return pd.read_csv(
            io.StringIO(text.lstrip("\n")),  # a blank line is no header
            sep=delimiter,
            names=columns,
            header=0,
            index_col=False,
            skipinitialspace=True,
            skip_blank_lines=skip_blank_lines,
            na_values=["?"],
            low_memory=False,
        )

    try:
        frame = parse(skip_blank_lines=True)
        if len(frame) != sum(map(bool, lines)):  # pandas finds other lines blank than we do: drop ours ourselves
            frame = parse(skip_blank_lines=False)
            if len(frame) != len(lines):
                raise ValueError(f"{len(lines)} rows, or is it {len(frame)}")
            frame = frame[[bool(n) for n in lines]]
    except ValueError as error:
        raise InputError(f"{name} is no proper table ({error}); check its quotes") from None
    return frame


def _index(lines: list[int]) -> pd.Index:
    import pandas as pd

    return pd.Index(lines, name="line", dtype="int64")


def _decimal_commas(frame: pd.DataFrame) -> None:
    """Turns text columns that hold only numbers with a decimal comma into numbers, in place."""
    import pandas as pd

    for column in frame.columns:
        values = frame[column]
        if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            texts = values.dropna().astype(str).str.strip()
            if len(texts) and texts.str.fullmatch(r"[+-]?\d*,?\d+([eE][+-]?\d+)?").all():
                points = values.astype("str").str.replace(",", ".", regex=False)
                frame[column] = pd.to_numeric(points, errors="coerce")
