"""Cyclical learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, Rate, need_optimizer, per_group, saved_function, set_value
from haema.optim.optimizer import Optimizer


def start_momentum(schedule: Any, base: Any, high: Any, last_epoch: int) -> tuple[list[Any], list[Any]]:
    """Find out which option is the momentum, and let each group begin at its highest.

    Returns:
        The lowest and the highest momentum of each group.

    Raises:
        InputError: the optimizer has neither ``momentum`` nor ``betas``.
    """
    optimizer = schedule.optimizer
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise InputError(
            f"{type(schedule).__name__}: cycle_momentum needs an optimizer with momentum or betas, and "
            f"{type(optimizer).__name__} has neither; pass cycle_momentum=False"
        )
    schedule.use_beta1 = "betas" in optimizer.defaults
    lows = per_group(schedule, "base_momentum", optimizer, base)
    highs = per_group(schedule, "max_momentum", optimizer, high)
    if last_epoch == -1:
        for low, top, group in zip(lows, highs, optimizer.param_groups, strict=True):
            set_momentum(schedule, group, top)
            group["max_momentum"] = top
            group["base_momentum"] = low
    return lows, highs


def set_momentum(schedule: Any, group: dict[str, Any], value: float) -> None:
    """Set ``momentum``, or the first beta."""
    if schedule.use_beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


class CyclicLR(LRScheduler):
    """Up from ``base_lr`` to ``max_lr`` in a straight line and down again, over and over; a step is a batch.

        c  = floor(1 + t / (up + down)),  x = the way up, or back, in [0, 1]
        lr = base_lr + (max_lr - base_lr) x s

    with s = 1 ("triangular"), 1 / 2^(c - 1) ("triangular2") or gamma^t ("exp_range"). The momentum goes the other
    way: max_momentum - (max_momentum - base_momentum) x s.

    Args:
        optimizer: Whose learning rates are changed.
        base_lr: Lowest rate, or a list of them, one for each group.
        max_lr: Highest rate, or a list of them.
        step_size_up: Batches on the way up. Default: 2000.
        step_size_down: Batches on the way down. Default: as up.
        mode: "triangular", "triangular2" or "exp_range". Default: "triangular".
        gamma: Base of "exp_range". Default: 1.0.
        scale_fn: s as a function of one number, instead of ``mode``. Default: None.
        scale_mode: What ``scale_fn`` is given: "cycle" (c) or "iterations" (t). Default: "cycle".
        cycle_momentum: Change ``momentum``, or the first of ``betas``, too. Default: True.
        base_momentum: Lowest momentum, or a list of them. Default: 0.8.
        max_momentum: Highest momentum, or a list of them. Default: 0.9.
        last_epoch: How many batches were seen before; -1 starts anew. Default: -1.

    Raises:
        InputError: the mode is unknown, a list has another length than there are groups, or the optimizer has no
            momentum to cycle.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: float = 2000,
        step_size_down: float | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self, optimizer)
        self.optimizer = optimizer
        lows = per_group(self, "base_lr", optimizer, base_lr)
        self.max_lrs = per_group(self, "max_lr", optimizer, max_lr)
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise InputError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', not {mode!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise InputError(f"CyclicLR: scale_mode must be 'cycle' or 'iterations', not {scale_mode!r}")
        if last_epoch == -1:
            for lr, group in zip(lows, optimizer.param_groups, strict=True):
                set_value(group, "lr", lr)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = start_momentum(self, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def scale_fn(self, x: float) -> float:
        """The factor s at cycle or iteration ``x``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / (2.0 ** (x - 1)) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group; sets the momentum."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        way = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            momenta = zip(self.base_momentums, self.max_momentums, self.optimizer.param_groups, strict=True)
            for low, high, group in momenta:
                set_momentum(self, group, high - (high - low) * way * scale)
        return [low + (high - low) * way * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything but the optimizer; of ``scale_fn`` only the attributes of a callable object."""
        function = self._scale_fn_custom
        try:
            self._scale_fn_custom = None
            state = super().state_dict()
        finally:
            self._scale_fn_custom = function
        return {**state, "_scale_fn_custom": saved_function(function)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned; a function stays, a callable object gets its attributes."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        saved = state_dict["_scale_fn_custom"]
        if saved is not None:
            vars(self._scale_fn_custom).update(saved)
