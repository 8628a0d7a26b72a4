"""The default plan for tables: which networks, how many, how long; a function of rows, columns and task only.

Two kinds of small networks see the same rows. The smooth ones get each number once; the stepwise ones get its
piecewise linear encoding too, with which they make thresholds as trees do. Each kind is K networks, each trained
without one fold of the rows; what they say of these tells when to stop and how to mix the kinds. All begin with the
prior, so that a tiny or hopeless table gives the mean.

    hidden    128, from 10 000 rows on 256
    dropout   0.1, from 20 000 rows on 0.05
    batch     rows / 32 as a power of 2, from 64 (32 below 300 rows) to 512
    epochs    60 (1000 / rows)^0.4, from 14 to 400
    members   10 below 300 rows (5 below 20), else so many that rows epochs members is a million, from 1 to 5
    folds     the members, but 5 or more; 10 from 20 000 rows on
    rate      0.0015 sqrt(batch / 128) from 0.0015 to 0.003 for the smooth networks, 0.003 for the stepwise ones, six
              times that for gates
    gates     cost 0.01 each, less beyond 20 columns or 5000 rows
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import nn
from haema.autograd import no_grad
from haema.creation import from_numpy, tensor
from haema.data import Data
from haema.errors import InputError
from haema.nn.tables import TableNet
from haema.train.plans.plan import Plan, even_batch
from haema.train.tables.learning import KeepBest, MembersLoss
from haema.train.tables.preparing import Prepared, fold_numbers, prepare_table

if TYPE_CHECKING:
    from haema.train.callbacks import Callback

__all__ = ["TablePlan", "table_plan"]


Numbers = tuple[float, ...]
GATE_RATE = 6.0
"""Learning rate of the gates over that of the weights."""


@dataclass(frozen=True)
class TablePlan(Plan):
    """A plan whose network learns from a matrix that is made of the table once.

    Fields beside those of `Plan`:
        prepared: The training rows, ready to be learned from.
        center, scale: Mean and standard deviation of the numbers to be predicted; empty for classes.
        members: Networks of each kind.
        stepwise_rate: Learning rate of the stepwise networks over that of the smooth ones.
    """

    prepared: Prepared | None = None
    center: Numbers = ()
    scale: Numbers = ()
    members: int = 1
    stepwise_rate: float = 1.0
    has_folds: bool = True

    def learner(self, model: Any) -> Any:
        return model[-1]

    def training_part(self, data: Data, model: Any) -> Data:
        assert self.prepared is not None
        return replace(data, kind="arrays", x=(self.prepared.x, self.prepared.folds), y=self._targets(data))

    def validation_part(self, data: Data, model: Any) -> Data:
        matrix = model[0].prepare(data.x, data.source)
        with no_grad():
            parts = [model[1](from_numpy(matrix[i : i + 4096])).numpy() for i in range(0, len(matrix), 4096)]
        folds = np.full(len(matrix), -1)
        return replace(data, kind="arrays", x=(np.concatenate(parts), folds), y=self._targets(data))

    def _targets(self, data: Data) -> np.ndarray:
        assert data.y is not None
        return _scaled(data.y, self.center, self.scale) if self.scale else data.y

    def training_metrics(self) -> tuple[str, ...]:
        return ()

    def make_optimizer(self, model: Any) -> Any:
        from haema import optim

        parameters = list(model.parameters())
        half = len(parameters) // 2  # those of the smooth networks come first, and both kinds have equally many
        groups = []
        for kind, rate in ((parameters[:half], self.lr), (parameters[half:], self.lr * self.stepwise_rate)):
            weights, gates = [p for p in kind if p.ndim == 3], [p for p in kind if p.ndim == 2]
            groups.append({"params": weights, "lr": rate, "weight_decay": self.weight_decay})
            groups.append({"params": gates, "lr": rate * GATE_RATE, "weight_decay": 0.0})
        return optim.AdamW(groups, betas=(0.9, 0.99))

    def _rates(self) -> list[float]:
        return [self.lr * kind * gate for kind in (1.0, self.stepwise_rate) for gate in (1.0, GATE_RATE)]

    def cycle(self) -> dict[str, Any]:
        return {
            "max_lr": self._rates(), "pct_start": 0.1, "div_factor": 100, "final_div_factor": 100,
            "cycle_momentum": False,
        }  # fmt: skip

    def callbacks(self) -> list[Callback]:
        patience = math.ceil(max(4, 0.3 * self.epochs))
        return [KeepBest(patience)]

    def hyperparameters(self) -> dict[str, Any]:
        return {**super().hyperparameters(), "members": 2 * self.members}


def table_plan(data: Data) -> TablePlan:
    """The plan for a training table; draws its folds from the default generator.

    Raises:
        InputError: the table has no column to learn from, a cell does not suit its column, or the target holds
            numbers too large to be learned.
    """
    assert data.y is not None
    rows, classify = len(data), data.task == "classification"
    epochs = min(max(round(60 * (1000 / rows) ** 0.4), 14), 400)
    members = (5 if rows < 20 else 10) if rows < 300 else min(max(int(1e6 / (rows * epochs)), 1), 5)
    folds = min(max(members, 5) if rows < 20_000 else 10, rows)
    members = min(members, folds)
    numbers = fold_numbers(data.y, folds, classify)
    classes = len(data.classes or []) if classify else None
    center, scale = ((), ()) if classify else _moments(data)
    y = data.y if classify else _scaled(data.y, center, scale)
    prepared = prepare_table(data.x, y, classes, numbers, data.source)
    batch = even_batch(rows, min(512, max(32 if rows < 300 else 64, 2 ** round(math.log2(rows / 32)))))
    groups = prepared.features.groups
    sparsity = 0.01 * min(1.0, 20 / (1 + max((*groups[0], *groups[1]), default=0))) * min(1.0, 5000 / rows)
    loss = MembersLoss(classify, sparsity=sparsity)
    rate = min(max(1.5e-3 * math.sqrt(batch / 128), 1.5e-3), 3e-3)
    return TablePlan(
        model="table",
        build=_builder(prepared, y, classes, members, center, scale, loss),
        loss=loss,
        metrics=("accuracy",) if classify else ("r2", "rmse", "mae"),
        lr=rate,
        stepwise_rate=3e-3 / rate,
        epochs=epochs,
        batch_size=batch,
        weight_decay=0.02,
        prepared=prepared,
        center=center,
        scale=scale,
        members=members,
    )


def _builder(
    prepared: Prepared,
    y: np.ndarray,
    classes: int | None,
    members: int,
    center: Numbers,
    scale: Numbers,
    loss: MembersLoss,
) -> Callable[[], Any]:
    rows = len(y)

    def build() -> Any:
        net = TableNet(
            *prepared.features.groups,
            hidden=128 if rows < 10_000 else 256,
            outputs=len(scale) if classes is None else classes,
            members=members,
            classify=classes is not None,
            dropout=0.1 if rows < 20_000 else 0.05,
        )
        loss.net = net
        with no_grad():
            if classes is None:
                net.mean.copy_(tensor(center))
                net.std.copy_(tensor(scale))
            else:
                prior = np.log((np.bincount(y, minlength=classes) / rows).clip(0.1 / rows))
                for kind in net.kinds:
                    kind.straight.weight[:, :, 0] = tensor(prior, dtype=kind.straight.weight.dtype)
        return nn.Sequential(prepared.columns, prepared.features, net)

    return build


def _moments(data: Data) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of the target's columns; 1 where it does not vary."""
    assert data.y is not None
    y = data.y.reshape(len(data.y), -1)
    if np.abs(y).max() >= 1e30:
        raise InputError(f"the target of {data.source} holds {np.abs(y).max():g}, too large a number to be learned")
    mean, std = y.mean(axis=0), y.std(axis=0)
    std = np.where(std <= 1e-12 * np.abs(mean), 1.0, std)
    return tuple(mean.tolist()), tuple(std.tolist())


def _scaled(y: np.ndarray, center: Numbers, scale: Numbers) -> np.ndarray:
    """The numbers standardised, (N, K)."""
    return (y.reshape(len(y), -1) - np.asarray(center)) / np.asarray(scale)
