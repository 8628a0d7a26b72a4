"""The one-cycle policy."""

from __future__ import annotations

import math
from typing import Any

from haema.errors import InputError
from haema.optim.lr_scheduler.base import LRScheduler, Rate, need_optimizer, per_group
from haema.optim.lr_scheduler.cyclic import set_momentum, start_momentum
from haema.optim.optimizer import Optimizer


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _along_line(start: float, end: float, share: float) -> float:
    return (end - start) * share + start


class OneCycleLR(LRScheduler):
    """Once up to ``max_lr`` and down to almost nothing; the momentum goes the other way. A step is a batch.

        max_lr / div_factor  ->  max_lr  ->  max_lr / div_factor / final_div_factor

    Args:
        optimizer: Whose learning rates are changed.
        max_lr: Highest rate, or a list of them, one for each group.
        total_steps: Batches in the whole run. Default: epochs * steps_per_epoch.
        epochs: Epochs in the whole run. Default: None.
        steps_per_epoch: Batches in an epoch. Default: None.
        pct_start: Share of the run on the way up. Default: 0.3.
        anneal_strategy: "cos" or "linear". Default: "cos".
        cycle_momentum: Change ``momentum``, or the first of ``betas``, too. Default: True.
        base_momentum: Lowest momentum, or a list of them. Default: 0.85.
        max_momentum: Highest momentum, or a list of them. Default: 0.95.
        div_factor: Highest over first rate. Default: 25.
        final_div_factor: First over last rate. Default: 1e4.
        three_phase: Down to the first rate as fast as up, and then to the last. Default: False.
        last_epoch: How many batches were seen before; -1 starts anew. Default: -1.

    Raises:
        InputError: the number of steps is missing or not positive, or an option is out of its range; and from
            ``step`` after ``total_steps`` steps.

    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120, section 3; two phases along a cosine as in fastai.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self, optimizer)
        self.optimizer = optimizer
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise InputError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
        counts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        counts = counts if total_steps is None else {"total_steps": total_steps}
        for name, value in counts.items():
            if not isinstance(value, int) or value <= 0:
                raise InputError(f"OneCycleLR: {name} must be a positive integer, not {value!r}")
        if not 0 <= pct_start <= 1:
            raise InputError(f"OneCycleLR: pct_start must be from 0 to 1, not {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise InputError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self.total_steps = math.prod(n for n in counts.values() if n is not None)
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = self._phases(float(pct_start), three_phase)
        tops = per_group(self, "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for top, group in zip(tops, optimizer.param_groups, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            start_momentum(self, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _phases(self, share: float, three: bool) -> list[dict[str, Any]]:
        """What goes from where to where, until which step."""

        def phase(end: float, lr: tuple[str, str], momentum: tuple[str, str]) -> dict[str, Any]:
            return {
                "end_step": end, "start_lr": lr[0], "end_lr": lr[1],
                "start_momentum": f"{momentum[0]}_momentum", "end_momentum": f"{momentum[1]}_momentum",
            }  # fmt: skip

        n = self.total_steps
        up = phase(share * n - 1, ("initial_lr", "max_lr"), ("max", "base"))
        if not three:
            return [up, phase(n - 1, ("max_lr", "min_lr"), ("base", "max"))]
        return [
            up,
            phase(2 * share * n - 2, ("max_lr", "initial_lr"), ("base", "max")),
            phase(n - 1, ("initial_lr", "min_lr"), ("max", "max")),
        ]

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group; sets the momentum."""
        t = self.last_epoch
        if t > self.total_steps:
            raise InputError(f"OneCycleLR: step {t} is after the end; total_steps is {self.total_steps}")
        start, phase = 0.0, self._schedule_phases[0]
        for following in self._schedule_phases[1:]:
            if t <= phase["end_step"]:
                break
            start, phase = phase["end_step"], following
        length = phase["end_step"] - start
        share = (t - start) / length if length else 1.0
        between = _along_cosine if self._anneal_func_type == "cos" else _along_line
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                momentum = between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                set_momentum(self, group, momentum)
        return rates
