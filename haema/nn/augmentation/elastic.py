"""Elastic morphing."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from haema import dtypes, ops, random
from haema.autograd import no_grad
from haema.nn.augmentation._common import Augmentation, filling, real, restored
from haema.nn.functional.sampling import check_interpolation, sample
from haema.tensor import Tensor

__all__ = ["ElasticTransform"]


class ElasticTransform(Augmentation):
    """Each image morphed by a smooth random field, as if it were drawn on rubber.

        y[i, j] = x(i + d_i[i, j], j + d_j[i, j]),    d = alpha / 2 G(sigma) * e,    e uniform on (-1, 1)

    G is a Gaussian, cut off at 4 sigma, and the field is mirrored at the image's edges.

    Args:
        alpha: How far: the displacement's standard deviation is about alpha / (12 sigma) pixels inside the image.
        sigma: How smooth: standard deviation of the Gaussian in pixels; 0 does not smooth.
        interpolation: "bilinear" or "nearest".
        fill: What comes in from outside.

    Shapes:
        x, y: (N, C, H, W); whole numbers are rounded. Each image has a field of its own.

    Raises:
        ValueError: an argument is out of its range.

    Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks applied to visual
    document analysis", ICDAR 2003, section 2; alpha as torchvision means it.
    """

    def __init__(
        self, alpha: float = 50.0, sigma: float = 5.0, interpolation: str = "bilinear", fill: float = 0.0
    ) -> None:
        super().__init__()
        check_interpolation("ElasticTransform: interpolation", interpolation)
        for what, value in (("alpha", alpha), ("sigma", sigma)):
            if not 0 <= value < math.inf:
                raise ValueError(f"ElasticTransform: {what} is {value}; a number from 0 upwards is right")
        self.alpha, self.sigma, self.interpolation = alpha, sigma, interpolation
        self.fill = filling("ElasticTransform", fill)

    def field(self, x: Tensor) -> Tensor:
        """Random displacements for images in pixels, down and across, (N, 2, H, W)."""
        n, _, height, width = x.shape
        like = real(x).dtype
        e = _noise(x, n * 2 * width * height).to(like).reshape(n, 2, width, height)
        if self.sigma:
            e = self._smoothed(e)
        e = e.transpose(2, 3)  # (N, 2, H, W)
        if self.sigma:
            e = self._smoothed(e)
        return e * (self.alpha / 2)

    def _smoothed(self, e: Tensor) -> Tensor:
        """Along the last axis: one product of matrices."""
        n = e.shape[-1]
        return (e.reshape(-1, n) @ e._constant(smoothing(n, self.sigma).T, e.dtype)).reshape(e.shape)

    def augment(self, x: Tensor) -> Tensor:
        _, _, height, width = x.shape
        with no_grad():
            d = self.field(x)
            rows = d[:, 0] + x._constant(np.arange(height).reshape(1, height, 1), d.dtype)
            columns = d[:, 1] + x._constant(np.arange(width).reshape(1, 1, width), d.dtype)
        return restored(sample(real(x), rows, columns, self.interpolation, self.fill), x)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, sigma={self.sigma}"


def _noise(x: Tensor, count: int) -> Tensor:
    """Numbers from (-1, 1) with equal distances, four from each random word: their sums need no finer ones."""
    words = random.default_generator.bits((-(-count // 4), 1))
    shifts = x._constant([0, 8, 16, 24], dtypes.uint32)
    byte = ops.bitwise_and(ops.shift_right(words, shifts), x._constant(255, dtypes.uint32))  # (count / 4, 4)
    return (byte.float() - 127.5).reshape(-1)[:count] / 128


@lru_cache(maxsize=16)
def smoothing(n: int, sigma: float) -> np.ndarray:
    """The matrix (n, n) that smooths a vector with a Gaussian, mirrored at its ends: so any size will do."""
    radius = int(8 * sigma + 1) // 2
    k = np.arange(-radius, radius + 1)
    weight = np.exp(-(k**2) / (2 * sigma**2))
    period = max(2 * (n - 1), 1)
    at = (np.arange(n)[:, None] + k) % period
    at = np.minimum(at, period - at) if n > 1 else at * 0  # ... 2 1 | 0 1 .. n-1 | n-2 ...
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], at), weight / weight.sum())
    return matrix
