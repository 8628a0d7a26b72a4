"""An optimizer by name, class, instance or function."""

from __future__ import annotations

import inspect
from typing import Any

from haema.errors import InputError, suggest

__all__ = ["make_optimizer", "optimizer_settings"]


def _known() -> dict[str, Any]:
    """The optimizers of ``haema.optim`` by name."""
    from haema import optim

    base = optim.Optimizer
    found = {n: c for n, c in vars(optim).items() if inspect.isclass(c) and issubclass(c, base) and c is not base}
    return {n: found[n] for n in sorted(found)}


def make_optimizer(optimizer: Any, model: Any, lr: float | None = None) -> Any:
    """The optimizer that is meant, over the parameters of ``model`` that are to be learned.

    Args:
        optimizer: A name such as "adam" (capitals do not matter), a class of ``haema.optim``, a function of the
            parameters that returns an optimizer, or an optimizer.
        model: The module to be learned.
        lr: Learning rate; default: the optimizer's own.

    Raises:
        InputError: the name is unknown, there is nothing to learn, ``lr`` is given for an optimizer that has its
            own, or the optimizer holds parameters of another model.
    """
    from haema import optim

    learned = [p for p in model.parameters() if p.requires_grad]
    if not learned:
        raise InputError(f"the model {type(model).__name__} has no parameters that are to be learned")
    if isinstance(optimizer, optim.Optimizer):
        if lr is not None:
            raise InputError("lr is given beside an optimizer that has its own learning rate; set it there")
        own = {id(p) for p in model.parameters()}
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if not any(id(p) in own for p in held):
            raise InputError("the optimizer holds no parameter of this model; make it from model.parameters()")
        return optimizer
    if isinstance(optimizer, str):
        by_name = {n.lower().replace("_", ""): c for n, c in _known().items()}
        made = by_name.get(optimizer.lower().replace("_", "").replace("-", ""))
        if made is None:
            raise InputError(f"optimizer is {optimizer!r}, which is unknown; {suggest(optimizer, _known())}")
        optimizer = made
    if not callable(optimizer):
        raise InputError(
            f"optimizer is of type {type(optimizer).__name__}; a name, a class of haema.optim or an optimizer is right"
        )
    return optimizer(learned) if lr is None else optimizer(learned, lr=lr)


def optimizer_settings(optimizer: Any) -> dict[str, Any]:
    """The settings of an optimizer's groups as plain data: one dict, or with several groups a list of them."""
    groups = [
        {k: _plain(v) for k, v in group.items() if k != "params" and not k.startswith("initial_")}
        for group in optimizer.param_groups
    ]
    return {"name": type(optimizer).__name__, **(groups[0] if len(groups) == 1 else {"groups": groups})}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str):
        return value.item()
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
