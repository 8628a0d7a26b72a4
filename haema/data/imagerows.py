"""Images that stay in their files, and are read when they are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from haema.data.decoding import PORTION, Decoders, Portion, portion_size
from haema.errors import InputError

__all__ = [
    "ImageFiles", "ImageRows", "channel_moments", "digests_of", "moments_of", "rows_in_parts", "select",
    "update_digest",
]  # fmt: skip

_NONE = np.empty((0, 8), np.uint8)
"""Digests of no images."""


class ImageSource(Protocol):
    """Where images are: files of one each, or one file with all of them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of each."""
        ...

    def read(self, rows: np.ndarray, ahead: int) -> Iterator[np.ndarray]:
        """The images of some row numbers, uint8, some at a time, (n, C, H, W).

        Args:
            rows: The row numbers.
            ahead: Portions that may be read before they are asked for.
        """
        ...


class ImageFiles:
    """Image files, one for each image.

    Args:
        paths: The files, (N,) of objects.
        size: H and W, to which an image of another size is resized.
        channels: C, 1 or 3.
        decoders: What decodes.
    """

    def __init__(self, paths: np.ndarray, size: tuple[int, int], channels: int, decoders: Decoders) -> None:
        self.paths, self.shape, self._decoders = paths, (channels, *size), decoders

    def read(self, rows: np.ndarray, ahead: int) -> Iterator[np.ndarray]:
        """As of `ImageSource`.

        Raises:
            InputError: an image has become unreadable.
        """
        paths, at = self.paths[rows].tolist(), 0
        channels, height, width = self.shape
        for portion in self._decoders.decode(paths, (height, width), channels, ahead=ahead):
            x = _whole(portion, paths, at)
            at += len(x)
            yield x.transpose(0, 3, 1, 2)  # (n, H, W, C) -> (n, C, H, W)


class ImageRows:
    """Images in files as an array (N, C, H, W) of more bytes than memory has; a slice of it is an array in memory.

    ``haema.data.load`` makes it where the images would not fit, after it has read every file once: so all of them are
    known to be whole.

    Args:
        source: where the images are.
        rows: the numbers of the images there, (N,) int64.
        moments: the sum of each image's pixels and of their squares, (N, 2, C) int64.
        digests: a few bytes that tell each image from others, (N, 8) uint8.
        dtype: what the pixels, from 0 to 255, are given as; default uint8.
    """

    def __init__(
        self, source: ImageSource, rows: np.ndarray, moments: np.ndarray, digests: np.ndarray, dtype: Any = np.uint8
    ) -> None:
        self.source, self.rows, self.moments, self.digests = source, rows, moments, digests
        self.shape = (len(rows), *source.shape)
        self.dtype = np.dtype(dtype)

    @classmethod
    def of(cls, source: ImageSource, count: int) -> ImageRows:
        """The first ``count`` images of a source, all of which this reads once."""
        rows, moments, digests = np.arange(count), [np.empty((0, 2, source.shape[0]), np.int64)], [_NONE]
        for part in source.read(rows, ahead=8):
            moments.append(moments_of(part))
            digests.append(digests_of(part))
        return cls(source, rows, np.concatenate(moments), np.concatenate(digests))

    @property
    def ndim(self) -> int:
        return 4

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """What it would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"ImageRows({' x '.join(map(str, self.shape))}, {self.dtype}, in files)"

    def __getitem__(self, index: Any) -> np.ndarray:
        """The images of some row numbers, or of one, in memory; further indices are an array's."""
        rows, *rest = index if isinstance(index, tuple) else (index,)
        numbers = np.arange(len(self))[rows]
        some = np.atleast_1d(numbers)
        x = next(self.parts(len(some), some)) if len(some) else np.empty((0, *self.shape[1:]), self.dtype)
        x = x[0] if np.ndim(numbers) == 0 else x
        return x[(slice(None),) * np.ndim(numbers) + tuple(rest)] if rest else x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def select(self, rows: Any) -> ImageRows:
        """Some of the rows, still in their files."""
        return ImageRows(self.source, self.rows[rows], self.moments[rows], self.digests[rows], self.dtype)

    def astype(self, dtype: Any, copy: bool = False) -> ImageRows:
        """The same with its pixels as another type."""
        other = self.select(slice(None))
        other.dtype = np.dtype(dtype)
        return other

    def parts(self, rows: int, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """So many images at a time, (rows, C, H, W); the last time what is left.

        While one part is used, the next is read.

        Args:
            rows: images in a part.
            order: the row numbers; default: all in turn.

        Raises:
            InputError: an image has become unreadable.
        """
        numbers = self.rows if order is None else self.rows[order]
        portions = self.source.read(numbers, ahead=4 + rows // portion_size(self.size // max(1, len(self))))
        left, at = np.empty((0, *self.shape[1:]), np.uint8), 0  # read and not given yet; given or in `part`
        while at < len(numbers):
            part = np.empty((min(rows, len(numbers) - at), *self.shape[1:]), self.dtype)
            held = 0
            while held < len(part):
                if not len(left):
                    left = next(portions)
                some = left[: len(part) - held]
                part[held : held + len(some)] = some
                left, held, at = left[len(some) :], held + len(some), at + len(some)
            yield part


def _whole(portion: Portion, paths: list[str], at: int) -> np.ndarray:
    """The pixels of a portion, (n, H, W, C), that begins with ``paths[at]``.

    Raises:
        InputError: an image of it is broken by now.
    """
    assert portion.x is not None
    for i, reason in portion.broken.items():
        raise InputError(
            f"the image {paths[at + i]} cannot be read any more ({reason}); leave the files as they are while they "
            "are used"
        )
    return portion.x


def select(x: Any, rows: Any) -> Any:
    """Some rows of an array, or of images in files."""
    return x.select(rows) if isinstance(x, ImageRows) else x[rows]


def rows_in_parts(x: Any, rows: int) -> Iterator[np.ndarray]:
    """So many rows of an array at a time, or of images in files."""
    if isinstance(x, ImageRows):
        yield from x.parts(rows)
        return
    for start in range(0, len(x), rows):
        yield np.ascontiguousarray(x[start : start + rows])


def moments_of(x: np.ndarray) -> np.ndarray:
    """The sum of each image's pixels and of their squares, channel by channel: (N, C, H, W) uint8 -> (N, 2, C)."""
    flat = x.reshape(len(x), x.shape[1], -1)
    wide = flat.astype(np.uint32)
    return np.stack([wide.sum(axis=2), np.square(wide).sum(axis=2)], axis=1).astype(np.int64)


def channel_moments(x: Any) -> np.ndarray:
    """The sums of all images' pixels and of their squares, channel by channel: (N, C, H, W) uint8 -> (2, C) int64."""
    if isinstance(x, ImageRows):
        return x.moments.sum(axis=0)
    rows = max(1, PORTION * len(x) // max(x.size, 1))
    parts = (moments_of(part).sum(axis=0) for part in rows_in_parts(x, rows))
    return sum(parts, start=np.zeros((2, x.shape[1]), np.int64))


def digests_of(x: np.ndarray) -> np.ndarray:
    """Eight bytes for each image, (N, 8) uint8."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1)
    found = b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in rows)
    return np.frombuffer(found, np.uint8).reshape(-1, 8)


def update_digest(digest: Any, x: Any) -> None:
    """Add an array to a digest: images image by image, so that those in files need not be read anew."""
    if isinstance(x, ImageRows) or (x.dtype == np.uint8 and x.ndim == 4):
        rows = x.digests if isinstance(x, ImageRows) else digests_of(x)
        digest.update(f"{x.dtype.str}{x.shape}".encode() + rows.tobytes())
    else:
        digest.update(f"{x.dtype.str}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
