"""Two samples mixed into one, their targets too.

Each sample of a batch is mixed with the one before it (the first with the last; batches are in random order). A
classifier's loss is linear in the target's distribution, so that the loss for a mixed target is the mixture of two
losses. That holds for labels, one-hot rows and numbers under any such loss, and nothing needs to know the classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from haema import dtypes, ops, random
from haema.autograd import no_grad
from haema.creation import tensor
from haema.functions.elementwise import where
from haema.nn.augmentation._common import images, real, restored
from haema.nn.augmentation.beta import draw, table
from haema.nn.augmentation.erasing import inside
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["CutMix", "MixUp", "Mixing"]


class Mixing(Module):
    """What mixing layers have in common.

    Attributes:
        share: lambda, what of a sample is its own; the rest is its partner's.
    """

    share: Tensor
    points: Tensor

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if not 0 < alpha <= 100:
            raise ValueError(f"{type(self).__name__}: alpha is {alpha}; a number above 0 and up to 100 is right")
        self.alpha = alpha
        self.register_buffer("share", tensor(1.0), persistent=False)
        self.register_buffer("points", tensor(table(alpha)), persistent=False)

    def loss(self, function: Callable[..., Tensor], output: Tensor, *targets: Tensor | None) -> Tensor:
        """The loss for the targets of the samples that were mixed last.

            share f(output, y) + (1 - share) f(output, y of the partners)

        Args:
            function: f, e.g. ``F.cross_entropy``.
            output: What the model makes of the mixed inputs, (N, ...).
            targets: What f takes besides, each (N, ...) or None.
        """
        own = function(output, *targets)
        if not self.training:
            return own
        other = function(output, *(None if y is None else partners(y) for y in targets))
        return self.share * own + (1 - self.share) * other

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


def partners(x: Tensor) -> Tensor:
    """Each row's partner: the row before it."""
    before = (np.arange(x.shape[0]) - 1) % max(x.shape[0], 1)
    return ops.take(x, x._constant(before, dtypes.int64), axes=(0,))


class MixUp(Mixing):
    """Each sample mixed with another, in training; the loss is then ``mixup.loss(f, output, y)``.

        x~ = s x + (1 - s) x of the partner,    s from Beta(alpha, alpha), one per batch

    ``Trainer`` finds the layer in its model and takes the loss so by itself. It stands behind other augmentation:

        nn.Sequential(nn.RandomCrop(32, 4), nn.RandomHorizontalFlip(), nn.MixUp(0.2), nn.Standardize.of(x), network)

    Args:
        alpha: Of the beta distribution: 1 makes all s equally likely, a small one draws near 0 or 1.

    Shapes:
        x, y: (N, ...); whole numbers are rounded.

    Raises:
        ValueError: ``alpha`` is not above 0, or larger than 100.

    Source: H. Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018, equation 1.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        with no_grad():
            self.share.copy_(draw(self.points, self.alpha))
        x = real(input)
        s = self.share.to(x.dtype)
        return restored(x * s + partners(x) * (1 - s), input)


class CutMix(Mixing):
    """A rectangle of each image taken from another, in training; the loss is then ``cutmix.loss(f, output, y)``.

    The rectangle has sqrt(1 - l) of the image's height and of its width, l from Beta(alpha, alpha), and its centre
    anywhere in the image, one per batch; ``share`` is what is left of the image's own area. ``Trainer`` finds the layer
    in its model and takes the loss so by itself.

    Args:
        alpha: Of the beta distribution: 1 makes all l equally likely, a small one draws near 0 or 1.

    Shapes:
        x, y: (N, C, H, W), of any type.

    Raises:
        ValueError: ``alpha`` is not above 0, or larger than 100.

    Source: S. Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable features",
    ICCV 2019, equations 1 and 2.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        x = images("CutMix", input)
        with no_grad():
            half = (1 - draw(self.points, self.alpha)).sqrt() / 2
            edges = []
            for n in x.shape[2:]:
                centre = (random.uniform((), dtype=half.dtype) * n).floor()
                reach = (half * n).floor()
                edges += [(centre - reach).clamp(min=0), (centre + reach).clamp(max=n)]
            top, bottom, left, right = edges
            height, width = bottom - top, right - left
            self.share.copy_(1 - height * width / math.prod(x.shape[2:]))
            mask = inside(x, top, left, height, width)
        return where(mask, partners(x), x)
