"""From graph to loop nests: what is kept in memory, what is computed where it is needed, and what shares a loop.

Each node that is kept becomes a member of a nest. Views never are: they change the index with which their input is
asked. Maps are computed inside the nests that need them, unless that costs more than keeping them. A kept map joins
the nest of the values it is computed from if it needs them only at the position at hand; so activations, masks and
whole optimizer steps end in the loop that computes their gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

from haema.compiler.graph import Graph, Node, uses
from haema.compiler.index import Axis, Index
from haema.compiler.inline import AFFINE, CORES, REGIONS, Inline, Position, axes_of, is_number, through
from haema.compiler.nest import (
    Buffer,
    Core,
    Expr,
    Load,
    Nest,
    Number,
    Store,
    indices,
    parts,
)  # fmt: skip
from haema.ops.contract import parse

COST = dict.fromkeys(
    ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "floor_divide", "remainder"), 16
) | dict.fromkeys(("tan", "asin", "acos", "atan", "atan2", "pow"), 60)
COST |= {"div": 5, "sqrt": 5, "random_bits": 60, "take": 20}
"""What an element costs, in additions; all else costs 1."""
BLOCK = 2048
"""Terms from which on a contraction is summed block by block."""
FEW = 1024
"""Results up to which that is not worth it."""
DEEP = 32
"""Operations that are nested in one expression at most; three times as many where values stay in registers."""
KEEP = 4
"""What it costs to write an element to memory."""
MANY = 1 << 16
"""Elements from which on it counts how many bytes each takes."""


class Group:
    """A nest that is growing.

    Attributes:
        axes: The domain.
        members: Nodes computed in it, in order, and where.
        core: The member that is a reduction, if one is.
        inner, inner_at: The axes of the reduction, and the positions they stand for.
        before: Bits of the groups that must run earlier.
        joinable: Whether other nodes may be computed in it.
    """

    def __init__(self, number: int, axes: list[Axis]) -> None:
        self.number, self.axes = number, axes
        self.members: dict[Node, Position] = {}
        self.core: Node | None = None
        self.inner: list[Axis] = []
        self.inner_at: Position = ()
        self.before = 0
        self.joinable = True
        self.places: set[Node] = set()

    def over(self, axes: list[Axis]) -> Position:
        """Positions along the axes of its reduction, made when first asked for."""
        if not self.inner_at:
            self.inner, self.inner_at = list(axes), tuple(Index.of(a) for a in axes)
        return self.inner_at

    def split(self, axis: Axis, inner: int) -> None:
        """Make two axes of one: k -> inner k0 + k1."""
        outer, within = Axis(axis.name + "0", axis.size // inner), Axis(axis.name + "1", inner)
        for axes in (self.axes, self.inner):
            if axis in axes:
                k = axes.index(axis)
                axes[k : k + 1] = [outer, within]
        new = Index(0, {outer: inner, within: 1})

        def change(t: Any) -> Index | None:
            return new if t is axis else None

        self.members = {n: tuple(i.rewrite(change) for i in p) for n, p in self.members.items()}
        self.inner_at = tuple(i.rewrite(change) for i in self.inner_at)


def blocked(node: Node) -> bool:
    """Whether it is a contraction over so long an axis that the tiles of its operands leave the cache.

    The sum is then taken block by block, and its results wait in memory.
    """
    if node.name != "contract":
        return False
    x, w = node.inputs
    labels_x, labels_w, out = parse(node.params["spec"])
    sizes = dict(zip(labels_x + labels_w, x.shape + w.shape, strict=True))
    summed = math.prod(n for c, n in sizes.items() if c not in out)
    return summed > BLOCK and math.prod(node.shape) > FEW


class Lowering:
    """The nests of a graph, in an order in which they can run."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = graph.nodes()
        self.place = {node: k for k, node in enumerate(self.nodes)}
        self.buffers: dict[Node, Buffer] = {}
        self.groups: list[Group] = []
        self.home: dict[Node, Group] = {}
        self.loaded: set[Node] = set()
        self._count = itertools.count()
        self.depth: dict[Node, int] = {}  # of a node's expression, and what it is nested in within its nest
        self.level: dict[Node, int] = {}
        self.kept = self._keep()
        for node in self.nodes:
            if node in self.kept and node.op is not None:
                self._assign(node)

    # -- what is kept ------------------------------------------------------------------

    def _keep(self) -> set[Node]:
        kept = {n for n in self.nodes if n.op is None and not is_number(n)}
        kept |= set(self.graph.outputs) | set(self.graph.writes.values())
        for node in self.nodes:
            if node.name in CORES or node.name in REGIONS:
                kept.add(node)
            elif node.name == "contract":
                kept.add(node)
                for x in node.inputs:
                    base = x
                    while base not in kept and base.name in AFFINE:
                        base = base.inputs[0]
                    kept.add(base if self._affine(x, base) else x)
            elif node.name == "take":
                if node.params.get("batch"):
                    kept.add(node)
                kept.update(i for i in node.inputs[1:] if not is_number(i))
        depth = self.depth
        for node in self.nodes:
            depth[node] = 1 + max((0 if x in kept else depth[x] for x in node.inputs), default=0)
            if depth[node] > DEEP and node.op is not None:
                kept.add(node)
        readers = uses(self.nodes)
        cost: dict[Node, int] = {}
        for node in self.nodes:
            below = sum(1 if x in kept else cost[x] for x in node.inputs)
            cost[node] = below + (0 if node.op is None or node.op.family == "view" else COST.get(node.name, 1))
        asked: dict[Node, float] = {}
        for node in reversed(self.nodes):
            if node.op is None:
                continue
            size = math.prod(node.shape)
            asked[node] = sum(self._visits(r, node, asked, kept) for r in readers[node])
            if node not in kept and cost[node] * asked[node] > size * (cost[node] + KEEP) + asked[node]:
                kept.add(node)
        for node in self.nodes:
            if node.dtype.kind == "b" and node not in kept and self._saves(node, kept, readers):
                kept.add(node)
        return kept

    def _saves(self, mask: Node, kept: set[Node], readers: dict[Node, list[Node]]) -> bool:
        """Whether keeping a truth value, of a byte, saves reading again the numbers that it is computed from.

        Such is the mask of a ReLU, which is all that its gradient needs.
        """
        size = math.prod(mask.shape)
        large = {x for x in self._sources(mask, kept) if x.op is not None and math.prod(x.shape) >= size}
        if size < MANY or not large:
            return False
        bytes = sum(x.dtype.itemsize for x in large)
        saved = -1
        stack, seen = [*readers[mask]], set[Node]()
        while stack:
            r = stack.pop()
            if r in seen:
                continue
            seen.add(r)
            if r not in kept:
                stack += readers[r]
            elif math.prod(r.shape) * 4 >= size and not large <= self._sources(r, kept | {mask}):
                saved += bytes - 1
        return saved > 0

    def _sources(self, node: Node, kept: set[Node]) -> set[Node]:
        """The kept nodes that the expression of ``node`` reads."""
        found, stack, seen = set[Node](), [*node.inputs], set[Node]()
        while stack:
            x = stack.pop()
            if x in kept:
                found.add(x)
            elif x not in seen:
                seen.add(x)
                stack += x.inputs
        return found

    def _visits(self, reader: Node, node: Node, asked: dict[Node, float], kept: set[Node]) -> float:
        """How often ``reader`` asks for an element of ``node``."""
        if reader in kept:
            points = float(math.prod(reader.shape))
            if reader.name in CORES:
                points = max(points, math.prod(reader.inputs[0].shape))
        else:
            points = asked.get(reader, 0.0)
        if reader.name in ("pad", "concat"):
            points = min(points, points / max(math.prod(reader.shape), 1) * math.prod(node.shape))
        return points

    def _affine(self, x: Node, base: Node) -> bool:
        """Whether ``x`` is an affine view of ``base``."""
        group = Group(-1, axes_of(x.shape))
        group.members[x] = tuple(Index.of(a) for a in group.axes)
        e = Inline(self, None, {base}).at(x, group.members[x])
        return isinstance(e, Load) and all(i.affine() for i in e.index)

    # -- which loop it is computed in ------------------------------------------------------

    def buffer(self, node: Node) -> Buffer:
        """The memory of a kept node."""
        if node not in self.buffers:
            kind = "temporary" if node.op is not None else node.kind
            letter = {"temporary": "t", "input": "x", "state": "s", "constant": "c"}[kind]
            self.buffers[node] = Buffer(f"{letter}{next(self._count)}", node.shape, node.dtype, kind, node)
            self.buffers[node].array = node.array
            self.buffers[node].fixed |= bool(node.params.get("batch"))
        return self.buffers[node]

    def _new(self, shape: Iterable[int]) -> Group:
        group = Group(len(self.groups), axes_of(shape))
        self.groups.append(group)
        return group

    def _assign(self, node: Node) -> None:
        """Find the nest for a kept node."""
        if node.name not in CORES and node.name not in REGIONS and node.name != "contract" and self._join(node):
            return
        group = self._new(node.shape)
        group.members[node] = tuple(Index.of(a) for a in group.axes)
        if node.name in CORES or node.name == "contract":
            group.core = node
        group.joinable = node.name not in REGIONS and node.name != "cumsum" and not blocked(node)
        self.home[node] = group
        inline = Inline(self, group, self.kept)
        inline.member(node)
        for other in inline.sites:
            self._after(group, self.home[other])
        group.places |= inline.places

    def _after(self, group: Group, other: Group) -> None:
        """``group`` must run after ``other``."""
        if other is group:
            return
        new = other.before | 1 << other.number
        if group.before | new != group.before:
            group.before |= new
            for g in self.groups:
                if g.before >> group.number & 1:
                    g.before |= group.before

    def _join(self, node: Node) -> bool:
        """Put ``node`` into the nest that computes what it needs, if that works."""
        fresh = axes_of(node.shape, "rstuvwxyz")
        index = tuple(Index.of(a) for a in fresh)
        inline = Inline(self, None, self.kept)
        inline.at(node, index, root=True)
        needed = sorted({self.home[n] for n in inline.sites}, key=lambda g: -g.number)
        size = math.prod(node.shape)
        siblings = [g for g in reversed(self.groups[-8:]) if g not in needed]
        for group in (*needed, *siblings):
            if not group.joinable or math.prod(a.size for a in group.axes) != size:
                continue
            if any(g is not group and g.before >> group.number & 1 for g in needed):
                continue
            change = self._aligned(group, node, fresh, index, inline)
            below = max((self.level.get(n, 0) for n in inline.sites if self.home[n] is group), default=0)
            if change is None or below + self.depth[node] > 3 * DEEP:
                continue
            self.level[node] = below + self.depth[node]
            group.members[node] = tuple(i.rewrite(change.get) for i in index)
            self.home[node] = group
            for other in needed:
                self._after(group, other)
            return True
        return False

    def _aligned(
        self, group: Group, node: Node, fresh: list[Axis], index: Position, inline: Inline
    ) -> dict[Any, Index] | None:
        """How the axes of ``node`` run through those of ``group``, if it needs its members only where they stand."""
        sites = {n: p for n, p in inline.sites.items() if self.home[n] is group}
        change: dict[Any, Index] = {}
        if not sites:
            first = next(iter(group.members))
            if first.shape != node.shape:
                return None
            change = dict(zip(fresh, group.members[first], strict=True))
        for member, positions in sites.items():
            for position in positions:
                for there, here in zip(group.members[member], position, strict=True):
                    if not here.terms:
                        if here != there:
                            return None
                        continue
                    (axis, c), *more = here.terms.items()
                    if more or c != 1 or here.const or not isinstance(axis, Axis):
                        return None
                    if change.setdefault(axis, there) != there:
                        return None
        if any(a.size > 1 and a not in change for a in fresh):
            return None
        for a in fresh:
            change.setdefault(a, Index(0))
        # each axis of the group must be met exactly once
        met = [t for i in change.values() for t in i.terms]
        if len(set(map(id, met))) != len(met) or not all(isinstance(t, Axis) for t in met):
            return None
        return change

    # -- the nests ------------------------------------------------------------------

    def nests(self) -> list[Nest]:
        """The nests, in an order in which they can run."""
        built = {group: self._build(group) for group in self.groups}
        in_place = self._in_place(built)
        moved = {}
        for state, value in self.graph.writes.items():
            if state in in_place:
                moved[self.buffer(value)] = self.buffer(state)
                self.buffers[value] = self.buffer(state)
        for _, core, values in built.values():
            for root in (*values.values(), *(core.args if core else ())):
                for e in parts(root):
                    if isinstance(e, Load):
                        e.buffer = moved.get(e.buffer, e.buffer)
        wanted = {*self.loaded, *self.graph.outputs, *self.graph.writes.values()}
        result: list[Nest] = []
        for group in self._order():
            axes, core, values = built[group]
            last = next(reversed(group.members))
            if last.name in REGIONS:
                result += self._regions(last)
                continue
            stores = [Store(self.buffer(n), p, values[n]) for n, p in group.members.items() if n in wanted]
            result.append(Nest([a for a in axes if a.size != 1], core, stores))
        for state, value in self.graph.writes.items():
            if state not in in_place:
                over = axes_of(state.shape)
                at = tuple(Index.of(a) for a in over)
                copy = Store(self.buffer(state), at, Load(self.buffer(value), at))
                result.append(Nest([a for a in over if a.size != 1], None, [copy]))
        return result

    def _order(self) -> list[Group]:
        """The groups, each after those it needs, else as they were recorded."""
        done, bits, result = 0, {g.number: g for g in self.groups}, []
        waiting = sorted(bits)
        while waiting:
            k = next(k for k in waiting if bits[k].before & ~done == 0)
            waiting.remove(k)
            done |= 1 << k
            result.append(bits[k])
        return result

    def _in_place(self, built: dict[Group, Any]) -> set[Node]:
        """The states whose new value can be written over the old one: nobody reads that afterwards or elsewhere."""
        result = set()
        for state, value in self.graph.writes.items():
            home = self.home[value]
            readers = [g for g in self.groups if g is not home and state in g.places]
            if value.name in REGIONS or any(g.before >> home.number & 1 for g in readers):
                continue
            _axes, core, values = built[home]
            mine = self.buffer(state)
            if core is not None and any(isinstance(e, Load) and e.buffer is mine for a in core.args for e in parts(a)):
                continue
            at = home.members[value]
            here = (
                e.index == at for v in values.values() for e in parts(v) if isinstance(e, Load) and e.buffer is mine
            )
            if all(here):
                for g in readers:
                    self._after(home, g)
                result.add(state)
        return result

    def _build(self, group: Group) -> tuple[list[Axis], Core | None, dict[Node, Expr]]:
        """The expressions of a group, its axes split until all quotients dissolve that can."""
        for _ in range(24):
            inline = Inline(self, group, self.kept)
            values = {node: inline.member(node) for node in group.members}
            roots = [*values.values(), *(inline.core.args if inline.core else ())]
            mine = {*group.axes, *group.inner}
            split = next((s for e in roots for i in indices(e) for s in i.splits() if s[0] in mine), None)
            if split is None:
                break
            group.split(*split)
        self.loaded.update(inline.sites)
        group.places |= inline.places
        return group.axes, inline.core, values

    def _regions(self, node: Node) -> list[Nest]:
        """Nests that write a buffer part by part."""
        target = self.buffer(node)
        inline = Inline(self, None, self.kept)
        result: list[Nest] = []

        def nest(shape: tuple[int, ...], where: Any, x: Node, add: bool = False, serial: int = 0) -> None:
            over = axes_of(shape)
            at = tuple(Index.of(a) for a in over)
            store = Store(target, where(at), inline.at(x, at), add)
            result.append(Nest([a for a in over if a.size != 1], None, [store], tuple(over[:serial])))

        if node.name == "concat":
            axis, start = node.params["axis"], 0
            for x in node.inputs:

                def moved(at: Position, start: int = start) -> Position:
                    return tuple(i + start if k == axis else i for k, i in enumerate(at))

                nest(x.shape, moved, x)
                start += x.shape[axis]
        elif node.name == "assign":
            nest(node.shape, lambda at: at, node.inputs[0])
            steps, spec = [], node.inputs[0].spec
            for op, params in node.params["path"]:
                steps.append((op, params, spec))
                spec = op.rule(spec, **params)

            def region(at: Position) -> Position:
                for op, params, before in reversed(steps):
                    at, tests = through(op, params, before, at)
                    assert not tests
                return at

            nest(node.inputs[1].shape, region, node.inputs[1])
        else:
            add = node.name == "put_add"
            v, where = (node.inputs[0], node.inputs[1:]) if add else (node.inputs[1], node.inputs[2:])
            if add:
                over = axes_of(node.shape)
                zero = Number(node.dtype.type(0), node.dtype)
                result.append(
                    Nest([a for a in over if a.size != 1], None, [Store(target, tuple(map(Index.of, over)), zero)])
                )
            else:
                nest(node.shape, lambda at: at, node.inputs[0])
            n = len(where[0].shape)

            def scattered(at: Position) -> Position:
                rest = iter(at[n:])
                named = dict(zip(node.params["axes"], where, strict=True))
                return tuple(
                    inline.picked(named[k], at[:n], size) if k in named else next(rest)
                    for k, size in enumerate(node.shape)
                )

            nest(v.shape, scattered, v, add, serial=n)
        self.loaded.update(inline.sites)
        return result
