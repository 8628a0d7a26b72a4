"""Models and state dicts in files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from haema.devices import device
from haema.errors import HaemaError, InputError
from haema.io.checkpoints import load_checkpoint, save_checkpoint
from haema.io.container import FORMAT, read_container, write_container
from haema.io.values import decode, encode_notes
from haema.nn.architecture import build, describe
from haema.nn.module import Module
from haema.random import get_rng_state, set_rng_state
from haema.shapes import shapes_only
from haema.tensor import Tensor

__all__ = ["load", "load_state_dict", "save"]

Path = str | os.PathLike[str]


def save(model: Module | Mapping[str, Any], path: Path, meta: Mapping[str, Any] | None = None) -> None:
    """Write a model, a state dict, or a nested dict of such, to a safetensors file.

    Of a model the file holds the architecture (module classes and the arguments of their constructors), the
    parameters and buffers, and free notes. The tensors have the names of ``state_dict()``, so PyTorch reads the file
    with ``safetensors.torch.load_file``.

    Args:
        model: A module, or a dict of names and tensors; or a dict of dicts, lists, tensors, numbers and strings, as
            `haema.io.save_checkpoint` takes it.
        path: Where to; an existing file is replaced, in one go.
        meta: Notes to go with it (class names, hyperparameters): numbers, strings, lists, dicts. Those in
            ``model.meta`` are saved in any case, and these added to them.

    Raises:
        HaemaError: the model cannot be built again from its constructors' arguments, for instance because a layer
            was exchanged by assignment; or a note, a tensor or something in the dict cannot be written.
        InputError: the place cannot be written to.
        TypeError: ``model`` is neither a module nor a dict, or notes are to go with a nested dict.

    Example::

        hm.save(model, "model.safetensors", meta={"classes": ["cat", "dog"]})
        model = hm.load("model.safetensors")
    """
    content: dict[str, Any] = {"format": FORMAT, "kind": "model"}
    if isinstance(model, Module):
        tensors: Mapping[str, Any] = model.state_dict()
        content["architecture"] = describe(model)
        _check_rebuilds(model, content["architecture"], tensors)
        notes = {**(model.meta or {}), **(meta or {})}
    elif isinstance(model, Mapping):
        if not all(isinstance(name, str) and isinstance(x, (Tensor, np.ndarray)) for name, x in model.items()):
            if meta is not None:
                raise TypeError("save: notes go with a model or a dict of tensors; put them into the nested dict")
            save_checkpoint(model, path)
            return
        tensors = model
        content["kind"] = "state"
        notes = dict(meta or {})
    else:
        raise TypeError(f"save takes a module or a dict of names and tensors, not a {type(model).__name__}")
    if notes:
        content["meta"] = encode_notes(notes, "meta")
    write_container(path, tensors, content)


def load(path: Path, classes: Iterable[type] = (), *, map_location: Any = None, weights_only: bool = True) -> Any:
    """The model that ``save`` wrote to ``path``, in evaluation mode; or the dict, if it wrote one.

    Nothing in the file is run. Only haema's own modules are built, classes registered with ``@hm.register``, and
    those in ``classes``. Before a model is built it is made sure that the file has all its tensors.

    Args:
        path: The file.
        classes: Module classes of your own that the model consists of.
        map_location: "cpu".
        weights_only: False asks for nothing more: what is loaded is the same.

    Returns:
        The module, whose ``meta`` are the notes saved with it.

    Raises:
        InputError: the file is missing, damaged, of a newer format, not written by haema, or names a class that is
            not known.
        HaemaError: ``map_location`` names another device.
    """
    if map_location is not None:
        device(map_location)
    where = os.fspath(path)
    classes = list(classes)
    tensors, content = read_container(path)
    if content is None:
        raise InputError(
            f"{where} was not written by haema and holds no model; its tensors are read by haema.io.load_state_dict"
        )
    if content["kind"] == "state":
        return {name: Tensor._wrap(x) for name, x in tensors.items()}
    if content["kind"] == "checkpoint":
        return load_checkpoint(path)
    if content["kind"] != "model":
        raise InputError(f"{where} holds a {content['kind'][:40]} and no model")
    try:
        meta = decode(content["meta"], {}) if "meta" in content else None
        if meta is not None and not isinstance(meta, dict):
            raise InputError(f"its notes are a {type(meta).__name__}, where a dict is right")
        model = _build(content.get("architecture"), tensors, classes)
    except InputError as error:
        raise InputError(f"{where} cannot be loaded: {error}") from None
    model.meta = meta
    return model.eval()


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file by name, whoever wrote it.

    Types that haema does not have become the next wider one: float16 and bfloat16 float32, int8 and int16 int32.

    Args:
        path: A file written by ``hm.save``, or by ``safetensors.torch.save_file``.

    Raises:
        InputError: the file is missing, damaged, or holds a type that no tensor has.
    """
    return {name: Tensor._wrap(x) for name, x in read_container(path).tensors.items()}


def _specs(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _difference(made: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """In words, how the tensors that a model is made with differ from those that are there."""
    for name, shape in _specs(made).items():
        if name not in there:
            return f"the tensor {name[:80]!r} is missing"
        found = tuple(there[name].shape)
        if found != shape:
            return f"the tensor {name[:80]!r} has shape {found}, and the architecture asks for {shape}"
    extra = next((name for name in there if name not in made), None)
    return None if extra is None else f"the tensor {extra[:80]!r} has no place in the architecture"


def _check_rebuilds(model: Module, architecture: dict[str, Any], tensors: Mapping[str, Any]) -> None:
    """Make sure that a file of ``model`` could be loaded.

    Raises:
        HaemaError: it could not.
    """
    classes = {type(m).__name__: type(m) for m in model.modules()}.values()
    state = get_rng_state()
    try:
        with shapes_only():
            problem = _difference(build(architecture, classes).state_dict(), tensors)
    except InputError as error:
        problem = str(error)
    finally:
        set_rng_state(state)
    if problem is not None:
        raise HaemaError(
            f"this {type(model).__name__} cannot be saved as a model, for its constructors and their arguments do not "
            f"make it again: {problem}; save model.state_dict() instead, or let the constructor make all of it"
        )


def _build(architecture: Any, tensors: dict[str, np.ndarray], classes: list[type]) -> Module:
    """The model with its tensors, made only once its size is known to be that of the tensors."""
    stored = sum(x.nbytes for x in tensors.values())
    state = get_rng_state()
    try:
        with shapes_only(max_arrays=10_000 + 1000 * len(tensors)) as tally:
            problem = _difference(build(architecture, classes).state_dict(), tensors)
        if problem is not None:
            raise InputError(problem)
        if tally.bytes > (1 << 26) + 64 * stored:
            raise InputError(f"it asks for {tally.bytes} bytes of memory, and its tensors have {stored}")
        model = build(architecture, classes)
        model.load_state_dict({name: Tensor._wrap(x) for name, x in tensors.items()}, assign=True)
    finally:
        set_rng_state(state)
    return model
