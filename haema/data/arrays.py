"""Arrays as data: in memory or in an NPZ file. What is an image, what is a table of numbers.

The rule: uint8 of three axes is N grey images (N, H, W), and of four axes N images either (N, C, H, W) or
(N, H, W, C), where C is 1 or 3; where both could be meant it is (N, C, H, W). Everything else is ``arrays``
and keeps its shape. Types that tensors do not have become the next larger one that they do.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from haema.data.reading import reading
from haema.data.stored import Stored, axes_of_images
from haema.errors import InputError, suggest

__all__ = ["as_features", "as_labels", "read_npz"]

_HEADERS: dict[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_WIDER = {"i1": "i4", "i2": "i4", "i8": "i8", "u2": "i4", "u4": "i8", "u8": "i8", "f2": "f4", "f16": "f8"}
# In order of preference: the names under which people store inputs, labels and their test parts.
_X = ("x_train", "train_x", "train_images", "x", "data", "images", "features", "inputs", "arr_0")
_Y = ("y_train", "train_y", "train_labels", "y", "target", "targets", "label", "labels", "arr_1")
_X_TEST = ("x_test", "test_x", "test_images", "x_val", "x_valid")
_Y_TEST = ("y_test", "test_y", "test_labels", "y_val", "y_valid")


def as_features(x: Any, name: str) -> tuple[str, np.ndarray]:
    """Inputs as one of the two kinds that arrays come in.

    Args:
        x: (N, ...), anything NumPy makes an array of numbers of.
        name: what it is called in messages.

    Returns:
        ``"images"`` with x as (N, C, H, W) uint8, or ``"arrays"`` with x in a type that tensors have.

    Raises:
        InputError: not numbers, no axes, an axis of size 0 in a row, or values that are not finite.
    """
    array = _numbers(x, name)
    if array.ndim == 0:
        raise InputError(f"{name} is the single number {array}, where one row per sample is right")
    if 0 in array.shape[1:]:
        raise InputError(f"{name} has shape {array.shape}; one or more values per row are right")
    axes = axes_of_images(array.shape, array.dtype)
    if axes is not None:
        return "images", array[:, None] if array.ndim == 3 else np.ascontiguousarray(array.transpose(0, *axes))
    if array.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            at = ", ".join(map(str, bad[0]))
            raise InputError(f"{name}[{at}] is {array[tuple(bad[0])]}, where a finite number is right")
    return "arrays", array


def as_labels(y: Any, name: str, rows: int, x_name: str) -> np.ndarray:
    """A target as (N,) of any plain type, or (N, K) numbers.

    Raises:
        InputError: its rows are not as many as the inputs', it has another shape, or it has holes.
    """
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.dtype.kind != "f"):
        raise InputError(
            f"{name} has shape {array.shape} and type {array.dtype}; one label per row, (n,), "
            "or fractional numbers (n, k) are right"
        )
    if len(array) != rows:
        raise InputError(f"{name} has {len(array)} rows, where {x_name} has {rows}; one per sample is right")
    if array.dtype.kind == "O":
        hole = next((i for i, v in enumerate(array) if v is None or v != v), None)
        if hole is not None:
            raise InputError(f"{name}[{hole}] is {array[hole]}, where a label is right")
        array = np.array([v if isinstance(v, str) else str(v) for v in array])
    if array.dtype.kind in "iub":
        return array
    if array.dtype.kind in "US":
        return array.astype(str)
    if array.dtype.kind != "f":
        raise InputError(f"{name} is of type {array.dtype}, where numbers, booleans or texts are right")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = ", ".join(map(str, bad[0]))
        raise InputError(f"{name}[{at}] is {array[tuple(bad[0])]}, where a finite number is right")
    return array.astype(np.float64)


def read_npz(
    path: str | os.PathLike[str], target: str | None = None, stays: Callable[[Stored | None], bool] | None = None
) -> dict[str, tuple[np.ndarray | Stored, str, np.ndarray | None, str]]:
    """The parts of an NPZ file, found by the names of its arrays (whatever their case).

    Args:
        path: the file.
        target: the name of the array of labels, where it is not one of the usual.
        stays: whether inputs that lie so in the file are left there; it gets None for those that are compressed.
            Default: none are.

    Returns:
        ``{"train": (x, its key, y or None, its key)}`` and, where there is one, a ``"test"`` part likewise.

    Raises:
        InputError: the file cannot be read or is damaged, holds Python objects, has no array
            ``target`` or none under a usual name for inputs; the message names the arrays that it has.
    """
    name = os.fspath(path)
    try:
        with reading(name), zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(archive, member, name)
        with np.load(path, allow_pickle=False) as stored:
            keys = {k.lower(): k for k in stored.files}
            parts = {
                "train": (_find(keys, _X), _find(keys, _Y)),
                "test": (_find(keys, _X_TEST), _find(keys, _Y_TEST)),
            }
            if target is not None:
                if target not in stored.files:
                    raise InputError(f"{name} has no array {target!r}; {suggest(target, stored.files)}")
                parts["train"] = (parts["train"][0], target)
            if parts["train"][0] is None:
                parts = {"train": parts["test"]}
            found = {
                part: (_kept(name, x, stays) or stored[x], x, None if y is None else stored[y], y or "")
                for part, (x, y) in parts.items()
                if x is not None
            }
            if not found:
                there = f"the arrays {', '.join(map(repr, stored.files))}" if stored.files else "no arrays"
                raise InputError(
                    f"{name} holds {there}, where inputs called 'x' (or 'x_train') and labels called 'y' are right"
                )
            return found
    except InputError:
        raise
    except Exception as error:  # whatever the parsers of zip files and of headers meet in a damaged one
        raise InputError(f"{name} is no NPZ file or damaged ({error}); write it with numpy.savez") from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    """Compares what an array's header claims with the bytes there are, before anything is allocated."""
    key = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = _HEADERS.get(version)
        if read_header is None:
            raise InputError(f"{key!r} in {name} is not an array of plain numbers or texts")
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            raise InputError(
                f"{key!r} in {name} holds Python objects, which are not loaded because that could run code; "
                "store plain numbers or texts"
            )
        claimed = math.prod(shape) * dtype.itemsize
        there = member.file_size - file.tell()
    # Deflate shrinks a thousandfold at most, so a size beyond that is itself only a claim.
    if claimed != there or member.file_size > 2000 * (member.compress_size + 100):
        raise InputError(f"{key!r} in {name} is damaged: it claims {claimed} bytes that are not there")


