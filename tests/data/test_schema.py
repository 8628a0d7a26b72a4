"""TableSchema: what each kind of column is taken for, and what it becomes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from haema.data import TableSchema, load
from haema.errors import InputError

N = 60
RNG = np.random.default_rng(0)


def kind(values, name="c", **options):
    """The kind that a column is taken for, beside a number that makes the table one of use."""
    frame = pd.DataFrame({"other": np.arange(len(values)) / 3, name: values})
    return TableSchema.infer(frame, **options).columns[1].kind


def one(values, later=None, kinds=None):
    """What a column becomes: its numbers or codes, fitted on ``values`` and applied to ``later``."""
    schema = TableSchema.infer(pd.DataFrame({"c": values}), {"c": kinds} if kinds else None)
    got = schema.transform(pd.DataFrame({"c": values if later is None else later}))
    return got.codes if schema.category_names else got.numeric


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RNG.random(N), "numeric"),
        (RNG.integers(0, 3, N), "numeric"),
        ([1, 2, None, 3], "numeric"),
        (pd.Series([1, None, 2], dtype="Int64"), "numeric"),
        (["1", " 2.5 ", "-3e2"], "numeric"),
        ([True, False, True], "boolean"),
        ([True, None, False], "boolean"),
        (pd.Series([True, None, False], dtype="boolean"), "boolean"),
        (["yes", "No", "yes", None], "boolean"),
        (["t", "f", "f"], "boolean"),
        (["yes", "no", "maybe"], "category"),
        (["yes", "yes", None], "category"),
        (["a", "b", "a"], "category"),
        (["a", 1, "a"], "category"),
        (pd.Categorical(["a", "b", "a"]), "category"),
        (pd.Categorical(np.arange(40)), "category"),
        ([f"k{i % 12}" for i in range(N)], "category"),
        (pd.date_range("2020-01-01", periods=5), "date"),
        (pd.date_range("2020-01-01", periods=5, tz="Asia/Seoul"), "date"),
        (["2020-01-01", "2020-02-03", None], "date"),
        (["2020-1-1", "2020-2-13"], "date"),
        (["2020-01-01T10:00:00Z", "2020-01-02T11:30:00+09:00"], "date"),
        (["2020-01-01 10:00", "2020-01-02 11:30"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["12/31/2020", "02/01/2021"], "date"),
        (["31/12/2020", "02/01/2021"], "date"),
        (["2020년 12월 31일", "2021년 1월 2일"], "date"),
        (["2020/12/31", "2020/01/01"], "date"),
        (["2020-01-01", "soon"], "category"),
        ([f"the {a} {b} dog" for a, b in zip(RNG.permutation(N), RNG.permutation(N), strict=True)], "text"),
        ([f"u{i:04}" for i in range(N)], "ignored"),
        ([None] * 5, "ignored"),
        (["", " ", ""], "ignored"),
        ([7] * 5, "ignored"),
        (["same"] * 5, "ignored"),
    ],
)
def test_kinds(values, expected):
    assert kind(values) == expected


@pytest.mark.parametrize("name", ["id", "ID", "PassengerId", "user_id", "customer id", "index", "Unnamed: 0", "#"])
def test_columns_that_number_the_rows_are_ignored(name):
    assert kind(np.arange(N), name) == "ignored"
    assert kind(np.arange(N) // 2, name) == "numeric"
    assert kind(np.arange(N) / 7, name) == "numeric"


@pytest.mark.parametrize("name", ["humid", "paid", "grid", "year", "android"])
def test_names_that_only_end_like_one_are_not(name):
    assert kind(np.arange(N), name) == "numeric"


def test_numbers():
    np.testing.assert_array_equal(one([1, 2.5, None], ["3", None, " 4.5 "]), [[3], [np.nan], [4.5]])
    np.testing.assert_array_equal(one([1, 2.5, None], [True, False, True]), [[1], [0], [1]])
    np.testing.assert_array_equal(one([1, 2], pd.Categorical([5, 6])), [[5], [6]])
    np.testing.assert_array_equal(one([1, 2], pd.Series([5, None], dtype="Int64")), [[5], [np.nan]])
    assert one([1, 2]).dtype == np.float64


def test_booleans():
    np.testing.assert_array_equal(one([True, False], ["yes", "F"]), [[1], [0]])
    np.testing.assert_array_equal(one(["yes", "no"], [None, "NO"]), [[np.nan], [0]])
    np.testing.assert_array_equal(one(["yes", "no"], [1, 0]), [[1], [0]])
    np.testing.assert_array_equal(one(["yes", "no"], [1.0, None]), [[1], [np.nan]])
    np.testing.assert_array_equal(one(["yes", "no"], [np.nan, np.nan]), [[np.nan]] * 2)


def test_categories():
    # 0 is missing, 1 is unknown, then the categories in order
    assert one(["b", "a", "b", None]).tolist() == [[3], [2], [3], [0]]
    assert one(["b", "a"], ["c", " a ", None, ""]).tolist() == [[1], [2], [0], [0]]
    assert one(["b", "a"], [np.nan, np.nan]).tolist() == [[0], [0]]
    assert one(["b", "a"], [1, 2]).tolist() == [[1], [1]]
    assert one(pd.Categorical(["hi", "lo"], categories=["lo", "mid", "hi"])).tolist() == [[3], [2]]
    assert one(["b", "a"]).dtype == np.int64


def test_a_number_is_one_category_however_it_is_written():
    assert one([10, 9, 9], kinds="category").tolist() == [[3], [2], [2]]
    assert one([10, 9], [9.0, None], kinds="category").tolist() == [[2], [0]]
    assert one([10, 9], ["9", "10.0"], kinds="category").tolist() == [[2], [3]]
    assert one([10, 9], ["9", "ten"], kinds="category").tolist() == [[2], [1]]
    assert one([0.5, 1.5], ["0.5", "2"], kinds="category").tolist() == [[2], [1]]


def test_of_very_many_categories_the_frequent_ones_are_kept():
    values = [f"k{i:03}" for i in range(300)] * 10 + [f"k{i:03}" for i in range(100, 300)]
    schema = TableSchema.infer(pd.DataFrame({"c": values}))
    assert schema.category_sizes == [2 + 256]
    assert schema.notes == ["column 'c': it has 300 categories, of which the 256 most frequent are told apart"]
    codes = schema.transform(pd.DataFrame({"c": ["k299", "k055", "k056"]})).codes
    assert (codes[0] > 1, codes[1] > 1, codes[2]) == (True, True, 1)


def test_how_many_categories_are_kept_can_be_said():
    frame = pd.DataFrame({"a": ["x", "y", "z", "x", "y", "x"], "n": range(6)})
    schema = TableSchema.infer(frame, most_categories=2)
    assert schema.columns[0].categories == ("x", "y")
    assert schema.notes == ["column 'a': it has 3 categories, of which the 2 most frequent are told apart"]
    schema = TableSchema.infer(frame, least_rows=3)
    assert schema.columns[0].categories == ("x",)
    assert schema.transform(frame).codes[:, 0].tolist() == [2, 1, 1, 2, 1, 2]


def test_dates():
    schema = TableSchema.infer(pd.DataFrame({"c": ["2020-02-03", "2020-01-01", None]}))
    assert schema.numeric_names == [
        "c (year)",
        "c (month)",
        "c (day of week)",
        "c (day of year)",
        "c (days since 2020-01-01)",
    ]
    got = schema.transform(pd.DataFrame({"c": ["2020-02-03", None, "2019-12-31"]})).numeric
    np.testing.assert_array_equal(got, [[2020, 2, 0, 34, 33], [np.nan] * 5, [2019, 12, 1, 365, -1]])


def test_hours_where_there_are_any():
    values = ["2020-01-01 06:30", "2020-01-02 00:00"]
    np.testing.assert_allclose(one(values), [[2020, 1, 2, 1, 6.5 / 24, 6.5], [2020, 1, 3, 2, 1, 0]])
    np.testing.assert_allclose(one(pd.to_datetime(values)), one(values))
    seoul = pd.to_datetime(pd.Series(values)).dt.tz_localize("Asia/Seoul")
    np.testing.assert_allclose(one(seoul), one(values))


def test_a_date_column_takes_texts_and_dates():
    dates, texts = pd.to_datetime(["2020-01-01", "2020-01-05"]), ["01.01.2020", "05.01.2020"]
    np.testing.assert_array_equal(one(dates, ["2020-01-05"]), [[2020, 1, 6, 5, 4]])
    np.testing.assert_array_equal(one(texts, dates[1:]), [[2020, 1, 6, 5, 4]])


def test_ambiguous_dates_are_read_with_the_month_first_and_say_so():
    schema = TableSchema.infer(pd.DataFrame({"c": ["02/01/2020", "03/04/2020"]}))
    assert schema.notes == ["column 'c': dates such as 02/01/2020 are read with the month first"]
    assert schema.transform(pd.DataFrame({"c": ["02/01/2020"]})).numeric[0, 1] == 2
    assert TableSchema.infer(pd.DataFrame({"c": ["02/01/2020", "03/24/2020"]})).notes == []


def test_texts_are_counts_of_hashed_words():
    texts = [f"the {a} {b} dog" for a, b in zip(RNG.permutation(N), RNG.permutation(N), strict=True)]
    schema = TableSchema.infer(pd.DataFrame({"c": texts}))
    got = schema.transform(pd.DataFrame({"c": ["Cat, cat!", "cat", None, "고양이"]})).numeric
    assert schema.numeric_names[:2] == ["c (words)", "c (hash 0)"]
    assert got[:, 0].tolist() == [2, 1, 0, 1]
    np.testing.assert_array_equal(got[0], 2 * got[1])
    assert np.abs(got[:, 1:]).sum(1).tolist() == [2, 1, 0, 1]
    # crc32("cat") = 0x9e5e43a8: even, so +1, in bucket (0x9e5e43a8 >> 1) % 32 = 20
    assert got[1, 1 + 20] == 1


def test_columns_in_any_order_and_further_ones():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.5]})
    schema = TableSchema.infer(frame)
    got = schema.transform(pd.DataFrame({"z": [9, 9], "c": [0.5, 1.5], "b": ["x", "y"], "a": [1, 2]}))
    assert (schema.numeric_names, schema.category_names) == (["a", "c"], ["b"])
    np.testing.assert_array_equal(got.numeric, [[1, 0.5], [2, 1.5]])
    assert got.codes.tolist() == [[2], [3]]


def test_ignored_columns_need_not_be_there():
    schema = TableSchema.infer(pd.DataFrame({"a": [1, 2], "empty": [None, None], "same": [3, 3]}))
    assert schema.transform(pd.DataFrame({"a": [5]})).numeric.tolist() == [[5]]
    assert schema.notes == [
        "column 'empty' is ignored: it is empty",
        "column 'same' is ignored: every row has the same value, '3'",
    ]


def test_shapes_without_rows_or_without_one_of_the_two():
    schema = TableSchema.infer(pd.DataFrame({"a": [1, 2]}))
    got = schema.transform(pd.DataFrame({"a": []}))
    assert (got.numeric.shape, got.codes.shape, got.codes.dtype) == ((0, 1), (0, 0), np.int64)
    got = TableSchema.infer(pd.DataFrame({"a": ["x", "y"]})).transform(pd.DataFrame({"a": ["x"]}))
    assert (got.numeric.shape, got.codes.shape) == ((1, 0), (1, 1))


def test_kinds_can_be_given():
    frame = pd.DataFrame({"zip": [1010, 1020, 1010], "on": [20200101, 20200102, 20200103], "x": ["1", "2", "a b"]})
    schema = TableSchema.infer(frame, {"zip": "category", "on": "date", "x": "text"})
    assert [c.kind for c in schema.columns] == ["category", "date", "text"]
    assert TableSchema.infer(frame, {"x": "ignored"}).columns[2].kind == "ignored"
    assert schema.transform(frame).numeric[2, 4] == 2
    with pytest.raises(InputError, match=r"kinds: the table has no column 'zap'; did you mean 'zip'\?"):
        TableSchema.infer(frame, {"zap": "numeric"})
    with pytest.raises(InputError, match=r"kinds: column 'zip' is called 'nominal'; numeric, boolean, date, .* are"):
        TableSchema.infer(frame, {"zip": "nominal"})
    with pytest.raises(InputError, match=r"column 'x' of the table holds no dates of one format; dates such as"):
        TableSchema.infer(frame, {"x": "date"})
    empty = TableSchema.infer(pd.DataFrame({"a": [1, 2], "b": [None, None]}), {"b": "date"})
    assert empty.columns[1].kind == "ignored"


def everything():
    return pd.DataFrame(
        {
            "age": RNG.integers(1, 80, N),
            "sex": RNG.choice(["m", "f"], N),
            "ok": RNG.choice(["yes", "no"], N),
            "when": pd.date_range("2020-01-01", periods=N, freq="7h").astype(str),
            "day": pd.date_range("2020-01-01", periods=N).strftime("%d.%m.%Y"),
            "born": pd.date_range("1990-01-01", periods=N),
            "note": [" ".join(RNG.choice(list("abcdefghij"), 4)) for _ in range(N)],
            "key": [f"k{i:03}" for i in range(N)],
            "flag": RNG.random(N) > 0.5,
            "size": pd.Categorical(RNG.choice(["lo", "hi"], N), categories=["lo", "hi"]),
        }
    )


def test_the_schema_is_json():
    schema = TableSchema.infer(everything())
    back = TableSchema.from_json(json.loads(json.dumps(schema.to_json())))
    assert back == schema
    a, b = schema.transform(everything()), back.transform(everything())
    assert (a.numeric.shape, a.codes.shape) == (b.numeric.shape, b.codes.shape)
    assert a.numeric.shape[1] == len(schema.numeric_names)
    assert (a.codes < schema.category_sizes).all()


def test_a_row_becomes_the_same_alone_as_among_others():
    frame = everything()
    frame.loc[5, ["age", "sex", "ok", "when", "note"]] = None
    schema = TableSchema.infer(frame)
    whole = schema.transform(frame)
    for i in (0, 5, 59):
        for single in (frame.iloc[[i]], frame.iloc[[i]].astype(object)):
            alone = schema.transform(single)
            np.testing.assert_array_equal(alone.numeric[0], whole.numeric[i])
            np.testing.assert_array_equal(alone.codes[0], whole.codes[i])


def test_a_csv_read_again_becomes_the_same(tmp_path):
    frame = everything()
    frame.to_csv(tmp_path / "t.csv", index=False)
    schema = TableSchema.infer(load(tmp_path / "t.csv").x)
    frame.iloc[[7]].to_csv(tmp_path / "one.csv", index=False)
    np.testing.assert_array_equal(
        schema.transform(load(tmp_path / "one.csv").x).numeric[0],
        schema.transform(load(tmp_path / "t.csv").x).numeric[7],
    )


@pytest.mark.parametrize(
    ("column", "value", "right"),
    [
        ("age", "old", "a number"),
        ("age", np.inf, "a finite number or an empty cell"),
        ("ok", "maybe", "yes or no, or true or false,"),
        ("flag", 2, "yes or no, or true or false,"),
        ("when", "soon", "a date such as 2020-01-01"),
        ("day", "31.31.2020", "a date such as 01.01.2020"),
        ("born", "x", "a date such as 1990-01-01"),
    ],
)
def test_names_the_line_and_value_of_a_cell_that_does_not_fit(tmp_path, column, value, right):
    schema = TableSchema.infer(everything())
    frame = everything()
    frame[column] = frame[column].astype(object)
    frame.loc[7, column] = value
    with pytest.raises(InputError, match=f"'{column}' of the table holds '{value}' on row 7, where {right} is right"):
        schema.transform(frame)
    frame.to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(InputError, match=rf"column '{column}' of f\.csv holds '{value}' on line 9, where"):
        schema.transform(load(tmp_path / "f.csv").x, "f.csv")


def test_names_dates_in_a_column_of_numbers():
    schema = TableSchema.infer(pd.DataFrame({"a": [1.5, 2]}))
    with pytest.raises(InputError, match="'a' of the table holds '2020-01-01 00:00:00' on row 0, where a number"):
        schema.transform(pd.DataFrame({"a": pd.date_range("2020-01-01", periods=2)}))


def test_names_missing_columns():
    schema = TableSchema.infer(everything())
    with pytest.raises(InputError, match=r"f\.csv lacks the columns 'age', 'ok' that .*; did you mean 'agee'\?"):
        schema.transform(everything().drop(columns=["age", "ok"]).assign(agee=1), "f.csv")
    with pytest.raises(InputError, match=r"the table lacks the column 'sex' that the model learned from$"):
        schema.transform(everything().drop(columns="sex"))
    many = TableSchema.infer(pd.DataFrame(RNG.random((3, 12)), columns=[f"c{i}" for i in range(12)]))
    with pytest.raises(InputError, match=r"lacks the columns 'c0', .*'c7' and 4 more that"):
        many.transform(pd.DataFrame({"q": [1]}))


def test_names_double_columns():
    schema = TableSchema.infer(pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(InputError, match="the table has several columns called 'a'; every name must be different"):
        schema.transform(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_names_the_few_texts_in_a_column_of_numbers():
    values = [*map(str, range(100)), "n.a.", "12x"]
    with pytest.raises(InputError, match=r"column 'c' of the table holds 'n\.a\.' on row 100, where nearly all"):
        kind(values)
    assert kind(values, kinds={"c": "category"}) == "category"


def test_names_a_table_with_nothing_to_learn_from():
    with pytest.raises(InputError, match=r"no column to learn from \('a': every row .*; 'b': it is empty\)"):
        TableSchema.infer(pd.DataFrame({"a": [1, 1], "b": [None, None]}))
    with pytest.raises(InputError, match=r"has no column to learn from \(there is none\)"):
        TableSchema.infer(pd.DataFrame(index=[0, 1]))


@pytest.mark.parametrize("values", [pd.to_timedelta([1, 2], unit="s"), [1j, 2j]])
def test_names_types_that_have_no_kind(values):
    with pytest.raises(InputError, match=r"column 'c' of the table is of type .*; numbers, texts, booleans or dates"):
        kind(values)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"columns": 3},
        {"columns": [3]},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "kind": "nominal"}]},
        {"columns": [{"name": 1, "kind": "numeric"}]},
        {"columns": [{"name": "a", "kind": "numeric", "eval": "1"}]},
        {"columns": [{"name": "a", "kind": "category", "categories": [1]}]},
        {"columns": [{"name": "a", "kind": "date", "origin": "long ago"}]},
    ],
)
def test_names_a_damaged_schema(value):
    with pytest.raises(InputError, match="the stored table schema is damaged"):
        TableSchema.from_json(value)
