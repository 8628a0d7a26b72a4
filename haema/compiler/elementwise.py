"""Machine code of the elementwise primitives: what :mod:`haema.ops.map` says with NumPy, said with LLVM.

A primitive maps registers to a register. Each lane's result depends on that lane alone, and it is the same however many
lanes there are; no instruction carries a fast-math flag.

Float32's common functions are straight lines of arithmetic. The reductions are the textbook ones,

    e^x   = 2^n e^r,                n = round(x / ln 2),      r = x - n ln 2 in two steps     |r| <= ln 2 / 2
    log x = e ln 2 + log(1 + f),    x = 2^e (1 + f)                                           |f| <= 1/3
    sin x = +-sin r or +-cos r,     n = round(2 x / pi),      r = x - n pi/2 in three steps   |r| <= pi / 4

(Muller et al., Handbook of Floating-Point Arithmetic, 2nd ed., section 10.2; Cody and Waite, Software Manual for the
Elementary Functions, 1980). A polynomial does the rest. Its coefficients minimise the largest relative error of the
function (a linear program over 1200 Chebyshev points, values with 40 digits); they were rounded to float32 one by one
from the lowest power up, each time with a new fit of the others. The error beside each tuple is the one after rounding;
half a unit in the last place is 2^-25 to 2^-24.

Other functions, and float64, call the C library lane by lane.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from haema.compiler.builder import SCALARS, Builder, Value, const, lanes_of, scalar_of, short
from haema.ops.special import ERF_END, ERF_K, ERF_P, ERF_Q

Emit = Callable[[Builder, list[Value], np.dtype], Value]
"""Writes a primitive: operands, and the type of the last operand."""

# Highest power first.
EXP = (0.00138699485, 0.00836625323, 0.0416674428, 0.166665465, 0.49999997)  # (e^r - 1 - r) / r^2, 2^-26.1
EXP2 = (0.00132692605, 0.00967129972, 0.055507116, 0.240222469, 0.693147004)  # (2^f - 1) / f, 2^-23.3 of 2^f
LOG = (-0.12879838, 0.139855027, -0.121873952, 0.140055537, -0.166802213, 0.200104356, -0.249998048, 0.333332151)
# (log(1 + f) - f + f^2/2) / f^3, 2^-27.6
SIN = (-0.000195182787, 0.00833218917, -0.166666552)  # (sin r - r) / r^3 in r^2, 2^-27.9
COS = (2.44323273e-05, -0.00138873095, 0.0416666456)  # (cos r - 1 + r^2/2) / r^4 in r^2, 2^-32.9
TANH = (-0.00569229666, 0.0206281673, -0.0537365153, 0.133314058, -0.333332807)
# (tanh x - x) / x^3 in x^2, 2^-27.7 up to TANH_SPLIT
ERF_SMALL = (-0.000602079963, 0.00499895914, -0.026770493, 0.112819217, -0.376125038, 0.128379151)
# (erf x - x) / x in x^2, 2^-26.0 up to ERF_SPLIT
ERF_LARGE = (
    -0.000285965012, 0.00442252215, -0.0321939141, 0.150204107, 0.918962359, 1.62706745, 0.000240140042,
)  # fmt: skip
# -log2(1 - erf x), 2^-29.1 of erf x from ERF_SPLIT to ERF_LIMIT

TANH_SPLIT, TANH_LIMIT = 0.625, 9.02  # from the limit on, the function rounds to 1
ERF_SPLIT, ERF_LIMIT = 0.9, 3.95

LOG2E = 1.4426950408889634
LN2_HIGH = 0.693145751953125  # 16 bits, so that n LN2_HIGH is exact
LN2_LOW = 1.4286068203094172e-06
LN2 = 0.6931471805599453
TWO_OVER_PI = 0.6366197723675814
PI_HALF = (1.570796251296997, 7.549789415861596e-08, 5.390302529957765e-15)  # three float32 numbers, all rounded down
PI_LIMIT = 1e5  # beyond it three steps do not suffice

MAGIC = 12582912.0  # 1.5 * 2^23: x + MAGIC rounds x to an integer and leaves it in the low bits


@dataclass(frozen=True)
class Num:
    """A register that one can calculate with: each operator writes an instruction.

    Attributes:
        b: Where the instructions go.
        v: The register.
    """

    b: Builder
    v: Value

    @property
    def is_float(self) -> bool:
        """Whether the lanes are floating-point numbers."""
        return scalar_of(self.v.type) in ("float", "double")

    def value(self, other: Num | float) -> Value:
        """``other`` as a register of this type."""
        return other.v if isinstance(other, Num) else const(self.v.type, other)

    def like(self, x: float) -> Num:
        """A constant of this type."""
        return Num(self.b, const(self.v.type, x))

    def op(self, name: str, other: Num | float, swap: bool = False) -> Num:
        """A binary instruction, on floats with an ``f`` before its name."""
        pair = (self.value(other), self.v) if swap else (self.v, self.value(other))
        return Num(self.b, self.b.op(("f" if self.is_float else "") + name, *pair))

    def __add__(self, other: Num | float) -> Num:
        return self.op("add", other)

    def __sub__(self, other: Num | float) -> Num:
        return self.op("sub", other)

    def __mul__(self, other: Num | float) -> Num:
        return self.op("mul", other)

    def __truediv__(self, other: Num | float) -> Num:
        return self.op("div", other)

    def __radd__(self, other: float) -> Num:
        return self.op("add", other)

    def __rsub__(self, other: float) -> Num:
        return self.op("sub", other, swap=True)

    def __rmul__(self, other: float) -> Num:
        return self.op("mul", other)

    def __rtruediv__(self, other: float) -> Num:
        return self.op("div", other, swap=True)

    def __neg__(self) -> Num:
        if self.is_float:
            return Num(self.b, self.b.emit(self.v.type, f"fneg {self.v}"))
        return 0 - self

    def __and__(self, other: Num | int) -> Num:
        return self.op("and", other)

    def __or__(self, other: Num | int) -> Num:
        return self.op("or", other)

    def __xor__(self, other: Num | int) -> Num:
        return self.op("xor", other)

    def __lshift__(self, other: Num | int) -> Num:
        return self.op("shl", other)

    def compare(self, how: str, other: Num | float) -> Num:
        """``fcmp`` or ``icmp``; an ordered predicate on floats is without its ``o``: "lt", "ult", "uno"."""
        full = how if how[0] == "u" or not self.is_float else "o" + how
        kind = "fcmp" if self.is_float else "icmp"
        return Num(self.b, self.b.compare(f"{kind} {full}", self.v, self.value(other)))

    def __lt__(self, other: Num | float) -> Num:
        return self.compare("lt" if self.is_float else "slt", other)

    def __le__(self, other: Num | float) -> Num:
        return self.compare("le" if self.is_float else "sle", other)

    def __gt__(self, other: Num | float) -> Num:
        return self.compare("gt" if self.is_float else "sgt", other)

    def __ge__(self, other: Num | float) -> Num:
        return self.compare("ge" if self.is_float else "sge", other)

    def equal(self, other: Num | float) -> Num:
        """Whether they are equal."""
        return self.compare("eq", other)

    def choose(self, yes: Num | float, no: Num | float) -> Num:
        """Where this condition holds ``yes``, else ``no``; one of them is a register."""
        like = yes if isinstance(yes, Num) else no
        assert isinstance(like, Num)
        return Num(self.b, self.b.select(self.v, like.value(yes), like.value(no)))

    def fma(self, factor: Num | float, summand: Num | float) -> Num:
        """self * factor + summand, rounded once."""
        return Num(self.b, self.b.fma(self.v, self.value(factor), self.value(summand)))

    def call(self, name: str, *others: Num | float) -> Num:
        """The intrinsic ``llvm.NAME``."""
        return Num(self.b, self.b.intrinsic(name, self.v, *map(self.value, others)))

    def cast(self, name: str, scalar: str) -> Num:
        """A conversion."""
        return Num(self.b, self.b.cast(name, self.v, scalar))

    def bits(self) -> Num:
        """A float32's bits."""
        return self.cast("bitcast", "i32")

    def as_float(self) -> Num:
        """The float32 with these bits."""
        return self.cast("bitcast", "float")

    def abs(self) -> Num:
        """A float's size."""
        return self.call("fabs")

    def at_most(self, limit: float) -> Num:
        """min(self, limit); nan stays."""
        return (self > limit).choose(limit, self)

    def at_least(self, limit: float) -> Num:
        """max(self, limit); nan stays."""
        return (self < limit).choose(limit, self)


