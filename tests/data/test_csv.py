"""haema.data.read_csv: what it takes, and the sentence for what it does not take."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haema.data import read_csv
from haema.errors import InputError


def written(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(frame):
    return {c: frame[c].tolist() for c in frame.columns}


@pytest.mark.parametrize(
    ("content", "expected", "lines"),
    [
        ("a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a,b\n1,x\n2,y", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a;b\n1;x\n2;y\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a\tb\n1\tx\n2\ty\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a|b\n1|x\n2|y\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a , b\n1, x\n2, y\n", {"a": [1, 2], "b": ["x", "y"]}, [2, 3]),
        ("a\n1\n2\n", {"a": [1, 2]}, [2, 3]),
        ("\n\na,b\n1,x\n\n2,y\n   \n\n", {"a": [1, 2], "b": ["x", "y"]}, [4, 6]),
        ('a,b\n1,"x, and\nmore"\n\n2,"say ""hi"""\n', {"a": [1, 2], "b": ["x, and\nmore", 'say "hi"']}, [2, 4]),
        ('a,b\n1,5\'10"\n2,"x"y\n', {"a": [1, 2], "b": ["5'10\"", "xy"]}, [2, 3]),
        (",a\n0,5\n1,6\n", {"Unnamed: 0": [0, 1], "a": [5, 6]}, [2, 3]),
        ("a;b\n1,5;x\n-2;y\n", {"a": [1.5, -2.0], "b": ["x", "y"]}, [2, 3]),
        ("a;b\n1,5;x\n2,5 m;y\n", {"a": ["1,5", "2,5 m"], "b": ["x", "y"]}, [2, 3]),
        ('a,b\n"1,5",x\n2,y\n', {"a": ["1,5", "2"], "b": ["x", "y"]}, [2, 3]),
        ("name,n\nx;y;z,1\nu;v;w,2\n", {"name": ["x;y;z", "u;v;w"], "n": [1, 2]}, [2, 3]),
        ("0,1,2\n7,8,9\n", {"0": [7], "1": [8], "2": [9]}, [2]),
    ],
)
def test_reads(tmp_path, content, expected, lines):
    frame = read_csv(written(tmp_path, content))
    assert table(frame) == expected
    assert frame.index.name == "line"
    assert frame.index.tolist() == lines


def test_blank_lines_leave_whole_numbers_and_booleans_what_they_are(tmp_path):
    frame = read_csv(written(tmp_path, "a,b\n1,True\n\n2,False\n"))
    assert [t.kind for t in frame.dtypes] == ["i", "b"]


def test_a_blank_cell_of_a_single_column_is_told_from_a_blank_line(tmp_path):
    frame = read_csv(written(tmp_path, 'a\n1\n\n""\n3\n'))
    assert frame.index.tolist() in ([2, 5], [2, 4, 5])
    assert frame["a"].dropna().tolist() == [1, 3]


@pytest.mark.parametrize("mark", ["", "?", "NA", "NaN", "null", "N/A", " "])
def test_holes(tmp_path, mark):
    frame = read_csv(written(tmp_path, f"a,b\n1,x\n{mark},{mark}\n"))
    assert frame.isna().to_numpy().tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path, encoding):
    frame = read_csv(written(tmp_path, "이름,값\n해마,1\n".encode(encoding)))
    assert table(frame) == {"이름": ["해마"], "값": [1]}


def test_an_encoding_that_is_named(tmp_path):
    path = written(tmp_path, "이름,값\n해마,1\n".encode("cp949"))
    assert table(read_csv(path, encoding="cp949")) == {"이름": ["해마"], "값": [1]}
    with pytest.raises(InputError, match=r"line 1 of .*t\.csv holds the byte 0xc0, which is not UTF-8 text; save"):
        read_csv(path)
    with pytest.raises(InputError, match="there is no encoding 'klingon'; 'utf-8' or 'cp949', say, is right"):
        read_csv(path, encoding="klingon")


def test_the_line_of_a_wrong_byte(tmp_path):
    with pytest.raises(InputError, match=r"line 3 of .*t\.csv holds the byte 0xe9"):
        read_csv(written(tmp_path, b"a,b\n1,2\n3,\xe9\n"))


