"""Tensors out of nothing, out of numbers and out of arrays.

``device`` may be named everywhere, and is "cpu".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from haema import devices, dtypes, executor
from haema.conversion import to_array
from haema.errors import DTypeError
from haema.functions.shaping import sizes_of
from haema.tensor import Tensor


def _made(array: np.ndarray, requires_grad: bool, device: Any = None) -> Tensor:
    if device is not None:
        devices.device(device)
    x = Tensor._wrap(executor.active().made(array))
    return x.requires_grad_() if requires_grad else x


def _floating(dtype: Any) -> np.dtype:
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor with a copy of ``data``.

    Args:
        data: A number, nested lists, an array or a tensor.
        dtype: Element type; by default float32 for Python floats, int64 for integers, bool for booleans, and an
            array's own type.
        requires_grad: Record operations on it.
        device: "cpu".

    Raises:
        DTypeError: the elements are no numbers.
        ShapeError: the nested lists have different lengths.
    """
    return _made(to_array(data, dtype), requires_grad, device)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing its memory where possible."""
    if device is not None:
        devices.device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype=dtype)
    if isinstance(data, np.ndarray) and data.dtype in dtypes.RANK:
        x = Tensor._wrap(data)
        return x if dtype is None else x.to(dtype=dtype)
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of ``array``.

    Raises:
        DTypeError: the array has a type that tensors do not have; convert it with ``astype``.
    """
    if not isinstance(array, np.ndarray) or array.dtype not in dtypes.RANK:
        came = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
        names = ", ".join(t.name for t in dtypes.RANK)
        raise DTypeError(f"from_numpy: {came} cannot be shared; arrays of {names} can")
    return Tensor._wrap(array)


def zeros(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, float32 by default."""
    return _made(executor.fill(0, sizes_of(sizes, size), _floating(dtype)), requires_grad, device)


def ones(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, float32 by default."""
    return _made(executor.fill(1, sizes_of(sizes, size), _floating(dtype)), requires_grad, device)


def empty(*sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor to be filled: zeros, so that a forgotten element does not differ from run to run."""
    return zeros(*sizes, size=size, dtype=dtype, device=device, requires_grad=requires_grad)


@np.errstate(all="ignore")
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One value everywhere; its type is that of the value unless given."""
    kind = dtypes.of_number(fill_value) if dtype is None else dtypes.as_dtype(dtype)
    shape = sizes_of((size,)) if not isinstance(size, int) else (size,)
    return _made(executor.fill(fill_value, shape, kind), requires_grad, device)


def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of ``input``."""
    return zeros(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of ``input``."""
    return ones(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


empty_like = zeros_like


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in the shape and dtype of ``input``."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


@np.errstate(all="ignore")
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to but without ``end``; ``arange(n)`` is 0 .. n-1. int64 if all are integers.

    Raises:
        ValueError: the step is 0.
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    return _made(np.arange(start, end, step).astype(dtypes.as_dtype(dtype)), requires_grad, device)


@np.errstate(all="ignore")
def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``, both included."""
    return _made(np.linspace(start, end, steps).astype(_floating(dtype)), requires_grad, device)


@np.errstate(all="ignore")
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``base`` to the powers ``linspace(start, end, steps)``."""
    return _made(np.logspace(start, end, steps, base=base).astype(_floating(dtype)), requires_grad, device)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The (n, m) matrix with ones on its diagonal; m = n by default."""
    return _made(np.eye(n, m, dtype=_floating(dtype)), requires_grad, device)


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of the grid over vectors, one tensor each.

    Args:
        tensors: Vectors.
        indexing: "ij": the first vector runs along the first axis; "xy": along the second.
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    arrays = np.meshgrid(*(x.numpy() for x in tensors), indexing=indexing)  # type: ignore[call-overload]
    return tuple(Tensor._wrap(np.ascontiguousarray(a)) for a in arrays)


def is_tensor(input: object) -> bool:
    """Whether ``x`` is a tensor."""
    return isinstance(input, Tensor)


class TensorType:
    """A maker of tensors of one type, as ``hm.LongTensor([1, 2])``; ``hm.LongTensor(2, 3)`` makes zeros of that shape.

    Attributes:
        dtype: The type.
    """

    def __init__(self, name: str, dtype: np.dtype) -> None:
        self.__name__ = name
        self.dtype = dtype

    def __call__(self, *data: Any) -> Tensor:
        return Tensor(*data, dtype=self.dtype)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


FloatTensor = TensorType("FloatTensor", dtypes.float32)
DoubleTensor = TensorType("DoubleTensor", dtypes.float64)
IntTensor = TensorType("IntTensor", dtypes.int32)
LongTensor = TensorType("LongTensor", dtypes.int64)
ByteTensor = TensorType("ByteTensor", dtypes.uint8)
BoolTensor = TensorType("BoolTensor", dtypes.bool)

pi, inf, nan, e = math.pi, math.inf, math.nan, math.e
