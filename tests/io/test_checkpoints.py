"""The state of a training run: what goes in comes out, to the last bit."""

import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_files import forged

import haema as hm
from haema import io, nn
from haema.errors import HaemaError, InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def again(checkpoint, path):
    io.save_checkpoint(checkpoint, path)
    return io.load_checkpoint(path)


def same(a, b):
    """Equal in value, type and every bit."""
    if isinstance(a, hm.Tensor):
        return isinstance(b, hm.Tensor) and same(a._data, b._data)
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return type(b) is float and (a.hex() == b.hex() or (math.isnan(a) and math.isnan(b)))
    return type(a) is type(b) and a == b


def test_a_training_run(path):
    hm.manual_seed(3)
    model = nn.Linear(3, 2)
    run = {
        "model": model.state_dict(),
        "optimizer": {
            "state": {0: {"step": hm.tensor(7), "exp_avg": hm.randn(2, 3, dtype=hm.float64)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1], "foreach": None, "nesterov": False}],
        },
        "random": hm.get_rng_state(),
        "epoch": 12,
        "history": [{"loss": 0.1 + 0.2}, {"loss": float("nan")}],
        "best": float("-inf"),
        "order": np.arange(5)[::-1],
        "done": hm.tensor([True, False]),
        "empty": [{}, [], (), ""],
        "none": hm.zeros(0, 3),
        "big": 2**100,
    }
    assert same(again(run, path), {**run})


def test_tensors_come_back_as_their_own(path):
    x = hm.ones(2)
    found = again({"a": x, "b": x, "p": nn.Parameter(x)}, path)
    found["a"].add_(1)
    assert found["b"].tolist() == [1, 1]
    assert type(found["p"]) is hm.Tensor
    assert not found["p"].requires_grad


def test_names_that_would_collide(path):
    halves = [chr(0xD800), chr(0xD801)]  # of a surrogate pair
    keys = [*halves, "a.b", 1, "1", "__metadata__", ""]
    run = {"a": {"b": hm.tensor(100)}, **{key: hm.tensor(i) for i, key in enumerate(keys)}}
    assert same(again(run, path), run)
    assert "a.b" in io.load_state_dict(path)


def test_keys_that_mean_something_in_the_format(path):
    run = {"$": 1, "type": {"type": "Linear", "args": {}}, "x": {"$": "tensor", "name": "x"}}
    run.update({(1, "a"): None, None: 1, 2.5: 2})
    assert same(again(run, path), run)


def test_numbers_of_numpy_become_pythons(path):
    found = again({"a": np.float32(0.1), "b": np.int64(3), "c": np.bool_(True)}, path)
    assert same(found, {"a": float(np.float32(0.1)), "b": 3, "c": True})


def test_an_ordered_dict_becomes_a_dict(path):
    assert same(again(OrderedDict(b=1, a=2), path), {"b": 1, "a": 2})


numbers = st.lists(st.floats(), max_size=3) | st.lists(st.integers(-5, 5), max_size=3)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.text(max_size=4) | st.sampled_from(["$", "type", "a.b", "a"]) | st.integers(0, 3)
values = st.recursive(
    plain | numbers.map(lambda v: hm.tensor(np.array(v))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)
shared_path = [HealthCheck.function_scoped_fixture]


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=shared_path)
@given(st.dictionaries(st.text(max_size=4) | st.integers(), values, max_size=3))
def test_whatever_goes_in_comes_out(path, run):
    assert same(again(run, path), run)


def test_what_cannot_be_written(path):
    with pytest.raises(TypeError, match="takes a dict, not a list"):
        io.save_checkpoint([1], path)
    with pytest.raises(HaemaError, match=r"model\.a is a object, which cannot be written"):
        io.save_checkpoint({"model": {"a": object()}}, path)
    with pytest.raises(HaemaError, match="x is a ndarray, which cannot be written"):
        io.save_checkpoint({"x": np.array(["text"])}, path)
    with pytest.raises(HaemaError, match="a Linear stands where plain values are right: take its state_dict"):
        io.save_checkpoint({"model": nn.Linear(1, 1)}, path)
    loop = {}
    loop["again"] = loop
    with pytest.raises(HaemaError, match="nested more than 100 levels deep, or contains itself"):
        io.save_checkpoint(loop, path)
    assert not path.exists()


def test_no_checkpoint(path):
    hm.save(nn.Linear(1, 1), path)
    with pytest.raises(InputError, match=r"run.safetensors holds a model and is no checkpoint of a training run"):
        io.load_checkpoint(path)
    with pytest.raises(InputError, match="there is no file"):
        io.load_checkpoint(path.with_name("none"))
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(InputError, match="was not written by haema and is no checkpoint"):
        io.load_checkpoint(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], "it holds a list, where a dict is right"),
        ({"x": {"$": "stored", "name": "x"}}, "which cannot be understood"),
        ({"x": {"$": "stored", "name": ["x"]}}, "which cannot be understood"),
        ({"x": {"type": "Linear", "args": {"in_features": 1, "out_features": 1}}}, "the class 'Linear' is not known"),
    ],
)
def test_forged(path, value, words):
    path.write_bytes(forged({"format": 1, "kind": "checkpoint", "value": value}))
    with pytest.raises(InputError, match=words):
        io.load_checkpoint(path)