def horner(x: Num, coefficients: tuple[float, ...]) -> Num:
    """The polynomial with these coefficients, highest power first."""
    result = x.fma(coefficients[0], coefficients[1])
    for c in coefficients[2:]:
        result = result.fma(x, c)
    return result


def _bits_of(x: float) -> int:
    """The bits of a float32."""
    return int(struct.unpack("<i", struct.pack("<f", x))[0])


# -- float32: exponentials ------------------------------------------------------------------


def _reduce_exp(x: Num, bias: int, sign: float = 1.0) -> tuple[Num, Num, Num]:
    """(t, n, r) with sign x = n ln 2 + r; the low bits of t hold n + bias."""
    t = x.fma(sign * LOG2E, MAGIC + bias)
    n = t - (MAGIC + bias)
    high = n.fma(-LN2_HIGH, x) if sign > 0 else n.fma(-LN2_HIGH, -x)
    return t, n, n.fma(-LN2_LOW, high)


def _power(t: Num) -> Num:
    """2^k, where the low bits of t hold k + 127, -127 < k < 128."""
    return (t.bits() << 23).as_float()


def _exp_near(r: Num) -> Num:
    """e^r, |r| <= ln 2 / 2."""
    return horner(r, EXP).fma(r, 1.0).fma(r, 1.0)


