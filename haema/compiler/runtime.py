"""Running machine code: memory for a program, and the threads that share its work.

The thread that calls takes part; the others wait, asleep, until there is a program for several. A program for one
thread does not wake them. After a fork the child starts its own. Where other programs use the CPUs, as many threads
work as there are CPUs for, until there is one for each again.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import operator
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from haema.threads import get_num_threads

_FUNCTION = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64)
_SYNC = 16  # int64 words: the barrier's two, each in a cache line of its own

LOST = 5e-4
"""Seconds of CPU per thread; less is lost to threads that wake one after another, more to other programs."""
LONGEST = 1.0
"""Seconds after which more threads are tried again at the latest."""
FAULT = 32
"""int64 words: the first for a fault; a vector can be read from them all, where there is nothing else to read."""


class Pool:
    """Threads that wait for work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._clocks: list[int] = []

    def grow(self, n: int) -> None:
        """Have at least ``n`` threads."""
        while len(self._threads) < n:
            thread = threading.Thread(target=self._serve, name="haema", daemon=True)
            thread.start()
            self._threads.append(thread)
        if len(self._clocks) < len(self._threads) and hasattr(time, "pthread_getcpuclockid"):
            self._clocks = [time.pthread_getcpuclockid(t.ident) for t in self._threads if t.ident is not None]

    def cpu_time(self) -> float:
        """Seconds of CPUs that the caller and these threads have had; of all threads where the system tells no more."""
        if not self._clocks:
            return time.process_time()
        return time.thread_time() + sum(map(time.clock_gettime, self._clocks))

    def _serve(self) -> None:
        bound: frozenset[int] | None = None
        while True:
            program, args, cpus = self._jobs.get()
            if cpus and cpus != bound:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(0, cpus)  # of this thread
                bound = cpus
            program._run(*args)
            del program, args  # which keeps the code in memory until this thread has left it

    def run(self, program: Loaded, args: Sequence[Any], n: int) -> None:
        """Run a program with n threads, the caller's among them; there are enough, and the caller holds ``lock``.

        The threads wait for each other, so either all of them begin or none does. Ctrl-C is answered by Python code
        alone, and all begin, and the caller ends, within one call of C code.
        """
        jobs = [(program, (*args, k, n), cpus) for k, cpus in enumerate(places(n))]
        begin = [functools.partial(self._jobs.put, job) for job in jobs[1:]]
        deque(map(operator.call, [*begin, functools.partial(program._run, *args, 0, n)]), maxlen=0)


def places(n: int) -> list[frozenset[int] | None]:
    """For each of ``n`` threads the CPUs it may run on: all but the one that the first, the caller, is on.

    Threads that wait for each other look busy even where they share a CPU, and a scheduler may leave them there.
    """
    here = _current_cpu()
    if here is None:
        return [None] * n
    others = sorted(os.sched_getaffinity(0) - {here})
    if n - 1 > len(others):
        return [None] * n
    if n - 1 < len(others):
        return [None, *[frozenset(others)] * (n - 1)]
    return [None, *(frozenset({cpu}) for cpu in others)]


def _current_cpu() -> int | None:
    """The CPU that this thread is on, where the system tells."""
    try:
        cpu: int = ctypes.CDLL(None).sched_getcpu()
    except (AttributeError, OSError):
        return None
    return cpu if cpu >= 0 else None


_pool = Pool()


class Pace:
    """How many threads a program gets: as many as there are CPUs for, told from the time of CPUs that its runs got.

    A thread whose CPU another program uses lets all others wait for it, for milliseconds, at each meeting: a small
    step then takes a hundred times as long as on one thread. Threads that wait for each other do not sleep, so a run
    of n threads that is given n CPUs takes n seconds of CPUs in a second. One that got less is followed by some with
    as many threads as it had CPUs, for as long as it took, and for longer, up to a second, whenever that happens again.

    Attributes:
        good: The number of threads that last had a CPU each; 0 at first.
    """

    def __init__(self) -> None:
        self.good = 0
        self._until = 0.0
        self._patience = 1.0

    def choose(self, n: int) -> int:
        """How many threads, of at most ``n``, the next run gets."""
        return min(self.good, n) if 0 < self.good < n and time.perf_counter() < self._until else n

    def note(self, threads: int, seconds: float, cpus: float) -> None:
        """Learn from a run with several threads: how long it took, and how many seconds of CPUs it got."""
        got = round(cpus / seconds)
        if got < threads and threads * seconds - cpus > threads * LOST:
            self.good = max(got, 1)
            wait = min(seconds * self._patience, LONGEST)
            self._until = time.perf_counter() + wait
            self._patience *= 4 if wait < LONGEST else 1
        elif threads > self.good:
            self.good = threads
            self._patience = max(self._patience / 4, 1.0)


