"""Looking inside a compiled program: what it does, and how fast.

explain   every stage as text: graph, graph after the passes, nests with their schedules, memory, work
profile   every nest measured alone, beside what the machine could do
"""

from __future__ import annotations

import ctypes
import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from haema.compiler import graph as graphs
from haema.compiler import nest as nests
from haema.compiler import program
from haema.compiler.fuse import Group
from haema.compiler.graph import Node
from haema.compiler.index import Axis
from haema.compiler.measure import Stopwatch, bandwidth, median, peak
from haema.compiler.nest import Buffer, Load, Nest
from haema.compiler.program import Program
from haema.compiler.runtime import FAULT, aligned
from haema.compiler.tiling import COLUMNS, SIDE, Loop, Plan
from haema.errors import InputError
from haema.threads import get_num_threads

if TYPE_CHECKING:
    from haema.compiler.function import Variant

WIDTH = 120
"""Columns of the text."""


# -- words ------------------------------------------------------------------------------


def amount(x: float, unit: str) -> str:
    """A number of three or four digits with its unit: 131072 -> "131 kFLOP"."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if x >= size:
            return f"{x / size:.3g} {prefix}{unit}" if x < 999.5 * size else f"{x / size:.0f} {prefix}{unit}"
    return f"{x:.0f} {unit}"


def _fold(text: str, indent: str = "") -> list[str]:
    """Lines of at most WIDTH columns; what goes on in the next line stands further right."""
    lines = []
    for line in text.split("\n"):
        deep = indent + " " * (len(line) - len(line.lstrip()) + 6)
        found = textwrap.wrap(
            line, WIDTH, initial_indent=indent, subsequent_indent=deep, break_on_hyphens=False,
            replace_whitespace=False,
        )  # fmt: skip
        lines += found or [""]
    return lines


def _heading(text: str) -> list[str]:
    return ["", text, "=" * len(text)]


def _columns(rows: list[list[str]], right: Iterable[int]) -> list[str]:
    """Rows of words in columns, those in ``right`` right-aligned."""
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    numbers = set(right)
    return [
        "  ".join(w.rjust(n) if k in numbers else w.ljust(n) for k, (w, n) in enumerate(zip(r, widths, strict=True)))
        .rstrip()
        for r in rows
    ]  # fmt: skip


def source(node: Node | None) -> str:
    """Where the user's program asked for a value, "file:line"; a node that a pass made asks those it reads."""
    stack = [node]
    while stack:
        n = stack.pop(0)
        if n is not None and n.line:
            return n.line
        if n is not None and n.op is not None:
            stack += n.inputs
    return ""


def source_of(p: Program, nest: Nest) -> str:
    """Where the user's program asked for what a nest stores; "" for a copy that only the compiler wanted."""
    for s in nest.stores:
        node = s.buffer.node
        line = source(p.graph.writes.get(node) if node is not None and node.kind == "state" else node)
        if line:
            return line
    return ""


def computes(nest: Nest) -> str:
    """What a nest is for: the kind of its reduction, if any, and what it stores."""
    targets = list(dict.fromkeys(s.buffer for s in nest.stores))
    first, *rest = targets
    names = ", ".join([f"{first}[{', '.join(map(str, first.shape))}]", *map(str, rest)])
    if nest.core is not None:
        return f"{nest.core.kind} -> {names}"
    if any(s.add for s in nest.stores):
        return f"add -> {names}"
    moved = [s.expr for s in nest.stores]
    if all(isinstance(e, Load) for e in moved):
        return f"copy {', '.join(e.buffer.name for e in moved if isinstance(e, Load))} -> {names}"
    return f"map -> {names}"


def traffic(nest: Nest) -> tuple[int, int]:
    """Bytes read and written, each element counted once."""
    read = dict.fromkeys(x.buffer for x in nest.loads())
    written = dict.fromkeys(s.buffer for s in nest.stores)
    stored = math.prod(a.size for a in nest.axes)
    return (
        sum(min(b.size, nest.points) * b.dtype.itemsize for b in read),
        sum(min(b.size, nest.points if nest.core and nest.core.kind == "scan" else stored) * b.dtype.itemsize
            for b in written),
    )  # fmt: skip


