"""Making one batch out of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from haema import dtypes
from haema.creation import as_tensor, tensor
from haema.errors import DTypeError, ShapeError
from haema.functions.shaping import stack
from haema.tensor import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Puts samples together, each of their parts along a new first axis.

        tensors, arrays    (...)             tensor (B, ...)
        int, bool, float                     tensor (B,) of int64, bool, float64
        str, bytes                           list
        dict               {key: part}       {key: batch of the parts}
        tuple, list        (part, part)      [batch of the parts, batch of the parts]
        namedtuple                           namedtuple of batches

    Args:
        batch: one or more samples of the same structure.

    Raises:
        ShapeError: tensors or arrays differ in shape, or tuples and lists in length.
        DTypeError: a part is of another type than these.

    Source: PyTorch, torch.utils.data.default_collate.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        _check_shapes([tuple(x.shape) for x in batch])
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)):
        arrays = [np.asarray(x) for x in batch]
        _check_shapes([a.shape for a in arrays])
        if first.dtype.kind in "SUO":
            raise DTypeError(f"default_collate: arrays of {first.dtype} are not numbers; convert them first")
        return as_tensor(np.stack(arrays))
    if isinstance(first, float):
        return tensor(list(batch), dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([x[key] for x in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = {len(x) for x in batch}
        if len(lengths) > 1:
            raise ShapeError(f"default_collate: samples have {sorted(lengths)} parts; equally many are right")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise DTypeError(
        f"default_collate: a sample holds a {type(first).__name__}; tensors, arrays, numbers, texts, dicts, "
        "tuples and lists can be put together"
    )


def default_convert(sample: Any) -> Any:
    """A single sample with its arrays as tensors; the rest as it is."""
    if isinstance(sample, (np.ndarray, np.generic)):
        return as_tensor(np.asarray(sample))
    if isinstance(sample, Mapping):
        return {key: default_convert(part) for key, part in sample.items()}
    if isinstance(sample, (tuple, list)):
        parts = [default_convert(part) for part in sample]
        return type(sample)(*parts) if hasattr(sample, "_fields") else parts
    return sample


def _check_shapes(shapes: list[tuple[int, ...]]) -> None:
    other = next((s for s in shapes if s != shapes[0]), None)
    if other is not None:
        raise ShapeError(f"default_collate: samples of shapes {shapes[0]} and {other} do not make a batch")