_loaded: weakref.WeakSet[Loaded] = weakref.WeakSet()
"""All programs in memory."""


def _renew() -> None:
    """In a child process: its parent's threads are not there."""
    global _pool
    _pool = Pool()
    for program in list(_loaded):  # another thread may have been inside
        program.lock = threading.Lock()
        program._sync[:] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def aligned(size: int) -> tuple[np.ndarray, int]:
    """Memory of ``size`` bytes and its address, a multiple of 64.

    Raises:
        MemoryError: there is not enough.
    """
    memory = np.empty(size + 64, np.uint8)
    start: int = memory.ctypes.data
    return memory, start + -start % 64


def _close(engine: Any, context: Any) -> None:
    """Free an engine, and then its context."""
    engine.close()
    context.close()


class Loaded:
    """Machine code in memory.

    Args:
        code: An object file.
        arena: Bytes that it needs for temporaries.
        entries: Number of entries of its table, the arena not counted.
        parallel: Whether several threads can share its work.

    Attributes:
        table: Address and step of each buffer, the arena last.
        fault: Not 0 after a run in which a position was out of range.
    """

    def __init__(self, code: bytes, arena: int, entries: int, parallel: bool) -> None:
        import llvmlite.binding as llvm

        from haema.compiler.target import machine, target

        context = llvm.create_context()
        module = llvm.parse_assembly("", context)
        self._engine = llvm.create_mcjit_compiler(module, machine(target()))
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        # llvmlite would free the context before the engine that lies in it
        weakref.finalize(self, _close, self._engine, context).atexit = False
        self._engine.finalize_object()
        self._run = _FUNCTION(self._engine.get_function_address("run"))
        self.parallel = parallel
        self.lock = threading.Lock()
        self._pace = Pace()
        self._memory, start = aligned(arena)
        self.table = np.zeros(2 * (entries + 1), np.int64)
        self.table[-2] = start
        self.fault = np.zeros(FAULT, np.int64)
        self.steps = np.array([0, 1], np.int64)
        self._sync, sync = aligned(8 * _SYNC)
        self._sync[:] = 0
        self._args = (self.table.ctypes.data, sync, self.fault.ctypes.data, self.steps.ctypes.data)
        self._packed = np.array(self._args, np.int64)
        _loaded.add(self)
        self._alone = functools.partial(
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._engine.get_function_address("alone")),
            ctypes.c_void_p(self._packed.ctypes.data),
        )
        self.step: Callable[[], Any] = self._shared if parallel else self._alone

    def address(self, name: str) -> int:
        """Where a function lies."""
        found: int = self._engine.get_function_address(name)
        return found

    def run(self, first: int, last: int) -> None:
        """Run the steps ``first`` to below ``last``; the caller holds ``lock``."""
        try:
            n = get_num_threads()
            if self.parallel and self._pace.choose(n) > max(self._pace.good, 1) and first < last:  # one step tells
                self.steps[:] = first, first + 1
                first += 1
                self.step()
            if first < last:
                self.steps[:] = first, last
                self.step()
        finally:
            self.steps[:] = 0, 1

    def _shared(self) -> None:
        """Run with as many threads as there are CPUs for; the result is the same."""
        n = self._pace.choose(get_num_threads())
        if n == 1 or _pool.lock.locked():  # others are at work: alone
            self._alone()
            return
        with _pool.lock:  # which Ctrl-C cannot leave locked, as it could between acquire() and the line behind it
            _pool.grow(n - 1)
            start, cpus = time.perf_counter(), _pool.cpu_time()
            _pool.run(self, self._args, n)
            self._pace.note(n, time.perf_counter() - start, _pool.cpu_time() - cpus)
