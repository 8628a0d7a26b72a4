"""Predictions averaged over an image and its mirror image."""

from __future__ import annotations

from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["MirrorAverage"]


class MirrorAverage(Module):
    """At inference the mean of what a network says of an image and of its mirror image; in training the network alone.

        y = (f(x) + f(x mirrored left to right)) / 2

    Args:
        module: f, which gives logits or numbers.

    Shapes:
        x: (N, C, H, W); y: as of f.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
    section 4.1, which averages over crops and their mirror images.
    """

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        return y if self.training else (y + self.module(x.flip(-1))) * 0.5
