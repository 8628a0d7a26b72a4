"""The module: attributes, the tree below it, modes, conversions, printing, copies."""

import copy
import pickle

import numpy as np
import pytest

import haema as hm
from haema import nn
from haema.errors import DTypeError, HaemaError


class Affine(nn.Module):
    def __init__(self, n, m, bias=True):
        super().__init__()
        self.n, self.m = n, m
        self.weight = nn.Parameter(hm.arange(n * m).reshape(m, n).float())
        if bias:
            self.bias = nn.Parameter(hm.ones(m))
        else:
            self.register_parameter("bias", None)

    def forward(self, x):
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias

    def extra_repr(self):
        return f"{self.n}, {self.m}"


class Net(nn.Module):
    def __init__(self, hidden=3):
        super().__init__()
        self.first = Affine(2, hidden)
        self.second = Affine(hidden, 1, bias=False)
        self.register_buffer("count", hm.tensor(0))
        self.register_buffer("scratch", hm.zeros(2), persistent=False)

    def forward(self, x):
        return self.second(self.first(x))


# -- parameters


def test_parameter_is_a_learned_leaf_and_operations_give_tensors():
    p = nn.Parameter(hm.ones(2))
    assert p.requires_grad
    assert p.is_leaf
    assert type(p * 2) is hm.Tensor
    assert type(p.detach()) is hm.Tensor
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_parameter_shares_the_memory_of_a_tensor():
    x = hm.zeros(2)
    p = nn.Parameter(x)
    with hm.no_grad():
        p.add_(1)
    assert x.tolist() == [1, 1]


def test_parameter_from_numbers_and_without_gradient():
    assert nn.Parameter([1.0, 2.0]).tolist() == [1, 2]
    assert not nn.Parameter(hm.tensor([1, 2]), requires_grad=False).requires_grad


def test_integer_parameter_cannot_be_learned():
    with pytest.raises(DTypeError, match="only floating tensors"):
        nn.Parameter(hm.tensor([1, 2]))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_parameter_copies(again):
    p = nn.Parameter(hm.tensor([1.0, 2.0]))
    q = again(p)
    assert type(q) is nn.Parameter
    assert q.requires_grad
    assert q.tolist() == [1, 2]
    assert not np.shares_memory(p._data, q._data)


def test_pickling_keeps_a_tensor_without_axes_without_axes():
    # it used to come back with one axis
    assert pickle.loads(pickle.dumps(hm.tensor(3))).shape == ()
    assert pickle.loads(pickle.dumps(hm.ones(2, 3).T)).tolist() == [[1, 1]] * 3


# -- attributes


def test_assignment_sorts_by_kind():
    net = Net()
    assert list(dict(net.named_parameters())) == ["first.weight", "first.bias", "second.weight"]
    assert list(dict(net.named_buffers())) == ["count", "scratch"]
    assert list(dict(net.named_children())) == ["first", "second"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]


def test_what_was_plain_can_become_a_parameter_and_a_parameter_none():
    m = nn.Module()
    m.w = None
    m.w = nn.Parameter(hm.ones(1))
    assert "w" in m._parameters
    assert "w" not in m.__dict__
    m.w = None
    assert m.w is None
    assert list(m.parameters()) == []
    m.w = nn.Parameter(hm.ones(2))
    assert m.w.shape == (2,)


def test_a_parameter_can_become_a_module():
    m = nn.Module()
    m.w = hm.ones(1)
    m.w = nn.Parameter(hm.ones(1))
    with pytest.raises(TypeError, match="cannot assign a Module as parameter 'w'"):
        m.w = nn.Module()
    del m.w
    m.w = nn.Module()
    m.w = nn.Parameter(hm.ones(1))
    assert list(m.children()) == []


