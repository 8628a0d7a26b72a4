"""Pooling into a given number of windows that cover the image evenly, however large it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from haema import dtypes, ops
from haema.errors import ShapeError
from haema.functions import reductions
from haema.nn.functional._common import batched, need_floating, row_major, unbatched
from haema.nn.functional.pooling import Axis, larger, largest_along, places
from haema.tensor import Tensor


def _targets(name: str, x: Tensor, n: int, output_size: Any) -> tuple[int, ...]:
    """The output size per axis, where None keeps that of the input."""
    sizes = [output_size] * n if isinstance(output_size, int) or output_size is None else list(output_size)
    if len(sizes) != n or any(s is not None and s < 0 for s in sizes):
        raise ValueError(f"{name}: output_size must be one size or {n}, not {output_size!r}")
    need_floating(name, x)
    result = tuple(x.shape[2 + i] if s is None else int(s) for i, s in enumerate(sizes))
    if any(x.shape[2 + i] == 0 for i in range(n)):
        raise ShapeError(f"{name}: an input of shape {tuple(x.shape)} has nothing to pool")
    return result


def _bounds(length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where window i of an adaptive pooling starts and stops: floor(i L / n), ceil((i + 1) L / n)."""
    i = np.arange(count)
    return i * length // count, -(-(i + 1) * length // count)


def _adaptive_avg(name: str, n: int, input: Tensor, output_size: Any) -> Tensor:
    x, had_batch = batched(name, input, n)
    targets = _targets(name, x, n, output_size)
    if all(t == 1 for t in targets):
        return unbatched(reductions.mean(x, tuple(range(2, 2 + n)), True), had_batch)
    for axis, count in enumerate(targets, 2):
        length = x.shape[axis]
        if count == length:
            continue
        start, stop = _bounds(length, count)
        cells = np.arange(length)
        inside = (cells >= start[:, None]) & (cells < stop[:, None])
        mean = x._constant(inside / np.maximum(stop - start, 1)[:, None], x.dtype)  # (count, length)
        labels = "".join("l" if a == axis else "abcde"[a] for a in range(x.ndim))
        x = ops.contract(x, mean, spec=f"{labels},ol->{labels.replace('l', 'o')}")
    return unbatched(x, had_batch)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of ``output_size`` windows of (N, C, L); see ``adaptive_avg_pool2d``."""
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of windows that cover the image evenly, however large it is.

        window i of n on an axis of length L: floor(i L / n) up to but without ceil((i + 1) L / n)

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: n, for both axes or for each; None keeps the size of an axis.

    Returns:
        (N, C, *output_size).
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_max(name: str, n: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    x, had_batch = batched(name, input, n)
    targets = _targets(name, x, n, output_size)
    index = places(x, n) if return_indices else None
    for i in reversed(range(n)):
        axis, count, length = 2 + i, targets[i], x.shape[2 + i]
        if count and length % count == 0:
            even = Axis(length, length // count, length // count, 0, 1, count)
            x, index = largest_along(x, index, axis, even)
            continue
        start, stop = _bounds(length, count)
        best: tuple[Tensor, Tensor | None] | None = None
        for j in range(int((stop - start).max(initial=1))):  # a short window sees its last cell again
            cell = x._constant(np.minimum(start + j, stop - 1), dtypes.int64)
            here = (x.index_select(axis, cell), None if index is None else index.index_select(axis, cell))
            best = here if best is None else larger(best, here)
        assert best is not None
        x, index = row_major(best[0]), None if best[1] is None else row_major(best[1])
    y = unbatched(x, had_batch)
    return y if index is None else (y, unbatched(index, had_batch))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest value of each of ``output_size`` windows of (N, C, L)."""
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of windows that cover the image evenly; windows as in ``adaptive_avg_pool2d``."""
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)
