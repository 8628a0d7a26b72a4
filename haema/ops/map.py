"""Elementwise primitives: y[i] = f(a[i], b[i], ...), operands broadcast against each other.

Decided once: relu'(0) is a matter of the layers above; at a tie ``maximum`` and ``minimum`` give each operand
half of the gradient; |x|' = sign(x), 0 at 0; derivatives of steps (floor, sign, comparisons) are 0 or none.
nan and inf go through as IEEE 754 says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from haema import dtypes
from haema.errors import DTypeError
from haema.ops.core import Op, Spec, broadcast_shapes, same_dtype
from haema.ops.reduce import sum_to
from haema.ops.special import erf as erf_array
from haema.ops.view import expand

_INPUTS = {1: ("x",), 2: ("a", "b"), 3: ("c", "a", "b")}


class Map(Op):
    """An elementwise primitive.

    Args:
        name: Name of the operation.
        evaluate: NumPy's function; where it is a ufunc, in-place updates write through its ``out``.
        grads: Derivative rules, per input in order.
        result: Type of the result: "same" as the operands, or its name.
        kinds: NumPy kind letters of the operand types it is defined for.
    """

    family = "map"

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., np.ndarray],
        *grads: Callable[..., Any],
        arity: int = 1,
        result: str = "same",
        kinds: str = "biuf",
    ) -> None:
        inputs = _INPUTS[arity]
        rules = dict(zip(inputs[-len(grads) :], grads, strict=True)) if grads else {}
        super().__init__(name, inputs, rules)
        self.evaluate = evaluate  # type: ignore[method-assign]
        self.ufunc = evaluate if isinstance(evaluate, np.ufunc) else None
        self.result = result
        self.kinds = kinds

    def rule(self, *specs: Spec, **params: Any) -> Spec:
        dtype = same_dtype(self, specs)
        if dtype.kind not in self.kinds:
            raise DTypeError(f"{self.name}: not defined for {dtype.name} tensors")
        shape = broadcast_shapes(self, *(s.shape for s in specs))
        return Spec(shape, dtype if self.result == "same" else np.dtype(self.result))

    def update(self, out: np.ndarray, *arrays: np.ndarray, **params: Any) -> None:
        if self.ufunc is None:
            super().update(out, *arrays, **params)
        else:
            self.ufunc(*arrays, out=out, casting="same_kind")

    def vjp(self, record: Any, g: Any) -> list[Any]:
        grads = super().vjp(record, g)
        for i, gx in enumerate(grads):
            if gx is not None and gx.shape != record.shapes[i]:
                grads[i] = sum_to(gx, record.shapes[i])
        return grads


class Where(Map):
    """y = a where the boolean c is true, else b."""

    def rule(self, *specs: Spec, **params: Any) -> Spec:
        condition, a, b = specs
        if condition.dtype != dtypes.bool:
            raise DTypeError(f"where: the condition must be bool, not {condition.dtype.name}")
        dtype = same_dtype(self, (a, b))
        return Spec(broadcast_shapes(self, condition.shape, a.shape, b.shape), dtype)


class Cast(Map):
    """y = x as another dtype; a fraction is cut towards zero, a non-zero becomes True."""

    def rule(self, *specs: Spec, dtype: np.dtype = dtypes.float32, **params: Any) -> Spec:
        return Spec(specs[0].shape, dtype)

    def vjp(self, record: Any, g: Any) -> list[Any]:
        return [cast(g, dtype=record.dtypes[0])]


def _cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return x.astype(dtype, order="C")


def _where(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if c.dtype != dtypes.bool:
        raise TypeError  # NumPy would take any number; the executor says what the rule says
    return np.where(c, a, b)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x): where e^-x overflows to infinity the result is 0, which is right to rounding."""
    y = np.exp(np.negative(x))
    y += 1
    return np.reciprocal(y)


def _only(c: Any, g: Any) -> Any:
    """``g`` where ``c``, else 0, even where ``g`` is nan or infinite."""
    return where(c, g, g._constant(0, g.dtype))


