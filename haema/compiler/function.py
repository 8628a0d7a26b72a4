"""``hm.compile``: a function that is recorded, compiled, and from then on runs as machine code."""

from __future__ import annotations

import functools
import os
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from haema import dtypes, executor, ops
from haema.autograd import is_grad_enabled
from haema.autograd.tape import switch
from haema.compiler.structure import flatten, unflatten
from haema.compiler.target import target
from haema.compiler.trace import Tracer
from haema.compiler.variant import Variant
from haema.dtypes import PRECISIONS
from haema.errors import HaemaError, InputError, ShapeError, suggest
from haema.ops.core import Spec
from haema.tensor import Tensor

MANY = 8
"""Programs of one function from which on it says that the shapes keep changing."""


def compile(f: Callable[..., Any], precision: str = "float32") -> Compiled:
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
    - What only a run can tell (a class label out of range) raises after that step; what the step changed stays.
    - The mode of a module is watched if it is called, or given as an argument; not if ``training`` is merely read.
    - Other changes to Python objects happen only while recording. Change attributes outside.
    - A function that changes floating-point tensors, as a training step does, takes subnormal numbers (of float32
      those below 1.2e-38) for zero, because they would slow it down several times. Other functions keep them.

    Args:
        f: A function of tensors (and of numbers, texts, or tuples, lists and dicts of them) that returns tensors (or
            tuples, lists and dicts of them), or a module.
        precision: "float32", or "bf16": all large sums of products (matrix products, convolutions, their gradients, and
            what else is made of such, as adaptive average pooling is) then round their float32 operands to bfloat16 (8
            bits of mantissa instead of 24) and add up in float32; all else, the parameters too, stays as it is. It is
            faster on CPUs with AVX512_BF16 or AMX, and slower on others.
            Default: "float32".

    Returns:
        A `Compiled`: call it as ``f``; ``loop`` runs many steps at once, ``explain`` and ``profile`` look inside.

    Raises:
        InputError: ``precision`` is neither.
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
    return Compiled(f, precision)


_compiled: weakref.WeakSet[Compiled] = weakref.WeakSet()
"""All compiled functions."""


def _renew() -> None:
    """In a child process: no thread is inside any of them."""
    for g in list(_compiled):
        g._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


OTHER = object()
"""Says that a call is not as the last one."""


def _usual(variant: Variant, leaves: list[Any]) -> Callable[[tuple[Any, ...]], Any]:
    """A function of the arguments that does what the last call did, if they are like its; else it gives OTHER.

    Python's share of a small prediction is most of it, so there is as little here as can be.
    """
    mode, default, default_now = switch.recording, dtypes.get_default_dtype(), dtypes.get_default_dtype
    types = [(x._data.shape, x._data.dtype, x._requires_grad) for x in leaves]
    n, changes, active, holds, call, one = (
        len(leaves), executor.changes, executor.active, variant.holds, variant.call, variant.one,
    )  # fmt: skip

    def several(args: tuple[Any, ...]) -> Any:
        if len(args) != n or switch.recording is not mode or default_now() is not default or type(active()) is Tracer:
            return OTHER
        arrays = []
        for x, (shape, dtype, wants) in zip(args, types):  # noqa: B905
            if type(x) is not Tensor or x._requires_grad is not wants:
                return OTHER
            a = x._data
            if a.shape != shape or a.dtype is not dtype:
                return OTHER
            arrays.append(a)
        return call(arrays) if holds() else OTHER

    if one is None or n != 1:
        return several
    ((shape, dtype, wants),) = types
    guarded = bool(variant.guards)

    def single(args: tuple[Any, ...]) -> Any:
        if len(args) != 1 or switch.recording is not mode or default_now() is not default or type(active()) is Tracer:
            return OTHER
        (x,) = args
        if type(x) is not Tensor or x._requires_grad is not wants:
            return OTHER
        a = x._data
        if a.shape != shape or a.dtype is not dtype:
            return OTHER
        still = changes.memory == variant.memory and changes.settings == variant.seen and not guarded
        return one(a) if still or holds() else OTHER

    return single


class Compiled:
    """A compiled function; `compile` makes it.

    Attributes:
        f: The function it was made from.
        precision: Of its products.
    """

    def __init__(self, f: Callable[..., Any], precision: str = "float32") -> None:
        if not callable(f):
            raise TypeError(f"compile: needs a function or a module, not a {type(f).__name__}")
        if not isinstance(precision, str) or precision not in PRECISIONS:
            raise InputError(f"compile: precision is {precision!r}; {suggest(precision, PRECISIONS)}")
        self.f, self.precision = f, precision
        functools.update_wrapper(self, f, updated=())
        self._variants: dict[Any, list[Variant]] = {}
        self._lock = threading.RLock()
        self._told = False
        self._count = 0
        _compiled.add(self)
        self._last: Variant | None = None
        self._usual: Callable[[tuple[Any, ...]], Any] | None = None

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
        if self._usual is not None and not kwargs:
            result = self._usual(args)
            if result is not OTHER:
                return result
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        variant = self._variant(structure, leaves)
        plain = not kwargs and len(leaves) == len(args) and all(type(x) is Tensor for x in args)
        self._usual = _usual(variant, leaves) if plain else None
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
        if isinstance(executor.active(), Tracer):
            raise HaemaError(f"{self!r} is called inside another compiled function; call the function itself there")
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
        tracer = Tracer()
        try:
            with executor.using(tracer):
                given = []
                for x in leaves:
                    symbol = Tensor._wrap(tracer.input(Spec(x._data.shape, x._data.dtype)))
                    symbol._requires_grad = x._requires_grad
                    given.append(symbol)
                args, kwargs = unflatten(structure, iter(given))
                for module in (x for x in (*args, *kwargs.values()) if hasattr(x, "modules")):
                    for part in module.modules():  # its ``training`` may be read without its being called
                        tracer.relied(part)
                result = self.f(*args, **kwargs)
            return Variant(tracer, result, target(), self.precision)
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
            return Variant(tracer, result, target(), self.precision)
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
