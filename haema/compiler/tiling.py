"""How a contraction runs: its register tile, the order of its loops, and what threads share.

For a contraction  y[.., r, .., v] = sum_k a[.., r, .., k] * b[.., k, .., v]  a tile of y is kept in registers: some
rows r, each a few vectors along v. One step of k loads the vectors of b once and multiplies them with one number of a
for each row. So b must lie with v innermost, while a may lie in any way. A dense layer, a convolution and all their
gradients are this, with other strides.

Around a tile stand the loops over the tiles of columns and of rows, and over the other axes. In which order decides
what is still in the cache when it is needed again, so their order is the one that moves the least.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from haema.compiler.index import Axis, Index
from haema.compiler.nest import Acc, Load, Nest, Store
from haema.compiler.target import Target

NEAR = 24 << 10
"""Bytes that stay in a core's first cache, of 32 KiB or more; some room is left for what passes through."""
CACHE = 400 << 10
"""Bytes that stay in a core's second cache, of 512 KiB or more."""
LINE = 64
"""Bytes that come from memory together."""
COST = {NEAR: 1 / 28, CACHE: 1 / 8}
"""Cycles per byte that the caches of these sizes must fetch."""
HIDDEN = 0.6
"""The share of the time of the multiplications in which fetching costs nothing."""
RESUME = 30
"""Cycles that a tile takes to load and store what it has added up before."""
BEYOND = 1 / 3
"""Cycles per byte of it that is not in a core's second cache."""
SHORT = 128
"""Terms that a block of a reduction has at least."""
SIDE = 16
"""Rows, columns and terms of a tile register, at most."""
SHALLOW = 4
"""Terms from which on tile registers are used."""
LATENCY = 52
"""Cycles until a product of tiles is added."""
LONG = 16 * SHORT
"""Steps along one axis that it has at most, where that axis is cut."""
MANY = 32
"""Tasks that are enough for the threads to share them evenly."""
MANY_ROWS = 8
"""Tiles of rows from which on these alone are shared, so that each thread writes rows that lie together."""

COLUMNS, ROWS = "columns", "rows"
"""The loops over tiles along the vector axis and along the row axis."""

Loop = Axis | str


@dataclass
class Plan:
    """How a nest runs.

    Attributes:
        vector: The axis whose neighbours share a vector, or None.
        lanes: How many do.
        outer: The other axes of the domain, outermost first.
        inner: Axes of the reduction, outermost first.
        flat: Place of each load and store in its buffer, by id.
        tasks: How many of ``outer`` are shared among threads; the vector's blocks too if ``split``.
        split: Whether threads share the vector axis.
        kind: "loops" or "contraction".
        row: Of a contraction: the axis along which a tile has rows.
        tile: Of a contraction: rows and vectors of a tile.
        second: Of a contraction: which factor is loaded as vectors.
        native: Of one of pairs: whether vectors of them are multiplied by an instruction.
        depth: Of one of pairs in tiles: terms that one instruction adds up; else 0.
        blocks: Of a contraction: outer axes of the reduction, whose partial sums wait in memory.
        order: Of a contraction: the loops around a tile, outermost first.
        shared: Of a contraction: those that threads share, order[shared[0]:shared[1]].
    """

    vector: Axis | None
    lanes: int
    outer: list[Axis]
    inner: list[Axis]
    flat: dict[int, Index]
    tasks: int = 0
    split: bool = False
    kind: str = "loops"
    row: Axis | None = None
    tile: tuple[int, int] = (1, 1)
    second: int = 1
    native: bool = False
    depth: int = 0
    blocks: list[Axis] = field(default_factory=list)
    order: list[Loop] = field(default_factory=list)
    shared: tuple[int, int] = (0, 0)

    def row_tiles(self) -> list[tuple[int, int]]:
        """Of a contraction: (rows, how many tiles), larger first."""
        return balanced(1 if self.row is None else self.row.size, self.tile[0])

    def column_tiles(self) -> list[tuple[int, int, bool]]:
        """Of a contraction: (vectors, how many tiles, whether the last vector is cut)."""
        assert self.vector is not None
        width = self.tile[1]
        count, rest = divmod(math.ceil(self.vector.size / self.lanes), width)
        tiles = [(width, count, False), (rest, 1, False)]
        tiles = [t for t in tiles if t[0] and t[1]]
        if self.vector.size % self.lanes:
            size, count, _ = tiles.pop()
            tiles += [(size, count - 1, False)] if count > 1 else []
            tiles.append((size, 1, True))
        return tiles

    def turns(self, loop: Loop) -> int:
        """How often a loop around a tile runs."""
        if isinstance(loop, Axis):
            return loop.size
        return sum(t[1] for t in (self.column_tiles() if loop == COLUMNS else self.row_tiles()))


