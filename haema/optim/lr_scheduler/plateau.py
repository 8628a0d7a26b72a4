"""A schedule that follows a metric."""

from __future__ import annotations

import math
from typing import Any

from haema import executor
from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, need_optimizer, per_group, set_value, values_of
from haema.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` when a metric has not improved for more than ``patience`` epochs.

    Better than the best so far means, with ``mode`` "min" (with "max" the other way round):

        "rel":  a < best (1 - threshold)            "abs":  a < best - threshold

    Args:
        optimizer: Whose learning rates are changed.
        mode: "min": the metric shall fall; "max": rise. Default: "min".
        factor: Below 1. Default: 0.1.
        patience: Epochs without improvement that are borne. Default: 10.
        threshold: How much counts as an improvement. Default: 1e-4.
        threshold_mode: "rel" or "abs". Default: "rel".
        cooldown: Epochs after a reduction in which none is counted. Default: 0.
        min_lr: Lowest rate, or a list of them, one for each group. Default: 0.
        eps: Smaller reductions are left out. Default: 1e-8.

    Raises:
        InputError: an option is out of its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:
        need_optimizer(self, optimizer)
        if not factor < 1:
            raise InputError(f"ReduceLROnPlateau: factor must be below 1, not {factor}")
        if mode not in ("min", "max"):
            raise InputError(f"ReduceLROnPlateau: mode must be 'min' or 'max', not {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise InputError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', not {threshold_mode!r}")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = per_group(self, "min_lr", optimizer, min_lr)
        self.eps = eps
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self.last_epoch = 0
        self._last_lr = values_of(optimizer, "lr")

    @property
    def mode_worse(self) -> float:
        """Worse than any number."""
        return math.inf if self.mode == "min" else -math.inf

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs do not count just now."""
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        """Whether ``a`` improves on ``best`` by more than the threshold."""
        sign = 1 if self.mode == "max" else -1
        bound = best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return a > bound if self.mode == "max" else a < bound

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at the metric of an epoch, and reduce the learning rates if it is time.

        Args:
            metrics: The metric, a number or a tensor with one element.
            epoch: Number of the epoch. Default: one further.

        Raises:
            InputError: parameter groups were added, and ``min_lr`` was a list.
        """
        executor.active().outside("the step of a learning-rate schedule")
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = values_of(self.optimizer, "lr")

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise InputError(
                    f"ReduceLROnPlateau: min_lr has {len(self.min_lrs)} values, and the optimizer now has "
                    f"{len(groups)} parameter groups"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                set_value(group, "lr", new)
