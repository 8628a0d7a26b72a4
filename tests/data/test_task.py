"""Telling classification from regression, and the names and ids of classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from haema import data
from haema.data.task import infer_task, label_of
from haema.errors import InputError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (np.array(["a", "b"] * 5), "classification"),
        (np.array([True, False] * 5), "classification"),
        (np.array([0, 1, 1, 0]), "classification"),
        (np.array([-1, 1, 1, -1]), "classification"),
        (np.array([0.0, 1.0, 1.0, 0.0]), "classification"),
        (np.arange(3).repeat(4), "classification"),
        (np.arange(20).repeat(2), "classification"),
        (np.arange(21).repeat(2), "regression"),
        (np.arange(10), "regression"),
        (np.arange(5).repeat(2), "classification"),
        (np.array([0.5, 1.0, 1.0, 0.0]), "regression"),
        (np.array([0, 1]), "classification"),
        (np.array([np.inf, 0.5]), "regression"),
    ],
)
def test_the_rule(values, task):
    assert infer_task(values) == task


@pytest.mark.parametrize(
    ("value", "label"),
    [(1, "1"), (1.0, "1"), (-2.0, "-2"), (0.5, "0.5"), (True, "True"), (" a ", "a"), (np.int64(3), "3")],
)
def test_labels(value, label):
    assert label_of(value) == label


def encoded(target, **options):
    frame = pd.DataFrame({"x": np.arange(len(target)), "y": target})
    return data.load(frame, "y", **options)


@pytest.mark.parametrize(
    ("target", "classes", "ids"),
    [
        (["b", "a", "b", "c"], ["a", "b", "c"], [1, 0, 1, 2]),
        (["b ", "a", " b", "a"], ["a", "b"], [1, 0, 1, 0]),
        ([10, 9, 10, 9], ["9", "10"], [1, 0, 1, 0]),
        ([-1, 1, 1, -1], ["-1", "1"], [0, 1, 1, 0]),
        ([2.0, 1.0, 1.0, 2.0], ["1", "2"], [1, 0, 0, 1]),
        ([True, False, True, True], ["False", "True"], [1, 0, 1, 1]),
        (pd.Series([True, False] * 2, dtype="boolean"), ["False", "True"], [1, 0, 1, 0]),
        (pd.Series([5, 7] * 2, dtype="Int64"), ["5", "7"], [0, 1, 0, 1]),
        (pd.Series([5, 7] * 2, dtype="Float64"), ["5", "7"], [0, 1, 0, 1]),
        (pd.Series(["b", "a"] * 2, dtype="string"), ["a", "b"], [1, 0, 1, 0]),
        (pd.Series(["x", 1, "x", 1], dtype=object), ["1", "x"], [1, 0, 1, 0]),
        (pd.Categorical(["lo", "hi", "lo", "hi"], categories=["lo", "mid", "hi"]), ["lo", "hi"], [0, 1, 0, 1]),
        (pd.Categorical([3, 1, 3, 1], categories=[3, 2, 1]), ["3", "1"], [0, 1, 0, 1]),
    ],
)
def test_classes_and_ids(target, classes, ids):
    d = encoded(target)
    assert (d.task, d.classes, d.y.tolist(), d.y.dtype) == ("classification", classes, ids, np.int64)
    assert (d.kind, d.target, list(d.x.columns)) == ("table", "y", ["x"])


def test_the_override():
    assert encoded([0, 1, 0, 1], task="regression").y.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert encoded([0.5, 1.5, 0.5, 1.5], task="classification").classes == ["0.5", "1.5"]
    assert encoded(["1", "2.5", "3", "4"], task="regression").y.tolist() == [1, 2.5, 3, 4]
    assert encoded([f"name {i}" for i in range(30)], task="classification").classes[0] == "name 0"
    assert encoded([5, 5, 5], task="regression").y.tolist() == [5, 5, 5]


def test_the_classes_of_a_model():
    assert encoded(["b", "a"], classes=["c", "b", "a"]).y.tolist() == [1, 2]
    assert encoded([1, 1], classes=["0", "1"]).y.tolist() == [1, 1]
    assert encoded([1.0, 1.0], classes=["0", "1"]).classes == ["0", "1"]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (["a"] * 4, {}, "column 'y' of the table holds the single value 'a' in all 4 rows, where two or more"),
        ([7] * 4, {}, "holds the single value '7' in all 4 rows"),
        ([0.5] * 4, {}, "holds 0.5 in all 4 rows; there is nothing to learn from it"),
        (["a", None, "b"], {}, "column 'y' of the table is empty on row 1; fill it in or delete the row"),
        ([1, np.nan, np.nan, 2], {}, "is empty on row 1 and in 1 more rows; fill it in"),
        ([None] * 3, {}, "is empty in all 3 rows; choose a column with values"),
        ([1.5, np.inf, 2], {}, "holds inf on row 1, where a finite number is right"),
        ([-np.inf, np.inf, 2], {}, "holds -inf on row 0, where a finite number is right"),
        ([1.0, np.inf], {"task": "classification"}, "holds inf on row 1, where a finite number is right"),
        ([*map(str, range(40)), "oops"], {}, "holds 'oops' on row 40, where nearly all other rows hold a number"),
        (["2020-01-01", "2020-01-02"] * 3, {}, "holds dates, where classes or numbers to predict are right"),
        ([f"n{i}" for i in range(30)], {}, "holds 30 different texts in 30 rows, so it names rows, not classes"),
        (["1", "two"], {"task": "regression"}, "holds 'two' on row 1, where a regression's target is a number"),
        (["1", "nan"], {"task": "regression"}, "holds nan on row 1, where a finite number is right"),
        (["a", "x"], {"classes": ["a", "bb"]}, "'x' on row 1, which is no class of the model; there are 'a', 'bb'"),
        (["a", "setsa"], {"classes": ["a", "setosa"]}, "no class of the model; did you mean 'setosa'?"),
        (pd.date_range("2020-01-01", periods=3), {}, "holds dates, where classes or numbers to predict are right"),
        (["a", "b"], {"task": "clustering"}, "task is 'clustering'; 'classification' or 'regression' is right"),
    ],
)
def test_names_what_is_wrong(target, options, message):
    with pytest.raises(InputError, match=message):
        encoded(target, **options)


def test_a_target_without_rows_cannot_be_encoded():
    from haema.data.task import encode_target

    with pytest.raises(InputError, match="y holds no rows; there is nothing to learn from"):
        encode_target(np.zeros(0), "y", str)
