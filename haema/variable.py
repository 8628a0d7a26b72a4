"""What a tensor is underneath: data, and a place on the tape.

Here a primitive is applied to tensors, and here a tensor is written in place. A tensor may be a view of another one's
memory, and then shares its version number, which each write raises. A derivative that needs a value checks that its
version is still the one it saw. A write into a view is also an event in the history of the tensor it is a view of,
whose record becomes

    base = assign(base before, the new values, path of views)

and every other view of the same base is, from then on, recomputed from the new record when it is next used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from haema import autograd, dtypes, executor, ops
from haema.autograd import Record
from haema.autograd.tape import switch
from haema.errors import DTypeError, HaemaError, ShapeError

if TYPE_CHECKING:
    from haema.tensor import Tensor


class Variable:
    """Data with a history; `haema.tensor.Tensor` gives it its methods.

    Attributes:
        grad: The gradient that ``backward`` accumulated, or None.
    """

    __slots__ = (
        "__weakref__", "_base", "_data", "_hooks", "_record", "_requires_grad", "_seen", "_version", "_view", "grad",
    )  # fmt: skip
    __array_priority__ = 1000  # NumPy leaves array * tensor to the tensor

    _data: Any
    _record: Record | None
    _requires_grad: bool
    _version: list[int]
    _base: Variable | None
    _view: tuple[ops.Op, dict[str, Any], Variable] | None
    _seen: int
    _hooks: list[Callable[[Tensor], Tensor | None]] | None
    grad: Tensor | None

    _plain: ClassVar[type[Tensor]]
    """The class of results: the tensor's, whatever subclass the operands have."""

    def _set(self, data: Any, record: Record | None = None) -> None:
        self._data = data
        self._record = record
        self._requires_grad = record is not None
        self._version = [0]
        self._base = None
        self._view = None
        self._hooks = None
        self.grad = None

    @staticmethod
    def _wrap(data: Any, record: Record | None = None) -> Tensor:
        """A tensor of this very array."""
        x = object.__new__(Variable._plain)
        x._set(data, record)
        return x

    def _constant(self, value: Any, dtype: np.dtype) -> Tensor:
        """A tensor with a fixed value."""
        return Variable._wrap(executor.constant(value, dtype))

    def _apply(self, op: ops.Op, xs: Sequence[Tensor], params: dict[str, Any]) -> Tensor:
        """The result of a primitive; every computation with tensors comes through here."""
        y = Variable._wrap(executor.run(op, [x._data for x in xs], params))
        if op.shares and y._shares_memory(self):
            y._version = self._version
            if self.requires_grad and not switch.recording:
                return y  # as if detached: what is written to the base later is no part of its history
            y._base = self if self._base is None else self._base
            y._view = (op, params, self)
            y._seen = self._version[0]
        if op.differentiable and switch.recording:
            for x in xs:
                if x._requires_grad or (x._base is not None and x.requires_grad):
                    if y._data.dtype.kind == "f":
                        y._record = Record(op, params, xs, y)
                        y._requires_grad = True
                    break
        return y

    def _shares_memory(self, other: Variable) -> bool:
        return executor.shares(self._data, other._data)

    def _records(self, *others: Any) -> bool:
        """Whether an operation on these tensors would be recorded."""
        if not switch.recording:
            return False
        return self.requires_grad or any(isinstance(x, Variable) and x.requires_grad for x in others)

    def _current_record(self) -> Record | None:
        """The record behind the present values, redone if the memory was written through another view."""
        if self._base is not None and self._view is not None and self._seen != self._version[0]:
            stale = [self]
            parent = self._view[2]
            while parent._view is not None and parent._seen != parent._version[0]:
                stale.append(parent)
                parent = parent._view[2]
            for x in reversed(stale):
                assert x._view is not None
                op, params, parent = x._view
                x._seen = x._version[0]
                if parent._requires_grad:
                    x._check_view()
                    x._record = Record(op, params, [parent], x)
                    x._requires_grad = True
        return self._record

    def _snapshot(self) -> Tensor:
        """This value with its history, in memory of its own, for a derivative that still needs it."""
        if self._requires_grad and self._record is None:
            self._check_writable()
        x = Variable._wrap(self._data.copy(), self._current_record())
        x._requires_grad = self._requires_grad
        return x

    def _check_writable(self) -> None:
        root = self if self._base is None else self._base
        if autograd.is_grad_enabled() and root._requires_grad and root._current_record() is None:
            what = "a leaf tensor" if root is self else "a view of a leaf tensor"
            raise HaemaError(
                f"{what} that requires a gradient cannot be changed in place; do it under hm.no_grad(), or on a clone"
            )

    def _update(self, op: ops.Op, *others: Tensor, **params: Any) -> Self:
        """``self = op(self, *others)`` in place."""
        if self._records(*others):
            source = self._snapshot() if op.keeps(1 + len(others))[0] else self
            return self._become(op(source, *others, **params))
        self._write(op, [self._data, *(x._data for x in others)], params)
        return self

    def _write(self, op: ops.Op, arrays: list[Any], params: dict[str, Any]) -> None:
        try:
            executor.update(op, self._data, arrays, params)
        except ValueError as error:
            if self._data.flags.writeable:
                raise
            raise HaemaError(
                f"this tensor of shape {self.shape} cannot be changed in place: it is stretched by expand() or "
                "read-only, so one place in memory stands for several elements; clone() it first"
            ) from error
        self._version[0] += 1

    def _become(self, new: Tensor) -> Self:
        """Take over the values of ``new``, and its history."""
        if new.shape != self.shape:
            raise ShapeError(f"in place: a result of shape {new.shape} does not fit this tensor of shape {self.shape}")
        if not dtypes.can_hold(self.dtype, new.dtype):
            raise DTypeError(f"in place: a result of type {new.dtype.name} does not go into a {self.dtype.name} tensor")
        recorded = self._records(new)
        if recorded:
            self._check_writable()
        new = new if new.dtype == self.dtype else ops.cast(new, dtype=self.dtype)
        before = self._base._current_record() if recorded and self._base is not None else None
        self._write(ops.assign, [self._data, new._data], {"path": ()})
        if recorded:
            self._rebase(new, before)
        return self

    def _check_view(self) -> None:
        """Make sure that this is still the view of its parent that it was.

        Raises:
            HaemaError: the parent has another shape since.
        """
        assert self._view is not None
        op, params, parent = self._view
        try:
            fits = op.rule(ops.Spec(parent.shape, parent.dtype), **params).shape == self.shape
        except ShapeError:
            fits = False
        if not fits:
            raise HaemaError(
                f"a tensor of shape {self.shape} is a view of one whose shape was changed in place since, so it has no "
                "gradient; take the view again"
            )

    def _take_shape(self, name: str, new: Tensor) -> Self:
        """Take over the shape of ``new``, which has the same elements."""
        if self._base is not None or self._requires_grad:
            raise HaemaError(f"{name}_: a tensor with a history, or a view, keeps its shape; use x = x.{name}(...)")
        executor.changes.memory += 1
        self._data = new._data
        return self

    def _rebase(self, new: Tensor, before: Record | None) -> None:
        """Make the history of ``new`` that of this tensor, and of the tensor that it is a view of."""
        if self._base is None:
            self._record = new._current_record()
            self._requires_grad = new._requires_grad
            return
        path: list[tuple[ops.Op, dict[str, Any]]] = []
        x = self
        while x._view is not None:
            op, params, parent = x._view
            x._check_view()
            path.insert(0, (op, params))
            x = parent
        old = Variable._wrap(x._data, before)
        x._record = Record(ops.assign, {"path": tuple(path)}, [old, new], x)
        x._requires_grad = True

    # -- what it is ------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self._data.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        if self._base is not None:
            self._current_record()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.dtype.kind != "f":
            raise DTypeError(f"only floating tensors can require a gradient, and this one is {self.dtype.name}")
        if not value and self._record is not None:
            raise HaemaError("requires_grad can be switched off on leaf tensors only; use detach()")
        executor.changes.settings += 1
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed it."""
        return self._current_record() is None

    @property
    def grad_fn(self) -> Record | None:
        """The record of the operation that computed it."""
        return self._current_record()

    @property
    def data(self) -> Tensor:
        """The same memory without history or version, for changes that the tape shall not see."""
        return Variable._wrap(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        executor.changes.memory += 1
        self._data = value._data

    # -- gradients ------------------------------------------------------------------

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Add d self / d leaf to the ``grad`` of every leaf; see `haema.autograd.backward`."""
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory without history."""
        x = Variable._wrap(self._data)
        x._version = self._version
        return x

    def detach_(self) -> Self:
        """Forget the history."""
        self._record = None
        self._requires_grad = False
        self._base = self._view = None
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> autograd.RemovableHandle:
        """Call ``hook(gradient)`` whenever the gradient of this tensor is computed; what it returns replaces it.

        Returns:
            A handle whose ``remove()`` takes the hook away again.

        Raises:
            HaemaError: the tensor does not require a gradient.
        """
        if not self.requires_grad:
            raise HaemaError("register_hook: the tensor does not require a gradient")
        record = self._current_record()
        holder: Any = self if record is None else record
        name = "_hooks" if record is None else "hooks"
        hooks = getattr(holder, name) or []
        setattr(holder, name, hooks)
        hooks.append(hook)
        return autograd.RemovableHandle(hooks, hook)

    def retain_grad(self) -> None:
        """Let ``backward`` fill ``grad`` although this tensor was computed.

        Raises:
            HaemaError: the tensor does not require a gradient.
        """
        if not self.requires_grad:
            raise HaemaError("retain_grad: the tensor does not require a gradient")
        record = self._current_record()
        keep = autograd.Keep(self)
        if record is not None and keep not in (record.hooks or ()):
            self.register_hook(keep)
