"""Functions with a derivative written by hand, and whole matrices of derivatives: what they refuse, and their edges.

That they agree with PyTorch is in tests/parity/cases_tutorials.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import haema as hm
from haema.autograd import Function, gradgradcheck
from haema.autograd.function import once_differentiable
from haema.autograd.functional import hessian, jacobian
from haema.errors import HaemaError, ShapeError


def function(back: Any, save: Any = lambda x, y: ()) -> Any:
    """A function y = 2 x whose backward is ``back(ctx, g)``."""

    class Twice(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * 2
            ctx.save_for_backward(*save(x, y))
            return y

        backward = staticmethod(back)

    return Twice.apply


def leaf(*values: float) -> hm.Tensor:
    return hm.tensor(values, dtype=hm.float64, requires_grad=True)


def test_numpy_inside_forward() -> None:
    class Sine(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x, None)
            return hm.from_numpy(np.sin(x.detach().numpy()))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, nothing = ctx.saved_tensors
            assert nothing is None
            return g * x.cos()

    assert gradgradcheck(Sine.apply, leaf(0.3, -2.0))
    y = Sine.apply(leaf(1.0))
    assert y.grad_fn.name() == "Sine"
    assert y.grad_fn.next_functions[0][0].name() == repr(y.grad_fn.next_functions[0][0]).strip("<>") == "leaf"
    assert y.grad_fn.next_functions[0][0].next_functions == ()
    assert Sine.apply(hm.ones(1)).grad_fn is None


def test_outputs_that_are_inputs_and_outputs_that_are_not_differentiable() -> None:
    class Odd(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: int) -> Any:
            ctx.save_for_backward(x)
            return x, x.long()

        @staticmethod
        def backward(ctx: Any, g: Any, zeros: Any) -> Any:
            assert zeros.tolist() == [0.0, 0.0]
            return g * 3, None

    x = leaf(1.5, 2.5)
    y, n = Odd.apply(x, 4)
    assert not n.requires_grad
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]

    class Count(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.long()

    assert not Count.apply(x).requires_grad


def test_gradients_of_stretched_inputs_are_summed() -> None:
    x = leaf(3.0)
    function(lambda ctx, g: hm.ones(4, 1).float())(x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0]
    assert x.grad.dtype == hm.float64


def test_once_differentiable() -> None:
    x = leaf(1.0)
    y = function(once_differentiable(lambda ctx, g: g * 2))(x)
    (g,) = hm.autograd.grad(y, x, create_graph=True)
    assert not g.requires_grad


def test_refusals() -> None:
    x = leaf(1.0, 2.0)
    for back, message in (
        (lambda ctx, g: (g, g), "gave 2 gradients, and forward had 1 arguments"),
        (lambda ctx, g: 1.0, "gave a float, where a tensor or None is right"),
    ):
        with pytest.raises(HaemaError, match=message):
            function(back)(x).sum().backward()
    with pytest.raises(ShapeError, match=r"gave a gradient of shape \(3,\) for an input of \(2,\)"):
        function(lambda ctx, g: hm.ones(3))(x).sum().backward()
    with pytest.raises(NotImplementedError, match="static method forward"):
        Function.apply(x)
    with pytest.raises(NotImplementedError, match="static method backward"):
        Function.backward(None)

    class Text(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2, "text"

    with pytest.raises(HaemaError, match=r"Text.forward gave a str, where tensors are right"):
        Text.apply(x)


def test_saved_tensors_are_guarded() -> None:
    def read(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0]

    for which in (0, 1):
        x = leaf(1.0, 2.0)
        inner = x * 1
        y = function(read, lambda *both, which=which: (both[which],))(inner)
        total = y.sum()
        with hm.no_grad():
            (inner, y)[which].add_(1)
        with pytest.raises(HaemaError, match="was changed in place after it was used"):
            total.backward()
    x = leaf(1.0, 2.0)
    y = function(read, lambda x, y: (x,))(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    with pytest.raises(HaemaError, match="Twice before and freed what it had kept"):
        y.sum().backward()


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        hm.autograd.nothing  # noqa: B018


def test_jacobian_refusals_and_edges() -> None:
    with pytest.raises(HaemaError, match="gave a int, where tensors are right"):
        jacobian(lambda x: (x, 1), hm.ones(1))
    with pytest.raises(HaemaError, match="must give a tensor with one element"):
        hessian(lambda x: x, hm.ones(2))
    assert jacobian(lambda x: x[:0], hm.ones(2)).shape == (0, 2)
    assert hessian(lambda x: hm.ones(1), hm.ones(2)).tolist() == [[0, 0], [0, 0]]
    assert hessian(lambda x, y: hm.ones(1), (hm.ones(1), hm.ones(1)))[0][1].tolist() == [[0]]
    x = leaf(2.0)
    (third,) = hm.autograd.grad(hessian(lambda x: (x**4).sum(), x, create_graph=True).sum(), x)
    assert third.tolist() == [48.0]


def test_a_gradient_is_added_where_it_stands() -> None:
    # it was put into new memory each time, so that a gradient taken earlier did not follow
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    g = x.grad
    (x * 3).sum().backward()
    assert x.grad is g
    assert g is not None
    assert g.tolist() == [5.0, 5.0]
    (x**3).sum().backward(create_graph=True)
    assert x.grad is not g
    (x.grad.sum() if x.grad is not None else x).backward()
