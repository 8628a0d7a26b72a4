"""What users hand in (numbers, nested lists, arrays, tensors) as an array of one of the tensor types."""

from __future__ import annotations

from typing import Any

import numpy as np

from haema import dtypes, executor
from haema.errors import DTypeError, ShapeError
from haema.variable import Variable


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """``data`` as a new array of one of haema's types; Python floats take the default type.

    Raises:
        DTypeError: the elements are not numbers.
        ShapeError: nested lists of different lengths.
    """
    array: np.ndarray = executor.active().made(_converted(data, dtype))
    return array


@np.errstate(all="ignore")
def _converted(data: Any, dtype: Any) -> np.ndarray:
    if isinstance(data, Variable):
        return np.array(data._data, dtype=dtypes.as_dtype(dtype or data.dtype), copy=True)
    if isinstance(data, (list, tuple)) and data and any(isinstance(v, Variable) for v in data):
        data = [v._data if isinstance(v, Variable) else v for v in data]
    try:
        array = np.array(data)
    except ValueError as error:
        raise ShapeError(f"tensor: the nested lists do not have equal lengths ({error})") from None
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise DTypeError(f"tensor: {array.max()} does not fit int64, the largest whole type")
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"tensor: the elements must be numbers or booleans, not {_kind(array)}")
    if dtype is not None:
        return array.astype(dtypes.as_dtype(dtype), copy=False)
    typed = isinstance(data, (np.ndarray, np.generic)) or array.dtype.kind != "f"
    if typed and array.dtype in dtypes.RANK:
        return array
    if array.dtype.kind != "f":
        return array.astype(dtypes.int64)
    return array.astype(dtypes.float32 if typed else dtypes.get_default_dtype())


def _kind(array: np.ndarray) -> str:
    return {"O": "objects", "U": "text", "S": "bytes", "c": "complex numbers", "M": "dates"}.get(
        array.dtype.kind, array.dtype.name
    )
