"""A small VGG."""

from __future__ import annotations

from collections.abc import Sequence

from haema import nn
from haema.models.common import halved, image

__all__ = ["vgg"]


def vgg(
    in_channels: int = 3,
    size: int | tuple[int, int] = 32,
    classes: int = 10,
    channels: Sequence[int] = (32, 64, 128),
    dropout: float = 0.5,
) -> nn.Sequential:
    """Pairs of 3x3 convolutions with batch norm and ReLU, each pair followed by max pooling; a dense layer.

    The parts have torchvision's names: ``features``, ``avgpool``, ``classifier``. One dense layer instead of three,
    since three would have most of the parameters.

    Args:
        in_channels: Channels of the images. Default: 3.
        size: Height and width in pixels, or one number for both, 8 or more. Default: 32.
        classes: Outputs. Default: 10.
        channels: Channels of each pair. Default: 32, 64, 128.
        dropout: Share of the maps that is dropped before the dense layer. Default: 0.5.

    Raises:
        InputError: an argument is out of its range.

    Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
    arXiv:1409.1556, section 2.1; batch norm after each convolution as in torchvision's vgg11_bn.
    """
    sides = image("vgg", in_channels, size, classes)
    features: list[nn.Module] = []
    for width in channels:
        for _ in range(2):
            features += [nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            in_channels = width
        window, sides = halved(sides)
        features.append(nn.MaxPool2d(window))
    grid = (min(4, sides[0]), min(4, sides[1]))
    head = [nn.Dropout(dropout), nn.Linear(in_channels * grid[0] * grid[1], classes)]
    network = nn.Sequential(
        {
            "features": nn.Sequential(*features),
            "avgpool": nn.AdaptiveAvgPool2d(grid),
            "flatten": nn.Flatten(),
            "classifier": nn.Sequential(*head),
        }
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return network
