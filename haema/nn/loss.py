"""Losses as modules. Their equations stand with the functions in ``haema.nn.functional``."""

from __future__ import annotations

from haema.nn import functional as F
from haema.nn.functional._losses import check_reduction
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineSimilarity", "CrossEntropyLoss", "GaussianNLLLoss", "HalfSquaredError",
    "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "NLLLoss", "PoissonNLLLoss", "RMSELoss", "SmoothL1Loss",
]  # fmt: skip


class _Loss(Module):
    """A loss that is a number, or one for each element."""

    reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str) -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, self.reductions)
        self.reduction = reduction


class MSELoss(_Loss):
    """(x - y)^2.

    Args:
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class HalfSquaredError(_Loss):
    """1/2 sum (y - o)^2, whose gradient is o - y.

    Args:
        reduction: "sum" (the definition), "mean" or "none".
    """

    def __init__(self, reduction: str = "sum") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.half_squared_error(input, target, self.reduction)


class RMSELoss(_Loss):
    """sqrt(mean (x - y)^2).

    Args:
        reduction: "mean"; "sum" for the root of the sum; "none" for |x - y|.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.rmse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|x - y|.

    Args:
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """(x - y)^2 / (2 beta) where |x - y| < beta, else |x - y| - beta / 2.

    Args:
        reduction: "mean", "sum" or "none".
        beta: Where the parabola ends.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """(x - y)^2 / 2 where |x - y| < delta, else delta (|x - y| - delta / 2).

    Args:
        reduction: "mean", "sum" or "none".
        delta: Where the parabola ends.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class CrossEntropyLoss(_Loss):
    """-log softmax(x)_y: softmax and negative log likelihood in one.

    Args:
        weight: Weight of each class, (C,), or None.
        ignore_index: A label that counts for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: Share of the target that is spread over all classes evenly.
        base: Of the logarithm; natural by default, 2 gives bits.

    Shape: x (N, C), (N, C, d1, ...) or (C,); y labels (N,), (N, d1, ...) or (), or probabilities in the shape of x.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        base: float | None = None,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.base = base

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing, self.base
        )


class NLLLoss(_Loss):
    """-x_y, where x are log probabilities: only the true class is looked at.

    Args:
        weight: Weight of each class, (C,), or None.
        ignore_index: A label that counts for nothing.
        reduction: "mean", "sum" or "none".
        base: Of the logarithm in the result; natural by default, 2 gives bits.

    Shape: as for ``CrossEntropyLoss`` with labels.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        base: float | None = None,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.base = base

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction, self.base)


class BCELoss(_Loss):
    """-(t log x + (1 - t) log(1 - x)), logarithms not below -100.

    Args:
        weight: Weight of each element, which broadcasts, or None.
        reduction: "mean", "sum" or "none".
        base: Of the logarithm; natural by default, 2 gives bits.
    """

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", base: float | None = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.base = base

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction, self.base)


class BCEWithLogitsLoss(_Loss):
    """Sigmoid and binary cross entropy in one, without overflow.

    Args:
        weight: Weight of each element, which broadcasts, or None.
        reduction: "mean", "sum" or "none".
        pos_weight: Weight of positive targets, which broadcasts, or None.
        base: Of the logarithm; natural by default, 2 gives bits.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
        base: float | None = None,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.base = base

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight, self.base
        )


class KLDivLoss(_Loss):
    """t (log t - x), where x are log probabilities.

    Args:
        reduction: "mean", "batchmean" (the definition), "sum" or "none".
        log_target: Whether the target holds log t.
    """

    reductions = ("mean", "batchmean", "sum", "none")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(_Loss):
    """Negative log likelihood of counts: e^x - y x.

    Args:
        log_input: Whether x is the logarithm of the expected count.
        full: Add the term that does not depend on x.
        eps: Keeps the logarithm finite.
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(input, target, self.log_input, self.full, self.eps, self.reduction)


class GaussianNLLLoss(_Loss):
    """Negative log likelihood under a normal distribution: 1/2 (log v + (x - y)^2 / v).

    Args:
        full: Add the constant log(2 pi) / 2.
        eps: The smallest variance.
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class CosineSimilarity(Module):
    """x1 . x2 / (||x1|| ||x2||) along ``dim``.

    Args:
        dim: Axis of the vectors.
        eps: The smallest norm.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
