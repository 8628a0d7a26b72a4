"""Schedules that multiply the learning rate by a factor."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, Rate, per_group, saved_function
from haema.optim.optimizer import Optimizer

Factor = Callable[[int], float]


class _ByFunction(LRScheduler):
    """A schedule by functions of the epoch, one for each group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1) -> None:
        several = isinstance(lr_lambda, (list, tuple))
        functions = list(lr_lambda) if several else [lr_lambda] * len(optimizer.param_groups)  # type: ignore[arg-type]
        per_group(self, "lr_lambda", optimizer, [None] * len(functions))
        for function in functions:
            if not callable(function):
                raise TypeError(
                    f"{type(self).__name__}: lr_lambda must be a function of the epoch, not {type(function).__name__}"
                )
        self.lr_lambdas: list[Factor] = functions  # type: ignore[assignment]
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything but the optimizer; of functions only the attributes of callable objects."""
        functions = self.lr_lambdas
        try:
            self.lr_lambdas = []
            state = super().state_dict()
        finally:
            self.lr_lambdas = functions
        return {**state, "lr_lambdas": [saved_function(f) for f in functions]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned; functions stay, callable objects get their attributes."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                vars(function).update(saved)


class LambdaLR(_ByFunction):
    """The initial rate times a function of the epoch.

        lr_t = lr_0 f(t)

    Args:
        optimizer: Whose learning rates are changed.
        lr_lambda: f: int -> float, or a list of them, one for each group.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: there are not as many functions as groups.
        TypeError: one is no function.
    """

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_ByFunction):
    """The present rate times a function of the epoch.

        lr_t = lr_(t-1) f(t)

    Args:
        optimizer: Whose learning rates are changed.
        lr_lambda: f: int -> float, or a list of them, one for each group.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: there are not as many functions as groups.
        TypeError: one is no function.
    """

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self._is_initial:
            return self._present()
        groups = self.optimizer.param_groups
        return [group["lr"] * f(self.last_epoch) for f, group in zip(self.lr_lambdas, groups, strict=True)]


class StepLR(LRScheduler):
    """Times ``gamma`` every ``step_size`` epochs.

        lr_t = lr_0 gamma^floor(t / step_size)

    Args:
        optimizer: Whose learning rates are changed.
        step_size: Epochs between two drops.
        gamma: Factor. Default: 0.1.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise InputError(f"StepLR: step_size must be at least 1, not {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._present()
        return self._times(self.gamma)

    def _get_closed_form_lr(self) -> list[Rate]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Times ``gamma`` at each of the given epochs.

        lr_t = lr_0 gamma^(number of milestones <= t)

    Args:
        optimizer: Whose learning rates are changed.
        milestones: Epochs; one that is named twice counts twice.
        gamma: Factor. Default: 0.1.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self.last_epoch not in self.milestones:
            return self._present()
        return self._times(self.gamma ** self.milestones[self.last_epoch])

    def _get_closed_form_lr(self) -> list[Rate]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned, also if JSON made the milestones text."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(epoch): n for epoch, n in self.milestones.items()})


class ConstantLR(LRScheduler):
    """Times ``factor`` for the first ``total_iters`` epochs.

        lr_t = lr_0 factor  for t < total_iters, else lr_0

    Args:
        optimizer: Whose learning rates are changed.
        factor: From 0 to 1. Default: 1/3.
        total_iters: Epochs. Default: 5.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: the factor is not from 0 to 1.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise InputError(f"ConstantLR: factor must be from 0 to 1, not {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self.last_epoch == 0:
            return self._times(self.factor)
        if self.last_epoch != self.total_iters:
            return self._present()
        return self._times(1.0 / self.factor)

    def _get_closed_form_lr(self) -> list[Rate]:
        factor = self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)
        return [lr * factor for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """A factor that goes linearly from ``start_factor`` to ``end_factor``.

        lr_t = lr_0 (start + (end - start) min(t, total_iters) / total_iters)

    Args:
        optimizer: Whose learning rates are changed.
        start_factor: Above 0, to 1. Default: 1/3.
        end_factor: From 0 to 1. Default: 1.0.
        total_iters: Epochs. Default: 5.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: a factor is out of its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise InputError(f"LinearLR: start_factor must be above 0 and at most 1, not {start_factor}")
        if not 0 <= end_factor <= 1:
            raise InputError(f"LinearLR: end_factor must be from 0 to 1, not {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self.last_epoch == 0:
            return self._times(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return self._times(1.0 + rise / before)

    def _get_closed_form_lr(self) -> list[Rate]:
        rise = (self.end_factor - self.start_factor) * min(self.total_iters, self.last_epoch)
        return [lr * (self.start_factor + rise / self.total_iters) for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Times ``gamma`` every epoch.

        lr_t = lr_0 gamma^t

    Args:
        optimizer: Whose learning rates are changed.
        gamma: Factor.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        return self._present() if self._is_initial else self._times(self.gamma)

    def _get_closed_form_lr(self) -> list[Rate]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Down to 0 along a power of the time that is left.

        lr_t = lr_0 (1 - min(t, total_iters) / total_iters)^power

    Args:
        optimizer: Whose learning rates are changed.
        total_iters: Epochs. Default: 5.
        power: Exponent. Default: 1.0.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        left, before = (1.0 - t / self.total_iters for t in (self.last_epoch, self.last_epoch - 1))
        return self._times((left / before) ** self.power)

    def _get_closed_form_lr(self) -> list[Rate]:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]
