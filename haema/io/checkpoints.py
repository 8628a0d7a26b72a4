"""The state of a training run in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from haema.errors import InputError
from haema.io.container import FORMAT, read_container, write_container
from haema.io.values import decode, encode

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(checkpoint: Mapping[Any, Any], path: str | os.PathLike[str]) -> None:
    """Write a nested dict to a safetensors file, from which it comes back equal to the last bit.

    Args:
        checkpoint: Dicts, lists and tuples of tensors, arrays, numbers, strings, booleans and None.
        path: Where to; an existing file is replaced, in one go.

    Raises:
        HaemaError: something in it is of another kind, or it contains itself.
        InputError: the place cannot be written to.
        TypeError: it is no dict.
    """
    if not isinstance(checkpoint, Mapping):
        raise TypeError(f"save_checkpoint takes a dict, not a {type(checkpoint).__name__}")
    value, arrays = encode(checkpoint)
    write_container(path, arrays, {"format": FORMAT, "kind": "checkpoint", "value": value})


def load_checkpoint(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """The dict that ``save_checkpoint`` wrote to ``path``.

    Raises:
        InputError: the file is missing, damaged, of a newer format, or no checkpoint.
    """
    where = os.fspath(path)
    tensors, content = read_container(path)
    if content is None or content["kind"] != "checkpoint":
        what = "was not written by haema" if content is None else f"holds a {content['kind'][:40]}"
        raise InputError(f"{where} {what} and is no checkpoint of a training run")
    try:
        value = decode(content.get("value"), tensors)
    except InputError as error:
        raise InputError(f"{where} cannot be loaded: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{where} cannot be loaded: it holds a {type(value).__name__}, where a dict is right")
    return value
