"""A whole program: its nests in order, where each buffer lies, and the function that every thread runs.

    void run(ptr table, ptr sync, ptr fault, ptr steps, i64 thread, i64 threads)

``table`` holds the address of each buffer and how far it moves from step to step; ``steps`` is (first, last). Every
thread runs all of it and takes its share of each nest; where one nest needs what another thread computed, they meet at
a barrier. How the work is shared never decides how a sum is taken, so the results do not depend on the threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from haema.compiler import bfloat, fuse, layout, lower, schedule
from haema.compiler import nest as nests
from haema.compiler import passes as graph_passes
from haema.compiler.builder import Builder, Module, Value, const
from haema.compiler.emit import emit
from haema.compiler.fuse import Group
from haema.compiler.graph import Graph
from haema.compiler.graph import verify as verify_graph
from haema.compiler.nest import Buffer, Nest
from haema.compiler.target import Target, machine
from haema.compiler.tiling import Plan

ALIGN = 64
FLUSH_X86 = 0x8040
"""Bits of x86's register MXCSR: subnormal results are zero, subnormal operands too."""
FLUSH_ARM = 1 << 24
"""The bit of aarch64's register FPCR for both."""
SMALL = 50_000
"""Work (roughly cycles, some 15 us) up to which a nest is left to one thread: what another core wrote comes slowly."""


@dataclass
class Program:
    """What was compiled.

    Attributes:
        graph: After the passes.
        nests: In the order of running.
        buffers: Those that the caller provides, in the order of the table; the arena is the last entry.
        arena: Bytes of memory for temporaries.
        text: LLVM IR.
        tasks: Tasks per nest.
        groups: Nests that share their outermost loop.
        parallel: Whether any nest is shared by threads.
    """

    graph: Graph
    nests: list[Nest]
    buffers: list[Buffer]
    arena: int
    offsets: dict[Buffer, int]
    text: str
    tasks: list[int]
    groups: list[Group]
    parallel: bool


def optimized(graph: Graph, check: bool = False, precision: str = "float32") -> Graph:
    """The graph after all passes."""
    first, last = graph_passes.PASSES, graph_passes.LAST
    for run in (*first, *([bfloat.paired] if precision == "bf16" else []), *last):
        graph = run(graph)
        if check:
            verify_graph(graph)
    return graph


def build(graph: Graph, target: Target, check: bool = False, precision: str = "float32") -> Program:
    """The program of a graph."""
    graph = optimized(graph, check, precision)
    lowering = lower.Lowering(graph)
    loops = lowering.nests()
    outputs = []
    for node in graph.outputs:
        buffer = lowering.buffer(node)
        buffer.kind, buffer.fixed = "output", True
        outputs.append(buffer)
    loops = layout.layouts(loops, target)
    if check:
        for nest in loops:
            nests.verify(nest)
    loops, groups = fuse.Fusing(loops, target).groups(loops)
    module = Module()
    tasks = []
    for k, nest in enumerate(loops):
        if not isinstance(nest.plan, Plan):
            nest.plan = schedule.plan(nest, target)
        tasks.append(emit(module, nest, f"nest{k}") if all(a.size for a in nest.axes) else 0)
    used = dict.fromkeys(b for nest in loops for b in nest.buffers())
    given = [lowering.buffer(n) for n in graph.inputs if n in lowering.buffers]
    given += [b for b in used if b.kind in ("state", "constant")]
    given += outputs
    offsets, arena = _arena(loops, groups)
    learns = any(s.array is not None and s.array.dtype.kind == "f" for s in graph.writes)
    shared = _drive(module, loops, tasks, groups, given, offsets, target.triple if learns else "")
    return Program(graph, loops, given, arena, offsets, module.text(), tasks, groups, shared)


