"""Writing LLVM IR: one method an instruction, one context manager a loop.

A value is its type and its name. Vectors are types like any other; arithmetic takes and gives values of one type.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SCALARS = {
    "bool": "i1", "uint8": "i8", "int32": "i32", "uint32": "i32", "int64": "i64",
    "float32": "float", "float64": "double",
}  # fmt: skip
"""LLVM's types for values in registers."""

MEMORY = {**SCALARS, "bool": "i8"}
"""LLVM's types for values in memory."""


class Value(NamedTuple):
    """Something an instruction can use."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


def vector(scalar: str, lanes: int) -> str:
    """The type of ``lanes`` scalars; one lane is the scalar itself."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def scalar_of(type: str) -> str:
    """The type of a lane."""
    return type[type.index(" x ") + 3 : -1] if type[0] == "<" else type


def lanes_of(type: str) -> int:
    """How many lanes a type has."""
    return int(type[1 : type.index(" ")]) if type[0] == "<" else 1


def literal(scalar: str, x: object) -> str:
    """A number as LLVM writes it."""
    if scalar in ("float", "double"):
        wide = float(np.float32(x)) if scalar == "float" else float(x)  # type: ignore[arg-type]
        return f"0x{struct.unpack('<Q', struct.pack('<d', wide))[0]:016X}"
    if scalar == "i1":
        return "true" if x else "false"
    return str(int(x))  # type: ignore[call-overload]


def const(type: str, x: object) -> Value:
    """A number, in every lane."""
    if type[0] != "<":
        return Value(type, literal(type, x))
    s = scalar_of(type)
    if s not in ("float", "double") and not x:
        return Value(type, "zeroinitializer")
    return Value(type, "<" + ", ".join([f"{s} {literal(s, x)}"] * lanes_of(type)) + ">")


def lanes(type: str, numbers: list[int]) -> Value:
    """A constant vector of integers."""
    s = scalar_of(type)
    return Value(type, "<" + ", ".join(f"{s} {literal(s, n)}" for n in numbers) + ">")


def short(type: str) -> str:
    """How intrinsics' names spell a type."""
    n, s = lanes_of(type), {"float": "f32", "double": "f64", "ptr": "p0"}.get(scalar_of(type), scalar_of(type))
    return s if n == 1 else f"v{n}{s}"


class Loop:
    """A loop under construction.

    Attributes:
        index: The counter.
        values: What is carried from turn to turn, at the turn's start.
        results: The same after the last turn.
    """

    def __init__(self, index: Value, values: list[Value]) -> None:
        self.index, self.values = index, values
        self.next: list[Value] = []
        self.results: list[Value] = []


