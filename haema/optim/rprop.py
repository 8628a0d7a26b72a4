"""Resilient backpropagation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.errors import InputError
from haema.functions.elementwise import where
from haema.optim.optimizer import Number, Optimizer, scalars
from haema.tensor import Tensor


class Rprop(Optimizer):
    """Rprop: only the signs of the gradients count; for full batches.

        g     = grad + l1_decay sign(theta)
        s     = eta+ s  if g keeps its sign,  eta- s  if it changes,  limited to step_sizes   (s = lr at first)
        g     = 0       where it changed its sign
        theta = theta - s sign(g)

    Args:
        params: Tensors or parameter groups.
        lr: First size of the steps, a number or a tensor without axes. Default: 1e-2.
        etas: Factors (eta-, eta+) with eta- < 1 < eta+. Default: (0.5, 1.2).
        step_sizes: Smallest and largest step. Default: (1e-6, 50).
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty. Default: 0.

    Raises:
        InputError: lr or l1_decay is negative, or not 0 < eta- < 1 < eta+.

    Source: Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
    ICNN 1993, equations (4) to (7), without undoing the last step.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "etas": tuple(etas), "step_sizes": tuple(step_sizes), "maximize": maximize,
            "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        down, up = options["etas"]
        if not 0 < down < 1 < up:
            raise InputError(f"Rprop: etas must be (a, b) with 0 < a < 1 < b, not {(down, up)}")

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"prev": creation.zeros_like(p), "step_size": creation.zeros_like(p).add_(group["lr"])}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        self._tick(params)
        down, up, keep, zero, low, high = scalars(
            params[0].dtype, *self._hyper(group, "etas"), 1, 0, *self._hyper(group, "step_sizes")
        )
        for p in params:
            prev, s = self.state[p]["prev"], self.state[p]["step_size"]
            g = self._gradient(group, p)
            same = g * prev
            turned = same < zero
            s.mul_(where(turned, down, where(same > zero, up, keep))).clamp_(low, high)
            g = where(turned, zero, g)
            p.sub_(g.sign().mul_(s))
            prev.copy_(g)