def _kept(name: str, key: str, stays: Callable[[Stored | None], bool] | None) -> Stored | None:
    """Where an array lies, if it is to stay there."""
    if stays is None:
        return None
    with zipfile.ZipFile(name) as archive, open(name, "rb") as file:
        members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
        found = _place(file, members[key], name)
        if not stays(found):
            return None
        with archive.open(members[key]) as content:  # to the end, where its checksum is compared
            while content.read(1 << 20):
                pass
        return found


def _place(file: BinaryIO, member: zipfile.ZipInfo, name: str) -> Stored | None:
    """Where an array lies; None where it is compressed, or its first axis varies fastest."""
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    file.seek(member.header_offset + 26)
    file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)  # past the name and what else is said of it
    version = np.lib.format.read_magic(file)
    shape, by_columns, dtype = _HEADERS[version](file)
    return None if by_columns else Stored(name, file.tell(), shape, dtype)


def _find(keys: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((keys[n] for n in names if n in keys), None)


def _numbers(x: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(x)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; give every row as many values") from None
    if array.dtype.kind not in "iufb":
        raise InputError(f"{name} is of type {array.dtype}, where numbers are right")
    wider = _WIDER.get(array.dtype.str[1:])
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name} holds {array.max()}, where numbers below 2**63 are right")
    return array.astype(wider) if wider else array.astype(array.dtype.newbyteorder("="), copy=False)
