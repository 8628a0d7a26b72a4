"""Nested dicts and lists of numbers, strings and tensors, as JSON beside named tensors.

A tensor is written as {"$": "stored", "name": NAME}, an array as {"$": "stored array", "name": NAME}, where NAME is
its path in the nest ("optimizer.state.0.exp_avg"). The rest is as in `haema.nn.architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from haema.errors import HaemaError
from haema.nn.architecture import MAX_DEPTH, Builder, Describer
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["decode", "encode", "encode_notes"]


def encode(value: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """``value`` as JSON-able data, and the arrays it refers to by name.

    Raises:
        HaemaError: something in it is of a kind that cannot be written, or it contains itself.
    """
    encoder = _Encoder()
    return encoder.value(value, "", 0), encoder.arrays


def encode_notes(value: Any, where: str) -> Any:
    """``value`` as JSON-able data alone; small arrays are written out.

    Raises:
        HaemaError: something in it is of a kind that cannot be written, or it contains itself.
    """
    return _Notes().value(value, where, 0)


def decode(data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The value that ``encode`` wrote.

    Raises:
        InputError: it cannot be understood, or refers to an array that is not there.
    """
    return _Decoder(arrays).value(data, 0)


class _Notes(Describer):
    """Values without modules."""

    def module(self, module: Module, depth: int) -> dict[str, Any]:
        raise HaemaError(
            f"a {type(module).__name__} stands where plain values are right: take its state_dict(), or make it a part "
            "of the model"
        )


class _Encoder(_Notes):
    """Puts tensors aside under the names of the places where they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.arrays: dict[str, np.ndarray] = {}

    def value(self, x: Any, where: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise HaemaError(f"{where[:80]!r} is nested more than {MAX_DEPTH} levels deep, or contains itself")
        if isinstance(x, list):
            return [self.value(v, _join(where, i), depth + 1) for i, v in enumerate(x)]
        if isinstance(x, tuple):
            return {"$": "tuple", "items": [self.value(v, _join(where, i), depth + 1) for i, v in enumerate(x)]}
        if isinstance(x, Mapping):
            values = {k: self.value(v, _join(where, k), depth + 1) for k, v in x.items()}
            if all(isinstance(k, str) for k in x) and not {"$", "type"} & set(x):
                return values
            keys = [super(_Encoder, self).value(k, where, depth + 1) for k in x]
            return {"$": "dict", "items": [[k, v] for k, v in zip(keys, values.values(), strict=True)]}
        return super().value(x, where, depth)

    def special(self, x: Any, where: str) -> dict[str, Any] | None:
        if not isinstance(x, (Tensor, np.ndarray)):
            return super().special(x, where)
        array = x._data if isinstance(x, Tensor) else x
        if array.dtype.kind not in "biuf":
            return None
        name = stem = where.encode("utf-8", "replace").decode() or "value"
        count = 1
        while name in self.arrays or name == "__metadata__":
            count += 1
            name = f"{stem}#{count}"
        self.arrays[name] = array
        return {"$": "stored" if isinstance(x, Tensor) else "stored array", "name": name}


class _Decoder(Builder):
    """Finds tensors by name, and builds nothing."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__({})
        self.arrays = arrays

    def special(self, x: Mapping[str, Any], depth: int) -> Any:
        if x["$"] == "stored":
            return Tensor._wrap(self.arrays[x["name"]])
        if x["$"] == "stored array":
            return self.arrays[x["name"]]
        return super().special(x, depth)


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)
