"""Whitening of the patches of images, as a first convolution that is computed and not learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from haema.autograd import no_grad
from haema.creation import tensor
from haema.errors import InputError
from haema.nn import functional as F
from haema.nn._factory import empty_parameter, empty_tensor, sizes
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["PatchWhitening"]

PORTION = 1 << 22
"""Numbers of patches that are looked at at once."""


class PatchWhitening(Module):
    """A convolution whose outputs on the training images are uncorrelated and of variance 1, each with both signs.

        cov(patches) = E diag(l) E^T,  W = E diag(1 / sqrt(l + eps)),  y = [W; -W] * x + b

    W is computed once from images by ``fit`` and then stays; b is learned. Before ``fit`` W is 0.

    Args:
        in_channels: C, channels of x.
        kernel_size: k, side of the patches in pixels. Default: 2.
        device, dtype: "cpu"; type of the parameters.

    Attributes:
        weight: [W; -W], (2 C k^2, C, k, k), a buffer.
        bias: b, (2 C k^2,), zeros at first.

    Shapes:
        x: (N, C, H, W); y: (N, 2 C k^2, H - k + 1, W - k + 1).

    Raises:
        ValueError: a size is no integer from 1 upwards.

    Source: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498, section 3.2.
    """

    weight: Tensor

    def __init__(self, in_channels: int, kernel_size: int = 2, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        sizes("PatchWhitening", in_channels=in_channels, kernel_size=kernel_size)
        self.in_channels, self.kernel_size = in_channels, kernel_size
        self.out_channels = 2 * in_channels * kernel_size**2
        shape = (self.out_channels, in_channels, kernel_size, kernel_size)
        self.register_buffer("weight", empty_tensor(shape, device, dtype))
        self.bias = empty_parameter((self.out_channels,), device, dtype)

    def fit(self, images: np.ndarray, eps: float = 5e-4) -> PatchWhitening:
        """Compute the weights from images; returns the module.

        Args:
            images: (N, C, H, W) as the module will get them; some thousands are enough.
            eps: Added to the variances, so that directions in which patches hardly differ are not blown up.
                Default: 5e-4.

        Raises:
            InputError: the images have another shape, or are smaller than a patch.
        """
        shape, k = np.shape(images), self.kernel_size
        if len(shape) != 4 or shape[1] != self.in_channels or not shape[0] or min(shape[2:]) < k:
            raise InputError(
                f"PatchWhitening: images have shape {shape}, where (N, {self.in_channels}, H, W) with sides from {k} "
                "upwards is right"
            )
        values, vectors = np.linalg.eigh(_covariance(images, k))
        w = (vectors / np.sqrt(values.clip(0) + eps)).T[::-1].reshape(-1, self.in_channels, k, k)  # largest first
        with no_grad():
            self.weight.copy_(tensor(np.concatenate([w, -w]), dtype=self.weight.dtype))
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"


def _covariance(images: np.ndarray, k: int) -> np.ndarray:
    """The covariance of all k x k patches, (C k^2, C k^2), in float64 and portion by portion."""
    n = images.shape[1] * k * k
    total, products, count = np.zeros(n), np.zeros((n, n)), 0
    step = max(1, PORTION // max(1, n * images.shape[2] * images.shape[3]))
    for start in range(0, len(images), step):
        windows = np.lib.stride_tricks.sliding_window_view(images[start : start + step], (k, k), axis=(2, 3))
        patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, n).astype(np.float64)  # (N H' W', C k^2)
        total += patches.sum(axis=0)
        products += patches.T @ patches
        count += len(patches)
    mean = total / count
    return products / count - np.outer(mean, mean)
