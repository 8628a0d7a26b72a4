"""Operands brought to a common type. See `haema.dtypes` for the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from haema import dtypes, ops
from haema.errors import DTypeError

if TYPE_CHECKING:
    from haema.tensor import Tensor

Operand = Any
"""A tensor, an array or a Python number."""


def is_tensor(x: object) -> bool:
    """Whether ``x`` is a tensor."""
    return hasattr(x, "_apply")


def result_type(*operands: Operand) -> np.dtype:
    """The type in which ``operands`` are combined."""
    ranks: list[np.dtype | None] = [None, None, None]  # with axes, without axes, Python numbers
    for x in operands:
        if is_tensor(x) or isinstance(x, (np.ndarray, np.generic)):
            rank, dtype = (0 if x.ndim else 1), x.dtype
        elif isinstance(x, (bool, int, float)):
            rank, dtype = 2, dtypes.of_number(x)
        else:
            raise DTypeError(f"a tensor cannot be combined with {type(x).__name__} {x!r}")
        old = ranks[rank]
        ranks[rank] = dtype if old is None else dtypes.promote_types(old, dtype)
    result = dtypes.combine(dtypes.combine(ranks[0], ranks[1]), ranks[2])
    assert result is not None
    return result


def convert(x: Tensor, dtype: np.dtype) -> Tensor:
    """``x`` as ``dtype``; itself if it has that type."""
    return x if x._data.dtype == dtype else ops.cast(x, dtype=dtype)


def lift(x: Operand, like: Tensor, dtype: np.dtype) -> Tensor:
    """An operand as a tensor of ``dtype``."""
    if is_tensor(x):
        return convert(x, dtype)
    try:
        return like._constant(x, dtype)
    except (OverflowError, ValueError):
        raise DTypeError(f"{x!r} does not fit {dtype.name}") from None


def pair(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Two operands, at least one of them a tensor, as tensors of their common type."""
    if is_tensor(a):
        if is_tensor(b) and a._data.dtype == b._data.dtype:
            return a, b
        if isinstance(b, (float, int)) and a._data.dtype.kind == "f":  # by far the most frequent mixture
            return a, lift(b, a, a._data.dtype)
        like = a
    else:
        like = b
    dtype = result_type(a, b)
    return lift(a, like, dtype), lift(b, like, dtype)


def floating(x: Tensor) -> Tensor:
    """``x`` itself if floating, else as the default floating type."""
    return x if x._data.dtype.kind == "f" else ops.cast(x, dtype=dtypes.get_default_dtype())


def floating_pair(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """``pair`` in a floating type."""
    a, b = pair(a, b)
    return floating(a), floating(b)