# -- the schedule in words ----------------------------------------------------------------


def _axes(axes: Iterable[Axis]) -> str:
    return ", ".join(f"{a}:{a.size}" for a in axes)


def schedule_of(nest: Nest, tasks: int) -> list[tuple[str, str]]:
    """How a nest runs, in words: (aspect, what is decided).

    Args:
        nest: With its plan.
        tasks: Into how many tasks the program cuts it.
    """
    p = nest.plan
    if not tasks:
        return [("nothing", "an axis has no elements, so there is nothing to do")]
    words = [("vector", _vector(nest))]
    if p.kind == "contraction":
        rows, vectors = p.tile
        broad, loaded = nest.core.args[1 - p.second], nest.core.args[p.second]  # type: ignore[union-attr]
        along = "1 row" if p.row is None else f"{rows} rows along {p.row}:{p.row.size}"
        number = "pair of numbers" if nest.core.pairs else "number"  # type: ignore[union-attr]
        held = (
            f"held in {rows * vectors} registers; each step of the sum loads the vectors of {loaded.buffer} once and "
            f"multiplies them with a {number} of {broad.buffer} per row"
        )
        if p.depth:
            held = (
                f"held in {math.ceil(rows / SIDE) * vectors} tile registers; an instruction adds up {p.depth} products "
                f"of pairs of numbers of {broad.buffer} and {loaded.buffer} in all of one"
            )
        words.append(("tile", f"{along} x {vectors} vector{'s' * (vectors > 1)} along {p.vector}, {held}"))
        if p.blocks:
            words.append((
                "blocks",
                f"the sum is taken in parts, {_axes(p.blocks)}, so that what a tile reads stays in the cache; what it "
                f"has added up waits in {nest.stores[0].buffer}",
            ))  # fmt: skip
    words.append(("order", _order(nest)))
    words.append(("threads", _threads(nest, tasks)))
    return words


def _vector(nest: Nest) -> str:
    p = nest.plan
    if p.vector is None:
        return "none: one element at a time"
    text = f"{p.lanes} lanes along {p.vector}:{p.vector.size}"
    if p.vector in p.inner:
        text += ", a partial result in each lane, the lanes combined at the end"
    tail = p.vector.size % p.lanes
    return text + (f"; the last vector has {tail}, the other lanes are masked" if tail else "")


def _order(nest: Nest) -> str:
    p = nest.plan
    if p.kind == "contraction":
        loops = [*(f"{a}:{a.size}" for a in p.blocks), *(_loop(p, x) for x in p.order)]
        return " > ".join([*loops, *(f"{a}:{a.size}" for a in p.inner), "the tile"])
    outer, inner = ([f"{a}:{a.size}" for a in axes if a is not p.vector] for axes in (p.outer, p.inner))
    if p.vector is not None:
        (inner if p.vector in p.inner else outer).append(f"vectors of {p.vector}")
    return " > ".join([*outer, *inner]) or "a single step"


def _loop(p: Plan, loop: Loop) -> str:
    """A loop around a tile."""
    if isinstance(loop, Axis):
        return f"{loop}:{loop.size}"
    axis = p.vector if loop == COLUMNS else p.row
    turns = p.turns(loop)
    return "1 row" if axis is None else f"{turns} tile{'s' * (turns > 1)} of {axis}"


def _threads(nest: Nest, tasks: int) -> str:
    p, cycles = nest.plan, program.work(nest)
    if nest.serial:
        return "one thread: the order of the writes matters"
    if tasks == 1:
        return "one thread: the work is not divided"
    if cycles <= program.SMALL:
        return f"one thread: small (some {cycles:,.0f} cycles, where sharing begins at {program.SMALL:,})"
    if p.kind == "contraction":
        return f"share {tasks} tasks: {', '.join(_loop(p, x) for x in p.order[slice(*p.shared)])}"
    return f"share {tasks} tasks: " + ("the vectors" if p.split and not p.tasks else _axes(p.outer[: p.tasks]))


