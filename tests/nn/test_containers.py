"""Modules and parameters in lists and dicts."""

import copy
import pickle
from collections import OrderedDict
from itertools import pairwise

import pytest
from nn_modules import Affine

import haema as hm
from haema import nn


def affines(*sizes):
    return [Affine(n, m) for n, m in pairwise(sizes)]


# -- Sequential


def test_sequential_applies_in_order():
    a, b = affines(2, 3, 1)
    x = hm.ones(4, 2)
    assert (nn.Sequential(a, b)(x) == b(a(x))).all()
    assert nn.Sequential()(x) is x


def test_sequential_of_a_dict():
    a, b = affines(2, 3, 1)
    net = nn.Sequential(OrderedDict([("in", a), ("out", b)]))
    assert net.out is b
    assert net[0] is a
    assert list(net.state_dict()) == ["in.weight", "in.bias", "out.weight", "out.bias"]
    assert net.config()["args"]["args"][0].keys() == {"in", "out"}
    del net[0]
    assert net[0] is b
    assert list(net.state_dict()) == ["out.weight", "out.bias"]


def test_sequential_is_a_sequence():
    modules = affines(1, 2, 3, 4)
    net = nn.Sequential(*modules)
    assert len(net) == 3
    assert list(net) == modules
    assert net[-1] is modules[2]
    assert list(net[1:]) == modules[1:]
    assert type(net[:2]) is nn.Sequential
    assert list(net[1:].state_dict()) == ["1.weight", "1.bias", "2.weight", "2.bias"], "names stay, as in PyTorch"
    assert not net.eval()[:1].training
    new = Affine(2, 2)
    net[1] = new
    assert net[1] is new
    for i in (3, -4):
        with pytest.raises(IndexError, match=rf"Sequential has 3 entries, and {i} is outside"):
            _ = net[i]


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *m: nn.ModuleList(m)])
def test_growing_and_shrinking(kind):
    a, b, c, d = affines(1, 2, 3, 4, 5)
    net = kind(b)
    assert net.append(c) is net
    net.insert(0, a)
    net.extend([d])
    assert list(net) == [a, b, c, d]
    assert list(net._modules) == ["0", "1", "2", "3"]
    del net[1]
    assert list(net) == [a, c, d]
    assert list(net._modules) == ["0", "1", "2"]
    assert net.pop() is d
    assert net.pop(0) is a
    net.insert(1, b)
    assert list(net) == [c, b]
    net += [d] if isinstance(net, nn.ModuleList) else nn.Sequential(d)
    assert list(net) == [c, b, d]
    del net[1:]
    assert list(net) == [c]
    both = net + kind(a)
    assert list(both) == [c, a]
    assert list(net) == [c]


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *m: nn.ModuleList(m)])
def test_wrong_entries(kind):
    net = kind(Affine(1, 1))
    with pytest.raises(TypeError, match="a int is not a Module"):
        net.append(3)
    with pytest.raises(TypeError, match="a int is not a Module"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="a str is not a Module"):
        net[0] = "x"
    with pytest.raises(TypeError, match="extend takes several modules, not a int"):
        net.extend(3)
    with pytest.raises(IndexError, match="has 1 entries, and 5 is outside"):
        net.insert(5, Affine(1, 1))
    with pytest.raises(IndexError, match="has 1 entries, and 1 is outside"):
        del net[1]
    with pytest.raises(TypeError, match="a list is not a Module"):
        nn.Sequential([Affine(1, 1)])


def test_sequentials_are_only_added_to_sequentials():
    net = nn.Sequential()
    with pytest.raises(TypeError):
        _ = net + 3
    with pytest.raises(TypeError):
        net += 3


def test_sequential_prints_as_in_pytorch():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=1, bias=True)\n"
        "  )\n"
        ")"
    )


# -- ModuleList


def test_module_list():
    modules = affines(1, 2, 3, 4)
    held = nn.ModuleList(modules)
    assert len(list(held.parameters())) == 6
    assert type(held[:2]) is nn.ModuleList
    assert list(held[::-1]) == modules[::-1]
    assert len(nn.ModuleList()) == 0
    with pytest.raises(NotImplementedError, match=r"\[ModuleList\]"):
        held(1)


