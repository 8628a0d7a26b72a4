"""Samplers: in what order the samples of a dataset are visited, as in torch.utils.data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from haema import dtypes
from haema.errors import InputError
from haema.random import Generator, randint, randperm, uniform
from haema.tensor import Tensor

__all__ = ["BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "WeightedRandomSampler"]


class Sampler:
    """Numbers of samples (or lists of them) in the order of a visit: subclasses define ``__iter__``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__, the samples' numbers")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} defines no __len__, the number of its samples")


class SequentialSampler(Sampler):
    """0, 1, 2, ... in order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Samples in random order, drawn anew for each visit.

    Args:
        data_source: the dataset, of N samples.
        replacement: whether a sample may come again before all others have come; default False.
        num_samples: how many are drawn; default N. More than N without replacement begin another round.
        generator: where the numbers come from; default: haema's own generator.

    Raises:
        InputError: ``num_samples`` is not positive.
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if num_samples is not None and num_samples <= 0:
            raise InputError(f"RandomSampler: num_samples is {num_samples}; a positive number is right")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many samples a visit draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, left = len(self.data_source), self.num_samples
        if self.replacement and n:
            yield from randint(n, (left,), generator=self.generator).tolist()
            return
        while left > 0 and n > 0:
            round_ = randperm(n, generator=self.generator).tolist()[:left]
            yield from round_
            left -= len(round_)

    def __len__(self) -> int:
        return self.num_samples


class WeightedRandomSampler(Sampler):
    """Samples drawn with probability proportional to their weights, as to balance rare classes.

    With replacement by inverting the running sum of the weights; without, as the largest values of u^(1/w).

    Args:
        weights: one per sample, not negative, (N,); they need not sum to 1.
        num_samples: how many are drawn.
        replacement: whether a sample may come again; default True.
        generator: where the numbers come from; default: haema's own generator.

    Raises:
        InputError: the weights are not of shape (N,), negative, not finite or all zero; ``num_samples`` is
            not positive, or without replacement more than there are weights above zero.

    Source: P. Efraimidis, P. Spirakis (2006), Weighted random sampling with a reservoir, section 2.
    """

    def __init__(
        self,
        weights: Sequence[float] | np.ndarray | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        plain = weights.detach() if isinstance(weights, Tensor) else weights
        values = np.asarray(plain, dtype=np.float64)
        if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.any():
            raise InputError(
                f"WeightedRandomSampler: weights of shape {values.shape} are not one finite number per "
                "sample, none negative and some positive"
            )
        if num_samples <= 0:
            raise InputError(f"WeightedRandomSampler: num_samples is {num_samples}; 1 or more is right")
        positive = int((values > 0).sum())
        if not replacement and num_samples > positive:
            raise InputError(
                f"WeightedRandomSampler: num_samples is {num_samples}, but without replacement only "
                f"{positive} samples have a weight above zero"
            )
        self.weights = values
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        n = self.num_samples if self.replacement else len(self.weights)
        u = uniform((n,), dtype=dtypes.float64, generator=self.generator).numpy()
        if self.replacement:
            ends = np.cumsum(self.weights)
            chosen = np.searchsorted(ends, u * ends[-1], side="right")
            return iter(np.minimum(chosen, np.flatnonzero(self.weights)[-1]).tolist())  # u * sum may round up
        with np.errstate(divide="ignore"):  # log(0) = -inf comes last; so does weight 0
            keys = np.log(u) / self.weights
        keys[self.weights == 0] = -np.inf
        keys[(self.weights > 0) & np.isneginf(keys)] = np.finfo(np.float64).min
        return iter(np.argsort(-keys, kind="stable")[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Some of the samples in random order, drawn anew for each visit.

    Args:
        indices: their numbers.
        generator: where the order comes from; default: haema's own generator.

    Source: PyTorch, torch.utils.data.SubsetRandomSampler.
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = list(indices)
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        return (int(self.indices[i]) for i in RandomSampler(self.indices, generator=self.generator))

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler):
    """Lists of ``batch_size`` numbers from another sampler.

    Args:
        sampler: where the numbers come from.
        batch_size: how many make a batch.
        drop_last: leave out a last batch that is not full.

    Raises:
        InputError: ``batch_size`` is not a positive whole number.
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size <= 0:
            raise InputError(f"batch_size is {batch_size!r}; a positive whole number is right")
        self.sampler = sampler
        self.batch_size = int(batch_size)
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return full + (rest > 0 and not self.drop_last)
