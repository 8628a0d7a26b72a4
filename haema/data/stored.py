"""Arrays that lie uncompressed in a file, as in IDX and in NPZ files, read row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from haema.data.decoding import portion_size
from haema.data.reading import reading
from haema.errors import InputError

__all__ = ["Stored", "StoredImages", "axes_of_images"]


@dataclass(frozen=True)
class Stored:
    """Where in a file an array lies, row-major.

    Fields:
        path: The file.
        offset: Bytes before the first value.
        shape, dtype: Of the array; the file is known to hold so many values.
    """

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Of all values."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def axes_of_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...] | None:
    """Which axes of an array are the channels, rows and columns of images; 0 for a channel that it has no axis for.

    None where it holds no images, by the rule at the head of `haema.data.arrays`.
    """
    if dtype != np.uint8 or 0 in shape[1:]:
        return None
    if len(shape) == 3:
        return 0, 1, 2
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        return 3, 1, 2
    if len(shape) == 4 and shape[1] in (1, 3):
        return 1, 2, 3
    return None


class StoredImages:
    """The images of a stored array, as `haema.data.ImageRows` reads them.

    Attributes:
        shape: (C, H, W) of each.
    """

    def __init__(self, stored: Stored) -> None:
        axes = axes_of_images(stored.shape, stored.dtype)
        assert axes is not None
        self.stored, self._axes = stored, axes
        self.shape = tuple(stored.shape[a] if a else 1 for a in axes)

    def __len__(self) -> int:
        return self.stored.shape[0]

    def read(self, rows: np.ndarray, ahead: int) -> Iterator[np.ndarray]:
        """The images of some row numbers in portions, (n, C, H, W); while one is used, the next is read.

        Raises:
            InputError: the file has become shorter, or cannot be read any more.
        """
        n = portion_size(int(np.prod(self.shape)))
        some = [rows[i : i + n] for i in range(0, len(rows), n)]
        with (
            reading(self.stored.path),
            open(self.stored.path, "rb") as file,
            ThreadPoolExecutor(1, "reading") as thread,
        ):
            following = [thread.submit(self._portion, file.fileno(), part) for part in some[:1]]
            for part in (*some[1:], None):
                x = following.pop().result()
                if part is not None:
                    following.append(thread.submit(self._portion, file.fileno(), part))
                yield x

    def _portion(self, file: int, rows: np.ndarray) -> np.ndarray:
        size, start = int(np.prod(self.shape)), self.stored.offset
        x = np.empty((len(rows), size), np.uint8)
        for i, row in enumerate(rows.tolist()):
            content = os.pread(file, size, start + row * size)
            if len(content) < size:
                raise InputError(
                    f"{self.stored.path} has become shorter; leave the files as they are while they are used"
                )
            x[i] = np.frombuffer(content, np.uint8)
        x = x.reshape(len(rows), *self.stored.shape[1:])
        return x[:, None] if len(self.stored.shape) == 3 else x.transpose(0, *self._axes)