def _exp2(x: Num, scale: float) -> tuple[Num, Num]:
    """(p, s) with 2^(scale x) = p s; for -126 < scale x < 127."""
    t = x.fma(scale, MAGIC + 127)
    f = x.fma(scale, (MAGIC + 127) - t)
    return horner(f, EXP2).fma(f, 1.0), _power(t)


def _exp(x: Num) -> Num:
    """e^x. Half of the exponent n goes to each of two factors: so 2^128 and denormal results are within reach."""
    t, _, r = _reduce_exp(x.at_most(89.0).at_least(-104.0), 254)
    half = (t.bits() << 22) & -0x800000
    rest = (t.bits() << 23) - half
    return _exp_near(r) * half.as_float() * rest.as_float()


def _expm1(x: Num) -> Num:
    """e^x - 1 = 2 (s q + s - 1/2), where s = 2^(n-1), q = e^r - 1; q itself for n = 0."""
    t, n, r = _reduce_exp(x.at_most(89.0).at_least(-18.0), 126)
    q = (r * r).fma(horner(r, EXP), r)
    s = _power(t)
    y = n.equal(0.0).choose(q, s.fma(q, s - 0.5) * 2.0)
    return y.call("copysign", x)


def _sigmoid(x: Num) -> Num:
    """1 / (1 + e^-x); e^-x is twice p s, and may be infinite."""
    t, _, r = _reduce_exp(x.at_most(30.0).at_least(-89.0), 126, -1.0)
    return 1.0 / (_exp_near(r) * _power(t)).fma(2.0, 1.0)


def _tanh(x: Num) -> Num:
    """x + x^3 P(x^2) near 0, else 1 - 2 / (e^2x + 1)."""
    size = x.abs().at_most(TANH_LIMIT)
    square = size * size
    near = (horner(square, TANH) * square).fma(size, size)
    p, s = _exp2(size, 2 * LOG2E)
    far = 1.0 - 2.0 / p.fma(s, 1.0)
    return (size < TANH_SPLIT).choose(near, far).call("copysign", x)


def _erf(x: Num) -> Num:
    """x + x P(x^2) near 0, else 1 - 2^-Q(x)."""
    size = x.abs().at_most(ERF_LIMIT)
    near = horner(size * size, ERF_SMALL).fma(size, size)
    p, s = _exp2(horner(size, ERF_LARGE), -1.0)
    far = (-p).fma(s, 1.0)
    return (size < ERF_SPLIT).choose(near, far).call("copysign", x)


# -- float32: logarithms ------------------------------------------------------------------


def _log_near(f: Num) -> Num:
    """log(1 + f), |f| <= 1/3."""
    return (f * f).fma(horner(f, LOG).fma(f, -0.5), f)


