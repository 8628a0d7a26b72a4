"""Datasets: things with a length and numbered samples, as in torch.utils.data."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from haema.creation import as_tensor
from haema.errors import InputError, ShapeError
from haema.random import Generator, randperm
from haema.tensor import Tensor

__all__ = ["ConcatDataset", "Dataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """Samples by number; subclasses define ``__getitem__`` and ``__len__``. ``a + b`` joins two."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__, the sample of a number")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} defines no __len__, the number of samples")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Samples that are the rows of tensors: sample i is ``(a[i], b[i], ...)``.

    An array of numbers takes all those rows at once, which is how ``DataLoader`` makes a batch of it.

    Args:
        *tensors: tensors or arrays with equally many rows, (N, ...). Arrays share their memory.

    Raises:
        InputError: there are no tensors.
        ShapeError: a tensor has no rows, or another number of them than the first.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise InputError("TensorDataset: it was given no tensors; one or more are needed")
        self.tensors: tuple[Tensor, ...] = tuple(as_tensor(t) for t in tensors)
        if any(t.ndim == 0 or len(t) != len(self.tensors[0]) for t in self.tensors):
            shapes = ", ".join(str(tuple(t.shape)) for t in self.tensors)
            raise ShapeError(f"TensorDataset: tensors of shapes {shapes} do not have equally many rows")

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """Some samples of a dataset, in the order of ``indices``.

    Args:
        dataset: the whole.
        indices: numbers of samples.
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (list, np.ndarray)):
            return self.dataset[np.asarray(self.indices)[index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one after the other.

    Args:
        datasets: one or more.

    Raises:
        InputError: there are none.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise InputError("ConcatDataset: it was given no datasets; one or more are needed")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        """Sample ``index``; negative numbers count from the end.

        Raises:
            IndexError: there is no such sample.
        """
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"ConcatDataset: there is no sample {index} among {n}")
        index %= n
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset]:
    """Divides a dataset into random parts. For parts that keep the classes' proportions see ``split``.

    Args:
        dataset: the whole, of N samples.
        lengths: either whole numbers that sum to N, or fractions that sum to 1; part k of fractions gets
            floor(N f_k) samples, and the first parts one more each until none are left.
        generator: where the order comes from; default: haema's own generator.

    Returns:
        One Subset per length.

    Raises:
        InputError: the lengths are negative, or sum to neither.
    """
    n = len(dataset)
    if any(length < 0 for length in lengths):
        raise InputError(f"random_split: the lengths are {list(lengths)}; none may be negative")
    total = sum(lengths)
    if math.isclose(total, 1) and any(isinstance(f, float) for f in lengths):
        sizes = [math.floor(n * f) for f in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    elif total == n and all(length == int(length) for length in lengths):
        sizes = [int(length) for length in lengths]
    else:
        raise InputError(
            f"random_split: the lengths {list(lengths)} sum to {total:g}, where whole numbers that sum to "
            f"{n} (the samples) or fractions that sum to 1 are right"
        )
    order = randperm(n, generator=generator).numpy()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
