"""What every primitive must do on every call of its row, whoever executes it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import haema as hm
from haema import executor, ops
from haema.autograd import gradcheck, gradgradcheck
from haema.ops.core import Op, Spec
from tests.ops.rows import Call, Row

Execute = Callable[[Op, Sequence[np.ndarray], dict[str, Any]], np.ndarray]

DTYPES = {"b": ("bool",), "u": ("uint8",), "i": ("int32", "int64"), "f": ("float64", "float32")}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -1.5, 1e30, -700.0, np.inf, -np.inf, np.nan)

ROUNDING = {"float64": 1e-14, "float32": 2e-6}
"""Relative to the largest element that went in or came out: some units in the last place (1e-16 and 6e-8), times the
length of the sums that occur in the rows; NumPy's own functions are good to 4 units in float32."""


def rng_of(row: str, k: int) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{row} {k}".encode()))


def dtypes_of(row: Row) -> list[str]:
    return [d for k in row.kinds for d in DTYPES[k]] or ["int64"]


def fill(row: Row, call: Call, dtype: str, rng: np.random.Generator) -> list[np.ndarray]:
    """The inputs of a call: numbers of the row's domain where the call gives a shape."""
    low, high = row.domain
    arrays = []
    for given in call.inputs:
        if isinstance(given, np.ndarray):
            arrays.append(given.copy())
        elif np.dtype(dtype).kind == "f":
            arrays.append(rng.uniform(low, high, given).astype(dtype))
        elif dtype == "bool":
            arrays.append(rng.integers(0, 2, given).astype(bool))
        else:
            arrays.append(
                rng.integers(max(int(low), 0 if dtype == "uint8" else int(low)), int(high) + 4, given).astype(dtype)
            )
    return arrays


