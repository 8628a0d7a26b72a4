"""DataLoader: mini-batches of a dataset."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from haema.data.collate import default_collate, default_convert
from haema.data.dataset import Subset, TensorDataset
from haema.data.samplers import BatchSampler, RandomSampler, SequentialSampler
from haema.errors import InputError
from haema.random import Generator

__all__ = ["DataLoader"]


class DataLoader:
    """Iterates over a dataset in mini-batches; each ``for`` loop is one epoch.

    A TensorDataset (or a Subset of one) is taken a batch at a time; other datasets a sample at a time, whose
    parts ``collate_fn`` then puts together.

    Args:
        dataset: anything with ``__getitem__`` and ``__len__``, of N samples.
        batch_size: samples per batch; default 1. None gives the samples themselves.
        shuffle: visit the samples in random order, drawn anew for each epoch; default False.
        sampler: the order of the samples, instead of ``shuffle``.
        batch_sampler: lists of samples, instead of ``batch_size``, ``shuffle``, ``sampler``, ``drop_last``.
        num_workers: threads that fetch samples ahead; 0 (default) fetches them in the calling thread.
            Batches come in the same order with any number; samples that draw random numbers should draw
            them from generators of their own.
        pin_memory: whether a GPU could read the batches where they are; there is none, and nothing changes.
        collate_fn: makes a batch from a list of samples; default ``default_collate``.
        drop_last: leave out a last batch that is not full; default False.
        generator: where the order comes from; default: haema's own generator.

    Raises:
        InputError: arguments exclude each other, or ``batch_size`` or ``num_workers`` makes no sense.

    Source: PyTorch, torch.utils.data.DataLoader.

    Example::

        for x, y in DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True):
            ...
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: Generator | None = None,
        pin_memory: bool = False,
    ) -> None:
        if num_workers < 0:
            raise InputError(f"DataLoader: num_workers is {num_workers}; 0 or a number of threads is right")
        if sampler is not None and shuffle:
            raise InputError("DataLoader: sampler and shuffle=True exclude each other; give one of them")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise InputError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise InputError("DataLoader: drop_last needs a batch_size, which is None")
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.generator = generator

    def __len__(self) -> int:
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        wanted: Iterator[Any] = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        if self.num_workers == 0:
            return map(self._fetch, wanted)
        return self._fetch_ahead(wanted)

    def _fetch(self, wanted: Any) -> Any:
        """The batch of a list of samples, or the sample of a number."""
        if self.batch_sampler is None:
            return (self.collate_fn or default_convert)(self.dataset[wanted])
        if self.collate_fn is None and _takes_batches(self.dataset):
            return list(self.dataset[np.asarray(wanted, dtype=np.int64)])
        return (self.collate_fn or default_collate)([self.dataset[i] for i in wanted])

    def _fetch_ahead(self, wanted: Iterator[Any]) -> Iterator[Any]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.num_workers) as pool:
            ahead = deque(pool.submit(self._fetch, w) for w in islice(wanted, 2 * self.num_workers))
            try:
                while ahead:
                    batch = ahead.popleft().result()
                    ahead.extend(pool.submit(self._fetch, w) for w in islice(wanted, 1))
                    yield batch
            finally:
                for left in ahead:
                    left.cancel()


def _takes_batches(dataset: Any) -> bool:
    """Whether indexing with an array of numbers gives the batch that collating the samples would."""
    if type(dataset) is Subset:
        return _takes_batches(dataset.dataset)
    return type(dataset) is TensorDataset
