"""The check of derivatives is checked itself: it must find what is wrong."""

from __future__ import annotations

import pytest

import haema as hm
from haema.autograd import gradcheck, gradgradcheck
from haema.errors import HaemaError


def leaf(*values: float) -> hm.Tensor:
    return hm.tensor(list(values), dtype=hm.float64, requires_grad=True)


def wrong_square(x: hm.Tensor) -> hm.Tensor:
    """x^2, whose derivative is made x instead of 2x."""
    return x * x.detach()


def wrong_in_one_place(x: hm.Tensor) -> hm.Tensor:
    """Right everywhere but at element 1."""
    y = x * x
    if y.requires_grad:
        y.register_hook(lambda g: g * hm.tensor([1.0, 1.001, 1.0], dtype=hm.float64))
    return y


def wrong_second(x: hm.Tensor) -> hm.Tensor:
    """x^3 with the right value and first derivative, but without the second."""
    return x.detach() ** 3 + 3 * x.detach() ** 2 * (x - x.detach())


def test_a_lost_history_is_found() -> None:
    """A result that does not require a gradient used to be left out, and with it derivatives cut off the tape."""
    assert not gradcheck(lambda x: (x.detach() * 2, x * 1), leaf(1.0), raise_exception=False)
    assert gradcheck(lambda x: (x.floor(), x * 1), leaf(1.5))


def test_what_is_right_passes() -> None:
    assert gradcheck(lambda x, y: (x * y).sin(), (leaf(1, 2), leaf(3)))
    assert gradgradcheck(lambda x, y: (x * y).sin(), (leaf(1, 2), leaf(3)))
    assert gradcheck(lambda x: (x * 2, x.argmax(), x * x), leaf(1, 2))  # several results, one without a gradient
    assert gradcheck(lambda x, n: x * n, (leaf(1.0), hm.tensor([2.0], dtype=hm.float64)))


def test_a_wrong_derivative_is_found() -> None:
    message = r"gradcheck: d output 0\[0\] / d input 0\[0\] is 3 by backward and 6 by finite differences"
    with pytest.raises(HaemaError, match=message):
        gradcheck(wrong_square, leaf(3.0))
    assert not gradcheck(wrong_square, leaf(3.0), raise_exception=False)


def test_it_is_found_in_one_place() -> None:
    with pytest.raises(HaemaError, match=r"d output 0\[1\] / d input 0\[1\]"):
        gradcheck(wrong_in_one_place, leaf(1, 2, 3), rtol=1e-4)


def test_a_wrong_second_derivative_is_found() -> None:
    assert gradcheck(lambda x: x**3, leaf(2.0))
    assert not gradgradcheck(wrong_square, leaf(3.0), raise_exception=False)
    assert not gradgradcheck(wrong_second, leaf(2.0), raise_exception=False)


def test_a_nan_is_found() -> None:
    assert not gradcheck(lambda x: (x * 0).sqrt() + x, leaf(1.0), raise_exception=False)


def test_inputs() -> None:
    with pytest.raises(HaemaError, match="gradcheck: none of the inputs requires a gradient"):
        gradcheck(lambda x: x * 2, hm.ones(1))
    x = hm.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=hm.float64).T.requires_grad_()
    with pytest.raises(HaemaError, match="gradcheck: inputs must be contiguous"):
        gradcheck(lambda x: x * 2, x)


def test_inputs_are_left_as_they_were() -> None:
    x = leaf(1, 2)
    gradcheck(lambda x: x.exp(), x)
    assert x.tolist() == [1, 2]
    assert x.grad is None
