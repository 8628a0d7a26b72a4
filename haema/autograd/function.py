"""Operations of one's own: a forward and a backward written by hand, on the tape like a primitive."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from haema import dtypes, ops
from haema.autograd.tape import Record, enable_grad, is_grad_enabled, no_grad
from haema.errors import HaemaError, ShapeError

if TYPE_CHECKING:
    from haema.tensor import Tensor

__all__ = ["Context", "Function", "once_differentiable"]


class Context:
    """What ``forward`` leaves for ``backward``; further attributes may be set freely.

    Attributes:
        needs_input_grad: For each argument of ``forward``, whether its gradient is asked for.
    """

    def __init__(self, name: str, args: Sequence[Any]) -> None:
        self.needs_input_grad = tuple(_is_tensor(x) and x.requires_grad for x in args)
        self._name = name
        self._tensors = [_is_tensor(x) for x in args]
        self._saved: Sequence[Any] | None = ()
        self._versions: Sequence[int] = ()
        self._constant: set[int] = set()
        self._outputs: list[_Output] = []
        self._record: Record | None = None  # while backward runs

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``saved_tensors``; inputs and outputs come back with their history."""
        self._saved = tensors
        self._versions = [0 if x is None else x._version[0] for x in tensors]

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs have no gradient."""
        self._constant.update(map(id, outputs))

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` kept.

        Raises:
            HaemaError: a first backward freed it, or it was changed in place since.
        """
        if self._saved is None:
            raise HaemaError(
                f"backward went through {self._name} before and freed what it had kept; "
                "pass retain_graph=True to the first backward to go through the graph again"
            )
        found: list[Any] = []
        for x, version in zip(self._saved, self._versions, strict=True):
            if isinstance(x, _Output):
                assert self._record is not None, "an output is read where backward runs"
                found.append(x.part(self._record.output()))
            elif x is not None and x._version[0] != version:
                raise HaemaError(
                    f"a tensor that {self._name} saved (shape {x.shape}) was changed in place after it was used, "
                    "so its gradient can no longer be computed; use the out-of-place form, or clone it first"
                )
            else:
                found.append(x)
        return tuple(found)


class _Output:
    """One output, as a stretch of the vector of all differentiable outputs; ``start`` None: of its own."""

    def __init__(self, y: Tensor, start: int | None, differentiable: bool) -> None:
        self.shape = y.shape
        self.dtype = y.dtype
        self.start = start
        self.stop = (start or 0) + y.numel()
        self.differentiable = differentiable

    def part(self, whole: Tensor) -> Tensor:
        """This output, or its gradient, out of the vector."""
        if self.start is None:
            return whole
        return whole[self.start : self.stop].reshape(self.shape).to(self.dtype)


class _Call(Record):
    """A record that also holds the context."""

    __slots__ = ("context",)
    context: Context

    def free(self) -> None:
        super().free()
        self.context._saved = None


