"""Which network, loss, optimizer and how long, for the data at hand.

    data             network                                             unless --model says otherwise
    small images     MLP 256-128, ReLU, dropout 0.3                      up to 32x32 pixels, grey
    other images     CNN 32-64-128 (3x3, batch norm, pooling)            larger or coloured
    tables           smooth and stepwise MLPs, several of each          see `haema.train.tables`
    arrays           MLP 128-64, ReLU, dropout 0.1

Each is trained with AdamW over one cycle of the learning rate. All choices are in the `Plan`, none elsewhere.

Source: L. Smith, N. Topin (2017), Super-convergence, arXiv:1708.07120 (the cycle).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import nn
from haema.data import Data
from haema.errors import InputError, suggest
from haema.nn.preprocessing import PrepareTable, RestoreScale, Standardize
from haema.tensor import Tensor

if TYPE_CHECKING:
    from haema.train.callbacks import Callback

__all__ = ["MODELS", "Plan", "ScaledMSE", "plan_for"]

MODELS = {
    "mlp": "multi-layer perceptron",
    "cnn": "convolutional network, for images",
    "linear": "a single layer: logistic or linear regression",
    "table": "smooth and stepwise networks, several of each, for tables",
}
SMALL_IMAGE = 32
"""Grey images up to this many pixels a side are for an MLP."""

MAX_PARAMETERS = 50_000_000
"""Networks of more parameters than this are refused; a laptop cannot train them."""


@dataclass(frozen=True)
class Plan:
    """All choices that make a training run.

    Fields:
        model: A name of ``MODELS``.
        build: Makes the network, preprocessing first; draws from the default generator.
        loss: For `Trainer`.
        optimizer: A name, for `Trainer`.
        lr: Highest learning rate.
        weight_decay: Of the optimizer.
        epochs: Times that all rows are seen.
        batch_size: Rows per step.
        metrics: Names of the metrics; the first is the one reported.
        patience: Epochs without a better validation loss after which the best weights are taken, or None.
        has_folds: Whether it validates on folds of the training rows, so that no other rows are needed for it.
    """

    model: str
    build: Callable[[], Any]
    loss: Any
    metrics: tuple[str, ...]
    lr: float
    epochs: int
    batch_size: int
    optimizer: str = "AdamW"
    weight_decay: float = 1e-2
    patience: int | None = None
    has_folds: bool = False

    def make_optimizer(self, parameters: Any) -> Any:
        """The optimizer over some parameters."""
        from haema import optim

        return getattr(optim, self.optimizer)(parameters, lr=self.lr, weight_decay=self.weight_decay)

    def schedule(self, rows: int) -> Callback:
        """The cycle of the learning rate as a callback, for a training part of so many rows."""
        from haema.train import LearningRateSchedule

        # two steps or more: a cycle of a single one has no way down
        steps = max(2, self.epochs * math.ceil(rows / self.batch_size))
        return LearningRateSchedule("OneCycleLR", per="step", max_lr=self.lr, total_steps=steps)

    def learner(self, model: Any) -> Any:
        """The part of the network that a trainer trains; all of it, unless the data is prepared once beforehand."""
        return model

    def training_part(self, data: Data, model: Any) -> Data:
        """The rows that the plan was made for, as the learner takes them."""
        return self.validation_part(data, model)

    def validation_part(self, data: Data, model: Any) -> Data:
        """Other rows, as the learner takes them.

        Raises:
            InputError: a column is missing, or a cell does not suit its column.
        """
        if data.kind != "table":
            return data
        return replace(data, kind="arrays", x=model[0].prepare(data.x, data.source))

    def training_metrics(self) -> tuple[str, ...]:
        """The metrics of each epoch; none where what the learner gives in training is no prediction."""
        return self.metrics

    def callbacks(self) -> list[Callback]:
        """What else the training needs."""
        return []

    def hyperparameters(self) -> dict[str, Any]:
        """The choices as plain data."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "schedule": "OneCycleLR",
            "epochs": self.epochs,
            "batch_size": self.batch_size,
        }


class ScaledMSE(nn.MSELoss):
    """The mean squared error of numbers divided by their scale, so that the loss of any unit is about 1 at first.

        mean(((output - y) / scale)^2)

    Args:
        scale: Standard deviations of the K numbers.
    """

    def __init__(self, scale: list[float]) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        from haema.creation import tensor

        scale = tensor(self.scale, dtype=output.dtype)
        return super().forward(output / scale, y / scale)


def plan_for(
    data: Data,
    model: str | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
) -> Plan:
    """The plan for some training rows.

    Args:
        data: The training part, with its target.
        model: A name of ``MODELS``; default: by the table at the head of this file.
        epochs, lr, batch_size: Choices to be kept; default: the plan's own.

    Raises:
        InputError: the data has no target or does not suit the model, or a choice is out of its range.
    """
    if data.y is None or data.task is None:
        raise InputError(f"{data.source} has no target to learn")
    if model is not None and model not in MODELS:
        raise InputError(f"model is {model!r}, which is unknown; {suggest(model, MODELS)}")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; a whole number from 1 upwards is right")
    if lr is not None and not 0 < lr < math.inf:
        raise InputError(f"lr is {lr}; a positive number such as 0.001 is right")
    plan = _tables(data, model) if data.kind == "table" else _arrays(data, model)
    return replace(
        plan,
        epochs=plan.epochs if epochs is None else epochs,
        lr=plan.lr if lr is None else lr,
        batch_size=plan.batch_size if batch_size is None else batch_size,
    )


