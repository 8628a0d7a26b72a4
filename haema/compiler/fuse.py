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
"""

from __future__ import annotations

from dataclasses import dataclass, field

from haema.compiler import schedule
from haema.compiler.index import Axis, Index
from haema.compiler.nest import Buffer, Load, Nest, Store
from haema.compiler.target import Target
from haema.compiler.tiling import CACHE, LINE, Plan

FEWEST = 8
"""Units that a fused loop has at least, so that threads can share it."""
WORSE = 0.8
"""Of its register tile a contraction may lose so much, at most, to be fused."""


@dataclass
class Group:
    """Nests with a common outermost loop.

    Attributes:
        first, stop: They are nests[first:stop] of the program.
        units: Into how many independent parts the loop can be cut.
        each: How many units are one turn.
        axes: The axis of each nest that is the common loop.
        local: Temporaries of which all units may lie in one place, and the bytes from unit to unit.
    """

    first: int
    stop: int
    units: int
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
        units: See `Group`.
        members: Nests, and for each the axis.
        dims: For each buffer written by a member the dimension that is cut; None if there is no such.
    """

    units: int
    members: dict[Nest, Axis] = field(default_factory=dict)
    dims: dict[Buffer, int | None] = field(default_factory=dict)
    read: set[Buffer] = field(default_factory=set)
    handed: set[Buffer] = field(default_factory=set)

    def axis_for(self, nest: Nest) -> Axis | None:
        """The axis along which a nest can join, if any; one that has nothing to do with the others does not."""
        if any(s.buffer in self.read and s.buffer not in self.dims for s in nest.stores):
            return None
        accesses: list[Load | Store] = [*nest.loads(), *nest.stores]
        known = [x for x in accesses if x.buffer in self.dims]
        if not known:
            return None
        for axis in _free(nest):
            if axis.size % self.units == 0 and all(self._fits(x, axis) for x in known):
                return axis
        return None

    def _fits(self, x: Load | Store, axis: Axis) -> bool:
        dim = self.dims[x.buffer]
        return dim is not None and conforms(x.index[dim], axis, x.buffer.shape[dim])

    def join(self, nest: Nest, axis: Axis) -> None:
        """Take a nest in."""
        self.handed |= {x.buffer for x in nest.loads() if x.buffer in self.dims}
        self.read |= {x.buffer for x in nest.loads()}
        self.members[nest] = axis
        for s in nest.stores:
            b = s.buffer
            dims = [d for d, i in enumerate(s.index) if b.shape[d] % self.units == 0 and conforms(i, axis, b.shape[d])]
            dim = dims[0] if dims else None
            self.dims[b] = dim if b not in self.dims or self.dims[b] == dim else None

    @property
    def weight(self) -> int:
        """Bytes that one nest hands on to another."""
        return sum(b.nbytes for b in self.handed)


class Fusing:
    """Looks for groups."""

    def __init__(self, nests: list[Nest], target: Target) -> None:
        self.target = target
        self.reads = {n: {x.buffer for x in n.loads()} for n in nests}
        self.writes = {n: {s.buffer for s in n.stores} for n in nests}
        self._plans: dict[tuple[Nest, Axis], Plan | None] = {}

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
            grown, before = found
            result += [n for n in rest if n in before]
            members = [n for n in rest if n in grown.members]
            rest = [n for n in rest if n not in grown.members and n not in before]
            groups.append(self._group(grown, members, len(result), rest))
            result += members
        return result, groups

    def _from(self, nests: list[Nest]) -> tuple[_Growing, set[Nest]] | None:
        """A group that begins with the first nest, and what must run before it, if one is worth it."""
        start = nests[0]
        axis = _outermost(start)
        if axis is None or axis.size < FEWEST or self._plan(start, axis) is None:
            return None
        grown = _Growing(axis.size)
        grown.join(start, axis)
        before: set[Nest] = set()
        free: list[Nest] = []  # could run before the group as well as behind it
        later: list[Nest] = []
        for nest in nests[1:]:
            if self._conflict(nest, later):
                later.append(nest)
                continue
            joins = grown.axis_for(nest)
            if joins is not None and self._plan(nest, joins) is not None:
                for other in reversed(list(free)):
                    if self._conflict(nest, [other]) or self._conflict(other, before):
                        free.remove(other)
                        before.add(other)
                grown.join(nest, joins)
            elif self._conflict(nest, grown.members):
                later.append(nest)
            else:
                free.append(nest)
        return (grown, before) if len(grown.members) > 1 and grown.weight >= CACHE else None

    def _conflict(self, nest: Nest, others: dict[Nest, Axis] | list[Nest] | set[Nest]) -> bool:
        """Whether a nest and one of the others must keep their order."""
        reads, writes = self.reads[nest], self.writes[nest]
        return any(reads & self.writes[o] or writes & (self.writes[o] | self.reads[o]) for o in others)

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

    def _group(self, grown: _Growing, members: list[Nest], first: int, rest: list[Nest]) -> Group:
        later = {b for n in rest for b in (*self.reads[n], *self.writes[n])}
        units, local, near = grown.units, {}, 0
        for b in grown.handed:
            dim = grown.dims[b]
            assert dim is not None
            assert b.strides is not None
            step = b.strides[dim] * (b.shape[dim] // units)
            near += b.nbytes // units
            if b.kind == "temporary" and b not in later and b.strides[dim] == max(b.strides):
                local[b] = step * b.dtype.itemsize
        for n in members:
            n.plan = self._plans[n, grown.members[n]]
        each = max(1, min(CACHE // max(near, 1), units // FEWEST))
        return Group(first, first + len(members), units, each, [grown.members[n] for n in members], local)


def _outermost(nest: Nest) -> Axis | None:
    """The axis whose steps in what the nest stores are the longest."""
    at = nest.stores[0].buffer.offset(nest.stores[0].index)
    return max((a for a in _free(nest) if a in at.terms), key=lambda a: abs(at.terms[a]), default=None)


def _free(nest: Nest) -> list[Axis]:
    """The axes whose steps can be taken in any order."""
    core = nest.core.axes if nest.core is not None else []
    return [a for a in nest.axes if a not in nest.serial and a not in core]


def _size(p: Plan) -> int:
    """Of a contraction: numbers that a register tile has."""
    return p.tile[0] * p.tile[1]