def balanced(n: int, most: int) -> list[tuple[int, int]]:
    """n rows in tiles of nearly one size, at most ``most``: (size, how many), larger first."""
    count = math.ceil(n / most)
    size, more = divmod(n, count)
    return [(s, c) for s, c in ((size + 1, more), (size, count - more)) if c]


def tile_of(rows: list[tuple[int, int]], vectors: int, target: Target, width: int = 0) -> tuple[int | None, int, int]:
    """The register tile that does the most multiplications for what it loads.

    Args:
        rows: For each axis that can give the rows: its size, and how many elements of the factor lie between them.
        vectors: How many vectors a whole row has.
        target: The CPU.
        width: Vectors of the tile, if that is decided already.

    Returns:
        Which axis gives the rows, how many, and how many vectors each has.
    """
    # rows x vectors of accumulators, the vectors of b, and one number of a
    room = target.registers - 2 if target.registers > 16 else target.registers - 1
    best: tuple[float, int | None, int, int] = (math.inf, None, 1, 1)
    widths = [min(width, vectors)] if width else range(1, min(vectors, 6 if target.registers > 16 else 4) + 1)
    for nv in widths:
        most = (room - nv - (0 if target.registers > 16 else 1)) // nv
        for k, (n, step) in enumerate(rows or [(1, 0)]):
            mr = min(most, n)
            if mr < 1:
                continue
            tiles = math.ceil(n / mr)
            size = math.ceil(n / tiles)
            # per step of k: multiplications, against loads; tails of vectors and of rows are lost
            work = max(size * nv / 2, (nv + size) / 2, 4.0) + 0.5 * nv + 0.15 * size
            cost = work * tiles / n * math.ceil(vectors / nv)
            cost *= 1 + 0.01 * math.log2(1 + step)  # rows that lie close together share lines of the cache
            if cost < best[0] - 1e-9:
                best = cost, k if rows else None, size, nv
    return best[1:]


def depth_of(n: int) -> int:
    """How many of n terms an instruction for tiles takes at once: all steps take as many. 0 if it is not worth it."""
    depth = max(d for d in range(1, SIDE + 1) if n % d == 0)
    return depth if depth >= SHALLOW else 0


def matrix_tile(rows: list[tuple[int, int]], vectors: int, width: int = 0) -> tuple[int, int, int]:
    """As `tile_of` for registers that are tiles: two of them side by side and two below each other, at most."""
    best: tuple[float, int, int, int] = (math.inf, 0, 1, 1)
    for nv in [min(width, vectors)] if width else range(1, min(vectors, 2) + 1):
        for k, (n, step) in enumerate(rows):
            mr = math.ceil(n / math.ceil(n / (2 * SIDE)))
            high = math.ceil(mr / SIDE)
            # cycles for each step: a load of a tile takes 8, a product as many as it has rows, and 52 until it is added
            work = max(8 * (high + nv) + mr * nv, LATENCY)
            cost = work * math.ceil(n / mr) / n * math.ceil(vectors / nv)
            cost *= 1 + 0.03 * math.log2(1 + step)
            if cost < best[0] - 1e-9:
                best = cost, k, mr, nv
    return best[1:]


