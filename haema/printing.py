"""How a tensor looks when printed: values as NumPy sets them, dtype where not obvious, and its place on the tape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from haema import dtypes

if TYPE_CHECKING:
    from haema.tensor import Tensor


def represent(x: Tensor) -> str:
    """``tensor([[1., 2.]], grad_fn=<mul>)``."""
    body = np.array2string(
        x._data, separator=", ", prefix="tensor(", precision=4, suppress_small=False, threshold=1000, max_line_width=100
    )
    notes = []
    if x.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool) or (x._data.size == 0 and x.ndim != 1):
        notes.append(f"dtype={x.dtype.name}")
    if x._data.size == 0 and x.ndim != 1:
        notes.append(f"shape={x.shape}")
    if x.grad_fn is not None:
        notes.append(f"grad_fn=<{x.grad_fn.op.name}>")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    name = "tensor" if type(x).__name__ == "Tensor" else f"{type(x).__name__} containing:\ntensor"
    return f"{name}({', '.join([body, *notes])})"
