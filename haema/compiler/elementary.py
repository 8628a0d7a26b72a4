"""Machine code of exponentials, logarithms, circular functions and their kin, lane by lane.

Float32's common functions are straight lines of arithmetic. The reductions are the textbook ones,

    e^x   = 2^n e^r,                n = round(x / ln 2),      r = x - n ln 2 in two steps     |r| <= ln 2 / 2
    log x = e ln 2 + log(1 + f),    x = 2^e (1 + f)                                           |f| <= 1/3
    sin x = +-sin r or +-cos r,     n = round(2 x / pi),      r = x - n pi/2 in three steps   |r| <= pi / 4

(Muller et al., Handbook of Floating-Point Arithmetic, 2nd ed., chapter 10; Cody and Waite, Software Manual for the
Elementary Functions, 1980). A polynomial does the rest. Its coefficients minimise the largest relative error of the
function (a linear program over 1200 Chebyshev points, values with 40 digits); they were rounded to float32 one by one
from the lowest power up, each time with a new fit of the others. The error beside each tuple is the one after rounding;
half a unit in the last place is 2^-25 to 2^-24.

Float32's power goes through float64. The functions of float64, but for erf, call the C library lane by lane.
"""

from __future__ import annotations

import numpy as np

from haema.compiler.num import Num, any_lane, bits_of, horner, odd_near, per_lane
from haema.ops.special import ERF_END, ERF_K, ERF_P, ERF_Q

# Highest power first.
EXP = (0.00138699485, 0.00836625323, 0.0416674428, 0.166665465, 0.49999997)  # (e^r - 1 - r) / r^2, 2^-26.1
EXP2 = (0.00132692605, 0.00967129972, 0.055507116, 0.240222469, 0.693147004)  # (2^f - 1) / f, 2^-23.3 of 2^f
LOG = (-0.12879838, 0.139855027, -0.121873952, 0.140055537, -0.166802213, 0.200104356, -0.249998048, 0.333332151)
# (log(1 + f) - f + f^2/2) / f^3, 2^-27.6
SIN = (-0.000195182787, 0.00833218917, -0.166666552)  # (sin r - r) / r^3 in r^2, 2^-27.9
COS = (2.44323273e-05, -0.00138873095, 0.0416666456)  # (cos r - 1 + r^2/2) / r^4 in r^2, 2^-32.9
TAN = (
    0.00437269639, 9.82464189e-05, 0.0108274436, 0.0212862082, 0.0540589131, 0.133326754, 0.333333492,
)  # fmt: skip
# (tan r - r) / r^3 in r^2, 2^-29.5
ASIN = (0.0421583876, 0.0241847429, 0.0454691537, 0.0749530941, 0.166667521)
# (asin x - x) / x^3 in x^2, 2^-27.6 up to 1/2
ATAN = (
    -0.00178299204, 0.0108692031, -0.0310975816, 0.0578817129, -0.0839931443, 0.109508812, -0.142640159, 0.199985296,
    -0.333332986,
)  # fmt: skip
# (atan x - x) / x^3 in x^2, 2^-28.5 up to 1
LOG2_RATIO = (
    0.29082824992419881, 0.31928533546272003, 0.41222616324915843, 0.57707775573742226, 0.96179669482474095,
    2.8853900817774258,
)  # fmt: skip
# log2((1 + s) / (1 - s)) / s in s^2, float64, 2^-42.3 up to 1/5
EXP2_DOUBLE = (
    1.5201919341086767e-05, 0.00015469291048756512, 0.0013333922571461588, 0.0096180272539938862,
    0.055504103534400023, 0.24022651198154643, 0.69314718072845061, 0.99999999996168232,
)  # fmt: skip
# 2^f, float64, 2^-34.5
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
MAGIC_DOUBLE = 1.5 * 2.0**52


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


def exp(x: Num) -> Num:
    """e^x. Half of the exponent n goes to each of two factors: so 2^128 and denormal results are within reach."""
    t, _, r = _reduce_exp(x.at_most(89.0).at_least(-104.0), 254)
    half = (t.bits() << 22) & -0x800000
    rest = (t.bits() << 23) - half
    return _exp_near(r) * half.as_float() * rest.as_float()


def expm1(x: Num) -> Num:
    """e^x - 1 = 2 (s q + s - 1/2), where s = 2^(n-1), q = e^r - 1; q itself for n = 0."""
    t, n, r = _reduce_exp(x.at_most(89.0).at_least(-18.0), 126)
    q = (r * r).fma(horner(r, EXP), r)
    s = _power(t)
    y = n.equal(0.0).choose(q, s.fma(q, s - 0.5) * 2.0)
    return y.call("copysign", x)