def contraction(
    nest: Nest, axes: list[Axis], inner: list[Axis], flat: dict[int, Index], target: Target, lead: Axis | None
) -> Plan:
    """The schedule of a contraction whose vector axis is chosen: ``nest.plan`` is (axis, factor loaded as vectors).

    ``lead``, if any, is its outermost loop.
    """
    v, b = nest.plan
    core = nest.core
    assert core is not None
    lanes = target.lanes(core.dtype.itemsize)
    broad, loaded = core.args[1 - b], core.args[b]
    assert isinstance(broad, Load)
    assert isinstance(loaded, Load)
    a_at, b_at = flat[id(broad)], flat[id(loaded)]
    rows = [x for x in axes if x is not v and x is not lead and x in a_at.terms and x not in b_at.terms]
    steps = [(x.size, abs(a_at.terms[x])) for x in rows]
    vectors, panel = math.ceil(v.size / lanes), loaded.buffer.panel // lanes
    inner.sort(key=lambda x: -(abs(a_at.terms.get(x, 0)) + abs(b_at.terms.get(x, 0)) * 0.001))
    last = max(inner, key=lambda x: depth_of(x.size) if a_at.terms.get(x) == 1 else 0, default=None)
    deep = core.pairs and target.tiles and bool(rows) and last is not None and a_at.terms.get(last) == 1
    depth = depth_of(last.size) if deep and last is not None else 0
    which: int | None
    if depth:
        inner = [*(x for x in inner if x is not last), *(x for x in inner if x is last)]
        which, mr, nv = matrix_tile(steps, vectors, panel)
    else:
        which, mr, nv = tile_of(steps, vectors, target, panel)
    row = None if which is None else rows[which]
    outer = [x for x in axes if x is not v and x is not row]
    best: tuple[float, Plan] | None = None
    for blocks, within, places in _cuts(nest, v, inner, flat, max(depth, 1)):
        plan = Plan(
            v, lanes, outer, within, places, kind="contraction", row=row, tile=(mr, nv), second=b,
            native=core.pairs and target.pairs, depth=depth, blocks=blocks,
        )  # fmt: skip
        cost = _arranged(nest, plan, lead)
        if best is None or cost < 0.98 * best[0]:
            best = cost, plan
    assert best is not None
    return best[1]


# -- the order of the loops ------------------------------------------------------------------


class Touch(NamedTuple):
    """How a load or store moves through memory: elements per step of each loop, and bytes of an element."""

    steps: dict[Loop, int]
    itemsize: int

    def bytes(self, turns: dict[Loop, int]) -> float:
        """What it touches while each loop runs so often: overlapping and neighbouring runs count as one."""
        counts: dict[int, int] = {}
        for t, c in self.steps.items():  # a window and what it slides along have the same step
            counts[abs(c)] = counts.get(abs(c), 1) + turns.get(t, 1) - 1
        run, runs = 1, 1
        for step, n in sorted(counts.items()):
            if n > 1 and step <= run:
                run += step * (n - 1)
            elif n > 1:
                runs *= n
        return runs * (run * self.itemsize + (LINE if runs > 1 else 0))


def _touches(nest: Nest, p: Plan) -> list[Touch]:
    """All accesses; the tile's own rows and lanes are the loops "tile rows" and "lanes"."""
    found = []
    assert nest.core is not None
    accesses: list[Load | Store] = [*nest.loads(), *nest.stores]
    for x in accesses:
        steps: dict[Loop, int] = {}
        for t, c in p.flat[id(x)].terms.items():
            if t is p.vector:
                panel = isinstance(x, Load) and x is nest.core.args[p.second] and x.buffer.panel
                steps["lanes"], steps[COLUMNS] = (1 if panel else c), c * p.lanes * p.tile[1]
            elif t is p.row:
                steps["tile rows"], steps[ROWS] = c, c * p.tile[0]
            elif isinstance(t, Axis):
                steps[t] = c
        found.append(Touch(steps, x.buffer.dtype.itemsize))
    return found


def _outwards(axes: list[Axis], at: Index) -> list[Axis]:
    """Axes with the largest steps first."""
    return sorted(axes, key=lambda x: -abs(at.terms.get(x, 0)))


