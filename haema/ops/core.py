"""What a primitive operation is.

Every computation in haema is made of the primitives in this package. A primitive says about itself

- its **shape rule**, ``rule(*specs, **params) -> Spec``: what comes out of what goes in, or an error in words;
- its **NumPy evaluation**, ``evaluate(*arrays, **params) -> array``: the meaning of the operation;
- its **derivative**, a rule per differentiable input, written in terms of other primitives.

A primitive is called on tensors (``exp(x)``). It knows nothing of their class: the first input's ``_apply``
decides what happens, so one and the same derivative serves the eager run, a gradient of a gradient and a trace.

A derivative rule is a plain function whose *parameter names* say what it reads, and only that is kept alive
between the forward and the backward pass:

    g          the gradient that arrives at the output
    y          the output
    x, a, b    an input, by the name the primitive gives it
    x_shape    the shape of an input (its values are not kept)
    axes, ...  a parameter of the operation
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from haema.errors import DTypeError, ShapeError

TABLE: dict[str, Op] = {}
"""Every primitive, by name."""


class Spec(NamedTuple):
    """The type of a value: what is known of it before it is computed."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"{self.dtype.name}{list(self.shape)}"


class Gradient(NamedTuple):
    """The derivative with respect to one input: the rule and the names it reads, in order."""

    rule: Callable[..., Any]
    reads: tuple[str, ...]

    @classmethod
    def of(cls, rule: Any) -> Gradient:
        return cls(rule, rule.__code__.co_varnames[: rule.__code__.co_argcount])


class Op:
    """One primitive operation.

    Args:
        name: What it is called in graphs and messages.
        inputs: Names of its tensor inputs, as derivative rules use them.
        grads: Derivative rule per input name; an input without one gets no gradient.
    """

    family = "op"
    compiles = True  # False: eager only, by nature
    shares = False  # True: the result is a view of its first input's memory wherever NumPy allows it

    def __init__(self, name: str, inputs: tuple[str, ...], grads: dict[str, Callable[..., Any]] | None = None) -> None:
        if name in TABLE:
            raise ValueError(f"there are two primitives called {name}")
        self.name = name
        self.inputs = inputs
        self.grads = tuple(Gradient.of(grads[i]) if grads and i in grads else None for i in inputs)
        self.differentiable = any(self.grads)
        reads = {name for gradient in self.grads if gradient for name in gradient.reads}
        self.keeps_output = "y" in reads
        self._keeps = tuple(i in reads for i in inputs)
        TABLE[name] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *xs: Any, **params: Any) -> Any:
        return xs[0]._apply(self, xs, params)

    def keeps(self, n: int) -> tuple[bool, ...]:
        """Which of ``n`` inputs the derivative reads, so that they are kept until the backward pass."""
        return self._keeps

    def rule(self, *specs: Spec, **params: Any) -> Spec:
        """The spec of the result.

        Raises:
            ShapeError, DTypeError: the inputs do not fit the operation or each other.
        """
        raise NotImplementedError

    def evaluate(self, *arrays: np.ndarray, **params: Any) -> np.ndarray:
        """The result, computed by NumPy."""
        raise NotImplementedError

    def update(self, out: np.ndarray, *arrays: np.ndarray, **params: Any) -> None:
        """Write the result into ``out``, which may be the memory of an input."""
        np.copyto(out, self.evaluate(*arrays, **params), casting="same_kind")

    def vjp(self, record: Any, g: Any) -> list[Any]:
        """The gradient for each input: ``g`` times the Jacobian, None where ``record.wants`` says no."""
        result: list[Any] = []
        for gradient, wanted in zip(self.grads, record.wants, strict=True):
            if gradient is None or not wanted:
                result.append(None)
            else:
                result.append(gradient.rule(g, *(self._read(name, record) for name in gradient.reads[1:])))
        return result

    def _read(self, name: str, record: Any) -> Any:
        """What a derivative rule means by the parameter ``name``."""
        if name == "y":
            return record.output()
        if name in self.inputs:
            return record.input(self.inputs.index(name))
        if name.endswith("_shape") and name[:-6] in self.inputs:
            return record.shapes[self.inputs.index(name[:-6])]
        return record.params[name]

    def wrong_shape(self, message: str) -> ShapeError:
        """An error that names this operation."""
        return ShapeError(f"{self.name}: {message}")


def same_dtype(op: Op, specs: tuple[Spec, ...]) -> np.dtype:
    """The one dtype that all ``specs`` have.

    Raises:
        DTypeError: they differ; primitives do not convert.
    """
    dtypes = {s.dtype for s in specs}
    if len(dtypes) > 1:
        came = " and ".join(s.dtype.name for s in specs)
        raise DTypeError(f"{op.name}: the operands have dtypes {came}; convert one with .to(dtype) first")
    return specs[0].dtype


def broadcast_shapes(op: Op | str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of operands that are stretched along axes of size 1, aligned at the last axis.

    Raises:
        ShapeError: two sizes differ and neither is 1.
    """
    ndim = max(map(len, shapes))
    aligned = [(1,) * (ndim - len(s)) + tuple(s) for s in shapes]
    result = []
    for axis, sizes in enumerate(zip(*aligned, strict=True)):
        size = next((s for s in sizes if s != 1), 1)
        if any(s not in (1, size) for s in sizes):
            came = " and ".join(str(tuple(s)) for s in shapes)
            name = op if isinstance(op, str) else op.name
            raise ShapeError(
                f"{name}: shapes {came} do not broadcast: axis {axis - ndim} has sizes "
                f"{' and '.join(map(str, dict.fromkeys(sizes)))}, and only size 1 stretches"
            )
        result.append(size)
    return tuple(result)