def test_gzip(tmp_path):
    assert table(read_csv(written(tmp_path, gzip.compress(b"a,b\n1,2\n"), "t.csv.gz"))) == {"a": [1], "b": [2]}
    with pytest.raises(InputError, match=r"t\.csv\.gz is damaged: it cannot be unpacked"):
        read_csv(written(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-5], "t.csv.gz"))


def test_a_field_longer_than_the_csv_modules_limit(tmp_path):
    import csv

    limit = csv.field_size_limit()
    long = "x" * (limit + 1)
    assert read_csv(written(tmp_path, f'a,b\n1,"{long}"\n'))["b"].iloc[0] == long
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"t\.csv is empty, where a header line with the columns' names is right"),
        ("\n \n", r"t\.csv is empty"),
        ("\ufeff", r"t\.csv is empty"),
        ("a,b\n", r"t\.csv has a header but no rows; at least one row is needed"),
        ("a,b\n\n\n", r"t\.csv has a header but no rows"),
        ("a,b,c\n1,2,3\n1,2\n", r"line 3 of .*t\.csv has 2 fields separated by commas, where the header has 3; give"),
        ("a;b\n1;2\n\n1\n1;2;3\n", r"line 4 of .* has 1 field separated by semicolons, .* has 2 \(2 lines differ\)"),
        ('a,b\n"1\n\n",2,3\n', r"line 2 of .*t\.csv has 3 fields separated by commas, where the header has 2; give"),
        ("a,b\n1,2,\n", r"line 2 of .*t\.csv has 3 fields"),
        ("a,b,a\n1,2,3\n", r"t\.csv has 2 columns called 'a' \(columns 1, 3\); rename them"),
        ("a,,b\n1,2,3\n", r"column 2 of .*t\.csv has no name on line 1; give it one"),
        ("\n\na,\n1,2\n", r"column 2 of .*t\.csv has no name on line 3"),
        ("5.1,3.5,x\n4,4,y\n", r"line 1 of .*t\.csv holds the number 5.1, where the first line names the columns"),
        ('a,b\n1,"x\n2,y\n', r"the quote near line 2 of .*t\.csv is never closed; close it"),
        ('1\n" \t1\t ";\n"1\n', r"t\.csv is no proper table \(.*EOF inside string.*\); check its quotes"),
        (b"a,b\n\0\0,1\n", r"t\.csv is no text file: it holds zero bytes"),
    ],
)
def test_names_what_is_wrong(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_csv(written(tmp_path, content))


def test_names_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nowhere\.csv: no such file or directory"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"cannot read .*: is a directory"):
        read_csv(tmp_path)


def test_names_a_file_whose_rows_two_parsers_count_differently(tmp_path, monkeypatch):
    monkeypatch.setattr("pandas.read_csv", lambda *args, **options: pd.DataFrame({"a": [1, 2, 3]}))
    with pytest.raises(InputError, match=r"is no proper table \(2 rows, or is it 3\); check its quotes"):
        read_csv(written(tmp_path, "a,b\n1,2\n3,4\n"))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8), sep=st.sampled_from(",;\t|"))
def test_reads_the_texts_that_pandas_wrote(tmp_path, rows, sep):
    # A letter in front keeps the cells texts: neither numbers nor holes nor blank.
    frame = pd.DataFrame([["v" + c for c in row] for row in rows], columns=["first", "second"])
    frame.to_csv(tmp_path / "t.csv", sep=sep, index=False)
    back = read_csv(tmp_path / "t.csv")
    assert back.to_numpy().tolist() == frame.to_numpy().tolist()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_reads_the_numbers_that_pandas_wrote(tmp_path, values):
    pd.DataFrame({"a": values, "b": values}).to_csv(tmp_path / "t.csv", index=False)
    back = read_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(back["a"].to_numpy(np.float64), values, rtol=1e-15)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=60), st.text('ab1.,;"\n\t |', max_size=40).map(str.encode)))
def test_any_bytes_are_a_table_or_one_sentence(tmp_path, content):
    path = written(tmp_path, content)
    frame = message = None
    try:
        frame = read_csv(path)
    except InputError as error:
        message = str(error)
    if frame is None:
        assert "t.csv" in message
        assert "\n" not in message
    else:
        assert len(frame) >= 1
        assert len(set(frame.columns)) == frame.shape[1]
