"""Gradient clipping, and all parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

from haema import creation, dtypes
from haema.autograd import no_grad
from haema.errors import HaemaError, ShapeError
from haema.functions import shaping
from haema.functions.reductions import norm
from haema.tensor import Tensor

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "vector_to_parameters",
]  # fmt: skip

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


@no_grad()
def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of several tensors, as if they were one vector.

        (sum |x|^p)^(1/p),  and max |x| for p = inf

    Args:
        tensors: One tensor or several.
        norm_type: p, a number or "inf". Default: 2.
        error_if_nonfinite: Raise if the norm is nan or infinite. Default: False.

    Returns:
        Tensor without axes; 0 for no tensors.

    Raises:
        HaemaError: the norm is not finite and ``error_if_nonfinite``.
    """
    p = float(norm_type)
    xs = [x for x in _listed(tensors) if x.numel()]
    if not xs:
        return creation.tensor(0.0)
    dtype = xs[0].dtype
    for x in xs:
        dtype = dtypes.promote_types(dtype, x.dtype)
    parts = shaping.stack([norm(x.to(dtype), p) for x in xs])
    total = norm(parts, p) if p != 0 else parts.sum()
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise HaemaError(
            f"the norm of order {p:g} of the gradients is {total.item()}, so they cannot be clipped; with "
            "error_if_nonfinite=False they are scaled all the same"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor) -> None:
    """Scale gradients whose norm is known down to ``max_norm``, in place.

        g = g min(1, max_norm / (total_norm + 1e-6))

    Args:
        parameters: One tensor or several; those without a gradient are left out.
        max_norm: Largest norm.
        total_norm: Norm of all gradients together, without axes.
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in _gradients(parameters):
        g.mul_(factor.to(g.dtype))


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients together so that their norm is at most ``max_norm``, in place.

        g = g min(1, max_norm / (norm of all g + 1e-6))

    Args:
        parameters: One tensor or several; those without a gradient are left out.
        max_norm: Largest norm.
        norm_type: p of the p-norm, a number or "inf". Default: 2.
        error_if_nonfinite: Raise if the norm is nan or infinite. Default: False.

    Returns:
        The norm before, without axes.

    Raises:
        HaemaError: the norm is not finite and ``error_if_nonfinite``.

    Source: Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1.
    """
    several = _listed(parameters)
    total = get_total_norm(_gradients(several), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(several, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value], in place.

    Args:
        parameters: One tensor or several; those without a gradient are left out.
        clip_value: Largest size of an element.
    """
    for g in _gradients(parameters):
        g.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters as one vector, through which gradients flow."""
    return shaping.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of a vector into parameters, in the order of ``parameters_to_vector``.

    Args:
        vec: Vector.
        parameters: Tensors with as many elements in all.

    Raises:
        TypeError: ``vec`` is no tensor.
        ShapeError: it has another number of elements.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: needs a tensor, not {type(vec).__name__}")
    several = list(parameters)
    need = sum(p.numel() for p in several)
    if vec.shape != (need,):
        raise ShapeError(f"vector_to_parameters: shape {vec.shape} does not fit {need} elements of the parameters")
    start = 0
    with no_grad():
        for p in several:
            p.copy_(vec[start : start + p.numel()].reshape(p.shape))
            start += p.numel()