def _log_ends(y: Num, x: Num) -> Num:
    """The logarithm y of x, put right for x that is not between 0 and infinity."""
    y = (x < np.inf).choose(y, x)
    return (x <= 0.0).choose(x.equal(0.0).choose(y.like(-np.inf), np.nan), y)


def _log(x: Num) -> Num:
    """log x = e ln 2 + log(1 + f); denormal numbers are scaled first."""
    tiny = x < 2.0**-126
    scaled = tiny.choose(x * 2.0**23, x).bits()
    k = scaled - _bits_of(2 / 3)
    f = (scaled - (k & -0x800000)).as_float() - 1.0
    e = k.op("ashr", 23).cast("sitofp", "float")
    e = tiny.choose(e - 23.0, e)
    return _log_ends(e.fma(LN2, _log_near(f)), x)


def _log1p(x: Num) -> Num:
    """log(1 + x) = e ln 2 + log(1 + f), f = 2^-e x + 2^-e - 1, rounded once; f = x for e = 0."""
    u = x + 1.0
    k = (u.bits() - _bits_of(2 / 3)) & -0x800000
    four = (_bits_of(4.0) - k).as_float()  # 4 2^-e, which is no denormal number
    same = k.equal(0)
    f = same.choose(x, (x * 0.25).fma(four, four.fma(0.25, -1.0)))
    near = _log_near(f)
    e = k.op("ashr", 23).cast("sitofp", "float")
    return _log_ends(same.choose(near, e.fma(LN2, near)), u)


# -- float32: circular functions ------------------------------------------------------------------


def _reduce_pi(x: Num) -> tuple[Num, Num, Num]:
    """(n, sin r, cos r) with x = n pi/2 + r; only the low bits of n count."""
    t = x.fma(TWO_OVER_PI, MAGIC)
    n = t - MAGIC
    r = x
    for part in PI_HALF:
        r = n.fma(-part, r)
    square = r * r
    sin = (horner(square, SIN) * square).fma(r, r)
    cos = (square * square).fma(horner(square, COS), square.fma(-0.5, 1.0))
    return t.bits(), sin, cos


def _signed(y: Num, sign: Num) -> Num:
    """``y`` with its sign changed where the top bit of ``sign`` is set."""
    return (y.bits() ^ (sign & -0x80000000)).as_float()


def _beyond(x: Num, y: Num, name: str) -> Num:
    """``y``, but in lanes where x is too large for the reduction the C library's answer."""
    b = x.b
    large = x.abs() > PI_LIMIT
    before, slow, done = b.block, b.label("slow"), b.label("done")
    b.line(f"br {any_lane(b, large.v)}, label %{slow}, label %{done}")
    b.start(slow)
    other = large.choose(Num(b, per_lane(b, name, x.v)), y)
    after = b.block
    b.line(f"br label %{done}")
    b.start(done)
    return Num(b, b.emit(y.v.type, f"phi {y.v.type} [{y.v.name}, %{before}], [{other.v.name}, %{after}]"))


def _sin(x: Num) -> Num:
    """Quarter n of the circle takes sine or cosine, and a sign; worked out for |x|, so that -0 stays."""
    n, sin, cos = _reduce_pi(x.abs())
    y = (n & 1).equal(0).choose(sin, cos)
    return _beyond(x, _signed(y, (n << 30) ^ x.bits()), "sinf")


def _cos(x: Num) -> Num:
    """sin(x + pi/2)."""
    n, sin, cos = _reduce_pi(x)
    y = (n & 1).equal(0).choose(cos, sin)
    return _beyond(x, _signed(y, (n + 1) << 30), "cosf")


def _tan(x: Num) -> Num:
    """sin r / cos r, or in odd quarters -cos r / sin r."""
    n, sin, cos = _reduce_pi(x.abs())
    even = (n & 1).equal(0)
    y = even.choose(sin, cos) / even.choose(cos, sin)
    return _beyond(x, _signed(y, (n << 31) ^ x.bits()), "tanf")


# -- float64 ------------------------------------------------------------------


def _sigmoid64(x: Num) -> Num:
    """1 / (1 + e^-x)."""
    return 1.0 / (Num(x.b, per_lane(x.b, "exp", (-x).v)) + 1.0)


