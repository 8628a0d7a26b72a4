"""The row table a third time: compiled equals the references and equals eager, for every primitive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import haema as hm
from haema import Tensor, ops
from haema.errors import HaemaError
from tests.compiler.checking import Runner, all_close, as_captured, as_inputs, cotangent, together
from tests.ops import checking
from tests.ops.rows import ROWS, Row

NAMED = [pytest.param(n, r, id=n) for n, r in sorted(ROWS.items()) if ops.TABLE[n].compiles]
SMOOTH = [p for p in NAMED if ops.TABLE[p.id].differentiable]
SPECIAL = [p for p in NAMED if p.values[1].special and "f" in p.values[1].kinds]
both = pytest.mark.parametrize("runner", [as_inputs, as_captured])


@pytest.mark.parametrize(("name", "row"), NAMED)
def test_forward(name: str, row: Row) -> None:
    together(checking.check_forward, name, row, as_inputs)


@pytest.mark.parametrize(("name", "row"), NAMED)
@both
def test_layouts(name: str, row: Row, runner: Runner) -> None:
    together(checking.check_layouts, name, row, runner)


@pytest.mark.parametrize(("name", "row"), SPECIAL)
def test_special_values(name: str, row: Row) -> None:
    together(checking.check_special, name, row, as_inputs)


@pytest.mark.parametrize(("name", "row"), [p for p in NAMED if "f" in p.values[1].kinds])
def test_float32_against_float64(name: str, row: Row) -> None:
    together(checking.check_precision, name, row, as_inputs)


@pytest.mark.parametrize(("name", "row"), SMOOTH)
def test_gradients(name: str, row: Row) -> None:
    """First derivatives, and the derivatives of these, are those of the eager run, in float32 and float64."""
    op = ops.TABLE[name]
    cases: list[tuple[list[Tensor], dict[str, Any], Tensor]] = []
    for k, call in enumerate(row.calls):
        for dtype in ("float32", "float64"):
            xs = [Tensor._wrap(a) for a in checking.fill(row, call, dtype, checking.rng_of(name, k))]
            for x in xs:
                x.requires_grad = x.dtype.kind == "f"
            y = op(*xs, **call.params)
            if y.requires_grad:
                cases.append((xs, call.params, cotangent(name, k, y)))
    if not cases:
        pytest.fail("no call of the row has a derivative")

    def f(inputs: list[list[Tensor]], gs: list[Tensor]) -> list[list[Tensor]]:
        found = []
        for xs, g, (_, params, _) in zip(inputs, gs, cases, strict=True):
            wanted = [x for x in xs if x.requires_grad]
            first = hm.autograd.grad(op(*xs, **params), wanted, g, create_graph=True)
            curved = [d for d in first if d.requires_grad]
            second: Any = ()
            if curved:
                squares = sum((d * d).sum() for d in curved)
                second = hm.autograd.grad(squares, wanted, allow_unused=True)
            found.append([t.detach() for t in (*first, *second) if t is not None])
        return found

    inputs, gs = [xs for xs, _, _ in cases], [g for _, _, g in cases]
    for found, expected in zip(hm.compile(f)(inputs, gs), f(inputs, gs), strict=True):
        all_close(found, expected)


@pytest.mark.parametrize("name", sorted(n for n, op in ops.TABLE.items() if not op.compiles))
def test_what_does_not_compile_says_so(name: str) -> None:
    call = ROWS[name].calls[0]
    x = hm.ones(call.inputs[0])

    def f(x: Tensor) -> Tensor:
        return ops.TABLE[name](x, **call.params)  # the line that is named

    line = f.__code__.co_firstlineno + 1
    with pytest.raises(HaemaError, match=rf"{Path(__file__).name}:{line}: {name} cannot be compiled"):
        hm.compile(f)(x)


def test_every_dtype_is_an_argument() -> None:
    """No conversion on the way in or out."""
    arrays = [np.array([0, 1, 2]).astype(d) for d in ("bool", "uint8", "int32", "int64", "float32", "float64")]
    for a, y in zip(arrays, hm.compile(lambda *xs: list(xs))(*map(Tensor._wrap, arrays)), strict=True):
        assert y.numpy().dtype == a.dtype
        np.testing.assert_array_equal(y.numpy(), a)
