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

    def function(input: Tensor) -> Tensor:
        return op(floating(input))

    return _named(function, op.name, doc)


def _step(op: ops.Op, doc: str) -> Callable[[Tensor], Tensor]:
    """A function that keeps the type of its operand, and does nothing to an integer."""

    def function(input: Tensor) -> Tensor:
        return op(input) if input._data.dtype.kind == "f" else ops.cast(input, dtype=input.dtype)

    return _named(function, op.name, doc)


def _binary(op: ops.Op, doc: str) -> Callable[[Operand, Operand], Tensor]:
    def function(input: Operand, other: Operand) -> Tensor:
        return op(*pair(input, other))

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


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """x rounded to ``decimals`` places, halves to the even neighbour."""
    if input._data.dtype.kind != "f":
        return ops.cast(input, dtype=input.dtype)
    if decimals == 0:
        return ops.round(input)
    scale = 10.0 ** builtins.abs(decimals)
    return ops.round(input * scale) / scale if decimals > 0 else ops.round(input / scale) * scale


def neg(input: Tensor) -> Tensor:
    """-x."""
    return ops.neg(input)


def positive(input: Tensor) -> Tensor:
    """The tensor itself, +x."""
    return input


def abs(input: Tensor) -> Tensor:
    """|x|; the derivative at 0 is 0."""
    return ops.abs(input)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 as x is below, at or above 0."""
    return ops.sign(input)


def add(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x + alpha * other."""
    if alpha != 1:
        other = other * alpha
    return ops.add(*pair(input, other))


