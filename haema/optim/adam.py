"""Adam, and AdamW, which decays the weights apart from the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haema import creation
from haema.optim.optimizer import Number, Optimizer, one_minus_power, scalars
from haema.tensor import Tensor


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

        g     = grad + weight_decay theta + l1_decay sign(theta)
        m     = beta1 m + (1 - beta1) g
        v     = beta2 v + (1 - beta2) g^2
        theta = theta - lr m' / (sqrt(v') + eps),       m' = m / (1 - beta1^t),  v' = v / (1 - beta2^t)

    computed as theta - a m / (sqrt(v) + b) with a = lr sqrt(1 - beta2^t) / (1 - beta1^t), b = eps sqrt(1 - beta2^t),
    which is the same and needs fewer passes. With ``amsgrad`` the largest v so far stands in its place.

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-3.
        betas: Decay rates of the two averages. Default: (0.9, 0.999).
        eps: Added to the root, so that it never divides by 0. Default: 1e-8.
        weight_decay: L2 penalty. Default: 0.
        amsgrad: AMSGrad. Default: False.
        maximize: Ascend instead of descend. Default: False.
        decoupled_weight_decay: Decay the weights apart from the gradient, as AdamW. Default: False.
        l1_decay: L1 penalty; decoupled if ``weight_decay`` is. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1 and the end of
    section 2; AMSGrad: Reddi, Kale, Kumar, "On the convergence of Adam and beyond", ICLR 2018, algorithm 2, with
    bias correction as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay, "l1_decay": l1_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        self._at_least(options, "eps", 0)
        self._check_betas(options)

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return {name: creation.zeros_like(p) for name in names}

    def _advance(self, group: dict[str, Any], params: list[Tensor]) -> None:
        (beta1, beta2), decoupled = self._hyper(group, "betas"), group["decoupled_weight_decay"]
        t = self._tick(params)
        root = one_minus_power(beta2, t).sqrt()
        rate = root / one_minus_power(beta1, t) * self._hyper(group, "lr")
        a, b, c1, b2, c2 = scalars(params[0].dtype, rate, root * self._hyper(group, "eps"), 1 - beta1, beta2, 1 - beta2)
        for p in params:
            state = self.state[p]
            m, v = state["exp_avg"], state["exp_avg_sq"]
            g = self._gradient(group, p, decay=not decoupled)
            if decoupled:
                self._decay(group, p)
            m.add_((g - m).mul_(c1))
            v.mul_(b2).add_((g * g).mul_(c2))
            if group["amsgrad"]:
                v = state["max_exp_avg_sq"].copy_(state["max_exp_avg_sq"].maximum(v))
            p.sub_((m / v.sqrt().add_(b)).mul_(a))


class AdamW(Adam):
    """Adam with decoupled weight decay: the decay does not pass through the averages.

        theta = theta - lr weight_decay theta - lr l1_decay sign(theta)
        theta = theta - lr m' / (sqrt(v') + eps)        m', v' as in Adam, of the bare gradient

    Args:
        params: Tensors or parameter groups.
        lr: Learning rate, a number or a tensor without axes. Default: 1e-3.
        betas: Decay rates of the two averages. Default: (0.9, 0.999).
        eps: Added to the root, so that it never divides by 0. Default: 1e-8.
        weight_decay: Share of the weights, times lr, taken off in each step. Default: 1e-2.
        amsgrad: AMSGrad. Default: False.
        maximize: Ascend instead of descend. Default: False.
        l1_decay: Size, times lr, by which each weight moves towards 0 in each step. Default: 0.

    Raises:
        InputError: an option is negative, or a beta is not in [0, 1).

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        l1_decay: Number = 0.0,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad,
            maximize=maximize, decoupled_weight_decay=True, l1_decay=l1_decay,
        )  # fmt: skip
