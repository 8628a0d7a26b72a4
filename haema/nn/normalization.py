"""Normalisation layers: mean 0 and variance 1 over some axes, then a learned scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from haema import dtypes
from haema.autograd import no_grad
from haema.errors import ShapeError
from haema.nn import functional as F
from haema.nn import init
from haema.nn._factory import empty_parameter, empty_tensor, sizes
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "RMSNorm",
]  # fmt: skip


class _Norm(Module):
    """Per-channel parameters and running statistics."""

    axes: tuple[int, ...] = ()  # how many axes the input may have
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        sizes(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (num_features,)
        self.register_parameter("weight", empty_parameter(shape, device, dtype) if affine else None)
        self.register_parameter("bias", empty_parameter(shape, device, dtype) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", empty_tensor(shape, device, dtype) if tracked else None)
        self.register_buffer("running_var", empty_tensor(shape, device, dtype) if tracked else None)
        count = Tensor._wrap(np.zeros((), dtypes.int64)) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen: mean 0, variance 1, none tracked."""
        if self.track_running_stats:
            with no_grad():
                self.running_mean.zero_()
                self.running_var.fill_(1)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and no batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.axes:
            allowed = " or ".join(map(str, self.axes))
            came = tuple(input.shape)
            raise ShapeError(f"{type(self).__name__}: the input must have {allowed} axes, not shape {came}")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        momentum: Any = self.momentum
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # the mean over all batches so far
                momentum = 1 / self.num_batches_tracked.to(self.running_mean.dtype)
        return F.batch_norm(
            input,
            self.running_mean if tracking or not self.training else None,
            self.running_var if tracking or not self.training else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if momentum is None else momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Normalise each feature over the batch; see ``BatchNorm2d``.

    Shape: (N, C) or (N, C, L) -> the same.
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel over the batch and the image.

        y = (x - mean) / sqrt(var + eps) * gamma + beta

    In training mean and (biased) variance are those of the mini-batch; at inference those of the running statistics,

        running = (1 - momentum) running + momentum (mean, unbiased var).

    Args:
        num_features: C.
        eps: Added to the variance.
        momentum: Share of the new batch; None for the mean over all batches.
        affine: Whether there are gamma and beta.
        track_running_stats: Keep running statistics; without them inference uses those of its batch.
        device, dtype: "cpu"; type of the parameters.
        bias: Whether there is a beta.

    Shape: (N, C, H, W) -> the same.

    Attributes:
        weight: gamma, (C,), 1 at first, or None.
        bias: beta, (C,), 0 at first, or None.
        running_mean, running_var: (C,), buffers, 0 and 1 at first, or None.
        num_batches_tracked: Training batches seen, an int64 buffer, or None.

    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2.
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise each channel over the batch and the volume (N, C, D, H, W); see ``BatchNorm2d``."""

    axes = (5,)


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        alone = input.ndim == min(self.axes)
        x = input.unsqueeze(0) if alone else input
        assert self.momentum is not None
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return y.squeeze(0) if alone else y


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each sample over its length; see ``InstanceNorm2d``.

    Shape: (N, C, L) or (C, L) -> the same.
    """

    axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each sample over its image.

    Args:
        num_features: C.
        eps: Added to the variance.
        momentum: Share of the new statistics.
        affine: Whether there are a scale and a shift.
        track_running_stats: Keep running statistics and use them at inference.
        device, dtype: "cpu"; type of the parameters.
        bias: Whether there is a shift.

    Shape: (N, C, H, W) or (C, H, W) -> the same.

    Source: D. Ulyanov et al., "Instance normalization: the missing ingredient for fast stylization", 2016.
    """

    axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each sample over its volume; see ``InstanceNorm2d``."""

    axes = (4, 5)


class LayerNorm(Module):
    """Normalise each sample over its last axes, independent of the batch and of the length of a sequence.

    Args:
        normalized_shape: Sizes of those axes.
        eps: Added to the variance.
        elementwise_affine: Whether there are a scale and a shift, one for each element.
        bias: Whether there is a shift.
        device, dtype: "cpu"; type of the parameters.

    Shape: (..., *normalized_shape) -> the same.

    Attributes:
        weight: Of ``normalized_shape``, 1 at first, or None.
        bias: Of ``normalized_shape``, 0 at first, or None.

    Source: J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", empty_parameter(shape, device, dtype) if elementwise_affine else None)
        self.register_parameter("bias", empty_parameter(shape, device, dtype) if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1 and shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean of x^2 + eps) * weight over the last axes.

    Args:
        normalized_shape: Sizes of those axes.
        eps: By default the resolution of the type.
        elementwise_affine: Whether there is a scale.
        device, dtype: "cpu"; type of the parameter.

    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization", NeurIPS 2019.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", empty_parameter(shape, device, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalise each sample over each group of channels and the image.

    Args:
        num_groups: Divides the channels.
        num_channels: C.
        eps: Added to the variance.
        affine: Whether there are a scale and a shift for each channel.
        device, dtype: "cpu"; type of the parameters.
        bias: Whether there is a shift.

    Shape: (N, C, ...) -> the same.

    Raises:
        ValueError: the channels do not divide into the groups.

    Source: Y. Wu, K. He, "Group normalization", ECCV 2018.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels cannot be divided into {num_groups} groups")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        shape = (num_channels,)
        self.register_parameter("weight", empty_parameter(shape, device, dtype) if affine else None)
        self.register_parameter("bias", empty_parameter(shape, device, dtype) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1 and shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
