"""Functions that act on each element by itself, with broadcasting and type promotion."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haema import dtypes, ops
from haema.functions.promotion import Operand, convert, floating, floating_pair, is_tensor, lift, pair, result_type

if TYPE_CHECKING:
    from haema.tensor import Tensor


def _named(function: Callable[..., Tensor], name: str, doc: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _unary(op: ops.Op, doc: str) -> Callable[[Tensor], Tensor]:
    """A function of one floating tensor; integers and booleans become the default floating type."""

    def function(x: Tensor) -> Tensor:
        return op(floating(x))

    return _named(function, op.name, doc)


def _step(op: ops.Op, doc: str) -> Callable[[Tensor], Tensor]:
    """A function that keeps the type of its operand, and does nothing to an integer."""

    def function(x: Tensor) -> Tensor:
        return op(x) if x._data.dtype.kind == "f" else ops.cast(x, dtype=x.dtype)

    return _named(function, op.name, doc)


def _binary(op: ops.Op, doc: str) -> Callable[[Operand, Operand], Tensor]:
    def function(x: Operand, other: Operand) -> Tensor:
        return op(*pair(x, other))

    return _named(function, op.name, doc)


exp = _unary(ops.exp, "e^x.")
expm1 = _unary(ops.expm1, "e^x - 1, accurate near 0.")
log = _unary(ops.log, "Natural logarithm of x; -inf at 0, nan below.")
log1p = _unary(ops.log1p, "log(1 + x), accurate near 0.")
sqrt = _unary(ops.sqrt, "Square root of x; nan below 0.")
sin = _unary(ops.sin, "Sine of x in radians.")
cos = _unary(ops.cos, "Cosine of x in radians.")
tan = _unary(ops.tan, "Tangent of x in radians.")
asin = _unary(ops.asin, "Angle in radians whose sine is x.")
acos = _unary(ops.acos, "Angle in radians whose cosine is x.")
atan = _unary(ops.atan, "Angle in radians whose tangent is x.")
tanh = _unary(ops.tanh, "Hyperbolic tangent, (e^x - e^-x) / (e^x + e^-x).")
sigmoid = _unary(ops.sigmoid, "Logistic sigmoid, 1 / (1 + e^-x); its derivative is y (1 - y).")
erf = _unary(ops.erf, "Error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.")

floor = _step(ops.floor, "The largest integer not above x.")
ceil = _step(ops.ceil, "The smallest integer not below x.")
trunc = _step(ops.trunc, "x without its fraction.")


def round(x: Tensor, *, decimals: int = 0) -> Tensor:
    """x rounded to ``decimals`` places, halves to the even neighbour."""
    if x._data.dtype.kind != "f":
        return ops.cast(x, dtype=x.dtype)
    if decimals == 0:
        return ops.round(x)
    scale = 10.0 ** builtins.abs(decimals)
    return ops.round(x * scale) / scale if decimals > 0 else ops.round(x / scale) * scale


def neg(x: Tensor) -> Tensor:
    """-x."""
    return ops.neg(x)


def positive(x: Tensor) -> Tensor:
    """The tensor itself, +x."""
    return x


def abs(x: Tensor) -> Tensor:
    """|x|; the derivative at 0 is 0."""
    return ops.abs(x)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 as x is below, at or above 0."""
    return ops.sign(x)


