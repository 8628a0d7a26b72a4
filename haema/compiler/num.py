"""Registers that one can calculate with.

``x * y + 1.0`` writes a multiplication and an addition into the function being built. Numbers stand for constants
of the other operand's type; every instruction acts lane by lane, and none carries a fast-math flag.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from haema.compiler.builder import Builder, Value, const, lanes_of, scalar_of, short


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
            return Num(self.b, self.b.pure(self.v.type, f"fneg {self.v}"))
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

    def negate(self) -> Num:
        """Where this condition does not hold."""
        return self ^ 1

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


def odd_near(x: Num, square: Num, coefficients: tuple[float, ...]) -> Num:
    """x + x^3 P(x^2)."""
    return (horner(square, coefficients) * square).fma(x, x)


def bits_of(x: float, form: str = "f") -> int:
    """The bits of a float32, or with "d" of a float64."""
    return int.from_bytes(struct.pack("<" + form, x), "little")


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
