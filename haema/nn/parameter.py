"""A tensor that a module learns."""

from __future__ import annotations

from typing import Any

from haema.tensor import Tensor, to_tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that counts as a parameter of the module it is assigned to.

    Args:
        data: The initial values, whose memory is shared if they are a tensor.
        requires_grad: Whether it is learned; True by default.

    Raises:
        DTypeError: a gradient is wanted for values that are not floating.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        self._set(to_tensor(data)._data)
        if requires_grad:
            self.requires_grad = True
