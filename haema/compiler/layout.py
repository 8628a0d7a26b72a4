"""How data lie: the physical order of every buffer, and the copies of those that must lie in another way too.

The largest contractions choose first how their operands lie; what is free is then laid out the way it is produced.
What a contraction loads as vectors is best read as *panels*: the columns of one tile for all terms of the sum, one
after another, then those of the next tile. Where it does not lie so, and is used often enough, it is copied so.
"""

from __future__ import annotations

import math

from haema.compiler.index import Axis, Index, Part
from haema.compiler.inline import choose
from haema.compiler.nest import Buffer, Load, Nest, Number, Store, Test, parts
from haema.compiler.target import Target
from haema.compiler.tiling import LINE, depth_of, matrix_tile, tile_of

CONFLICT = 2048
"""Rows this many bytes apart, or a multiple, compete for the same few places of the cache."""
NEAR = 32 << 10
"""Bytes of a core's first cache; what is smaller than half of it needs no panels."""
FAR = 256
"""Rows this many bytes apart, or a multiple: what a tile reads of each meets in a quarter of the cache, or less."""
WORTH = 64
"""Multiplications for each element from which on a copy in panels pays."""

Packed = dict[tuple[Buffer, int, int, int], Buffer]
"""Copies: of which buffer, which axis innermost, from which nest on it holds that, in panels of which width."""


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
    packs: list[Nest] = []
    packed: Packed = {}
    order = sorted(range(len(nests)), key=lambda k: -nests[k].flops)
    for k in order:
        nest = nests[k]
        if nest.core is not None and nest.core.kind == "contract" and nest.core.dtype.kind == "f" and nest.points:
            _choose(nest, k, nests, packs, packed, target)
    users: dict[Buffer, list[Nest]] = {}
    for nest in (*nests, *packs):
        for b in nest.buffers():
            users.setdefault(b, []).append(nest)
    for nest in nests:
        _arrange(nest, users, target.lanes(4))
    for k, nest in enumerate(nests):
        if isinstance(nest.plan, tuple):
            _bring_near(nest, k, nests, packs, packed)
    result = []
    for nest in nests:  # a copy is made when it is first needed, so that not all take memory from the beginning
        used = set(nest.buffers())
        result += [pack for pack in packs if pack.stores[0].buffer in used]
        packs = [pack for pack in packs if pack.stores[0].buffer not in used]
        result.append(nest)
    for nest in result:
        _arrange_panels(nest)
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
    packs: list[Nest],
    packed: Packed,
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
            steps = [_step(loads[1 - b], k) for k in core.axes]
            if None not in steps and not any(s and abs(s) * core.dtype.itemsize < LINE for s in steps):
                cost *= 1.5  # each step of the sum reads another line for its few numbers
            if buffer.size > 2 * loads[1 - b].buffer.size:
                cost *= 1.25  # vectors are read more often than numbers, so the smaller factor should be read so
            if buffer.strides is not None and buffer.strides[axis] != 1:
                cost += 4 * buffer.size
            if buffer.strides is None and any(len(i.terms) > 1 for i in loads[b].index):
                # neighbours along the batch: what comes before and after goes through images one by one
                cost += 4 * (buffer.size + sum(s.buffer.size for s in nest.stores))
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
    assert buffer.strides is not None
    rows = [(x.size, 1) for x in nest.axes if _in(x, loads[1 - b]) and not _in(x, loads[b])]
    vectors = math.ceil(v.size / lanes)
    tiles = target.tiles and core.pairs
    width = lanes * (matrix_tile(rows, vectors) if tiles and rows else tile_of(rows, vectors, target))[2]
    panels = loads[b].index[axis] == Index.of(v) and v.size > width
    if buffer.strides[axis] != 1:
        args[b] = _copied(loads[b], axis, width if panels else 0, k, nests, packs, packed)
    elif panels and _far(buffer, axis) and nest.points >= WORTH * buffer.size:
        args[b] = _copied(loads[b], axis, width, k, nests, packs, packed)
    if tiles:
        args[1 - b] = _along_sum(loads[1 - b], core.axes, k, nests, packs, packed)
    core.args = tuple(args)
    nest.plan = v, b


def _along_sum(load: Load, axes: list[Axis], k: int, nests: list[Nest], packs: list[Nest], packed: Packed) -> Load:
    """The same load of pairs for tiles, whose rows lie along one of the axes of the sum: the one that fills them best.

    Along the batch, the first axis, only if there is no other, so that images stay apart.
    """
    found = [(depth_of(a.size), dim) for a in axes for dim in (_stride_one(load, a),) if dim is not None]
    dim = max((x for x in found if x[0]), key=lambda x: (x[1] > 0, x[0]), default=(0, None))[1]
    buffer = load.buffer
    if dim is None:
        return load
    if buffer.strides is None:
        buffer.arrange((*(a for a in range(len(buffer.shape)) if a != dim), dim))
    assert buffer.strides is not None
    return load if buffer.strides[dim] == 1 else _copied(load, dim, 0, k, nests, packs, packed)


