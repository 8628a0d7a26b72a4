"""Functions that a module calls around its forward and backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haema import autograd
from haema.tensor import Tensor

if TYPE_CHECKING:
    from haema.nn.module import Module

__all__ = ["Hooks", "RemovableHandle"]

_next_key = itertools.count().__next__


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away, as does leaving a ``with`` block."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = _next_key()

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one module, and the call that runs them.

    Attributes:
        before: ``hook(module, args)`` before ``forward``; what it returns replaces the arguments.
        after: ``hook(module, args, output)`` after it; what it returns replaces the output.
        backward_before: ``hook(module, grad_output)`` as soon as the gradients of the outputs are known.
        backward: ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.
    """

    __slots__ = ("after", "backward", "backward_before", "before")

    def __init__(self) -> None:
        self.before: dict[int, tuple[Callable[..., Any], bool]] = {}
        self.after: dict[int, tuple[Callable[..., Any], bool]] = {}
        self.backward_before: dict[int, Callable[..., Any]] = {}
        self.backward: dict[int, Callable[..., Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.backward_before or self.backward)

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``module.forward`` with all hooks around it."""
        for hook, with_kwargs in list(self.before.values()):
            if with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2 and isinstance(changed[1], dict)):
                        raise TypeError("a forward pre-hook with_kwargs must return None or (args, kwargs)")
                    args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        watch = None
        if (self.backward or self.backward_before) and autograd.is_grad_enabled():
            watch = _Backward(module, self)
            args = watch.inputs(args)
        output = module.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.after.values()):
            changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            if changed is not None:
                output = changed
        return output if watch is None else watch.outputs(output)


class _Backward:
    """One pass through a module with backward hooks.

    Gradients are seen on copies of the module's inputs and outputs, of which there are two layers. The walk back
    goes from young to old records, so a whole layer has been seen before the next older one is reached:

        outer copies of x -> inner copies of x -> forward -> inner copies of y -> outer copies of y
        run hooks, replace   note grad_input                 run pre-hooks        note grad_output
    """

    def __init__(self, module: Module, hooks: Hooks) -> None:
        self.module, self.hooks = module, hooks
        self.grad_input: list[Tensor | None] = []
        self.grad_output: list[Tensor | None] = []
        self.replaced: tuple[Tensor | None, ...] | None = None
        self.started = False
        self.has_input = False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with tensors on the tape exchanged for watched copies."""
        self.grad_input = [None] * len(args)
        watched = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
        self.has_input = bool(watched)
        outer = {i: args[i].clone() for i in watched}
        inner = {i: outer[i].clone() for i in watched}
        for i in watched:
            outer[i].register_hook(lambda g, i=i: self._finish(i))
            inner[i].register_hook(lambda g, i=i: self.grad_input.__setitem__(i, g))
        return tuple(inner.get(i, x) for i, x in enumerate(args))

    def outputs(self, output: Any) -> Any:
        """The output, with tensors on the tape exchanged for watched copies."""
        ys = list(output) if isinstance(output, (tuple, list)) else [output]
        watched = [i for i, y in enumerate(ys) if isinstance(y, Tensor) and y.requires_grad]
        inner = {i: ys[i].clone() for i in watched}
        outer = {i: inner[i].clone() for i in watched}
        for i in watched:
            inner[i].register_hook(lambda g, i=i: self._start(i, len(ys)))
            outer[i].register_hook(lambda g, i=i: self._note(i, len(ys), g))
        ys = [outer.get(i, y) for i, y in enumerate(ys)]
        if not isinstance(output, (tuple, list)):
            return ys[0]
        return type(output)(*ys) if hasattr(output, "_fields") else type(output)(ys)

    def _note(self, i: int, count: int, g: Tensor) -> None:
        if self.started or len(self.grad_output) != count:  # a new walk through the same graph
            self.started, self.replaced = False, None
            self.grad_output = [None] * count
            self.grad_input = [None] * len(self.grad_input)
        self.grad_output[i] = g

    def _start(self, i: int, count: int) -> Tensor | None:
        if not self.started:
            self.started = True
            for hook in list(self.hooks.backward_before.values()):
                changed = hook(self.module, tuple(self.grad_output))
                if changed is not None:
                    self.grad_output = list(_as_tuple(changed, count, "backward pre-hook", "outputs"))
            if not self.has_input:
                for hook in list(self.hooks.backward.values()):
                    hook(self.module, tuple(self.grad_input), tuple(self.grad_output))
        return self.grad_output[i]

    def _finish(self, i: int) -> Tensor | None:
        if self.replaced is None:
            grads = tuple(self.grad_input)
            for hook in list(self.hooks.backward.values()):
                changed = hook(self.module, grads, tuple(self.grad_output))
                if changed is not None:
                    grads = _as_tuple(changed, len(grads), "backward hook", "inputs")
            self.replaced = grads
        return self.replaced[i]


def _as_tuple(changed: Any, count: int, what: str, of: str) -> tuple[Any, ...]:
    grads = changed if isinstance(changed, tuple) else (changed,)
    if len(grads) != count:
        raise ValueError(f"a {what} returned {len(grads)} gradients for a module with {count} {of}")
    return grads
