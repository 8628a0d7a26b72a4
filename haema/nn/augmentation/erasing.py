"""Rectangles erased from images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from haema import dtypes, random
from haema.errors import ShapeError
from haema.functions.elementwise import where
from haema.nn.augmentation._common import Augmentation, chosen, probability, real, restored, span
from haema.tensor import Tensor

__all__ = ["RandomErasing", "inside"]

TRIES = 10
"""How many rectangles are drawn, of which the first that fits is taken."""


class RandomErasing(Augmentation):
    """A rectangle of each image replaced with probability p.

    The rectangle has a share of the image's area that is uniform on ``scale`` and a ratio of height to width whose
    logarithm is uniform on that of ``ratio``; its place is uniform on where it fits. A rectangle as high or as wide as
    the image is drawn again; after ten in vain the image stays as it is. Cutout is ``scale=(s, s), ratio=(1, 1), p=1``.

    Args:
        p: Probability.
        scale: (lowest, highest) share of the area.
        ratio: (lowest, highest) height / width.
        value: A number, one number per channel, or "random", normally distributed ones (mean 0, deviation 1).

    Shapes:
        x, y: (N, C, H, W); whole numbers are rounded.

    Raises:
        ValueError: an argument is out of its range.
        ShapeError: ``value`` has not one number per channel.

    Source: Z. Zhong et al., "Random erasing data augmentation", AAAI 2020, algorithm 1; T. DeVries, G. Taylor,
    "Improved regularization of convolutional neural networks with cutout", arXiv:1708.04552.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0.0,
    ) -> None:
        super().__init__()
        self.p = probability("RandomErasing", p)
        self.scale = span("RandomErasing", "scale", scale, None, least=0)
        self.ratio = span("RandomErasing", "ratio", ratio, None, least=0)
        if self.scale[1] > 1 or self.ratio[0] == 0:
            raise ValueError(
                f"RandomErasing: scale is {scale} and ratio {ratio}; shares up to 1, ratios above 0 are right"
            )
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value is {value!r}; a number, one per channel, or 'random' is right")
        self.value = value

    def augment(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        # (N, TRIES): the first that fits; all of them are drawn, for nothing here may depend on what was drawn
        area = random.uniform((n, TRIES), *self.scale, dtype=dtypes.float32) * (height * width)
        low, high = (math.log(r) for r in self.ratio)
        ratio = random.uniform((n, TRIES), low, high, dtype=dtypes.float32).exp()
        h, w = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (h < height) & (w < width)
        number = x._constant(np.arange(TRIES), dtypes.int64)
        first = where(fits, number, number * 0 + TRIES).min(1, keepdim=True).values  # (N, 1)
        h, w = (where(number == first, v, v * 0).sum(1) for v in (h, w))  # 0 where none does
        i, j = (random.uniform((n,), dtype=dtypes.float32) for _ in range(2))
        mask = inside(x, (i * (height - h + 1)).floor(), (j * (width - w + 1)).floor(), h, w)
        return where(mask & chosen(x, self.p), self._value(x), x)

    def _value(self, x: Tensor) -> Tensor:
        if self.value == "random":
            return restored(random.normal_of(tuple(x.shape), dtype=real(x).dtype), x)
        value = np.asarray(self.value, np.float64)
        if value.ndim:
            if value.shape != (x.shape[1],):
                raise ShapeError(f"RandomErasing: {value.size} values came for images of shape {tuple(x.shape)}")
            value = value.reshape(1, -1, 1, 1)
        return x._constant(value, x.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value!r}"


def inside(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Whether a pixel of x lies in its image's rectangle, (N, 1, H, W); of each, N whole numbers or one for all."""
    i = x._constant(np.arange(x.shape[2]).reshape(1, -1), top.dtype)
    j = x._constant(np.arange(x.shape[3]).reshape(1, -1), top.dtype)
    top, left, height, width = (v.reshape(-1, 1) for v in (top, left, height, width))
    rows = ((i >= top) & (i < top + height)).reshape(-1, 1, x.shape[2], 1)
    return rows & ((j >= left) & (j < left + width)).reshape(-1, 1, 1, x.shape[3])
