"""Normalisation: mean 0 and variance 1 over some axes, then a learned scale and shift.

    y = (x - mean) / sqrt(var + eps) * weight + bias,      var biased: sum (x - mean)^2 / n

What differs is the axes: the batch (batch norm), the features (layer norm), or groups of channels (group norm).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from haema import autograd, ops
from haema.errors import ShapeError
from haema.nn.functional._common import need_floating
from haema.tensor import Tensor


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, deviations from it, and biased variance over ``axes``, which are kept."""
    scale = x._constant(1 / max(math.prod(x.shape[a] for a in axes), 1), x.dtype)
    mean = ops.mul(ops.sum(x, axes=axes, keepdims=True), scale)
    deviation = ops.sub(x, mean)
    variance = ops.mul(ops.sum(ops.mul(deviation, deviation), axes=axes, keepdims=True), scale)
    return mean, deviation, variance


def _scaled(deviation: Tensor, variance: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """deviation / sqrt(variance + eps) * weight + bias, with the factors joined before they meet the large tensor."""
    factor = 1 / ops.sqrt(variance + eps)
    y = deviation * (factor if weight is None or weight.shape != variance.shape else factor * weight)
    if weight is not None and weight.shape != variance.shape:
        y = y * weight
    return y if bias is None else y + bias


class _Normalized(autograd.Function):
    """Deviations over the standard deviation, times a factor and plus a shift for each mean: y, mean, variance.

    With x^ = (x - mean) r,  r = 1 / sqrt(var + eps),  and n values for each mean:

        d bias   = sum dy
        d weight = sum dy x^
        dx       = weight r (dy - d bias / n - x^ d weight / n)

    That mean and variance depend on x is in there already, so that dx needs the two sums only, and not a third one
    over what the variance adds.

    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, section 3, with the sums inserted in one another.
    """

    @staticmethod
    def forward(
        ctx: autograd.Context, x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: tuple[int, ...], eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, deviation, variance = _moments(x, axes)
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        ctx.axes, ctx.eps = axes, eps  # type: ignore[attr-defined]
        return _scaled(deviation, variance, eps, weight, bias), mean, variance

    @staticmethod
    def backward(ctx: autograd.Context, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        axes, eps = ctx.axes, ctx.eps  # type: ignore[attr-defined]
        x, weight, mean, variance = ctx.saved_tensors
        deviation = ops.sub(x, mean)
        if autograd.is_grad_enabled():  # the gradient will be differentiated, and must know where these come from
            mean, deviation, variance = _moments(x, axes)
        scale = x._constant(1 / max(math.prod(x.shape[a] for a in axes), 1), x.dtype)
        r = 1 / ops.sqrt(variance + eps)
        db = ops.sum(dy, axes=axes, keepdims=True)
        dw = ops.mul(ops.sum(ops.mul(dy, deviation), axes=axes, keepdims=True), r)
        dx = None
        if ctx.needs_input_grad[0]:
            factor = r if weight is None else r * weight
            dx = (dy - db * scale - deviation * (r * dw * scale)) * factor
        return dx, None if weight is None else dw, db, None, None


def _per_channel(x: Tensor | None, ndim: int) -> Tensor | None:
    """A vector of channels as (1, C, 1, ...)."""
    return None if x is None else ops.reshape(x, shape=(1, x.numel()) + (1,) * (ndim - 2))


def _check_channels(name: str, input: Tensor, **vectors: Tensor | None) -> None:
    need_floating(name, input)
    if input.ndim < 2:
        raise ShapeError(f"{name}: the input must be (N, C, ...), not shape {tuple(input.shape)}")
    for what, v in vectors.items():
        if v is not None and tuple(v.shape) != (input.shape[1],):
            raise ShapeError(
                f"{name}: the input of shape {tuple(input.shape)} has {input.shape[1]} channels, "
                f"but {what} has shape {tuple(v.shape)}"
            )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch and the image.

        training:   mean, var over N, H, W;   running = (1 - momentum) running + momentum (mean, var n / (n - 1))
        inference:  mean, var = running

    Args:
        input: (N, C, ...).
        running_mean, running_var: (C,), changed in place when training; None in training if not wanted.
        weight, bias: gamma and beta, (C,), or None.
        training: Use the statistics of this batch.
        momentum: Share of the new statistics.
        eps: Added to the variance.

    Raises:
        ShapeError: a vector does not have C entries, or in training a channel has only one value.

    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, algorithm 1.
    """
    _check_channels("batch_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    scale, shift = _per_channel(weight, input.ndim), _per_channel(bias, input.ndim)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: inference needs running_mean and running_var")
        mean, var = _per_channel(running_mean, input.ndim), _per_channel(running_var, input.ndim)
        assert mean is not None
        assert var is not None
        return _scaled(input - mean, var, eps, scale, shift)
    axes = (0, *range(2, input.ndim))
    n = math.prod(input.shape[a] for a in axes)
    if n == 1:
        raise ShapeError(
            f"batch_norm: training needs more than one value per channel, but the input has shape {tuple(input.shape)}"
        )
    y: Tensor
    y, mean, var = _Normalized.apply(input, scale, shift, axes, eps)
    with autograd.no_grad():
        for running, new, factor in ((running_mean, mean, 1.0), (running_var, var, n / max(n - 1, 1))):
            if running is not None:
                target = ops.reshape(new.detach(), shape=running.shape)
                running.mul_(1 - momentum).add_(target * (momentum * factor))
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample over its image.

    Args:
        input: (N, C, ...) with at least one more axis.
        running_mean, running_var: (C,), changed in place if the input's statistics are used.
        weight, bias: (C,), or None.
        use_input_stats: Use the statistics of this input rather than the running ones.
        momentum: Share of the new statistics.
        eps: Added to the variance.

    Source: D. Ulyanov et al., "Instance normalization: the missing ingredient for fast stylization", 2016.
    """
    _check_channels(
        "instance_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, input.ndim))
    n = math.prod(input.shape[a] for a in axes)
    if n <= 1:
        raise ShapeError(
            f"instance_norm: needs more than one value per channel, but the input has shape {tuple(input.shape)}"
        )
    mean, deviation, var = _moments(input, axes)
    with autograd.no_grad():
        for running, new, factor in ((running_mean, mean, 1.0), (running_var, var, n / (n - 1))):
            if running is not None:
                target = new.detach().mean((0, *axes)) * factor
                running.mul_(1 - momentum).add_(target * momentum)
    return _scaled(deviation, var, eps, _per_channel(weight, input.ndim), _per_channel(bias, input.ndim))


def _normal_shape(name: str, input: Tensor, normalized_shape: Sequence[int] | int) -> tuple[int, ...]:
    """The axes at the end that are normalised.

    Raises:
        ShapeError: the input does not end in ``normalized_shape``.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    need_floating(name, input)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(f"{name}: the input of shape {tuple(input.shape)} must end in the normalized shape {shape}")
    return tuple(range(input.ndim - len(shape), input.ndim))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int] | int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each sample over its last axes, independent of the batch.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: Sizes of the axes to normalise over.
        weight, bias: Of ``normalized_shape``, or None.
        eps: Added to the variance.

    Raises:
        ShapeError: the input does not end in ``normalized_shape``.

    Source: J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016.
    """
    axes = _normal_shape("layer_norm", input, normalized_shape)
    _, deviation, var = _moments(input, axes)
    return _scaled(deviation, var, eps, weight, bias)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int] | int, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean of x^2 + eps) * weight over the last axes; eps is the type's resolution by default.

    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.
    """
    import numpy as np

    axes = _normal_shape("rms_norm", input, normalized_shape)
    square = (input * input).mean(axes, True)
    return _scaled(input, square, float(np.finfo(input.dtype).eps) if eps is None else eps, weight, None)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each sample over each of ``num_groups`` groups of channels and the image.

    Args:
        input: (N, C, ...).
        num_groups: Divides C.
        weight, bias: (C,), or None.
        eps: Added to the variance.

    Raises:
        ShapeError: the channels do not divide into the groups.

    Source: Y. Wu, K. He, "Group normalization", ECCV 2018.
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(f"group_norm: {channels} channels cannot be divided into {num_groups} groups")
    inner = math.prod(input.shape[2:]) * (channels // num_groups)
    x = ops.reshape(input, shape=(input.shape[0], num_groups, inner))
    _, deviation, var = _moments(x, (2,))
    y = ops.reshape(_scaled(deviation, var, eps, None, None), shape=tuple(input.shape))
    scale, shift = _per_channel(weight, input.ndim), _per_channel(bias, input.ndim)
    y = y if scale is None else y * scale
    return y if shift is None else y + shift