def _erf64(x: Num) -> Num:
    """The polynomials of :mod:`haema.ops.special`."""
    size = x.abs()
    large = size.at_most(ERF_END).at_least(1.0)
    tail = Num(x.b, per_lane(x.b, "exp", (-large * large).v))
    tail = tail * horner((large - ERF_K) / (large + ERF_K), ERF_Q) / large.fma(2.0, 1.0)
    small = size.at_most(1.0)
    near = x * horner(small * small, ERF_P)
    return (size > 1.0).choose((1.0 - tail).call("copysign", x), near)


# -- any float ------------------------------------------------------------------


def any_lane(b: Builder, c: Value) -> Value:
    """Whether a condition holds in some lane."""
    return c if lanes_of(c.type) == 1 else b.call(f"llvm.vector.reduce.or.{short(c.type)}", "i1", c)


def per_lane(b: Builder, name: str, *args: Value) -> Value:
    """A function of the C library on each lane."""
    type = args[0].type
    result = Value(type, "poison")
    for i in range(lanes_of(type)):
        result = b.insert(result, b.call(name, scalar_of(type), *(b.lane(a, i) for a in args)), i)
    return result


def _floor_divide_float(x: Num, y: Num) -> Num:
    """floor(x / y) from the exact remainder, as npy_divmod has it."""
    mod = x.op("rem", y)
    quotient = x / y
    wrong = _opposite(mod, y)
    whole = (x - mod) / y
    whole = wrong.choose(whole - 1.0, whole)
    down = whole.call("floor")
    down = (whole - down > 0.5).choose(down + 1.0, down)
    signed = x.like(0.0).call("copysign", quotient)
    return y.equal(0.0).choose(quotient, whole.equal(0.0).choose(signed, down))


def _remainder_float(x: Num, y: Num) -> Num:
    """x - y floor(x / y), exact before its one rounding; a zero has the divisor's sign."""
    mod = x.op("rem", y)
    zero = x.like(0.0).call("copysign", y)
    return mod.equal(0.0).choose(zero, _opposite(mod, y).choose(mod + y, mod))


def _opposite(mod: Num, y: Num) -> Num:
    """Whether a remainder is not zero and on the other side of zero than the divisor."""
    return ((mod < 0.0) ^ (y < 0.0)) & mod.compare("une", 0.0)


# -- integers ------------------------------------------------------------------


def _divide_int(x: Num, y: Num, signed: bool) -> tuple[Num, Num]:
    """(floor(x / y), x - y floor(x / y)), and (0, 0) for y = 0; the least integer over -1 wraps around to itself."""
    zero = y.equal(0)
    if not signed:
        safe = zero.choose(1, y)
        return zero.choose(0, x.op("udiv", safe)), x.op("urem", safe)
    least = -(1 << (_width(x) - 1))
    safe = (zero | (x.equal(least) & y.equal(-1))).choose(1, y)
    quotient = x.op("sdiv", safe)
    rest = x - quotient * safe
    wrong = rest.compare("ne", 0) & ((rest ^ safe) < 0)
    return zero.choose(0, wrong.choose(quotient - 1, quotient)), wrong.choose(rest + safe, rest)


def _width(x: Num) -> int:
    """Bits of an integer."""
    return int(scalar_of(x.v.type)[1:])


def _power_int(x: Num, y: Num) -> Num:
    """x^y by squaring, modulo the type's range. A negative exponent, an error in NumPy, acts as its unsigned bits."""
    b, width = x.b, _width(x)
    scalar, lanes = f"i{width}", lanes_of(x.v.type)
    every = y.v if lanes == 1 else b.call(f"llvm.vector.reduce.or.{short(y.v.type)}", scalar, y.v)
    zeros = b.call(f"llvm.ctlz.{scalar}", scalar, every, Value("i1", "false"))
    turns = b.cast("zext", b.op("sub", const(scalar, width), zeros), "i64")
    with b.loop(0, turns, carried=(const(x.v.type, 1), x.v, y.v)) as loop:
        result, square, rest = (Num(b, v) for v in loop.values)
        odd = (rest & 1).compare("ne", 0)
        loop.next = [odd.choose(result * square, result).v, (square * square).v, rest.op("lshr", 1).v]
    return Num(b, loop.results[0])


