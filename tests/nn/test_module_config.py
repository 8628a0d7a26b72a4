"""A module as data, and back."""

import copy
import json
import pickle

import numpy as np
import pytest
from nn_modules import Affine, Net

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.errors import HaemaError, InputError
from haema.nn.architecture import MAX_DEPTH


class Anything(nn.Module):
    """Holds whatever it is given."""

    def __init__(self, value=None, *rest, named=None, **others):
        super().__init__()
        self.held = [value, rest, named, others]


def again(module, *classes):
    text = json.dumps(module.config(), allow_nan=False)
    return nn.build(json.loads(text), classes)


def test_arguments_are_remembered_by_name():
    assert Affine(2, 3).config() == {"type": "Affine", "args": {"n": 2, "m": 3}}
    assert Affine(2, m=3, bias=False).config() == {"type": "Affine", "args": {"n": 2, "m": 3, "bias": False}}
    assert Net().config() == {"type": "Net", "args": {}}


def test_a_subclass_reports_its_own_arguments():
    class Wide(Affine):
        def __init__(self, n):
            super().__init__(n, 100)

    class Same(Wide):
        pass

    assert Wide(2).config() == {"type": "Wide", "args": {"n": 2}}
    assert Same(2).config() == {"type": "Same", "args": {"n": 2}}
    assert again(Same(2), Same).weight.shape == (100, 2)


def test_all_kinds_of_parameters():
    m = Anything(1, 2, 3, named=4, other=5)
    assert m.config()["args"] == {"value": 1, "rest": [2, 3], "named": 4, "other": 5}
    assert again(m, Anything).held == [1, (2, 3), 4, {"other": 5}]


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2**100, -0.0, 0.1, float("inf"), float("-inf"), "text", "ü\ud800", [1, [2, (3,)]], (), {"a": 1},
        {1: 2, (3, 4): "x"}, {"$": 1}, {"type": "x"}, hm.float64, nn.Identity, F.relu, hm.tanh, np.float32(0.1),
        np.int64(3), np.bool_(True),
    ],
)  # fmt: skip
def test_values(value):
    held = again(Anything(value), Anything).held[0]
    assert held == value
    assert type(held) in (type(value), type(getattr(value, "item", lambda: 0)()))


def test_nan():
    assert np.isnan(again(Anything(float("nan")), Anything).held[0])


@pytest.mark.parametrize("array", [np.arange(3), np.array(2.5), np.ones((2, 0), np.float32), np.array([True])])
def test_small_arrays_and_tensors(array):
    held = again(Anything(array), Anything).held[0]
    assert held.dtype == array.dtype
    assert np.array_equal(held, array)
    assert held.shape == array.shape
    held = again(Anything(hm.tensor(array)), Anything).held[0]
    assert isinstance(held, hm.Tensor)
    assert held.dtype == array.dtype
    assert np.array_equal(held.numpy(), array)


def test_a_parameter_keeps_its_shape_and_not_its_values():
    held = again(Anything(nn.Parameter(hm.ones(2, 3))), Anything).held[0]
    assert isinstance(held, nn.Parameter)
    assert held.shape == (2, 3)
    assert held.requires_grad


def test_a_generator_keeps_its_state():
    generator = hm.Generator(5)
    hm.rand(3, generator=generator)
    held = again(Anything(generator), Anything).held[0]
    assert hm.rand(4, generator=held).tolist() == hm.rand(4, generator=generator).tolist()


def test_modules_among_the_arguments():
    m = Anything(Affine(1, 2), [Affine(2, 3)], named={"x": Affine(3, 4)})
    held = again(m, Anything, Affine).held
    assert held[0].weight.shape == (2, 1)
    assert held[1][0][0].weight.shape == (3, 2)
    assert held[2]["x"].weight.shape == (4, 3)


def test_a_shared_module_stays_shared():
    shared = Affine(2, 2)
    m = nn.Sequential(shared, nn.Sequential(shared), Affine(2, 1))
    built = again(m, Affine)
    assert built[0] is built[1][0]
    assert len(list(built.parameters())) == len(list(m.parameters()))


def test_later_changes_of_a_list_do_not_change_the_config():
    sizes = [1, 2, {"a": [3]}]
    m = Anything(sizes)
    sizes[2]["a"].append(4)
    sizes.append(5)
    assert m.config()["args"]["value"] == [1, 2, {"a": [3]}]


def test_haemas_own_modules_report_changed_attributes():
    layer = nn.Perceptron(2)
    layer.form = "bipolar"
    assert layer.config()["args"] == {"in_features": 2, "form": "bipolar"}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_remember_too(copied):
    assert copied(Affine(2, 3)).config() == Affine(2, 3).config()


@pytest.mark.parametrize("value", [object(), 1j, lambda: 0, b"bytes", {1, 2}, hm.zeros(1 << 19), open])
def test_what_cannot_be_written(value):
    with pytest.raises(HaemaError, match=r"Anything\(value=...\) is a .*, which cannot be written to a file"):
        Anything(value).config()


def test_a_list_that_contains_itself():
    value = []
    m = Anything(())
    m._arguments = ((value,), {})
    value.append(value)
    with pytest.raises(HaemaError, match="nested more than 100 levels deep, or contains itself"):
        m.config()


def test_arguments_that_no_longer_fit():
    m = Affine(2, 3)
    m._arguments = ((1, 2, 3, 4, 5), {})
    with pytest.raises(HaemaError, match="Affine cannot be described, for its arguments are not known"):
        m.config()


# -- registering


