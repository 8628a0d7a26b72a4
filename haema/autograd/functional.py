"""Whole matrices of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haema.autograd.backward import grad
from haema.autograd.tape import enable_grad
from haema.errors import HaemaError

if TYPE_CHECKING:
    from haema.tensor import Tensor

__all__ = ["hessian", "jacobian"]


def jacobian(func: Callable[..., Any], inputs: Tensor | tuple[Tensor, ...], create_graph: bool = False) -> Any:
    """All derivatives of all outputs: J[i, j] = d y[i] / d x[j], by a walk back for each element of y.

    Args:
        func: Function of tensors that gives a tensor or a tuple of tensors.
        inputs: Its argument, or a tuple of them.
        create_graph: Record the computation, so that J can be differentiated.

    Returns:
        A tensor of shape (*y.shape, *x.shape). For a tuple of inputs a tuple of such, for a tuple of outputs a tuple
        of what belongs to each.

    Raises:
        HaemaError: an output is no tensor.
    """
    one_input = hasattr(inputs, "_data")
    given: tuple[Any, ...] = (inputs,) if one_input else tuple(inputs)
    with enable_grad():
        xs = [x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in given]
        result = func(*xs)
        one_output = hasattr(result, "_data")
        rows = [_rows(y, xs, create_graph) for y in ((result,) if one_output else result)]
    parts = [row[0] if one_input else tuple(row) for row in rows]
    return parts[0] if one_output else tuple(parts)


def _rows(y: Any, xs: list[Any], create_graph: bool) -> list[Tensor]:
    """The Jacobian of one output with respect to each input."""
    if not hasattr(y, "_data"):
        raise HaemaError(f"jacobian: the function gave a {type(y).__name__}, where tensors are right")
    from haema.functions.shaping import stack

    if not y.requires_grad or y.numel() == 0:
        return [x.new_zeros((*y.shape, *x.shape)) for x in xs]
    flat = y.reshape(-1)
    each = [
        grad(flat[i], xs, retain_graph=True, create_graph=create_graph, allow_unused=True, materialize_grads=True)
        for i in range(flat.numel())
    ]
    return [stack([g[k] for g in each]).reshape((*y.shape, *x.shape)) for k, x in enumerate(xs)]  # type: ignore[misc]


def hessian(func: Callable[..., Any], inputs: Tensor | tuple[Tensor, ...], create_graph: bool = False) -> Any:
    """All second derivatives of a function with one number as its result: H[i, j] = d^2 y / d x[i] d x[j].

    Args:
        func: Function of tensors that gives a tensor with one element.
        inputs: Its argument, or a tuple of them.
        create_graph: Record the computation, so that H can be differentiated.

    Returns:
        A tensor of shape (*x.shape, *x.shape); for a tuple of inputs a tuple of tuples of such.

    Raises:
        HaemaError: the result is not one number.
    """
    one_input = hasattr(inputs, "_data")

    def gradients(*xs: Any) -> Any:
        y = func(*xs)
        if not hasattr(y, "_data") or y.numel() != 1:
            raise HaemaError("hessian: the function must give a tensor with one element")
        if not y.requires_grad:
            return tuple(x * 0 for x in xs) if not one_input else xs[0] * 0
        found = grad(y.reshape(()), list(xs), create_graph=True, allow_unused=True, materialize_grads=True)
        return found[0] if one_input else found

    return jacobian(gradients, inputs, create_graph)
