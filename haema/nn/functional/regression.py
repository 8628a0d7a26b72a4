"""Losses for numbers."""

from __future__ import annotations

import math

from haema import ops
from haema.errors import ShapeError
from haema.nn.functional._common import constant
from haema.nn.functional._losses import check_pair, check_reduction, reduced
from haema.tensor import Tensor


def _difference(name: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    check_reduction(name, reduction)
    check_pair(name, input, target)
    return input - target


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Squared error: (x - y)^2.

    Args:
        input: x, predictions.
        target: y, of the same shape.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes do not fit. (Shapes that only broadcast give a warning.)
    """
    d = _difference("mse_loss", input, target, reduction)
    return reduced(d * d, reduction)


def half_squared_error(input: Tensor, target: Tensor, reduction: str = "sum") -> Tensor:
    """Half of the squared error, 1/2 (y - o)^2, by default summed: its gradient is o - y.

    Args:
        input: o, predictions.
        target: y, of the same shape.
        reduction: "sum" (the definition), "mean" or "none".
    """
    d = _difference("half_squared_error", input, target, reduction)
    return reduced(d * d * 0.5, reduction)


def rmse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Root of the squared error.

        mean: sqrt(mean (x - y)^2)        sum: sqrt(sum (x - y)^2)        none: |x - y|

    The derivative where there is no error is 0.
    """
    d = _difference("rmse_loss", input, target, reduction)
    if reduction == "none":
        return ops.abs(d)
    square = reduced(d * d, reduction)
    zero = ops.eq(square, constant(0, square))
    root = ops.sqrt(ops.where(zero, constant(1, square), square))  # sqrt'(0) is infinite
    return ops.where(zero, constant(0, square), root)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Absolute error: |x - y|; its derivative at 0 is 0."""
    return reduced(ops.abs(_difference("l1_loss", input, target, reduction)), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """(x - y)^2 / (2 beta) where |x - y| < beta, else |x - y| - beta / 2; with beta = 0 the absolute error.

    Raises:
        ValueError: beta is negative.

    Source: R. Girshick, "Fast R-CNN", ICCV 2015, equation 3.
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, as {beta} is")
    d = _difference("smooth_l1_loss", input, target, reduction)
    size = ops.abs(d)
    if beta == 0:
        return reduced(size, reduction)
    inside = ops.lt(size, constant(beta, size))
    return reduced(ops.where(inside, d * d * (0.5 / beta), size - 0.5 * beta), reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """(x - y)^2 / 2 where |x - y| < delta, else delta (|x - y| - delta / 2).

    Raises:
        ValueError: delta is not positive.

    Source: P. Huber, "Robust estimation of a location parameter", Annals of Statistics 53, 1964.
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be above 0, not {delta}")
    d = _difference("huber_loss", input, target, reduction)
    size = ops.abs(d)
    inside = ops.lt(size, constant(delta, size))
    return reduced(ops.where(inside, d * d * 0.5, (size - 0.5 * delta) * delta), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of counts y from a Poisson distribution.

        log_input:  e^x - y x             else:  x - y log(x + eps)
        full:       + y log y - y + log(2 pi y) / 2  where y > 1   (Stirling)

    Args:
        input: x, the expected count or its logarithm.
        target: y, counts, of the same shape.
        log_input: Whether x is the logarithm.
        full: Add the term that does not depend on x.
        eps: Keeps the logarithm finite.
        reduction: "mean", "sum" or "none".
    """
    check_reduction("poisson_nll_loss", reduction)
    check_pair("poisson_nll_loss", input, target)
    loss = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        y = target.to(input.dtype)
        large = ops.gt(y, constant(1, y))
        safe = ops.where(large, y, constant(1, y))
        stirling = safe * ops.log(safe) - safe + ops.log(safe * (2 * math.pi)) * 0.5
        loss = loss + ops.where(large, stirling, constant(0, y))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of y under a normal distribution with mean x and variance v.

        1/2 (log v + (x - y)^2 / v),  v not below eps;      full: + log(2 pi) / 2

    Args:
        input: x, expected values.
        target: y, of the same shape.
        var: v: a number, or of the shape of the input, which may lack its last axis or have size 1 there.
        full: Add the constant.
        eps: The smallest variance; below it the derivative passes on as if v were eps.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the variances do not fit.
    """
    check_reduction("gaussian_nll_loss", reduction)
    check_pair("gaussian_nll_loss", input, target)
    v = constant(var, input).expand(input.shape) if isinstance(var, (int, float)) else var
    if v.shape != input.shape:
        if tuple(v.shape) == tuple(input.shape[:-1]):
            v = v.unsqueeze(-1)
        elif tuple(v.shape) != (*input.shape[:-1], 1):
            raise ShapeError(
                f"gaussian_nll_loss: variances of shape {tuple(v.shape)} do not fit an input of shape "
                f"{tuple(input.shape)}"
            )
    v = v + (constant(eps, v) - v).clamp(min=0.0).detach()
    d = input - target
    loss = (ops.log(v) + d * d / v) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
