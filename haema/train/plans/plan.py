"""What a plan says, and what all plans need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import nn
from haema.data import Data
from haema.errors import InputError
from haema.nn.preprocessing import RestoreScale
from haema.tensor import Tensor

if TYPE_CHECKING:
    from haema.train.callbacks import Callback

__all__ = ["MAX_PARAMETERS", "Plan", "ScaledMSE", "check_size", "effort", "even_batch", "head"]

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
        recipe: "default", or "best", which takes longer.
        average: Decay of the average of the weights, for `Trainer`, or None.
        tta: Whether predictions are averaged over an image and its mirror image.
        precision: For `Trainer`.
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
    recipe: str = "default"
    average: float | None = None
    tta: bool = False
    precision: str = "float32"

    def make_optimizer(self, model: Any) -> Any:
        """The optimizer of the parameters that a network learns."""
        from haema import optim

        parameters = [p for p in model.parameters() if p.requires_grad]
        return getattr(optim, self.optimizer)(parameters, lr=self.lr, weight_decay=self.weight_decay)

    def schedule(self, rows: int) -> Callback:
        """The cycle of the learning rate as a callback, for a training part of so many rows."""
        from haema.train import LearningRateSchedule

        # two steps or more: a cycle of a single one has no way down
        steps = max(2, self.epochs * math.ceil(rows / self.batch_size))
        return LearningRateSchedule("OneCycleLR", per="step", total_steps=steps, **self.cycle())

    def cycle(self) -> dict[str, Any]:
        """The options of the cycle, but for its length."""
        return {"max_lr": self.lr}

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

    def finish(self, model: Any) -> None:
        """Make of the trained model the one that predicts."""

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
            "recipe": self.recipe,
            "precision": self.precision,
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


def effort(rows: int, most: int) -> tuple[int, int]:
    """Epochs and batch size: many epochs over few rows, some fifteen over many."""
    epochs = min(max(round(800_000 / max(rows, 1)), 12), most)
    return epochs, 32 if rows < 5000 else 128 if rows < 100_000 else 256


def even_batch(rows: int, size: int) -> int:
    """A batch size near ``size`` whose last batch is whole, or nearly so: a few rows alone would shake the weights."""
    if rows <= size:
        return rows
    choices = range(max(1, math.floor(0.8 * size)), min(rows, math.ceil(1.25 * size)) + 1)
    return min(choices, key=lambda b: (-rows % b / b, abs(b - size)))


def head(data: Data) -> tuple[int, list[Any], Any, tuple[str, ...]]:
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


def check_size(parameters: int, data: Data) -> None:
    if parameters > MAX_PARAMETERS:
        raise InputError(
            f"{data.source} has inputs of shape {tuple(data.x.shape[1:])}, for which the network would have "
            f"{parameters:,} parameters; smaller inputs, or model 'cnn' for images, are right"
        )
