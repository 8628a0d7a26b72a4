"""Arrays as data, in memory and in NPZ files."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

import haema as hm
from haema import data
from haema.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "expected"),
    [
        ((5, 4, 3), "uint8", "images", (5, 1, 4, 3)),
        ((5, 1, 4, 3), "uint8", "images", (5, 1, 4, 3)),
        ((5, 3, 4, 6), "uint8", "images", (5, 3, 4, 6)),
        ((5, 4, 6, 3), "uint8", "images", (5, 3, 4, 6)),
        ((5, 4, 6, 1), "uint8", "images", (5, 1, 4, 6)),
        ((5, 3, 4, 3), "uint8", "images", (5, 3, 4, 3)),
        ((5, 4, 6, 2), "uint8", "arrays", (5, 4, 6, 2)),
        ((5, 4), "uint8", "arrays", (5, 4)),
        ((5, 4, 3), "float32", "arrays", (5, 4, 3)),
        ((5,), "float64", "arrays", (5,)),
    ],
)
def test_what_is_an_image(shape, dtype, kind, expected):
    x = RNG.integers(0, 200, shape).astype(dtype)
    d = data.load(x)
    assert (d.kind, d.x.shape, d.x.dtype) == (kind, expected, x.dtype)
    assert (d.y, d.task, d.test) == (None, None, None)


def test_channels_go_in_front():
    x = RNG.integers(0, 256, (2, 4, 5, 3), np.uint8)
    np.testing.assert_array_equal(data.load(x).x, np.moveaxis(x, 3, 1))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int8", "int32"),
        ("int16", "int32"),
        ("uint16", "int32"),
        ("uint32", "int64"),
        ("uint64", "int64"),
        ("float16", "float32"),
        (">f4", "float32"),
        (">i8", "int64"),
        ("bool", "bool"),
        ("int64", "int64"),
    ],
)
def test_types_that_tensors_lack_become_the_next_larger(dtype, expected):
    x = np.array([[1, 0], [0, 1]]).astype(dtype)
    got = data.load(x).x
    assert got.dtype == np.dtype(expected)
    assert hm.from_numpy(got).tolist() == x.tolist()


def test_pairs_tensors_and_lists():
    for source in (
        (np.eye(4), np.array([0, 1, 0, 1])),
        (hm.eye(4), hm.tensor([0, 1, 0, 1])),
        (np.eye(4).tolist(), [0, 1, 0, 1]),
        (hm.tensor(np.eye(4), requires_grad=True), [[0], [1], [0], [1]]),
    ):
        d = data.load(source)
        assert (d.kind, d.task, d.classes, d.y.tolist()) == ("arrays", "classification", ["0", "1"], [0, 1, 0, 1])
    assert data.load(np.eye(4), target=["b", "a", "b", "a"]).classes == ["a", "b"]
    assert data.load(np.eye(4), np.array([True, False] * 2)).classes == ["False", "True"]
    assert data.load(np.eye(4), np.array(["x", "y", None, "y"], object)[[0, 1, 0, 1]]).classes == ["x", "y"]


def test_regression_targets():
    d = data.load((np.eye(4), np.array([0.5, 1, 2, 3])))
    assert (d.task, d.classes, d.y.dtype) == ("regression", None, np.float64)
    two = data.load((np.eye(4), RNG.random((4, 2)).astype(np.float32)))
    assert (two.task, two.y.shape, two.y.dtype) == ("regression", (4, 2), np.float64)
    assert data.load((np.eye(4), np.array([0, 1, 0, 1])), task="regression").y.dtype == np.float64


def test_labels_of_images_are_classes_however_many():
    x = np.zeros((60, 2, 2), np.uint8)
    assert data.load((x, np.arange(60) % 30)).task == "classification"
    assert data.load((x.reshape(60, 4), np.arange(60) % 30)).task == "regression"
    assert data.load((x, np.arange(60) % 30), task="regression").task == "regression"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.float32(3), None, "x is the single number 3.0, where one row per sample is right"),
        (np.zeros((0, 3)), None, "x has no rows"),
        (np.zeros((3, 0)), None, r"x has shape \(3, 0\); one or more values per row are right"),
        (np.zeros((3, 8, 0), np.uint8), None, r"x has shape \(3, 8, 0\); one or more values per row are right"),
        (np.array(["a"]), None, "x is of type <U1, where numbers are right"),
        (np.array([1 + 2j]), None, "x is of type complex128, where numbers are right"),
        (np.array([{}, {}], object), None, "x is of type object"),
        ([[1, 2], [3]], None, "x has rows of different lengths; give every row as many values"),
        (np.array([2**63], np.uint64), None, r"x holds 9223372036854775808, where numbers below 2\*\*63 are right"),
        (np.array([[1, 2], [3, np.nan]]), None, r"x\[1, 1\] is nan, where a finite number is right"),
        (np.array([[1, 2], [-np.inf, 1]]), None, r"x\[1, 0\] is -inf, where a finite number is right"),
        (np.eye(3), np.zeros(2), "y has 2 rows, where x has 3; one per sample is right"),
        (np.eye(3), np.zeros((3, 2), int), r"y has shape \(3, 2\) and type int64; one label per row"),
        (np.eye(3), np.zeros((3, 2, 1)), r"y has shape \(3, 2, 1\)"),
        (np.eye(3), np.array([1, np.nan, 2]), r"y\[1\] is nan, where a finite number is right"),
        (np.eye(3), np.array(["a", None, "b"], object), r"y\[1\] is None, where a label is right"),
        (np.eye(3), np.array([1j, 1, 2]), "y is of type complex128, where numbers, booleans or texts are right"),
        (np.eye(3), np.array([1, 1, 1]), "y holds the single value '1' in all 3 rows, where two or more classes"),
    ],
)
def test_names_what_is_wrong(x, y, message):
    with pytest.raises(InputError, match=message):
        data.load(x, y)


def test_names_a_two_dimensional_target_of_a_classification():
    with pytest.raises(InputError, match=r"y has shape \(3, 2\), where a classification needs class ids, \(n,\)"):
        data.load(np.eye(3), np.zeros((3, 2)), task="classification")


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


def test_npz_of_x_and_y(tmp_path):
    d = data.load(saved(tmp_path, x=np.eye(6), y=np.arange(6) % 2))
    assert (d.kind, d.x.shape, d.y.tolist(), d.test, d.target) == ("arrays", (6, 6), [0, 1] * 3, None, None)


def test_npz_as_keras_has_it(tmp_path):
    x = RNG.integers(0, 256, (9, 4, 4), np.uint8)
    path = saved(tmp_path, x_train=x[:6], y_train=np.array([7, 8, 9] * 2), x_test=x[6:], y_test=np.array([9, 8, 8]))
    d = data.load(path)
    assert (d.kind, d.x.shape, d.classes, d.y.tolist()) == ("images", (6, 1, 4, 4), ["7", "8", "9"], [0, 1, 2] * 2)
    assert (d.test.x.shape, d.test.classes, d.test.y.tolist()) == ((3, 1, 4, 4), ["7", "8", "9"], [2, 1, 1])


@pytest.mark.parametrize(
    ("names", "has_y", "has_test"),
    [
        (("X", "Y"), True, False),
        (("data", "target"), True, False),
        (("images", "labels"), True, False),
        (("train_images", "train_labels", "test_images", "test_labels"), True, True),
        (("x",), False, False),
        (("x_test", "y_test"), True, False),
        (("arr_0", "arr_1"), True, False),
    ],
)
def test_npz_names(tmp_path, names, has_y, has_test):
    arrays = {n: (np.eye(4) if i % 2 == 0 else np.array([0, 1, 0, 1])) for i, n in enumerate(names)}
    d = data.load(saved(tmp_path, **arrays))
    assert (d.y is not None, d.test is not None) == (has_y, has_test)


def test_npz_labels_under_a_name_of_ones_own(tmp_path):
    path = saved(tmp_path, x=np.eye(4), y=np.arange(4.0) / 3, species=np.array(["a", "b"] * 2))
    d = data.load(path, "species")
    assert (d.classes, d.target) == (["a", "b"], "species")
    assert data.load(path).task == "regression"
    assert data.load(path, labels=False).y is None
    with pytest.raises(InputError, match=r"a\.npz has no array 'specie'; did you mean 'species'\?"):
        data.load(path, "specie")
    with pytest.raises(InputError, match=r"load: target is an array, but .* is a file; name the array of labels"):
        data.load(path, np.arange(4))


def test_npz_compressed_and_zero_sized(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((500, 100)), y=np.arange(500) % 2, extra=np.zeros((0, 3)))
    assert data.load(tmp_path / "a.npz").x.shape == (500, 100)


def test_npz_names_the_arrays_it_has(tmp_path):
    with pytest.raises(InputError, match=r"a\.npz holds the arrays 'weights', 'bias', where inputs called 'x'"):
        data.load(saved(tmp_path, weights=np.eye(2), bias=np.zeros(2)))
    with pytest.raises(InputError, match=r"a\.npz holds no arrays, where"):
        data.load(saved(tmp_path))


def test_npz_names_the_array_that_is_wrong(tmp_path):
    with pytest.raises(InputError, match=r"'y' in .*a\.npz has 3 rows, where 'x' in .*a\.npz has 4"):
        data.load(saved(tmp_path, x=np.eye(4), y=np.arange(3)))


def test_npz_never_unpickles(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file was unpickled",))

    path = saved(tmp_path, x=np.array([Trap()], dtype=object))
    with pytest.raises(InputError, match=r"'x' in .*a\.npz holds Python objects, which are not loaded"):
        data.load(path)


def npy(shape, dtype="<f8", body=b"", version=1):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (len(header) + 10) % 64 - 1) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2, "little") + header + body


def zipped(path, content, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("x.npy", content)
    return path


def test_npz_allocates_nothing_on_a_claim(tmp_path):
    path = zipped(tmp_path / "a.npz", npy((2**40, 3), body=b"12345678"))
    with pytest.raises(InputError, match=r"'x' in .*a\.npz is damaged: it claims 26388279066624 bytes that are not"):
        data.load(path)


def test_npz_trusts_no_size_in_the_archive_either(tmp_path):
    path = zipped(tmp_path / "a.npz", npy((2**27,), body=b"12345678"))
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    size = 2**30 + 128
    raw[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(InputError, match="is damaged"):
        data.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no NPZ file or damaged"),
        (b"a,b\n1,2\n", "is no NPZ file or damaged"),
        (npy((2,), version=9), "'x' in .* is not an array of plain numbers or texts"),
        (b"no array at all", "is no NPZ file or damaged"),
        (npy("(2, '))"), "is no NPZ file or damaged"),
    ],
)
def test_npz_names_a_damaged_file(tmp_path, content, message):
    path = tmp_path / "a.npz"
    if content[:6] == b"\x93NUMPY" or content[:2] == b"no":
        zipped(path, content)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.load(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_cut_short_or_changed_is_named_or_read(tmp_path, compressed):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, x=RNG.random((20, 3)), y=np.arange(20) % 2)
    whole = buffer.getvalue()
    path = tmp_path / "a.npz"
    for cut in range(1, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"a\.npz"):
            data.load(path)
    for position in range(0, len(whole), 11):
        changed = bytearray(whole)
        changed[position] ^= 0xFF
        path.write_bytes(changed)
        try:
            data.load(path)
        except InputError as error:
            assert "a.npz" in str(error)  # noqa: PT017 (a change in a timestamp, say, is no error)


def test_npz_that_cannot_be_read(tmp_path):
    from haema.data.arrays import read_npz

    with pytest.raises(InputError, match=r"cannot read .*nowhere\.npz: no such file"):
        read_npz(tmp_path / "nowhere.npz")