# -- explain ------------------------------------------------------------------------------


def physical(b: Buffer) -> str:
    """The order in which a buffer lies: its axes from the outermost to the innermost."""
    if b.strides is None or len(b.shape) < 2:
        return "-"
    strides = b.strides
    order = sorted(range(len(strides)), key=lambda a: -abs(strides[a]))
    plain = Buffer("", b.shape, b.dtype, "temporary")
    plain.arrange()
    if all(n < 2 or s == t for n, s, t in zip(b.shape, strides, plain.strides or (), strict=True)):
        return "row-major"
    plain.arrange(tuple(order))
    if plain.strides == strides:
        return "axes " + " ".join(map(str, order))
    return f"strides {strides}"


def explain(variant: Variant) -> str:
    """A compiled program as text, stage by stage.

    Sections: the recorded graph; the graph after the passes; each loop nest with its schedule and its work; the memory
    plan; the sums. Lines have at most 120 columns.

    Args:
        variant: A program; `Compiled.explain` takes that of the last call.
    """
    p = variant.build()
    t = variant.target
    recorded, kept = len(variant.graph.nodes()), len(p.graph.nodes())
    lines = [
        f"A program for {t.cpu}: vectors of {8 * t.vector_bytes} bits, {t.registers} of them; "
        f"{'read from the cache' if variant.cached else 'compiled'} in {variant.seconds:.2f} s",
        *_heading(f"Graph as recorded: {recorded} nodes"),
        *_fold(graphs.show(variant.graph)),
        *_heading(f"Graph after the passes: {kept} nodes"),
        *_fold(graphs.show(p.graph)),
        *_heading(f"Loop nests and their schedules: {len(p.nests)}"),
        *textwrap.wrap(
            "What follows | is summed, or whatever else the reduction does. An axis whose name is made of several, "
            "such as ij, is axes that lie in one line in memory and are run through as one.",
            WIDTH,
        ),
    ]
    for k in range(len(p.nests)):
        lines += ["", *nest_text(p, k)]
    lines += [*_heading("Memory"), *memory_text(p), *_heading("Total"), *_fold(_total(p))]
    return "\n".join(lines)


def nest_text(p: Program, k: int) -> list[str]:
    """Nest number ``k`` with its schedule and its work."""
    nest = p.nests[k]
    line = source_of(p, nest)
    lines = _fold(f"[{k}] {computes(nest)}" + (f"   for {line}" if line else ""))
    lines += _fold(nests.show(nest), "    ")
    schedule = schedule_of(nest, p.tasks[k])
    for group in p.groups:
        if group.first <= k < group.stop:
            schedule[-1] = "fused", _fused(p, group, k)
    for aspect, words in [*schedule, ("work", _work(nest))]:
        lines += _fold(f"{aspect + ':':9}{words}", "    ")
    return lines


def _fused(p: Program, group: Group, k: int) -> str:
    """What a nest has in common with those that share its outermost loop."""
    axis, each = group.axes[k - group.first], group.each * group.axes[k - group.first].size // group.units
    shared = group.units // group.grain
    text = (
        f"with all nests from {group.first} to {group.stop - 1}, {each} step{'s' * (each > 1)} of {axis} at a time, so "
        f"that what one hands on is still in the cache when the next needs it; threads share {shared} units of it"
    )
    passing = [s.buffer.name for s in p.nests[k].stores if s.buffer in group.local]
    return text + (f"; of {', '.join(passing)} only what is at hand is kept" if passing else "")


