"""The element types of tensors and the rules by which they combine.

A dtype is NumPy's own object, so that arrays and tensors speak of types alike. Types form a chain,

    bool < uint8 < int32 < int64 < float32 < float64,

with three categories: boolean, integer, floating. Operands of different type meet at the larger one, but
an operand of lower rank has a say only through its category: a tensor with axes outranks a tensor without,
which outranks a Python number. So ``int64 tensor * 0.5`` is float32, and ``float32 tensor * float64 scalar
tensor`` stays float32.

Source: PyTorch, "Tensor Attributes: type promotion".
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from haema.errors import DTypeError

bool = np.dtype("bool")
uint8 = np.dtype("uint8")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
float32 = np.dtype("float32")
float64 = np.dtype("float64")

uint32 = np.dtype("uint32")
"""Random bits only: no arithmetic promotes to or from it."""

PRECISIONS = ("float32", "bf16")
"""What compiled programs may compute large products of float32 in; bf16 is bfloat16, summed in float32."""

RANK = {bool: 0, uint8: 1, int32: 2, int64: 3, float32: 4, float64: 5}
_CATEGORY = {bool: 0, uint8: 1, int32: 1, int64: 1, float32: 2, float64: 2}

_default = float32


def get_default_dtype() -> np.dtype:
    """The type of floating-point tensors made from Python numbers: float32 unless changed."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Make ``dtype`` (float32 or float64) the type of tensors made from Python floats."""
    global _default
    dtype = as_dtype(dtype)
    if not is_floating(dtype):
        raise DTypeError(f"the default dtype must be float32 or float64, not {dtype.name}")
    _default = dtype


def as_dtype(dtype: Any) -> np.dtype:
    """``dtype`` as one of haema's types; Python's ``float``, ``int`` and ``bool`` mean the defaults.

    Raises:
        DTypeError: the type is none that a tensor can hold.
    """
    if dtype is float:
        return _default
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or (found not in RANK and found != uint32):
        names = ", ".join(t.name for t in RANK)
        raise DTypeError(f"{getattr(dtype, 'name', dtype)!s} is no tensor type; the types are {names}")
    return found


def is_floating(dtype: np.dtype) -> Any:
    """Whether ``dtype`` is float32 or float64."""
    return dtype.kind == "f"


def promote_types(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest type that both ``a`` and ``b`` convert to: the later of the two in the chain."""
    return a if RANK[a] >= RANK[b] else b


def can_hold(a: np.dtype, b: np.dtype) -> Any:
    """Whether a result of type ``b`` may be written into a tensor of type ``a``: its category is not the larger."""
    return _CATEGORY[b] <= _CATEGORY[a]


def combine(higher: np.dtype | None, lower: np.dtype | None) -> np.dtype | None:
    """The result type of operands of two ranks: ``lower`` counts only if its category is the larger."""
    if higher is None or lower is None:
        return higher or lower
    return promote_types(higher, lower) if _CATEGORY[lower] > _CATEGORY[higher] else higher


def of_number(value: Any) -> np.dtype:
    """The type a bare Python number becomes: bool, int64 or the default floating type."""
    if isinstance(value, builtins.bool):
        return bool
    return int64 if isinstance(value, int) else _default


def cast_for_sum(dtype: np.dtype) -> np.dtype:
    """The type in which a sum is taken: int64 for booleans and integers, else the type itself."""
    return dtype if dtype.kind == "f" else int64
