"""Gradient clipping, and parameters as one vector."""

from __future__ import annotations

import math

import pytest

import haema as hm
from haema.errors import HaemaError, ShapeError
from haema.nn import utils


def _with_gradients(*grads: list[float]) -> list[hm.Tensor]:
    params = []
    for g in grads:
        p = hm.zeros(len(g), requires_grad=True)
        p.grad = hm.tensor(g)
        params.append(p)
    return params


@pytest.mark.parametrize(
    ("p", "expected"), [(2.0, 5.0), (1, 7.0), (math.inf, 4.0), ("inf", 4.0), (-math.inf, 3.0), (0, 2.0)]
)
def test_norm_of_all_together(p: float, expected: float) -> None:
    assert utils.get_total_norm([hm.tensor([3.0]), hm.tensor([-4.0]), hm.zeros(0)], p).item() == pytest.approx(expected)


def test_clipping_keeps_directions_and_only_shrinks() -> None:
    params = _with_gradients([3.0, 0.0], [-4.0])
    params.append(hm.ones(3, requires_grad=True))
    memory = params[0].grad._data  # type: ignore[union-attr]
    assert utils.clip_grad_norm_(iter(params), 1.0).item() == 5
    assert params[0].grad is not None
    assert params[0].grad._data is memory
    assert memory.tolist() == pytest.approx([0.6, 0])
    assert utils.clip_grad_norm_(params, 10.0).item() == pytest.approx(1)
    assert memory.tolist() == pytest.approx([0.6, 0])
    assert utils.clip_grad_norm_([], 1.0).item() == 0


def test_norms_of_mixed_types() -> None:
    total = utils.get_total_norm([hm.tensor([3.0]), hm.tensor([4.0], dtype=hm.float64)])
    assert (total.item(), total.dtype) == (5, hm.float64)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_norms_that_are_not_finite(value: float) -> None:
    params = _with_gradients([value, 1.0])
    with pytest.raises(HaemaError, match=f"the norm of order 2 of the gradients is {value}, so they cannot be clipped"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    utils.clip_grad_norm_(params, 1.0)
    assert params[0].grad is not None
    assert math.isnan(params[0].grad[0].item())


def test_values_are_limited() -> None:
    params = _with_gradients([3.0, -0.5, -2.0])
    utils.clip_grad_value_(params, 1)
    assert params[0].grad is not None
    assert params[0].grad.tolist() == [1, -0.5, -1]


def test_parameters_as_one_vector() -> None:
    params = [hm.ones(2, 2, requires_grad=True), hm.tensor(3.0, requires_grad=True), hm.zeros(0, requires_grad=True)]
    vector = utils.parameters_to_vector(params)
    assert vector.tolist() == [1, 1, 1, 1, 3]
    (vector * hm.arange(5)).sum().backward()
    assert params[0].grad is not None
    assert params[0].grad.tolist() == [[0, 1], [2, 3]]
    utils.vector_to_parameters(hm.arange(5).float(), params)
    assert [p.tolist() for p in params] == [[[0, 1], [2, 3]], 4, []]
    assert all(p.is_leaf and p.requires_grad for p in params)
    with pytest.raises(ShapeError, match=r"shape \(4,\) does not fit 5 elements"):
        utils.vector_to_parameters(hm.zeros(4), params)
    with pytest.raises(TypeError, match="needs a tensor, not list"):
        utils.vector_to_parameters([1.0], params)  # type: ignore[arg-type]
