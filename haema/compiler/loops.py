"""Loop nests other than tiled contractions: maps, copies, reductions, scans.

The threads share the outermost loops; the vector axis is the innermost one. A reduction keeps its sum in registers, and
combines the lanes at the end where the vector runs along it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from haema.compiler.builder import (
    SCALARS,
    Value,
    const,
    lanes,
    lanes_of,
    vector,
)
from haema.compiler.elementwise import apply, products_of_pairs
from haema.compiler.index import Axis
from haema.compiler.schedule import UNROLL, words
from haema.compiler.values import Values, aligned


class Loops(Values):
    """Writes a nest as loops."""

    def write(self) -> int:
        """Write the loops; how many tasks they have."""
        return self._loops()

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
            alone = not rest and self.nest.core is None
            if alone and any(aligned(p.flat[id(e)], axis) for e in words(self.nest)):
                self._by_fours(axis)
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

    def _by_fours(self, axis: Axis) -> None:
        """The innermost loop, if along it four random words each come from one block: a block for four positions."""
        p, v = self.plan, self.plan.vector

        def four() -> None:
            with self.b.loop(0, axis.size, 4) as loop, self.scope():
                drawn: dict[int, tuple[Value, Value, Value, Value]] = {}
                for k in range(4):
                    with self.scope():
                        self.where[axis] = self.b.op("add", loop.index, const("i64", k))
                        self.fours[axis] = loop.index, k, drawn
                        self._innermost()
                del self.fours[axis]

        if v is None or v in p.inner:
            four()
            return
        full, tail = divmod(v.size, p.lanes)
        if full:
            with self.b.loop(0, full * p.lanes, p.lanes) as loop, self.scope():
                self.where[v] = loop.index
                four()
        if tail:
            with self.scope():
                self._tail(v, full * p.lanes, tail, four)

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

    # -- reductions ------------------------------------------------------------------

    def _width(self) -> int:
        v = self.plan.vector
        return self.plan.lanes if v is not None and (v in self.plan.inner or self.core_varies()) else 1

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
            elif core.pairs:
                new = products_of_pairs(self.b, xs[0], xs[1], acc, native=False)
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
                return self.b.pure(half, f"shufflevector {acc}, {type} poison, <{n} x i32> <{picks}>")

            acc = apply(self.b, name, [part(0), part(n)], [dtype, dtype], dtype)
        return acc


def _extreme(dtype: np.dtype, low: bool) -> Any:
    """The number below, or above, all others."""
    if dtype.kind == "f":
        return -np.inf if low else np.inf
    if dtype.kind == "b":
        return not low
    info = np.iinfo(dtype)
    return info.min if low else info.max
