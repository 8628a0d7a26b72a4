"""Losses for classes and probabilities. Logarithms are natural unless another base is asked for."""

from __future__ import annotations

import numpy as np

from haema import dtypes, executor, ops
from haema.errors import ShapeError
from haema.functions.promotion import convert
from haema.nn.functional._common import constant, need_floating
from haema.nn.functional._losses import (
    check_classes,
    check_pair,
    check_reduction,
    check_weight,
    log_base,
    reduced,
)
from haema.nn.functional.activation import log1p_exp
from haema.tensor import Tensor

EPS_GRAD = float(np.float32(1e-12))  # where x (1 - x) is smaller, binary cross entropy goes on as a straight line


def _class_shape(x: Tensor, axis: int) -> tuple[int, ...]:
    """The shape in which a vector over the classes meets ``x``."""
    return tuple(n if a == axis else 1 for a, n in enumerate(x.shape))


def _is_class(x: Tensor, target: Tensor, axis: int) -> Tensor:
    """Booleans of the shape of ``x``, true at the labelled class."""
    classes = x._constant(np.arange(x.shape[axis]).reshape(_class_shape(x, axis)), dtypes.int64)
    labels = convert(target, dtypes.int64)
    shape = tuple(1 if a == axis else n for a, n in enumerate(x.shape))
    return ops.eq(ops.reshape(labels, shape=shape), classes)


def _picked(mask: Tensor, x: Tensor, axis: int) -> Tensor:
    """The element of ``x`` that ``mask`` is true at, 0 if at none; others may be infinite."""
    return ops.sum(ops.where(mask, x, constant(0, x)), axes=(axis,), keepdims=False)


def _labelled(
    name: str,
    loss: Tensor,
    target: Tensor,
    mask: Tensor,
    axis: int,
    weight: Tensor | None,
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """The loss per label with weights and without those to ignore; and what counts for each in a mean."""
    valid = ops.ne(target, target._constant(ignore_index, target.dtype)) if _fits(ignore_index, target) else None
    if weight is None:
        share = None
    else:
        check_weight(name, weight, mask.shape[axis])
        spread = ops.expand(ops.reshape(weight, shape=_class_shape(mask, axis)), shape=tuple(mask.shape))
        share = _picked(mask, spread, axis)
        loss = loss * share
    zero = constant(0, loss)
    if valid is None:
        share = constant(1, loss).expand(loss.shape) if share is None else share
        return loss, share
    share = ops.where(valid, constant(1, loss) if share is None else share, zero)
    return ops.where(valid, loss, zero), share


def _fits(ignore_index: int, target: Tensor) -> bool:
    """Whether a label of this type can be ``ignore_index`` at all."""
    info = np.iinfo(target.dtype)
    return bool(info.min <= ignore_index <= info.max)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    base: float | None = None,
) -> Tensor:
    """Softmax and negative log likelihood in one, without overflow.

        labels:         l_n = -w_y log softmax(x_n)_y
        probabilities:  l_n = -sum over c of  w_c t_nc log softmax(x_n)_c

    Args:
        input: x, scores, (N, C), (N, C, d1, ...) or (C,).
        target: Labels, integers (N,), (N, d1, ...) or (); or probabilities in the shape of the input.
        weight: w, (C,), or None.
        ignore_index: A label that counts for nothing.
        reduction: "mean" (with labels the weighted mean), "sum" or "none".
        label_smoothing: Share of the target that is spread over all classes evenly.
        base: Of the logarithm; natural by default, 2 gives bits.

    Raises:
        ShapeError, DTypeError: the target does not belong to the input.
        InputError: a label is not a class number.
        ValueError: a bad reduction, smoothing or base.
    """
    name = "cross_entropy"
    check_reduction(name, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must be between 0 and 1, not {label_smoothing}")
    factor = log_base(name, base)
    if target.dtype.kind == "f" and target.shape == input.shape:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing, factor)
    axis = check_classes(name, input, target, ignore_index)
    largest = ops.max(input, axes=(axis,), keepdims=True).detach()
    d = ops.sub(input, largest)
    lse = ops.log(ops.sum(ops.exp(d), axes=(axis,), keepdims=False))
    mask = _is_class(input, target, axis)
    loss, share = _labelled(name, lse - _picked(mask, d, axis), target, mask, axis, weight, ignore_index)
    if label_smoothing > 0:
        classes = input.shape[axis]
        logs = d - ops.reshape(lse, shape=tuple(largest.shape))
        if weight is not None:
            logs = logs * ops.reshape(weight, shape=_class_shape(input, axis))
        smooth = ops.neg(ops.sum(logs, axes=(axis,), keepdims=False))
        if _fits(ignore_index, target):
            smooth = ops.where(ops.eq(target, target._constant(ignore_index, target.dtype)), constant(0, loss), smooth)
        loss = loss * (1 - label_smoothing) + smooth * (label_smoothing / classes)
    loss = loss if factor == 1 else loss * factor
    return reduced(loss, reduction, ops.sum(share, axes=tuple(range(share.ndim)), keepdims=False))


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float, factor: float
) -> Tensor:
    """Cross entropy against probabilities."""
    need_floating("cross_entropy", input)
    if input.ndim == 0:
        raise ShapeError("cross_entropy: the input must be (N, C, ...) or (C,), not a single number")
    axis = 0 if input.ndim == 1 else 1
    classes = input.shape[axis]
    check_weight("cross_entropy", weight, classes)
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * ops.reshape(weight, shape=_class_shape(input, axis))
    loss = ops.neg(ops.sum(input.log_softmax(axis) * target, axes=(axis,), keepdims=False))
    return reduced(loss if factor == 1 else loss * factor, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    base: float | None = None,
) -> Tensor:
    """Negative log likelihood: l_n = -w_y x_ny, only the true class being looked at.

    Args:
        input: x, log probabilities (natural), (N, C), (N, C, d1, ...) or (C,).
        target: Labels, integers (N,), (N, d1, ...) or ().
        weight: w, (C,), or None.
        ignore_index: A label that counts for nothing.
        reduction: "mean" (weighted), "sum" or "none".
        base: Of the logarithm in the result; natural by default, 2 gives bits.

    Raises:
        ShapeError, DTypeError: the target does not belong to the input.
        InputError: a label is not a class number.
    """
    check_reduction("nll_loss", reduction)
    factor = log_base("nll_loss", base)
    axis = check_classes("nll_loss", input, target, ignore_index)
    mask = _is_class(input, target, axis)
    loss = ops.neg(_picked(mask, input, axis))
    loss, share = _labelled("nll_loss", loss, target, mask, axis, weight, ignore_index)
    loss = loss if factor == 1 else loss * factor
    return reduced(loss, reduction, ops.sum(share, axes=tuple(range(share.ndim)), keepdims=False))