def sigmoid(x: Num) -> Num:
    """1 / (1 + e^-x); e^-x is twice p s, and may be infinite."""
    t, _, r = _reduce_exp(x.at_most(30.0).at_least(-89.0), 126, -1.0)
    return 1.0 / (_exp_near(r) * _power(t)).fma(2.0, 1.0)


def tanh(x: Num) -> Num:
    """x + x^3 P(x^2) near 0, else 1 - 2 / (e^2x + 1)."""
    size = x.abs().at_most(TANH_LIMIT)
    near = odd_near(size, size * size, TANH)
    p, s = _exp2(size, 2 * LOG2E)
    far = 1.0 - 2.0 / p.fma(s, 1.0)
    return (size < TANH_SPLIT).choose(near, far).call("copysign", x)


def erf(x: Num) -> Num:
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


def log(x: Num) -> Num:
    """log x = e ln 2 + log(1 + f); denormal numbers are scaled first."""
    tiny = x < 2.0**-126
    scaled = tiny.choose(x * 2.0**23, x).bits()
    k = scaled - bits_of(2 / 3)
    f = (scaled - (k & -0x800000)).as_float() - 1.0
    e = k.op("ashr", 23).cast("sitofp", "float")
    e = tiny.choose(e - 23.0, e)
    return _log_ends(e.fma(LN2, _log_near(f)), x)


def log1p(x: Num) -> Num:
    """log(1 + x) = e ln 2 + log(1 + f), f = 2^-e x + 2^-e - 1, rounded once; f = x for e = 0."""
    u = x + 1.0
    k = (u.bits() - bits_of(2 / 3)) & -0x800000
    four = (bits_of(4.0) - k).as_float()  # 4 2^-e, which is no denormal number
    same = k.equal(0)
    f = same.choose(x, (x * 0.25).fma(four, four.fma(0.25, -1.0)))
    near = _log_near(f)
    e = k.op("ashr", 23).cast("sitofp", "float")
    return _log_ends(same.choose(near, e.fma(LN2, near)), u)


# -- float32: circular functions ------------------------------------------------------------------


def _reduce_pi(x: Num) -> tuple[Num, Num]:
    """(n, r) with x = n pi/2 + r; only the low bits of n count."""
    t = x.fma(TWO_OVER_PI, MAGIC)
    n = t - MAGIC
    for part in PI_HALF:
        x = n.fma(-part, x)
    return t.bits(), x


def _sin_cos_near(r: Num) -> tuple[Num, Num]:
    """(sin r, cos r), |r| <= pi/4."""
    square = r * r
    sin = odd_near(r, square, SIN)
    cos = (square * square).fma(horner(square, COS), square.fma(-0.5, 1.0))
    return sin, cos


def _signed(y: Num, sign: Num) -> Num:
    """``y`` with its sign changed where the top bit of ``sign`` is set."""
    return (y.bits() ^ (sign & -0x80000000)).as_float()


def _beyond(x: Num, y: Num, name: str) -> Num:
    """``y``, but in lanes where x is too large for the reduction the C library's answer."""
    b = x.b
    large = x.abs() > PI_LIMIT
    rare, before = any_lane(b, large.v), b.block
    with b.when(rare):
        other = large.choose(Num(b, per_lane(b, name, x.v)), y)
        after = b.block
    return Num(b, b.emit(y.v.type, f"phi {y.v.type} [{y.v.name}, %{before}], [{other.v.name}, %{after}]"))


def sin(x: Num) -> Num:
    """Quarter n of the circle takes sine or cosine, and a sign; worked out for |x|, so that -0 stays."""
    n, r = _reduce_pi(x.abs())
    sin, cos = _sin_cos_near(r)
    y = (n & 1).equal(0).choose(sin, cos)
    return _beyond(x, _signed(y, (n << 30) ^ x.bits()), "sinf")


def cos(x: Num) -> Num:
    """sin(x + pi/2)."""
    n, r = _reduce_pi(x)
    sin, cos = _sin_cos_near(r)
    y = (n & 1).equal(0).choose(cos, sin)
    return _beyond(x, _signed(y, (n + 1) << 30), "cosf")


def tan(x: Num) -> Num:
    """tan r, or in odd quarters -1 / tan r."""
    n, r = _reduce_pi(x.abs())
    tan = odd_near(r, r * r, TAN)
    y = (n & 1).equal(0).choose(tan, 1.0 / tan)
    return _beyond(x, _signed(y, (n << 31) ^ x.bits()), "tanf")


