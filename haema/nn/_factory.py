"""How layers make their parameters and check their sizes."""

from __future__ import annotations

from typing import Any

from haema.creation import zeros
from haema.nn.parameter import Parameter
from haema.tensor import Tensor


def empty_tensor(shape: tuple[int, ...], device: Any, dtype: Any) -> Tensor:
    """Zeros of a floating type.

    Raises:
        HaemaError: a device other than the CPU.
    """
    x = zeros(shape, dtype=dtype)
    return x if device is None else x.to(device=device)


def empty_parameter(shape: tuple[int, ...], device: Any, dtype: Any) -> Parameter:
    """A parameter to be filled."""
    return Parameter(empty_tensor(shape, device, dtype))


def sizes(layer: str, *, least: int = 1, **given: int) -> None:
    """Refuse sizes that are no integers or too small.

    Raises:
        ValueError: one is.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
            raise ValueError(f"{layer}: {name} must be an integer, {least} or more, not {value!r}")