def _work(nest: Nest) -> str:
    read, written = traffic(nest)
    words = [amount(nest.flops, "FLOP")] if nest.flops else []
    words += [f"{nest.points:,} step{'s' * (nest.points != 1)}"] if not nest.flops else []
    return ", ".join([*words, f"{amount(read, 'B')} read", f"{amount(written, 'B')} written"])


def lifetimes(p: Program) -> dict[Buffer, tuple[int, int]]:
    """The first and the last nest that touches each buffer."""
    found: dict[Buffer, tuple[int, int]] = {}
    for k, nest in enumerate(p.nests):
        for b in nest.buffers():
            found[b] = found.get(b, (k, k))[0], k
    return found


def memory_text(p: Program) -> list[str]:
    """The memory plan as a table."""
    life = lifetimes(p)
    rows = [["buffer", "kind", "dtype", "shape", "order", "bytes", "offset", "nests"]]
    every = dict.fromkeys([*p.buffers, *sorted(p.offsets, key=lambda b: life[b])])
    for b in every:
        first, last = life.get(b, (-1, -1))
        used = "unused" if first < 0 else f"{first}-{last}" if last > first else str(first)
        at = str(p.offsets[b]) if b in p.offsets else ""
        size = str(b.size * b.dtype.itemsize)
        rows.append([b.name, b.kind, b.dtype.name, str(list(b.shape)), physical(b), size, at, used])
    temporary = sum(b.size * b.dtype.itemsize for b in p.offsets)
    text = (
        f"Temporaries that do not live at the same time lie in the same place: {amount(temporary, 'B')} of them in an "
        f"arena of {amount(p.arena, 'B')}."
    )
    return [*_columns(rows, (5, 6)), *textwrap.wrap(text, WIDTH)]


def _total(p: Program) -> str:
    given: dict[str, int] = {}
    for b in p.buffers:
        given[b.kind] = given.get(b.kind, 0) + b.size * b.dtype.itemsize
    read, written = (sum(x) for x in zip(*map(traffic, p.nests), strict=True)) if p.nests else (0, 0)
    memory = ", ".join(f"{kind} {amount(n, 'B')}" for kind, n in {**given, "arena": p.arena}.items())
    flops = amount(sum(n.flops for n in p.nests), "FLOP")
    threads = "several threads" if p.parallel else "one thread: no nest is large enough to be shared"
    return (
        f"work:    {flops} in contractions, {amount(read, 'B')} read, {amount(written, 'B')} written\n"
        f"memory:  {memory}\nthreads: {threads}"
    )


