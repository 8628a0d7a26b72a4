"""Where a trainer's batches come from: rows in memory, a dataset's samples, or a loader's batches.

Rows in memory are taken by number: an epoch is one permutation, cut into an index array (steps, batch) and one
last smaller batch. Two other kinds serve data that is made or read as it is needed.

    Rows      arrays, tensors, tables, a TensorDataset
    Streamed  the same, where images stay in their files: slices of an epoch are in memory in turn
    Samples   any other Dataset: its samples are fetched by number and put together
    Stream    a DataLoader or another iterable of batches (x, y), gone through once per epoch
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from haema.creation import from_numpy
from haema.data.imagerows import ImageRows, update_digest
from haema.errors import InputError
from haema.random import Generator, randperm
from haema.tensor import Tensor
from haema.train.metrics import as_array

__all__ = ["Batch", "Rows", "Samples", "Source", "Stream", "Streamed", "cut", "first_stage", "input_arrays"]

Batch = tuple[tuple[Tensor, ...], Tensor, "Tensor | None", np.ndarray]
"""Inputs, what the loss gets, weights, and the truth for metrics."""

SLICE = 8 << 20
"""Bytes of decoded images, about, that are trained on while as many are being decoded."""


def cut(order: np.ndarray, batch_size: int, merge_single: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Row numbers in their order as batches.

    Args:
        order: Row numbers, (N,).
        batch_size: Rows per batch.
        merge_single: Let a last batch of a single row join the one before it, for batch normalisation has no
            variance of one row.

    Returns:
        (steps, batch_size) row numbers, and those of the last batch where the rows do not come out even.
    """
    steps, rest = divmod(len(order), batch_size)
    if merge_single and rest == 1 and steps:
        steps, rest = steps - 1, rest + batch_size
    full = order[: steps * batch_size].reshape(steps, batch_size)
    return full, order[steps * batch_size :] if rest else None


def first_stage(model: Any) -> Any:
    """The module that meets the data first: the first child of a Sequential, and so on down; else the model."""
    while type(model).__name__ == "Sequential" and len(model):
        model = next(iter(model.children()))
    return model


def input_arrays(x: Any, model: Any, name: str = "X") -> tuple[Any, ...]:
    """Inputs as arrays that the model takes, checked. A tuple means several inputs.

    A table goes through the ``prepare(table)`` of the model or its first stage, if it has one, and must else be of
    numbers. Images in files stay there. Fractional numbers become the type of the model's parameters; whole numbers
    stay what they are.

    Args:
        x: An array, tensor or table of N rows, or a tuple of them.
        model: The module.
        name: What the inputs are called in messages.

    Raises:
        InputError: there are no rows, inputs of different lengths, values that are no numbers or not finite.
    """
    prepare = getattr(model, "prepare", None) or getattr(first_stage(model), "prepare", None)
    parts: list[Any] = []
    for part in x if isinstance(x, tuple) else (x,):
        if hasattr(part, "columns"):
            part = _numbers_of_table(part, name) if prepare is None else prepare(part)
        parts += part if isinstance(part, tuple) else (part,)
    dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
    arrays: list[Any] = []
    for i, part in enumerate(parts):
        if isinstance(part, ImageRows):
            arrays.append(part)
            continue
        called = name if len(parts) == 1 else f"{name}[{i}]"
        a = _array(part, called)
        if a.dtype.kind == "f":
            if prepare is None:
                _check_finite(a, called)
            a = a.astype(dtype, copy=False)
        arrays.append(np.ascontiguousarray(a))
    if len({len(a) for a in arrays}) > 1:
        sizes = ", ".join(str(len(a)) for a in arrays)
        raise InputError(f"the inputs in {name} have {sizes} rows; equally many are right")
    return tuple(arrays)


