"""How nests run: the physical order of every buffer, the vector axis, register tiles, and what threads share.

For a contraction  y[.., r, .., v] = sum_k a[.., r, .., k] * b[.., k, .., v]  a tile of y is kept in registers: some
rows r, each a few vectors along v. One step of k loads the vectors of b once and multiplies them with one number of a
for each row. So b must lie with v innermost (or is copied so: packed), while a may lie in any way. A dense layer, a
convolution and all their gradients are this, with other strides.

The largest contractions choose first how their operands lie; what is free is then laid out the way it is produced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from haema.compiler.index import Axis, Index, Part
from haema.compiler.nest import Acc, Buffer, Choose, Load, Nest, Place, Store, Word, parts
from haema.compiler.target import Target

CACHE = 1 << 19
"""Bytes that stay close to a core."""
CONFLICT = 2048
"""Rows this many bytes apart, or a multiple, compete for the same few places of the cache."""
SHORT = 128
"""Terms that a block of a reduction has at least."""
UNROLL = 4
"""Axes up to this size whose positions decide tests are unrolled, so that the tests are decided beforehand."""


@dataclass
class Plan:
    """How a nest runs.

    Attributes:
        vector: The axis whose neighbours share a vector, or None.
        lanes: How many do.
        outer: The other axes of the domain, outermost first.
        tasks: How many of ``outer`` are shared among threads; the vector's blocks too if ``split``.
        split: Whether threads share the vector axis.
        flat: Place of each load and store in its buffer, by id.
        kind: "loops" or "contraction".
        row: Of a contraction: the axis along which a tile has rows.
        tile: Of a contraction: rows and vectors of a tile.
        second: Of a contraction: which factor is loaded as vectors.
        blocks: Of a contraction: outer axes of the reduction, whose partial sums wait in memory.
        inner: Axes of the reduction, outermost first.
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
    blocks: list[Axis] = field(default_factory=list)