def _bring_near(nest: Nest, k: int, nests: list[Nest], packs: list[Nest], packed: Packed) -> None:
    """Copy the factor that is read number by number, if its numbers lie badly: on a page for each step of the sum, or
    in rows that compete for the same places of the cache."""
    v, b = nest.plan
    core = nest.core
    assert core is not None
    numbers = core.args[1 - b]
    assert isinstance(numbers, Load)
    buffer = numbers.buffer
    assert buffer.strides is not None
    if nest.points < 2 * WORTH * buffer.size:
        return
    steps = {a: abs(_step(numbers, a) or 0) * buffer.dtype.itemsize for a in (*nest.axes, *core.axes) if a is not v}
    along = min((a for a in core.axes if steps[a]), key=lambda a: steps[a], default=None)
    rows = min((steps[a] for a in nest.axes if a is not v and steps[a]), default=0)
    dim = None
    if along is not None and steps[along] >= CONFLICT:
        dim = _stride_one(numbers, along)
    elif buffer.fixed and rows and rows % CONFLICT == 0 and 1 in buffer.strides:
        dim = buffer.strides.index(1)
    if dim is not None:
        args = list(core.args)
        args[1 - b] = _copied(numbers, dim, 0, k, nests, packs, packed)
        core.args = tuple(args)


def _in(axis: Axis, load: Load) -> bool:
    return any(axis in i.terms for i in load.index)


def _far(buffer: Buffer, axis: int) -> bool:
    """Whether the rows along ``axis`` lie so that the parts of them that a tile reads compete for places in a cache."""
    assert buffer.strides is not None
    steps = [s * buffer.dtype.itemsize for k, s in enumerate(buffer.strides) if s and k != axis and buffer.shape[k] > 1]
    return buffer.nbytes > NEAR // 2 and bool(steps) and min(steps) % FAR == 0


def _copied(
    load: Load,
    axis: int,
    width: int,
    k: int,
    nests: list[Nest],
    packs: list[Nest],
    packed: Packed,
) -> Load:
    """The same load from a copy with ``axis`` innermost, made before nest ``k``; in panels of ``width``, if not 0."""
    buffer, index = load.buffer, load.index
    key = buffer, axis, _after_writer(nests, buffer, k), width
    rest = [a for a in range(len(buffer.shape)) if a != axis]
    if key not in packed:
        sizes = [buffer.shape[a] for a in rest]
        shape = (-(-buffer.shape[axis] // width), *sizes, width) if width else buffer.shape
        copy = Buffer(f"p{len(packed)}", shape, buffer.dtype, "temporary", buffer.node)
        copy.panel = width
        if not width:
            copy.arrange((*rest, axis))
        packed[key] = copy
        axes = [Axis(f"i{a}", n) for a, n in enumerate(shape)]
        at = tuple(Index.of(a) for a in axes)
        source = at
        tests: tuple[Test, ...] = ()
        if width:
            place = at[0] * width + at[-1]
            source = (*at[1 : axis + 1], place, *at[axis + 1 : -1])
            tests = (Test(place, 0, buffer.shape[axis]),)
        value = choose(tests, Load(buffer, source), Number(buffer.dtype.type(0), buffer.dtype))
        packs.append(Nest([a for a in axes if a.size != 1], None, [Store(copy, at, value)]))
    if width:
        index = (index[axis] // width, *(index[a] for a in rest), index[axis] % width)
    return Load(packed[key], index)


def _arrange_panels(nest: Nest) -> None:
    """Lay out the panels that a contraction reads: in the order in which it goes through them."""
    if not isinstance(nest.plan, tuple):
        return
    assert nest.core is not None
    _, b = nest.plan
    panels, numbers = nest.core.args[b], nest.core.args[1 - b]
    assert isinstance(panels, Load)
    assert isinstance(numbers, Load)
    buffer = panels.buffer
    if buffer.panel and buffer.strides is None:

        def step(dim: int) -> int:
            axes = [t for t in panels.index[dim].terms if isinstance(t, Axis)]
            return max((abs(_step(numbers, a) or 0) for a in axes), default=0)

        middle = sorted(range(1, len(buffer.shape) - 1), key=lambda dim: -step(dim))
        buffer.arrange((0, *middle, len(buffer.shape) - 1))


def _after_writer(nests: list[Nest], buffer: Buffer, k: int) -> int:
    """The number of the nest from which on ``buffer`` holds what nest ``k`` reads of it."""
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
