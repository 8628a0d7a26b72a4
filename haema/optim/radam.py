"""Rectified Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.functions.elementwise import where
from haema.optim.optimizer import Number, Optimizer, one_minus_power, scalars
from haema.tensor import Tensor


class RAdam(Optimizer):
    """Rectified Adam: no division by the root of v before enough steps make it trustworthy.

        g, m, v   as in Adam;  m' = m / (1 - beta1^t)
        rho   = rho_max - 2 t beta2^t / (1 - beta2^t),  rho_max = 2 / (1 - beta2) - 1
        r     = sqrt((rho - 4)(rho - 2) rho_max / ((rho_max - 4)(rho_max - 2) rho))
        theta = theta - lr m' r sqrt(1 - beta2^t) / (sqrt(v) + eps)     if rho > 5, else theta - lr m'

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-3.
        betas: Decay rates of the two averages. Default: (0.9, 0.999).
        eps: Added to the root, so that it never divides by 0. Default: 1e-8.
        weight_decay: L2 penalty. Default: 0.
        decoupled_weight_decay: Decay the weights apart from the gradient, as AdamW. Default: False.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty; decoupled if ``weight_decay`` is. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, algorithm 2, with the
    threshold 5 and eps as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "eps", 0)
        self._check_betas(options)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"exp_avg": creation.zeros_like(p), "exp_avg_sq": creation.zeros_like(p)}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        (beta1, beta2), decoupled = self._hyper(group, "betas"), group["decoupled_weight_decay"]
        t = self._tick(params)
        correction = one_minus_power(beta2, t)
        rho_max = 2 / (1 - beta2) - 1
        rho = rho_max - 2 * t * (1 - correction) / correction
        trusted = rho > 5
        safe = where(trusted, rho, 5.0)  # below, the root would be of a negative number
        r = ((safe - 4) * (safe - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * safe) * correction).sqrt()
        rate = self._hyper(group, "lr") / one_minus_power(beta1, t) * where(trusted, r, 1.0)
        a, eps, c1, b2, c2, one = scalars(
            params[0].dtype, rate, self._hyper(group, "eps"), 1 - beta1, beta2, 1 - beta2, 1
        )
        for p in params:
            m, v = self.state[p]["exp_avg"], self.state[p]["exp_avg_sq"]
            g = self._gradient(group, p, decay=not decoupled)
            if decoupled:
                self._decay(group, p)
            m.add_((g - m).mul_(c1))
            v.mul_(b2).add_((g * g).mul_(c2))
            d = where(trusted, v.sqrt().add_(eps), one)
            p.sub_((m / d).mul_(a))
