"""Light and colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from haema import random
from haema.creation import tensor
from haema.errors import ShapeError
from haema.functions.elementwise import where
from haema.nn.augmentation._common import Augmentation, chosen, drawn, probability, real, restored, span, white
from haema.tensor import Tensor

__all__ = ["ColorJitter", "PCAColorShift", "RandomInvert"]

LUMA = (0.2989, 0.587, 0.114)
"""How bright red, green and blue seem (ITU-R BT.601)."""


class RandomInvert(Augmentation):
    """Each image turned into its negative with probability p.

        y = m - x,    m = 1, or 255 where pixels are whole numbers

    Args:
        p: Probability; default 0.5.

    Shapes:
        x, y: (N, C, H, W).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = probability("RandomInvert", p)

    def augment(self, x: Tensor) -> Tensor:
        return where(chosen(x, self.p), x._constant(white(x), x.dtype) - x, x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ColorJitter(Augmentation):
    """Brightness, contrast and saturation of each image changed at random, in this order.

        brightness   y = f x
        contrast     y = f x + (1 - f) mean of g
        saturation   y = f x + (1 - f) g,       g = 0.2989 red + 0.587 green + 0.114 blue, or the grey image itself

    After each y is kept between 0 and 1 (255 where pixels are whole numbers).

    Args:
        brightness, contrast, saturation: f is uniform on [max(0, 1 - d), 1 + d] for a number d, or on (lowest,
            highest); default 0, which changes nothing.

    Shapes:
        x, y: (N, C, H, W) with C 1 or 3; whole numbers are rounded.

    Raises:
        ValueError: an argument is out of its range.
        ShapeError: the images have another number of channels.

    Source: as torchvision's, in a fixed order and without the hue.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        saturation: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__()
        self.brightness = span("ColorJitter", "brightness", brightness, 1.0, least=0)
        self.contrast = span("ColorJitter", "contrast", contrast, 1.0, least=0)
        self.saturation = span("ColorJitter", "saturation", saturation, 1.0, least=0)

    def augment(self, x: Tensor) -> Tensor:
        if x.shape[1] not in (1, 3):
            raise ShapeError(f"ColorJitter: images have 1 or 3 channels, and these are of shape {tuple(x.shape)}")
        y, top = real(x), white(x)
        if self.brightness != (1, 1):
            y = (y * drawn(x, *self.brightness)).clamp(0, top)
        if self.contrast != (1, 1):
            mean, f = _grey(y).mean((1, 2, 3), keepdim=True), drawn(x, *self.contrast)
            y = (y * f + mean * (1 - f)).clamp(0, top)
        if self.saturation != (1, 1):
            f = drawn(x, *self.saturation)
            y = (y * f + _grey(y) * (1 - f)).clamp(0, top)
        return restored(y, x)

    def extra_repr(self) -> str:
        names = ("brightness", "contrast", "saturation")
        spans = {k: getattr(self, k) for k in names}
        return ", ".join(f"{k}=({low:g}, {high:g})" for k, (low, high) in spans.items() if (low, high) != (1, 1))


def _grey(x: Tensor) -> Tensor:
    """(N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    r, g, b = (x[:, k : k + 1] * weight for k, weight in enumerate(LUMA))
    return r + g + b


class PCAColorShift(Augmentation):
    """One colour added to all pixels of an image, at random along the directions in which colours vary.

        y[:, c] = x[:, c] + m sum_k P[c, k] a_k l_k,    a_k normal with mean 0 and deviation ``std``, one per image

    l_k and the columns of P are eigenvalues and eigenvectors of the covariance matrix of the pixels of the training
    images, as numbers from 0 to 1; m = 1, or 255 where pixels are whole numbers. y is kept between 0 and m.

    Args:
        eigenvalues: l, C numbers.
        eigenvectors: P, C lists of C numbers.
        std: Deviation of the a_k; default 0.1.

    Shapes:
        x, y: (N, C, H, W); whole numbers are rounded.

    Raises:
        ValueError: the sizes do not fit, or ``std`` is negative or no number.
        ShapeError: the images have not C channels.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NIPS 2012, section 4.1.
    """

    directions: Tensor

    def __init__(self, eigenvalues: Sequence[float], eigenvectors: Sequence[Sequence[float]], std: float = 0.1) -> None:
        super().__init__()
        n = len(eigenvalues)
        if not n or len(eigenvectors) != n or any(len(row) != n for row in eigenvectors):
            rows = [len(row) for row in eigenvectors]
            raise ValueError(f"PCAColorShift: {n} eigenvalues and rows of {rows} numbers; C and C rows of C are right")
        if not 0 <= std < math.inf:
            raise ValueError(f"PCAColorShift: std is {std}; a number from 0 upwards is right")
        self.eigenvalues, self.eigenvectors, self.std = eigenvalues, eigenvectors, std
        scaled = np.asarray(eigenvectors, np.float64) * np.asarray(eigenvalues, np.float64)
        self.register_buffer("directions", tensor(scaled.tolist()), persistent=False)

    @staticmethod
    def of(x: np.ndarray, std: float = 0.1) -> PCAColorShift:
        """With the eigenvalues, largest first, and eigenvectors of the pixels of x, (N, C, H, W)."""
        channels = x.shape[1]
        count, sums, squares = x.size // channels, np.zeros(channels), np.zeros((channels, channels))
        for start in range(0, len(x), 256):  # in portions, so that no copy of the whole is made
            pixels = np.moveaxis(x[start : start + 256], 1, 0).reshape(channels, -1).astype(np.float64)
            sums += pixels.sum(1)
            squares += pixels @ pixels.T
        mean = sums / count
        covariance = (squares / count - np.outer(mean, mean)) / (1.0 if x.dtype.kind == "f" else 255.0**2)
        values, vectors = np.linalg.eigh(covariance)
        return PCAColorShift(np.maximum(values[::-1], 0).tolist(), vectors[:, ::-1].tolist(), std)

    def augment(self, x: Tensor) -> Tensor:
        n, c = x.shape[:2]
        if c != len(self.eigenvalues):
            raise ShapeError(f"PCAColorShift: it has {len(self.eigenvalues)} channels, and x is {tuple(x.shape)}")
        y, top = real(x), white(x)
        a = random.normal_of((n, c), 0.0, self.std, dtype=y.dtype)
        shift = (a @ self.directions.to(y.dtype).T).reshape(n, c, 1, 1) * top
        return restored((y + shift).clamp(0, top), x)

    def extra_repr(self) -> str:
        return f"{len(self.eigenvalues)} channels, std={self.std}"