def _array(values: Any, name: str) -> np.ndarray:
    try:
        a = as_array(values)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; give every row as many values") from None
    if a.dtype.kind not in "biuf":
        raise InputError(f"{name} is of type {a.dtype}, where numbers are right")
    if a.ndim == 0:
        raise InputError(f"{name} is the single number {a}; one row per sample is right")
    if a.size == 0:
        raise InputError(f"{name} is empty, of shape {a.shape}; one row or more are needed")
    if a.dtype.kind in "iu" and a.dtype not in (np.uint8, np.int32, np.int64):
        a = a.astype(np.int64)
    return a.astype(np.float32) if a.dtype == np.float16 else a


def _check_finite(a: np.ndarray, name: str) -> None:
    bad = np.argwhere(~np.isfinite(a))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        place = f"row {at[0]}" + (f", column {at[1]}" if len(at) == 2 else f", position {at[1:]}" if at[1:] else "")
        raise InputError(f"{name} holds {a[at]} in {place}, where a finite number is right")


def _numbers_of_table(frame: Any, name: str) -> np.ndarray:
    for column in frame.columns:
        if not (hasattr(frame[column].dtype, "kind") and frame[column].dtype.kind in "biuf"):
            raise InputError(
                f"column {str(column)!r} of {name} holds no numbers, and the model has no first stage such as "
                "nn.PrepareTable"
            )
    a = frame.to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(a))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{name} holds {a[row, column]} in row {row}, column {str(frame.columns[column])!r}, "
            "where a finite number is right"
        )
    return a


class Source:
    """Batches for an epoch."""

    length: int
    """Rows; 0 if not known beforehand."""

    def batches(self, batch_size: int, shuffle: bool, merge_single: bool = False) -> Iterator[Batch]:
        """The batches of one epoch."""
        raise NotImplementedError(f"{type(self).__name__} defines no batches")

    def count(self, batch_size: int, merge_single: bool = False) -> int | None:
        """How many batches an epoch has, if that is known."""
        full, last = cut(np.arange(self.length), batch_size, merge_single)
        return len(full) + (last is not None)

    def fingerprint(self) -> str:
        """A text that differs where the data does."""
        raise NotImplementedError(f"{type(self).__name__} defines no fingerprint")

    def generators(self) -> list[Generator]:
        """Random generators of its own that decide what an epoch looks like."""
        return []


