"""Adam with Nesterov momentum."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from haema import creation, dtypes
from haema.optim.optimizer import Number, Optimizer, one_minus_power, scalars
from haema.tensor import Tensor


class NAdam(Optimizer):
    """Adam with Nesterov momentum.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        mu_t  = beta1 (1 - 0.96^(t momentum_decay) / 2)
        m     = beta1 m + (1 - beta1) g
        v     = beta2 v + (1 - beta2) g^2
        m'    = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
        theta = theta - lr m' / (sqrt(v / (1 - beta2^t)) + eps)

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 2e-3.
        betas: Decay rates of the two averages. Default: (0.9, 0.999).
        eps: Added to the root, so that it never divides by 0. Default: 1e-8.
        weight_decay: L2 penalty. Default: 0.
        momentum_decay: How fast the momentum rises from beta1/2 to beta1. Default: 4e-3.
        decoupled_weight_decay: Decay the weights apart from the gradient, as AdamW. Default: False.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty; decoupled if ``weight_decay`` is. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2.
    """

    together = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        momentum_decay: Number = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "eps", 0)
        self._at_least(options, "momentum_decay", 0)
        self._check_betas(options)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"exp_avg": creation.zeros_like(p), "exp_avg_sq": creation.zeros_like(p)}

    def _new_shared_state(self) -> dict[str, Tensor]:
        return {**super()._new_shared_state(), "mu_product": creation.ones((), dtype=dtypes.get_default_dtype())}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        beta1, beta2 = self._hyper(group, "betas")
        lr, decoupled = self._hyper(group, "lr"), group["decoupled_weight_decay"]
        t = self._tick(params)
        pace = self._hyper(group, "momentum_decay") * math.log(0.96)
        mu = (1 - (t * pace).exp() * 0.5) * beta1
        mu_next = (1 - ((t + 1) * pace).exp() * 0.5) * beta1
        product = self.state[params[0]]["mu_product"]
        product.mul_(mu.to(product.dtype))
        so_far = product.double()
        root = one_minus_power(beta2, t).sqrt()
        # lr x / (sqrt(v) / root + eps) = lr root x / (sqrt(v) + eps root)
        from_g = root * lr * (1 - mu) / (1 - so_far)
        from_m = root * lr * mu_next / (1 - so_far * mu_next)
        of_g, of_m, b, c1, b2, c2 = scalars(
            params[0].dtype, from_g, from_m, root * self._hyper(group, "eps"), 1 - beta1, beta2, 1 - beta2
        )
        for p in params:
            m, v = self.state[p]["exp_avg"], self.state[p]["exp_avg_sq"]
            g = self._gradient(group, p, decay=not decoupled)
            if decoupled:
                self._decay(group, p)
            m.add_((g - m).mul_(c1))
            v.mul_(b2).add_((g * g).mul_(c2))
            p.sub_((g * of_g).add_(m * of_m).div_(v.sqrt().add_(b)))
