"""Derivatives compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.autograd.backward import grad
from haema.autograd.tape import enable_grad, no_grad
from haema.errors import HaemaError

if TYPE_CHECKING:
    from haema.tensor import Tensor


def _outputs(function: Callable[..., Any], inputs: Sequence[Any]) -> list[Tensor]:
    """The floating-point results of ``function``."""
    result = function(*inputs)
    several = [result] if hasattr(result, "_data") else list(result)
    return [y for y in several if y.dtype.kind == "f"]


def _perturbed(x: Tensor) -> Iterator[tuple[int, np.ndarray]]:
    """Each element's number, and the memory in which it can be changed."""
    flat = x._data.reshape(-1)
    if not np.shares_memory(flat, x._data) and x._data.size:
        raise HaemaError("gradcheck: inputs must be contiguous")
    for i in range(flat.size):
        yield i, flat


def gradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the derivative of ``func`` with central finite differences.

        J[i, j] ~ (f(x + eps e_j)[i] - f(x - eps e_j)[i]) / (2 eps)

    Args:
        func: Function of tensors that returns one tensor or several.
        inputs: Its arguments; those with ``requires_grad`` are checked and should be float64.
        eps: Step.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        raise_exception: Raise on disagreement, else return False.

    Returns:
        True if every entry of every Jacobian agrees.

    Raises:
        HaemaError: an entry disagrees; the message names input, output, entry and both numbers.
    """
    args: list[Any] = [inputs] if hasattr(inputs, "_data") else list(inputs)
    checked = [x for x in args if hasattr(x, "_data") and x.requires_grad]
    if not checked:
        raise HaemaError("gradcheck: none of the inputs requires a gradient")
    for k, y in enumerate(_outputs(func, args)):
        rows = [np.zeros((y.numel(), x.numel())) for x in checked]
        for i in range(y.numel() if y.requires_grad else 0):
            seed = np.zeros(y.numel())
            seed[i] = 1
            g = y._constant(seed.reshape(y.shape), y.dtype)
            for row, gx in zip(rows, grad(y, checked, g, retain_graph=True, allow_unused=True), strict=True):
                if gx is not None:
                    row[i] = gx._data.reshape(-1)
        for n, (x, analytic) in enumerate(zip(checked, rows, strict=True)):
            for j, memory in _perturbed(x):
                old = memory[j]
                sides = []
                for step in (eps, -eps):
                    memory[j] = old + step
                    with no_grad():
                        value = _outputs(func, args)[k]
                        sides.append(value._data.reshape(-1).astype(np.float64))
                memory[j] = old
                numeric = (sides[0] - sides[1]) / (2 * eps)
                off = np.abs(analytic[:, j] - numeric) > atol + rtol * np.abs(numeric)
                off |= np.isnan(analytic[:, j]) != np.isnan(numeric)
                if off.any():
                    if not raise_exception:
                        return False
                    i = int(np.argmax(off))
                    raise HaemaError(
                        f"gradcheck: d output {k}[{i}] / d input {n}[{j}] is {analytic[i, j]:.8g} by backward "
                        f"and {numeric[i]:.8g} by finite differences"
                    )
    return True


def gradgradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """``gradcheck`` of the gradient of ``func``, weighted with fixed numbers of irregular size and sign."""

    def gradients(*xs: Any) -> list[Tensor]:
        with enable_grad():
            ys = [y for y in _outputs(func, xs) if y.requires_grad]
            seeds = [
                y._constant(np.cos(1.7 * np.arange(y.numel()) + k).reshape(y.shape), y.dtype) for k, y in enumerate(ys)
            ]
            wanted = [x for x in xs if hasattr(x, "_data") and x.requires_grad]
            return [g for g in grad(ys, wanted, seeds, create_graph=True, materialize_grads=True) if g is not None]

    return gradcheck(gradients, inputs, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
