"""One recorded and compiled program: what it relies on, and how it is called."""

from __future__ import annotations

import copy
import ctypes
import hashlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from haema import executor
from haema.compiler import cache, program
from haema.compiler.graph import Graph, Node, show
from haema.compiler.runtime import Loaded
from haema.compiler.structure import flatten, unflatten
from haema.compiler.target import Target
from haema.compiler.trace import Tracer
from haema.errors import HaemaError
from haema.tensor import Tensor

SLICE = 0.02
"""Seconds of steps between two looks at whether Ctrl-C was pressed."""
STAGED = 1 << 14
"""Bytes up to which an argument is copied rather than pointed to, which is quicker."""


class Ahead:
    """A learning-rate schedule that runs ahead of its steps, and can be brought back to where they are.

    What only looks like one, having a ``step`` and no optimizer, is left to whoever made it.
    """

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler if hasattr(scheduler, "optimizer") else None
        if self.scheduler is not None:
            self.groups = scheduler.optimizer.param_groups
            if any(isinstance(v, Tensor) for group in self.groups for v in group.values()):
                raise HaemaError(
                    "loop: a schedule needs options that are numbers, and one of this optimizer is a tensor"
                )
            self.state = copy.deepcopy(scheduler.state_dict())
            self.options = [{k: v for k, v in group.items() if k != "params"} for group in self.groups]

    def back_to(self, steps: int) -> None:
        """As after so many steps."""
        if self.scheduler is not None:
            self.scheduler.load_state_dict(self.state)
            for group, options in zip(self.groups, self.options, strict=True):
                group.update(options)
            for _ in range(steps):
                self.scheduler.step()


