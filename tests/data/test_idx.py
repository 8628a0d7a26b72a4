"""haema.data.idx: the format of MNIST, whole and damaged."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from haema import data
from haema.data import idx
from haema.errors import InputError

TYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from(TYPES).flatmap(
        lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    ),
    zipped=st.booleans(),
)
def test_round_trip(tmp_path, array, zipped):
    path = tmp_path / ("a.gz" if zipped else "a")
    data.write_idx(path, array)
    back = data.read_idx(path)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == zipped


def test_reads_the_format_of_the_specification(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFE, 1, 0]))
    assert data.read_idx(tmp_path / "a").tolist() == [[-2, 256]]


def test_what_was_read_can_be_written_to(tmp_path):
    data.write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    found = data.read_idx(tmp_path / "a")
    found[0] = 1
    assert found.tolist() == [1, 0, 0]
    assert data.read_idx(tmp_path / "a").tolist() == [0, 0, 0]


@pytest.mark.parametrize("array", [np.zeros(3, np.uint16), np.zeros((), np.uint8), np.zeros(2, "U3")])
def test_writing_names_what_has_no_form(tmp_path, array):
    with pytest.raises(InputError, match=r"cannot write .*a: an array of shape .* has no IDX form; one or more"):
        data.write_idx(tmp_path / "a", array)


def header(kind: int, *shape: int) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, where an IDX file is right"),
        (b"\x00\x00", "is no IDX file: it begins with the bytes '00 00', where"),
        (b"PK\x03\x04 and so on", "begins with the bytes '50 4b 03 04'"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x01\x00", "begins with the bytes '00 00 07 01'"),
        (b"\x00\x00\x08\x00", "begins with the bytes '00 00 08 00'"),
        (b"\x00\x00\x08\x03\x00\x00\x00\x02", "is truncated: its header ends within its 3 dimensions"),
        (header(8, 2, 3) + b"12345", "its header claims 2 x 3 values, 6 bytes, but only 5 bytes follow"),
        (header(8, 2, 3) + b"1234567", "its header claims 2 x 3 values, 6 bytes, but more bytes follow"),
        (header(0x0E, *[2**32 - 1] * 4) + b"1", "claims .* but only 1 bytes follow"),
        (header(8, 0, *[2**32 - 1] * 4), "is damaged: it claims the dimensions"),
        (header(8, *[1] * 100) + b"1", "is damaged: it claims the dimensions"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_names_what_is_wrong_with_a_file(tmp_path, content, message, zipped):
    path = tmp_path / "broken"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(InputError, match=f"broken .*{message}"):
        data.read_idx(path)


def test_a_claim_of_sixteen_gigabytes_allocates_nothing(tmp_path):
    import tracemalloc

    (tmp_path / "a").write_bytes(header(8, 2**32 - 1, 4) + bytes(1000))
    tracemalloc.start()
    with pytest.raises(InputError, match="only 1000 bytes follow"):
        data.read_idx(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20  # one read's buffer


@pytest.mark.parametrize("cut", [1, 4, 20, -9])
def test_names_a_truncated_gzip(tmp_path, cut):
    whole = gzip.compress(header(8, 100) + np.random.default_rng(0).bytes(100))
    (tmp_path / "a.gz").write_bytes(whole[:12] if cut == 1 else whole[:-cut] if cut > 0 else whole[:cut])
    with pytest.raises(InputError, match=r"a.gz is damaged: it cannot be unpacked"):
        data.read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("position", [2, 60, -6])
def test_names_a_corrupt_gzip(tmp_path, position):
    whole = bytearray(gzip.compress(header(8, 100) + np.random.default_rng(0).bytes(100)))
    whole[position] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(whole)
    with pytest.raises(InputError, match=r"a.gz is damaged: "):
        data.read_idx(tmp_path / "a.gz")


def test_names_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nowhere: no such file"):
        data.read_idx(tmp_path / "nowhere")


@pytest.fixture
def mnist(tmp_path):
    """A small MNIST: 12 training and 4 test digits."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 12), ("t10k", 4)):
        data.write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 5, 4), np.uint8))
        data.write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", (np.arange(n) % 3).astype(np.uint8))
    return tmp_path


def test_a_folder_is_a_training_and_a_test_part(mnist):
    d = data.load(mnist)
    assert d.kind == "images"
    assert d.x.shape == (12, 1, 5, 4)
    assert d.x.dtype == np.uint8
    assert d.y.tolist() == [0, 1, 2] * 4
    assert d.classes == ["0", "1", "2"]
    assert d.task == "classification"
    assert d.test.x.shape == (4, 1, 5, 4)
    assert d.test.y.tolist() == [0, 1, 2, 0]
    assert d.test.classes == d.classes


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])
def test_either_file_of_a_pair_finds_the_other(mnist, name):
    d = data.load(mnist / name)
    assert (len(d), d.y.tolist(), d.test) == (12, [0, 1, 2] * 4, None)


