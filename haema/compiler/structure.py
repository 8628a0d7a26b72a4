"""Arguments and results as trees: nested tuples, lists and dicts of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from haema.creation import from_numpy
from haema.errors import HaemaError
from haema.tensor import Tensor


def flatten(tree: Any, leaves: list[Any]) -> Any:
    """The structure of nested tuples, lists and dicts, as something hashable; tensors and arrays go to ``leaves``."""
    if isinstance(tree, Tensor):
        leaves.append(tree)
        return Tensor
    if isinstance(tree, np.ndarray):
        leaves.append(from_numpy(tree))
        return Tensor
    if type(tree) is float:
        return "float", tree.hex()  # so that 0.0 is not -0.0, and nan is itself
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(flatten(x, leaves) for x in tree)
    if isinstance(tree, dict):
        return dict, tuple((k, flatten(x, leaves)) for k, x in tree.items())
    try:
        hash(tree)
    except TypeError:
        raise HaemaError(
            f"a compiled function takes tensors, numbers, texts, and tuples, lists and dicts of them, not a "
            f"{type(tree).__name__}"
        ) from None
    return "value", type(tree), tree


def unflatten(structure: Any, leaves: Iterator[Any]) -> Any:
    """The tree again, with its tensors taken from ``leaves``."""
    if structure is Tensor:
        return next(leaves)
    kind, *rest = structure
    if kind == "value":
        return rest[1]
    if kind == "float":
        return float.fromhex(rest[0])
    if kind is dict:
        return {k: unflatten(x, leaves) for k, x in rest[0]}
    items = [unflatten(x, leaves) for x in rest[0]]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
