"""Elementwise functions of Python numbers, as IEEE 754 says: what the map primitives are compared with.

They are built on Python's ``math`` and operators, which raise where IEEE 754 has an infinity or a nan.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Scalar = Callable[..., Any]


def each(f: Scalar, *arrays: np.ndarray, dtype: Any = None) -> np.ndarray:
    """``f`` of every element, operands broadcast."""
    several = np.broadcast_arrays(*arrays)
    dtype = several[-1].dtype if dtype is None else dtype
    flat = [f(*(v.item() for v in values)) for values in zip(*(a.ravel() for a in several), strict=True)]
    if np.dtype(dtype) == np.uint8:
        flat = [int(v) % 256 for v in flat]
    return np.array(flat, dtype).reshape(several[0].shape)


def ieee(f: Scalar) -> Scalar:
    """``f`` with nan where ``math`` sees no value, and infinity where it sees an overflow."""

    def function(*x: float) -> float:
        if any(v != v for v in x):
            return math.nan
        try:
            return f(*x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return function


def sign(x: float) -> float:
    return x if x != x else (x > 0) - (x < 0)


def log(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def log1p(x: float) -> float:
    return -math.inf if x == -1 else math.log1p(x)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def whole(f: Scalar) -> Scalar:
    """A rounding function of ``math`` that leaves infinities as they are and gives floats."""
    return lambda x: x if math.isinf(x) else math.copysign(float(f(x)), x)


def div(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)


def floor_divide(a: Any, b: Any) -> Any:
    """An integer by 0 is 0; a float by 0 as in ``div``."""
    if b == 0:
        return 0 if isinstance(a, int) else div(a, b)
    return math.nan if isinstance(a, float) and math.isinf(a) else a // b


def remainder(a: Any, b: Any) -> Any:
    if b == 0:
        return 0 if isinstance(a, int) else math.nan
    return math.nan if isinstance(a, float) and math.isinf(a) else a % b


def power(a: Any, b: Any) -> Any:
    if isinstance(a, int):
        return a**b
    if a == 1 or b == 0:
        return 1.0
    if a != a or b != b:
        return math.nan
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # 0 to a negative power, or a root of a negative number
        return math.nan if a else math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def bfloat16(x: float) -> int:
    """The 16 bits of the nearest bfloat16; of two, the one that ends in 0."""
    if math.isfinite(x):
        step = 2.0 ** max(math.frexp(x)[1] - 8, -133)
        x = math.copysign(round(x / step) * step, x)
        x = x if abs(x) < 2.0**128 else math.copysign(math.inf, x)
    return int.from_bytes(struct.pack(">f", x)[:2], "big")


def pair(a: float, b: float) -> int:
    """Of float64 too, by way of float32."""
    return bfloat16(float(np.float32(a))) + (bfloat16(float(np.float32(b))) << 16)


def maximum(a: Any, b: Any) -> Any:
    return a if a != a else b if b != b else max(a, b)


def minimum(a: Any, b: Any) -> Any:
    return a if a != a else b if b != b else min(a, b)


UNARY: dict[str, Scalar] = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": sign,
    "exp": ieee(math.exp),
    "expm1": ieee(math.expm1),
    "log": ieee(log),
    "log1p": ieee(log1p),
    "sqrt": ieee(math.sqrt),
    "sin": ieee(math.sin),
    "cos": ieee(math.cos),
    "tan": ieee(math.tan),
    "asin": ieee(math.asin),
    "acos": ieee(math.acos),
    "atan": ieee(math.atan),
    "tanh": ieee(math.tanh),
    "sigmoid": ieee(sigmoid),
    "erf": ieee(math.erf),
    "floor": ieee(whole(math.floor)),
    "ceil": ieee(whole(math.ceil)),
    "round": ieee(whole(round)),
    "trunc": ieee(whole(math.trunc)),
    "bitwise_not": lambda x: not x if isinstance(x, bool) else ~x,
}
BINARY: dict[str, Scalar] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": div,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "pow": power,
    "atan2": ieee(math.atan2),
    "maximum": maximum,
    "minimum": minimum,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "shift_left": lambda a, b: a << b,
    "shift_right": lambda a, b: a >> b,
    "pair": pair,
}
