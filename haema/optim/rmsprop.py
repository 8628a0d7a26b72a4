"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation, executor
from haema.optim.optimizer import Number, Optimizer, is_zero, scalars
from haema.tensor import Tensor


class RMSprop(Optimizer):
    """RMSprop: steps divided by a running root mean square of the gradient.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        v     = alpha v + (1 - alpha) g^2
        d     = sqrt(v) + eps                           centered: sqrt(v - a^2) + eps, a = alpha a + (1 - alpha) g
        theta = theta - lr g / d                        with momentum: b = momentum b + g / d, theta - lr b

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-2.
        alpha: Decay rate of the averages. Default: 0.99.
        eps: Added to the root, so that it never divides by 0. Default: 1e-8.
        weight_decay: L2 penalty. Default: 0.
        momentum: Share of the old velocity that is kept. Default: 0.
        centered: Divide by the standard deviation: take off the square of the mean gradient. Default: False.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty. Default: 0.

    Raises:
        InputError: an option is negative.

    Source: Tieleman, Hinton, "Neural networks for machine learning", lecture 6.5, 2012; centered: Graves,
    "Generating sequences with recurrent neural networks", arXiv:1308.0850, equations (38) to (41), with eps outside
    the root as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-2,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        momentum: Number = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "maximize": maximize, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        for name in ("alpha", "eps", "momentum"):
            self._at_least(options, name, 0)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        names = ["square_avg"]
        names += [] if is_zero(group["momentum"]) else ["momentum_buffer"]
        names += ["grad_avg"] if group["centered"] else []
        return {name: creation.zeros_like(p) for name in names}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        self._tick(params)
        alpha, momentum = self._hyper(group, "alpha"), self._hyper(group, "momentum")
        lr, keep, share, mu, eps = scalars(
            params[0].dtype, self._hyper(group, "lr"), alpha, 1 - alpha, momentum, self._hyper(group, "eps")
        )
        for p in params:
            state = self.state[p]
            v = state["square_avg"]
            g = self._gradient(group, p)
            v.mul_(keep).add_((g * g).mul_(share))
            if group["centered"]:
                a = state["grad_avg"]
                a.add_((g - a).mul_(share))
                d = (v - a * a).sqrt().add_(eps)
            else:
                d = v.sqrt().add_(eps)
            if is_zero(momentum):
                p.sub_((g / d).mul_(lr))
            else:
                if "momentum_buffer" not in state:  # the momentum was switched on
                    with executor.at_once():  # also where a step is recorded, which it outlives
                        state["momentum_buffer"] = creation.zeros_like(p)
                b = state["momentum_buffer"]
                b.mul_(mu).add_(g / d)
                p.sub_(b * lr)