def _asin_parts(x: Num) -> tuple[Num, Num]:
    """(|x| > 1/2, then asin sqrt((1 - |x|) / 2), else asin |x|)."""
    size = x.abs()
    large = size > 0.5
    square = large.choose(size.fma(-0.5, 0.5), size * size)
    return large, odd_near(large.choose(square.call("sqrt"), size), square, ASIN)


def asin(x: Num) -> Num:
    """asin |x| = pi/2 - 2 asin sqrt((1 - |x|) / 2)."""
    large, part = _asin_parts(x)
    return large.choose(part.fma(-2.0, np.pi / 2), part).call("copysign", x)


def acos(x: Num) -> Num:
    """pi/2 - asin x; for |x| > 1/2 it is 2 asin sqrt((1 - |x|) / 2) or pi minus that."""
    large, part = _asin_parts(x)
    far = (x < 0.0).choose(part.fma(-2.0, np.pi), part * 2.0)
    return large.choose(far, np.pi / 2 - part.call("copysign", x))


def atan(x: Num) -> Num:
    """atan |x| = pi/2 - atan(1 / |x|)."""
    size = x.abs()
    large = size > 1.0
    ratio = large.choose(1.0 / size, size)
    part = odd_near(ratio, ratio * ratio, ATAN)
    return large.choose(np.pi / 2 - part, part).call("copysign", x)


def atan2(y: Num, x: Num) -> Num:
    """The angle of (x, y): the arctangent of the smaller size over the larger, mirrored to its octant."""
    a, c = y.abs(), x.abs()
    steep = a > c
    low, high = steep.choose(c, a), steep.choose(a, c)
    ratio = low.equal(high).choose(high.equal(0.0).choose(0.0, high.like(1.0)), low / high)
    part = odd_near(ratio, ratio * ratio, ATAN)
    part = steep.choose(np.pi / 2 - part, part)
    return (x.bits() < 0).choose(np.pi - part, part).call("copysign", y)


# -- float32: powers ------------------------------------------------------------------


def _log2_double(x: Num) -> Num:
    """The binary logarithm of a float64 above zero, to float32's needs: x = 2^e (1 + s) / (1 - s)."""
    bits = x.cast("bitcast", "i64")
    k = (bits - bits_of(2 / 3, "d")).op("ashr", 52)
    f = (bits - (k << 52)).cast("bitcast", "double") - 1.0
    e = (k + bits_of(MAGIC_DOUBLE, "d")).cast("bitcast", "double") - MAGIC_DOUBLE
    s = f / (f + 2.0)
    return s.fma(horner(s * s, LOG2_RATIO), e)


def power_float(x: Num, y: Num) -> Num:
    """|x|^y = 2^(y log2 |x|) in float64, where it cannot overflow and no float32 is denormal; then the sign."""
    size = x.abs()
    wide = size.cast("fpext", "double")
    log = (wide > 0.0).choose((wide < np.inf).choose(_log2_double(wide), wide), -np.inf)
    log = wide.compare("uno", wide).choose(wide, log)
    w = (y.cast("fpext", "double") * log).at_most(200.0).at_least(-200.0)
    t = w + MAGIC_DOUBLE
    scale = ((t.cast("bitcast", "i64") + 1023) << 52).cast("bitcast", "double")
    power = (horner(w - (t - MAGIC_DOUBLE), EXP2_DOUBLE) * scale).cast("fptrunc", "float")
    half = y * 0.5
    whole = y.equal(y.call("trunc"))
    odd = whole & half.compare("une", half.call("trunc"))
    negative = x.bits() < 0
    power = (negative & odd).choose(-power, power)
    power = ((x < 0.0) & (size < np.inf) & whole.negate()).choose(power.like(np.nan), power)
    one = y.equal(0.0) | x.equal(1.0) | (x.equal(-1.0) & y.abs().equal(np.inf))
    return one.choose(1.0, power)


# -- float64 ------------------------------------------------------------------


def sigmoid64(x: Num) -> Num:
    """1 / (1 + e^-x)."""
    return 1.0 / (Num(x.b, per_lane(x.b, "exp", (-x).v)) + 1.0)


def erf64(x: Num) -> Num:
    """The polynomials of :mod:`haema.ops.special`."""
    size = x.abs()
    large = size.at_most(ERF_END).at_least(1.0)
    tail = Num(x.b, per_lane(x.b, "exp", (-large * large).v))
    tail = tail * horner((large - ERF_K) / (large + ERF_K), ERF_Q) / large.fma(2.0, 1.0)
    small = size.at_most(1.0)
    near = x * horner(small * small, ERF_P)
    return (size > 1.0).choose((1.0 - tail).call("copysign", x), near)