def test_plain_files_and_other_spellings_are_found(tmp_path):
    x = np.zeros((4, 2, 2), np.uint8)
    data.write_idx(tmp_path / "emnist-digits-train-images.idx3-ubyte", x)
    data.write_idx(tmp_path / "emnist-digits-train-labels.idx1-ubyte", np.array([3, 4, 3, 4], np.uint8))
    d = data.load(tmp_path)
    assert d.classes == ["3", "4"]
    assert d.y.tolist() == [0, 1, 0, 1]


def test_a_plain_file_wins_over_its_zipped_twin(mnist):
    data.write_idx(mnist / "train-images-idx3-ubyte", np.ones((12, 5, 4), np.uint8))
    assert data.load(mnist).x.min() == 1


def test_a_folder_with_only_the_test_part_is_that(mnist):
    (mnist / "train-images-idx3-ubyte.gz").unlink()
    (mnist / "train-labels-idx1-ubyte.gz").unlink()
    d = data.load(mnist)
    assert (len(d), d.test) == (4, None)


def test_images_without_labels_have_none_and_say_so(mnist):
    (mnist / "train-labels-idx1-ubyte.gz").unlink()
    d = data.load(mnist / "train-images-idx3-ubyte.gz")
    assert (d.y, d.classes, d.task) == (None, None, None)
    assert d.notes == ("train-images-idx3-ubyte.gz has no file of labels beside it, so its images have no labels",)


def test_labels_can_be_left_alone(mnist):
    (mnist / "train-labels-idx1-ubyte.gz").write_bytes(b"not read")
    assert data.load(mnist / "train-images-idx3-ubyte.gz", labels=False).y is None


def test_the_classes_of_a_model_are_kept(mnist):
    d = data.load(mnist / "t10k-images-idx3-ubyte.gz", classes=["2", "1", "0"])
    assert d.y.tolist() == [2, 1, 0, 2]
    with pytest.raises(InputError, match="holds '2' on row 2, which is no class of the model; there are '0', '1'"):
        data.load(mnist / "t10k-images-idx3-ubyte.gz", classes=["0", "1"])


def test_names_labels_without_images(mnist):
    (mnist / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="holds labels, but the file of images that belongs beside it is missing"):
        data.load(mnist / "train-labels-idx1-ubyte.gz")
    (mnist / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"but not the images that belong to it, t10k-images-idx3-ubyte.gz"):
        data.load(mnist)


def test_names_images_and_labels_that_are_not_as_many(mnist):
    data.write_idx(mnist / "train-labels-idx1-ubyte.gz", np.zeros(11, np.uint8))
    with pytest.raises(InputError, match=r"train-labels.*gz has 11 rows, where .*train-images.*gz has 12"):
        data.load(mnist)


def test_names_several_training_files(mnist):
    data.write_idx(mnist / "other-images-idx3-ubyte", np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(InputError, match="several files of train images, other-images-idx3-ubyte and train-"):
        data.load(mnist)


def test_names_labels_in_place_of_images(mnist):
    data.write_idx(mnist / "train-images-idx3-ubyte.gz", np.zeros(12, np.uint8))
    with pytest.raises(InputError, match="has one dimension, 12, as labels have, where images have three"):
        data.load(mnist)


@pytest.mark.parametrize("labels", [np.zeros((12, 2), np.uint8), np.zeros(12, np.float32)])
def test_names_labels_of_another_shape_or_type(mnist, labels):
    data.write_idx(mnist / "train-labels-idx1-ubyte.gz", labels)
    with pytest.raises(InputError, match=r"train-labels.* has shape .* where labels are integers"):
        data.load(mnist)


def test_names_a_target_that_images_do_not_take(mnist):
    with pytest.raises(InputError, match="target is 'label', but IDX files have their labels in a file beside them"):
        data.load(mnist, "label")


def test_names_images_that_are_none(mnist):
    data.write_idx(mnist / "train-images-idx3-ubyte.gz", np.zeros((0, 5, 4), np.uint8))
    data.write_idx(mnist / "train-labels-idx1-ubyte.gz", np.zeros(0, np.uint8))
    with pytest.raises(InputError, match="has no rows"):
        data.load(mnist)


def test_partner_of_a_file_with_another_name_is_none(tmp_path):
    assert idx.partner(tmp_path / "a.csv") is None
