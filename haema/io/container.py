"""The file: safetensors, with JSON in its header.

    8 bytes    length n of the header
    n bytes    {"__metadata__": {"haema": "CHECKSUM CONTENT"}, NAME: {"dtype", "shape", "data_offsets"}, ...}
    the rest   the tensors' bytes, one after the other, little endian

CONTENT is a JSON object with the format's version, the kind of file and what that kind has to say; CHECKSUM is the
SHA-256 of CONTENT, of the tensors' names, dtypes and shapes, and of their bytes. A file without the entry "haema",
as other programs write them, holds tensors and nothing else.

Reading trusts nothing: lengths are compared with the bytes that are there before anything is made of them, and no
part of a file is ever run.

Source: https://github.com/huggingface/safetensors (format).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from haema import dtypes
from haema.atomic import atomic_write
from haema.errors import HaemaError, InputError
from haema.tensor import Tensor

__all__ = ["FORMAT", "Contents", "read_container", "write_container"]

FORMAT = 1
"""Version of the format written, and the newest that is read."""

MAX_HEADER = 100_000_000
"""Bytes a header may have, as in the safetensors library."""

_NAMES = {"bool": "BOOL", "uint8": "U8", "int32": "I32", "int64": "I64", "float32": "F32", "float64": "F64"}
_STORED = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in _NAMES.items()}
_WIDENED: dict[str, tuple[str, np.dtype]] = {  # types that tensors do not have, and what holds their values exactly
    "I8": ("<i1", dtypes.int32),
    "I16": ("<i2", dtypes.int32),
    "U16": ("<u2", dtypes.int32),
    "U32": ("<u4", dtypes.int64),
    "F16": ("<f2", dtypes.float32),
}


class Contents(NamedTuple):
    """What is in a file.

    Attributes:
        tensors: Arrays by name.
        content: The JSON object in its header; None in a file that another program wrote.
    """

    tensors: dict[str, np.ndarray]
    content: dict[str, Any] | None


def write_container(path: str | os.PathLike[str], tensors: Mapping[str, Any], content: dict[str, Any]) -> None:
    """Write ``tensors`` (or arrays) and ``content`` to ``path``, which is replaced in one go or not at all.

    Raises:
        InputError: the place cannot be written to.
        HaemaError: a name or a dtype that cannot be stored.
    """
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    for name, x in tensors.items():
        array = np.asarray(x._data if isinstance(x, Tensor) else x)
        if not isinstance(name, str) or name == "__metadata__" or not _is_utf8(name):
            raise HaemaError(f"cannot write {os.fspath(path)}: {name!r} cannot be the name of a tensor")
        if array.dtype.name not in _NAMES:
            raise HaemaError(
                f"cannot write {os.fspath(path)}: {name!r} has dtype {array.dtype}; {', '.join(_NAMES)} can be stored"
            )
        arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    digest = _digest(text, [(n, _NAMES[a.dtype.name], list(a.shape), _stored_bytes(a)) for n, a in arrays.items()])
    data = save(arrays, metadata={"haema": f"{digest} {text}"})
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise HaemaError(
            f"cannot write {os.fspath(path)}: its header would be larger than the {MAX_HEADER} bytes that may be read"
        )
    with atomic_write(path) as file:
        file.write(data)


def read_container(path: str | os.PathLike[str]) -> Contents:
    """What is in the file at ``path``.

    Raises:
        InputError: there is no such file, or it is damaged, or no such file, or of a newer format.
    """
    where = os.fspath(path)
    data = _bytes_of(where)
    text = _header(where, data)
    entries = _tensors(where, data)
    tensors = {name: _array(where, name, entry) for name, entry in entries}
    content = None
    if text is not None:
        digest, _, text = text.partition(" ")
        parts = [(name, e["dtype"], list(e["shape"]), e["data"]) for name, e in entries]
        if digest != _digest(text, parts):
            raise InputError(f"{where} is damaged: its contents do not have the checksum that was written with them")
        content = _content(where, text)
    return Contents(tensors, content)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _stored_bytes(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _digest(text: str, parts: list[tuple[str, str, list[int], Any]]) -> str:
    """SHA-256 of the content and of all tensors in the order of their names."""
    total = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name, dtype, shape, data in sorted(parts, key=lambda p: p[0]):
        total.update(json.dumps([name, dtype, shape]).encode())
        total.update(data)
    return total.hexdigest()


def _bytes_of(where: str) -> bytes:
    """The bytes of a regular file whose header is no longer than the file."""
    try:
        with open(where, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{where} is no regular file, where a model or tensor file is right")
            start = file.read(8)
            _check_length(where, start, status.st_size)
            return start + file.read()
    except FileNotFoundError:
        raise InputError(f"there is no file {where}") from None
    except IsADirectoryError:
        raise InputError(f"{where} is a folder, where a model or tensor file is right") from None
    except MemoryError:
        raise InputError(f"{where} does not fit into memory") from None
    except OSError as error:
        raise InputError(f"{where} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where!r} cannot be the name of a file: {error}") from None


def _check_length(where: str, start: bytes, size: int) -> None:
    if size == 0:
        raise InputError(f"{where} is empty")
    if len(start) < 8:
        raise InputError(f"{where} is no safetensors file: it has {size} bytes, and the shortest possible has 10")
    length = int.from_bytes(start, "little")
    if length > min(MAX_HEADER, size - 8) and start[:2] in (b"PK", b"\x80\x02"):  # a zip file, a pickle
        raise InputError(
            f"{where} is no safetensors file; weights of PyTorch are saved with safetensors.torch.save_file"
        )
    if length > MAX_HEADER:
        raise InputError(
            f"{where} is no safetensors file: its first 8 bytes announce a header of {length} bytes, and at most "
            f"{MAX_HEADER} are allowed"
        )
    if length > size - 8:
        raise InputError(
            f"{where} is cut short or no safetensors file: it announces a header of {length} bytes, and after the "
            f"announcement it has {size - 8}"
        )


def _header(where: str, data: bytes) -> str | None:
    """The entry "haema" of the header, if any; the header is checked as JSON."""
    length = int.from_bytes(data[:8], "little")
    header = _json(where, data[8 : 8 + length])
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise InputError(f"{where} is damaged: the metadata in its header is no dict")
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(n) is int for n in offsets)):
            raise InputError(f"{where} is damaged: its header does not say where {name[:80]!r} lies")
        end = max(end, offsets[1])
    if end > len(data) - 8 - length:
        raise InputError(
            f"{where} is cut short: its header speaks of {end} bytes of tensors, and {len(data) - 8 - length} are there"
        )
    text = metadata.get("haema")
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where} is damaged: the entry 'haema' of its header is no text")
    return text


def _json(where: str, text: str | bytes) -> dict[str, Any]:
    """A JSON object without keys given twice, without nan, and not too deep."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [k for k, _ in pairs]
            twice = next(k for k in names if names.count(k) > 1)
            raise InputError(f"{where} is damaged: its header has the key {twice[:80]!r} twice")
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        found = json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is damaged: its header is nested too deep") from None
    except ValueError as error:
        raise InputError(f"{where} is damaged or no safetensors file: its header is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise InputError(f"{where} is damaged or no safetensors file: its header is no JSON object")
    return found


def _tensors(where: str, data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The tensors' entries, checked by the safetensors library."""
    from safetensors import SafetensorError, deserialize

    try:
        return deserialize(data)
    except SafetensorError as error:
        raise InputError(f"{where} is damaged or no safetensors file: {error}") from None


def _array(where: str, name: str, entry: dict[str, Any]) -> np.ndarray:
    """A tensor's own array, of a type that tensors have."""
    stored, shape, raw = entry["dtype"], tuple(entry["shape"]), entry["data"]
    if stored in _STORED:
        if stored == "BOOL" and raw.translate(None, b"\0\1"):
            raise InputError(f"{where} is damaged: the boolean tensor {name[:80]!r} has bytes other than 0 and 1")
        array = np.frombuffer(raw, _STORED[stored]).reshape(shape)
        return array.astype(array.dtype.newbyteorder("="))
    if stored in _WIDENED:
        dtype, wide = _WIDENED[stored]
        return np.frombuffer(raw, dtype).reshape(shape).astype(wide)
    if stored == "BF16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(shape)
    raise InputError(f"{where}: the tensor {name[:80]!r} has type {stored}, which haema has no place for")


def _content(where: str, text: str) -> dict[str, Any]:
    content = _json(where, text)
    version = content.get("format")
    if type(version) is not int or version < 1 or not isinstance(content.get("kind"), str):
        raise InputError(f"{where} is damaged: its header does not say which format it has")
    if version > FORMAT:
        raise InputError(
            f"{where} has format {version}, and this haema reads formats up to {FORMAT}; a newer haema wrote it, and "
            "can read it"
        )
    return content
