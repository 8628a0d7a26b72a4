"""Expressions of a nest as LLVM values, at the position where its loops are.

An expression that does not change along the vector is computed once, as a number; what does is a vector with a lane
for each neighbour. At the end of an axis the remaining lanes are masked off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from haema.compiler.builder import (
    MEMORY,
    SCALARS,
    Builder,
    Module,
    Value,
    const,
    lanes,
    lanes_of,
    short,
    vector,
)
from haema.compiler.elementwise import apply
from haema.compiler.index import Axis, Index, Part
from haema.compiler.nest import (
    Acc,
    Apply,
    Choose,
    Expr,
    Load,
    Nest,
    Number,
    Picked,
    Place,
    Store,
    Word,
    parts,
)  # fmt: skip
from haema.compiler.tiling import Plan
from haema.ops.random import MULTIPLIERS, ROUNDS, WEYL


class Values:
    """What the code of every nest is made of: expressions, loads and stores at the position at hand."""

    def __init__(self, module: Module, nest: Nest, name: str) -> None:
        self.nest, self.name = nest, name
        self.plan: Plan = nest.plan
        self.b = Builder(module)
        self.where: dict[Axis, Value | int] = {}
        self.mask: Value | None = None
        self.guards: list[tuple[Value | None, Value | None]] = []
        self.memo: list[dict[int, Value]] = [{}]
        self.acc: Value | None = None
        self.fours: dict[Axis, tuple[Value, int, dict[int, tuple[Value, Value, Value, Value]]]] = {}
        self._varies: dict[int, bool] = {}
        self.buffers = nest.buffers()
        self.pointer = {b: Value("ptr", f"%b{k}") for k, b in enumerate(self.buffers)}
        self.tested = {
            a
            for e in nest.expressions()
            for x in parts(e)
            if isinstance(x, Choose)
            for t in x.tests
            for a in t.place.axes()
        }

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Values computed inside are forgotten outside."""
        self.memo.append({})
        yield
        self.memo.pop()

    def _tasks(self, sizes: list[int]) -> Iterator[list[Value]]:
        """A loop over the tasks, each with its position along ``sizes``."""
        with self.b.loop(Value("i64", "%low"), Value("i64", "%high")) as loop, self.scope():
            left = loop.index
            found: list[Value] = []
            for n in reversed(sizes[1:]):
                by = const("i64", n)
                found.append(self.b.op("urem", left, by))
                left = self.b.op("udiv", left, by)
            yield [left, *reversed(found)]

    def _stores(self) -> None:
        values = [self.value(s.expr) for s in self.nest.stores]
        for s, x in zip(self.nest.stores, values, strict=True):
            self._store(s, x)

    def core_varies(self) -> bool:
        """Whether the accumulator is a vector."""
        core = self.nest.core
        assert core is not None
        return any(self.varies(x) for x in core.args)

    # -- expressions ------------------------------------------------------------------

    def varies(self, e: Expr) -> bool:
        """Whether the value differs along the vector."""
        if id(e) not in self._varies:
            v = self.plan.vector
            if isinstance(e, Load):
                found = v is not None and v in set(self.plan.flat[id(e)].axes())
            elif isinstance(e, Apply):
                found = any(self.varies(x) for x in e.args)
            elif isinstance(e, Choose):
                found = self.varies(e.a) or self.varies(e.b) or any(v in set(t.place.axes()) for t in e.tests)
            elif isinstance(e, Word):
                found = v in set(self.plan.flat[id(e)].axes())
            elif isinstance(e, Place):
                found = v in set(e.index.axes())
            elif isinstance(e, Acc):
                found = (
                    v is not None
                    and v not in self.plan.inner
                    and (self.plan.kind == "contraction" or self.core_varies())
                )
            else:
                found = False
            self._varies[id(e)] = found
        return self._varies[id(e)]

    def value(self, e: Expr) -> Value:
        """The value of an expression at the present position: a number, or a vector if it varies."""
        for known in reversed(self.memo):
            if id(e) in known:
                return known[id(e)]
        result = self._value(e)
        self.memo[-1][id(e)] = result
        return result

    def _wide(self, e: Expr) -> Value:
        return self.b.splat(self.value(e), self.plan.lanes)

    def _value(self, e: Expr) -> Value:
        if isinstance(e, Number):
            return const(SCALARS[e.dtype.name], e.value)
        if isinstance(e, Load):
            return self._load(e)
        if isinstance(e, Acc):
            assert self.acc is not None
            return self.acc
        if isinstance(e, Apply):
            args = [self._wide(x) if self.varies(e) else self.value(x) for x in e.args]
            return apply(self.b, e.name, args, [x.dtype for x in e.args], e.dtype)
        if isinstance(e, Choose):
            return self._choose(e)
        if isinstance(e, Place):
            return self._number(e.index)
        assert isinstance(e, Word)
        return self._word(e)

    def _choose(self, e: Choose) -> Value:
        alone: Value | None = None
        across: Value | None = None
        for t in e.tests:
            known = self._known(t.place)
            low, high = known.bounds()
            if low >= t.low and high < t.high:
                continue
            if high < t.low or low >= t.high:
                return self._wide(e.b) if self.varies(e) else self.value(e.b)
            x = self._number(t.place)
            ok = self.b.compare("icmp slt", x, const(x.type, t.high))
            if low < t.low:
                ok = self.b.op("and", ok, self.b.compare("icmp sge", x, const(x.type, t.low)))
            if x.type[0] == "<":
                across = ok if across is None else self.b.op("and", across, ok)
            else:
                alone = ok if alone is None else self.b.op("and", alone, ok)
        get = self._wide if self.varies(e) else self.value
        if alone is None and across is None:
            return get(e.a)
        other = get(e.b)
        self.guards.append((alone, across))
        with self.scope():
            a = get(e.a)
        self.guards.pop()
        condition = alone
        if across is not None:
            condition = across if alone is None else self.b.op("and", across, self.b.splat(alone, self.plan.lanes))
        assert condition is not None
        return self.b.select(condition, a, other)

    def _known(self, index: Index) -> Index:
        """The index with the positions that are known now put in."""

        def change(t: Any) -> Index | None:
            at = self.where.get(t)
            return Index(at) if isinstance(at, int) and t is not self.plan.vector else None

        return index.rewrite(change)

    def _number(self, index: Index) -> Value:
        """A position as i64: one number, or one for each lane if it varies."""
        base, step, more = self._offset(index)
        if step == 0 and more is None:
            return base
        n = self.plan.lanes
        type = vector("i64", n)
        result = self.b.splat(base, n)
        if step:
            result = self.b.op("add", result, lanes(type, [step * k for k in range(n)]))
        return result if more is None else self.b.op("add", result, more)

    def _offset(self, index: Index) -> tuple[Value, int, Value | None]:
        """A place in memory: that of the first lane, the step from lane to lane, and what is added in each lane."""
        v, b = self.plan.vector, self.b
        fixed, total, step = index.const, None, 0
        more: Value | None = None
        for t, c in index.terms.items():
            if isinstance(t, Axis):
                at = self.where[t]
                if t is v:
                    step += c
                if isinstance(at, int):
                    fixed += c * at
                    continue
                x = at
            else:
                x = self._part(t) if isinstance(t, Part) else self._pick(t)
            if c != 1:
                x = b.op("mul", x, const(x.type, c))
            if x.type[0] == "<":
                more = x if more is None else b.op("add", more, x)
            else:
                total = x if total is None else b.op("add", total, x)
        if total is None:
            return const("i64", fixed), step, more
        return (b.op("add", total, const("i64", fixed)) if fixed else total), step, more

    def _part(self, t: Part) -> Value:
        known = self._known(t.of)
        if not known.terms:
            return const("i64", known.const // t.by if t.quotient else known.const % t.by)
        x = self._number(t.of)
        return self.b.op("udiv" if t.quotient else "urem", x, const(x.type, t.by))

    def _pick(self, t: Picked) -> Value:
        """A position from memory, brought into its axis; one out of range is reported and becomes 0."""
        key = id(t)
        for known in reversed(self.memo):
            if key in known:
                return known[key]
        b = self.b
        x = self.value(t.expr)
        size = const(x.type, t.size)
        x = b.select(b.compare("icmp slt", x, const(x.type, 0)), b.op("add", x, size), x)
        ok = b.compare("icmp ult", x, size)
        wrong = b.op("xor", ok, const(ok.type, 1))
        if lanes_of(wrong.type) > 1:
            if self.mask is not None:
                wrong = b.op("and", wrong, self.mask)
            wrong = b.call(f"llvm.vector.reduce.or.v{lanes_of(wrong.type)}i1", "i1", wrong)
        with b.when(wrong):
            b.store(const("i64", t.size), Value("ptr", "%fault"), 8)
        result = b.select(ok, x, const(x.type, 0))
        self.memo[-1][key] = result
        return result

    def _load(self, e: Load) -> Value:
        b, n = self.b, self.plan.lanes
        base, step, more = self._offset(self.plan.flat[id(e)])
        mask = self.mask if self.varies(e) else None
        right: list[Value] = []  # where one of these fails there is nothing to load
        for alone, across in self.guards:
            if alone is not None:
                right.append(alone)
            if across is not None:
                mask = across if mask is None else b.op("and", mask, across)
        memory, size = MEMORY[e.dtype.name], e.dtype.itemsize
        pointer = self.pointer[e.buffer]
        if step == 0 and more is None:
            if mask is not None:  # the place is right only where some lane is
                right.append(b.call(f"llvm.vector.reduce.or.v{n}i1", "i1", mask))
            x = b.load(self._somewhere(b.at(pointer, base, memory), right), memory, size)
        elif step == 1 and more is None:
            at, type = b.at(pointer, base, memory), vector(memory, n)
            if mask is not None:
                x = self._masked(self._somewhere(at, right), type, size, mask)
            else:
                x = b.load(self._somewhere(at, right), type, size)
        else:
            for alone in right:
                mask = b.splat(alone, n) if mask is None else b.op("and", mask, b.splat(alone, n))
            x = self._gather(pointer, base, step, more, memory, size, mask)
        return self._from_memory(x, e.dtype)

    def _somewhere(self, at: Value, right: list[Value]) -> Value:
        """The address, or where that is none another at which there is something: what is read there is not used."""
        for ok in right:
            at = self.b.select(ok, at, Value("ptr", "%fault"))
        return at

    def _from_memory(self, x: Value, dtype: np.dtype) -> Value:
        return self.b.compare("icmp ne", x, const(x.type, 0)) if dtype.kind == "b" else x

    def _masked(self, at: Value, type: str, size: int, mask: Value) -> Value:
        zero = const(type, 0)
        name = f"llvm.masked.load.{short(type)}.p0"
        return self.b.call(name, type, at, Value("i32", str(size)), mask, zero)

    def _addresses(self, pointer: Value, base: Value, step: int, more: Value | None, memory: str) -> Value:
        b, n = self.b, self.plan.lanes
        at = b.splat(base, n)
        if step:
            at = b.op("add", at, lanes(vector("i64", n), [step * k for k in range(n)]))
        if more is not None:
            at = b.op("add", at, more)
        return b.at(pointer, at, memory)

    def _gather(
        self, pointer: Value, base: Value, step: int, more: Value | None, memory: str, size: int, mask: Value | None
    ) -> Value:
        n = self.plan.lanes
        type = vector(memory, n)
        mask = mask or const(vector("i1", n), 1)
        at = self._addresses(pointer, base, step, more, memory)
        name = f"llvm.masked.gather.{short(type)}.v{n}p0"
        return self.b.call(name, type, at, Value("i32", str(size)), mask, const(type, 0))

    def _store(self, s: Store, x: Value) -> None:
        b, n = self.b, self.plan.lanes
        base, step, more = self._offset(self.plan.flat[id(s)])
        memory, size = MEMORY[s.buffer.dtype.name], s.buffer.dtype.itemsize
        pointer = self.pointer[s.buffer]
        single = step == 0 and more is None
        if not single:
            x = b.splat(x, n)
        type = vector(memory, lanes_of(x.type))
        if s.add:
            old = (
                b.load(b.at(pointer, base, memory), memory, size) if single
                else self._gather(pointer, base, step, more, memory, size, self.mask)
            )  # fmt: skip
            x = apply(b, "add", [self._from_memory(old, s.buffer.dtype), x], [s.buffer.dtype] * 2, s.buffer.dtype)
        if s.buffer.dtype.kind == "b":
            x = b.cast("zext", x, "i8")
        if single:
            b.store(x, b.at(pointer, base, memory), size)
        elif step == 1 and more is None:
            at = b.at(pointer, base, memory)
            if self.mask is None:
                b.store(x, at, size)
            else:
                b.do(f"llvm.masked.store.{short(type)}.p0", x, at, Value("i32", str(size)), self.mask)
        else:
            at = self._addresses(pointer, base, step, more, memory)
            mask = self.mask or const(vector("i1", n), 1)
            b.do(f"llvm.masked.scatter.{short(type)}.v{n}p0", x, at, Value("i32", str(size)), mask)

    # -- random words ------------------------------------------------------------------

    def _word(self, e: Word) -> Value:
        """Word number ``index`` of Philox4x32-10; see `haema.ops.random`."""
        b, index = self.b, self.plan.flat[id(e)]
        for axis, (first, k, drawn) in self.fours.items():
            if aligned(index, axis):
                if id(e) not in drawn:
                    now, self.where[axis] = self.where[axis], first
                    drawn[id(e)] = self._block(e, self._number(index))
                    self.where[axis] = now
                return drawn[id(e)][k]
        i = self._number(index)
        x0, x1, x2, x3 = self._block(e, i)
        which = b.op("and", b.cast("trunc", i, "i32"), const(x0.type, 3))
        odd = b.compare("icmp ne", b.op("and", which, const(x0.type, 1)), const(x0.type, 0))
        upper = b.compare("icmp ugt", which, const(x0.type, 1))
        return b.select(upper, b.select(odd, x3, x2), b.select(odd, x1, x0))

    def _block(self, e: Word, i: Value) -> tuple[Value, Value, Value, Value]:
        """The four words of the block in which word ``i`` lies."""
        b = self.b
        guards, self.guards = self.guards, []  # of one position; a block is that of four
        with self.scope():
            seed, block = self.value(e.seed), self.value(e.block)
        self.guards = guards
        n = lanes_of(i.type)
        half = const("i64", 32)
        counter = b.op("add", b.splat(block, n), b.op("lshr", i, const(i.type, 2)))

        def low(x: Value) -> Value:
            return b.cast("trunc", x, "i32")

        def high(x: Value) -> Value:
            return low(b.op("lshr", x, const(x.type, 32)))

        x0, x1 = low(counter), high(counter)
        x2 = x3 = const(x0.type, 0)
        k0, k1 = low(seed), low(b.op("lshr", seed, half))
        for r in range(ROUNDS):
            p0, p1 = (
                b.op("mul", b.cast("zext", x, "i64"), const(vector("i64", n), m))
                for x, m in zip((x0, x2), MULTIPLIERS, strict=True)
            )
            s0, s1 = (
                b.splat(b.op("add", k, const("i32", (r * w) & 0xFFFFFFFF)), n)
                for k, w in zip((k0, k1), WEYL, strict=True)
            )
            x0, x1, x2, x3 = (
                b.op("xor", b.op("xor", high(p1), x1), s0),
                low(p1),
                b.op("xor", b.op("xor", high(p0), x3), s1),
                low(p0),
            )
        return x0, x1, x2, x3


def aligned(index: Index, axis: Axis) -> bool:
    """Whether each four random words along an axis are those of one block."""
    others = [index.const, *(c for t, c in index.terms.items() if t is not axis)]
    return index.terms.get(axis) == 1 and axis.size % 4 == 0 and all(c % 4 == 0 for c in others)