def test_the_base_constructor_may_be_forgotten():
    class Forgetful(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(hm.ones(1))

    assert len(list(Forgetful().parameters())) == 1


def test_wrong_assignments():
    net = Net()
    with pytest.raises(TypeError, match=r"cannot assign a Tensor as parameter 'weight'; it takes an nn\.Parameter"):
        net.first.weight = hm.ones(3, 2)
    with pytest.raises(TypeError, match="cannot assign a int as child module 'first'"):
        net.first = 3
    with pytest.raises(TypeError, match="cannot assign a float as buffer 'count'"):
        net.count = 1.0


def test_buffers_and_modules_can_be_replaced_and_emptied():
    net = Net()
    net.count = hm.tensor(5)
    assert net.state_dict()["count"].item() == 5
    net.count = None
    assert "count" not in net.state_dict()
    net.second = None
    assert net.second is None
    assert list(dict(net.named_children())) == ["first"]
    net.second = Affine(3, 4)
    assert list(dict(net.named_children())) == ["first", "second"]


def test_missing_attribute():
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'third'"):
        _ = Net().third


def test_delete():
    net = Net()
    del net.first
    del net.scratch
    net.plain = 1
    del net.plain
    assert [n for n, _ in net.named_modules()] == ["", "second"]
    with pytest.raises(AttributeError):
        del net.plain
    net.register_buffer("scratch", hm.zeros(1))
    assert "scratch" in net.state_dict()


def test_dir_lists_what_is_held():
    assert {"first", "count", "forward"} <= set(dir(Net()))


@pytest.mark.parametrize(
    ("register", "value"),
    [("register_parameter", nn.Parameter(hm.ones(1))), ("register_buffer", hm.ones(1)), ("add_module", nn.Module())],
)
def test_names(register, value):
    m = nn.Module()
    m.taken = 3
    with pytest.raises(KeyError, match="already has an attribute 'taken'"):
        getattr(m, register)("taken", value)
    with pytest.raises(KeyError, match="cannot contain"):
        getattr(m, register)("a.b", value)
    with pytest.raises(KeyError, match="cannot be empty"):
        getattr(m, register)("", value)
    with pytest.raises(TypeError, match="must be a string, not a int"):
        getattr(m, register)(3, value)
    getattr(m, register)("free", value)
    getattr(m, register)("nothing", None)
    assert m.free is value
    assert m.nothing is None


def test_wrong_registrations():
    m = nn.Module()
    with pytest.raises(TypeError, match="cannot register a Tensor as parameter 'w'"):
        m.register_parameter("w", hm.ones(1))
    with pytest.raises(TypeError, match="cannot register a int as buffer 'b'"):
        m.register_buffer("b", 1)
    with pytest.raises(TypeError, match="a int is not a Module"):
        m.add_module("m", 1)
    computed = nn.Parameter(hm.ones(1))
    computed._record = (nn.Parameter(hm.ones(1)) * 2).grad_fn
    with pytest.raises(ValueError, match="only a leaf can be learned"):
        m.register_parameter("w", computed)


# -- the tree


def test_shared_parameters_and_modules_come_once():
    net = Net()
    net.again = net.first
    net.second.tied = net.first.weight
    assert [n for n, _ in net.named_parameters()] == ["first.weight", "first.bias", "second.weight"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "first", "second", "again"]
    assert "second.tied" in dict(net.named_parameters(remove_duplicate=False))
    assert set(net.state_dict()) >= {"again.weight", "second.tied"}


def test_prefix_and_recurse():
    net = Net()
    assert [n for n, _ in net.named_parameters("net")] == ["net.first.weight", "net.first.bias", "net.second.weight"]
    assert list(net.parameters(recurse=False)) == []
    assert [n for n, _ in net.named_buffers(recurse=False)] == ["count", "scratch"]
    assert len(list(net.buffers())) == 2
    assert [n for n, _ in net.named_modules(prefix="x")] == ["x", "x.first", "x.second"]
    assert len(list(net.modules())) == 3


def test_lookup_by_dotted_name():
    net = Net()
    net.first.inner = Affine(1, 1)
    assert net.get_submodule("") is net
    assert net.get_submodule("first.inner") is net.first.inner
    assert net.get_parameter("first.inner.weight") is net.first.inner.weight
    assert net.get_buffer("count") is net.count
    with pytest.raises(AttributeError, match=r"Net has no child module 'frist' \(in 'frist.inner'\): did you mean"):
        net.get_submodule("frist.inner")
    with pytest.raises(AttributeError, match="has no parameter 'wieght'"):
        net.get_parameter("first.wieght")
    with pytest.raises(AttributeError, match="has no buffer 'first'"):
        net.get_buffer("first")


def test_apply_goes_children_first():
    names = []
    net = Net()
    assert net.apply(lambda m: names.append(type(m).__name__)) is net
    assert names == ["Affine", "Affine", "Net"]


# -- modes and conversions


def test_train_and_eval_reach_all():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="mode must be True or False, not a str"):
        net.train("yes")


def test_requires_grad_and_zero_grad():
    net = Net()
    net(hm.ones(1, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in net.parameters())
    net.zero_grad()
    net.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())


def test_conversion_in_place():
    net = Net()
    net(hm.ones(1, 2)).sum().backward()
    weight = net.first.weight
    assert net.double() is net
    assert net.first.weight is weight
    assert weight.dtype == hm.float64
    assert weight.grad.dtype == hm.float64
    assert net.scratch.dtype == hm.float64
    assert net.count.dtype == hm.int64, "integers stay what they are"
    assert net(hm.ones(1, 2, dtype=hm.float64)).dtype == hm.float64
    assert net.float().first.weight.dtype == hm.float32
    assert net.to(hm.float64).first.weight.dtype == hm.float64
    assert net.to("cpu").first.weight.dtype == hm.float64
    assert net.to(device="cpu", dtype=hm.float32).first.weight.dtype == hm.float32
    assert net.to(hm.zeros(1, dtype=hm.float64)).first.weight.dtype == hm.float64
    assert net.type(hm.float32).first.weight.dtype == hm.float32
    assert net.cpu() is net


def test_conversions_that_there_are_not():
    net = Net()
    with pytest.raises(DTypeError, match="float32 or float64, not to int64"):
        net.to(hm.int64)
    with pytest.raises(DTypeError, match="no float16"):
        net.half()
    with pytest.raises(DTypeError, match="no bfloat16"):
        net.bfloat16()
    with pytest.raises(HaemaError, match="computes on the CPU"):
        net.cuda()
    with pytest.raises(HaemaError, match="no device 'cuda:0'"):
        net.to("cuda:0")


# -- calling, printing, copying


def test_missing_forward():
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


def test_repr():
    assert repr(nn.Module()) == "Module()"
    assert repr(Net()) == "Net(\n  (first): Affine(2, 3)\n  (second): Affine(3, 1)\n)"
    outer = nn.Module()
    outer.net = Net()
    outer.extra_repr = lambda: "two\nlines"
    assert repr(outer) == (
        "Module(\n  two\n  lines\n  (net): Net(\n    (first): Affine(2, 3)\n    (second): Affine(3, 1)\n  )\n)"
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_apart(again):
    net = Net(hidden=4).eval()
    net.tied = net.first
    other = again(net)
    x = hm.ones(2, 2)
    assert (other(x) == net(x)).all()
    assert other.tied is other.first
    assert not other.training
    assert other.config() == net.config()
    with hm.no_grad():
        other.first.weight.zero_()
    assert (net.first.weight != 0).any()