def _arranged(nest: Nest, p: Plan, lead: Axis | None) -> float:
    """Give a plan the order of its loops in which the caches must fetch the least; cycles spent waiting for them.

    The result is gone through in the order in which it lies, the tiles of rows innermost or in their place, so that
    neighbours share lines of the cache; the tiles of columns stand outside of them, where that is best. Around all of
    them goes ``lead``, if there is such.
    """
    touches = _touches(nest, p)
    stored = p.flat[id(nest.stores[0])]
    first: list[Loop] = [] if lead is None else [lead]
    outer = [x for x in p.outer if x is not lead]
    inside: list[Loop] = [*first, *_outwards(outer, stored), ROWS]
    apart = inside
    if p.row is not None:
        apart = [*first, *(ROWS if x is p.row else x for x in _outwards([*outer, p.row], stored))]
    turns = {x: p.turns(x) for x in (*inside, COLUMNS)}
    within: dict[Loop, int] = {a: a.size for a in p.inner}
    within |= {"lanes": p.lanes * p.tile[1], "tile rows": p.tile[0]}
    work = math.prod(turns.values()) * math.prod(within.values()) / (16 if p.depth else 2) / p.lanes
    best: tuple[float, list[Loop]] = (math.inf, [])
    for loops, k in ((x, k) for x in (inside, apart) for k in range(x.index(ROWS), len(first) - 1, -1)):
        tried: list[Loop] = [*loops[:k], COLUMNS, *loops[k:]]
        fetched = _fetched(tried, touches, turns, within)
        cost = max(fetched - HIDDEN * work, 0.0) + 0.02 * fetched
        if cost < 0.98 * best[0]:
            best = cost, tried
    p.order = best[1]
    p.shared = (0, 1) if lead is not None else _shared(p)
    if not p.blocks:
        return best[0]
    (store,) = nest.stores
    size = 2 * p.tile[0] * p.tile[1] * p.lanes * store.buffer.dtype.itemsize  # read and written
    tile = RESUME + BEYOND * size * max(0.0, 1 - CACHE / store.buffer.nbytes)
    return math.prod(a.size for a in p.blocks) * (best[0] + tile * math.prod(turns.values()))


def _fetched(order: list[Loop], touches: list[Touch], turns: dict[Loop, int], within: dict[Loop, int]) -> float:
    """Cycles that the caches spend fetching.

    What the loops from the d-th inwards touch stays in a cache if it fits. So the loop outside the outermost such d
    fetches each element that it touches once, and all loops around that one do so anew in each of their turns.
    """
    inside = [{**within, **{x: turns[x] for x in order[d:]}} for d in range(len(order) + 1)]
    touched = [[t.bytes(n) for t in touches] for n in inside]
    cycles = 0.0
    for size, price in COST.items():
        d = len(order)
        while d > 0 and sum(touched[d - 1]) <= size:
            d -= 1
        d = max(d - 1, 0) if sum(touched[d]) <= size else d
        cycles += price * sum(touched[d]) * math.prod(turns[x] for x in order[:d])
    return cycles


def _shared(p: Plan) -> tuple[int, int]:
    """Which loops the threads share: one with many turns, or else the outermost ones together."""
    if not p.outer and p.turns(ROWS) >= MANY_ROWS:
        k = p.order.index(ROWS)
        return k, k + 1
    for k, x in enumerate(p.order):
        if p.turns(x) >= MANY:
            return k, k + 1
    count, k = 1, 0
    while k < len(p.order) and count < MANY:
        count *= p.turns(p.order[k])
        k += 1
    return 0, k


# -- long sums ------------------------------------------------------------------


def _cuts(
    nest: Nest, v: Axis, inner: list[Axis], flat: dict[int, Index], grain: int
) -> Iterator[tuple[list[Axis], list[Axis], dict[int, Index]]]:
    """Ways to take the outermost part of a long reduction out of ``inner``: (blocks, rest, places).

    The sum is then taken block by block, so that what a tile reads of each stays in the cache. What is left of the
    innermost axis is a multiple of ``grain``.
    """
    yield [], inner, flat
    (store, *more) = nest.stores
    waits = isinstance(store.expr, Acc) and store.buffer.kind in ("temporary", "output") and not (more or store.add)
    if not waits or flat[id(store)].terms[v] != 1:
        return
    blocks: list[Axis] = []
    rest = list(inner)
    while rest:
        axis, below = rest[0], math.prod(a.size for a in rest[1:])
        if below >= SHORT:
            blocks, rest = [*blocks, axis], rest[1:]
            yield blocks, rest, flat
            continue
        step = grain if axis is inner[-1] else 1
        sizes = (
            n
            for n in range(2, min(axis.size // 2, LONG) + 1)
            if axis.size % n == 0 and n % step == 0 and n * below >= SHORT
        )
        for n in itertools.islice(sizes, 3):
            outer, within = Axis(axis.name + "0", axis.size // n), Axis(axis.name + "1", n)
            places = {}
            for key, i in flat.items():
                c = i.terms.get(axis, 0)
                others = {t: x for t, x in i.terms.items() if t is not axis}
                places[key] = Index(i.const, {**others, outer: c * n, within: c})
            yield [*blocks, outer], [within, *rest[1:]], places
        return
