"""IDX files, the format of MNIST: a header of dimensions and then the numbers, all big-endian.

    byte 0, 1    zero
    byte 2       the type: 8 uint8, 9 int8, B int16, C int32, D float32, E float64
    byte 3       the number of dimensions d
    4 d bytes    the dimensions, unsigned 32-bit
    the rest     the values, last dimension fastest

Nothing is allocated on the word of a header: what it claims is compared with the bytes that are there.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, "The IDX file format".
"""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from haema.atomic import atomic_write
from haema.data.reading import reading
from haema.data.stored import Stored
from haema.errors import InputError

__all__ = ["find_pairs", "find_stored", "looks_like_idx", "partner", "read_idx", "write_idx"]

_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_NAME = re.compile(r"(?P<role>images|labels)[-._]?idx(?P<ndim>\d)([-._]ubyte)?(?P<gz>\.gz)?$", re.IGNORECASE)
_CHUNK = 1 << 24


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an IDX file, gzipped or not (told by its first bytes, not by its name).

    Returns:
        An array of the file's shape and type, in the machine's byte order.

    Raises:
        InputError: the file cannot be read, is no IDX file, is truncated, holds more or fewer bytes than its
            dimensions claim, or its gzip stream is damaged.
    """
    name = os.fspath(path)
    with reading(name), open(path, "rb") as raw:
        if not _zipped(raw):
            return _parse(raw, name)
        with gzip.GzipFile(fileobj=raw) as file:
            return _parse(file, name)


def find_stored(path: str | os.PathLike[str]) -> Stored | None:
    """Where in an IDX file its array lies; None where it is gzipped.

    Raises:
        InputError: as of `read_idx`.
    """
    name = os.fspath(path)
    with reading(name), open(path, "rb") as file:
        if _zipped(file):
            return None
        shape, dtype = _header(file, name)
        start = file.tell()
        found = os.fstat(file.fileno()).st_size - start
        _check_size(name, shape, dtype, found)
        return Stored(name, start, shape, dtype.newbyteorder("="))


def _zipped(file: BinaryIO) -> bool:
    start = file.read(2)
    file.seek(0)
    return start == b"\x1f\x8b"


def _header(file: BinaryIO | gzip.GzipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """What an IDX file says of its array."""
    magic = file.read(4)
    if not magic:
        raise InputError(f"{name} is empty, where an IDX file is right")
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise InputError(
            f"{name} is no IDX file: it begins with the bytes '{magic.hex(' ')}', where '00 00 08 03' "
            "(for images) or '00 00 08 01' (for labels), say, is right"
        )
    dtype, ndim = _TYPES[magic[2]], magic[3]
    header = file.read(4 * ndim)
    if len(header) < 4 * ndim:
        raise InputError(f"{name} is truncated: its header ends within its {ndim} dimensions")
    return struct.unpack(f">{ndim}I", header), dtype


def _check_size(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], found: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if found != claimed:
        size = " x ".join(map(str, shape))
        there = f"only {found} bytes follow" if found < claimed else "more bytes follow"
        raise InputError(f"{name} is damaged: its header claims {size} values, {claimed} bytes, but {there}")


def _parse(file: BinaryIO | gzip.GzipFile, name: str) -> np.ndarray:
    shape, dtype = _header(file, name)
    claimed = math.prod(shape) * dtype.itemsize
    parts, found = [], 0
    while found <= claimed:  # one byte more than claimed is enough to know that there are too many
        part = file.read(min(_CHUNK, claimed + 1 - found))
        if not part:
            break
        parts.append(part)
        found += len(part)
    _check_size(name, shape, dtype, found)
    try:
        values = np.frombuffer(b"".join(parts), dtype=dtype).reshape(shape)
    except ValueError as error:  # more dimensions than NumPy has, or, beside a 0, a product that overflows
        raise InputError(f"{name} is damaged: it claims the dimensions {shape} ({error})") from None
    return values.astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Writes an array as an IDX file, gzipped when the name ends in ``.gz``.

    Args:
        path: the file to write.
        array: uint8, int8, int16, int32, float32 or float64, of one to 255 dimensions.

    Raises:
        InputError: the format has no such type, or the array has no dimensions.
    """
    types = {dtype.newbyteorder("="): code for code, dtype in _TYPES.items()}
    code = types.get(array.dtype.newbyteorder("="))
    if code is None or array.ndim == 0:
        names = ", ".join(t.name for t in types)
        raise InputError(
            f"cannot write {os.fspath(path)}: an array of shape {array.shape} and type {array.dtype} "
            f"has no IDX form; one or more dimensions of {names} are right"
        )
    body = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    body += np.ascontiguousarray(array, dtype=_TYPES[code]).tobytes()
    with atomic_write(path) as file:
        file.write(gzip.compress(body, mtime=0) if os.fspath(path).endswith(".gz") else body)


def looks_like_idx(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is one by which IDX files of images or labels go."""
    return _NAME.search(os.path.basename(os.fspath(path))) is not None


def partner(path: Path) -> Path | None:
    """The file of labels beside a file of images, or the other way round; None where there is none."""
    found = _NAME.search(path.name)
    if found is None or not path.parent.is_dir():
        return None
    other = "labels" if found["role"].lower() == "images" else "images"
    prefix = path.name[: found.start()].lower()
    beside = []
    for p in path.parent.iterdir():
        match = _NAME.search(p.name)
        if match and (p.name[: match.start()].lower(), match["role"].lower()) == (prefix, other):
            beside.append(p)
    return min(beside, key=_unzipped_first, default=None)


def find_pairs(folder: Path) -> dict[str, Path]:
    """The image files of a folder by the part they hold.

    Returns:
        ``{"train": path, "test": path}``, either of which may be absent; a file whose name says neither
        counts as training data. Empty where the folder has no IDX files of images.

    Raises:
        InputError: several files claim to be the same part, or there are labels without images.
    """
    pairs: dict[str, Path] = {}
    labels = []
    for path in sorted(folder.iterdir(), key=_unzipped_first):
        found = _NAME.search(path.name)
        if found is None or not path.is_file():
            continue
        if found["role"].lower() == "labels":
            labels.append(path)
            continue
        part = "test" if re.search(r"t10k|test|valid", path.name[: found.start()], re.IGNORECASE) else "train"
        known = pairs.setdefault(part, path)
        if known.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            raise InputError(
                f"{folder} holds several files of {part} images, {known.name} and {path.name}; name the one you mean"
            )
    if labels and not pairs:
        expected = re.sub("labels", "images", labels[0].name, flags=re.IGNORECASE).replace("idx1", "idx3")
        raise InputError(f"{folder} holds {labels[0].name} but not the images that belong to it, {expected}")
    return pairs


def _unzipped_first(path: Path) -> tuple[bool, str]:
    """Sorts a file before its zipped twin, which takes longer to read."""
    return path.suffix.lower() == ".gz", path.name
