"""From a scheduled nest to LLVM: one function per nest.

    void nest(ptr buffer, ..., ptr fault, i64 low, i64 high)        runs the tasks low <= t < high

An expression that does not change along the vector is computed once, as a number; what does is a vector with a lane
for each neighbour. At the end of an axis the remaining lanes are masked off.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
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
    scalar_of,
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
from haema.compiler.schedule import UNROLL, Plan, balanced
from haema.ops.random import MULTIPLIERS, ROUNDS, WEYL

I64 = np.dtype(np.int64)
MANY_ROWS = 8
"""Row tiles from which on these alone are shared among threads."""
LONG_EPILOGUE = 8
"""Operations behind a contraction from which on its rows are gone through in a loop."""


class Emitter:
    """Writes the function of one nest."""

    def __init__(self, module: Module, nest: Nest, name: str) -> None:
        self.nest, self.name = nest, name
        self.plan: Plan = nest.plan
        self.b = Builder(module)
        self.where: dict[Axis, Value | int] = {}
        self.mask: Value | None = None
        self.guards: list[tuple[Value | None, Value | None]] = []
        self.memo: list[dict[int, Value]] = [{}]
        self.acc: Value | None = None
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

    # -- the function ------------------------------------------------------------------

    def emit(self) -> int:
        """Write the function; how many tasks it has."""
        p = self.plan
        count = self._contraction() if p.kind == "contraction" else self._loops()
        params = ", ".join(
            [*(f"ptr noalias {self.pointer[b].name}" for b in self.buffers), "ptr %fault", "i64 %low", "i64 %high"]
        )
        self.b.line("ret void")
        self.b.module.define(self.name, f"void @{self.name}({params})", self.b)
        return count

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

    def _loops(self) -> int:
        p = self.plan
        shared, rest = p.outer[: p.tasks], p.outer[p.tasks :]
        if p.split:
            assert p.vector is not None
            if not shared:
                self._vector_range(lambda: self._innermost())
                return self._blocks(p.vector)
        sizes = [a.size for a in shared]
        if not sizes:
            with self.b.when(self.b.compare("icmp slt", Value("i64", "%low"), Value("i64", "%high"))), self.scope():
                self._nested(rest)
            return 1
        for position in self._tasks(sizes):
            self.where.update(zip(shared, position, strict=True))
            self._nested(rest)
        return math.prod(sizes)

    def _blocks(self, v: Axis) -> int:
        return math.ceil(v.size / self.plan.lanes)

    def _vector_range(self, body: Callable[[], None]) -> None:
        """The vectors low <= t < high of the vector axis."""
        p = self.plan
        v = p.vector
        assert v is not None
        full, tail = divmod(v.size, p.lanes)
        low, high = Value("i64", "%low"), Value("i64", "%high")
        stop = high
        if tail:
            stop = self.b.select(self.b.compare("icmp slt", high, const("i64", full)), high, const("i64", full))
        if full:
            with self.b.loop(low, stop) as loop, self.scope():
                self.where[v] = self.b.op("mul", loop.index, const("i64", p.lanes))
                body()
        if tail:
            with self.b.when(self.b.compare("icmp eq", high, const("i64", full + 1))), self.scope():
                self._tail(v, full * p.lanes, tail, body)

    def _tail(self, v: Axis, start: int, count: int, body: Callable[[], None]) -> None:
        self.where[v] = start
        self.mask = lanes(vector("i1", self.plan.lanes), [int(k < count) for k in range(self.plan.lanes)])
        body()
        self.mask = None

    def _nested(self, axes: list[Axis]) -> None:
        """Loops over the remaining outer axes, then along the vector."""
        p = self.plan
        if axes:
            axis, rest = axes[0], axes[1:]
            if axis.size <= UNROLL and axis in self.tested:
                for k in range(axis.size):
                    with self.scope():
                        self.where[axis] = k
                        self._nested(rest)
                return
            with self.b.loop(0, axis.size) as loop, self.scope():
                self.where[axis] = loop.index
                self._nested(rest)
            return
        v = p.vector
        if v is None or v in p.inner:
            self._innermost()
            return
        full, tail = divmod(v.size, p.lanes)
        if full:
            with self.b.loop(0, full * p.lanes, p.lanes) as loop, self.scope():
                self.where[v] = loop.index
                self._innermost()
        if tail:
            with self.scope():
                self._tail(v, full * p.lanes, tail, self._innermost)

    def _innermost(self) -> None:
        """What happens at a position of the domain."""
        core = self.nest.core
        if core is None:
            self._stores()
        elif core.kind == "scan":
            self._scan(list(self.plan.inner), self._start())
        else:
            accs = self._reduce(list(self.plan.inner), self._start())
            if self.plan.vector is not None and self.plan.vector in self.plan.inner:
                accs = [self._across(accs[0])]
            self._finish(accs)

    def _finish(self, accs: list[Value]) -> None:
        with self.scope():
            self.acc = accs[-1]
            self._stores()

    def _stores(self) -> None:
        values = [self.value(s.expr) for s in self.nest.stores]
        for s, x in zip(self.nest.stores, values, strict=True):
            self._store(s, x)

    # -- reductions ------------------------------------------------------------------

    def _width(self) -> int:
        v = self.plan.vector
        return self.plan.lanes if v is not None and (v in self.plan.inner or self.core_varies()) else 1

    def core_varies(self) -> bool:
        """Whether the accumulator is a vector."""
        core = self.nest.core
        assert core is not None
        return any(self.varies(x) for x in core.args)

    def _start(self) -> list[Value]:
        core = self.nest.core
        assert core is not None
        n = self._width()
        kind, dtype = core.kind, core.args[0].dtype
        type = vector(SCALARS[dtype.name], n)
        if kind in ("sum", "scan", "contract"):
            return [const(vector(SCALARS[core.dtype.name], n), 0)]
        low = kind in ("max", "argmax")
        first = const(type, _extreme(dtype, low))
        return [first, const(vector("i64", n), 0)] if kind.startswith("arg") else [first]

    def _combine(self, accs: list[Value]) -> list[Value]:
        core = self.nest.core
        assert core is not None
        kind, n = core.kind, self._width()
        xs = [self.b.splat(self.value(x), n) for x in core.args]
        (acc, *more) = accs
        dtype = core.args[0].dtype
        if kind == "contract":
            if dtype.kind == "f":
                new = self.b.fma(xs[0], xs[1], acc)
            else:
                product = apply(self.b, "mul", xs, [dtype, dtype], dtype)
                new = apply(self.b, "add", [acc, product], [dtype, dtype], dtype)
        elif kind in ("sum", "scan"):
            new = apply(self.b, "add", [acc, xs[0]], [core.dtype] * 2, core.dtype)
        elif kind in ("max", "min"):
            new = apply(self.b, "maximum" if kind == "max" else "minimum", [acc, xs[0]], [dtype] * 2, dtype)
        else:
            truth = np.dtype(bool)
            better = apply(self.b, "gt" if kind == "argmax" else "lt", [xs[0], acc], [dtype] * 2, truth)
            if dtype.kind == "f":
                wild = self.b.op("and", self.b.compare("fcmp uno", xs[0], xs[0]), self.b.compare("fcmp ord", acc, acc))
                better = self.b.op("or", better, wild)
            return [self.b.select(better, xs[0], acc), self.b.select(better, xs[1], more[0])]
        if self.mask is not None and self.plan.vector in self.plan.inner:
            new = self.b.select(self.mask, new, acc)
        return [new]

    def _reduce(self, axes: list[Axis], accs: list[Value]) -> list[Value]:
        if any(a.size == 0 for a in axes):
            return accs
        p = self.plan
        if not axes:
            with self.scope():
                return self._combine(accs)
        if axes[0] is p.vector and len(axes) > 1:
            axes = [*axes[1:], axes[0]]
        axis, rest = axes[0], axes[1:]
        if axis is p.vector:
            full, tail = divmod(axis.size, p.lanes)
            if full:
                with self.b.loop(0, full * p.lanes, p.lanes, tuple(accs)) as loop, self.scope():
                    self.where[axis] = loop.index
                    loop.next = self._combine(loop.values)
                accs = loop.results
            if tail:
                with self.scope():
                    self.where[axis] = full * p.lanes
                    self.mask = lanes(vector("i1", p.lanes), [int(k < tail) for k in range(p.lanes)])
                    accs = self._combine(accs)
                    self.mask = None
            return accs
        if axis.size <= UNROLL and axis in self.tested:
            for k in range(axis.size):
                with self.scope():
                    self.where[axis] = k
                    accs = self._reduce(rest, accs)
            return accs
        with self.b.loop(0, axis.size, 1, tuple(accs)) as loop, self.scope():
            self.where[axis] = loop.index
            loop.next = self._reduce(rest, loop.values)
        return loop.results

    def _scan(self, axes: list[Axis], accs: list[Value]) -> list[Value]:
        if not axes:
            accs = self._combine(accs)
            self._finish(accs)
            return accs
        with self.b.loop(0, axes[0].size, 1, tuple(accs)) as loop, self.scope():
            self.where[axes[0]] = loop.index
            loop.next = self._scan(axes[1:], loop.values)
        return loop.results

    def _across(self, acc: Value) -> Value:
        """The lanes of an accumulator combined, in a fixed tree."""
        core = self.nest.core
        assert core is not None
        dtype = core.dtype
        name = {"sum": "add", "contract": "add", "max": "maximum", "min": "minimum"}[core.kind]
        n = lanes_of(acc.type)
        while n > 1:
            n //= 2
            type = vector(SCALARS[dtype.name], 2 * n)
            half = vector(SCALARS[dtype.name], n)

            def part(start: int, acc: Value = acc, type: str = type, half: str = half, n: int = n) -> Value:
                if n == 1:
                    return self.b.lane(acc, start)
                picks = ", ".join(f"i32 {start + k}" for k in range(n))
                return self.b.emit(half, f"shufflevector {acc}, {type} poison, <{n} x i32> <{picks}>")

            acc = apply(self.b, name, [part(0), part(n)], [dtype, dtype], dtype)
        return acc

    # -- contractions ------------------------------------------------------------------

    def _contraction(self) -> int:
        """Tiles of rows and vectors, held in registers while k runs."""
        p, b = self.plan, self.b
        v = p.vector
        assert v is not None
        mr, nv = p.tile
        rows = balanced(1 if p.row is None else p.row.size, mr)
        row_tiles = sum(c for _, c in rows)
        full, tail = divmod(v.size, p.lanes)
        vectors = full + (tail > 0)
        columns = (
            [(nv, vectors // nv, False)]
            if vectors % nv == 0
            else [(nv, vectors // nv, False), (vectors % nv, 1, False)]
        )
        columns = [c for c in columns if c[1]]
        if tail:  # the last tile has the masked vector
            size, count, _ = columns.pop()
            columns += [(size, count - 1, False)] if count > 1 else []
            columns.append((size, 1, True))
        column_tiles = sum(c for _, c, _ in columns)
        outer = p.outer
        if not outer and row_tiles >= MANY_ROWS:  # each thread takes rows that lie together
            self._by_rows(p.blocks, columns, rows, tail)
            return row_tiles
        shared = []
        count = 1
        for axis in outer:
            if count >= 32:
                break
            shared.append(axis)
            count *= axis.size
        rest = outer[len(shared) :]
        tiled = count < 32
        sizes = [a.size for a in shared] + ([column_tiles, row_tiles] if tiled else [])

        def tasks(blocks: list[Axis]) -> Iterator[list[Value]]:
            """All tasks, block after block."""
            if not blocks:
                yield from self._tasks(sizes or [1])
                return
            with b.loop(0, blocks[0].size) as loop, self.scope():
                self.where[blocks[0]] = loop.index
                yield from tasks(blocks[1:])

        for position in tasks(p.blocks):
            self.where.update(zip(shared, position[: len(shared)], strict=True))
            ct, rt = position[-2:] if tiled else (None, None)

            def nested(axes: list[Axis], ct: Value | None = ct, rt: Value | None = rt) -> None:
                if axes:
                    with b.loop(0, axes[0].size) as loop, self.scope():
                        self.where[axes[0]] = loop.index
                        nested(axes[1:], ct, rt)
                    return
                for width, start, masked in self._groups(columns, ct, p.lanes):
                    for height, first in self._row_groups(rows, rt):
                        self._tile(height, width, first, start, tail if masked else 0)

            nested(rest)
        return math.prod(sizes)

    def _by_rows(
        self, blocks: list[Axis], columns: list[tuple[int, int, bool]], rows: list[tuple[int, int]], tail: int
    ) -> None:
        """All columns of the row tiles low <= t < high."""
        if blocks:
            with self.b.loop(0, blocks[0].size) as loop, self.scope():
                self.where[blocks[0]] = loop.index
                self._by_rows(blocks[1:], columns, rows, tail)
            return
        b, low, high = self.b, Value("i64", "%low"), Value("i64", "%high")
        for width, start, masked in self._groups(columns, None, self.plan.lanes):
            done = row = 0
            for height, count in rows:
                first, last = const("i64", done), const("i64", done + count)
                begin = b.select(b.compare("icmp sgt", low, first), low, first)
                end = b.select(b.compare("icmp slt", high, last), high, last)
                with b.loop(begin, end) as loop, self.scope():
                    offset = b.op("mul", b.op("sub", loop.index, first), const("i64", height))
                    at = b.op("add", offset, const("i64", row))
                    self._tile(height, width, at, start, tail if masked else 0)
                done += count
                row += count * height

    def _groups(
        self, columns: list[tuple[int, int, bool]], tile: Value | None, n: int
    ) -> Iterator[tuple[int, Any, bool]]:
        """Column tiles of each width: (vectors, first lane, whether the last vector is cut)."""
        done = lane = 0
        for width, count, masked in columns:
            if tile is None and count == 1:
                with self.scope():
                    yield width, lane, masked
            elif tile is None:
                with self.b.loop(0, count) as loop, self.scope():
                    offset = self.b.op("mul", loop.index, const("i64", width * n))
                    yield width, self.b.op("add", offset, const("i64", lane)), masked
            else:
                with self._between(tile, done, done + count, sum(c for _, c, _ in columns)), self.scope():
                    offset = self.b.op("mul", self.b.op("sub", tile, const("i64", done)), const("i64", width * n))
                    yield width, self.b.op("add", offset, const("i64", lane)), masked
            done += count
            lane += count * width * n

    def _row_groups(self, rows: list[tuple[int, int]], tile: Value | None) -> Iterator[tuple[int, Any]]:
        """Row tiles of each height: (rows, first row)."""
        done = row = 0
        for height, count in rows:
            if tile is None and count == 1:
                with self.scope():
                    yield height, row
            elif tile is None:
                with self.b.loop(0, count) as loop, self.scope():
                    offset = self.b.op("mul", loop.index, const("i64", height))
                    yield height, self.b.op("add", offset, const("i64", row))
            else:
                with self._between(tile, done, done + count, sum(c for _, c in rows)), self.scope():
                    offset = self.b.op("mul", self.b.op("sub", tile, const("i64", done)), const("i64", height))
                    yield height, self.b.op("add", offset, const("i64", row))
            done += count
            row += count * height

    @contextlib.contextmanager
    def _between(self, x: Value, low: int, high: int, of: int) -> Iterator[None]:
        if low == 0 and high == of:
            yield
            return
        at_least = self.b.compare("icmp sge", x, const("i64", low))
        with self.b.when(self.b.op("and", at_least, self.b.compare("icmp slt", x, const("i64", high)))):
            yield

    def _tile(self, height: int, width: int, first: Any, start: Any, tail: int) -> None:
        """Compute and store one tile."""
        p, b, core = self.plan, self.b, self.nest.core
        assert core is not None
        assert p.vector is not None
        scalar, n, size = SCALARS[core.dtype.name], p.lanes, core.dtype.itemsize
        type = vector(scalar, n)
        broad, loaded = (core.args[1 - p.second], core.args[p.second])
        assert isinstance(broad, Load)
        assert isinstance(loaded, Load)
        self.where[p.vector] = start
        if p.row is not None:
            self.where[p.row] = first
        step = 0 if p.row is None else p.flat[id(broad)].terms.get(p.row, 0)
        cut = lanes(vector("i1", n), [int(k < tail) for k in range(n)]) if tail else None

        def innermost(accs: list[Value]) -> list[Value]:
            a = b.at(self.pointer[broad.buffer], self._offset(p.flat[id(broad)])[0], scalar)
            c = b.at(self.pointer[loaded.buffer], self._offset(p.flat[id(loaded)])[0], scalar)
            columns = []
            for j in range(width):
                at = b.at(c, j * n, scalar)
                columns.append(self._masked(at, type, size, cut) if cut and j == width - 1 else b.load(at, type, size))
            result = []
            for i in range(height):
                x = b.splat(b.load(b.at(a, i * step, scalar), scalar, size), n)
                result += [b.fma(x, columns[j], accs[i * width + j]) for j in range(width)]
            return result

        def over(axes: list[Axis], accs: list[Value]) -> list[Value]:
            if not axes:
                return innermost(accs)
            if axes[0].size <= UNROLL and len(axes) == 1:
                for k in range(axes[0].size):
                    self.where[axes[0]] = k
                    accs = innermost(accs)
                return accs
            with b.loop(0, axes[0].size, 1, tuple(accs)) as loop:
                self.where[axes[0]] = loop.index
                loop.next = over(axes[1:], loop.values)
            return loop.results

        accs = [const(type, 0)] * (height * width)
        if p.blocks:
            accs = self._resumed(height, width, first, start, cut)
        if all(a.size for a in p.inner):
            accs = over(p.inner, accs)
        work = len({id(e) for s in self.nest.stores for e in parts(s.expr) if isinstance(e, Apply)})

        def row(i: Any, accs: list[Value]) -> None:
            for j in range(width):
                with self.scope():
                    if p.row is not None:
                        self.where[p.row] = self._plus(first, i)
                    self.where[p.vector] = self._plus(start, j * n)  # type: ignore[index]
                    self.mask = cut if j == width - 1 else None
                    self.acc = accs[j]
                    self._stores()
                    self.mask = None

        if work < LONG_EPILOGUE or height == 1:
            for i in range(height):
                row(i, accs[i * width : (i + 1) * width])
            return
        kept = b.room(type, height * width)
        for k, acc in enumerate(accs):
            b.store(acc, b.at(kept, k * n, scalar), 64)
        with b.loop(0, height) as loop:
            base = b.op("mul", loop.index, const("i64", width * n))
            row(loop.index, [b.load(b.at(b.at(kept, base, scalar), j * n, scalar), type, size) for j in range(width)])

    def _resumed(self, height: int, width: int, first: Any, start: Any, cut: Value | None) -> list[Value]:
        """What the tile has added up in the blocks before; zeros in the first."""
        p, b = self.plan, self.b
        (store,) = self.nest.stores
        n, size = p.lanes, store.buffer.dtype.itemsize
        type = vector(SCALARS[store.buffer.dtype.name], n)
        fresh = const("i1", 1)
        for axis in p.blocks:
            at = self.where[axis]
            assert isinstance(at, Value)
            fresh = b.op("and", fresh, b.compare("icmp eq", at, const("i64", 0)))
        accs = []
        for i in range(height):
            for j in range(width):
                if p.row is not None:
                    self.where[p.row] = self._plus(first, i)
                assert p.vector is not None
                self.where[p.vector] = self._plus(start, j * n)
                base, _, _ = self._offset(p.flat[id(store)])
                at_memory = b.at(self.pointer[store.buffer], base, scalar_of(type))
                old = (
                    self._masked(at_memory, type, size, cut)
                    if cut and j == width - 1
                    else b.load(at_memory, type, size)
                )
                accs.append(b.select(fresh, const(type, 0), old))
        self.where[p.vector] = start  # type: ignore[index]
        if p.row is not None:
            self.where[p.row] = first
        return accs

    def _plus(self, a: Any, k: Any) -> Any:
        """The sum of two positions, numbers known now or when running."""
        if isinstance(a, int) and isinstance(k, int):
            return a + k
        if k == 0 and isinstance(k, int):
            return a
        x, y = (const("i64", z) if isinstance(z, int) else z for z in (a, k))
        return self.b.op("add", x, y)

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
            elif isinstance(e, (Place, Word)):
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
        for alone, across in self.guards:
            if alone is not None:
                base = b.select(alone, base, const("i64", 0))
                if more is not None:
                    more = b.select(alone, more, const(more.type, 0))
            if across is not None:
                mask = across if mask is None else b.op("and", mask, across)
        memory, size = MEMORY[e.dtype.name], e.dtype.itemsize
        pointer = self.pointer[e.buffer]
        if step == 0 and more is None:
            if mask is not None:  # the place is right only where some lane is
                anywhere = b.call(f"llvm.vector.reduce.or.v{n}i1", "i1", mask)
                base = b.select(anywhere, base, const("i64", 0))
            x = b.load(b.at(pointer, base, memory), memory, size)
        elif step == 1 and more is None:
            at, type = b.at(pointer, base, memory), vector(memory, n)
            x = b.load(at, type, size) if mask is None else self._masked(at, type, size, mask)
        else:
            x = self._gather(pointer, base, step, more, memory, size, mask)
        return self._from_memory(x, e.dtype)

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
        b = self.b
        seed, block = self.value(e.seed), self.value(e.block)
        i = self._number(e.index)
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
        which = b.op("and", low(i), const(x0.type, 3))
        odd = b.compare("icmp ne", b.op("and", which, const(x0.type, 1)), const(x0.type, 0))
        upper = b.compare("icmp ugt", which, const(x0.type, 1))
        return b.select(upper, b.select(odd, x3, x2), b.select(odd, x1, x0))


def _extreme(dtype: np.dtype, low: bool) -> Any:
    """The number below, or above, all others."""
    if dtype.kind == "f":
        return -np.inf if low else np.inf
    if dtype.kind == "b":
        return not low
    info = np.iinfo(dtype)
    return info.min if low else info.max
