"""The choice of a plan for the data at hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

from haema import nn
from haema.data import Data
from haema.dtypes import PRECISIONS
from haema.errors import InputError, suggest
from haema.models import MODELS as NETWORKS
from haema.models.common import LEAST
from haema.nn.preprocessing import PrepareTable, Standardize
from haema.train.plans.images import MOST_PIXELS, image_plan
from haema.train.plans.plan import Plan, check_size, effort, head

__all__ = ["MODELS", "RECIPES", "plan_for"]

MODELS = {
    "mlp": "multi-layer perceptron",
    "cnn": NETWORKS["cnn"].summary,
    "linear": "a single layer: logistic or linear regression",
    "table": "smooth and stepwise networks, several of each, for tables",
    **{name: entry.summary for name, entry in NETWORKS.items()},
}
"""What may be asked for by name."""

RECIPES = {
    "default": "trains within minutes",
    "best": "takes several times as long, and is a little more accurate; for images",
}
TINY_IMAGE = 16
"""Grey images up to this many pixels a side are for an MLP."""


def plan_for(
    data: Data,
    model: str | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    recipe: str | None = None,
    precision: str | None = None,
) -> Plan:
    """The plan for some training rows.

    Args:
        data: The training part, with its target.
        model: A name of ``MODELS``; default: by the table at the head of this package.
        epochs, lr, batch_size: Choices to be kept; default: the plan's own.
        recipe: A name of ``RECIPES``; default: "default".
        precision: Of the products in compiled steps, "float32" or "bf16"; default: the plan's own.

    Raises:
        InputError: the data has no target or does not suit the model, or a choice is out of its range.
    """
    if data.y is None or data.task is None:
        raise InputError(f"{data.source} has no target to learn")
    if model is not None and model not in MODELS:
        raise InputError(f"model is {model!r}, which is unknown; {suggest(model, MODELS)}")
    if recipe is not None and recipe not in RECIPES:
        raise InputError(f"recipe is {recipe!r}, which is unknown; {suggest(recipe, RECIPES)}")
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, which is unknown; {suggest(precision, PRECISIONS)}")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; a whole number from 1 upwards is right")
    if lr is not None and not 0 < lr < math.inf:
        raise InputError(f"lr is {lr}; a positive number such as 0.001 is right")
    plan = _tables(data, model) if data.kind == "table" else _arrays(data, model, recipe or "default", precision)
    if recipe == "best" and plan.recipe != "best":
        raise InputError(
            f"recipe 'best' is for convolutional networks on images, and {data.source} is for model {plan.model!r}; "
            "leave it out"
        )
    return replace(
        plan,
        epochs=plan.epochs if epochs is None else epochs,
        lr=plan.lr if lr is None else lr,
        batch_size=plan.batch_size if batch_size is None else batch_size,
        precision=plan.precision if precision is None else precision,
    )


def _tables(data: Data, model: str | None) -> Plan:
    if model in (None, "table"):
        from haema.train.tables import table_plan

        return table_plan(data)
    if model in NETWORKS:
        raise InputError(f"{data.source} is a table, and model {model!r} is for images; 'mlp' or 'linear' is right")
    first = PrepareTable.of(data.x, data.source)
    hidden = () if model == "linear" else (128, 64)
    plan = _dense(data, model or "mlp", [first], first.features, hidden, dropout=0.1, most_epochs=100)
    return replace(plan, patience=25)


def _arrays(data: Data, model: str | None, recipe: str, precision: str | None) -> Plan:
    if data.x.ndim < 2:
        raise InputError(f"{data.source} has inputs of shape {data.x.shape}, where rows of features, (n, k), are right")
    images = data.kind == "images" and data.x.ndim == 4
    if model == "table":
        raise InputError(f"{data.source} is no table, and model 'table' is for tables; 'mlp' or 'linear' is right")
    if model in NETWORKS and not images:
        raise InputError(f"{data.source} holds arrays of shape {data.x.shape}, and model {model!r} is for images")
    model = model or (_network(data) if images else "mlp")
    if model in NETWORKS:
        return image_plan(data, model, recipe, precision)
    first = Standardize.of(data.x)
    flat = [nn.Flatten()] if data.x.ndim > 2 else []
    width = math.prod(data.x.shape[1:])
    hidden = () if model == "linear" else (256, 128) if images else (128, 64)
    dropout, most = (0.3, 50) if images else (0.1, 100)
    return _dense(data, model, [first, *flat], width, hidden, dropout, most)


def _network(data: Data) -> str:
    """The network for images of a size and a task, by the table at the head of this package."""
    channels, height, width = data.x.shape[1:]
    if channels == 1 and max(height, width) <= TINY_IMAGE:
        return "mlp"
    small = min(height, width) >= LEAST and height * width <= MOST_PIXELS
    return "fast" if small and data.task == "classification" else "cnn"


def _dense(
    data: Data, model: str, first: list[Any], width: int, hidden: tuple[int, ...], dropout: float, most_epochs: int
) -> Plan:
    """An MLP, or without hidden layers a linear model."""
    outputs, last, loss, metrics = head(data)
    sizes = [width, *hidden, outputs]
    check_size(sum((a + 1) * b for a, b in itertools.pairwise(sizes)), data)

    def build() -> Any:
        layers: list[Any] = []
        for a, b in itertools.pairwise(sizes[:-1]):
            layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*first, *layers, nn.Linear(sizes[-2], outputs), *last)

    epochs, batch_size = effort(len(data), most_epochs)
    lr = 3e-3 if batch_size < 128 or not hidden else 2e-3
    return Plan(model, build, loss, metrics, lr=lr, epochs=epochs, batch_size=batch_size)
