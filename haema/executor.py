"""Who carries out a primitive: the executor that is active in this thread.

Everything above the primitives asks for results here and does not know whether they are computed at once
(`Eager`, below), or only worked out in shape (`haema.shapes`). The eager executor is the meaning of every program.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from haema.ops.core import Op, Spec

Arrays = Sequence[np.ndarray]

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""


class Eager:
    """Every primitive runs at once, in NumPy.

    It computes as IEEE 754 says, so division by zero and overflow are values (inf, nan) and not warnings. NumPy keeps
    that setting in the execution context, and entering a context prepared once is ten times cheaper than changing and
    restoring the setting around each operation. A context belongs to one thread, and so does this object.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.quietly = context.run

    def run(self, op: Op, arrays: Arrays, params: dict[str, Any]) -> np.ndarray:
        """The result of ``op``.

        Raises:
            ShapeError, DTypeError: what NumPy refused, in the words of the primitive's own rule.
        """
        try:
            y = self.quietly(op.evaluate, *arrays, **params)
        except (ValueError, IndexError, TypeError):
            check(op, arrays, params)
            raise
        if y.dtype.char == "b":  # int8, as which NumPy computes with booleans what is not defined for them
            check(op, arrays, params)
        return y if type(y) is np.ndarray else np.asarray(y)  # NumPy turns results without axes into scalars

    def update(self, op: Op, out: np.ndarray, arrays: Arrays, params: dict[str, Any]) -> None:
        """Compute ``op`` into ``out``, which may be the memory of one of the inputs."""
        try:
            self.quietly(op.update, out, *arrays, **params)
        except (ValueError, IndexError, TypeError):
            check(op, arrays, params)
            raise

    def fill(self, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """A new array with one value everywhere, on a boundary of cache lines, so that no vector lies across two."""
        size = math.prod(shape) * dtype.itemsize
        if size <= 0 or min(shape, default=1) < 0:
            return np.zeros(shape, dtype)  # or what NumPy says of such a shape
        try:
            memory = np.zeros(size + LINE, np.uint8)  # from the operating system, whose memory is zero already
        except MemoryError:
            return np.zeros(shape, dtype)  # in whose words this is said with shape and type
        start = -memory.__array_interface__["data"][0] % LINE
        y = memory[start : start + size].view(dtype).reshape(shape)
        if type(value) is not int or value != 0:
            np.copyto(y, value, casting="unsafe")
        return y

    def constant(self, value: Any, dtype: np.dtype) -> np.ndarray:
        """``value`` as an array; a number too large for ``dtype`` is infinite."""
        return self.quietly(np.asarray, value, dtype)

    shares = staticmethod(np.may_share_memory)

    def made(self, array: np.ndarray) -> np.ndarray:
        """An array that was just made, and that nobody else knows; a recorded program makes it anew in each run."""
        return array

    def relied(self, owner: Any) -> None:
        """A program is about to do what ``owner.settings()`` says; a recorded one holds only while that stays."""

    def option(self, options: dict[str, Any], name: str) -> Any:
        """A hyperparameter: its value, or in a recorded program what stands for it."""
        return options[name]

    def require(self, holds: Any, error: Exception) -> None:
        """Raise ``error`` unless ``holds`` is true everywhere; a recorded program does so in each run."""
        if not holds.all():
            raise error

    def reading(self, array: Any) -> None:
        """Python is about to read values; a recorded program holds only while they stay."""

    def leaf(self, x: Any) -> None:
        """The gradient of a leaf tensor is about to be kept in ``x.grad``."""

    def outside(self, what: str) -> None:
        """Something changes Python's state, which a recorded program would not do again."""


class _Here(threading.local):
    """What is active in this thread."""

    def __init__(self) -> None:
        self.executor: Any = Eager()


_here = _Here()


@contextlib.contextmanager
def using(executor: Any) -> Iterator[None]:
    """Let this thread's operations be carried out by ``executor``."""
    before = _here.executor
    _here.executor = executor
    try:
        yield
    finally:
        _here.executor = before


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Compute eagerly, also while a program is recorded: for memory that must outlive it."""
    with using(Eager()):
        yield


def active() -> Any:
    """The executor of this thread."""
    return _here.executor


def run(op: Op, arrays: Arrays, params: dict[str, Any]) -> np.ndarray:
    """The result of ``op``, by the active executor."""
    return _here.executor.run(op, arrays, params)


def update(op: Op, out: np.ndarray, arrays: Arrays, params: dict[str, Any]) -> None:
    """``op`` computed into ``out``, by the active executor."""
    _here.executor.update(op, out, arrays, params)


def fill(value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new array with one value everywhere, by the active executor."""
    return _here.executor.fill(value, tuple(int(n) for n in shape), dtype)


def constant(value: Any, dtype: np.dtype) -> np.ndarray:
    """A given value as an array, by the active executor."""
    return _here.executor.constant(value, dtype)


def check(op: Op, arrays: Arrays, params: dict[str, Any]) -> Spec:
    """What the rule of ``op`` says of these inputs."""
    return op.rule(*(Spec(a.shape, a.dtype) for a in arrays), **params)


def shares(a: Any, b: Any) -> bool:
    """Whether two arrays may lie in the same memory, by the active executor."""
    return _here.executor.shares(a, b)


class Changes:
    """How often things changed on which compiled programs rely, so that these know when to look.

    Attributes:
        memory: A tensor got other memory while it lived.
        settings: A module or an optimizer got another attribute, parameter or state.
    """

    memory = 0
    settings = 0


changes = Changes()
