"""Nests that share their outermost loop: what one computes of a slice of the batch, the next takes while it is near.

A convolution, what follows it and the next convolution go through the same images. One nest after the other, each
writes more than a cache holds, and the next reads it from memory. Where nests depend on each other image by image only,
they are fused: for a few images at a time all of them run, one after the other, and each thread has images of its own,
so that none waits for another between them. What nobody needs behind the last of the nests is not kept either: all
slices of it lie in the same place.

That the slices are independent is seen from the positions alone. Cut every axis a of the fused loops, and one dimension
of every buffer that they hand on, into as many units. For a dimension of D elements and an axis of A steps, at

    c a + rest        with 0 <= rest < c  and  c A = D

the elements of a unit of the buffer are touched in the same unit of the loop, and in no other.

A sum over the batch, such as the gradient of a kernel, takes part too. It is added up in a few parts, each over
neighbouring units that one thread takes, and the parts are summed behind the loop: always in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from haema.compiler import schedule
from haema.compiler.index import Axis, Index
from haema.compiler.nest import Acc, Buffer, Core, Load, Nest, Number, Store
from haema.compiler.target import Target
from haema.compiler.tiling import CACHE, LINE, Plan

FEWEST = 8
"""Units that a fused loop has at least, so that threads can share it."""
PARTS = 16
"""Parts in which a sum over all units is added up, at most."""
CHEAP = 4
"""How many times as much as all parts together the operands of such a sum must be, at least."""
WORSE = 0.8
"""Of its register tile a contraction may lose so much, at most, to be fused."""


@dataclass
class Group:
    """Nests with a common outermost loop.

    Attributes:
        first, stop: They are nests[first:stop] of the program.
        units: Into how many independent parts the loop can be cut.
        grain: A thread takes a multiple of so many.
        each: How many units are one turn.
        axes: The axis of each nest that is the common loop.
        local: Temporaries of which all units may lie in one place, and the bytes from unit to unit.
    """

    first: int
    stop: int
    units: int
    grain: int
    each: int
    axes: list[Axis]
    local: dict[Buffer, int]


def conforms(index: Index, axis: Axis, size: int) -> bool:
    """Whether a position in a dimension of ``size`` elements falls into the same unit as ``axis``."""
    c = index.terms.get(axis, 0)
    if c < 1 or c * axis.size != size:
        return False
    rest = Index(index.const, {t: k for t, k in index.terms.items() if t is not axis})
    low, high = rest.bounds()
    return low >= 0 and high < c and axis not in set(rest.axes())


@dataclass
class _Growing:
    """A group while it is looked for.

    Attributes:
        units, grain: See `Group`.
        members: Nests, and for each the axis.
        dims: For each buffer written by a member the dimension that is cut; None if there is no such.
    """

    units: int
    grain: int = 1
    members: dict[Nest, Axis] = field(default_factory=dict)
    dims: dict[Buffer, int | None] = field(default_factory=dict)
    read: set[Buffer] = field(default_factory=set)
    handed: dict[Buffer, None] = field(default_factory=dict)

    def axis_for(self, nest: Nest) -> Axis | None:
        """The axis along which a nest can join, if any; one that has nothing to do with the others does not."""
        if any(s.buffer in self.read and s.buffer not in self.dims for s in nest.stores):
            return None
        return self._axis(nest, _free(nest))

    def _axis(self, nest: Nest, axes: list[Axis]) -> Axis | None:
        accesses: list[Load | Store] = [*nest.loads(), *nest.stores]
        known = [x for x in accesses if x.buffer in self.dims]
        fitting = (a for a in axes if a.size % self.units == 0 and all(self._fits(x, a) for x in known))
        return next(fitting, None) if known else None

    def parts_for(self, nest: Nest) -> Parts | None:
        """A contraction that sums over all units, added up in parts; None if it is none, or if that costs too much."""
        if not isinstance(nest.plan, tuple) or nest.core is None or nest.core.kind != "contract":
            return None
        (store, *more) = nest.stores
        axis = self._axis(nest, nest.core.axes) if _free(nest) else None
        if axis is None or more or not isinstance(store.expr, Acc) or store.buffer in self.read | {*self.dims}:
            return None
        parts = max(p for p in range(1, PARTS + 1) if self.units % p == 0)
        size = sum(x.buffer.size for x in nest.loads())
        if parts < FEWEST or parts * store.buffer.size * CHEAP > size or self.grain not in (1, self.units // parts):
            return None
        return in_parts(nest, axis, parts)

    def _fits(self, x: Load | Store, axis: Axis) -> bool:
        dim = self.dims[x.buffer]
        return dim is not None and conforms(x.index[dim], axis, x.buffer.shape[dim])

    def join(self, nest: Nest, axis: Axis) -> None:
        """Take a nest in."""
        self.handed |= dict.fromkeys(x.buffer for x in nest.loads() if x.buffer in self.dims)
        self.read |= {x.buffer for x in nest.loads()}
        self.members[nest] = axis
        for s in nest.stores:
            if s.buffer not in self.dims:
                fitting = (
                    d for d, (i, n) in enumerate(zip(s.index, s.buffer.shape, strict=True)) if conforms(i, axis, n)
                )
                self.dims[s.buffer] = next(fitting, None)

    @property
    def weight(self) -> int:
        """Bytes that one nest hands on to another."""
        return sum(b.nbytes for b in self.handed)


class Parts(NamedTuple):
    """A sum over the batch in parts: what to run before the fused loop, in it, and behind it."""

    clear: Nest
    add: Nest
    combine: Nest
    axis: Axis
    number: int


def in_parts(nest: Nest, axis: Axis, number: int) -> Parts:
    """sum_n x[n] as  p = 0,  p[n // (N / number)] += x[n]  for each n,  sum_k p[k]."""
    assert nest.core is not None
    (store,) = nest.stores
    out, core = store.buffer, nest.core
    sums = Buffer(out.name + "p", (number, *out.shape), out.dtype, "temporary", out.node)
    assert out.strides is not None
    strides = out.strides
    sums.arrange((0, *(1 + d for d in sorted(range(len(strides)), key=lambda d: -strides[d]))))
    over = [Axis(f"i{d}", n) for d, n in enumerate(sums.shape)]
    clear = Store(sums, tuple(Index.of(a) for a in over), Number(out.dtype.type(0), out.dtype))
    one = Core("contract", [a for a in core.axes if a is not axis], core.args, core.dtype)
    part = Index.of(axis) // (axis.size // number)
    add = Nest([axis, *nest.axes], one, [Store(sums, (part, *store.index), Acc(one), add=True)])
    add.plan = nest.plan
    which = Axis("part", number)
    all_parts = Core("sum", [which], (Load(sums, (Index.of(which), *store.index)),), core.dtype)
    combine = Nest(nest.axes, all_parts, [Store(out, store.index, Acc(all_parts))])
    return Parts(Nest([a for a in over if a.size != 1], None, [clear]), add, combine, axis, number)


class _Touched:
    """What some nests read and write."""

    def __init__(self) -> None:
        self.reads: set[Buffer] = set()
        self.writes: set[Buffer] = set()


class Fusing:
    """Looks for groups."""

    def __init__(self, nests: list[Nest], target: Target) -> None:
        self.target = target
        self.reads: dict[Nest, set[Buffer]] = {}
        self.writes: dict[Nest, set[Buffer]] = {}
        self._know(nests)
        self._plans: dict[tuple[Nest, Axis], Plan | None] = {}

    def _know(self, nests: Iterable[Nest]) -> None:
        for n in nests:
            self.reads[n], self.writes[n] = {x.buffer for x in n.loads()}, {s.buffer for s in n.stores}

    def groups(self, nests: list[Nest]) -> tuple[list[Nest], list[Group]]:
        """The nests in an order in which those to be fused follow each other, and the groups."""
        result: list[Nest] = []
        groups: list[Group] = []
        rest = nests
        while rest:
            found = self._from(rest)
            if found is None:
                result.append(rest[0])
                rest = rest[1:]
                continue
            grown, before, behind = found
            result += before
            groups.append(self._group(grown, len(result), [*result, *behind]))
            result += grown.members
            rest = behind
        return result, groups

    def _from(self, nests: list[Nest]) -> tuple[_Growing, list[Nest], list[Nest]] | None:
        """A group that begins with the first nest, and the nests before and behind it, if it is worth it."""
        start = nests[0]
        axis = _outermost(start)
        if axis is None or axis.size < FEWEST or self._plan(start, axis) is None:
            return None
        grown = _Growing(axis.size)
        grown.join(start, axis)
        clears: list[Nest] = []
        before: list[Nest] = []
        behind: list[Nest] = []
        free: set[Nest] = set()  # those behind that could run before the group as well
        inside, bound, ahead = _Touched(), _Touched(), _Touched()  # by the members, by all others behind, and before
        self._touch(inside, start)
        for nest in nests[1:]:
            member, joins, parts = nest, None, None
            if not self._meets(nest, bound):
                joins = grown.axis_for(nest)
                parts = grown.parts_for(nest) if joins is None else None
            if parts is not None:
                self._know(parts[:3])
                member, joins = parts.add, parts.axis
            if joins is not None and self._plan(member, joins) is not None:
                for other in [n for n in reversed(behind) if n in free]:
                    if self._conflict(member, other) or self._meets(other, ahead):
                        free.remove(other)
                        behind.remove(other)
                        before.append(other)
                        self._touch(ahead, other)
                grown.join(member, joins)
                self._touch(inside, member)
                if parts is not None:
                    grown.grain = grown.units // parts.number
                    clears.append(parts.clear)
                    behind.append(parts.combine)
                    self._touch(bound, parts.combine)
                continue
            behind.append(nest)
            if self._meets(nest, bound) or self._meets(nest, inside):
                self._touch(bound, nest)
            else:
                free.add(nest)
        if len(grown.members) == 1 or grown.weight < CACHE:
            return None
        place = {n: k for k, n in enumerate(nests)}
        return grown, [*clears, *sorted(before, key=lambda n: place[n])], behind

    def _touch(self, touched: _Touched, nest: Nest) -> None:
        touched.reads |= self.reads[nest]
        touched.writes |= self.writes[nest]

    def _meets(self, nest: Nest, others: _Touched) -> bool:
        """Whether a nest and one of the others must keep their order."""
        reads, writes = self.reads[nest], self.writes[nest]
        return not (
            others.writes.isdisjoint(reads) and others.writes.isdisjoint(writes) and others.reads.isdisjoint(writes)
        )

    def _conflict(self, nest: Nest, other: Nest) -> bool:
        """The same for two."""
        touched = _Touched()
        self._touch(touched, other)
        return self._meets(nest, touched)

    def _plan(self, nest: Nest, axis: Axis) -> Plan | None:
        """How a nest runs with this axis outermost; None if it should not."""
        if (nest, axis) not in self._plans:
            self._plans[nest, axis] = self._planned(nest, axis)
        return self._plans[nest, axis]

    def _planned(self, nest: Nest, axis: Axis) -> Plan | None:
        contract = isinstance(nest.plan, tuple)
        if contract and nest.plan[0] is axis:
            return None
        for s in nest.stores:  # neighbours in memory belong together
            step = abs(s.buffer.offset(s.index).terms.get(axis, 0))
            if 0 < step * s.buffer.dtype.itemsize < LINE:
                return None
        free, bound = schedule.plan(nest, self.target), schedule.plan(nest, self.target, axis)
        if contract:
            return bound if _size(bound) >= WORSE * _size(free) else None
        if free.vector is not None and (bound.vector is None or bound.vector.size < min(free.vector.size, bound.lanes)):
            return None
        return bound

    def _group(self, grown: _Growing, first: int, others: list[Nest]) -> Group:
        members = list(grown.members)
        elsewhere = {b for n in others for b in (*self.reads[n], *self.writes[n])}
        units, local, near = grown.units, {}, 0
        moved: set[Buffer] = set()
        for b in grown.handed:
            dim = grown.dims[b]
            assert dim is not None
            assert b.strides is not None
            near += b.nbytes // units
            if b.kind != "temporary" or b.fixed or b in elsewhere:
                continue
            if b.strides[dim] != max(b.strides):
                strides = b.strides
                b.arrange((dim, *sorted({*range(len(strides))} - {dim}, key=lambda d: -strides[d])))
                moved.add(b)
            local[b] = b.strides[dim] * (b.shape[dim] // units) * b.dtype.itemsize
        for n, axis in grown.members.items():
            if moved.isdisjoint(n.buffers()):
                n.plan = self._plans[n, axis]
            else:
                n.plan = schedule.plan(n, self.target, axis)
        each = max(1, min(CACHE // max(near, 1), units // FEWEST))
        return Group(first, first + len(members), units, grown.grain, each, [grown.members[n] for n in members], local)


def _outermost(nest: Nest) -> Axis | None:
    """The axis whose steps in what the nest stores are the longest."""
    at = nest.stores[0].buffer.offset(nest.stores[0].index)
    return max((a for a in _free(nest) if a in at.terms), key=lambda a: abs(at.terms[a]), default=None)


def _free(nest: Nest) -> list[Axis]:
    """The axes that could be the outermost loop; none of a nest whose steps have an order, or that has none."""
    if nest.serial or not all(a.size for a in nest.axes):
        return []
    core = nest.core.axes if nest.core is not None else []
    return [a for a in nest.axes if a not in core]


def _size(p: Plan) -> int:
    """Of a contraction: numbers that a register tile has."""
    return p.tile[0] * p.tile[1]