def _check_probabilities(name: str, input: Tensor, target: Tensor) -> None:
    from haema.errors import InputError

    check_pair(name, input, target, broadcast=False)
    x = input._data
    if not isinstance(x, np.ndarray):
        fits = ~((input < 0) | (input > 1))
        executor.active().require(fits._data, InputError(f"{name}: the input must be probabilities between 0 and 1"))
    elif x.size and (x.min() < 0 or x.max() > 1):
        found = float(x.min() if x.min() < 0 else x.max())
        raise InputError(
            f"{name}: the input must be probabilities between 0 and 1, not {found:.6g}; "
            "use binary_cross_entropy_with_logits for scores"
        )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    base: float | None = None,
) -> Tensor:
    """l = -w (t log x + (1 - t) log(1 - x)), logarithms not below -100.

    Args:
        input: x, probabilities, any shape.
        target: t, between 0 and 1, of the same shape.
        weight: w, which broadcasts to that shape, or None.
        reduction: "mean", "sum" or "none".
        base: Of the logarithm; natural by default, 2 gives bits.

    Returns:
        The loss. Where x (1 - x) < 1e-12, its derivative is (x - t) / 1e-12, as PyTorch's.

    Raises:
        ShapeError: the shapes differ.
        InputError: an input is not a probability.
    """
    name = "binary_cross_entropy"
    check_reduction(name, reduction)
    factor = log_base(name, base)
    _check_probabilities(name, input, target)
    t = convert(target, input.dtype)
    x = input.detach()
    saturated = ops.lt(x * (1 - x), constant(EPS_GRAD, x))
    inside = ops.where(saturated, constant(0.5, x), input)
    curve = ops.neg(t * ops.log(inside) + (1 - t) * ops.log1p(ops.neg(inside)))
    logs = (ops.log(x).clamp(min=-100.0), ops.log1p(ops.neg(x)).clamp(min=-100.0))
    slope = (x - t.detach()) * (1 / EPS_GRAD)
    line = (input - x) * slope - (t * logs[0] + (1 - t) * logs[1])
    loss = ops.where(saturated, line, curve)
    loss = loss if weight is None else loss * weight
    return reduced(loss if factor == 1 else loss * factor, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    base: float | None = None,
) -> Tensor:
    """Sigmoid and binary cross entropy in one, without overflow.

        l = -w (p t log sigmoid(x) + (1 - t) log(1 - sigmoid(x)))

    Args:
        input: x, scores, any shape.
        target: t, between 0 and 1, of the same shape.
        weight: w, which broadcasts to that shape, or None.
        reduction: "mean", "sum" or "none".
        pos_weight: p, which broadcasts to that shape, or None.
        base: Of the logarithm; natural by default, 2 gives bits.

    Raises:
        ShapeError: the shapes differ.
    """
    name = "binary_cross_entropy_with_logits"
    check_reduction(name, reduction)
    factor = log_base(name, base)
    check_pair(name, input, target, broadcast=False)
    x, t = input, convert(target, input.dtype)
    if pos_weight is None:
        zero = constant(0, x)
        positive = ops.gt(x, zero)
        size = ops.where(positive, x, ops.neg(x))
        loss = (ops.where(positive, x, zero) - x * t) + ops.log1p(ops.exp(ops.neg(size)))
    else:
        loss = (1 - t) * x + ((pos_weight - 1) * t + 1) * log1p_exp(ops.neg(x))
    loss = loss if weight is None else loss * weight
    return reduced(loss if factor == 1 else loss * factor, reduction)


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence: l = t (log t - x), where x are log probabilities.

    Args:
        input: x, log probabilities, any shape.
        target: t, probabilities, or their logarithms if ``log_target``; 0 log 0 is 0.
        reduction: "mean", "batchmean" (the sum divided by the size of the first axis: the definition), "sum", "none".
        log_target: Whether ``target`` holds log t.
    """
    check_reduction("kl_div", reduction, ("mean", "batchmean", "sum", "none"))
    check_pair("kl_div", input, target)
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        zero = constant(0, target)
        positive = ops.gt(target, zero)
        logs = ops.log(ops.where(positive, target, constant(1, target)))
        # below 0 there is no logarithm: nan, as IEEE says of it
        logs = ops.where(ops.lt(target, zero), constant(float("nan"), target), logs)
        loss = target * logs - target * input
    if reduction == "batchmean":
        return reduced(loss, "sum") / (input.shape[0] if input.ndim else 1)
    return reduced(loss, reduction)