def add(x: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x + alpha * other."""
    if alpha != 1:
        other = other * alpha
    return ops.add(*pair(x, other))


def sub(x: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x - alpha * other."""
    if alpha != 1:
        other = other * alpha
    return ops.sub(*pair(x, other))


mul = _binary(ops.mul, "x * other.")
maximum = _binary(ops.maximum, "The larger of x and other; nan if either is; half the gradient each at a tie.")
minimum = _binary(ops.minimum, "The smaller of x and other; nan if either is; half the gradient each at a tie.")
eq = _binary(ops.eq, "Whether x == other.")
ne = _binary(ops.ne, "Whether x != other.")
lt = _binary(ops.lt, "Whether x < other.")
le = _binary(ops.le, "Whether x <= other.")
gt = _binary(ops.gt, "Whether x > other.")
ge = _binary(ops.ge, "Whether x >= other.")
bitwise_and = _binary(ops.bitwise_and, "Bitwise (for booleans logical) and.")
bitwise_or = _binary(ops.bitwise_or, "Bitwise (for booleans logical) or.")
bitwise_xor = _binary(ops.bitwise_xor, "Bitwise (for booleans logical) exclusive or.")
bitwise_left_shift = _binary(ops.shift_left, "x shifted left by ``other`` bits.")
bitwise_right_shift = _binary(ops.shift_right, "x shifted right by ``other`` bits.")
remainder = _binary(ops.remainder, "x - other * floor(x / other): the sign is that of ``other``.")
floor_divide = _binary(ops.floor_divide, "floor(x / other).")


def fmod(x: Operand, other: Operand) -> Tensor:
    """x - other * trunc(x / other): the sign is that of ``x``."""
    a, b = pair(x, other)
    r = ops.remainder(ops.abs(a), ops.abs(b))
    return ops.where(ops.lt(a, lift(0, a, a.dtype)), ops.neg(r), r)


def div(x: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / other; integers divide to the default floating type.

    Args:
        x, other: Operands.
        rounding_mode: None, "floor", or "trunc" (towards zero); with these two integers stay integers.

    Raises:
        ValueError: another rounding mode.
    """
    if rounding_mode is None:
        return ops.div(*floating_pair(x, other))
    if rounding_mode == "floor":
        return floor_divide(x, other)
    if rounding_mode == "trunc":
        a, b = pair(x, other)
        q = ops.floor_divide(ops.abs(a), ops.abs(b)) if a.dtype.kind != "f" else ops.trunc(ops.div(a, b))
        return q * ops.sign(a) * ops.sign(b) if a.dtype.kind != "f" else q
    raise ValueError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")


def reciprocal(x: Tensor) -> Tensor:
    """1 / x."""
    return div(1, x)


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return reciprocal(sqrt(x))


def square(x: Tensor) -> Tensor:
    """x^2."""
    return ops.mul(x, x)


def pow(x: Operand, exponent: Operand) -> Tensor:
    """x^exponent; whole exponents are multiplied out where that is shorter."""
    if is_tensor(x) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        x = convert(x, result_type(x, exponent))
        if exponent == 2:
            return x * x
        if exponent == 3:
            return x * x * x
        if exponent == 1:
            return x * 1
        if exponent == 0.5:
            return sqrt(x)
        if exponent == -1 and x.dtype.kind == "f":
            return reciprocal(x)
    return ops.pow(*pair(x, exponent))


def atan2(x: Operand, other: Operand) -> Tensor:
    """Angle in radians of the point (other, x), between -pi and pi."""
    return ops.atan2(*floating_pair(x, other))


def log2(x: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return log(x) * (1 / math.log(2))


def log10(x: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return log(x) * (1 / math.log(10))


def exp2(x: Tensor) -> Tensor:
    """2^x."""
    return exp(x * math.log(2))


_HUGE = 2.0**28  # beyond it sqrt(x^2 + 1) = sqrt(x^2 - 1) = x to the last bit, and x^2 may overflow


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine, (e^x - e^-x) / 2."""
    x = floating(x)
    return (expm1(x) - expm1(-x)) * 0.5  # near 0 both terms are small and have one sign


def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine, (e^x + e^-x) / 2."""
    x = floating(x)
    return (exp(x) + exp(-x)) * 0.5


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine, log(x + sqrt(x^2 + 1))."""
    x = floating(x)
    negative = x < 0
    size = where(negative, -x, x)
    huge = size > _HUGE
    s = where(huge, 1.0, size)
    y = where(huge, log(where(huge, size, 1.0)) + math.log(2), log1p(s + s * s / (1 + sqrt(s * s + 1))))
    return where(negative, -y, y)


def acosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine, log(x + sqrt(x^2 - 1)), x >= 1."""
    x = floating(x)
    huge = x > _HUGE
    d = where(huge, 1.0, x) - 1  # sqrt(x^2 - 1) from d does not cancel near 1
    return where(huge, log(where(huge, x, 1.0)) + math.log(2), log1p(d + sqrt(d) * sqrt(d + 2)))


def atanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent, |x| < 1."""
    x = floating(x)
    return 0.5 * (log1p(x) - log1p(-x))


def relu(x: Tensor) -> Tensor:
    """max(0, x); the derivative at 0 is 0; nan stays nan."""
    zero = lift(0, x, x.dtype)
    return ops.where(ops.le(x, zero), zero, x)


def clamp(x: Tensor, min: Operand = None, max: Operand = None) -> Tensor:
    """x limited to [min, max]; at the limits the gradient passes; nan stays nan.

    Raises:
        ValueError: neither limit is given.
    """
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    if min is not None:
        a, low = pair(x, min)
        x = ops.where(ops.lt(a, low), low, a)
    if max is not None:
        a, high = pair(x, max)
        x = ops.where(ops.gt(a, high), high, a)
    return x


def where(condition: Tensor, x: Operand = None, other: Operand = None) -> Any:
    """x where ``condition``, else other; with the condition alone, the positions where it holds.

    Raises:
        ValueError: one of ``x`` and ``other`` is missing.
    """
    if x is None and other is None:
        from haema.functions.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if x is None or other is None:
        raise ValueError("where: give both x and other, or neither")
    dtype = result_type(x, other)
    return ops.where(condition, lift(x, condition, dtype), lift(other, condition, dtype))


def lerp(x: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """x + weight * (end - x)."""
    return x + weight * (end - x)


def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 * tensor2."""
    return add(x, tensor1 * tensor2, alpha=value)


def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 / tensor2."""
    return add(x, tensor1 / tensor2, alpha=value)


def masked_fill(x: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """x with ``value`` where ``mask``."""
    return ops.where(mask, lift(value, x, x.dtype), x)


def nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with nan and the infinities replaced; by default the infinities become the type's largest numbers."""
    import numpy as np

    if x.dtype.kind != "f":
        return ops.cast(x, dtype=x.dtype)
    info = np.finfo(x.dtype)
    x = masked_fill(x, isnan(x), nan)
    x = masked_fill(x, x == math.inf, float(info.max) if posinf is None else posinf)
    return masked_fill(x, x == -math.inf, float(info.min) if neginf is None else neginf)


def _truth(x: Operand, like: Operand) -> Tensor:
    """Whether each element is non-zero."""
    tensor = x if is_tensor(x) else lift(x, like, result_type(x))
    return tensor if tensor.dtype == dtypes.bool else ops.ne(tensor, lift(0, tensor, tensor.dtype))


def bitwise_not(x: Tensor) -> Tensor:
    """Every bit flipped; for booleans, not."""
    return ops.bitwise_not(x)


def logical_not(x: Tensor) -> Tensor:
    """Whether x is zero."""
    return ops.bitwise_not(_truth(x, x))


def logical_and(x: Tensor, other: Operand) -> Tensor:
    """Whether x and other are both non-zero."""
    return ops.bitwise_and(_truth(x, x), _truth(other, x))


def logical_or(x: Tensor, other: Operand) -> Tensor:
    """Whether x or other is non-zero."""
    return ops.bitwise_or(_truth(x, x), _truth(other, x))


def logical_xor(x: Tensor, other: Operand) -> Tensor:
    """Whether exactly one of x and other is non-zero."""
    return ops.bitwise_xor(_truth(x, x), _truth(other, x))


def isnan(x: Tensor) -> Tensor:
    """Whether x is nan."""
    return ops.ne(x, x)


def isinf(x: Tensor) -> Tensor:
    """Whether x is infinite."""
    return ops.eq(ops.abs(x), lift(math.inf, x, x.dtype)) if x.dtype.kind == "f" else ops.ne(x, x)


def isfinite(x: Tensor) -> Tensor:
    """Whether x is neither nan nor infinite."""
    return ops.lt(ops.abs(x), lift(math.inf, x, x.dtype)) if x.dtype.kind == "f" else ops.eq(x, x)


def isclose(x: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x - other| <= atol + rtol |other|, or they are equal."""
    a, b = pair(x, other)
    close = (abs(a - b) <= atol + rtol * abs(b)) & isfinite(b) | (a == b)
    return close | (isnan(a) & isnan(b)) if equal_nan else close


def to_dtype(x: Tensor, dtype: Any) -> Tensor:
    """``x`` converted to ``dtype``; itself if it has that type."""
    return convert(x, dtypes.as_dtype(dtype))
