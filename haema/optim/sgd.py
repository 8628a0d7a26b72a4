"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation, executor
from haema.errors import InputError
from haema.optim.optimizer import Number, Optimizer, is_zero, scalars
from haema.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum on request.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        v     = momentum v + (1 - dampening) g          (v = g in the first step)
        theta = theta - lr v                            or with Nesterov: theta - lr (g + momentum v)

    Without momentum and L1 this is theta (1 - lr weight_decay) - lr grad.

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-3.
        momentum: Share of the old velocity that is kept. Default: 0.
        dampening: Share of the gradient that does not enter the velocity. Default: 0.
        weight_decay: L2 penalty: lambda of lambda/2 |theta|^2. Default: 0.
        nesterov: Nesterov momentum. Default: False.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty: lambda of lambda |theta|. Default: 0.

    Raises:
        InputError: an option is negative, or Nesterov without momentum or with dampening.

    Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013, equations (1) to (4), with the learning rate outside the velocity as in PyTorch.
    """

    together = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-3,
        momentum: Number = 0,
        dampening: Number = 0,
        weight_decay: Number = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "momentum", 0)
        if options["nesterov"] and (is_zero(options["momentum"]) or not is_zero(options["dampening"])):
            raise InputError("SGD: Nesterov momentum needs a momentum above 0 and a dampening of 0")

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        if is_zero(group["momentum"]) or not is_zero(group["dampening"]):
            return {}  # with dampening the velocity begins with the whole first gradient
        return {"momentum_buffer": creation.zeros_like(p)}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        momentum, dampening = self._hyper(group, "momentum"), self._hyper(group, "dampening")
        moving = not is_zero(momentum)
        lr, mu, share = scalars(params[0].dtype, self._hyper(group, "lr"), momentum, 1 - dampening)
        for p in params:
            d = g = self._gradient(group, p)
            if moving:
                v = self.state[p].get("momentum_buffer")
                if v is None:  # a recorded step that makes it is another than those that follow
                    executor.active().relied(self)
                    with executor.at_once():
                        v = self.state[p]["momentum_buffer"] = creation.zeros_like(p)
                    self._change()
                    v.copy_(g)
                else:
                    v.mul_(mu).add_(g if is_zero(dampening) else g * share)
                d = (v * mu).add_(g) if group["nesterov"] else v
            p.sub_(d * lr)
