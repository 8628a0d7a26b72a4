"""haema inspect: what is in a model file."""

from __future__ import annotations

import os
from typing import Any

from haema.cli.card import Card
from haema.cli.report import described, number
from haema.errors import HaemaError, InputError

__all__ = ["inspect", "listed"]


def inspect(path: str) -> list[Any]:
    """The parts of a report on a file: a model, a state dict, a checkpoint, or another program's tensors.

    Raises:
        InputError: the file is missing or damaged.
    """
    from haema.io.container import read_container

    contents = read_container(path)
    kind = (contents.content or {}).get("kind")
    size = os.path.getsize(path)
    head = f"{path}: {_bytes(size)}"
    if kind == "checkpoint":
        return [head, *_checkpoint(path)]
    if kind == "model":
        from haema import io

        return [head, *_model(io.load(path), path)]
    by = "written by haema" if kind == "state" else "not written by haema"
    return [head, f"  tensors without a network, {by}", "", *_tensors(contents.tensors)]


def listed(pictures: list[tuple[str, str]]) -> list[Any]:
    """A line for each picture: its path and what to look at."""
    width = max(len(path) for path, _ in pictures)
    return [f"{path:<{width}}  {words}" for path, words in pictures]


def _model(model: Any, path: str) -> list[Any]:
    notes = model.meta or {}
    parts: list[Any] = []
    card = None
    if "card" in notes:
        card = Card.of(model, path)
        parts += [
            f"  data       {card.source}: {described(card)}",
            f"  rows       {card.rows.get('training', 0):,} learned from, {card.rows.get('validation', 0):,} validated "
            f"with, {card.rows.get('test', 0):,} tested with",
        ]
        if card.classes:
            parts.append(f"  classes    {_listed(card.classes)}")
        if card.scores:
            shown = ", ".join(f"{k} {number(k, v)}" for k, v in card.scores.items())
            parts.append(f"  scores     {shown}")
    parts += _hyperparameters(notes.get("hyperparameters"))
    parts += _history(notes.get("history"))
    if isinstance(notes.get("haema"), str):
        parts.append(f"  written by haema {notes['haema'][:20]}")
    return [*parts, "", *_layers(model, card)]


def _layers(model: Any, card: Card | None) -> list[Any]:
    """The table of layers; without output shapes where it is not known what goes in."""
    from haema.nn import summary

    shape = None
    if card is not None:
        shape = card.shape or _width_of_table(model)
    if shape is None:
        total = sum(p.numel() for p in model.parameters())
        return [str(model), "", f"Parameters: {total:,}"]
    try:
        return [str(summary(model, tuple(shape), show=False))]
    except (HaemaError, TypeError, ValueError) as error:
        raise InputError(f"the network in this file does not take inputs of shape {shape}: {error}") from None


def _width_of_table(model: Any) -> tuple[int, ...] | None:
    from haema.train.sources import first_stage

    stage = first_stage(model)
    return (len(stage.names) + len(stage.sizes),) if hasattr(stage, "sizes") else None


def _hyperparameters(found: Any) -> list[str]:
    if not isinstance(found, dict):
        return []
    flat = ", ".join(f"{k} {v}" for k, v in found.items() if isinstance(v, (str, int, float)))
    return [f"  training   {flat}"]


def _history(found: Any) -> list[str]:
    """The last epoch and the best, where the notes hold a history."""
    values = found.get("values") if isinstance(found, dict) else None
    if not isinstance(values, dict) or not values:
        return []
    try:
        monitor, best = str(found["monitor"]), int(found["best_epoch"])
        count = max(len(v) for v in values.values())
        if not best or monitor not in values:
            return [f"  history    {count} epochs"]
        return [f"  history    {count} epochs; {monitor} was best in epoch {best}: {values[monitor][best - 1]:.4g}"]
    except (KeyError, TypeError, ValueError, IndexError):
        return []


def _checkpoint(path: str) -> list[str]:
    from haema import io

    state = io.load_checkpoint(path)
    epoch = state.get("epoch")
    parts = ["  a checkpoint of a training run, to go on with by --resume; `haema train` makes the model of it"]
    if isinstance(epoch, int):
        parts.append(f"  epoch      {epoch}")
    bond = state.get("identity", {})
    bond = bond.get("callbacks", {}).get("CommandLine", {}) if isinstance(bond, dict) else {}
    shown = ", ".join(f"{k} {v}" for k, v in bond.items() if v is not None)
    return [*parts, *([f"  options    {shown}"] if shown else [])]


def _tensors(tensors: dict[str, Any]) -> list[Any]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Tensor")
    table.add_column("Shape")
    table.add_column("Type")
    for name, x in tensors.items():
        table.add_row(Text(name), str(tuple(x.shape)), str(x.dtype))
    return [table, f"{sum(x.size for x in tensors.values()):,} numbers in {len(tensors)} tensors"]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{len(names)}: {shown}{f' and {len(names) - 20} more' if len(names) > 20 else ''}"


def _bytes(n: int) -> str:
    return f"{n:,} bytes" if n < 1 << 20 else f"{n / (1 << 20):,.1f} MiB"
