"""Running a program for its shapes: nothing large is allocated or computed.

It answers what a program would need before it is allowed to need it; so a model file is checked against the tensors
it holds before any are made.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from haema.errors import ShapeError
from haema.executor import Arrays, Eager, active, check, using
from haema.ops.core import Op

LARGEST = 1 << 56
"""Elements that no memory holds."""


class Tally(Eager):
    """An executor that computes small arrays, makes stand-ins for large ones, and counts.

    Attributes:
        arrays: How many arrays were asked for.
        bytes: How large those without values would have been together.
    """

    def __init__(self, real: Any, max_arrays: int, exact: int) -> None:
        super().__init__()
        self.real = real
        self.max_arrays = max_arrays
        self.exact = exact
        self.arrays = 0
        self.bytes = 0

    def run(self, op: Op, arrays: Arrays, params: dict[str, Any]) -> np.ndarray:
        """The result of ``op``, or something of its shape."""
        self._count()
        spec = check(op, arrays, params)
        if self._small(spec.shape, arrays):
            return self.real.run(op, arrays, params)
        return self._stand_in(spec.shape, spec.dtype, new=not op.shares)

    def update(self, op: Op, out: np.ndarray, arrays: Arrays, params: dict[str, Any]) -> None:
        """``op`` computed into ``out``, if that is small."""
        self._count()
        check(op, arrays, params)
        if self._small(out.shape, arrays):
            self.real.update(op, out, arrays, params)

    def fill(self, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with one value everywhere, or something of its shape."""
        self._count()
        return self.real.fill(value, shape, dtype) if self._small(shape, ()) else self._stand_in(shape, dtype)

    def constant(self, value: Any, dtype: np.dtype) -> np.ndarray:
        """A given value, which is there already."""
        return self.real.constant(value, dtype)

    def _small(self, shape: tuple[int, ...], arrays: Arrays) -> bool:
        return math.prod(shape) <= self.exact and all(a.size <= self.exact for a in arrays)

    def _stand_in(self, shape: tuple[int, ...], dtype: np.dtype, new: bool = True) -> np.ndarray:
        """An array of this shape in the memory of a single element."""
        if math.prod(shape) > LARGEST:
            raise ShapeError(f"an array of shape {shape} would be larger than any memory")
        y = as_strided(np.zeros((), dtype), shape, (0,) * len(shape))
        self.bytes += y.nbytes if new else 0
        return y

    def _count(self) -> None:
        self.arrays += 1
        if self.arrays > self.max_arrays:
            raise ShapeError(f"more than {self.max_arrays} arrays would be computed")


@contextlib.contextmanager
def shapes_only(max_arrays: int = 1_000_000, exact: int = 1024) -> Iterator[Tally]:
    """Run a program for its shapes in this thread; values of more than ``exact`` elements mean nothing inside.

    Args:
        max_arrays: After so many arrays it ends with an error, which bounds the time.
        exact: Number of elements up to which values are real.

    Raises:
        ShapeError: an array is larger than any memory could be, or there are too many.
    """
    tally = Tally(active(), max_arrays, exact)
    with using(tally):
        yield tally