def sub(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x - alpha * other."""
    if alpha != 1:
        other = other * alpha
    return ops.sub(*pair(input, other))


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


def fmod(input: Operand, other: Operand) -> Tensor:
    """x - other * trunc(x / other): the sign is that of ``input``."""
    a, b = pair(input, other)
    r = ops.remainder(ops.abs(a), ops.abs(b))
    return ops.where(ops.lt(a, lift(0, a, a.dtype)), ops.neg(r), r)


def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / other; integers divide to the default floating type.

    Args:
        input, other: Operands.
        rounding_mode: None, "floor", or "trunc" (towards zero); with these two integers stay integers.

    Raises:
        ValueError: another rounding mode.
    """
    if rounding_mode is None:
        return ops.div(*floating_pair(input, other))
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        a, b = pair(input, other)
        q = ops.floor_divide(ops.abs(a), ops.abs(b)) if a.dtype.kind != "f" else ops.trunc(ops.div(a, b))
        return q * ops.sign(a) * ops.sign(b) if a.dtype.kind != "f" else q
    raise ValueError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")


def reciprocal(input: Tensor) -> Tensor:
    """1 / x."""
    return div(1, input)


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return reciprocal(sqrt(input))


def square(input: Tensor) -> Tensor:
    """x^2."""
    return ops.mul(input, input)


def pow(input: Operand, exponent: Operand) -> Tensor:
    """x^exponent; whole exponents are multiplied out where that is shorter."""
    if is_tensor(input) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        input = convert(input, result_type(input, exponent))
        if exponent == 2:
            return input * input
        if exponent == 3:
            return input * input * input
        if exponent == 1:
            return input * 1
        if exponent == 0.5:
            return sqrt(input)
        if exponent == -1 and input.dtype.kind == "f":
            return reciprocal(input)
    return ops.pow(*pair(input, exponent))


def atan2(input: Operand, other: Operand) -> Tensor:
    """Angle in radians of the point (other, x), between -pi and pi."""
    return ops.atan2(*floating_pair(input, other))


def log2(input: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return log(input) * (1 / math.log(2))


def log10(input: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return log(input) * (1 / math.log(10))


def exp2(input: Tensor) -> Tensor:
    """2^x."""
    return exp(input * math.log(2))


_HUGE = 2.0**28  # beyond it sqrt(x^2 + 1) = sqrt(x^2 - 1) = x to the last bit, and x^2 may overflow


def sinh(input: Tensor) -> Tensor:
    """Hyperbolic sine, (e^x - e^-x) / 2."""
    input = floating(input)
    return (expm1(input) - expm1(-input)) * 0.5  # near 0 both terms are small and have one sign


def cosh(input: Tensor) -> Tensor:
    """Hyperbolic cosine, (e^x + e^-x) / 2."""
    input = floating(input)
    return (exp(input) + exp(-input)) * 0.5


def asinh(input: Tensor) -> Tensor:
    """Inverse hyperbolic sine, log(x + sqrt(x^2 + 1))."""
    input = floating(input)
    negative = input < 0
    size = where(negative, -input, input)
    huge = size > _HUGE
    s = where(huge, 1.0, size)
    y = where(huge, log(where(huge, size, 1.0)) + math.log(2), log1p(s + s * s / (1 + sqrt(s * s + 1))))
    return where(negative, -y, y)


def acosh(input: Tensor) -> Tensor:
    """Inverse hyperbolic cosine, log(x + sqrt(x^2 - 1)), x >= 1."""
    input = floating(input)
    huge = input > _HUGE
    d = where(huge, 1.0, input) - 1  # sqrt(x^2 - 1) from d does not cancel near 1
    return where(huge, log(where(huge, input, 1.0)) + math.log(2), log1p(d + sqrt(d) * sqrt(d + 2)))


def atanh(input: Tensor) -> Tensor:
    """Inverse hyperbolic tangent, |x| < 1."""
    input = floating(input)
    return 0.5 * (log1p(input) - log1p(-input))


def frac(input: Tensor) -> Tensor:
    """x without its whole part: x - trunc(x)."""
    return input - trunc(input)


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of the sigmoid; with ``eps``, x is limited to [eps, 1 - eps] first."""
    input = floating(input) if eps is None else clamp(floating(input), eps, 1 - eps)
    return log(input / (1 - input))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(e^x + e^other), without overflow."""
    high = maximum(input, other)
    gap = abs(input - other)
    return high + where(isnan(gap), 0, log1p(exp(-gap)))  # the gap of two equal infinities is nan


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, 1 above it, and ``values`` at 0."""
    return where(eq(input, 0), values, lift(0, input, input.dtype) + convert(gt(input, 0), input.dtype))


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return input * (math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return input * (180 / math.pi)


def relu(input: Tensor) -> Tensor:
    """max(0, x); the derivative at 0 is 0; nan stays nan."""
    zero = lift(0, input, input.dtype)
    return ops.where(ops.le(input, zero), zero, input)


def clamp(input: Tensor, min: Operand = None, max: Operand = None) -> Tensor:
    """x limited to [min, max]; at the limits the gradient passes; nan stays nan.

    Raises:
        ValueError: neither limit is given.
    """
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    if min is not None:
        a, low = pair(input, min)
        input = ops.where(ops.lt(a, low), low, a)
    if max is not None:
        a, high = pair(input, max)
        input = ops.where(ops.gt(a, high), high, a)
    return input


def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """``clamp`` from below."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """``clamp`` from above."""
    return clamp(input, max=max)


def where(condition: Tensor, input: Operand = None, other: Operand = None) -> Any:
    """input where ``condition``, else other; with the condition alone, the positions where it holds.

    Raises:
        ValueError: one of ``input`` and ``other`` is missing.
    """
    if input is None and other is None:
        from haema.functions.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise ValueError("where: give both input and other, or neither")
    dtype = result_type(input, other)
    return ops.where(condition, lift(input, condition, dtype), lift(other, condition, dtype))


def lerp(input: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """x + weight * (end - x)."""
    return input + weight * (end - input)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 * tensor2."""
    return add(input, tensor1 * tensor2, alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 / tensor2."""
    return add(input, tensor1 / tensor2, alpha=value)


def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """x with ``value`` where ``mask``."""
    return ops.where(mask, lift(value, input, input.dtype), input)


def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with nan and the infinities replaced; by default the infinities become the type's largest numbers."""
    import numpy as np

    if input.dtype.kind != "f":
        return ops.cast(input, dtype=input.dtype)
    info = np.finfo(input.dtype)
    input = masked_fill(input, isnan(input), nan)
    input = masked_fill(input, input == math.inf, float(info.max) if posinf is None else posinf)
    return masked_fill(input, input == -math.inf, float(info.min) if neginf is None else neginf)


def _truth(x: Operand, like: Operand) -> Tensor:
    """Whether each element is non-zero."""
    tensor = x if is_tensor(x) else lift(x, like, result_type(x))
    return tensor if tensor.dtype == dtypes.bool else ops.ne(tensor, lift(0, tensor, tensor.dtype))


def bitwise_not(input: Tensor) -> Tensor:
    """Every bit flipped; for booleans, not."""
    return ops.bitwise_not(input)


def logical_not(input: Tensor) -> Tensor:
    """Whether x is zero."""
    return ops.bitwise_not(_truth(input, input))


def logical_and(input: Tensor, other: Operand) -> Tensor:
    """Whether x and other are both non-zero."""
    return ops.bitwise_and(_truth(input, input), _truth(other, input))


def logical_or(input: Tensor, other: Operand) -> Tensor:
    """Whether x or other is non-zero."""
    return ops.bitwise_or(_truth(input, input), _truth(other, input))


def logical_xor(input: Tensor, other: Operand) -> Tensor:
    """Whether exactly one of x and other is non-zero."""
    return ops.bitwise_xor(_truth(input, input), _truth(other, input))


def isnan(input: Tensor) -> Tensor:
    """Whether x is nan."""
    return ops.ne(input, input)


def isinf(input: Tensor) -> Tensor:
    """Whether x is infinite."""
    return (
        ops.eq(ops.abs(input), lift(math.inf, input, input.dtype)) if input.dtype.kind == "f" else ops.ne(input, input)
    )


def isfinite(input: Tensor) -> Tensor:
    """Whether x is neither nan nor infinite."""
    return (
        ops.lt(ops.abs(input), lift(math.inf, input, input.dtype)) if input.dtype.kind == "f" else ops.eq(input, input)
    )


def isclose(input: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x - other| <= atol + rtol |other|, or they are equal; whole numbers and bools in float64."""
    a, b = pair(input, other)
    equal = a == b
    if a.dtype.kind != "f":
        a, b = a.double(), b.double()
    close = (abs(a - b) <= atol + rtol * abs(b)) & isfinite(b) | equal
    return close | (isnan(a) & isnan(b)) if equal_nan else close


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements agree, as ``isclose`` tells."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return input.shape == other.shape and bool(eq(input, other).all())


def to_dtype(input: Tensor, dtype: Any) -> Tensor:
    """``input`` converted to ``dtype``; itself if it has that type."""
    return convert(input, dtypes.as_dtype(dtype))
