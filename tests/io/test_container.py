"""Files that are missing, damaged, hostile or somebody else's: always one sentence, never another error."""

import json
import os
import struct
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from io_files import container, forged

import haema as hm
from haema import io, nn
from haema.errors import HaemaError, InputError
from haema.io.container import FORMAT, read_container, write_container


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_round_trip(path, dtype, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    write_container(path, {"x": x, "y.z": hm.tensor(x.T)}, {"format": 1, "kind": "test"})
    tensors, content = read_container(path)
    assert content == {"format": 1, "kind": "test"}
    assert tensors["x"].dtype == dtype
    assert tensors["x"].shape == shape
    assert tensors["x"].tobytes() == x.tobytes()
    assert np.array_equal(tensors["y.z"], x.T)
    assert tensors["x"].flags.writeable
    assert tensors["x"].flags.aligned


def test_special_values_and_names(path):
    x = np.array([np.nan, np.inf, -0.0, 1e-45], np.float32)
    write_container(path, {"ü 😀 $ .": x, "": x}, {"format": 1, "kind": "test"})
    tensors = read_container(path).tensors
    assert tensors["ü 😀 $ ."].tobytes() == x.tobytes()
    assert tensors[""].tobytes() == x.tobytes()


def test_the_same_contents_give_the_same_bytes(path):
    def written():
        write_container(path, {"b": np.ones(3), "a": np.zeros(2, np.int64)}, {"format": 1, "kind": "test"})
        return path.read_bytes()

    assert written() == written()


def test_every_length_of_the_header(path):
    # 640 as bytes is how a pickle begins, and was once taken for one
    for length in range(400, 700, 4):
        write_container(path, {"x": np.ones(1)}, {"format": 1, "kind": "x" * length})
        assert read_container(path).content["kind"] == "x" * length


def test_big_endian_and_strided_arrays(path):
    x = np.arange(12, dtype=">f4").reshape(3, 4)
    write_container(path, {"x": x[:, ::2]}, {"format": 1, "kind": "test"})
    assert np.array_equal(read_container(path).tensors["x"], x[:, ::2])


# -- what cannot be written


def test_what_cannot_be_written(path, tmp_path):
    content = {"format": 1, "kind": "test"}
    with pytest.raises(HaemaError, match=r"'x' has dtype complex128; bool, uint8, .* can be stored"):
        write_container(path, {"x": np.ones(1, complex)}, content)
    with pytest.raises(HaemaError, match="'__metadata__' cannot be the name of a tensor"):
        write_container(path, {"__metadata__": np.ones(1)}, content)
    with pytest.raises(HaemaError, match="cannot be the name of a tensor"):
        write_container(path, {"half a pair \ud800": np.ones(1)}, content)
    with pytest.raises(HaemaError, match="3 cannot be the name of a tensor"):
        write_container(path, {3: np.ones(1)}, content)
    with pytest.raises(InputError, match="there is no folder"):
        write_container(tmp_path / "none" / "file", {"x": np.ones(1)}, content)
    assert list(tmp_path.iterdir()) == []


def test_a_header_that_could_not_be_read_is_not_written(path, monkeypatch):
    monkeypatch.setattr("haema.io.container.MAX_HEADER", 100)
    with pytest.raises(HaemaError, match="its header would be larger than the 100 bytes"):
        write_container(path, {}, {"format": 1, "kind": "x" * 200})
    assert not path.exists()


# -- what is no file of tensors


def wrong(path, words, data=None):
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=words) as error:
        read_container(path)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


def test_missing(path):
    wrong(path, "there is no file")


def test_folder(tmp_path):
    wrong(tmp_path, "is a folder, where a model or tensor file is right")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_no_regular_file():
    with pytest.raises(InputError, match="/dev/null is no regular file"):
        read_container("/dev/null")


def test_a_name_that_can_be_none():
    with pytest.raises(InputError, match="cannot be the name of a file"):
        read_container("a\0b")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may read everything")
def test_not_readable(path):
    path.write_bytes(b"x")
    path.chmod(0)
    wrong(path, "cannot be read: permission denied")


def test_a_path_through_a_file(path):
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be read: not a directory"):
        read_container(path / "below")


def test_out_of_memory(path, monkeypatch):
    path.write_bytes(container({}))

    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr("haema.io.container._check_length", refuse)
    wrong(path, "does not fit into memory")


