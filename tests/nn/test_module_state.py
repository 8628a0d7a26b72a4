"""State dicts: what they hold, and what loading one says when it does not fit."""

import numpy as np
import pytest
from nn_modules import Net

import haema as hm
from haema import nn
from haema.errors import InputError
from haema.nn.module import StateDictError


def test_state_dict_shares_memory_and_leaves_out_what_is_not_persistent():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["count", "first.weight", "first.bias", "second.weight"]
    assert not state["first.weight"].requires_grad
    with hm.no_grad():
        net.first.weight.zero_()
    assert (state["first.weight"] == 0).all()
    assert net.state_dict(keep_vars=True)["first.weight"] is net.first.weight
    filled = {}
    assert net.state_dict(filled, prefix="net.") is filled
    assert "net.count" in filled


def test_load_gives_the_same_function():
    a, b = Net(), Net()
    with hm.no_grad():
        for p in a.parameters():
            p.mul_(0.5)
    found = b.load_state_dict(a.state_dict())
    assert found == ([], [])
    assert repr(found) == "<All keys matched successfully>"
    x = hm.ones(3, 2)
    assert (a(x) == b(x)).all()


def test_load_copies_values_into_the_same_tensors_and_converts():
    net = Net()
    weight, before = net.first.weight, net.first.weight._data
    state = {k: v.double().numpy() for k, v in net.state_dict().items()}
    state["first.weight"] = state["first.weight"] + 1
    net.load_state_dict(state)
    assert net.first.weight is weight
    assert weight._data is before
    assert weight.dtype == hm.float32
    assert weight[0, 0].item() == 1
    assert weight.requires_grad


def test_load_by_assignment_takes_the_memory():
    net = Net()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    state["first.weight"] = state["first.weight"].double()
    weight = net.first.weight
    net.load_state_dict(state, assign=True)
    assert net.first.weight is weight
    assert weight.dtype == hm.float64
    assert np.shares_memory(weight._data, state["first.weight"]._data)


def test_missing_and_unexpected_names():
    net = Net()
    state = net.state_dict()
    state["third.weight"] = state.pop("second.weight")
    with pytest.raises(StateDictError, match=r"does not fit Net: missing 'second\.weight'; unexpected 'third\.weight'"):
        net.load_state_dict(state)
    found = net.load_state_dict(state, strict=False)
    assert found.missing_keys == ["second.weight"]
    assert found.unexpected_keys == ["third.weight"]
    assert "missing_keys=['second.weight']" in repr(found)


@pytest.mark.parametrize("kind", [InputError, RuntimeError, ValueError])
def test_the_error_is_of_the_kinds_people_catch(kind):
    with pytest.raises(kind):
        Net().load_state_dict({})


def test_many_problems_are_cut_short():
    net = nn.Module()
    for i in range(20):
        net.register_buffer(f"b{i}", hm.zeros(1))
    with pytest.raises(StateDictError, match=r"missing 'b0', .* and 14 more"):
        net.load_state_dict({})
    with pytest.raises(StateDictError, match=r"; and 12 more"):
        net.load_state_dict({f"b{i}": hm.zeros(2) for i in range(20)})


@pytest.mark.parametrize("strict", [True, False])
def test_wrong_shape_changes_nothing(strict):
    net = Net()
    state = {k: v.clone() + 1 for k, v in net.state_dict().items()}
    state["second.weight"] = hm.zeros(1, 4)
    with pytest.raises(StateDictError, match=r"'second.weight' has shape \(1, 4\) where \(1, 3\) is right"):
        net.load_state_dict(state, strict=strict)
    assert net.first.weight[0, 0].item() == 0


def test_values_that_are_no_tensors():
    net = Net()
    with pytest.raises(StateDictError, match="'count' is a str and no tensor"):
        net.load_state_dict({**net.state_dict(), "count": "three"})
    with pytest.raises(TypeError, match="takes a dict of names and tensors, not a list"):
        net.load_state_dict([1])
