"""AdaDelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.errors import InputError
from haema.optim.optimizer import Number, Optimizer, scalars
from haema.tensor import Tensor


class Adadelta(Optimizer):
    """AdaDelta: steps in the units of the weights, scaled by a running mean of past steps.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        v     = rho v + (1 - rho) g^2
        d     = sqrt(u + eps) / sqrt(v + eps) g
        u     = rho u + (1 - rho) d^2
        theta = theta - lr d

    Args:
        params: Tensors or parameter groups.
        lr: Factor of the step, a number or a tensor without axes. Default: 1.0.
        rho: Decay rate of the averages, in [0, 1]. Default: 0.9.
        eps: Added under both roots. Default: 1e-6.
        weight_decay: L2 penalty. Default: 0.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty. Default: 0.

    Raises:
        InputError: an option is negative, or rho is above 1.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, algorithm 1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1.0,
        rho: Number = 0.9,
        eps: Number = 1e-6,
        weight_decay: Number = 0,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "eps", 0)
        if not 0 <= float(options["rho"]) <= 1:
            raise InputError(f"Adadelta: rho must be from 0 to 1, not {float(options['rho'])}")

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"square_avg": creation.zeros_like(p), "acc_delta": creation.zeros_like(p)}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        self._tick(params)
        rho = self._hyper(group, "rho")
        lr, keep, share, eps = scalars(
            params[0].dtype, self._hyper(group, "lr"), rho, 1 - rho, self._hyper(group, "eps")
        )
        for p in params:
            v, u = self.state[p]["square_avg"], self.state[p]["acc_delta"]
            g = self._gradient(group, p)
            v.mul_(keep).add_((g * g).mul_(share))
            d = (u + eps).sqrt().div_((v + eps).sqrt()).mul_(g)
            u.mul_(keep).add_((d * d).mul_(share))
            p.sub_(d.mul_(lr))
