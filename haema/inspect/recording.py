"""Listening to the layers of a model while something goes through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from haema.errors import InputError
from haema.nn import activation, conv, dropout, linear, normalization, padding, pooling, preprocessing, shape
from haema.nn.augmentation._common import Augmentation
from haema.nn.augmentation.mixing import Mixing
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["kind", "record", "stages", "type_of"]

Note = Callable[[str, Module, Tensor], None]

_KINDS = {
    conv: "convolution",
    linear: "dense",
    activation: "activation",
    pooling: "pooling",
    normalization: "normalization",
    dropout: "same",
    padding: "same",
    shape: "same",
    preprocessing: "preprocessing",
}
"""A layer's kind by the file that its class is in; "same" are those that change no value in evaluation mode."""


def kind(layer: Module) -> str:
    """ "convolution", "dense", "activation", "pooling", "normalization", "preprocessing", "same" or "other"."""
    if isinstance(layer, (linear.Identity, conv.Unfold, conv.Fold, Augmentation, Mixing)):
        return "same"
    files = {cls.__module__ for cls in type(layer).__mro__}
    return next((name for file, name in _KINDS.items() if file.__name__ in files), "other")


def stages(model: Module) -> list[str]:
    """The layers whose outputs are worth a look: convolutions, dense layers, activations, pooling, and those of yours.

    They have no modules below them. Left out are normalisation, and what changes no value in evaluation mode or only
    prepares the input: augmentation, dropout, padding, reshaping, standardising.

    Args:
        model: Any module.

    Returns:
        Dotted names in the order of definition.
    """
    left_out = ("same", "normalization", "preprocessing")
    return [name for name, layer in _leaves(model) if kind(layer) not in left_out]


def type_of(model: Module, name: str) -> str:
    """The class of the layer whose output `record` calls ``name``."""
    layers = dict(model.named_modules())
    base, _, number = name.rpartition("_")
    found = layers.get(name, layers.get(base if number.isdigit() else "", model))
    return type(found).__name__


def record(model: Module, x: Any, note: Note, layers: Sequence[str] | None = None) -> Any:
    """Send x through the model and call ``note(name, layer, output)`` after each call of a layer.

    Args:
        model: Any module.
        x: Its input.
        note: Gets the dotted name of the layer, the layer and its output. Later outputs of a layer that is called
            several times have names with ``_1``, ``_2`` and so on behind, as in torchvision's feature extraction.
        layers: Dotted names of the layers to listen to; default: all that have no modules below them.

    Returns:
        The model's output.

    Raises:
        InputError: there is no such layer.
    """
    chosen = dict(_leaves(model)) if layers is None else {name: _layer(model, name) for name in layers}
    names = {id(layer): name for name, layer in chosen.items()}
    taken = set(dict(model.named_modules()))
    calls: dict[str, int] = {}

    def after(layer: Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        name = names[id(layer)] or type(layer).__name__
        while True:
            count = calls.get(name, 0)
            calls[name] = count + 1
            unique = f"{name}_{count}" if count else name
            if not count or unique not in taken:
                break
        note(unique, layer, output)

    handles = [layer.register_forward_hook(after) for layer in chosen.values()]
    try:
        return model(x)
    finally:
        for handle in handles:
            handle.remove()


def _leaves(model: Module) -> list[tuple[str, Module]]:
    return [(name, layer) for name, layer in model.named_modules() if not any(True for _ in layer.children())]


def _layer(model: Module, name: str) -> Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise InputError(f"layers names {name!r}: {error}") from None
