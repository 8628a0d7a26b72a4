"""What programs written for PyTorch ask of devices, constructors and functions beside: refusals and edges.

That the values agree with PyTorch's is in tests/parity/cases_tutorials.py.
"""

from __future__ import annotations

import math

import pytest

import haema as hm
from haema.distributions import Bernoulli, Categorical, Distribution, Normal, kl_divergence
from haema.errors import DTypeError, HaemaError, ShapeError
from haema.utils.data import DataLoader, SubsetRandomSampler, TensorDataset


def test_devices() -> None:
    assert hm.device("cpu:1").index == 1
    assert repr(hm.device("cpu:1")) == "device(type='cpu', index=1)"
    assert hm.device(hm.device("cpu")) == "cpu"
    assert hm.ones(1).to(hm.device("cpu"), non_blocking=True).device.type == "cpu"
    assert hm.nn.Linear(1, 1).to(hm.device("cpu")).weight.device == hm.device("cpu")
    for name in ("cuda", "cuda:0", "cpu:x", "mps"):
        with pytest.raises(HaemaError, match=f"there is no device '{name}'"):
            hm.device(name)
    for make in (hm.zeros, hm.ones, hm.rand, hm.randn, hm.empty, hm.arange, hm.eye, hm.randperm, hm.Tensor):
        with pytest.raises(HaemaError, match="there is no device 'cuda'"):
            make(2, device="cuda")
    with pytest.raises(HaemaError, match="there is no device"):
        hm.as_tensor([1], device="cuda")
    with pytest.raises(HaemaError, match="computes on the CPU"):
        hm.ones(1).cuda()


def test_accelerators_that_are_not_there() -> None:
    hm.backends.cudnn.benchmark = True
    for kind in (hm.cuda, hm.accelerator, hm.backends.cudnn):
        assert not kind.is_available()
        assert "not used" in repr(kind)
    hm.cuda.manual_seed(1)
    hm.cuda.manual_seed_all(1)
    hm.cuda.empty_cache()
    hm.cuda.synchronize()
    assert hm.accelerator.current_accelerator() is None


def test_constructors() -> None:
    assert hm.Tensor([1, 2], requires_grad=True).requires_grad
    assert repr(hm.LongTensor) == "<LongTensor>"
    assert hm.ones(2).to(hm.LongTensor).dtype == hm.int64
    x = hm.ones(2, 3)
    assert x.data_ptr() == x.view(-1).data_ptr() != x.clone().data_ptr()


def test_out() -> None:
    x = hm.ones(2)
    with pytest.raises(ShapeError, match="does not fit this tensor of shape"):
        hm.add(x, x, out=hm.zeros(3))
    with pytest.raises(HaemaError, match="what is written by out= has no gradient"):
        hm.add(x, x.clone().requires_grad_(), out=hm.zeros(2))
    with hm.no_grad():
        assert hm.add(x, x, out=x).tolist() == [2, 2]


def test_two_names_of_one_argument() -> None:
    with pytest.raises(TypeError, match="sum: keepdims and keepdim are two names of one argument"):
        hm.ones(2).sum(dim=0, keepdim=True, keepdims=True)
    with pytest.raises(TypeError, match=r"sizes are given twice: \(2, 3\) and \(2,\)"):
        hm.zeros(2, 3, size=(2,))


def test_shapes_changed_in_place() -> None:
    x = hm.ones(2)
    assert x.unsqueeze_(0) is x
    assert x.shape == (1, 2)
    for y in (hm.ones(2, requires_grad=True), x[0]):
        with pytest.raises(HaemaError, match=r"keeps its shape; use x = x.unsqueeze\(...\)"):
            y.unsqueeze_(0)
    base = hm.zeros(3, 3)
    row = base[0]
    base.unsqueeze_(0)
    with pytest.raises(HaemaError, match="is a view of one whose shape was changed in place since"):
        row.mul_(hm.ones(3, requires_grad=True))
    row = base[0, 1]
    base.squeeze_(0).mul_(hm.ones(3, requires_grad=True))
    with pytest.raises(HaemaError, match="is a view of one whose shape was changed in place since"):
        row.sum()


