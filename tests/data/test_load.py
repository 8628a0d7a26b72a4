"""haema.data.load: tables, and which reader a source goes to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from haema import data
from haema.errors import InputError

IRIS = "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n"


@pytest.fixture
def iris(tmp_path):
    (tmp_path / "iris.csv").write_text(IRIS)
    return tmp_path / "iris.csv"


def test_a_csv_with_a_target(iris):
    d = data.load(iris, "species")
    assert (d.kind, d.task, d.target, d.source, len(d)) == ("table", "classification", "species", str(iris), 3)
    assert (d.classes, d.y.tolist(), list(d.x.columns)) == (["setosa", "versicolor"], [0, 1, 0], ["length", "width"])


def test_a_csv_without_a_target_is_all_inputs(iris):
    d = data.load(str(iris))
    assert (d.y, d.classes, d.task, d.target) == (None, None, None, None)
    assert list(d.x.columns) == ["length", "width", "species"]
    assert data.load(iris, "species", labels=False).x.shape == (3, 3)


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.csv.gz", "T.CSV"])
def test_endings_of_tables(tmp_path, name):
    import gzip

    content = IRIS.replace(",", "\t").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert data.load(tmp_path / name, "species").y.tolist() == [0, 1, 0]


def test_a_frame_in_memory():
    frame = pd.DataFrame({"a": [1, 2, 3], 7: ["x", "y", "x"]}, index=[10, 20, 30])
    d = data.load(frame, "7")
    assert (d.kind, d.y.tolist(), list(d.x.columns), d.source) == ("table", [0, 1, 0], ["a"], "the table")
    assert list(frame.columns) == ["a", 7]
    d = data.load(frame, np.array([0.5, 1.5, 2.5]))
    assert (d.task, d.target, d.x.shape) == ("regression", None, (3, 2))
    assert data.load((frame, pd.Series([0.5, 1.5, 2.5]))).y.tolist() == [0.5, 1.5, 2.5]


def test_take_rows_of_a_table(iris):
    d = data.load(iris, "species")
    part = d.take(np.array([0, 2]))
    assert part.x["length"].tolist() == [5.1, 4.9]
    assert part.x.index.tolist() == [2, 4]
    assert (part.y.tolist(), part.classes, part.task) == ([0, 0], d.classes, d.task)


def test_take_rows_of_arrays():
    d = data.load("digits").take(np.array([3, 5]))
    assert (d.x.shape, d.y.tolist(), d.names) == ((2, 1, 8, 8), [3, 5], None)
    assert data.load(np.eye(3)).take(np.array([1])).y is None


def test_messages_name_the_line_of_the_file(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,p\n\n2,\n3,q\n")
    with pytest.raises(InputError, match=r"column 'y' of .*t\.csv is empty on line 4; fill it in or delete the row"):
        data.load(tmp_path / "t.csv", "y")
    assert data.load(tmp_path / "t.csv").x.shape == (3, 2)


def test_a_link_to_nowhere_is_not_suggested_for_itself(tmp_path):
    (tmp_path / "iris.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"there is no file or folder .*iris\.csv$"):
        data.load(tmp_path / "iris.csv")


def test_texts_among_numbers_may_be_classes_on_request():
    frame = pd.DataFrame({"a": range(41), "y": [*map(str, range(40)), "other"]})
    assert data.load(frame, "y", task="classification").classes[-1] == "other"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("specis", r"iris\.csv has no column 'specis'; did you mean 'species'\?"),
        ("Species", r"has no column 'Species'; did you mean 'species'\?"),
        ("zzz", "has no column 'zzz'; there are 'length', 'width', 'species'"),
    ],
)
def test_names_a_missing_target_column(iris, target, message):
    with pytest.raises(InputError, match=message):
        data.load(iris, target)


def test_lists_only_some_of_many_columns():
    frame = pd.DataFrame(np.eye(2, 20), columns=[f"c{i:02}" for i in range(20)])
    with pytest.raises(InputError, match=r"there are 'c00', .*'c07' and 12 more"):
        data.load(frame, "quite different")


def test_names_a_table_of_its_target_only():
    with pytest.raises(InputError, match="the table has no column beside 'y'; there is nothing to predict it from"):
        data.load(pd.DataFrame({"y": [0, 1]}), "y")


def test_names_frames_that_cannot_be_used():
    with pytest.raises(InputError, match="the table has several columns called 'a'"):
        data.load(pd.DataFrame(np.eye(2), columns=["a", "a"]))
    with pytest.raises(InputError, match="the table has no rows; at least one is needed"):
        data.load(pd.DataFrame({"a": []}))
    with pytest.raises(InputError, match="y has 3 rows, where the table has 2"):
        data.load(pd.DataFrame({"a": [1, 2]}), [1, 2, 3])


def test_names_a_path_that_does_not_exist(iris):
    with pytest.raises(InputError, match=r"there is no file or folder .*iri\.csv; did you mean 'iris\.csv'\?"):
        data.load(iris.parent / "iri.csv")
    with pytest.raises(InputError, match=r"there is no file or folder .*/nowhere/x\.csv$"):
        data.load(iris.parent / "nowhere" / "x.csv")


def test_names_a_file_of_no_known_kind(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"t\.xlsx is of no known kind; a file named \.csv, \.npz, \.png, \.jpg or"):
        data.load(tmp_path / "t.xlsx")


def test_names_a_folder_of_tables(iris):
    with pytest.raises(InputError, match=r"is a folder of files such as iris\.csv; name the file itself"):
        data.load(iris.parent)


@pytest.mark.parametrize("source", [7, None, {"x": 1}, object()])
def test_names_a_source_of_no_known_type(source):
    with pytest.raises(InputError, match=r"load: the source is a .*, where a path, a DataFrame, an array or a pair"):
        data.load(source)


def test_names_tuples_that_are_no_pairs():
    with pytest.raises(InputError, match=r"a tuple of arrays is a pair \(x, y\) without a further target"):
        data.load((np.eye(2), np.eye(2), np.eye(2)))
    with pytest.raises(InputError, match=r"a tuple of arrays is a pair \(x, y\) without a further target"):
        data.load((np.eye(2), [0, 1]), [0, 1])


def test_names_targets_that_do_not_fit_the_source():
    with pytest.raises(InputError, match="target is 'y', but an array has no column names; pass the labels"):
        data.load(np.eye(2), "y")
    with pytest.raises(InputError, match="target is 'y', but the digits have their own labels; leave it out"):
        data.load("digits", "y")


def test_the_builtin_name_wins_over_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("a file")
    assert len(data.load("digits")) == 1797
    with pytest.raises(InputError, match="is of no known kind"):
        data.load("./digits")


def test_importing_loads_no_heavy_library():
    import subprocess
    import sys

    code = "import sys, haema, haema.data; print([m for m in ('pandas', 'PIL', 'sklearn') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_arrays_need_no_pandas(tmp_path):
    import subprocess
    import sys

    np.savez(tmp_path / "a.npz", x=np.eye(4), y=np.array([0, 1, 0, 1]))
    code = (
        "import sys, haema.data as d; d.load('digits'); d.load(sys.argv[1]);"
        "print([m for m in ('pandas', 'PIL') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.npz")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
