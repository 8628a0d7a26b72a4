"""One step of training, and sums over the steps of an epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from haema.autograd import no_grad
from haema.errors import InputError
from haema.nn.augmentation.mixing import Mixing
from haema.nn.utils import clip_grad_norm_, clip_grad_value_
from haema.tensor import Tensor
from haema.train.engine import Engine, Part
from haema.train.objective import Objective
from haema.train.predictions import Metric
from haema.train.sources import Rows, Source, cut
from haema.train.targets import Targets

__all__ = ["Step", "Sums", "evaluate_source", "evaluating"]


class Step:
    """Forward, loss, backward, clipping, update, averaging: one function of tensors.

        theta <- update(theta, clip(d loss(model(x), y, w) / d theta))

    Where the model has a layer that mixes samples (``nn.MixUp``, ``nn.CutMix``), the loss is mixed likewise.

    Nothing in it reads a value, so it may as well be recorded and compiled: the batches of an epoch are an index
    array, and a loop over them needs no more than this function and the rows.

    Args:
        model: The module.
        objective: The loss of a batch.
        optimizer: Updates the model's parameters.
        clip_norm: Bound for the norm of all gradients together, or None.
        clip_value: Bound for each gradient's size, or None.
        average: An `AveragedModel` that takes the weights in after each update, or None.

    Raises:
        InputError: two layers mix samples.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        optimizer: Any,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        average: Any = None,
    ) -> None:
        self.given = (model, objective, optimizer, clip_norm, clip_value, average)
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.clip_norm, self.clip_value, self.average = clip_norm, clip_value, average
        mixers = [m for m in model.modules() if isinstance(m, Mixing)]
        if len(mixers) > 1:
            raise InputError(f"the model mixes samples in {len(mixers)} layers; one nn.MixUp or nn.CutMix is right")
        self._mixer = mixers[0] if mixers else None
        self._learned = [p for group in optimizer.param_groups for p in group["params"]]

    def measured(self, averaged: bool) -> Any:
        """The model, or its average over the training."""
        return self.average.module if averaged else self.model

    def __call__(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor]:
        """Train on a batch; its loss and the model's output before the update."""
        self.optimizer.zero_grad()
        output = self.model(*x)
        loss = self.objective(output, y, w) if self._mixer is None else self._mixer.loss(self.objective, output, y, w)
        loss.backward()
        if self.clip_value is not None:
            clip_grad_value_(self._learned, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self._learned, self.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
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
    engine: Engine,
    metrics: list[Metric],
    source: Source,
    batch_size: int,
    targets: Targets,
    link: str,
    least: int = 1,
    averaged: bool = False,
) -> dict[str, float]:
    """The mean loss and the metrics of a model on all rows of a source.

    Args:
        least: Fewer batches of one size than this run eagerly.
        averaged: Measure the average of the model over its training instead.
    """
    sums = Sums(engine.step.objective, metrics)
    with evaluating(engine.step.measured(averaged)):
        if isinstance(source, Rows):
            for rows in cut(np.arange(source.length), batch_size):
                if rows is None or not len(rows):
                    continue
                batches = np.atleast_2d(rows)
                for held, index in source.slices(batches):
                    part = engine.measure_rows(held, index, averaged) if len(batches) >= least else None
                    if part is not None:
                        sums.add(part)
                        continue
                    for some in index:
                        sums.add(engine.measure(*held.take(some), compiled=False, averaged=averaged))
        else:
            for k, batch in enumerate(source.batches(batch_size, shuffle=False), 1):
                sums.add(engine.measure(*batch, compiled=k >= least, averaged=averaged))
    return sums.logs(targets, link)