class _Custom(ops.Op):
    """The primitive behind one function class. It has no rule and no evaluation: its results are given."""

    family = "function"

    def __init__(self, function: type[Function], keeps_output: bool) -> None:  # not in the table of primitives
        self.name = function.__name__
        self.inputs = ()
        self.grads = ()
        self.differentiable = True
        self.keeps_output = keeps_output
        self._function = function

    def keeps(self, n: int) -> tuple[bool, ...]:
        return (False,) * n

    def vjp(self, record: Any, g: Tensor) -> list[Any]:
        context = record.context
        grads = [output.part(g) if output.differentiable else g.new_zeros(output.shape) for output in context._outputs]
        context._record = record
        try:
            results = self._function.backward(context, *grads)
        finally:
            context._record = None
        several = results if isinstance(results, tuple) else (results,)
        if len(several) != len(context._tensors):
            raise HaemaError(
                f"{self.name}.backward gave {len(several)} gradients, and forward had {len(context._tensors)} arguments"
            )
        given = [gx for gx, tensor in zip(several, context._tensors, strict=True) if tensor]
        return [
            self._fitted(gx, shape, dtype) if wanted and gx is not None else None
            for gx, wanted, shape, dtype in zip(given, record.wants, record.shapes, record.dtypes, strict=True)
        ]

    def _fitted(self, gx: Any, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """A gradient in the type of its input, summed where the input was stretched to it."""
        if not _is_tensor(gx):
            raise HaemaError(f"{self.name}.backward gave a {type(gx).__name__}, where a tensor or None is right")
        if gx.shape != shape:
            aligned = (1,) * (gx.ndim - len(shape)) + shape
            if len(aligned) != gx.ndim or any(n not in (1, m) for n, m in zip(aligned, gx.shape, strict=True)):
                raise ShapeError(f"{self.name}.backward gave a gradient of shape {gx.shape} for an input of {shape}")
            gx = ops.sum_to(gx, shape=shape)
        return gx.to(dtype)


class Function:
    """A function whose derivative is written by hand.

        class Exp(hm.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, gy):
                (y,) = ctx.saved_tensors
                return gy * y

        y = Exp.apply(x)

    ``forward`` runs unrecorded, and may use NumPy. ``backward`` gets a gradient per output and returns one per
    argument of ``forward``, None for what has none; where it is made of tensor operations, gradients of gradients
    go through it. A class with a ``setup_context(ctx, inputs, output)`` has a ``forward`` without ``ctx``.

    Source: PyTorch, torch.autograd.Function.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """``forward(ctx, *args)``: the tensor or the tuple of tensors computed."""
        raise NotImplementedError("a Function defines a static method forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments of ``forward``."""
        raise NotImplementedError("a Function defines a static method backward(ctx, ...) to be differentiated")

    setup_context: Callable[..., None] | None = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """What ``forward`` gives for these arguments, recorded if one of them requires a gradient."""
        context = Context(cls.__name__, args)
        with no_grad():
            if cls.setup_context is None:
                result = cls.forward(context, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(context, args, result)
        if not is_grad_enabled() or not any(context.needs_input_grad):
            return result
        several = list(result) if isinstance(result, tuple) else [result]
        several = cls._recorded(context, [x for x in args if _is_tensor(x)], several)
        return tuple(several) if isinstance(result, tuple) else several[0]

    @classmethod
    def _recorded(cls, context: Context, inputs: list[Tensor], results: list[Any]) -> list[Any]:
        """The results, those that can have a gradient connected to the inputs."""
        smooth = [_is_tensor(y) and y.is_floating_point() and id(y) not in context._constant for y in results]
        if not any(smooth):
            return results
        alone = sum(smooth) == 1
        start = 0
        for y, differentiable in zip(results, smooth, strict=True):
            if not _is_tensor(y):
                raise HaemaError(f"{cls.__name__}.forward gave a {type(y).__name__}, where tensors are right")
            context._outputs.append(_Output(y, None if alone else start, differentiable))
            start += y.numel() if differentiable else 0
        numbers = {id(y): i for i, (y, able) in enumerate(zip(results, smooth, strict=True)) if able}
        keeps_output = False
        if context._saved:
            saved = [context._outputs[numbers[id(x)]] if id(x) in numbers else x for x in context._saved]
            keeps_output = any(isinstance(x, _Output) for x in saved)
            context._saved = saved
        parts = [y for y, differentiable in zip(results, smooth, strict=True) if differentiable]
        with no_grad():
            whole = parts[0] if alone else _joined(parts)
        record = _Call(_Custom(cls, keeps_output), {}, inputs, whole)
        record.context = context
        connected = whole._wrap(whole._data, record)
        connected._version = whole._version
        with enable_grad():
            return [
                output.part(connected) if output.differentiable else y
                for y, output in zip(results, context._outputs, strict=True)
            ]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A ``backward`` that is not to be differentiated itself: it runs unrecorded."""

    @functools.wraps(backward)
    def unrecorded(*args: Any) -> Any:
        with no_grad():
            return backward(*args)

    return unrecorded


def _is_tensor(x: object) -> bool:
    return hasattr(x, "_apply")


def _joined(tensors: Sequence[Any]) -> Tensor:
    """All elements as one vector, of the widest type."""
    dtype = functools.reduce(dtypes.promote_types, (x.dtype for x in tensors))
    return ops.concat(*(x.to(dtype).reshape(-1) for x in tensors), axis=0)