F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

DAMAGED = {
    "empty": (b"", "is empty"),
    "short": (b"\x01\x00", "it has 2 bytes, and the shortest possible has 10"),
    "text": (b"hello, this is text and nothing else", "first 8 bytes announce a header of"),
    "pickle": (b"PK\x03\x04" + b"\0" * 60, "weights of PyTorch are saved with safetensors.torch.save_file"),
    "long header": (struct.pack("<Q", 1 << 62) + b"{}", "at most 100000000 are allowed"),
    "header beyond the end": (struct.pack("<Q", 1000) + b"{}", "announces a header of 1000 bytes, .* it has 2"),
    "no JSON": (container(b"{x"), "its header is not JSON"),
    "no UTF-8": (container(b'{"\xff": 1}'), "its header is not JSON"),
    "no object": (container(b"[]"), "its header is no JSON object"),
    "nan": (container(b'{"a": NaN}'), "NaN is no JSON"),
    "huge number": (container(b'{"a": ' + b"9" * 5000 + b"}"), "its header is not JSON"),
    "key twice": (container(b'{"a": 1, "a": 2}'), "its header has the key 'a' twice"),
    "metadata key twice": (container(b'{"__metadata__": {"x": "1", "x": "2"}}'), "the key 'x' twice"),
    "nested": (container(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "its header is nested too deep"),
    "metadata no dict": (container({"__metadata__": 3}), "the metadata in its header is no dict"),
    "metadata no text": (container({"__metadata__": {"haema": 3}}), "the entry 'haema' of its header is no text"),
    "entry no dict": (container({"a": 3}), "does not say where 'a' lies"),
    "entry without place": (container({"a": {"dtype": "F32", "shape": []}}), "does not say where 'a' lies"),
    "place no numbers": (container({"a": {**F32, "data_offsets": [0, 4.0]}}), "does not say where 'a' lies"),
    "beyond the end": (container({"a": F32}, b"xxx"), "cut short: its header speaks of 4 bytes of tensors, and 3 are"),
    "far beyond the end": (
        container({"a": {**F32, "data_offsets": [0, 1 << 60]}}, b"xxxx"), "speaks of 1152921504606846976",
    ),
    "bytes left over": (container({"a": F32}, b"xxxxx"), "is damaged"),
    "gap": (container({"a": {**F32, "data_offsets": [4, 8]}}, b"x" * 8), "is damaged"),
    "overlap": (container({"a": F32, "b": F32}, b"x" * 4), "is damaged"),
    "shape too large": (container({"a": {**F32, "shape": [1 << 40]}}, b"x" * 4), "is damaged"),
    "shape overflows": (container({"a": {**F32, "shape": [1 << 62, 1 << 62]}}, b"x" * 4), "is damaged"),
    "negative shape": (container({"a": {**F32, "shape": [-1]}}, b"x" * 4), "is damaged"),
    "negative place": (container({"a": {**F32, "data_offsets": [-4, 0]}}, b"x" * 4), "is damaged"),
    "unknown type": (container({"a": {**F32, "dtype": "F37"}}, b"x" * 4), "is damaged"),
    "type without a place": (container({"a": {**F32, "dtype": "F8_E4M3", "shape": [4]}}, b"x" * 4), "has no place for"),
    "no truth": (container({"a": {**F32, "dtype": "BOOL", "shape": [4]}}, b"\0\1\2\1"), "bytes other than 0 and 1"),
    "no checksum": (container({"__metadata__": {"haema": '{"format": 1}'}}), "do not have the checksum"),
    "content no JSON": (forged(None, text="x"), "its header is not JSON"),
    "content no object": (forged([]), "its header is no JSON object"),
    "content nested": (forged(None, text="[" * 100_000), "nested too deep"),
    "no format": (forged({}), "does not say which format"),
    "format no number": (forged({"format": "1", "kind": "x"}), "does not say which format"),
    "format zero": (forged({"format": 0, "kind": "x"}), "does not say which format"),
    "no kind": (forged({"format": 1}), "does not say which format"),
    "newer": (forged({"format": 99, "kind": "x"}), f"has format 99, and this haema reads formats up to {FORMAT}"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged(path, name):
    data, words = DAMAGED[name]
    wrong(path, words, data)


# -- other programs' types


@pytest.mark.parametrize(
    ("stored", "numpy", "values", "becomes"),
    [
        ("F16", "<f2", [1.5, -2, 65504], "float32"),
        ("I8", "<i1", [-128, 127, 0], "int32"),
        ("I16", "<i2", [-32768, 32767, 0], "int32"),
        ("U16", "<u2", [0, 65535, 1], "int32"),
        ("U32", "<u4", [0, 4294967295, 1], "int64"),
    ],
)
def test_narrow_types_are_widened(path, stored, numpy, values, becomes):
    raw = np.array(values, numpy).tobytes()
    path.write_bytes(container({"a": {"dtype": stored, "shape": [3], "data_offsets": [0, len(raw)]}}, raw))
    x = io.load_state_dict(path)["a"]
    assert x.dtype == becomes
    assert x.tolist() == values


def test_bfloat16(path):
    raw = (np.array([1.5, -2, 3e38], "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    path.write_bytes(container({"a": {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}}, raw))
    x = io.load_state_dict(path)["a"]
    assert x.dtype == "float32"
    assert x.tolist()[0][:2] == [1.5, -2]


# -- every bit counts


def example_file():
    """A model file as bytes."""
    import tempfile

    hm.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Perceptron(2))
    with tempfile.TemporaryDirectory() as folder:
        where = os.path.join(folder, "x")
        io.save(model, where, meta={"classes": ["a", "b"], "p": 0.5})
        with open(where, "rb") as file:
            return file.read()


GOOD = example_file()
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(path, data):
    """Loading either fails in one sentence, or gives what was saved."""
    path.write_bytes(data)
    for read in (io.load, io.load_state_dict, io.load_checkpoint):
        try:
            found = read(path)
        except InputError as error:
            message = str(error)
        else:
            yield read, found
            continue
        assert str(path) in message
        assert "\n" not in message


@FUZZ
@given(st.integers(0, 8 * len(GOOD) - 1))
@example(8 * (len(GOOD) - 1))
def test_a_flipped_bit(path, bit):
    data = bytearray(GOOD)
    data[bit // 8] ^= 1 << bit % 8
    for read, found in survives(path, bytes(data)):
        # A bit may turn the entry "haema" into another's, and then the tensors are what they were; or a space
        # of the padding into another space.
        assert read is io.load_state_dict or bytes(data).split() == GOOD.split()
        state = found if read is io.load_state_dict else found.state_dict()
        assert len(state) == 4


def test_every_flipped_bit_in_the_weights_is_found(path):
    start = 8 + struct.unpack("<Q", GOOD[:8])[0]
    for bit in range(8 * start, 8 * len(GOOD)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(InputError, match="is damaged: its contents do not have the checksum"):
            io.load(path)


@FUZZ
@given(st.integers(0, len(GOOD) - 1))
def test_cut_short(path, length):
    assert not list(survives(path, GOOD[:length]))


@FUZZ
@given(st.binary(max_size=200))
def test_anything(path, data):
    list(survives(path, data))


@FUZZ
@given(st.binary(max_size=100), st.integers(0, 30))
def test_anything_behind_a_header_length(path, data, length):
    list(survives(path, struct.pack("<Q", length) + data))


KEYS = ["$", "type", "args", "id", "items", "name", "shape", "dtype", "data", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["tensor", "tuple", "Linear", "Sequential", "float32", "items", "module", "relu"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@FUZZ
@given(JSON)
def test_any_content_under_a_right_checksum(path, value):
    for content in (
        {"format": 1, "kind": "model", "architecture": value},
        {"format": 1, "kind": "model", "architecture": {"type": "Sequential", "args": value}},
        {"format": 1, "kind": "model", "architecture": {"type": "Identity", "args": {"x": value}}, "meta": value},
        {"format": 1, "kind": "checkpoint", "value": value},
        {"format": 1, "kind": "checkpoint", "value": {"x": value}},
    ):
        list(survives(path, forged(content)))


def test_the_example_is_readable_json(path):
    length = struct.unpack("<Q", GOOD[:8])[0]
    text = json.loads(GOOD[8 : 8 + length])["__metadata__"]["haema"].partition(" ")[2]
    assert json.loads(text)["meta"] == {"classes": ["a", "b"], "p": 0.5}
