"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.optim.optimizer import Number, Optimizer, one_minus_power, scalars
from haema.tensor import Tensor


class Adamax(Optimizer):
    """Adamax: Adam with the largest recent gradient in place of the root mean square.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        m     = beta1 m + (1 - beta1) g
        u     = max(beta2 u, |g| + eps)
        theta = theta - lr / (1 - beta1^t) m / u

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 2e-3.
        betas: Decay rates of the average and of the maximum. Default: (0.9, 0.999).
        eps: Added to the size of the gradient, so that it never divides by 0. Default: 1e-8.
        weight_decay: L2 penalty. Default: 0.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "eps", 0)
        self._check_betas(options)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"exp_avg": creation.zeros_like(p), "exp_inf": creation.zeros_like(p)}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        beta1, beta2 = self._hyper(group, "betas")
        rate = self._hyper(group, "lr") / one_minus_power(beta1, self._tick(params))
        lr, c1, b2, eps = scalars(params[0].dtype, rate, 1 - beta1, beta2, self._hyper(group, "eps"))
        for p in params:
            m, u = self.state[p]["exp_avg"], self.state[p]["exp_inf"]
            g = self._gradient(group, p)
            m.add_((g - m).mul_(c1))
            u.copy_((u * b2).maximum(g.abs().add_(eps)))
            p.sub_((m / u).mul_(lr))
