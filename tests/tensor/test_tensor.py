"""What a tensor is beside its values: memory, copies, protocols, and every refusal of its functions."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import haema as hm
from haema.errors import DTypeError, HaemaError, ShapeError

X = hm.arange(24).float().reshape(2, 3, 4)
V = hm.arange(3).float()


# -- memory ------------------------------------------------------------------


def test_who_shares_memory() -> None:
    a = np.zeros((2, 3), np.float32)
    x = hm.from_numpy(a)
    a[0, 0] = 1
    assert x[0, 0].item() == 1
    x[1, 1] = 2
    assert a[1, 1] == 2
    assert np.shares_memory(x.numpy(), a)
    assert np.shares_memory(np.asarray(x), a)
    assert np.shares_memory(x.detach().numpy(), a)
    assert np.shares_memory(hm.as_tensor(a).numpy(), a)
    assert not np.shares_memory(hm.tensor(a).numpy(), a)
    assert not np.shares_memory(np.array(x), a)
    for view in (
        x[0],
        x[:, 1:],
        x.T,
        x.view(-1),
        x.reshape(3, 2),
        x.unsqueeze(0),
        x.diagonal(),
        x.unfold(1, 2, 1),
        x.expand(4, 2, 3),
    ):
        assert np.shares_memory(view.numpy(), a)
    for other in (
        x.clone(),
        x.T.contiguous(),
        x[[0, 1]],
        x.flip(0),
        x.repeat(1, 1),
        x.repeat_interleave(1, 0),
        x * 1,
        x.T.reshape(-1),
    ):
        assert not np.shares_memory(other.numpy(), a)


def test_read_only_and_stretched_memory() -> None:
    a = np.zeros(3, np.float32)
    a.flags.writeable = False
    for x in (hm.from_numpy(a), hm.zeros(1).expand(3)):
        with pytest.raises(
            HaemaError, match=r"this tensor of shape \(3,\) cannot be changed in place: it is stretched"
        ):
            x.add_(1)
        with pytest.raises(HaemaError, match="clone"):
            x[0] = 1


def test_in_place_refusals() -> None:
    with pytest.raises(
        ShapeError, match=r"in place: a result of shape \(2, 3\) does not fit this tensor of shape \(3,\)"
    ):
        hm.zeros(3).add_(hm.zeros(2, 3))
    with pytest.raises(DTypeError, match="in place: a result of type float32 does not go into a int64 tensor"):
        hm.arange(3).mul_(1.5)
    with pytest.raises(ShapeError, match="expand"):
        hm.zeros(3).copy_(hm.zeros(2))


def test_data() -> None:
    x = hm.ones(2, requires_grad=True)
    x.data = hm.zeros(2)
    assert x.tolist() == [0, 0]
    x.data.add_(1)
    assert x.tolist() == [1, 1]
    assert x.is_leaf


def test_detach_in_place() -> None:
    x = hm.ones(2, requires_grad=True)
    y = (x * 2).detach_()
    assert y.is_leaf
    assert not y.requires_grad


def test_copies() -> None:
    x = hm.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.grad.tolist() == [3, 3]
    with hm.no_grad():
        y.zero_()
    assert x.tolist() == [1, 2]
    both = copy.deepcopy([x, x])
    assert both[0] is both[1]
    with pytest.raises(HaemaError, match="only leaf tensors can be deep-copied"):
        copy.deepcopy(x * 2)
    z = pickle.loads(pickle.dumps(x.T))
    assert z.tolist() == [1, 2]
    w = pickle.loads(pickle.dumps(x))
    assert w.requires_grad
    w.data.add_(1)


# -- protocols ------------------------------------------------------------------


def test_numpy_stands_back() -> None:
    a, x = np.ones(2, np.float32), hm.ones(2)
    for y in (a + x, a * x, a - x, a / x, a**x, a // x, a % x, np.float32(2) * x, a @ x, a < x, x + a, x == a):
        assert isinstance(y, hm.Tensor)
    assert (np.float64(2) * x).dtype == hm.float32
    x += a
    assert x.tolist() == [2, 2]
    assert np.asarray(x, dtype=np.float64).dtype == np.float64


def test_a_tensor_that_requires_a_gradient_gives_no_array() -> None:
    x = hm.ones(2, requires_grad=True)
    with pytest.raises(HaemaError, match=r"use .detach\(\).numpy\(\)"):
        np.asarray(x)


def test_equality_with_what_is_no_number() -> None:
    """Comparing with None raised; in PyTorch it is False, as for any two unlike things in Python."""
    x = hm.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    assert x not in [None, "a"]
    assert len({x, x, hm.ones(2)}) == 2


def test_reading_refusals() -> None:
    with pytest.raises(HaemaError, match=r"item\(\): needs a tensor with one element, and shape \(2, 3, 4\) has 24"):
        X.item()
    with pytest.raises(HaemaError, match=r"a tensor of shape \(2, 3, 4\) is neither true nor false; ask .any\(\)"):
        bool(X)
    with pytest.raises(TypeError, match="only an integer tensor with one element can be an index, not float32"):
        [1][hm.tensor(0.0)]
    with pytest.raises(TypeError, match="without axes"):
        len(hm.tensor(1))
    with pytest.raises(TypeError, match="without axes"):
        iter(hm.tensor(1))
    with pytest.raises(TypeError, match="format"):
        f"{V:.2f}"


def test_devices() -> None:
    assert X.device == "cpu"
    assert X.to("cpu") is X.cpu() is X
    for device in ("cuda", "cuda:0", "tpu"):
        with pytest.raises(HaemaError, match=f"there is no device '{device}': haema computes on the CPU"):
            X.to(device)
    with pytest.raises(HaemaError, match="there is no device"):
        hm.tensor(1, device="cuda")
    assert hm.tensor(1, device="cpu").item() == 1


def test_small_properties() -> None:
    assert X.itemsize == 4
    assert X.nelement() == 24
    assert X.is_floating_point()
    assert not hm.is_tensor(np.ones(1))
    assert X.view_as(hm.zeros(6, 4)).shape == (6, 4)


# -- refusals of functions ------------------------------------------------------------------

REFUSED = [
    (lambda: hm.tensor([[1], [1, 2]]), ShapeError, "tensor: the nested lists do not have equal lengths"),
    (lambda: hm.tensor("a"), DTypeError, "tensor: the elements must be numbers or booleans, not text"),
    (lambda: hm.tensor([None]), DTypeError, "not objects"),
    (lambda: hm.tensor([1j]), DTypeError, "not complex numbers"),
    (lambda: hm.tensor(b"a"), DTypeError, "not bytes"),
    (lambda: hm.tensor(np.array(["2020"], "M8[Y]")), DTypeError, "not dates"),
    (lambda: hm.tensor([2**63]), DTypeError, "tensor: 9223372036854775808 does not fit int64"),
    (
        lambda: hm.from_numpy(np.zeros(2, np.float16)),
        DTypeError,
        "from_numpy: float16 cannot be shared; arrays of bool",
    ),
    (lambda: hm.from_numpy([1]), DTypeError, "from_numpy: list cannot be shared"),
    (lambda: hm.arange(0, 1, 0), ValueError, "arange: the step must not be 0"),
    (lambda: hm.meshgrid(V, V, indexing="yx"), ValueError, "meshgrid: indexing must be 'ij' or 'xy', not 'yx'"),
    (lambda: X.reshape(-1, -1), ShapeError, "reshape: only one size can be -1, not 2"),
    (lambda: X.reshape(-2, 12), ShapeError, "reshape: a size cannot be negative"),
    (lambda: X.reshape(-1, 5), ShapeError, r"reshape: 24 elements do not fill shape \(-1, 5\) evenly"),
    (lambda: X.mT.view(-1), ShapeError, r"view: shape \(2, 4, 3\) cannot be seen as \(24,\) without copying"),
    (lambda: X.permute(0, 1), ShapeError, "permute: 2 axes given for a tensor with 3"),
    (lambda: X.t(), ShapeError, "t: needs at most 2 axes"),
    (lambda: X.expand(3, 4), ShapeError, r"expand: \(3, 4\) has fewer axes"),
    (lambda: X.flatten(2, 0), ShapeError, "flatten: start_dim 2 comes after end_dim 0"),
    (
        lambda: X.unflatten(2, (3, 2)),
        ShapeError,
        r"unflatten: axis 2 of shape \(2, 3, 4\) does not split into \(3, 2\)",
    ),
    (lambda: X.narrow(1, 2, 2), ShapeError, "narrow: 2:4 does not lie in axis 1"),
    (lambda: X.select(1, 3), IndexError, "axis 1: index 3 is out of range"),
    (lambda: X.split(0), ShapeError, "split: the size of a piece must be positive, not 0"),
    (lambda: X.split([1, 2]), ShapeError, r"split: sizes \[1, 2\] add up to 3 and axis 0 has 2"),
    (lambda: hm.cat([]), ShapeError, "cat: needs at least one tensor"),
    (lambda: hm.stack([]), ShapeError, "stack: needs at least one tensor"),
    (lambda: hm.stack([V, X]), ShapeError, r"stack: tensor 0 has shape \(3,\) and tensor 1 has \(2, 3, 4\)"),
    (lambda: X.repeat(2), ShapeError, "repeat: 1 repeats for the 3 axes"),
    (lambda: X.sum(3), IndexError, "axis 3 is out of range for a tensor with 3 axes"),
    (lambda: X.sum((0, 0)), ValueError, "named more than once"),
    (lambda: hm.arange(3).mean(), DTypeError, r"mean: needs a floating tensor, not int64; convert it with .float\(\)"),
    (lambda: hm.arange(3).var(), DTypeError, "var: needs a floating tensor"),
    (lambda: hm.arange(3).norm(), DTypeError, "norm: needs a floating tensor"),
    (lambda: hm.arange(3).softmax(0), DTypeError, "softmax: needs a floating tensor"),
    (lambda: hm.arange(3).log_softmax(0), DTypeError, "log_softmax: needs a floating tensor"),
    (lambda: V.norm("nuc"), ValueError, "norm: the order must be a number or 'fro', not 'nuc'"),
    (lambda: V.topk(4), ValueError, "topk: k is 4, and axis -1 has 3 elements"),
    (lambda: X[:, :0].amax(1), ShapeError, "max: axis 1 .* is empty"),
    (lambda: V.clamp(), ValueError, "clamp: give min, max or both"),
    (lambda: hm.where(V > 0, V), ValueError, "where: give both input and other, or neither"),
    (lambda: hm.where(V, V, V), DTypeError, "where: the condition must be bool, not float32"),
    (
        lambda: hm.div(V, V, rounding_mode="up"),
        ValueError,
        "div: rounding_mode must be None, 'floor' or 'trunc', not 'up'",
    ),
    (lambda: V & V, DTypeError, "bitwise_and: not defined for float32 tensors"),
    (lambda: -hm.tensor([True]), DTypeError, "neg: not defined for bool tensors"),
    (lambda: hm.tensor([True]) - hm.tensor([True]), DTypeError, "sub: not defined for bool tensors"),
    (lambda: hm.tensor([True]) ** hm.tensor([True]), DTypeError, "pow: not defined for bool tensors"),
    (lambda: hm.tensor([True]) // hm.tensor([True]), DTypeError, "floor_divide: not defined for bool tensors"),
    (lambda: hm.tensor([True]) % True, DTypeError, "remainder: not defined for bool tensors"),
    (lambda: hm.tensor([True]) << hm.tensor([True]), DTypeError, "shift_left: not defined for bool tensors"),
    (lambda: hm.tensor(True) >> hm.tensor(True), DTypeError, "shift_right: not defined for bool tensors"),
    (lambda: V @ hm.ones(4), ShapeError, r"matmul: shapes \(3,\) and \(4,\) do not fit: 3 columns meet 4 rows"),
    (lambda: V @ hm.ones(()), ShapeError, "matmul: needs tensors with axes; use . for a number"),
    (lambda: V @ V.double(), DTypeError, "matmul: operands have dtypes float32 and float64"),
    (lambda: V @ 2, DTypeError, "matmul: needs two tensors, not int"),
    (lambda: X @ hm.ones(3, 4, 1), ShapeError, "matmul: shapes .* do not broadcast"),
    (lambda: hm.mm(V, V), ShapeError, r"mm: needs tensors with 2 axes, not shape \(3,\)"),
    (lambda: hm.bmm(V, V), ShapeError, "bmm: needs tensors with 3 axes"),
    (lambda: hm.mv(V, V), ShapeError, "mv: needs tensors with 2 axes"),
    (lambda: hm.dot(X, V), ShapeError, "dot: needs tensors with 1 axes"),
    (lambda: hm.outer(V, X), ShapeError, "outer: needs tensors with 1 axes"),
    (lambda: hm.einsum("i,j", V), ValueError, "einsum: 'i,j' has 2 operands and 1 were given"),
    (lambda: hm.einsum("ij", V), ShapeError, r"einsum: 'ij' in 'ij' does not fit shape \(3,\)"),
    (lambda: hm.einsum("...ijk->i", V), ShapeError, "einsum: .* does not fit shape"),
    (lambda: hm.einsum("i->ii", V), ValueError, "may hold letters, and each once in the result"),
    (lambda: hm.einsum("1->1", V), ValueError, "may hold letters"),
    (lambda: hm.einsum("i->j", V), ValueError, "the result of 'i->j' has a letter that no operand has"),
    (lambda: hm.einsum("ii", hm.ones(2, 3)), ShapeError, "einsum: letter i has sizes 2 and 3"),
    (lambda: hm.einsum("i,i", V, hm.ones(2)), ShapeError, "contract: i,i->: shapes .* disagree on axis i"),
    (lambda: hm.einsum("i,i", V, V.double()), DTypeError, "einsum: operands have dtypes"),
    (lambda: hm.tensordot(V, V, ([0], [1])), IndexError, "axis 1 is out of range"),
    (lambda: V[3], IndexError, "index 3 is out of range for axis 0 with size 3"),
    (lambda: V[0, 0], IndexError, r"2 indices for a tensor with 1 axes \(shape \(3,\)\)"),
    (lambda: X[..., ...], IndexError, r"an index can have only one ellipsis"),
    (lambda: V[1.5], IndexError, "an index must hold integers or booleans, not float64"),
    (lambda: V[::-1], ValueError, r"a slice needs a step above 0, not -1; use flip\(\)"),
    (
        lambda: V[hm.tensor([True])],
        IndexError,
        r"a boolean index of shape \(1,\) does not fit axes 0.. of sizes \(3,\)",
    ),
    (lambda: V[hm.tensor([5])], IndexError, "index 5 is out of range for axis 0 with size 3"),
    (
        lambda: X[hm.tensor([0, 1]), hm.tensor([0, 1, 2])],
        IndexError,
        r"index: shapes \(2,\) and \(3,\) do not broadcast",
    ),
    (
        lambda: V.clone().__setitem__(0, hm.ones(2)),
        ShapeError,
        r"setitem: a value of shape \(2,\) does not fit a region of shape \(\)",
    ),
    (lambda: V.gather(0, hm.tensor([0.0])), DTypeError, "gather: the index must hold integers, not float32"),
    (lambda: X.gather(0, hm.tensor([0])), ShapeError, r"gather: an index of shape \(1,\) does not lie within shape"),
    (
        lambda: V.scatter(0, hm.tensor([0, 1]), hm.ones(1)),
        ShapeError,
        r"scatter: the index has shape \(2,\) and the source only \(1,\)",
    ),
    (lambda: V.masked_select(hm.tensor([True, False])), ShapeError, "masked_select: shapes .* do not broadcast"),
]


@pytest.mark.parametrize(("f", "kind", "message"), REFUSED, ids=[m[:32] for _, _, m in REFUSED])
def test_refused(f, kind, message) -> None:
    with pytest.raises(kind, match=message):
        f()


# -- what PyTorch has otherwise, or leaves open ------------------------------------------------------------------


def test_view_of_what_was_computed() -> None:
    """Products used to lie transposed in memory, so that ``view`` refused what PyTorch allows."""
    x = hm.ones(2, 3, 4)
    at = hm.tensor([0, 2])
    for y in (
        x.mT @ x,
        hm.einsum("bij->jbi", x) @ hm.ones(5, 3).T,
        hm.einsum("bij,bik->kbj", x, x),
        hm.tensordot(x, x, ([0], [0])),
        x.mT.contiguous(),
        x[:, at],
        x[:, :, at],
        x.index_select(1, at),
        x.mT.sum(0),
        x.sort(1).values,
        hm.cat([x.mT, x.mT]),
        x.mT.clone(),
    ):
        assert y.is_contiguous()
        assert y.view(-1).shape == (y.numel(),)


def test_repeat_keeps_the_type() -> None:
    """A repeated boolean tensor used to become int64."""
    assert hm.tensor([True]).repeat(2).dtype == hm.bool
    assert hm.tensor([True]).repeat_interleave(2).dtype == hm.bool
    assert hm.tensor([True]).tile(2).dtype == hm.bool


def test_diagonal_can_be_written() -> None:
    """It used to be a copy, so that writing to it did nothing."""
    x = hm.zeros(2, 3)
    x.diagonal(1).fill_(5)
    assert x.tolist() == [[0, 5, 0], [0, 0, 5]]


def test_narrow_does_not_cut_short() -> None:
    """It used to give fewer entries than asked for where the axis ended."""
    assert V.narrow(0, -2, 2).tolist() == [1, 2]
    with pytest.raises(ShapeError):
        V.narrow(0, 0, 4)


def test_inverse_hyperbolic_functions_of_large_and_zero_numbers() -> None:
    """They overflowed at the square, and asinh and sinh had slope 0 at 0."""
    for dtype, big in ((hm.float32, 1e25), (hm.float64, 1e200)):
        x = hm.tensor([0.0, big, -big], dtype=dtype, requires_grad=True)
        y = x.asinh()
        y.sum().backward()
        assert y.tolist() == pytest.approx([0, math.asinh(big), -math.asinh(big)], rel=1e-6)
        assert x.grad.tolist() == pytest.approx([1, 1 / big, 1 / big], rel=1e-6)
    t = 1e-12
    assert hm.tensor(1 + t, dtype=hm.float64).acosh().item() == pytest.approx(math.acosh(1 + t), rel=1e-12)
    assert hm.tensor(-1e-12, dtype=hm.float64).sinh().item() == pytest.approx(-1e-12, rel=1e-14)


def test_unsigned_integers_do_not_wrap_around_in_functions() -> None:
    """-x of an unsigned integer is no negative number: cosh(3) was computed from 253."""
    x = hm.tensor([3], dtype=hm.uint8)
    for name in ("cosh", "sinh", "asinh", "acosh"):
        assert getattr(x, name)().item() == pytest.approx(getattr(math, name)(3), rel=1e-6)


def test_median_of_nan() -> None:
    x = hm.tensor([1.0, math.nan, 0.0])
    assert math.isnan(x.median().item())
    assert x.median(0).indices.item() == 1


def test_equal_and_allclose() -> None:
    assert hm.equal(V, V.clone())
    assert not hm.equal(V, V[:2])
    assert hm.allclose(V, V + 1e-9)
    assert not hm.allclose(V, V + 1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7, 5), (64, 33)])
def test_new_tensors_lie_on_a_cache_line(dtype, shape):
    for make, value in ((hm.zeros, 0), (hm.ones, 1)):
        y = make(shape, dtype=dtype)
        a = y.numpy()
        assert a.shape == shape
        assert a.dtype == dtype
        assert (a == value).all()
        assert a.size == 0 or a.ctypes.data % 64 == 0
        y.fill_(1 - value)
        assert (a != value).all()


def test_sizes_that_no_memory_has():
    for sizes in ((-1,), (-2, -3), (3, -1, 0)):
        with pytest.raises(ValueError, match="negative"):
            hm.zeros(sizes)
    with pytest.raises(MemoryError, match="float32"):
        hm.zeros(1 << 45)
