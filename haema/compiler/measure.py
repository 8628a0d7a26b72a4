"""Clocks for machine code: how long a nest takes, and what the machine could do at most.

peak        multiply-adds of one core, from a loop of nothing else: enough independent sums to hide their latency
bandwidth   bytes that one core reads and writes in a copy too large for the caches
Stopwatch   a native loop around a nest, so that a microsecond can be measured without Python in it
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from haema.compiler.builder import Builder, Module, Value, vector
from haema.compiler.runtime import aligned
from haema.compiler.target import Target, machine

SAMPLE = 5e-5
"""Seconds that a sample should last: short work is run several times for it."""
MOST = 64
"""How often, at most."""
LARGE = 64 << 20
"""Bytes of the copy that measures the memory."""


def load(module: Module, target: Target) -> Any:
    """An LLVM engine that holds a module's functions; they live as long as it."""
    import llvmlite.binding as llvm

    tm: Any = machine(target)
    parsed = llvm.parse_assembly(module.text())
    parsed.triple = target.triple
    parsed.data_layout = str(tm.target_data)
    parsed.verify()
    engine = llvm.create_mcjit_compiler(parsed, tm)
    engine.finalize_object()
    return engine


def median(call: Callable[[int], None], repeat: int, before: Callable[[], None] = lambda: None) -> float:
    """Seconds that one run takes: the median of ``repeat`` samples.

    Args:
        call: Does the work so many times.
        repeat: Number of samples.
        before: Called before each sample, not timed.
    """
    before()
    call(1)  # what is slow only once: pages, caches
    start = time.perf_counter()
    call(1)
    times = max(1, min(int(SAMPLE / max(time.perf_counter() - start, 1e-9)), MOST))
    samples = []
    for _ in range(repeat):
        before()
        start = time.perf_counter()
        call(times)
        samples.append((time.perf_counter() - start) / times)
    return statistics.median(samples)


class Stopwatch:
    """Runs functions  void nest(ptr, ..., ptr, i64 low, i64 high)  again and again in native code.

    Args:
        counts: The numbers of pointers that the functions take.
        target: This machine.
    """

    def __init__(self, counts: Iterable[int], target: Target) -> None:
        module = Module()
        for n in dict.fromkeys(counts):
            b = Builder(module)
            pointers = ", ".join(f"ptr %p{k}" for k in range(n))
            with b.loop(0, Value("i64", "%times")):
                b.line(f"call void %nest({pointers}, i64 0, i64 %tasks)")
            b.line("ret void")
            module.define(f"again{n}", f"void @again{n}(ptr %nest, i64 %times, {pointers}, i64 %tasks)", b)
        self._engine = load(module, target)

    def call(self, address: int, pointers: Sequence[int], tasks: int) -> Callable[[int], None]:
        """A function of a number that runs all tasks of a nest so many times."""
        kinds = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * len(pointers), ctypes.c_int64]
        again = ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(f"again{len(pointers)}"))

        def run(times: int) -> None:
            again(address, times, *pointers, tasks)

        return run


@cache
def peak(target: Target) -> float:
    """Float32 operations per second of one core: a multiply-add is two.

    The fastest of some runs, for it is a bound: 28 sums in registers where there are 32, 12 where there are 16.
    """
    sums, turns = (28 if target.registers > 16 else 12), 50_000
    type = vector("float", target.lanes(4))
    module = Module()
    b = Builder(module)
    memory = Value("ptr", "%memory")
    # numbers that the compiler cannot know, read as vectors
    x, y, zero = (b.load(b.at(memory, k * target.lanes(4), "float"), type, 4) for k in range(3))
    with b.loop(0, turns, 1, (zero,) * sums) as loop:
        loop.next = [b.fma(acc, x, y) for acc in loop.values]
    for k, acc in enumerate(loop.results):
        b.store(acc, b.at(memory, k * target.lanes(4), "float"), 4)
    b.line("ret void")
    module.define("peak", "void @peak(ptr %memory)", b)
    engine = load(module, target)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("peak"))
    room, start = aligned(sums * target.vector_bytes)
    numbers = room[start - room.ctypes.data :][: sums * target.vector_bytes].view(np.float32)
    best = float("inf")
    for _ in range(7):
        numbers[:] = 0
        numbers[: 2 * target.lanes(4)] = 0.5  # acc / 2 + 1/2 stays a plain number
        begun = time.perf_counter()
        run(start)
        best = min(best, time.perf_counter() - begun)
    return 2.0 * target.lanes(4) * sums * turns / best


@cache
def bandwidth() -> float:
    """Bytes per second that one core reads and writes together; the fastest of some large copies."""
    x, y = np.zeros(LARGE, np.uint8), np.zeros(LARGE, np.uint8)
    x[:] = 1
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        np.copyto(y, x)
        best = min(best, time.perf_counter() - begun)
    return 2 * LARGE / best
