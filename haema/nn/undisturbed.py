"""Looking at a module without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haema.random import get_rng_state, set_rng_state

if TYPE_CHECKING:
    from haema.nn.module import Module

__all__ = ["undisturbed"]


@contextmanager
def undisturbed(model: Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards modes, buffers and random state are as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(module, name, b, None if b is None else b.detach().clone())
               for module in model.modules() for name, b in module._buffers.items()]  # fmt: skip
    state = get_rng_state()
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, values in buffers:
            module._buffers[name] = buffer
            if buffer is not None and values is not None and buffer._data.tobytes() != values._data.tobytes():
                buffer.data.copy_(values)
        set_rng_state(state)