def _room(b: Buffer) -> int:
    """Bytes for a buffer in the arena, with a gap behind it."""
    return -(-(b.nbytes + ALIGN) // ALIGN) * ALIGN


def _arena(loops: list[Nest], groups: list[Group]) -> tuple[dict[Buffer, int], int]:
    """Where each temporary lies: first fit among those that live at the same time.

    Fused nests run at the same time.
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    span = {k: (g.first, g.stop - 1) for g in groups for k in range(g.first, g.stop)}
    for k, nest in enumerate(loops):
        start, end = span.get(k, (k, k))
        for b in nest.buffers():
            if b.kind == "temporary":
                first.setdefault(b, start)
                last[b] = end
    offsets: dict[Buffer, int] = {}
    top = 0
    for b in sorted(first, key=lambda b: (-b.nbytes, first[b])):
        size = _room(b)
        busy = sorted(
            (offsets[o], offsets[o] + _room(o)) for o in offsets if first[o] <= last[b] and first[b] <= last[o]
        )
        at = 0
        for start, stop in busy:
            if at + size <= start:
                break
            at = max(at, stop)
        offsets[b] = at
        top = max(top, at + size)
    return offsets, top


def _span(b: Buffer, offsets: dict[Buffer, int]) -> tuple[object, int, int]:
    """Which memory a buffer occupies."""
    if b in offsets:
        return "arena", offsets[b], offsets[b] + b.nbytes
    return b, 0, 1


def _conflict(a: Nest, b: Nest, offsets: dict[Buffer, int]) -> bool:
    """Whether ``b`` must wait for all of ``a``."""
    written = {s.buffer for s in a.stores}, {s.buffer for s in b.stores}
    for mine, theirs in ((written[0], b.buffers()), (a.buffers(), written[1])):
        for x in mine:
            wx, sx, ex = _span(x, offsets)
            for y in theirs:
                wy, sy, ey = _span(y, offsets)
                if wx == wy and sx < ey and sy < ex:
                    return True
    return False


def work(nest: Nest) -> float:
    """Roughly how many cycles of one core a nest takes."""
    per = 0.06 if nest.flops else 0.3 * (1 + len(nest.loads()))
    return nest.points * per


def _drive(
    module: Module,
    loops: list[Nest],
    tasks: list[int],
    groups: list[Group],
    given: list[Buffer],
    offsets: dict[Buffer, int],
    flush: str,
) -> bool:
    """The function that runs all nests, step after step; on a machine ``flush``, if named, without subnormals."""
    _barrier(module)
    b = Builder(module)
    thread, threads, sync, fault = (
        Value("i64", "%thread"),
        Value("i64", "%threads"),
        Value("ptr", "%sync"),
        Value("ptr", "%fault"),
    )
    place = {buffer: k for k, buffer in enumerate(given)}
    steps = Value("ptr", "%steps")
    start = b.load(steps, "i64", 8)
    stop = b.load(b.at(steps, 1, "i64"), "i64", 8)
    table = Value("ptr", "%table")
    bases = [
        (b.load(b.at(table, 2 * k, "i64"), "ptr", 8), b.load(b.at(table, 2 * k + 1, "i64"), "i64", 8))
        for k in range(len(given) + 1)
    ]
    parallel = False
    with _flushed(b, flush), b.loop(start, stop) as step:
        moved = [b.at(base, b.op("mul", step.index, stride), "i8") for base, stride in bases]
        open_nests: list[tuple[Nest, bool]] = []  # since the last barrier; whether shared

        def meet() -> None:
            b.do("meet", sync, threads)
            open_nests.clear()

        def pointers(nest: Nest) -> list[Value]:
            return [
                moved[place[x]] if x in place else b.at(bases[-1][0], offsets[x], "i8") for x in nest.buffers()
            ]  # fmt: skip

        def share(n: int, grain: int = 1) -> tuple[Value, Value]:
            low, high = (
                b.op("udiv", b.op("mul", k, const("i64", n // grain)), threads)
                for k in (thread, b.op("add", thread, const("i64", 1)))
            )
            return b.op("mul", low, const("i64", grain)), b.op("mul", high, const("i64", grain))

        def together(group: Group, low: Value, high: Value) -> None:
            each = const("i64", group.each)
            with b.loop(low, high, group.each) as turn:
                end = b.op("add", turn.index, each)
                stop = b.select(b.compare("icmp slt", end, high), end, high)
                back = b.op("sub", low, turn.index)
                for k in range(group.first, group.stop):
                    at = pointers(loops[k])
                    for i, buffer in enumerate(loops[k].buffers()):
                        if buffer in group.local:  # where the thread's first unit would lie
                            at[i] = b.at(at[i], b.op("mul", back, const("i64", group.local[buffer])), "i8")
                    factor = const("i64", tasks[k] // group.units)
                    b.do(f"nest{k}", *at, fault, b.op("mul", turn.index, factor), b.op("mul", stop, factor))

        starts = {g.first: g for g in groups}
        k = 0
        while k < len(loops):
            group = starts.get(k)
            first, k = k, k + 1 if group is None else group.stop
            todo = [n for n, count in zip(loops[first:k], tasks[first:k], strict=True) if count]
            if not todo:
                continue
            n = tasks[first] if group is None else group.units
            shared = n > 1 and sum(map(work, todo)) > SMALL
            parallel |= shared
            # what one thread does alone needs no meeting between
            if any((shared or s) and _conflict(o, nest, offsets) for o, s in open_nests for nest in todo):
                meet()
            open_nests += [(nest, shared) for nest in todo]
            if shared and group is not None:
                together(group, *share(n, group.grain))
            elif shared:
                b.do(f"nest{first}", *pointers(todo[0]), fault, *share(n))
            else:
                with b.when(b.compare("icmp eq", thread, const("i64", 0))):
                    if group is not None:
                        together(group, const("i64", 0), const("i64", n))
                    else:
                        b.do(f"nest{first}", *pointers(todo[0]), fault, const("i64", 0), const("i64", n))
        if parallel:
            meet()
    b.line("ret void")
    _alone(module)
    module.define("run", "void @run(ptr %table, ptr %sync, ptr %fault, ptr %steps, i64 %thread, i64 %threads)", b)
    return parallel


@contextlib.contextmanager
def _flushed(b: Builder, triple: str) -> Iterator[None]:
    """On this machine, if named, subnormal numbers count as zero inside: with them, arithmetic takes many times longer.

    A weight whose gradient stays 0 has a momentum that soon is subnormal, and remains so.
    """
    machine = triple.partition("-")[0]
    if machine in ("x86_64", "amd64", "i386", "i686"):
        before, inside = b.room("i32", 1), b.room("i32", 1)
        b.do("llvm.x86.sse.stmxcsr", before)
        b.store(b.op("or", b.load(before, "i32", 4), const("i32", FLUSH_X86)), inside, 4)
        b.do("llvm.x86.sse.ldmxcsr", inside)
        yield
        b.do("llvm.x86.sse.ldmxcsr", before)
    elif machine in ("aarch64", "arm64"):
        now = b.call("llvm.aarch64.get.fpcr", "i64")
        b.do("llvm.aarch64.set.fpcr", b.op("or", now, const("i64", FLUSH_ARM)))
        yield
        b.do("llvm.aarch64.set.fpcr", now)
    else:
        yield


def _alone(module: Module) -> None:
    """``alone(args)``: run on this thread, with the first four arguments of ``run`` in memory."""
    b = Builder(module)
    given = [b.load(b.at(Value("ptr", "%args"), k, "i64"), "ptr", 8) for k in range(4)]
    b.do("run", *given, const("i64", 0), const("i64", 1))
    b.line("ret void")
    module.functions["run"] = ""
    module.define("alone", "void @alone(ptr %args)", b)


def _barrier(module: Module) -> None:
    """``meet(sync, threads)``: nobody goes on before all have come."""
    b = Builder(module)
    sync, threads = Value("ptr", "%sync"), Value("i64", "%threads")
    alone = b.compare("icmp eq", threads, const("i64", 1))
    b.line(f"br {alone}, label %done, label %meet")
    b.start("meet")
    turn = b.at(sync, 8, "i64")  # a cache line of its own
    before = b.emit("i64", f"load atomic i64, {turn} monotonic, align 8")
    came = b.emit("i64", f"atomicrmw add {sync}, i64 1 acq_rel")
    last = b.compare("icmp eq", b.op("add", came, const("i64", 1)), threads)
    b.line(f"br {last}, label %open, label %spin")
    b.start("open")
    b.line(f"store atomic i64 0, {sync} monotonic, align 8")
    b.line(f"store atomic {b.op('add', before, const('i64', 1))}, {turn} release, align 8")
    b.line("br label %done")
    b.start("spin")
    count = b.emit("i64", "phi i64 [0, %meet], [%again, %wait]")
    now = b.emit("i64", f"load atomic i64, {turn} acquire, align 8")
    b.line(f"br {b.compare('icmp ne', now, before)}, label %done, label %wait")
    b.start("wait")
    b.line(f"%again = add {count}, 1")
    tired = b.compare("icmp eq", b.op("and", Value("i64", "%again"), const("i64", 16383)), const("i64", 0))
    b.line(f"br {tired}, label %sleep, label %spin")
    b.start("sleep")
    b.call("sched_yield", "i32")
    b.line("br label %spin")
    b.start("done")
    b.line("ret void")
    text = "\n".join(b.lines)
    text = text.replace("[%again, %wait]", "[%again, %wait], [%again, %sleep]")
    b.lines = text.split("\n")
    module.define("meet", "void @meet(ptr %sync, i64 %threads)", b)


def emit_ir(program: Program, target: Target) -> tuple[object, object]:
    """The optimised LLVM module and its code generator."""
    import llvmlite.binding as llvm

    tm = machine(target)
    module = llvm.parse_assembly(program.text, llvm.create_context())
    module.triple = target.triple
    module.data_layout = str(tm.target_data)  # type: ignore[attr-defined]
    module.verify()
    builder = llvm.create_pass_builder(tm, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_function_pass_manager()
    # values are written shorter; all else the builder has done or the code generator does, in half the time of -O2
    passes.add_instruction_combine_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    return module, tm


def machine_code(program: Program, target: Target) -> bytes:
    """An object file."""
    module, tm = emit_ir(program, target)
    code: bytes = tm.emit_object(module)  # type: ignore[attr-defined]
    return code
