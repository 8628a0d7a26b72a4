"""One step of training, and sums over the steps of an epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from haema.autograd import no_grad
from haema.nn.utils import clip_grad_norm_, clip_grad_value_
from haema.tensor import Tensor
from haema.train.engine import Engine, Part
from haema.train.objective import Objective
from haema.train.predictions import Metric
from haema.train.sources import Rows, Source, cut
from haema.train.targets import Targets

__all__ = ["Step", "Sums", "evaluate_source", "evaluating"]


class Step:
    """Forward, loss, backward, clipping, update: one function of tensors.

        theta <- update(theta, clip(d loss(model(x), y, w) / d theta))

    Nothing in it reads a value, so it may as well be recorded and compiled: the batches of an epoch are an index
    array, and a loop over them needs no more than this function and the rows.

    Args:
        model: The module.
        objective: The loss of a batch.
        optimizer: Updates the model's parameters.
        clip_norm: Bound for the norm of all gradients together, or None.
        clip_value: Bound for each gradient's size, or None.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        optimizer: Any,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.given = (model, objective, optimizer, clip_norm, clip_value)
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self._learned = [p for group in optimizer.param_groups for p in group["params"]]

    def __call__(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor]:
        """Train on a batch; its loss and the model's output before the update."""
        self.optimizer.zero_grad()
        output = self.model(*x)
        loss = self.objective(output, y, w)
        loss.backward()
        if self.clip_value is not None:
            clip_grad_value_(self._learned, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self._learned, self.clip_norm)
        self.optimizer.step()
        return loss.detach(), output.detach()


class Sums:
    """What an epoch adds up to: its mean loss, and the metrics of all its outputs together.

    Args:
        objective: Says what a batch's loss counts.
        metrics: The metrics; without any no outputs are kept.
    """

    def __init__(self, objective: Objective, metrics: list[Metric]) -> None:
        self.objective, self.metrics = objective, metrics
        self.total = self.shares = 0.0
        self.rows = 0
        self.outputs: list[np.ndarray] = []
        self.truths: list[np.ndarray] = []

    def add(self, part: Part, steps: int | None = None) -> None:
        """Add some batches, or only the first of them."""
        for k, loss in enumerate(part.losses[:steps]):
            rows = len(part.truth[k])
            share = self.objective.share(rows, None if part.w is None else part.w[k])
            self.total += loss * share
            self.shares += share
            self.rows += rows
        if self.metrics:
            for kept, new in ((self.outputs, part.outputs[:steps]), (self.truths, part.truth[:steps])):
                kept.append(new.reshape(-1, *new.shape[2:]))  # (steps, batch, ...) -> (rows, ...)

    def logs(self, targets: Targets, link: str) -> dict[str, float]:
        """The mean loss and the metrics."""
        logs = {"loss": self.objective.mean(self.total, self.shares, self.rows)}
        if self.metrics:
            outputs, truth = np.concatenate(self.outputs), np.concatenate(self.truths)
            logs |= {metric.name: metric(outputs, truth, targets, link) for metric in self.metrics}
        return logs


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate_source(
    engine: Engine, metrics: list[Metric], source: Source, batch_size: int, targets: Targets, link: str, least: int = 1
) -> dict[str, float]:
    """The mean loss and the metrics of a model on all rows of a source; fewer batches than ``least`` run eagerly."""
    sums = Sums(engine.step.objective, metrics)
    with evaluating(engine.step.model):
        if isinstance(source, Rows):
            for rows in cut(np.arange(source.length), batch_size):
                batches = np.atleast_2d(rows if rows is not None else np.zeros((0, batch_size), np.int64))
                for held, index in source.slices(batches):
                    part = engine.measure_rows(held, index) if len(batches) >= least else None
                    if part is not None:
                        sums.add(part)
                        continue
                    for some in index:
                        sums.add(engine.measure(*held.take(some), compiled=False))
        else:
            for k, batch in enumerate(source.batches(batch_size, shuffle=False), 1):
                sums.add(engine.measure(*batch, compiled=k >= least))
    return sums.logs(targets, link)
