"""Contractions of pairs of bfloat16 in registers that are tiles (AMX).

A register holds 16 rows of 64 bytes. One instruction multiplies 16 rows of 16 pairs with 16 terms of 16 pairs, and adds
the products to 16 rows of 16 sums in float32. Two registers of rows times two of columns are four tiles of sums, so
that each one that is loaded is used twice:

           6       7                 0 to 3    sums
    4      0       1                 4, 5      the factor with the rows, along the sum
    5      2       3                 6, 7      the other, term by term

Shorter tiles at an edge are told by a configuration, which gives each register its rows and bytes. The sums go to
memory, and what is made of them is computed there, row by row.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

from __future__ import annotations

import struct

from haema.compiler.builder import Value, const
from haema.compiler.index import Axis
from haema.compiler.tiles import Tiles
from haema.compiler.tiling import SIDE

BYTES = 64
"""Of a row of a tile."""


class Matrix(Tiles):
    """Writes a contraction in tiles."""

    def write(self) -> int:
        p = self.plan
        self.kept = self.b.room("float", p.tile[0] * p.tile[1] * SIDE)
        sizes = {self._sizes(h, w, cut) for h, _ in p.row_tiles() for w, _, cut in p.column_tiles()}
        self.alike = len(sizes) == 1
        if self.alike:
            self._configure(*sizes.pop())
        tasks = super().write()
        self.b.do("llvm.x86.tilerelease")
        return tasks

    def _tile(self) -> None:
        p, b = self.plan, self.b
        assert p.vector is not None
        (width, start, masked), (height, first) = self.column, self.row
        rows, columns = self._sizes(height, width, masked)
        self.where[p.vector] = start
        assert p.row is not None
        self.where[p.row] = first
        if not self.alike:
            self._configure(rows, columns)
        if p.blocks:
            self._resume(len(rows), width)
        else:
            self._clear(len(rows), width)
        self._over(p.inner, rows, columns)
        for i in range(len(rows)):
            for j in range(width):
                at = b.at(self.kept, SIDE * (SIDE * width * i + j), "float")
                b.do("llvm.x86.tilestored64", _tile(2 * i + j), at, const("i64", BYTES * width))
        self._finish_kept(height, width, first, start, self._cut(columns[-1] % SIDE), self.kept)

    def _clear(self, height: int, width: int) -> None:
        for i in range(height):
            for j in range(width):
                self.b.do("llvm.x86.tilezero", _tile(2 * i + j))

    def _resume(self, height: int, width: int) -> None:
        """Begin with what the blocks before have added up; with zeros in the first."""
        p, b = self.plan, self.b
        (store,) = self.nest.stores
        fresh = self._first_block()
        with b.when(fresh):
            self._clear(height, width)
        with b.when(b.op("xor", fresh, const("i1", 1))):
            at = b.at(self.pointer[store.buffer], self._offset(p.flat[id(store)])[0], "float")
            step = p.flat[id(store)].terms[p.row]
            for i in range(height):
                for j in range(width):
                    b.do(
                        "llvm.x86.tileloadd64",
                        _tile(2 * i + j),
                        b.at(at, SIDE * (step * i + j), "float"),
                        const("i64", 4 * step),
                    )

    def _sizes(self, height: int, width: int, masked: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The rows of the registers below each other, and the columns of those side by side."""
        assert self.plan.vector is not None
        rows = (height,) if height <= SIDE else (SIDE, height - SIDE)
        return rows, (SIDE,) * (width - 1) + ((self.plan.vector.size % SIDE if masked else 0) or SIDE,)

    def _over(self, axes: list[Axis], rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        """The products of all terms."""
        p = self.plan
        axis, *more = axes
        step = 1 if more else p.depth
        assert axis.size % step == 0
        with self.b.loop(0, axis.size, step) as loop:
            self.where[axis] = loop.index
            if more:
                self._over(more, rows, columns)
            else:
                self._products(axis, rows, columns)

    def _products(self, last: Axis, rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        p, b = self.plan, self.b
        numbers, vectors = self._factors()
        a_at, c_at = p.flat[id(numbers)], p.flat[id(vectors)]
        a = b.at(self.pointer[numbers.buffer], self._offset(a_at)[0], "i32")
        c = b.at(self.pointer[vectors.buffer], self._offset(c_at)[0], "i32")
        step = a_at.terms[p.row]
        for j in range(len(columns)):
            b.do("llvm.x86.tileloadd64", _tile(6 + j), b.at(c, SIDE * j, "i32"), const("i64", 4 * c_at.terms[last]))
        for i in range(len(rows)):
            b.do("llvm.x86.tileloadd64", _tile(4 + i), b.at(a, SIDE * i * step, "i32"), const("i64", 4 * step))
            for j in range(len(columns)):
                b.do("llvm.x86.tdpbf16ps", _tile(2 * i + j), _tile(4 + i), _tile(6 + j))

    def _configure(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        """Give the registers their sizes, which also empties them."""
        sizes = {2 * i + j: (r, 4 * c) for i, r in enumerate(rows) for j, c in enumerate(columns)}
        sizes |= {4 + i: (r, 4 * self.plan.depth) for i, r in enumerate(rows)}
        sizes |= {6 + j: (self.plan.depth, 4 * c) for j, c in enumerate(columns)}
        found = [sizes.get(k, (0, 0)) for k in range(SIDE)]
        text = struct.pack("<16B16H16B", 1, *[0] * 15, *(n for _, n in found), *(r for r, _ in found))
        self.b.do("llvm.x86.ldtilecfg", self.b.constant(text))


def _tile(k: int) -> Value:
    return Value("i8", str(k))
