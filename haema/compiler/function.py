"""``hm.compile``: a function that is recorded, compiled, and from then on runs as machine code."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import io
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from haema import dtypes, executor, ops
from haema.autograd import is_grad_enabled
from haema.autograd.tape import switch
from haema.compiler import cache, program
from haema.compiler.graph import Graph, Node, show
from haema.compiler.runtime import Loaded
from haema.compiler.target import Target, target
from haema.compiler.trace import Tracer
from haema.creation import from_numpy
from haema.errors import HaemaError, InputError, ShapeError
from haema.ops.core import Spec
from haema.tensor import Tensor

MANY = 8
"""Programs of one function from which on it says that the shapes keep changing."""
SLICE = 0.1
"""Seconds of steps between two looks at whether Ctrl-C was pressed."""
STAGED = 1 << 14
"""Bytes up to which an argument is copied rather than pointed to, which is quicker."""


def compile(f: Callable[..., Any]) -> Compiled:
    """A function that does what ``f`` does, as machine code for this CPU.

    ``f`` is run once on symbolic tensors, for each combination of shapes and dtypes, to record what it computes:
    forward, backward, the optimizer's step. Python itself is not run again, so what follows is fixed by that one run:

    - Tensors that existed before and are changed in place (parameters, optimizer state, running statistics, the random
      generator) are changed by each call.
    - Python's ``if`` and ``for`` are frozen as they went. A decision on a tensor's value cannot be recorded and
      raises an error; use ``hm.where``. The mode of modules (train, eval) and the options of optimizers are watched:
      a changed learning rate takes effect at once, any other change records anew.
    - A gradient that did not exist before the call is known inside only: after it ``.grad`` is None. Return a gradient
      to see it.
    - Results have no history: ``backward`` belongs inside the function.
    - Other changes to Python objects happen only while recording. Change attributes outside.

    Args:
        f: A function of tensors (and of numbers, texts, or tuples, lists and dicts of them) that returns tensors (or
            tuples, lists and dicts of them), or a module.

    Returns:
        A `Compiled`: call it as ``f``; ``loop`` runs many steps at once, ``explain`` and ``profile`` look inside.

    Raises:
        HaemaError: when called, if ``f`` asks for a value, or uses an operation that by nature cannot be compiled.

    Example::

        @hm.compile
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss
    """
    return Compiled(f)


# -- arguments and results as trees ------------------------------------------------------


def flatten(tree: Any, leaves: list[Any]) -> Any:
    """The structure of nested tuples, lists and dicts, as something hashable; tensors and arrays go to ``leaves``."""
    if isinstance(tree, Tensor):
        leaves.append(tree)
        return Tensor
    if isinstance(tree, np.ndarray):
        leaves.append(from_numpy(tree))
        return Tensor
    if type(tree) is float:
        return "float", tree.hex()  # so that 0.0 is not -0.0, and nan is itself
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(flatten(x, leaves) for x in tree)
    if isinstance(tree, dict):
        return dict, tuple((k, flatten(x, leaves)) for k, x in tree.items())
    try:
        hash(tree)
    except TypeError:
        raise HaemaError(
            f"a compiled function takes tensors, numbers, texts, and tuples, lists and dicts of them, not a "
            f"{type(tree).__name__}"
        ) from None
    return "value", type(tree), tree


def unflatten(structure: Any, leaves: Iterator[Any]) -> Any:
    """The tree again, with its tensors taken from ``leaves``."""
    if structure is Tensor:
        return next(leaves)
    kind, *rest = structure
    if kind == "value":
        return rest[1]
    if kind == "float":
        return float.fromhex(rest[0])
    if kind is dict:
        return {k: unflatten(x, leaves) for k, x in rest[0]}
    items = [unflatten(x, leaves) for x in rest[0]]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


class Variant:
    """One recorded and compiled program.

    Attributes:
        graph: What was recorded.
        header: What its code expects, as the cache keeps it.
        loaded: Its machine code.
        seconds: How long recording, compiling and loading took.
        cached: Whether the code came from the cache.
    """

    def __init__(self, tracer: Tracer, result: Any, where: Target) -> None:
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
        self.target = where
        self.states = self.graph.states()
        self.written = {id(s.array): s.array for s in self.graph.writes}
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
        for text in (repr(self.target), cache.sources(), llvmlite.__version__, show(self.graph)):
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
        return program.build(self.graph, self.target, check)

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
        one_each = len(self.copied) == len(self.results) == 1 and not self.pointed and not self.fresh
        if one_each and self.structure is Tensor and not (self.written or self.hypers or self.errors or self.changed):
            self.call = self._function()  # type: ignore[method-assign]

    def _function(self) -> Callable[[list[np.ndarray]], Tensor]:
        """`call` for a small function of one tensor that gives one and changes nothing, with nothing left to decide."""
        (_, staged), result = self.copied[0], self.results[0]
        loaded, step, fault, wrap, all_of_it = self.loaded, self.loaded.step, self.fault, Tensor._wrap, ...
        assert result is not None
        copy = result.copy

        def call(arrays: list[np.ndarray]) -> Tensor:
            with loaded.lock:
                staged[all_of_it] = arrays[0]
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
        for a in arrays:
            if id(a) in self.written or (
                a.base is not None and any(np.may_share_memory(a, s) for s in self.written.values())
            ):
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
            options = self._options(steps, scheduler)
            for i in range(len(self.hypers)):
                k = self.places.get(("input", self.inputs + i))
                if k is not None:
                    table[2 * k] = options[:, i:].ctypes.data
                    table[2 * k + 1] = options.strides[0]
            outputs = []
            for i, spec in enumerate(self.outputs):
                a = np.empty((steps, *spec.shape), spec.dtype)
                outputs.append(a)
                k = self.places["output", i]
                table[2 * k] = a.ctypes.data
                table[2 * k + 1] = a.strides[0] if steps else 0
            done, chunk = 0, 1
            try:
                while done < steps:
                    last = min(done + chunk, steps)
                    start = time.perf_counter()
                    loaded.run(done, last)
                    took = max(time.perf_counter() - start, 1e-7)
                    if self.fault.value:
                        self._report_fault()
                    chunk = max(1, min(int((last - done) * SLICE / took), 4 * chunk))
                    done = last
                    if progress is not None:
                        progress(done)
            finally:
                table[:] = before
        for error in reversed(self.errors):
            if not outputs.pop().all():
                raise error.with_traceback(None)
        return unflatten(self.structure, map(Tensor._wrap, outputs))

    def _options(self, steps: int, scheduler: Any) -> np.ndarray:
        """The hyperparameters of each step."""
        table = np.empty((steps, max(len(self.hypers), 1)), np.float64)
        table[:] = [read() for read in self.hypers] or 0
        if scheduler is not None:
            for k in range(steps):
                table[k] = [read() for read in self.hypers] or 0
                scheduler.step()
        return table


_compiled: weakref.WeakSet[Compiled] = weakref.WeakSet()
"""All compiled functions."""


def _renew() -> None:
    """In a child process: no thread is inside any of them."""
    for g in list(_compiled):
        g._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Compiled:
    """A compiled function; `compile` makes it.

    Attributes:
        f: The function it was made from.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        if not callable(f):
            raise TypeError(f"compile: needs a function or a module, not a {type(f).__name__}")
        self.f = f
        functools.update_wrapper(self, f, updated=())
        self._variants: dict[Any, list[Variant]] = {}
        self._lock = threading.RLock()
        self._told = False
        self._count = 0
        _compiled.add(self)
        self._last: Variant | None = None
        self._quick: tuple[Variant, list[Any], bool] | None = None

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.f, '__name__', type(self.f).__name__)}>"

    @property
    def count(self) -> int:
        """How many programs were made of it."""
        return self._count

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does.

        Raises:
            HaemaError: the function cannot be compiled, or a result needs a gradient through it.
            IndexError: an index in it is out of range.
        """
        if self._quick is not None and not kwargs:  # as last time: tensors of the same types
            variant, types, mode = self._quick
            if len(types) == len(args) and switch.recording is mode:
                arrays = []
                for x, (shape, dtype, wants) in zip(args, types):  # noqa: B905
                    if (
                        type(x) is not Tensor
                        or x._data.shape != shape
                        or x._data.dtype is not dtype
                        or x._requires_grad is not wants
                    ):
                        break
                    arrays.append(x._data)
                else:
                    if variant.holds():
                        return variant.call(arrays)
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        variant = self._variant(structure, leaves)
        plain = not kwargs and len(leaves) == len(args) and all(type(x) is Tensor for x in args)
        types = [(x._data.shape, x._data.dtype, x._requires_grad) for x in leaves]
        self._quick = (variant, types, switch.recording) if plain else None
        return variant.call([x._data for x in leaves])

    def _variant(self, structure: Any, leaves: list[Any]) -> Variant:
        """The program for these arguments, compiled if there is none yet."""
        key = (
            structure,
            tuple((x._data.shape, x._data.dtype, x._requires_grad) for x in leaves),
            is_grad_enabled(), dtypes.get_default_dtype(), target(),
        )  # fmt: skip
        with self._lock:
            return self._find(key, lambda: self._record(structure, leaves))

    def _find(self, key: Any, make: Callable[[], Variant]) -> Variant:
        known = self._variants.setdefault(key, [])
        for variant in known:
            if variant.holds():
                self._last = variant
                return variant
        known[:] = [v for v in known if v.memory == executor.changes.memory][-MANY:]
        variant = make()
        known.append(variant)
        self._count += 1
        if self._count > MANY and not self._told:
            self._told = True
            warnings.warn(
                f"{self!r} was compiled for {self._count} different combinations of shapes and settings; each costs "
                "time once, so give it batches of one size where that is possible",
                stacklevel=4,
            )
        self._last = variant
        return variant

    def _record(self, structure: Any, leaves: list[Any]) -> Variant:
        if isinstance(executor.active(), Tracer):
            raise HaemaError(f"{self!r} is called inside another compiled function; call the function itself there")
        tracer = Tracer()
        try:
            with executor.using(tracer):
                given = []
                for x in leaves:
                    symbol = Tensor._wrap(tracer.input(Spec(x._data.shape, x._data.dtype)))
                    symbol._requires_grad = x._requires_grad
                    given.append(symbol)
                args, kwargs = unflatten(structure, iter(given))
                result = self.f(*args, **kwargs)
            return Variant(tracer, result, target())
        finally:
            tracer.close()

    def loop(self, *arrays: Any, scheduler: Any = None, progress: Callable[[int], None] | None = None) -> Any:
        """Many steps in one native call: for each row of ``batches`` the function is called on those rows.

            for rows in batches:  f(X[rows], Y[rows])

        Args:
            arrays: The function's arguments, each with N rows; then ``batches``, int64 (steps, batch): row numbers.
            scheduler: A learning-rate schedule; after each step it takes one too.
            progress: Called from time to time with the number of steps done.

        Returns:
            What the function returns, the results of all steps stacked.

        Raises:
            IndexError: a row number is out of range; nothing is done then.
            ShapeError: ``batches`` has not two axes, or the arrays have different numbers of rows.

        Ctrl-C ends it after a step.
        """
        *data, batches = arrays
        leaves: list[Any] = []
        structure = flatten((tuple(data), {}), leaves)
        rows = np.ascontiguousarray(batches._data if isinstance(batches, Tensor) else batches)
        if rows.ndim != 2 or rows.dtype.kind not in "iu":
            raise ShapeError(
                f"loop: batches must be whole numbers of shape (steps, batch), not {rows.dtype} of shape {rows.shape}"
            )
        rows = rows.astype(np.int64, copy=False)
        if not leaves:
            raise InputError("loop: give the arrays whose rows the batches name, and then the batches")
        lengths = {len(x._data) if x._data.ndim else 0 for x in leaves}
        if len(lengths) > 1:
            raise ShapeError(
                f"loop: the arrays have {', '.join(map(str, sorted(lengths)))} rows; equally many are right"
            )
        n = lengths.pop()
        if rows.size and not (-n <= rows.min() and rows.max() < n):
            wrong = rows[(rows < -n) | (rows >= n)][0]
            raise IndexError(f"loop: row {wrong} is out of range for arrays with {n} rows")
        key = (
            "loop", structure, tuple((x._data.shape, x._data.dtype) for x in leaves), rows.shape[1],
            is_grad_enabled(), dtypes.get_default_dtype(), target(),
        )  # fmt: skip
        with self._lock:
            variant = self._find(key, lambda: self._record_loop(structure, leaves, rows.shape[1]))
        return variant.loop([x._data for x in leaves], rows, scheduler, progress)

    def _record_loop(self, structure: Any, leaves: list[Any], batch: int) -> Variant:
        tracer = Tracer()
        try:
            with executor.using(tracer):
                whole = [Tensor._wrap(tracer.input(Spec(x._data.shape, x._data.dtype))) for x in leaves]
                rows = Tensor._wrap(tracer.input(Spec((batch,), np.dtype(np.int64))))
                given = [ops.take(x, rows, axes=(0,), batch=True) for x in whole]  # lies as an argument would
                args, _ = unflatten(structure, iter(given))
                result = self.f(*args)
            return Variant(tracer, result, target())
        finally:
            tracer.close()

    def explain(self) -> str:
        """The program of the last call, stage by stage, as text."""
        from haema.compiler.report import explain

        return explain(self._present())

    def profile(self, *args: Any, repeat: int = 20) -> Any:
        """Measure each nest of the program for these arguments, and set it against the machine's peak.

        Args:
            args: As for a call; the state of the program is as before afterwards.
            repeat: How often each nest is run.
        """
        from haema.compiler.report import profile

        leaves: list[Any] = []
        structure = flatten((args, {}), leaves)
        return profile(self._variant(structure, leaves), [x._data for x in leaves], repeat)

    def _present(self) -> Variant:
        if self._last is None:
            raise HaemaError(f"{self!r} has not been called yet, so there is no program to look at")
        return self._last
