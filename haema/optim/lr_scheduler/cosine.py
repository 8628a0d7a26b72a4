"""Schedules along a cosine, without and with warm restarts."""

from __future__ import annotations

import math

from haema import executor
from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, Rate
from haema.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """Along half a cosine from the initial rate to ``eta_min``, and on along the curve.

        lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2

    computed from the present rate, so that changes by hand stay.

    Args:
        optimizer: Whose learning rates are changed.
        T_max: Epochs from the largest to the smallest rate.
        eta_min: Smallest rate. Default: 0.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation (5).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group."""
        if self._is_initial:
            return self._present()
        t, groups = self.last_epoch, self.optimizer.param_groups
        if self._step_count == 1 and t > 0:
            return [
                self.eta_min + (lr - self.eta_min) * (1 + math.cos(t * math.pi / self.T_max)) / 2
                for lr in self.base_lrs
            ]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the minimum, where the quotient below is 0 / 0
            return [
                group["lr"] + (lr - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
                for lr, group in zip(self.base_lrs, groups, strict=True)
            ]
        factor = (1 + math.cos(math.pi * t / self.T_max)) / (1 + math.cos(math.pi * (t - 1) / self.T_max))
        return [factor * (group["lr"] - self.eta_min) + self.eta_min for group in groups]

    def _get_closed_form_lr(self) -> list[Rate]:
        return [
            self.eta_min + (lr - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
            for lr in self.base_lrs
        ]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Along half a cosine, again and again, each time ``T_mult`` times as long.

        lr = eta_min + (lr_0 - eta_min) (1 + cos(pi T_cur / T_i)) / 2

    T_cur is the number of epochs since the last restart and T_i the length of the present run.

    Args:
        optimizer: Whose learning rates are changed.
        T_0: Length of the first run, in epochs.
        T_mult: Factor from one run to the next, an integer. Default: 1.
        eta_min: Smallest rate. Default: 0.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: T_0 or T_mult is not a positive integer, or eta_min is no number.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation (5).
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"CosineAnnealingWarmRestarts: {name} must be a positive integer, not {value!r}")
        if not isinstance(eta_min, (int, float)):
            raise InputError(f"CosineAnnealingWarmRestarts: eta_min must be a number, not {eta_min!r}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates at ``T_cur``, one for each group."""
        return [
            self.eta_min + (lr - self.eta_min) * (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
            for lr in self.base_lrs
        ]

    def step(self, epoch: float | None = None) -> None:
        """Set the next learning rates.

        Args:
            epoch: Jump there; may be a fraction, e.g. ``epoch + batch / batches``. Default: one further.

        Raises:
            InputError: ``epoch`` is negative.
        """
        executor.active().outside("the step of a learning-rate schedule")
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur = self.T_cur % self.T_i
                self.T_i *= self.T_mult
        else:
            self._jump(epoch)
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _jump(self, epoch: float) -> None:
        """Find the run that ``epoch`` is in."""
        if epoch < 0:
            raise InputError(f"CosineAnnealingWarmRestarts: epoch must be at least 0, not {epoch}")
        if epoch < self.T_0:
            self.T_i = self.T_0
            self.T_cur = epoch
        elif self.T_mult == 1:
            self.T_i = self.T_0
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
            if self.T_cur >= self.T_i:  # the logarithm was rounded down across a restart
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
