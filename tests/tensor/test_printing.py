"""How tensors look."""

from __future__ import annotations

import haema as hm


def test_values_and_notes() -> None:
    assert repr(hm.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(hm.tensor(3)) == "tensor(3)"
    assert repr(hm.tensor([[1, 2], [3, 4]])) == "tensor([[1, 2],\n        [3, 4]])"
    assert repr(hm.tensor([True, False])) == "tensor([ True, False])"
    assert repr(hm.tensor([1.5], dtype=hm.float64)) == "tensor([1.5], dtype=float64)"
    assert repr(hm.tensor([1], dtype=hm.uint8)) == "tensor([1], dtype=uint8)"
    assert repr(hm.tensor([0.123456])) == "tensor([0.1235])"


def test_gradients_are_noted() -> None:
    x = hm.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<mul>)"
    assert repr((x * 2).detach()) == "tensor([2.])"


def test_empty_tensors_say_their_shape() -> None:
    assert repr(hm.zeros(0)) == "tensor([])"
    assert repr(hm.zeros(2, 0)) == "tensor([], dtype=float32, shape=(2, 0))"


def test_large_tensors_are_shortened() -> None:
    assert "..." in repr(hm.zeros(2000))
    assert len(repr(hm.zeros(100, 100))) < 1000


def test_format() -> None:
    assert f"{hm.tensor(2.5):.2f} {hm.tensor(7):03d} {hm.tensor(1.5)} {hm.tensor([1.0])}" == "2.50 007 1.5 tensor([1.])"


def test_special_values() -> None:
    assert repr(hm.tensor([float("nan"), float("inf")])) == "tensor([nan, inf])"
