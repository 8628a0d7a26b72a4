"""The tape: what each operation leaves behind for the walk back, and the switch that turns recording on and off."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from haema.errors import HaemaError
from haema.ops.core import Op

if TYPE_CHECKING:
    from haema.tensor import Tensor
    from haema.variable import Variable

_count = itertools.count(1).__next__


class _Mode(threading.local):
    recording = True


switch = _Mode()


class Record:
    """One operation on the tape.

    Attributes:
        op, params: The primitive and its parameters.
        shapes, dtypes: Of the inputs.
        wants: Per input, whether it requires a gradient.
        sources: Per input, where its gradient goes: a Record, a leaf Tensor, or None.
        age: Number in order of creation.
    """

    __slots__ = (
        "_inputs", "_output", "_versions", "age", "captured", "dtypes", "hooks", "op", "params", "shapes",
        "sources", "wants",
    )  # fmt: skip

    def __init__(self, op: Op, params: dict[str, Any], xs: Sequence[Variable], y: Variable) -> None:
        self.op = op
        self.params = params
        self.shapes = [x._data.shape for x in xs]
        self.dtypes = [x._data.dtype for x in xs]
        self.wants = [x.requires_grad for x in xs]
        self.sources = [source(x) if x._requires_grad else None for x in xs]
        self.age = _count()  # only now: asking a view for its source may make a record
        self.hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.captured: Any = None
        self._inputs: list[Any] | None = [x if keep else None for x, keep in zip(xs, op.keeps(len(xs)), strict=True)]
        self._output = (y._data, y._version) if op.keeps_output else None
        self._versions = [x._version[0] for x in xs], y._version[0]

    def __repr__(self) -> str:
        return f"<{self.op.name}>"

    def name(self) -> str:
        """The name of the operation."""
        return self.op.name

    @property
    def next_functions(self) -> tuple[tuple[Record | Leaf | None, int], ...]:
        """Where the gradient of each input goes: a record, a leaf, or None; each with 0, as in PyTorch."""
        return tuple((s if s is None or isinstance(s, Record) else Leaf(s), 0) for s in self.sources)

    def input(self, i: int) -> Tensor:
        """Input ``i`` as it was.

        Raises:
            HaemaError: it was overwritten since, or this record has been walked and freed.
        """
        if self._inputs is None:
            raise HaemaError(
                f"backward went through {self.op.name} before and freed what it had kept; "
                "pass retain_graph=True to the first backward to go through the graph again"
            )
        x = self._inputs[i]
        assert x is not None, f"{self.op.name} reads input {i} without saying so"
        if x._version[0] != self._versions[0][i]:
            raise HaemaError(self._overwritten(f"input {i}", x.shape))
        return x

    def output(self) -> Tensor:
        """The output as it was, connected to this record, so that its gradient can be taken again."""
        if self._inputs is None:
            self.input(0)
        assert self._output is not None, f"{self.op.name} reads its output without saying so"
        data, version = self._output
        if version[0] != self._versions[1]:
            raise HaemaError(self._overwritten("the output", data.shape))
        return _tensor_class()._wrap(data, self)

    def _overwritten(self, what: str, shape: tuple[int, ...]) -> str:
        return (
            f"{what} of {self.op.name} (shape {shape}) was changed in place after it was used, "
            "so its gradient can no longer be computed; use the out-of-place form, or clone it first"
        )

    def free(self) -> None:
        """Let go of the kept values."""
        self._inputs = None
        self._output = None


class Leaf:
    """The end of a path through `Record.next_functions`: here the gradient is added to that of ``variable``."""

    next_functions = ()

    def __init__(self, variable: Variable) -> None:
        self.variable = variable

    def __repr__(self) -> str:
        return "<leaf>"

    def name(self) -> str:
        """ "leaf"."""
        return "leaf"


def _tensor_class() -> type[Tensor]:
    from haema.tensor import Tensor

    return Tensor


def source(x: Variable) -> Any:
    """Where the gradient of ``x`` goes: the record that made it, or ``x`` itself if it is a leaf."""
    record = x._current_record()
    return x if record is None else record


class RemovableHandle:
    """What `Tensor.register_hook` returns: ``remove()`` takes the hook away again."""

    def __init__(self, hooks: list[Callable[[Tensor], Tensor | None]], hook: Callable[[Tensor], Tensor | None]) -> None:
        self._hooks = hooks
        self._hook = hook

    def remove(self) -> None:
        """Take the hook away; a second time nothing happens."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Keep:
    """The hook of `Tensor.retain_grad`: adds the gradient to that of the tensor. Two for one tensor are equal."""

    def __init__(self, x: Variable) -> None:
        self._x = weakref.ref(x)  # the record holds the hook, and the tensor the record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keep) and self._x() is other._x()

    def __hash__(self) -> int:
        return hash(Keep)

    def __call__(self, g: Tensor) -> None:
        x = self._x()
        if x is not None:
            x.grad = g.clone() if x.grad is None else x.grad + g


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return switch.recording


class set_grad_enabled(contextlib.ContextDecorator):
    """Switch recording on or off: at once, and as a context manager or decorator until its end."""

    def __init__(self, mode: bool) -> None:
        self._new = mode
        self._old = [switch.recording]
        switch.recording = mode

    def __enter__(self) -> None:
        switch.recording = self._new

    def __exit__(self, *_: object) -> None:
        switch.recording = self._old[-1]

    def __call__(self, function: Any) -> Any:
        switch.recording = self._old[-1]  # a decorator switches within the function only
        return super().__call__(function)


class _Switch(contextlib.ContextDecorator):
    """A context manager and decorator that can be entered again and again, also within itself."""

    to = False

    def __new__(cls, function: Any = None) -> Any:
        x = super().__new__(cls)
        x._old = []
        return x if function is None else x(function)  # a decorator without parentheses

    _old: list[bool]

    def __enter__(self) -> None:
        self._old.append(switch.recording)
        switch.recording = self.to

    def __exit__(self, *_: object) -> None:
        switch.recording = self._old.pop()

    def __call__(self, function: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        wrapper.__name__ = getattr(function, "__name__", "wrapper")
        wrapper.__doc__ = function.__doc__
        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
        return wrapper


class no_grad(_Switch):
    """Within it no operation is recorded: ``with hm.no_grad(): ...`` or ``@hm.no_grad()``."""

    to = False


class enable_grad(_Switch):
    """Within it operations are recorded again, inside ``no_grad``."""

    to = True


inference_mode = no_grad
