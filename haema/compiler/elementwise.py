"""Machine code of the elementwise primitives: what :mod:`haema.ops.map` says with NumPy, said with LLVM.

A primitive maps registers to a register. Each lane's result depends on that lane alone, and it is the same however many
lanes there are; no instruction carries a fast-math flag.

The functions of analysis are in :mod:`haema.compiler.elementary`; here are arithmetic, comparisons and casts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from haema.compiler import elementary
from haema.compiler.builder import SCALARS, Builder, Value, const, lanes_of, scalar_of, short, vector
from haema.compiler.num import Num, per_lane

Emit = Callable[[Builder, list[Value], np.dtype], Value]
"""Writes a primitive: operands, and the type of the last operand."""

# -- floats ------------------------------------------------------------------


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


# -- pairs of bfloat16 ------------------------------------------------------------------


def _pair(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
    """Two floats as bfloat16 in one word, the first in its lower half."""
    low, high = (_bfloat16(Num(b, x) if dtype.itemsize == 4 else Num(b, x).cast("fptrunc", "float")) for x in args)
    return (low.op("lshr", 16) | (high & -0x10000)).v


def _bfloat16(x: Num) -> Num:
    """A float32's bits, rounded to nearest even so that the upper half is the bfloat16; nan stays nan."""
    bits = x.bits()
    return x.compare("uno", x).choose(bits | 0x400000, bits + ((bits.op("lshr", 16) & 1) + 0x7FFF))


def products_of_pairs(b: Builder, x: Value, y: Value, acc: Value, native: bool) -> Value:
    """acc + x0 y0 + x1 y1, in float32; ``native`` if the CPU has an instruction for it, on vectors of 512 bits."""
    n = lanes_of(x.type)
    if native and n == 16:
        type = vector("bfloat", 2 * n)
        wide = (b.pure(type, f"bitcast {v} to {type}") for v in (x, y))
        return b.call("llvm.x86.avx512bf16.dpbf16ps.512", acc.type, acc, *wide)
    for how, by in (("shl", 16), ("and", -0x10000)):
        a, c = (b.cast("bitcast", b.op(how, v, const(v.type, by)), "float") for v in (x, y))
        acc = b.fma(a, c, acc)
    return acc


# -- the table ------------------------------------------------------------------


def _of_floats(name: str, single: Callable[..., Num], double: Callable[..., Num] | None = None) -> Emit:
    """A function of floats: ``single`` for float32, ``double`` for float64, where there is none the C library."""

    def emit(b: Builder, args: list[Value], dtype: np.dtype) -> Value:
        function = single if dtype.itemsize == 4 else double
        return function(*(Num(b, a) for a in args)).v if function else per_lane(b, name, *args)

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
    """The operand that is ``how``: "gt" or "lt". nan wins; of two zeros it is the second one.

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
    """Whether a float register is a constant without nan, whose bits are 7FF8... or the like."""
    return "0x" in v.name and not re.search("0x[7F]FF[89A-F]", v.name)


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
    x, y = Num(b, args[0]), Num(b, args[1])
    if dtype.kind != "f":
        return _power_int(x, y).v
    if y.v == y.like(2.0).v:
        return (x * x).v
    return elementary.power_float(x, y).v if dtype.itemsize == 4 else per_lane(b, "pow", *args)


def _shift(how: Callable[[Num, Num, bool], Num]) -> Emit:
    """A shift."""
    return lambda b, args, dtype: how(Num(b, args[0]), Num(b, args[1]), dtype.kind == "i").v


TABLE: dict[str, Emit] = {
    "neg": _neg,
    "abs": _abs,
    "sign": _sign,
    "exp": _of_floats("exp", elementary.exp),
    "expm1": _of_floats("expm1", elementary.expm1),
    "log": _of_floats("log", elementary.log),
    "log1p": _of_floats("log1p", elementary.log1p),
    "sqrt": _intrinsic("sqrt"),
    "sin": _of_floats("sin", elementary.sin),
    "cos": _of_floats("cos", elementary.cos),
    "tan": _of_floats("tan", elementary.tan),
    "asin": _of_floats("asin", elementary.asin),
    "acos": _of_floats("acos", elementary.acos),
    "atan": _of_floats("atan", elementary.atan),
    "tanh": _of_floats("tanh", elementary.tanh),
    "sigmoid": _of_floats("sigmoid", elementary.sigmoid, elementary.sigmoid64),
    "erf": _of_floats("erf", elementary.erf, elementary.erf64),
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
    "atan2": _of_floats("atan2", elementary.atan2),
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
    "pair": _pair,
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
