"""Mirrored images."""

from __future__ import annotations

import math

import numpy as np

from haema import dtypes
from haema.autograd import no_grad
from haema.creation import tensor
from haema.functions.elementwise import where
from haema.nn.augmentation._common import Augmentation, chosen, probability
from haema.tensor import Tensor

__all__ = ["AlternatingFlip", "RandomHorizontalFlip", "RandomVerticalFlip"]


class _RandomFlip(Augmentation):
    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = probability(type(self).__name__, p)

    def augment(self, x: Tensor) -> Tensor:
        return where(chosen(x, self.p), x.flip(self.axis), x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomHorizontalFlip(_RandomFlip):
    """Each image mirrored left to right with probability p.

    Args:
        p: Probability; default 0.5.

    Shapes:
        x, y: (N, C, H, W), of any type.
    """


class RandomVerticalFlip(_RandomFlip):
    """Each image mirrored top to bottom with probability p.

    Args:
        p: Probability; default 0.5.

    Shapes:
        x, y: (N, C, H, W), of any type.
    """

    axis = -2


class AlternatingFlip(Augmentation):
    """Each image mirrored left to right in every other epoch.

        flip(x, epoch) = (h(x) + epoch) mod 2,    epoch = floor(images seen / images of an epoch)

    Random flips show an image the same way round in half of all pairs of epochs; here any two epochs that follow each
    other show both ways. h(x) is a bit computed from the pixels (of the image as it comes, so this layer stands before
    all that is random), the same in each epoch, and 1 for about half of the images.

    Args:
        images: How many images an epoch has.

    Shapes:
        x, y: (N, C, H, W), of any type.

    Raises:
        ValueError: ``images`` is no whole number from 1 upwards.

    Source: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, section 3.6.
    """

    seen: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        if not isinstance(images, int) or images < 1:
            raise ValueError(f"AlternatingFlip: an epoch has {images} images; a whole number from 1 upwards is right")
        self.images = images
        self.register_buffer("seen", tensor(0))

    def augment(self, x: Tensor) -> Tensor:
        with no_grad():
            # Multiplicative hashing (Knuth, volume 3, section 6.4), each pixel with a factor of its own, in whole
            # numbers, whose sum has no rounding that could differ from batch to batch.
            whole = (x * 65536).floor() if x.dtype.kind == "f" else x
            factor = (np.arange(1, math.prod(x.shape[1:]) + 1) * 2654435761 % (1 << 32)).reshape(1, *x.shape[1:])
            total = (whole.long() * x._constant(factor, dtypes.int64)).sum((1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
            bit = (total >> 31) & 1
            place = self.seen + x._constant(np.arange(x.shape[0]).reshape(-1, 1, 1, 1), dtypes.int64)
            turn = (bit + place // self.images) & 1
            self.seen.add_(x.shape[0])
        return where(turn == 1, x.flip(-1), x)

    def extra_repr(self) -> str:
        return f"images={self.images}"
