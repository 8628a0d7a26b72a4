"""Ready networks for images, built only of the modules in ``haema.nn``.

    model = models.resnet18(in_channels=3, size=32, classes=10)
    models.MODELS["resnet18"].build(3, (32, 32), 10)

Each takes the number of channels, the height and width in pixels and the number of classes (or of numbers to predict),
takes images from 8 x 8 pixels upwards, and gives logits, (N, classes). They are Sequentials of named parts, so that any
part can be taken out, looked at or replaced, and so that a saved one is built again without this room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from haema.models.fast import fast
from haema.models.lenet import lenet5
from haema.models.resnet import resnet18, resnet20
from haema.models.stack import cnn, stack
from haema.models.vgg import vgg

__all__ = ["MODELS", "Entry", "cnn", "fast", "lenet5", "resnet18", "resnet20", "stack", "vgg"]


class Entry(NamedTuple):
    """A network of the registry.

    Fields:
        build: ``build(in_channels, size, classes)`` makes it, with weights drawn from the default generator.
        summary: What it is, in a line.
    """

    build: Callable[..., Any]
    summary: str


MODELS: dict[str, Entry] = {
    "cnn": Entry(cnn, "convolutional network, 3 blocks with batch norm and pooling, for images of any size"),
    "lenet5": Entry(lenet5, "LeNet-5, two convolutions and three dense layers"),
    "stack": Entry(stack, "convolution, batch norm, activation, dropout, pooling, three times"),
    "vgg": Entry(vgg, "small VGG, 3 pairs of 3x3 convolutions"),
    "resnet20": Entry(resnet20, "residual network of 20 layers for small images"),
    "resnet18": Entry(resnet18, "residual network of 18 layers, torchvision's names"),
    "fast": Entry(fast, "whitened first layer and 3 blocks, for training small images in minutes"),
}
"""The networks by name."""