class Builder:
    """The text of one function, growing."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.first: list[str] = []
        self.block = "entry"
        self._count = 0
        self._known: dict[str, Value] = {}

    def _name(self) -> str:
        self._count += 1
        return f"%x{self._count}"

    def label(self, hint: str = "b") -> str:
        """A new name for a block."""
        self._count += 1
        return f"{hint}{self._count}"

    def emit(self, type: str, text: str) -> Value:
        """An instruction with a result."""
        name = self._name()
        self.lines.append(f"  {name} = {text}")
        return Value(type, name)

    def pure(self, type: str, text: str) -> Value:
        """An instruction whose result depends on its operands alone: the same one is not written twice."""
        if text not in self._known:
            self._known[text] = self.emit(type, text)
        return self._known[text]

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        """What is computed inside need not have been computed after it."""
        known = dict(self._known)
        yield
        self._known = known

    def room(self, type: str, count: int) -> Value:
        """Memory on the stack for ``count`` values, for as long as the function runs."""
        name = self._name()
        self.first.append(f"  {name} = alloca {type}, i64 {count}, align 64")
        return Value("ptr", name)

    def constant(self, data: bytes) -> Value:
        """The address of bytes that are part of the program."""
        return self.module.constant(data)

    def line(self, text: str) -> None:
        """An instruction without one."""
        self.lines.append("  " + text)

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    # -- arithmetic ------------------------------------------------------------------

    def op(self, name: str, a: Value, b: Value) -> Value:
        """A binary instruction: fadd, mul, and, shl, ..."""
        return self.pure(a.type, f"{name} {a}, {b.name}")

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """``fcmp`` or ``icmp``, e.g. "fcmp olt"."""
        return self.pure(vector("i1", lanes_of(a.type)), f"{how} {a}, {b.name}")

    def select(self, c: Value, a: Value, b: Value) -> Value:
        """a where c, else b."""
        return self.pure(a.type, f"select {c}, {a}, {b}")

    def cast(self, name: str, a: Value, scalar: str) -> Value:
        """A conversion: sext, fptosi, bitcast, ..."""
        type = vector(scalar, lanes_of(a.type))
        return a if type == a.type else self.pure(type, f"{name} {a} to {type}")

    def call(self, name: str, type: str, *args: Value) -> Value:
        """A call of a function, declared by being called."""
        return self.emit(type, self._call(name, type, args))

    def do(self, name: str, *args: Value) -> None:
        """A call without a result."""
        self.line(self._call(name, "void", args))

    def _call(self, name: str, type: str, args: tuple[Value, ...]) -> str:
        self.module.declare(name, type, args)
        return f"call {type} @{name}({', '.join(map(str, args))})"

    def intrinsic(self, name: str, *args: Value) -> Value:
        """``llvm.NAME`` on arguments of one type."""
        type = args[0].type
        return self.pure(type, self._call(f"llvm.{name}.{short(type)}", type, args))

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def lane(self, v: Value, i: int) -> Value:
        """One lane of a vector."""
        return v if v.type[0] != "<" else self.pure(scalar_of(v.type), f"extractelement {v}, i32 {i}")

    def insert(self, v: Value, x: Value, i: int) -> Value:
        """``v`` with lane ``i`` replaced."""
        return x if v.type[0] != "<" else self.pure(v.type, f"insertelement {v}, {x}, i32 {i}")

    def splat(self, x: Value, n: int) -> Value:
        """A scalar in every lane."""
        if n == 1 or x.type[0] == "<":
            return x
        type = vector(x.type, n)
        first = self.pure(type, f"insertelement {type} poison, {x}, i32 0")
        return self.pure(type, f"shufflevector {first}, {type} poison, <{n} x i32> zeroinitializer")

    # -- memory ------------------------------------------------------------------

    def at(self, base: Value, offset: Value | int, scalar: str) -> Value:
        """The address of element ``offset``; of each, for a vector of offsets."""
        o = Value("i64", str(offset)) if isinstance(offset, int) else offset
        if o == ("i64", "0"):
            return base
        return self.pure(vector("ptr", lanes_of(o.type)), f"getelementptr {scalar}, {base}, {o}")

    def load(self, address: Value, type: str, size: int) -> Value:
        """A scalar or vector from memory, aligned to its elements of ``size`` bytes."""
        return self.emit(type, f"load {type}, {address}, align {size}")

    def store(self, value: Value, address: Value, size: int) -> None:
        """The reverse."""
        self.line(f"store {value}, {address}, align {size}")

    # -- control ------------------------------------------------------------------

    @contextlib.contextmanager
    def loop(
        self, start: Value | int, stop: Value | int, step: int = 1, carried: tuple[Value, ...] = ()
    ) -> Iterator[Loop]:
        """Count from ``start`` while below ``stop``; the body sets ``next`` to the carried values' successors.

        With numbers known beforehand it must run at least once; otherwise it may not run at all.
        """
        first, last = (Value("i64", str(x)) if isinstance(x, int) else x for x in (start, stop))
        before, head, done = self.block, self.label("loop"), self.label("done")
        guarded = not (isinstance(start, int) and isinstance(stop, int))
        if guarded:
            enter = self.compare("icmp slt", first, last)
            self.line(f"br {enter}, label %{head}, label %{done}")
        else:
            self.line(f"br label %{head}")
        self.start(head)
        at = len(self.lines)
        loop = Loop(Value("i64", self._name()), [Value(v.type, self._name()) for v in carried])
        with self._scope():
            yield loop
            following = self.op("add", loop.index, Value("i64", str(step)))
            again = self.compare("icmp slt", following, last)
        latch = self.block
        self.line(f"br {again}, label %{head}, label %{done}")
        nexts = loop.next or list(loop.values)
        phis = [f"  {loop.index.name} = phi i64 [{first.name}, %{before}], [{following.name}, %{latch}]"]
        for v, a, b in zip(loop.values, carried, nexts, strict=True):
            phis.append(f"  {v.name} = phi {v.type} [{a.name}, %{before}], [{b.name}, %{latch}]")
        self.lines[at:at] = phis
        self.start(done)
        if guarded:
            for a, b in zip(carried, nexts, strict=True):
                text = f"phi {a.type} [{a.name}, %{before}], [{b.name}, %{latch}]"
                loop.results.append(self.emit(a.type, text))
        else:
            loop.results = nexts

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Only if ``condition``."""
        yes, done = self.label("then"), self.label("done")
        self.line(f"br {condition}, label %{yes}, label %{done}")
        self.start(yes)
        with self._scope():
            yield
        self.line(f"br label %{done}")
        self.start(done)


class Module:
    """The text of a program: functions and what they call."""

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self._declared: dict[str, str] = {}
        self._constants: dict[bytes, str] = {}

    def constant(self, data: bytes) -> Value:
        """The address of bytes that are part of the program."""
        name = self._constants.setdefault(data, f"@c{len(self._constants)}")
        return Value("ptr", name)

    def declare(self, name: str, type: str, args: tuple[Value, ...]) -> None:
        """Make ``name`` known, unless it is defined here."""
        if name not in self._declared and name not in self.functions:
            self._declared[name] = f"declare {type} @{name}({', '.join(a.type for a in args)})"

    def define(self, name: str, head: str, body: Builder) -> None:
        """Add a function."""
        self.functions[name] = "\n".join([f"define {head} {{", "entry:", *body.first, *body.lines, "}"])

    def text(self) -> str:
        """The whole program."""
        declared = [d for n, d in self._declared.items() if n not in self.functions]
        bytes = [
            f"{name} = private constant [{len(data)} x i8] [{', '.join(f'i8 {x}' for x in data)}], align 64"
            for data, name in self._constants.items()
        ]
        return "\n\n".join(["\n".join([*bytes, *declared]), *self.functions.values()])