def layouts(nests: list[Nest], target: Target) -> list[Nest]:
    """Decide how every buffer lies; copies are added where a contraction needs another order than there is.

    Returns:
        The nests with those that copy.
    """
    for nest in nests:
        for b in nest.buffers():
            if b.strides is None and b.fixed:
                if b.kind == "state" and b.array is not None:
                    b.strides = tuple(s // b.array.itemsize for s in b.array.strides)
                else:
                    b.arrange()
    packs: list[tuple[int, Nest]] = []
    packed: dict[tuple[Buffer, int, int], Buffer] = {}
    order = sorted(range(len(nests)), key=lambda k: -nests[k].flops)
    for k in order:
        nest = nests[k]
        if nest.core is not None and nest.core.kind == "contract" and nest.core.dtype.kind == "f" and nest.points:
            _choose(nest, k, nests, packs, packed, target)
    users: dict[Buffer, list[Nest]] = {}
    for nest in (*nests, *(pack for _, pack in packs)):
        for b in nest.buffers():
            users.setdefault(b, []).append(nest)
    result = []
    for k, nest in enumerate(nests):
        result += [pack for at, pack in packs if at == k]
        _arrange(nest, users, target.lanes(4))
        result.append(nest)
    return result


def _stride_one(load: Load, v: Axis) -> int | None:
    """The axis of the buffer along which ``v`` takes single steps and nothing else moves more than it, if any."""
    found = None
    for a, i in enumerate(load.index):
        c = i.terms.get(v, 0)
        if c == 1 and found is None:
            found = a
        elif c:
            return None
    return found


def _choose(
    nest: Nest,
    k: int,
    nests: list[Nest],
    packs: list[tuple[int, Nest]],
    packed: dict[tuple[Buffer, int, int], Buffer],
    target: Target,
) -> None:
    """Choose the vector axis of a contraction, and have its second operand lie along it."""
    core = nest.core
    assert core is not None
    lanes = target.lanes(core.dtype.itemsize)
    best: tuple[float, Axis, int, int] | None = None
    if not all(isinstance(x, Load) and all(i.affine() for i in x.index) for x in core.args):
        return
    loads: tuple[Load, Load] = core.args  # type: ignore[assignment]
    for v in nest.axes:
        for b in (0, 1):
            if any(v in i.terms for i in loads[1 - b].index):
                continue
            axis = _stride_one(loads[b], v)
            if axis is None:
                continue
            buffer = loads[b].buffer
            cost = nest.points / lanes / 2 * (math.ceil(v.size / lanes) * lanes / v.size)
            if buffer.size > 2 * loads[1 - b].buffer.size:
                cost *= 1.25  # vectors are read more often than numbers, so the smaller factor should be read so
            if buffer.strides is not None and buffer.strides[axis] != 1:
                cost += 4 * buffer.size
            for store in nest.stores:
                if store.buffer.strides is not None:
                    step = sum(i.terms.get(v, 0) * s for i, s in zip(store.index, store.buffer.strides, strict=True))
                    cost += 0 if step == 1 else 4 * store.buffer.size
            for e in {id(e): e for s in nest.stores for e in parts(s.expr)}.values():
                if isinstance(e, Load) and e.buffer.strides is not None:
                    step = sum(i.terms.get(v, 0) * s for i, s in zip(e.index, e.buffer.strides, strict=True))
                    cost += 0 if step in (0, 1) else 2 * e.buffer.size
            if best is None or cost < best[0]:
                best = cost, v, b, axis
    if best is None:
        return
    cost, v, b, axis = best
    results = nest.points / math.prod(a.size for a in core.axes)
    for k_axis in core.axes:  # without a tile, a vector along the reduction needs no copies
        if all(_step(x, k_axis) == 1 for x in loads) and 2 * nest.points / lanes + 60 * results < cost:
            return
    args = list(loads)
    buffer = loads[b].buffer
    if buffer.strides is None:
        buffer.arrange((*(a for a in range(len(buffer.shape)) if a != axis), axis))
    elif buffer.strides[axis] != 1:
        args[b] = Load(_copied(buffer, axis, k, nests, packs, packed), loads[b].index)
    numbers = loads[1 - b]
    fixed = numbers.buffer.strides is not None and numbers.buffer.fixed
    if fixed and nest.points > 128 * numbers.buffer.size:
        steps = [abs(_step(numbers, r) or 0) for r in nest.axes if r is not v]
        near = min((s for s in steps if s), default=0) * numbers.dtype.itemsize
        if near and near % CONFLICT == 0 and 1 in (numbers.buffer.strides or ()):
            last = (numbers.buffer.strides or ()).index(1)
            args[1 - b] = Load(_copied(numbers.buffer, last, k, nests, packs, packed), numbers.index)
    core.args = tuple(args)
    nest.plan = v, b


def _copied(
    buffer: Buffer,
    axis: int,
    k: int,
    nests: list[Nest],
    packs: list[tuple[int, Nest]],
    packed: dict[tuple[Buffer, int, int], Buffer],
) -> Buffer:
    """A copy of ``buffer`` with ``axis`` innermost, made before nest ``k``."""
    at_nest = _after_writer(nests, buffer, k)
    if (buffer, axis, at_nest) not in packed:
        copy = Buffer(f"p{len(packed)}", buffer.shape, buffer.dtype, "temporary", buffer.node)
        copy.arrange((*(a for a in range(len(buffer.shape)) if a != axis), axis))
        packed[buffer, axis, at_nest] = copy
        axes = [Axis(f"i{a}", n) for a, n in enumerate(buffer.shape)]
        at = tuple(Index.of(a) for a in axes)
        pack = Nest([a for a in axes if a.size != 1], None, [Store(copy, at, Load(buffer, at))])
        packs.append((_after_writer(nests, buffer, k), pack))
    return packed[buffer, axis, at_nest]


def _after_writer(nests: list[Nest], buffer: Buffer, k: int) -> int:
    """The number of the nest before which a copy of ``buffer``, used by nest ``k`` and later ones, can be made."""
    writers = [j for j, n in enumerate(nests) if any(s.buffer is buffer for s in n.stores)]
    return max((j + 1 for j in writers if j < k), default=0)


def _arrange(nest: Nest, users: dict[Buffer, list[Nest]], lanes: int) -> None:
    """Lay out the buffers that this nest writes and nobody has decided about: as all that use them are quickest."""
    for s in nest.stores:
        b = s.buffer
        if b.strides is not None:
            continue
        if isinstance(nest.plan, tuple):
            dims = [d for d, i in enumerate(s.index) if i.terms.get(nest.plan[0]) == 1]
        else:
            dims = [d for d, n in enumerate(b.shape) if n > 1]
        best, last = math.inf, None
        for d in reversed(dims):
            cost = sum(_cycles(user, b, d, lanes) for user in users[b])
            if cost < best:
                best, last = cost, d
        b.arrange((*(d for d in range(len(b.shape)) if d != last), *(() if last is None else (last,))))


def _cycles(nest: Nest, b: Buffer, d: int, lanes: int) -> float:
    """Roughly how long a nest takes if axis ``d`` of ``b`` is innermost and gives its vector axis, if it can."""
    everything: list[Load | Store] = [*nest.loads(), *nest.stores]
    accesses = [x for x in everything if x.buffer is b]
    axes = {t for x in accesses for t, c in x.index[d].terms.items() if c == 1 and isinstance(t, Axis)}
    if isinstance(nest.plan, tuple):  # a contraction has chosen already
        axes = {nest.plan[0]}
    inner = [] if nest.core is None else nest.core.axes
    best = math.inf
    for axis in axes or [*nest.axes, *inner]:
        if axis in nest.serial or axis.size < 2:
            continue
        cost = 1.0
        for x in everything:
            if x.buffer is b:
                found = {e for e, i in enumerate(x.index) if axis in set(i.axes())}
                near = not found or (found == {d} and x.index[d].terms.get(axis) == 1)
            else:
                near = x.buffer.strides is None or _step(x, axis) in (0, 1)
            cost += 1 if near else 1.2 * lanes
        best = min(best, cost * nest.points / lanes * (math.ceil(axis.size / lanes) * lanes / axis.size))
    return best if best < math.inf else 2.0 * nest.points


def _step(access: Load | Store, axis: Axis) -> int | None:
    """How far a step along ``axis`` moves in memory; None if that is no fixed distance."""
    if access.buffer.strides is None:
        return None
    total = 0
    for i, s in zip(access.index, access.buffer.strides, strict=True):
        for t, c in i.terms.items():
            if t is axis:
                total += c * s
            elif not isinstance(t, Axis) and any(a is axis for a in (t.of.axes() if isinstance(t, Part) else t.axes())):
                return None
    return total


def plan(nest: Nest, target: Target) -> Plan:
    """The schedule of a nest whose buffers all have a layout."""
    accesses: list[Load | Store] = [*nest.loads(), *nest.stores]
    flat = {id(x): x.buffer.offset(x.index) for x in accesses}
    inner = list(nest.core.axes) if nest.core is not None else []
    scan = nest.core is not None and nest.core.kind == "scan"
    axes = [a for a in nest.axes if not (scan and a in inner)]
    contract = isinstance(nest.plan, tuple)
    fixed = {nest.plan[0]} if contract else set(inner) if scan else set()
    axes, inner = _coalesce(nest, axes, inner, flat, fixed)
    if contract:
        return _contraction(nest, axes, inner, flat, target)
    itemsize = max((s.expr.dtype.itemsize for s in nest.stores), default=4)
    if nest.core is not None:
        itemsize = max(itemsize, nest.core.dtype.itemsize)
    lanes = target.lanes(min(max(itemsize, 4), 8))
    kind = nest.core.kind if nest.core is not None else ""
    candidates = axes + (inner if kind in ("sum", "max", "min", "contract") else [])
    v = _best_flat(nest, candidates, inner, accesses, flat, lanes)
    outer = [a for a in axes if a is not v]
    lead = flat[id(nest.stores[0])]
    outer.sort(key=lambda a: -abs(lead.terms.get(a, 0)))
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
    _share(nest, result, [a for a in outer if not (a in tested and a.size <= UNROLL)])
    return result


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
            elif isinstance(e, (Place, Word)):
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


# -- contractions ------------------------------------------------------------------


def balanced(n: int, most: int) -> list[tuple[int, int]]:
    """n rows in tiles of nearly one size, at most ``most``: (size, how many), larger first."""
    count = math.ceil(n / most)
    size, more = divmod(n, count)
    return [(s, c) for s, c in ((size + 1, more), (size, count - more)) if c]


def _contraction(nest: Nest, axes: list[Axis], inner: list[Axis], flat: dict[int, Index], target: Target) -> Plan:
    v, b = nest.plan
    core = nest.core
    assert core is not None
    lanes = target.lanes(core.dtype.itemsize)
    a_at, b_at = (flat[id(core.args[k])] for k in (1 - b, b))
    rows = [x for x in axes if x is not v and x in a_at.terms and x not in b_at.terms]
    vectors = math.ceil(v.size / lanes)
    # rows x vectors of accumulators, the vectors of b, and one number of a
    room = target.registers - 2 if target.registers > 16 else target.registers - 1
    best: tuple[float, int, int, Axis | None] = (math.inf, 1, 1, None)
    for nv in range(1, min(vectors, 6 if target.registers > 16 else 4) + 1):
        most = (room - nv - (0 if target.registers > 16 else 1)) // nv
        for r in rows if rows else [*rows, None]:
            n = 1 if r is None else r.size
            mr = min(most, n)
            if mr < 1:
                continue
            tiles = math.ceil(n / mr)
            size = math.ceil(n / tiles)
            # per step of k: multiplications, against loads; tails of vectors and of rows are lost
            work = max(size * nv / 2, (nv + size) / 2, 4.0) + 0.5 * nv + 0.15 * size
            cost = work * tiles / n * math.ceil(vectors / nv)
            if r is not None:  # rows that lie close together share lines of the cache
                cost *= 1 + 0.01 * math.log2(1 + abs(a_at.terms[r]))
            if cost < best[0] - 1e-9:
                best = cost, size, nv, r
    _, mr, nv, row = best
    outer = [x for x in axes if x is not v and x is not row]
    lead = flat[id(nest.stores[0])]
    outer.sort(key=lambda x: -abs(lead.terms.get(x, 0)))
    inner.sort(key=lambda x: -(abs(a_at.terms.get(x, 0)) + abs(b_at.terms.get(x, 0)) * 0.001))
    blocks = [] if lead.terms.get(v) != 1 else _blocks(nest, inner, flat, mr, nv * lanes, core.dtype.itemsize)
    return Plan(
        v, lanes, outer, inner, flat, kind="contraction", row=row, tile=(mr, nv), second=b, blocks=blocks,
    )  # fmt: skip


def _blocks(
    nest: Nest, inner: list[Axis], flat: dict[int, Index], rows: int, columns: int, itemsize: int
) -> list[Axis]:
    """Take the outermost part of a long reduction out of ``inner``, so that what a tile reads stays in the cache."""
    (store, *more) = nest.stores
    terms = math.prod(a.size for a in inner)
    if more or not isinstance(store.expr, Acc) or store.buffer.kind != "temporary" or not inner:
        return []
    if terms * (rows + columns) * itemsize <= CACHE // 2:
        return []
    blocks = []
    while inner and terms * (rows + columns) * itemsize > CACHE // 4:
        axis = inner[0]
        if axis.size * (terms // axis.size) and terms // axis.size >= SHORT:
            blocks.append(inner.pop(0))
            terms //= axis.size
            continue
        cut = next(
            (n for n in range(1, axis.size + 1) if axis.size % n == 0 and terms // axis.size * n >= SHORT), axis.size
        )
        if cut < axis.size:
            outer, within = Axis(axis.name + "0", axis.size // cut), Axis(axis.name + "1", cut)
            for key, i in flat.items():
                c = i.terms.get(axis, 0)
                rest = {t: x for t, x in i.terms.items() if t is not axis}
                flat[key] = Index(i.const, {**rest, outer: c * cut, within: c})
            blocks.append(outer)
            inner[0] = within
        break
    return blocks