def _tables(data: Data, model: str | None) -> Plan:
    if model in (None, "table"):
        from haema.train.tables import table_plan

        return table_plan(data)
    if model == "cnn":
        raise InputError(f"{data.source} is a table, and model 'cnn' is for images; 'mlp' or 'linear' is right")
    first = PrepareTable.of(data.x, data.source)
    hidden = () if model == "linear" else (128, 64)
    plan = _dense(data, model or "mlp", [first], first.features, hidden, dropout=0.1, most_epochs=100)
    return replace(plan, patience=25)


def _arrays(data: Data, model: str | None) -> Plan:
    if data.x.ndim < 2:
        raise InputError(f"{data.source} has inputs of shape {data.x.shape}, where rows of features, (n, k), are right")
    images = data.kind == "images" and data.x.ndim == 4
    if model == "table":
        raise InputError(f"{data.source} is no table, and model 'table' is for tables; 'mlp' or 'linear' is right")
    if model == "cnn" and not images:
        raise InputError(f"{data.source} holds arrays of shape {data.x.shape}, and model 'cnn' is for images")
    if model is None:
        small = images and data.x.shape[1] == 1 and max(data.x.shape[2:]) <= SMALL_IMAGE
        model = "cnn" if images and not small else "mlp"
    first = Standardize.of(data.x)
    if model == "cnn":
        return _convolutional(data, first)
    flat = [nn.Flatten()] if data.x.ndim > 2 else []
    width = math.prod(data.x.shape[1:])
    hidden = () if model == "linear" else (256, 128) if images else (128, 64)
    dropout, most = (0.3, 50) if images else (0.1, 100)
    return _dense(data, model, [first, *flat], width, hidden, dropout, most)


def _dense(
    data: Data, model: str, first: list[Any], width: int, hidden: tuple[int, ...], dropout: float, most_epochs: int
) -> Plan:
    """An MLP, or without hidden layers a linear model."""
    outputs, last, loss, metrics = _head(data)
    sizes = [width, *hidden, outputs]
    _check_size(sum((a + 1) * b for a, b in itertools.pairwise(sizes)), data)

    def build() -> Any:
        layers: list[Any] = []
        for a, b in itertools.pairwise(sizes[:-1]):
            layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*first, *layers, nn.Linear(sizes[-2], outputs), *last)

    epochs, batch_size = _effort(len(data), most_epochs)
    lr = 3e-3 if batch_size < 128 or not hidden else 2e-3
    return Plan(model, build, loss, metrics, lr=lr, epochs=epochs, batch_size=batch_size)


def _convolutional(data: Data, first: Any) -> Plan:
    outputs, last, loss, metrics = _head(data)
    channels, height, width = data.x.shape[1:]
    side = min(height, width)
    stages: list[tuple[int, bool]] = []
    for c in (32, 64, 128):
        if side < 4 and stages:
            break
        stages.append((c, side >= 2))
        side //= 2

    def build() -> Any:
        layers, c_in = [], channels
        for c, pool in stages:
            layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pool else []
            c_in = c
        head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(c_in * 16, outputs)]
        return nn.Sequential(first, *layers, *head, *last)

    epochs, batch_size = _effort(len(data), 30)
    return Plan("cnn", build, loss, metrics, lr=3e-3, epochs=max(5, epochs // 2), batch_size=batch_size)


def _effort(rows: int, most: int) -> tuple[int, int]:
    """Epochs and batch size: many epochs over few rows, some fifteen over many."""
    epochs = min(max(round(800_000 / max(rows, 1)), 12), most)
    return epochs, 32 if rows < 5000 else 128 if rows < 100_000 else 256


def _head(data: Data) -> tuple[int, list[Any], Any, tuple[str, ...]]:
    """How many outputs, what follows them, the loss and the metrics."""
    assert data.y is not None
    if data.task == "classification":
        assert data.classes is not None
        return len(data.classes), [], "cross_entropy", ("accuracy",)
    y = data.y.reshape(len(data.y), -1)
    if not np.abs(y).max() < 1e30:
        raise InputError(f"the target of {data.source} holds {np.abs(y).max():g}, too large a number to be learned")
    mean, std = y.mean(axis=0), y.std(axis=0)
    std = np.where(std <= 1e-12 * np.abs(mean), 1.0, std)
    return y.shape[1], [RestoreScale(mean.tolist(), std.tolist())], ScaledMSE(std.tolist()), ("r2", "rmse", "mae")


def _check_size(parameters: int, data: Data) -> None:
    if parameters > MAX_PARAMETERS:
        raise InputError(
            f"{data.source} has inputs of shape {tuple(data.x.shape[1:])}, for which the network would have "
            f"{parameters:,} parameters; smaller inputs, or model 'cnn' for images, are right"
        )
