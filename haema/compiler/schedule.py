"""How nests run that are no tiled contractions: the vector axis, the order of the loops, what threads share."""

from __future__ import annotations

import math
from typing import Any

from haema.compiler.index import Axis, Index, Part
from haema.compiler.nest import Choose, Load, Nest, Picked, Place, Store, Word, parts
from haema.compiler.target import Target
from haema.compiler.tiling import Plan, contraction

UNROLL = 4
"""Axes up to this size whose positions decide tests are unrolled, so that the tests are decided beforehand."""


def plan(nest: Nest, target: Target, lead: Axis | None = None) -> Plan:
    """The schedule of a nest whose buffers all have a layout.

    Args:
        nest: Where it is a contraction, its vector axis is chosen.
        target: The CPU.
        lead: An axis that must be the outermost loop, and all that threads share.
    """
    accesses: list[Load | Store] = [*nest.loads(), *nest.stores]
    flat = {id(x): x.buffer.offset(x.index) for x in accesses}
    flat |= {id(e): e.index for e in words(nest)}
    if isinstance(nest.plan, tuple):
        _begin_panels(nest, flat)
    inner = list(nest.core.axes) if nest.core is not None else []
    scan = nest.core is not None and nest.core.kind == "scan"
    axes = [a for a in nest.axes if not (scan and a in inner)]
    contract = isinstance(nest.plan, tuple)
    fixed = {nest.plan[0]} if contract else set(inner) if scan else set()
    if lead is not None:
        fixed = {*fixed, lead}
    axes, inner = _coalesce(nest, axes, inner, flat, fixed)
    if contract:
        return contraction(nest, axes, inner, flat, target, lead)
    itemsize = max((s.expr.dtype.itemsize for s in nest.stores), default=4)
    if nest.core is not None:
        itemsize = max(itemsize, nest.core.dtype.itemsize)
    lanes = target.lanes(min(max(itemsize, 4), 8))
    kind = nest.core.kind if nest.core is not None else ""
    candidates = [a for a in axes if a is not lead] + (inner if kind in ("sum", "max", "min", "contract") else [])
    v = _best_flat(nest, candidates, inner, accesses, flat, lanes)
    outer = [a for a in axes if a is not v]
    stored = flat[id(nest.stores[0])]
    outer.sort(key=lambda a: (a is not lead, -abs(stored.terms.get(a, 0))))
    tested = {
        a
        for e in nest.expressions()
        for x in parts(e)
        if isinstance(x, Choose)
        for t in x.tests
        for a in t.place.axes()
    }
    outer.sort(key=lambda a: a in tested and a.size <= UNROLL)
    if nest.serial:
        serial = [a for a in nest.serial if a.size != 1]
        outer = [*serial, *(a for a in outer if a not in nest.serial)]
    if kind != "scan" and not kind.startswith("arg"):
        inner.sort(key=lambda a: -max((abs(i.terms.get(a, 0)) for i in flat.values()), default=0))
    result = Plan(v, lanes if v is not None else 1, outer, inner, flat)
    if lead is not None:
        result.tasks = 1
    else:
        _share(nest, result, [a for a in outer if not (a in tested and a.size <= UNROLL)])
    return result


def words(nest: Nest) -> list[Word]:
    """The random words that a nest draws."""
    where = [t.expr for s in nest.stores for i in s.index for t in i.terms if isinstance(t, Picked)]
    found = {id(e): e for root in (*nest.expressions(), *where) for e in parts(root) if isinstance(e, Word)}
    return list(found.values())


def _begin_panels(nest: Nest, flat: dict[int, Index]) -> None:
    """Where a tile begins in panels: (v // width) s + v % width is v s / width there."""
    assert nest.core is not None
    v, b = nest.plan
    load = nest.core.args[b]
    assert isinstance(load, Load)
    width = load.buffer.panel
    if width and width < v.size:
        assert load.buffer.strides is not None
        terms = {t: c for t, c in flat[id(load)].terms.items() if not isinstance(t, Part)}
        flat[id(load)] = Index(flat[id(load)].const, {**terms, v: load.buffer.strides[0] // width})


def _share(nest: Nest, p: Plan, shareable: list[Axis]) -> None:
    """Which loops the threads share."""
    if nest.serial:
        return
    count = 1
    while p.tasks < len(shareable) and count < 32:
        count *= p.outer[p.tasks].size
        p.tasks += 1
    if count < 8 and p.vector is not None and p.vector not in p.inner and p.tasks == len(p.outer):
        p.split = True


def _best_flat(
    nest: Nest, axes: list[Axis], inner: list[Axis], accesses: list[Any], flat: dict[int, Index], lanes: int
) -> Axis | None:
    best, chosen = 0.0, None
    for axis in axes:
        if axis in nest.serial or axis.size < 2:
            continue
        cost = 0.0  # cycles for a full vector
        for x in accesses:
            i = flat[id(x)]
            step = i.terms.get(axis, 0)
            hidden = any(not isinstance(t, Axis) and axis in set(_axes_in(t)) for t in i.terms)
            if hidden:
                cost += 2 * lanes
            elif isinstance(x, Store) and axis in inner:
                cost += 0.1
            elif step in (0, 1):
                cost += 1 if step else 0.5
            elif step == -1:
                cost += 3
            else:
                cost += (2 if isinstance(x, Store) else 1.2) * lanes
        used = axis.size / (math.ceil(axis.size / lanes) * lanes)
        value = used * lanes / (cost + 1)
        if axis in inner:
            value *= 0.7
        if value > best:
            best, chosen = value, axis
    return chosen


def _axes_in(term: Any) -> Any:
    return term.of.axes() if isinstance(term, Part) else term.axes()


def _coalesce(
    nest: Nest, axes: list[Axis], inner: list[Axis], flat: dict[int, Index], fixed: set[Axis]
) -> tuple[list[Axis], list[Axis]]:
    """Make one axis of two that all accesses run through as if they were one."""
    bound: set[Axis] = set(nest.serial)
    for root in nest.expressions():
        for e in parts(root):
            if isinstance(e, Choose):
                bound.update(a for t in e.tests for a in t.place.axes())
            elif isinstance(e, Place):
                bound.update(e.index.axes())
    for i in flat.values():
        for t in i.terms:
            if not isinstance(t, Axis):
                bound.update(_axes_in(t))

    def merge(group: list[Axis]) -> list[Axis]:
        again = True
        while again:
            again = False
            for a in group:
                for b in group:
                    if a is b or a in bound or b in bound or a in fixed or b in fixed:
                        continue
                    if all(i.terms.get(a, 0) == i.terms.get(b, 0) * b.size for i in flat.values()):
                        new = Axis(a.name + b.name, a.size * b.size)
                        for key, i in flat.items():
                            c = i.terms.get(b, 0)
                            rest = {t: x for t, x in i.terms.items() if t is not a and t is not b}
                            flat[key] = Index(i.const, {**rest, new: c})
                        group[group.index(a)] = new
                        group.remove(b)
                        again = True
                        break
                if again:
                    break
        return group

    return merge(list(axes)), merge(list(inner))