# -- profile ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A nest as measured.

    Attributes:
        nest: Its number, as in `explain`.
        computes: What it stores.
        line: Where the user's program asked for it, "file:line", or "".
        seconds: Of one run on one thread, median.
        share: Part of the time of all nests.
        flops: Operations of its contraction, 0 for other nests.
        bytes: Read and written, each element once.
    """

    nest: int
    computes: str
    line: str
    seconds: float
    share: float
    flops: int
    bytes: int

    @property
    def flops_per_second(self) -> float:
        """Operations per second."""
        return self.flops / self.seconds

    @property
    def bytes_per_second(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds


@dataclass(frozen=True, repr=False)
class Profile:
    """How long the nests of a program take; prints as a table.

    A nest that runs alone finds its data in the caches, if they fit: that is why more than 100% of the memory's speed
    is possible, and why the nests together can take less than the step.

    Attributes:
        rows: The nests, slowest first.
        one: Seconds of a whole step on one thread, Python's part not counted.
        all: The same on all threads.
        threads: How many these are; 1 if no nest is large enough to be shared.
        peak: Float32 operations per second that one core can do.
        bandwidth: Bytes per second that one core can read and write.
        precision: Of the products, as for `haema.compile`.
    """

    rows: tuple[Row, ...]
    one: float
    all: float
    threads: int
    peak: float
    bandwidth: float
    precision: str = "float32"

    @property
    def seconds(self) -> float:
        """Of all nests together, on one thread."""
        return sum(r.seconds for r in self.rows)

    @property
    def flops_per_second(self) -> float:
        """Operations of the contractions per second of a whole step."""
        return sum(r.flops for r in self.rows) / self.all

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        unit, scale = ("ms", 1e3) if self.one >= 1e-3 else ("us", 1e6)
        table = [["nest", "computes", "asked for in", unit, "share", "GFLOP/s", "peak", "GB/s", "memory"]]
        for r in self.rows:
            table.append([
                str(r.nest), _short(r.computes, 36), _tail(r.line, 22), f"{r.seconds * scale:.3f}", f"{r.share:.1%}",
                f"{r.flops_per_second / 1e9:.1f}" if r.flops else "",
                f"{r.flops_per_second / self.peak:.0%}" if r.flops else "",
                f"{r.bytes_per_second / 1e9:.1f}", f"{r.bytes_per_second / self.bandwidth:.0%}",
            ])  # fmt: skip
        step, many = f"{self.one * scale:.2f} {unit} (1 thread)", "1 core"
        if self.threads > 1:
            step += f", {self.all * scale:.2f} {unit} ({self.threads} threads)"
            many = f"{self.threads} cores"
        useful = self.flops_per_second
        return "\n".join([
            *_columns(table, (0, 3, 4, 5, 6, 7, 8)),
            f"one core can do {self.peak / 1e9:.0f} GFLOP/s in float32 and move {self.bandwidth / 1e9:.1f} GB/s",
            f"nests {self.seconds * scale:.2f} {unit}; whole step {step}: {useful / 1e9:.1f} GFLOP/s, "
            f"{useful / self.peak / self.threads:.1%} of the peak of {many}"
            + ("; of bfloat16 a CPU may do more" if self.precision == "bf16" else ""),
        ])  # fmt: skip


def _short(text: str, n: int) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"


def _tail(text: str, n: int) -> str:
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    return name if len(name) <= n else "…" + name[1 - n :]


class _Copies:
    """Memory of its own for everything that a program writes, as at the start of a call.

    Each temporary has its place alone: no nest overwrites what another has left.
    """

    def __init__(self, variant: Variant, p: Program, arrays: list[np.ndarray]) -> None:
        self._kept: list[np.ndarray] = []
        self._states: list[tuple[np.ndarray, np.ndarray]] = []
        self.address: dict[Buffer, int] = {}
        for b in p.buffers:
            if b.kind == "input":
                assert b.node is not None
                i = variant.graph.inputs.index(b.node)
                value = arrays[i] if i < len(arrays) else np.asarray(variant.hypers[i - len(arrays)](), np.float64)
                self._point(b, np.ascontiguousarray(value))
            elif b.kind == "constant":
                assert b.array is not None
                self._point(b, b.array)
            elif b.kind == "state":
                assert b.array is not None
                view = self._copy(b, b.array)
                self._states.append((view, view.copy()))
            else:
                self._room(b)
        for b in p.offsets:
            self._room(b)
        memory, self.arena = aligned(p.arena)
        self._kept.append(memory)

    def _point(self, b: Buffer, a: np.ndarray) -> None:
        self._kept.append(a)
        self.address[b] = a.ctypes.data

    def _room(self, b: Buffer) -> None:
        memory, self.address[b] = aligned(b.nbytes + program.ALIGN)
        self._kept.append(memory)

    def _copy(self, b: Buffer, a: np.ndarray) -> np.ndarray:
        """Memory that holds ``a`` with the same strides."""
        low, high = np.lib.array_utils.byte_bounds(a) if a.size else (a.ctypes.data, a.ctypes.data)
        memory, start = aligned(high - low + program.ALIGN)
        self._kept.append(memory)
        offset = start - memory.ctypes.data + a.ctypes.data - low
        view: np.ndarray = np.ndarray(a.shape, a.dtype, memory, offset, a.strides)
        view[...] = a
        self.address[b] = memory.ctypes.data + offset
        return view

    def restore(self) -> None:
        """The states as they were."""
        for view, before in self._states:
            view[...] = before

    def table(self, p: Program) -> np.ndarray:
        """What the program's own function expects: the address and the step of each buffer, the arena last."""
        table = np.zeros(2 * (len(p.buffers) + 1), np.int64)
        table[::2] = [*(self.address[b] for b in p.buffers), self.arena]
        return table