def _shift_left(x: Num, y: Num, signed: bool) -> Num:
    """x 2^y; 0 if y is negative or not below the width."""
    return y.compare("ult", _width(x)).choose(x << y, 0)


def _shift_right(x: Num, y: Num, signed: bool) -> Num:
    """floor(x / 2^y), also for a y that is not below the width, which a negative y is taken for."""
    few = y.compare("ult", _width(x))
    if signed:
        return x.op("ashr", few.choose(y, _width(x) - 1))
    return few.choose(x.op("lshr", y), 0)


# -- the table ------------------------------------------------------------------


def _float_by_float(name: str, single: Callable[[Num], Num] | None, double: Callable[[Num], Num] | None = None) -> Emit:
    """A function of one float: ``single`` for float32, ``double`` for float64, and the C library where there is none."""

    def emit(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
        one = single if dtype.itemsize == 4 else double
        if one is None:
            return per_lane(b, name + "f" * (dtype.itemsize == 4), *args)
        return one(Num(b, args[0])).v

    return emit


def _intrinsic(name: str) -> Emit:
    """One of LLVM's functions."""
    return lambda b, args, dtype: b.intrinsic(name, *args)


def _binary(floats: str, integers: str, bools: str) -> Emit:
    """One instruction for each kind of type."""
    return lambda b, args, dtype: b.op({"f": floats, "b": bools}.get(dtype.kind, integers), args[0], args[1])


def _comparison(how: str) -> Emit:
    """fcmp or icmp. An unordered pair differs, and nothing else holds of it."""

    def emit(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
        if dtype.kind == "f":
            return b.compare(f"fcmp {'u' if how == 'ne' else 'o'}{how}", args[0], args[1])
        sign = "" if how in ("eq", "ne") else "s" if dtype.kind == "i" else "u"
        return b.compare(f"icmp {sign}{how}", args[0], args[1])

    return emit


def _extreme(how: str, bools: str) -> Emit:
    """The operand that is ``how``: "gt" or "lt". nan wins; at a tie, which only zeros make, the second operand is taken.

    A constant is known not to be nan, which saves instructions.
    """

    def emit(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
        x, y = Num(b, args[0]), Num(b, args[1])
        if dtype.kind == "b":
            return b.op(bools, x.v, y.v)
        if dtype.kind != "f":
            sign = "s" if dtype.kind == "i" else "u"
            return x.compare(sign + how, y).choose(x, y).v
        if _is_number(y.v):
            return x.compare("u" + how, y).choose(x, y).v
        best = x.compare(how, y).choose(x, y)
        return best.v if _is_number(x.v) else x.compare("uno", x).choose(x, best).v

    return emit


def _is_number(v: Value) -> bool:
    """Whether a float register is a constant without nan."""
    return v.name[0] != "%" and "0x7FF8" not in v.name and "poison" not in v.name and "undef" not in v.name


def _neg(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """-x."""
    return (-Num(b, args[0])).v


def _abs(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """|x|; the least integer stays."""
    x = Num(b, args[0])
    if dtype.kind == "f":
        return x.abs().v
    return (x < 0).choose(-x, x).v if dtype.kind == "i" else x.v


def _sign(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """1, -1 or 0; nan of nan."""
    x = Num(b, args[0])
    if dtype.kind == "u":
        return x.equal(0).choose(0, x.like(1)).v
    zero = x.compare("uno", x).choose(x, 0.0) if dtype.kind == "f" else x.like(0)
    return (x > 0).choose(1, (x < 0).choose(-1, zero)).v


def _floor_divide(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """floor(a / b)."""
    x, y = Num(b, args[0]), Num(b, args[1])
    return (_floor_divide_float(x, y) if dtype.kind == "f" else _divide_int(x, y, dtype.kind == "i")[0]).v


def _remainder(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """a - b floor(a / b)."""
    x, y = Num(b, args[0]), Num(b, args[1])
    return (_remainder_float(x, y) if dtype.kind == "f" else _divide_int(x, y, dtype.kind == "i")[1]).v


def _pow(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """a^b."""
    if dtype.kind == "f":
        return per_lane(b, "pow" if dtype.itemsize == 8 else "powf", *args)
    return _power_int(Num(b, args[0]), Num(b, args[1])).v


def _shift(how: Callable[[Num, Num, bool], Num]) -> Emit:
    """A shift."""
    return lambda b, args, dtype: how(Num(b, args[0]), Num(b, args[1]), dtype.kind == "i").v


TABLE: dict[str, Emit] = {
    "neg": _neg,
    "abs": _abs,
    "sign": _sign,
    "exp": _float_by_float("exp", _exp),
    "expm1": _float_by_float("expm1", _expm1),
    "log": _float_by_float("log", _log),
    "log1p": _float_by_float("log1p", _log1p),
    "sqrt": _intrinsic("sqrt"),
    "sin": _float_by_float("sin", _sin),
    "cos": _float_by_float("cos", _cos),
    "tan": _float_by_float("tan", _tan),
    "asin": _float_by_float("asin", None),
    "acos": _float_by_float("acos", None),
    "atan": _float_by_float("atan", None),
    "tanh": _float_by_float("tanh", _tanh),
    "sigmoid": _float_by_float("sigmoid", _sigmoid, _sigmoid64),
    "erf": _float_by_float("erf", _erf, _erf64),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "round": _intrinsic("roundeven"),
    "trunc": _intrinsic("trunc"),
    "add": _binary("fadd", "add", "or"),
    "sub": _binary("fsub", "sub", "xor"),
    "mul": _binary("fmul", "mul", "and"),
    "div": _binary("fdiv", "", ""),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "pow": _pow,
    "atan2": _float_by_float("atan2", None),
    "maximum": _extreme("gt", "or"),
    "minimum": _extreme("lt", "and"),
    **{how: _comparison(how) for how in ("eq", "ne", "lt", "le", "gt", "ge")},
    "bitwise_not": lambda b, args, dtype: b.op("xor", args[0], const(args[0].type, 1 if dtype.kind == "b" else -1)),
    "bitwise_and": _binary("", "and", "and"),
    "bitwise_or": _binary("", "or", "or"),
    "bitwise_xor": _binary("", "xor", "xor"),
    "shift_left": _shift(_shift_left),
    "shift_right": _shift(_shift_right),
    "where": lambda b, args, dtype: b.select(*args),
}


def cast(b: Builder, x: Value, source: np.dtype, result: np.dtype) -> Value:
    """``x`` as another type.

    A float that the integer type does not hold gives what the machine gives (and NumPy too): freeze makes of LLVM's
    "poison" some number.
    """
    to, n = SCALARS[result.name], Num(b, x)
    if source == result:
        return x
    if result.kind == "b":
        return n.compare("une" if source.kind == "f" else "ne", 0).v
    if source.kind == "f":
        if result.kind == "f":
            return b.cast("fpext" if result.itemsize > source.itemsize else "fptrunc", x, to)
        if result.name == "uint32":
            high = n >= 2.0**31
            low = _freeze(high.choose(n - 2.0**31, n).cast("fptosi", "i32"))
            return (low ^ high.choose(low.like(-0x80000000), 0)).v
        whole = _freeze(n.cast("fptosi", "i32" if result.name == "uint8" else to))
        return b.cast("trunc", whole.v, to)
    if result.kind == "f":
        return b.cast("sitofp" if source.kind == "i" else "uitofp", x, to)
    if result.itemsize > source.itemsize or source.kind == "b":
        return b.cast("sext" if source.kind == "i" else "zext", x, to)
    return b.cast("trunc", x, to)


def _freeze(x: Num) -> Num:
    """Some number where there was "poison"."""
    return Num(x.b, x.b.emit(x.v.type, f"freeze {x.v}"))


def apply(b: Builder, name: str, args: list[Value], dtypes: list[np.dtype], result: np.dtype) -> Value:
    """Write an elementwise primitive.

    Args:
        b: Where its instructions go. They may come with blocks of their own.
        name: The primitive, of the family "map".
        args: Its operands, one register each, with as many lanes.
        dtypes: The operands' types.
        result: The result's type.

    Returns:
        The register with the result.
    """
    if name == "cast":
        return cast(b, args[0], dtypes[0], result)
    return TABLE[name](b, args, dtypes[-1])