def natural(name: str, dtype: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Integers to the power of negative integers are no integers."""
    return [arrays[0], np.abs(arrays[1])] if name == "pow" and np.dtype(dtype).kind == "i" else arrays


def agree(found: np.ndarray, expected: np.ndarray, inputs: Sequence[np.ndarray], exact: bool) -> None:
    """Same shape, dtype and values."""
    assert type(found) is np.ndarray
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if exact or found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    finite = [np.abs(a[np.isfinite(a)]).max(initial=1) for a in (*inputs, expected) if a.dtype.kind == "f"]
    atol = ROUNDING[expected.dtype.name] * max(finite)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING[expected.dtype.name], atol=atol)


def check_forward(name: str, row: Row, execute: Execute = executor.run) -> None:
    """Rule, evaluation and reference agree; inputs are left alone; memory layout and warnings are as promised."""
    op = ops.TABLE[name]
    for k, call in enumerate(row.calls):
        for dtype in dtypes_of(row):
            arrays = natural(name, dtype, fill(row, call, dtype, rng_of(name, k)))
            before = [a.copy() for a in arrays]
            y = execute(op, arrays, call.params)
            spec = op.rule(*(Spec(a.shape, a.dtype) for a in arrays), **call.params)
            if -1 not in spec.shape:
                assert spec == Spec(y.shape, y.dtype)
            if op.shares and execute is executor.run:
                assert y.size == 0 or np.may_share_memory(y, arrays[0])
            else:
                assert y.flags.c_contiguous, "view() must work on what is no view"
                assert not any(np.shares_memory(y, a) for a in arrays)
            agree(y, row.reference(*arrays, **call.params), arrays, row.exact)
            for a, b in zip(arrays, before, strict=True):
                np.testing.assert_array_equal(a, b)


def layouts(a: np.ndarray) -> list[np.ndarray]:
    """The same array lying differently in memory: as a transpose, with gaps, backwards, without strides."""
    if a.ndim == 0 or a.size == 0:
        return [a.copy()] * 4
    gaps = np.repeat(np.repeat(a, 2, -1), 3, 0)[::3, ..., ::2] if a.ndim > 1 else np.repeat(a, 2)[::2].reshape(a.shape)
    back = np.flip(np.flip(a).copy())
    frozen = a.copy()
    frozen.flags.writeable = False
    return [np.asfortranarray(a), gaps, back, frozen]


def check_layouts(name: str, row: Row, execute: Execute = executor.run) -> None:
    """Where the elements lie in memory changes nothing."""
    op = ops.TABLE[name]
    dtype = dtypes_of(row)[-1]
    for k, call in enumerate(row.calls):
        arrays = natural(name, dtype, fill(row, call, dtype, rng_of(name, k)))
        y = execute(op, arrays, call.params)
        for others in zip(*map(layouts, arrays), strict=True):
            z = execute(op, others, call.params)
            agree(z, y, arrays, row.exact)
            assert op.shares or op.family == "map" or z.flags.c_contiguous, "view() must work on what is no view"
        if all(a.size for a in arrays):
            same = [np.broadcast_to(a.ravel()[:1].reshape((1,) * a.ndim), a.shape) for a in arrays]
            agree(execute(op, same, call.params), execute(op, [a.copy() for a in same], call.params), same, row.exact)


def check_update(name: str, row: Row) -> None:
    """``update`` writes what ``evaluate`` gives, also over its own first input, and into gaps."""
    op = ops.TABLE[name]
    dtype = dtypes_of(row)[0]
    for k, call in enumerate(row.calls):
        arrays = natural(name, dtype, fill(row, call, dtype, rng_of(name, k)))
        y = executor.run(op, arrays, call.params)
        if name not in ("assign", "put"):  # they change a part of what is there
            wide = np.zeros((*y.shape, 2), y.dtype)
            executor.update(op, wide[..., 0], arrays, call.params)
            np.testing.assert_array_equal(wide[..., 0], y)
            assert not wide[..., 1].any()
        if arrays[0].shape == y.shape and arrays[0].dtype == y.dtype:
            executor.update(op, arrays[0], arrays, call.params)
            np.testing.assert_array_equal(arrays[0], y)


def check_special(name: str, row: Row, execute: Execute = executor.run) -> None:
    """nan, infinities and signed zeros, in every place and combination."""
    op = ops.TABLE[name]
    for dtype in ("float64", "float32"):
        for k, call in enumerate(row.calls):
            rng = rng_of(name, k)
            arrays = [
                g.copy() if isinstance(g, np.ndarray) else rng.choice(SPECIAL, g).astype(dtype) for g in call.inputs
            ]
            special_agree(execute(op, arrays, call.params), row, arrays, call.params, name)
        if op.family == "map" and len(op.inputs) <= 2:
            grid = np.meshgrid(*[np.array(SPECIAL, dtype)] * len(op.inputs), indexing="ij")
            special_agree(execute(op, grid, {}), row, grid, {}, name)


def special_agree(y: np.ndarray, row: Row, arrays: Sequence[np.ndarray], params: dict[str, Any], name: str) -> None:
    with np.errstate(all="ignore"):
        wide = [a.astype("float64") if a.dtype.kind == "f" else a for a in arrays]
        expected = np.asarray(row.reference(*wide, **params)).astype(y.dtype)
    if y.dtype.kind == "f":
        tolerance = 1e-6 if y.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=1e-7 if row.exact else 1e-5)
        if name in ("neg", "abs", "mul", "div", "floor", "ceil", "round", "trunc"):
            np.testing.assert_array_equal(np.signbit(y[~np.isnan(y)]), np.signbit(expected[~np.isnan(y)]))
    else:
        np.testing.assert_array_equal(y, expected)


def check_precision(name: str, row: Row, execute: Execute = executor.run) -> None:
    """float32 against float64 on the same numbers, and float32 stays float32."""
    op = ops.TABLE[name]
    for k, call in enumerate(row.calls):
        narrow = fill(row, call, "float32", rng_of(name, k))
        wide = [a.astype("float64") if a.dtype == np.float32 else a for a in narrow]
        y, z = execute(op, narrow, call.params), execute(op, wide, call.params)
        if "dtype" in call.params:
            continue
        assert y.dtype == (np.float32 if z.dtype == np.float64 else z.dtype)
        if y.dtype.kind == "f":
            agree(y, z.astype("float32"), narrow, exact=False)


def check_gradients(name: str, row: Row, only: int = 12) -> None:
    """First and second derivatives against finite differences, in float64."""
    op = ops.TABLE[name]
    for k, call in enumerate(row.calls):
        xs = [
            hm.tensor(a, requires_grad=True) if a.dtype == np.float64 else hm.tensor(a)
            for a in fill(row, call, "float64", rng_of(name, k))
        ]
        y = op(*xs, **call.params)
        if not y.requires_grad or y.numel() > 40 or sum(x.numel() for x in xs) > 40:
            continue

        def f(*xs: Any, op: Op = op, call: Call = call) -> Any:
            return op(*xs, **call.params)

        assert gradcheck(f, xs)
        if y.numel() <= only:
            assert gradgradcheck(f, xs)
