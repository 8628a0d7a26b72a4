"""Every primitive through every check; a primitive without a row fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import haema as hm
from haema import ops
from haema.errors import DTypeError
from haema.ops.core import Spec
from tests.ops import checking
from tests.ops.rows import ROWS

EAGER_ONLY = {"argsort", "nonzero"}
NAMED = [pytest.param(n, r, id=n) for n, r in sorted(ROWS.items())]
DIFFERENTIABLE = [p for p in NAMED if ops.TABLE[p.id].differentiable]


def test_every_primitive_has_a_row() -> None:
    assert set(ROWS) == set(ops.TABLE)


def test_what_does_not_compile_is_known() -> None:
    assert {name for name, op in ops.TABLE.items() if not op.compiles} == EAGER_ONLY


def test_what_has_no_derivative_is_known() -> None:
    comparisons = {
        n
        for n, op in ops.TABLE.items()
        if getattr(op, "result", None) == hm.bool or n in ("eq", "ne", "lt", "le", "gt", "ge")
    }
    bits = {n for n, op in ops.TABLE.items() if op.family == "map" and "f" not in getattr(op, "kinds", "f")}
    assert {n for n, op in ops.TABLE.items() if not op.differentiable} == comparisons | bits | {
        "floor_divide", "random_bits", "argsort", "nonzero", "argmax", "argmin", "pair",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "row"), NAMED)
def test_forward(name, row) -> None:
    checking.check_forward(name, row)


@pytest.mark.parametrize(("name", "row"), NAMED)
def test_layouts(name, row) -> None:
    checking.check_layouts(name, row)


@pytest.mark.parametrize(("name", "row"), [p for p in NAMED if p.id != "nonzero"])
def test_update(name, row) -> None:
    checking.check_update(name, row)


@pytest.mark.parametrize(("name", "row"), [p for p in NAMED if p.values[1].special and "f" in p.values[1].kinds])
def test_special_values(name, row) -> None:
    checking.check_special(name, row)


@pytest.mark.parametrize(("name", "row"), [p for p in NAMED if "f" in p.values[1].kinds])
def test_float32_against_float64(name, row) -> None:
    checking.check_precision(name, row)


@pytest.mark.parametrize(("name", "row"), [p for p in DIFFERENTIABLE if p.values[1].smooth])
def test_gradients(name, row) -> None:
    checking.check_gradients(name, row)


@pytest.mark.parametrize("name", sorted(n for n in ROWS if ops.TABLE[n].family == "map" and n != "cast"))
def test_map_refuses_other_types(name: str) -> None:
    op: Any = ops.TABLE[name]
    n = len(op.inputs)
    if n == 2:
        with pytest.raises(DTypeError, match=f"{name}: the operands have dtypes float32 and float64"):
            op.rule(Spec((2,), hm.float32), Spec((2,), hm.float64))
    for kind in set("biuf") - set(op.kinds):
        x = np.zeros(2, checking.DTYPES[kind][0])
        with pytest.raises(DTypeError, match=f"{name}: not defined for {x.dtype.name} tensors"):
            op.rule(*[Spec(x.shape, x.dtype)] * n)


def test_gradient_of_remainder() -> None:
    """Its jumps are no place for finite differences: between them d/da = 1, d/db = -floor(a / b)."""
    a, b = (hm.tensor(v, dtype=hm.float64, requires_grad=True) for v in ([5.5, -5.5, 1.0], [2.0, 2.0, 3.0]))
    ops.remainder(a, b).sum().backward()
    assert a.grad.tolist() == [1, 1, 1]
    assert b.grad.tolist() == [-2, 3, 0]


def test_gradient_of_cast() -> None:
    x = hm.tensor([1.5, 2.5], dtype=hm.float64, requires_grad=True)
    y = ops.cast(x, dtype=hm.float32)
    (y * y).sum().backward()
    assert x.grad.dtype == hm.float64
    assert x.grad.tolist() == [3, 5]
    assert not ops.cast(x, dtype=hm.int64).requires_grad


def test_ties_and_kinks() -> None:
    """What is decided once: half at a tie, even shares among equal extremes, 0 for |x| at 0."""
    for op, expected in ((ops.maximum, ([0, 0.5, 1], [1, 0.5, 0])), (ops.minimum, ([1, 0.5, 0], [0, 0.5, 1]))):
        a, b = hm.tensor([1.0, 2.0, 3.0], requires_grad=True), hm.tensor([3.0, 2.0, 1.0], requires_grad=True)
        op(a, b).sum().backward()
        assert (a.grad.tolist(), b.grad.tolist()) == expected
    for op, best in ((ops.max, 2.0), (ops.min, -2.0)):
        x = hm.tensor([best, 0.0, best, 1.0], requires_grad=True)
        op(x, axes=(0,), keepdims=False).backward()
        assert x.grad.tolist() == [0.5, 0, 0.5, 0]
    x = hm.tensor([0.0, -0.0], requires_grad=True)
    ops.abs(x).sum().backward()
    assert x.grad.tolist() == [0, 0]


def test_argmax_names_the_first() -> None:
    x = np.array([[1, 3, 3], [2, 2, 2]])
    assert ops.argmax.evaluate(x, axes=(1,)).tolist() == [1, 0]
    assert ops.argmin.evaluate(-x, axes=(1,)).tolist() == [1, 0]


def test_last_write_to_a_place_stays() -> None:
    """The derivative of put gave each of several writes to one place the gradient that belongs to the last."""
    v = hm.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = ops.put(hm.zeros(2), v, hm.tensor([1, 0, 1]), axes=(0,))
    (y * hm.tensor([10.0, 100.0])).sum().backward()
    assert y.tolist() == [2, 3]
    assert v.grad.tolist() == [0, 10, 100]


def test_integer_division_by_zero_is_zero() -> None:
    x = hm.tensor([7, 0, -7])
    assert (x // 0).tolist() == [0, 0, 0]
    assert (x % 0).tolist() == [0, 0, 0]