def _bfloat16(x: np.ndarray) -> np.ndarray:
    """A float as bfloat16, rounded to nearest even, in the upper half of 32 bits; nan stays nan."""
    bits = x.astype(np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    return np.where(np.isnan(x), bits | np.uint32(0x400000), rounded) & np.uint32(0xFFFF0000)


def _pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _bfloat16(a) >> np.uint32(16) | _bfloat16(b)


def _half(g: Any, tie: Any, wins: Any) -> Any:
    """``g`` where this operand wins, half of it at a tie."""
    return where(tie, g * 0.5, _only(wins, g))


def _flat(g: Any) -> Any:
    """The gradient of a function that is constant between its steps."""
    return expand(g._constant(0, g.dtype), shape=g.shape)


# name, NumPy, derivative rules, options
neg: Map = Map("neg", np.negative, lambda g: neg(g), kinds="iuf")
abs = Map("abs", np.absolute, lambda g, x: g * sign(x))
sign: Map = Map("sign", np.sign, _flat, kinds="iuf")
exp = Map("exp", np.exp, lambda g, y: g * y, kinds="f")
expm1 = Map("expm1", np.expm1, lambda g, y: g * (y + 1), kinds="f")
log = Map("log", np.log, lambda g, x: g / x, kinds="f")
log1p = Map("log1p", np.log1p, lambda g, x: g / (x + 1), kinds="f")
sqrt = Map("sqrt", np.sqrt, lambda g, y: g / (y * 2), kinds="f")
sin = Map("sin", np.sin, lambda g, x: g * cos(x), kinds="f")
cos: Map = Map("cos", np.cos, lambda g, x: neg(g * sin(x)), kinds="f")
tan = Map("tan", np.tan, lambda g, y: g * (y * y + 1), kinds="f")
asin = Map("asin", np.arcsin, lambda g, x: g / sqrt(1 - x * x), kinds="f")
acos = Map("acos", np.arccos, lambda g, x: neg(g / sqrt(1 - x * x)), kinds="f")
atan = Map("atan", np.arctan, lambda g, x: g / (x * x + 1), kinds="f")
tanh = Map("tanh", np.tanh, lambda g, y: g * (1 - y * y), kinds="f")
sigmoid = Map("sigmoid", _sigmoid, lambda g, y: g * y * (1 - y), kinds="f")
erf = Map("erf", erf_array, lambda g, x: g * exp(neg(x * x)) * (2 / np.sqrt(np.pi)).item(), kinds="f")
floor = Map("floor", np.floor, _flat, kinds="f")
ceil = Map("ceil", np.ceil, _flat, kinds="f")
round = Map("round", np.rint, _flat, kinds="f")
trunc = Map("trunc", np.trunc, _flat, kinds="f")

add = Map("add", np.add, lambda g: g, lambda g: g, arity=2)
sub = Map("sub", np.subtract, lambda g: g, lambda g: neg(g), arity=2, kinds="iuf")
mul = Map("mul", np.multiply, lambda g, b: g * b, lambda g, a: g * a, arity=2)
div = Map("div", np.true_divide, lambda g, b: g / b, lambda g, y, b: neg(g * y / b), arity=2, kinds="f")
floor_divide = Map("floor_divide", np.floor_divide, arity=2, kinds="iuf")
remainder = Map(
    "remainder",
    np.remainder,
    lambda g: g,
    lambda g, a, b: neg(g * floor_divide(a.detach(), b.detach())),
    arity=2,
    kinds="iuf",
)
pow: Map = Map(
    "pow",
    np.power,
    lambda g, a, b: _only(b != 0, g * b * pow(a, b - 1)),
    lambda g, y, a: _only(a != 0, g * y * log(where(a != 0, a, a._constant(1, a.dtype)))),
    arity=2,
    kinds="iuf",
)
atan2 = Map(
    "atan2",
    np.arctan2,
    lambda g, a, b: g * b / (a * a + b * b),
    lambda g, a, b: neg(g * a / (a * a + b * b)),
    arity=2,
    kinds="f",
)
maximum = Map(
    "maximum",
    np.maximum,
    lambda g, a, b: _half(g, a == b, a > b),
    lambda g, a, b: _half(g, a == b, b > a),
    arity=2,
)
minimum = Map(
    "minimum",
    np.minimum,
    lambda g, a, b: _half(g, a == b, a < b),
    lambda g, a, b: _half(g, a == b, b < a),
    arity=2,
)

eq = Map("eq", np.equal, arity=2, result="bool")
ne = Map("ne", np.not_equal, arity=2, result="bool")
lt = Map("lt", np.less, arity=2, result="bool")
le = Map("le", np.less_equal, arity=2, result="bool")
gt = Map("gt", np.greater, arity=2, result="bool")
ge = Map("ge", np.greater_equal, arity=2, result="bool")
bitwise_not = Map("bitwise_not", np.invert, kinds="biu")
bitwise_and = Map("bitwise_and", np.bitwise_and, arity=2, kinds="biu")
bitwise_or = Map("bitwise_or", np.bitwise_or, arity=2, kinds="biu")
bitwise_xor = Map("bitwise_xor", np.bitwise_xor, arity=2, kinds="biu")
shift_left = Map("shift_left", np.left_shift, arity=2, kinds="iu")
shift_right = Map("shift_right", np.right_shift, arity=2, kinds="iu")
pair = Map("pair", _pair, arity=2, result="uint32", kinds="f")  # of bfloat16, the first in the lower half

where: Where = Where("where", _where, lambda g, c: _only(c, g), lambda g, c: _only(bitwise_not(c), g), arity=3)
cast = Cast("cast", _cast, lambda g: g)