def profile(variant: Variant, arrays: list[np.ndarray], repeat: int = 20) -> Profile:
    """Measure every nest of a program, on one thread, and the whole step.

    Of fused nests the first turn is measured, with what it reads in the cache, and taken as often as there are turns.
    Everything runs on copies: parameters, optimizer state, running statistics and the random generator are afterwards
    what they were, bit for bit.

    Args:
        variant: A program.
        arrays: Its arguments.
        repeat: Samples of each measurement; the median counts.

    Raises:
        InputError: ``repeat`` is no whole number above 0.
        IndexError: an index in the arguments is out of range.
    """
    if type(repeat) is not int or repeat < 1:
        raise InputError(f"profile: repeat is {repeat!r}, where a whole number from 1 on is right")
    p = variant.build()
    loaded = variant.loaded
    table = [kind for kind, _ in variant.header["table"]]
    assert [b.kind for b in p.buffers] == table, "the code is that of another program"
    with loaded.lock:  # no step may be half done
        copies = _Copies(variant, p, arrays)
    fault = np.zeros(FAULT, np.int64)
    real = [k for k, n in enumerate(p.tasks) if n]
    watch = Stopwatch([len(p.nests[k].buffers()) + 1 for k in real], variant.target)
    measured = []
    for k in real:  # in order: so each finds what those before it left, as in a step
        pointers = [*(copies.address[b] for b in p.nests[k].buffers()), fault.ctypes.data]
        tasks = _at_a_time(p, k)
        call = watch.call(loaded.address(f"nest{k}"), pointers, tasks)
        measured.append((k, max(median(call, repeat), 1e-9) * p.tasks[k] / tasks))
        if fault[0]:
            raise IndexError(f"profile: an index in the arguments is out of range for an axis of size {int(fault[0])}")
    one, both = _whole(variant, p, copies, repeat)
    total = sum(seconds for _, seconds in measured)
    rows = []
    for k, seconds in measured:
        nest = p.nests[k]
        line, size = source_of(p, nest), sum(traffic(nest))
        rows.append(Row(k, computes(nest), line, seconds, seconds / total, nest.flops, size))
    rows.sort(key=lambda r: -r.seconds)
    threads = get_num_threads() if loaded.parallel else 1
    return Profile(tuple(rows), one, both, threads, peak(variant.target), bandwidth(), variant.precision)


def _at_a_time(p: Program, k: int) -> int:
    """How many tasks of a nest are run before other nests come between."""
    for group in p.groups:
        if group.first <= k < group.stop:
            return group.each * p.tasks[k] // group.units
    return p.tasks[k]


def _whole(variant: Variant, p: Program, copies: _Copies, repeat: int) -> tuple[float, float]:
    """Seconds of a step on one thread and on all."""
    loaded, table = variant.loaded, copies.table(p)
    memory, sync = aligned(512)
    memory[:] = 0
    fault, steps = np.zeros(FAULT, np.int64), np.zeros(2, np.int64)
    kinds = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 2
    function = ctypes.CFUNCTYPE(None, *kinds)(loaded.address("run"))

    def alone(times: int) -> None:
        steps[1] = times
        function(table.ctypes.data, sync, fault.ctypes.data, steps.ctypes.data, 0, 1)

    def together(times: int) -> None:
        loaded.run(0, times)

    one = median(alone, repeat, copies.restore)
    if not loaded.parallel or get_num_threads() == 1:
        return one, one
    with loaded.lock:
        own = loaded.table.copy()
        try:
            loaded.table[:] = table
            return one, median(together, repeat, copies.restore)
        finally:
            loaded.table[:] = own