def test_statistics_refusals() -> None:
    x = hm.rand(3)
    with pytest.raises(DTypeError, match="quantile: needs floating numbers, not int64"):
        hm.quantile(hm.arange(3), 0.5)
    with pytest.raises(ValueError, match="interpolation 'cubic' is unknown"):
        hm.quantile(x, 0.5, interpolation="cubic")
    with pytest.raises(ValueError, match=r"q must be from 0 to 1, not 1.5"):
        hm.quantile(x, 1.5)
    with pytest.raises(ShapeError, match="there are no elements"):
        hm.quantile(x[:0], 0.5)
    assert hm.quantile(hm.rand(2, 3), 0.5, keepdim=True).shape == (1, 1)
    with pytest.raises(DTypeError, match="bincount: needs integers, not float32"):
        hm.bincount(x)
    with pytest.raises(ShapeError, match="bincount: needs a vector"):
        hm.bincount(hm.zeros(2, 2).long())
    with pytest.raises(ValueError, match="must be 0 or more, not -1"):
        hm.bincount(hm.tensor([1, -1]))
    with pytest.raises(ValueError, match="give either src or value"):
        hm.zeros(2).scatter(0, hm.tensor([0]))


def test_no_grad_without_parentheses() -> None:
    @hm.no_grad
    def off() -> bool:
        return hm.is_grad_enabled()

    assert not off()
    assert hm.is_grad_enabled()


def test_serving_data() -> None:
    data = TensorDataset(hm.arange(10))
    loader = DataLoader(data, batch_size=2, sampler=SubsetRandomSampler([1, 3, 5]), pin_memory=True)
    assert sorted(hm.cat([x for (x,) in loader]).tolist()) == [1, 3, 5]
    assert len(SubsetRandomSampler(range(4))) == 4


def test_draws_follow_their_distribution() -> None:
    hm.manual_seed(0)
    n = 20_000
    share = hm.bincount(Categorical(hm.tensor([1.0, 2.0, 1.0])).sample((n,))) / n
    assert abs(share - hm.tensor([0.25, 0.5, 0.25])).max() < 4 * math.sqrt(0.25 / n)
    x = Normal(hm.tensor(2.0), 3.0).sample((n,))
    assert abs(x.mean() - 2) < 4 * 3 / math.sqrt(n)
    assert abs(x.std() - 3) < 4 * 3 / math.sqrt(2 * n)
    assert abs(Bernoulli(0.3).sample((n,)).mean() - 0.3) < 4 * math.sqrt(0.21 / n)


def test_gradients_through_draws() -> None:
    mean, spread = hm.zeros(1, requires_grad=True), hm.ones(1, requires_grad=True)
    x = Normal(mean, spread).rsample()
    x.sum().backward()
    assert mean.grad is not None
    assert mean.grad.item() == 1
    assert spread.grad is not None
    assert spread.grad.item() == pytest.approx(x.item())
    assert not Normal(mean, spread).sample().requires_grad


def test_distribution_refusals() -> None:
    with pytest.raises(ValueError, match="Categorical: give either probs or logits"):
        Categorical()
    with pytest.raises(ValueError, match="Bernoulli: give either probs or logits"):
        Bernoulli(0.5, 0.5)
    with pytest.raises(HaemaError, match=r"draws of separate values have no gradient; use sample\(\)"):
        Bernoulli(0.5).rsample()
    with pytest.raises(NotImplementedError, match="no formula for Bernoulli and Normal"):
        kl_divergence(Bernoulli(0.5), Normal(0, 1))
    for method in ("sample", "entropy"):
        with pytest.raises(NotImplementedError, match=method):
            getattr(Distribution(), method)()
    with pytest.raises(NotImplementedError, match="log_prob"):
        Distribution().log_prob(hm.ones(1))