def test_module_list_prints_equal_neighbours_once():
    held = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1))])
    assert repr(held) == (
        "ModuleList(\n"
        "  (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)\n"
        "  (2): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=1, bias=True)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


# -- ModuleDict


def test_module_dict():
    a, b = affines(1, 2, 3)
    held = nn.ModuleDict({"a": a})
    held["b"] = b
    assert list(held) == ["a", "b"] == list(held.keys())
    assert list(held.values()) == [a, b]
    assert list(held.items()) == [("a", a), ("b", b)]
    assert "a" in held
    assert len(held) == 2
    held.update([("a", b)])
    assert held["a"] is b
    held.update(nn.ModuleDict({"c": a}))
    assert held.pop("c") is a
    del held["a"]
    assert list(held) == ["b"]
    held.clear()
    assert len(held) == 0
    with pytest.raises(KeyError):
        _ = held["a"]


def test_wrong_module_dicts():
    with pytest.raises(TypeError, match="takes a dict or pairs of names and modules, not a int"):
        nn.ModuleDict(3)
    with pytest.raises(TypeError, match="takes pairs of a name and a module, not 3"):
        nn.ModuleDict([3])
    with pytest.raises(TypeError, match="a int is not a Module"):
        nn.ModuleDict({"a": 1})


# -- parameters


def test_parameter_list():
    held = nn.ParameterList([hm.ones(2), nn.Parameter(hm.zeros(3))])
    assert all(isinstance(p, nn.Parameter) for p in held)
    assert [n for n, _ in held.named_parameters()] == ["0", "1"]
    assert held.append(hm.ones(1)) is held
    held.extend([hm.ones(4)])
    held += [hm.ones(5)]
    assert [len(p) for p in held] == [2, 3, 1, 4, 5]
    assert held[-1].shape == (5,)
    assert [len(p) for p in held[1:3]] == [3, 1]
    held[0] = hm.ones(7)
    assert held[0].shape == (7,)
    assert repr(nn.ParameterList([hm.ones(2, 3)])) == (
        "ParameterList(\n  (0): Parameter containing: [float32 of size 2x3]\n)"
    )
    assert repr(nn.ParameterList()) == "ParameterList()"
    with pytest.raises(TypeError, match="takes parameters and tensors, not a int"):
        held.append(3)
    with pytest.raises(TypeError, match="takes several parameters, not a Tensor"):
        held.extend(hm.ones(2))
    with pytest.raises(IndexError, match="ParameterList has 5 entries, and 5 is outside"):
        _ = held[5]


def test_parameter_dict():
    held = nn.ParameterDict({"a": hm.ones(2)})
    held["b"] = nn.Parameter(hm.ones(3))
    held.update([("c", hm.ones(1))])
    held.update(nn.ParameterDict({"d": hm.ones(4)}))
    assert list(held) == ["a", "b", "c", "d"] == list(held.keys())
    assert [n for n, _ in held.items()] == list(held)
    assert all(isinstance(p, nn.Parameter) for p in held.values())
    assert "a" in held
    assert len(held) == 4
    assert held.get("x") is None
    assert held.pop("d").shape == (4,)
    del held["c"]
    assert list(held.state_dict()) == ["a", "b"]
    assert "(a): Parameter containing: [float32 of size 2]" in repr(held)
    held.clear()
    assert repr(held) == "ParameterDict()"
    with pytest.raises(TypeError, match="takes parameters and tensors, not a int"):
        held["a"] = 1
    with pytest.raises(TypeError, match="takes a dict or pairs of names and parameters, not a int"):
        held.update(3)


# -- all of them


CONTAINERS = {
    "sequential": lambda: nn.Sequential(*affines(1, 2, 3)),
    "named": lambda: nn.Sequential(OrderedDict(a=Affine(1, 2), b=Affine(2, 3))),
    "part": lambda: nn.Sequential(*affines(1, 2, 3, 4))[1:],
    "list": lambda: nn.ModuleList(affines(1, 2, 3)),
    "dict": lambda: nn.ModuleDict({"x": Affine(1, 2), "$": Affine(2, 2)}),
    "parameters": lambda: nn.ParameterList([hm.ones(2), hm.zeros(3, dtype=hm.float64)]),
    "named parameters": lambda: nn.ParameterDict({"x": hm.ones(2), "$": hm.ones(1)}),
    "nested": lambda: nn.ModuleList([nn.ModuleDict({"x": nn.Sequential(Affine(1, 1))}), nn.ParameterList()]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_built_again_from_present_contents(name):
    held = CONTAINERS[name]()
    if name in ("sequential", "list"):
        held.append(Affine(3, 4))
    built = nn.build(held.config(), [Affine])
    assert repr(built) == repr(held)
    assert {k: (v.shape, v.dtype) for k, v in built.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in held.state_dict().items()
    }


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(name, again):
    held = CONTAINERS[name]()
    assert repr(again(held)) == repr(held)


@pytest.mark.parametrize("base", [nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict])
def test_a_subclass_with_its_own_constructor_is_described_by_that(base):
    class Own(base):
        def __init__(self, n=3):
            super().__init__()
            self.n = n

    assert Own(5).config() == {"type": "Own", "args": {"n": 5}}
    assert nn.build(Own(5).config(), [Own]).n == 5
