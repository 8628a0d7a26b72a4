"""Reverse-mode differentiation: the tape, the walk back along it, and a check against finite differences.

Each operation on a tensor that requires a gradient leaves a ``Record``: which primitive, which inputs, and just
those values that the primitive's derivative reads. A record knows the records its inputs came from, so records form
a graph that points backwards. ``backward`` visits them from the youngest to the oldest. A record is always younger
than those it points to, so when its turn comes, all that flows into it has arrived.
"""

from typing import Any

from haema.autograd.backward import backward, grad, walk
from haema.autograd.gradcheck import gradcheck, gradgradcheck
from haema.autograd.tape import (
    Keep,
    Record,
    RemovableHandle,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
    source,
)

_LAZY = ("function", "functional")
"""Rooms that need the functions of tensors, which need this one."""


def __getattr__(name: str) -> Any:
    import importlib

    if name == "Function":
        return importlib.import_module("haema.autograd.function").Function
    if name in _LAZY:
        return importlib.import_module(f"haema.autograd.{name}")
    raise AttributeError(f"module 'haema.autograd' has no attribute {name!r}")
