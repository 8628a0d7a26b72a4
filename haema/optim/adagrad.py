"""AdaGrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.optim.optimizer import Number, Optimizer, scalars
from haema.tensor import Tensor


class Adagrad(Optimizer):
    """AdaGrad: each weight's steps shrink with the gradients it has seen.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        s     = s + g^2                                 (s = initial_accumulator_value at first)
        theta = theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-2.
        lr_decay: Decay of the learning rate. Default: 0.
        weight_decay: L2 penalty. Default: 0.
        initial_accumulator_value: First value of the sums. Default: 0.
        eps: Added to the root, so that it never divides by 0. Default: 1e-10.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: L1 penalty. Default: 0.

    Raises:
        InputError: an option is negative.

    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization",
    JMLR 12 (2011), figure 1, with diagonal matrices.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-2,
        lr_decay: Number = 0,
        weight_decay: Number = 0,
        initial_accumulator_value: float = 0,
        eps: Number = 1e-10,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            self._start(group, group["params"])

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        for name in ("lr_decay", "initial_accumulator_value", "eps"):
            self._at_least(options, name, 0)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"sum": creation.full_like(p, group["initial_accumulator_value"])}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        t = self._tick(params)
        rate = self._hyper(group, "lr") / ((t - 1) * self._hyper(group, "lr_decay") + 1)
        lr, eps = scalars(params[0].dtype, rate, self._hyper(group, "eps"))
        for p in params:
            s = self.state[p]["sum"]
            g = self._gradient(group, p)
            s.add_(g * g)
            p.sub_((g / s.sqrt().add_(eps)).mul_(lr))
