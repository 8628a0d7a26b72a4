"""Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.optim.optimizer import Number, Optimizer, scalars
from haema.tensor import Tensor


class Lion(Optimizer):
    """Lion: steps of one size in the direction of the sign of a mean gradient.

        theta = theta - lr weight_decay theta - lr l1_decay sign(theta)
        theta = theta - lr sign(beta1 m + (1 - beta1) grad)
        m     = beta2 m + (1 - beta2) grad

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-4.
        betas: Weights of the average in the step and in its update. Default: (0.9, 0.99).
        weight_decay: Share of the weights, times lr, taken off in each step (decoupled). Default: 0.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: Size, times lr, by which each weight moves towards 0 in each step. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2.
    """

    together = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-4,
        betas: tuple[Number, Number] = (0.9, 0.99),
        weight_decay: Number = 0,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": tuple(betas), "weight_decay": weight_decay, "maximize": maximize,
            "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._check_betas(options)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"exp_avg": creation.zeros_like(p)}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        beta1, beta2 = self._hyper(group, "betas")
        lr, c1, c2 = scalars(params[0].dtype, self._hyper(group, "lr"), 1 - beta1, 1 - beta2)
        for p in params:
            m = self.state[p]["exp_avg"]
            g = self._gradient(group, p, decay=False)
            self._decay(group, p)
            d = g - m
            p.sub_((d * c1).add_(m).sign().mul_(lr))
            m.add_(d.mul_(c2))
