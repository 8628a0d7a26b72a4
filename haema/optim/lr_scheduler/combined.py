"""Schedules made of schedules."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from haema import executor
from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, set_value
from haema.optim.lr_scheduler.plateau import ReduceLROnPlateau
from haema.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """A schedule that holds others of the same optimizer."""

    _schedulers: list[LRScheduler]

    def _check(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> Optimizer:
        name = type(self).__name__
        if not schedulers:
            raise InputError(f"{name}: the list of schedulers is empty; it needs at least one")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: scheduler {i} must be a schedule, not {type(scheduler).__name__}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise InputError(f"{name}: scheduler {i} is a ReduceLROnPlateau, whose step needs a metric")
            optimizer = optimizer or scheduler.optimizer
            if scheduler.optimizer is not optimizer:
                raise InputError(f"{name}: scheduler {i} belongs to another optimizer")
        assert optimizer is not None
        return optimizer

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything but the optimizer, with the states of the schedules."""
        skip = ("optimizer", "_schedulers")
        state = {k: copy.deepcopy(v) for k, v in vars(self).items() if k not in skip}
        return {**state, "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        vars(self).update(copy.deepcopy({k: v for k, v in state_dict.items() if k != "_schedulers"}))
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(saved)


class SequentialLR(_Combined):
    """One schedule after another.

    Args:
        optimizer: Whose learning rates are changed.
        schedulers: Schedules of this optimizer.
        milestones: Epochs at which the next one takes over: one fewer than schedules.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: there are no schedules, one needs a metric or belongs to another optimizer, or the number of
            milestones is wrong.
        TypeError: one is no schedule.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise InputError(
                f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones, not "
                f"{len(milestones)}"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            set_value(group, "lr", group["initial_lr"])
        self._undo(self)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _undo(self, schedule: LRScheduler) -> None:
        """Take back the steps that making the schedules took."""
        if isinstance(schedule, _Combined):
            for inner in schedule._schedulers:
                self._undo(inner)
        else:
            schedule.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Set the next learning rates."""
        executor.active().outside("the step of a learning-rate schedule")
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedules at once, each working on what the one before it set.

    Args:
        schedulers: Schedules of one optimizer.
        optimizer: That optimizer. Default: the first schedule's.

    Raises:
        InputError: there are no schedules, or one needs a metric or belongs to another optimizer.
        TypeError: one is no schedule.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer = self._check(optimizer, schedulers)
        self._schedulers = list(schedulers)
        self._last_lr = self._present()

    def step(self) -> None:  # type: ignore[override]
        """Let each schedule take a step."""
        executor.active().outside("the step of a learning-rate schedule")
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._present()