def test_register():
    @nn.register
    class Registered(nn.Module):
        def __init__(self, n=1):
            super().__init__()
            self.n = n

    assert nn.build({"type": "Registered", "args": {"n": 3}}).n == 3


def test_register_only_modules_and_no_name_of_haemas():
    with pytest.raises(TypeError, match=r"register takes a subclass of nn\.Module"):
        nn.register(int)
    with pytest.raises(ValueError, match="haema has a module 'Sequential' of its own"):
        nn.register(type("Sequential", (nn.Module,), {}))
    with pytest.raises(TypeError, match=r"is no subclass of nn\.Module"):
        nn.build({"type": "Net"}, classes=[int])


# -- building from what is wrong


def bomb(depth, make):
    x = 1
    for _ in range(depth):
        x = make(x)
    return x


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (3, "an architecture is"),
        ({"type": 3}, "an architecture is"),
        ({"type": "Sequential", "args": 3}, "the arguments of 'Sequential' are a dict"),
        ({"type": "Sequenzial"}, "the class 'Sequenzial' is not known: did you mean 'Sequential'"),
        ({"type": "Tensor"}, r"the class 'Tensor' is not known.*register your own with @hm.register"),
        ({"type": "Perceptron"}, r"Perceptron\(\) cannot be built: TypeError: .*missing"),
        ({"type": "Perceptron", "args": {"in_features": 2, "x": 3}}, "unexpected keyword argument 'x'"),
        ({"type": "Perceptron", "args": {"in_features": "many"}}, "Perceptron.* cannot be built: TypeError"),
        ({"type": "Perceptron", "args": {"in_features": -1}}, "Perceptron.* cannot be built: ValueError"),
        ({"type": "Perceptron", "args": {"in_features": 1 << 80}}, "Perceptron.* cannot be built|more memory"),
        ({"type": "Perceptron", "args": {"in_features": 1 << 50}}, "more memory than there is"),
        ({"type": "Sequential", "args": {"args": 3}}, "Sequential: args must be a list, not 3"),
        ({"type": "Sequential", "args": {"args": [3]}}, "a int is not a Module"),
        ({"type": "Anything", "args": {"rest": [1]}}, None),
        ({"type": "NeedsOne", "args": {"rest": [1]}}, "NeedsOne: the argument 'value' is missing"),
        ({"type": "Sequential", "args": {"args": bomb(200, lambda x: [x])}}, "nested more than 100 levels"),
        (bomb(2000, lambda x: {"type": "Sequential", "args": {"args": [x]}}), "nested more than 100 levels"),
        ({"type": "Raises"}, "Raises.* cannot be built: KeyError: 'why'"),
        ({"type": "Deep"}, "Deep.* goes too deep"),
        ({"type": "Picky"}, "this is what I say"),
    ],
)
def test_wrong_architectures(config, words):
    class NeedsOne(nn.Module):
        def __init__(self, value, *rest):
            super().__init__()

    class Raises(nn.Module):
        def __init__(self):
            raise KeyError("why")

    class Deep(nn.Module):
        def __init__(self):
            Deep()

    class Picky(nn.Module):
        def __init__(self):
            raise InputError("this is what I say")

    classes = [Anything, NeedsOne, Raises, Deep, Picky]
    if words is None:
        assert nn.build(config, classes).held == [None, (1,), None, {}]
        return
    with pytest.raises(InputError, match=words):
        nn.build(config, classes)


@pytest.mark.parametrize(
    "value",
    [
        {"$": "nothing"}, {"$": ["unhashable"]}, {"$": "tuple"}, {"$": "tuple", "items": 3},
        {"$": "dict", "items": [1]},
        {"$": "dict", "items": [[[1], 2]]}, {"$": "float", "value": "1e3"}, {"$": "dtype", "name": "complex64"},
        {"$": "function", "name": "eval"}, {"$": "module", "id": 7}, {"$": "module", "id": [1]},
        {"$": "tensor", "dtype": "float32", "shape": [2], "data": "AAAA"},
        {"$": "tensor", "dtype": "float32", "shape": [-1], "data": ""},
        {"$": "array", "dtype": "float32", "shape": ["x"], "data": ""},
        {"$": "array", "dtype": "O", "shape": [0], "data": ""},
        {"$": "array", "dtype": "float32", "shape": [0], "data": "?"},
        {"$": "parameter", "dtype": "float32", "shape": [-1], "requires_grad": True},
        {"$": "parameter", "dtype": "int64", "shape": [1], "requires_grad": True},
        {"$": "parameter", "dtype": "float32", "shape": [1 << 40, 1 << 40], "requires_grad": True},
        {"$": "generator", "state": [1]}, {"$": "generator", "state": [1 << 70, 0]},
    ],
)  # fmt: skip
def test_values_that_are_not_understood(value):
    with pytest.raises(InputError, match="which cannot be understood"):
        nn.build({"type": "Anything", "args": {"value": value}}, [Anything])


def test_an_unknown_class_among_the_arguments():
    with pytest.raises(InputError, match="the class 'int' is not known"):
        nn.build({"type": "Anything", "args": {"value": {"$": "class", "name": "int"}}}, [Anything])


def test_depth_up_to_the_limit():
    value = bomb(MAX_DEPTH // 2, lambda x: [x])
    assert again(Anything(value), Anything).held[0] == value


def test_long_values_are_cut_short_in_messages():
    with pytest.raises(InputError) as error:
        nn.build({"type": "Perceptron", "args": {"x" * 1000: "y" * 1000, "n": 1 << 5000, "l": [1] * 50}})
    assert len(str(error.value)) < 400
