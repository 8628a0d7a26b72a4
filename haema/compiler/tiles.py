"""Contractions: tiles of rows and vectors, held in registers while the reduction runs.

One step of the reduction loads the vectors of one factor once, and multiplies them with one number of the other factor
for each row. What is stored is computed from the tile while it is still in registers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from haema.compiler.builder import (
    SCALARS,
    Value,
    const,
    lanes,
    scalar_of,
    vector,
)
from haema.compiler.elementwise import products_of_pairs
from haema.compiler.index import Axis
from haema.compiler.nest import (
    Apply,
    Load,
    parts,
)  # fmt: skip
from haema.compiler.schedule import UNROLL
from haema.compiler.tiling import COLUMNS, ROWS, Loop
from haema.compiler.values import Values

LONG_EPILOGUE = 8
"""Operations behind a contraction from which on its rows are gone through in a loop."""


class Tiles(Values):
    """Writes a contraction."""

    def write(self) -> int:
        """Write the tiles; how many tasks they are."""
        p = self.plan
        self.columns, self.rows = p.column_tiles(), p.row_tiles()
        self.sizes = [p.turns(x) for x in p.order[slice(*p.shared)]]
        self._blocks(p.blocks)
        return math.prod(self.sizes)

    def _blocks(self, axes: list[Axis]) -> None:
        """All that is to be done, block after block."""
        if not axes:
            self._around(0, {})
            return
        with self.b.loop(0, axes[0].size) as loop, self.scope():
            self.where[axes[0]] = loop.index
            self._blocks(axes[1:])

    def _around(self, k: int, given: dict[Loop, Value]) -> None:
        """The loops from the k-th on; ``given`` are the positions of a task."""
        p = self.plan
        if k == p.shared[0] and not given:
            for position in self._tasks(self.sizes):
                self._around(k, dict(zip(p.order[slice(*p.shared)], position, strict=True)))
        elif k == len(p.order):
            self._tile()
        elif p.order[k] == COLUMNS:
            for column in self._groups(self.columns, given.get(COLUMNS), p.lanes):
                self.column = column
                self._around(k + 1, given)
        elif p.order[k] == ROWS:
            for row in self._row_groups(self.rows, given.get(ROWS)):
                self.row = row
                self._around(k + 1, given)
        else:
            axis = p.order[k]
            assert isinstance(axis, Axis)
            if axis in given:
                self.where[axis] = given[axis]
                self._around(k + 1, given)
            else:
                with self.b.loop(0, axis.size) as loop, self.scope():
                    self.where[axis] = loop.index
                    self._around(k + 1, given)

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

    def _tile(self) -> None:
        """Compute and store one tile."""
        p = self.plan
        assert p.vector is not None
        (width, start, masked), (height, first) = self.column, self.row
        cut = self._cut(p.vector.size % p.lanes if masked else 0)
        self.where[p.vector] = start
        if p.row is not None:
            self.where[p.row] = first
        self._finish(height, width, first, start, cut, self._sum(height, width, first, start, cut))

    def _cut(self, tail: int) -> Value | None:
        """The mask of a vector of which only the first ``tail`` lanes count; None if all do."""
        n = self.plan.lanes
        return lanes(vector("i1", n), [int(k < tail) for k in range(n)]) if tail else None

    def _sum(self, height: int, width: int, first: Any, start: Any, cut: Value | None) -> list[Value]:
        """What the tile adds up, row by row."""
        p, b, core = self.plan, self.b, self.nest.core
        assert core is not None
        broad, loaded = self._factors()
        n, size = p.lanes, loaded.dtype.itemsize
        type = vector(SCALARS[core.dtype.name], n)
        scalar = SCALARS[loaded.dtype.name]
        vectors = vector(scalar, n)
        step = 0 if p.row is None else p.flat[id(broad)].terms.get(p.row, 0)

        def innermost(accs: list[Value]) -> list[Value]:
            a = b.at(self.pointer[broad.buffer], self._offset(p.flat[id(broad)])[0], scalar)
            c = b.at(self.pointer[loaded.buffer], self._offset(p.flat[id(loaded)])[0], scalar)
            columns = []
            for j in range(width):
                at = b.at(c, j * n, scalar)
                columns.append(
                    self._masked(at, vectors, size, cut) if cut and j == width - 1 else b.load(at, vectors, size)
                )
            result = []
            for i in range(height):
                x = b.splat(b.load(b.at(a, i * step, scalar), scalar, size), n)
                result += [self._multiplied(x, columns[j], accs[i * width + j]) for j in range(width)]
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
        return over(p.inner, accs) if all(a.size for a in p.inner) else accs

    def _multiplied(self, x: Value, y: Value, acc: Value) -> Value:
        assert self.nest.core is not None
        if self.nest.core.pairs:
            return products_of_pairs(self.b, x, y, acc, self.plan.native)
        return self.b.fma(x, y, acc)

    def _factors(self) -> tuple[Load, Load]:
        """The one that is read number by number, and the one that is read as vectors."""
        assert self.nest.core is not None
        args = self.nest.core.args
        broad, loaded = args[1 - self.plan.second], args[self.plan.second]
        assert isinstance(broad, Load)
        assert isinstance(loaded, Load)
        return broad, loaded

    def _finish(self, height: int, width: int, first: Any, start: Any, cut: Value | None, accs: list[Value]) -> None:
        """Compute and store what is made of a tile's sums."""
        b, n = self.b, self.plan.lanes
        work = len({id(e) for s in self.nest.stores for e in parts(s.expr) if isinstance(e, Apply)})
        if work < LONG_EPILOGUE or height == 1:
            for i in range(height):
                self._row(i, first, start, cut, accs[i * width : (i + 1) * width])
            return
        kept = b.room(accs[0].type, height * width)
        for k, acc in enumerate(accs):
            b.store(acc, b.at(kept, k * n, scalar_of(acc.type)), 64)
        self._finish_kept(height, width, first, start, cut, kept)

    def _finish_kept(self, height: int, width: int, first: Any, start: Any, cut: Value | None, kept: Value) -> None:
        """The same, of sums that lie in memory."""
        b, n, core = self.b, self.plan.lanes, self.nest.core
        assert core is not None
        scalar, size = SCALARS[core.dtype.name], core.dtype.itemsize
        with b.loop(0, height) as loop:
            row = b.at(kept, b.op("mul", loop.index, const("i64", width * n)), scalar)
            accs = [b.load(b.at(row, j * n, scalar), vector(scalar, n), size) for j in range(width)]
            self._row(loop.index, first, start, cut, accs)

    def _row(self, i: Any, first: Any, start: Any, cut: Value | None, accs: list[Value]) -> None:
        p = self.plan
        assert p.vector is not None
        for j, acc in enumerate(accs):
            with self.scope():
                if p.row is not None:
                    self.where[p.row] = self._plus(first, i)
                self.where[p.vector] = self._plus(start, j * p.lanes)
                self.mask = cut if j == len(accs) - 1 else None
                self.acc = acc
                self._stores()
                self.mask = None

    def _resumed(self, height: int, width: int, first: Any, start: Any, cut: Value | None) -> list[Value]:
        """What the tile has added up in the blocks before; zeros in the first."""
        p, b = self.plan, self.b
        (store,) = self.nest.stores
        n, size = p.lanes, store.buffer.dtype.itemsize
        type = vector(SCALARS[store.buffer.dtype.name], n)
        fresh = self._first_block()
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

    def _first_block(self) -> Value:
        """Whether this is the first block of the sum."""
        fresh = const("i1", 1)
        for axis in self.plan.blocks:
            at = self.where[axis]
            assert isinstance(at, Value)
            fresh = self.b.op("and", fresh, self.b.compare("icmp eq", at, const("i64", 0)))
        return fresh

    def _plus(self, a: Any, k: Any) -> Any:
        """The sum of two positions, numbers known now or when running."""
        if isinstance(a, int) and isinstance(k, int):
            return a + k
        if k == 0 and isinstance(k, int):
            return a
        x, y = (const("i64", z) if isinstance(z, int) else z for z in (a, k))
        return self.b.op("add", x, y)