class Rows(Source):
    """Rows in memory.

    Args:
        x: Inputs, each (N, ...).
        y: What the loss gets, (N, ...).
        truth: What metrics compare with, (N, ...).
        w: Weights, (N,), or None.
    """

    def __init__(self, x: tuple[Any, ...], y: np.ndarray, truth: np.ndarray, w: np.ndarray | None) -> None:
        self.x: tuple[Any, ...] = tuple(a if isinstance(a, ImageRows) else from_numpy(a) for a in x)
        self.y = from_numpy(np.ascontiguousarray(y))
        self.w = None if w is None else from_numpy(w)
        self.truth = truth
        self.length = len(truth)

    def order(self, batch_size: int, shuffle: bool, merge_single: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """The row numbers of an epoch: an index array (steps, batch_size), and those of the last smaller batch."""
        numbers = randperm(self.length).numpy() if shuffle else np.arange(self.length)
        return cut(numbers, batch_size, merge_single)

    def take(self, rows: np.ndarray) -> Batch:
        """The batch of some row numbers."""
        index = from_numpy(rows)
        w = None if self.w is None else self.w.index_select(0, index)
        x = tuple(a.index_select(0, index) for a in self.x)
        return x, self.y.index_select(0, index), w, self.truth[rows]

    def slices(self, batches: np.ndarray) -> Iterator[tuple[Rows, np.ndarray]]:
        """The given batches, (steps, batch) row numbers, as rows in memory and batches of their numbers there."""
        if len(batches):
            yield self, batches

    def batches(self, batch_size: int, shuffle: bool, merge_single: bool = False) -> Iterator[Batch]:
        for some in self.order(batch_size, shuffle, merge_single):
            if some is not None:
                for held, index in self.slices(np.atleast_2d(some)):
                    yield from map(held.take, index)

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for x in (*self.x, self.y, *(() if self.w is None else (self.w,))):
            update_digest(digest, x if isinstance(x, ImageRows) else x.numpy())
        return digest.hexdigest()


class Streamed(Rows):
    """Rows with images that stay in their files; arguments as of `Rows`.

    All slices but those of another batch size are arrays of one shape, so that one program does for them.
    """

    def slices(self, batches: np.ndarray) -> Iterator[tuple[Rows, np.ndarray]]:
        steps, batch = batches.shape
        row = sum(a.nbytes // len(a) for a in self.x if isinstance(a, ImageRows))
        rows = batch * max(1, min(steps, SLICE // max(1, batch * row)))
        order = batches.reshape(-1)
        streams = [a.parts(rows, order) if isinstance(a, ImageRows) else None for a in self.x]
        for start in range(0, len(order), rows):
            some = order[start : start + rows]
            full = np.resize(some, rows)  # the last slice is filled up with rows that no batch names
            x = tuple(
                a.numpy()[full] if stream is None else _filled(next(stream), rows)
                for a, stream in zip(self.x, streams, strict=True)
            )
            w = None if self.w is None else self.w.numpy()[full]
            yield Rows(x, self.y.numpy()[full], self.truth[full], w), np.arange(len(some)).reshape(-1, batch)

    def take(self, rows: np.ndarray) -> Batch:
        ((held, index),) = self.slices(rows[None])
        return held.take(index[0])


def _filled(part: np.ndarray, rows: int) -> np.ndarray:
    if len(part) == rows:
        return part
    full = np.zeros((rows, *part.shape[1:]), part.dtype)
    full[: len(part)] = part
    return full


class Samples(Source):
    """The samples (x, y) of a dataset, fetched by number.

    Args:
        dataset: Has a length and numbered samples.
        encode: Turns the collated parts of a sample into a batch.
    """

    def __init__(self, dataset: Any, encode: Callable[[Any], Batch]) -> None:
        self.dataset, self.encode = dataset, encode
        self.length = len(dataset)
        if self.length == 0:
            raise InputError(f"the {type(dataset).__name__} is empty; one sample or more are needed")

    def batches(self, batch_size: int, shuffle: bool, merge_single: bool = False) -> Iterator[Batch]:
        from haema.data import default_collate

        numbers = randperm(self.length).numpy() if shuffle else np.arange(self.length)
        full, last = cut(numbers, batch_size, merge_single)
        for rows in (*full, *(() if last is None else (last,))):
            yield self.encode(default_collate([self.dataset[int(i)] for i in rows]))

    def fingerprint(self) -> str:
        return f"{type(self.dataset).__name__} of {self.length} samples"


class Stream(Source):
    """The batches (x, y) of a loader; it alone decides about their size and order.

    Args:
        loader: Goes through an epoch each time it is iterated over.
        encode: Turns what it gives into a batch.
    """

    def __init__(self, loader: Any, encode: Callable[[Any], Batch]) -> None:
        if iter(loader) is loader:
            raise InputError(
                f"X is a {type(loader).__name__}, which can be gone through only once; a DataLoader is right"
            )
        self.loader, self.encode = loader, encode
        self.length = 0

    def batches(self, batch_size: int, shuffle: bool, merge_single: bool = False) -> Iterator[Batch]:
        for given in self.loader:
            yield self.encode(given)

    def count(self, batch_size: int, merge_single: bool = False) -> int | None:
        return len(self.loader) if hasattr(self.loader, "__len__") else None

    def fingerprint(self) -> str:
        size = self.count(1)
        return f"{type(self.loader).__name__} of {'unknown length' if size is None else f'{size} batches'}"

    def generators(self) -> list[Generator]:
        found: list[Generator] = []
        for holder in (self.loader, getattr(self.loader, "sampler", None), getattr(self.loader, "dataset", None)):
            own = getattr(holder, "generator", None)
            if isinstance(own, Generator) and all(own is not g for g in found):
                found.append(own)
        return found