class Variant:
    """One recorded and compiled program.

    Attributes:
        graph: What was recorded.
        header: What its code expects, as the cache keeps it.
        loaded: Its machine code.
        seconds: How long recording, compiling and loading took.
        cached: Whether the code came from the cache.
    """

    def __init__(self, tracer: Tracer, result: Any, where: Target, precision: str) -> None:
        start = time.perf_counter()
        leaves: list[Any] = []
        self.structure = flatten(result, leaves)
        self.graph: Graph = tracer.graph([x._data for x in leaves])
        tracer.close()
        self.changed = tracer.changed()
        self.errors = [error for _, error in tracer.requirements]
        self.guards = list(tracer.guards.values())
        self.memory, self.seen = tracer.began
        self.settings = list(tracer.settings.values())
        self.hypers = [read for _, read in tracer.hypers]
        self.inputs = len(tracer.inputs)
        self.tracer = tracer
        self.target, self.precision = where, precision
        self.states = self.graph.states()
        self.written = {id(s.array): s.array for s in self.graph.writes}
        self.all_states = {id(s.array): s.array for s in self.states}
        held = self.all_states if self.changed else self.written
        self.bounds = [byte_bounds(a) for a in held.values() if a is not None]
        self.outputs = [x.spec for x in self.graph.outputs]
        key = self._key()
        entry = cache.load(key)
        self.cached = entry is not None
        self.header, constants, code = entry or self._compile(key)
        self.constants = list(np.load(io.BytesIO(constants)).values()) if constants else []
        self.loaded = Loaded(code, self.header["arena"], len(self.header["table"]), self.header["parallel"])
        self._arrange()
        self.seconds = time.perf_counter() - start

    def _key(self) -> str:
        """A name for everything that decides about the machine code."""
        import llvmlite

        digest = hashlib.blake2b(digest_size=20)
        for text in (repr(self.target), self.precision, cache.sources(), llvmlite.__version__, show(self.graph)):
            digest.update(text.encode() + b"\0")
        for node in self.graph.nodes():
            if node.kind == "constant" and node.array is not None:
                digest.update(node.array.tobytes())
        for node in self.states:
            assert node.array is not None
            digest.update(repr(node.array.strides).encode())
        digest.update(repr([self._index(n) for n in self.graph.nodes() if n.op is None]).encode())
        return digest.hexdigest()

    def _index(self, node: Node) -> tuple[str, int]:
        """Which input or state a node is."""
        if node.kind == "input":
            return "input", self.graph.inputs.index(node)
        return node.kind, self.states.index(node) if node.kind == "state" else -1

    def build(self, check: bool = False) -> program.Program:
        """The program before it becomes machine code."""
        return program.build(self.graph, self.target, check, self.precision)

    def _compile(self, key: str) -> tuple[dict[str, Any], bytes, bytes]:
        p = self.build()
        code = program.machine_code(p, self.target)
        constants: list[np.ndarray] = []
        table: list[tuple[str, int]] = []
        outputs = 0
        for b in p.buffers:
            if b.kind == "constant":
                assert b.array is not None
                table.append(("constant", len(constants)))
                constants.append(b.array)
            elif b.kind == "output":
                table.append(("output", outputs))
                outputs += 1
            else:
                assert b.node is not None
                table.append(self._index(b.node))
        kept = io.BytesIO()
        if constants:
            np.savez(kept, *constants)
        header = {"table": table, "arena": p.arena, "parallel": p.parallel}
        cache.save(key, header, kept.getvalue(), code)
        return header, kept.getvalue(), code

    def _arrange(self) -> None:
        """Fill in the table what never moves; note what does."""
        table = self.loaded.table
        self.places: dict[tuple[str, int], int] = {}
        for k, (kind, i) in enumerate(self.header["table"]):
            if kind == "constant":
                table[2 * k] = self.constants[i].ctypes.data
            elif kind == "state":
                table[2 * k] = self.states[i].array.ctypes.data  # type: ignore[union-attr]
            else:
                self.places[kind, i] = k
        self.options = np.zeros(max(len(self.hypers), 1), np.float64)
        for i in range(len(self.hypers)):
            place = self.places.get(("input", self.inputs + i))
            if place is not None:
                table[2 * place] = self.options[i:].ctypes.data
        self.staged: list[np.ndarray | None] = []
        for i in range(self.inputs):
            spec = self.graph.inputs[i].spec
            small = int(np.prod(spec.shape)) * spec.dtype.itemsize <= STAGED
            self.staged.append(np.zeros(spec.shape, spec.dtype) if small else None)
            place = self.places.get(("input", i))
            if small and place is not None:
                table[2 * place] = self.staged[i].ctypes.data  # type: ignore[union-attr]
        self.results = [
            np.zeros(s.shape, s.dtype) if s.dtype.itemsize * int(np.prod(s.shape)) <= STAGED else None
            for s in self.outputs
        ]
        for i, a in enumerate(self.results):
            if a is not None:
                table[2 * self.places["output", i]] = a.ctypes.data
        self._last_options: list[float] = []
        # for a call, in the order in which it needs them
        self.copied = [(i, a) for i, a in enumerate(self.staged) if a is not None]
        self.pointed = [i for i, a in enumerate(self.staged) if a is None]
        self.fresh = [i for i, a in enumerate(self.results) if a is None]
        first = len(self.outputs) - len(self.errors)
        self.required = [*enumerate(self.errors, first)]
        self.returned = [*enumerate(self.changed, first - len(self.changed))]
        self.fault = ctypes.c_int64.from_buffer(self.loaded.fault.data)
        self.one: Callable[[np.ndarray], Tensor] | None = None
        one_each = len(self.copied) == len(self.results) == 1 and not self.pointed and not self.fresh
        if one_each and self.structure is Tensor and not (self.written or self.hypers or self.errors or self.changed):
            self.one = self._function()

    def _function(self) -> Callable[[np.ndarray], Tensor]:
        """`call` for a small function of one tensor that gives one and changes nothing, with nothing left to decide."""
        (_, staged), result = self.copied[0], self.results[0]
        loaded, step, fault, wrap, all_of_it = self.loaded, self.loaded.step, self.fault, Tensor._wrap, ...
        assert result is not None
        copy = result.copy

        def call(array: np.ndarray) -> Tensor:
            with loaded.lock:
                staged[all_of_it] = array
                step()
                if fault.value:
                    self._report_fault()
                return wrap(copy())

        return call

    def holds(self) -> bool:
        """Whether all that the recording relied on is as it was."""
        if self.memory != executor.changes.memory:
            return False
        if self.seen != executor.changes.settings:
            if any(owner.settings() != then for owner, then in self.settings):
                return False
            self.seen = executor.changes.settings
        for read, value in self.guards:
            now = read()
            if now is not value and (type(now) is not type(value) or isinstance(now, Tensor) or now != value):
                return False
        return True

    def call(self, arrays: list[np.ndarray]) -> Any:
        """Run one step."""
        loaded = self.loaded
        if self.written or self.changed:
            self._check_apart(arrays)
        with loaded.lock:
            for i, staged in self.copied:
                staged[...] = arrays[i]
            kept = [self._point("input", i, arrays[i]) for i in self.pointed] if self.pointed else None
            if self.hypers:
                now = [read() for read in self.hypers]
                if now != self._last_options:
                    self.options[: len(now)] = self._last_options = now
            found: list[Any] = self.results
            if self.fresh:
                found = list(found)
                for i in self.fresh:
                    spec = self.outputs[i]
                    found[i] = self._point("output", i, np.empty(spec.shape, spec.dtype))
            loaded.step()
            del kept
            if self.fault.value:
                self._report_fault()
            for i, error in self.required:
                if not found[i].item():
                    raise error.with_traceback(None)
            for i, k in self.returned:
                arrays[k][...] = found[i]
            if self.structure is Tensor:
                a = found[0]
                return Tensor._wrap(a if 0 in self.fresh else a.copy())
            found = [a if i in self.fresh else a.copy() for i, a in enumerate(found)]
        return unflatten(self.structure, map(Tensor._wrap, found))

    def _point(self, kind: str, i: int, a: np.ndarray) -> np.ndarray:
        """Let the program read or write this array, from its first element on."""
        k = self.places.get((kind, i))
        if k is not None:
            a = np.ascontiguousarray(a)
            self.loaded.table[2 * k] = a.ctypes.data
        return a

    def _check_apart(self, arrays: list[np.ndarray]) -> None:
        """Refuse an argument that lies in memory which the program writes as its state."""
        if self.changed and len(arrays) > 1:
            for i in self.changed:
                if any(np.may_share_memory(arrays[i], a) for k, a in enumerate(arrays) if k != i):
                    raise HaemaError(
                        f"argument {i} is changed by the compiled function, and another argument lies in the same "
                        "memory; clone() one of them"
                    )
        held = self.all_states if self.changed else self.written
        for a in arrays:
            start = a.__array_interface__["data"][0]
            stop = start + a.nbytes
            # ranges of addresses are quick to compare; NumPy knows the rest
            near = not a.flags.c_contiguous
            for low, high in self.bounds:
                if start < high and stop > low:
                    near = True
            if near and any(np.may_share_memory(a, s) for s in held.values()):
                raise HaemaError(
                    f"an argument of shape {a.shape} is a tensor that the compiled function changes as well; clone() it"
                )

    def _report_fault(self) -> None:
        size, self.fault.value = self.fault.value, 0
        raise IndexError(
            f"a compiled function met an index out of range for an axis of size {size}; what it changes may hold "
            "wrong values now"
        )

    def loop(self, arrays: list[np.ndarray], rows: np.ndarray, scheduler: Any, progress: Any) -> Any:
        """Run a step for each row of ``rows``."""
        loaded, steps = self.loaded, len(rows)
        with loaded.lock:
            table = loaded.table
            before = table.copy()
            kept = []
            for i, a in enumerate((*arrays, rows)):
                k = self.places.get(("input", i))
                if k is not None:
                    a = np.ascontiguousarray(a)
                    kept.append(a)
                    table[2 * k] = a.ctypes.data
                    table[2 * k + 1] = rows.itemsize * rows.shape[1] if i == len(arrays) else 0
            outputs = []
            for i, spec in enumerate(self.outputs):
                a = np.empty((steps, *spec.shape), spec.dtype)
                outputs.append(a)
                k = self.places["output", i]
                table[2 * k] = a.ctypes.data
                table[2 * k + 1] = a.strides[0] if steps else 0
            done, chunk = 0, 1
            checks = [*zip(outputs[len(outputs) - len(self.errors) :], self.errors, strict=True)]
            schedule = Ahead(scheduler)
            try:
                options = self._options(steps, scheduler)
                for i in range(len(self.hypers)):
                    k = self.places.get(("input", self.inputs + i))
                    if k is not None:
                        table[2 * k] = options[:, i:].ctypes.data
                        table[2 * k + 1] = options.strides[0]
                while done < steps:
                    last = min(done + chunk, steps)
                    start = time.perf_counter()
                    loaded.run(done, last)
                    took = max(time.perf_counter() - start, 1e-7)
                    first, done = done, last
                    if self.fault.value:
                        self._report_fault()
                    for fits, error in checks:
                        if not fits[first:last].all():
                            raise error.with_traceback(None)
                    chunk = max(1, min(int((last - first) * SLICE / took), 4 * chunk))
                    if progress is not None:
                        progress(done)
            finally:
                table[:] = before
                if done < steps:
                    schedule.back_to(done)
        return unflatten(self.structure, map(Tensor._wrap, outputs[: len(outputs) - len(self.errors)]))

    def _options(self, steps: int, scheduler: Any) -> np.ndarray:
        """The hyperparameters of each step.

        Raises:
            HaemaError: the schedule changes something that the program holds fixed.
        """
        table = np.empty((steps, max(len(self.hypers), 1)), np.float64)
        table[:] = [read() for read in self.hypers] or 0
        if scheduler is not None:
            for k in range(steps):
                if k and not self.holds():
                    raise HaemaError(
                        "loop: the schedule changes an option that is 0, or no fraction, when the loop begins, which "
                        "compiles the step anew; run the steps one by one, or begin with another value"
                    )
                table[k] = [read() for read in self.hypers] or 0
                scheduler.step()
        return table
