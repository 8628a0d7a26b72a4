"""The lecture's stack, and the plain convolutional network made in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from haema import nn
from haema.models.common import halved, image

__all__ = ["cnn", "stack"]


def stack(
    in_channels: int = 1,
    size: int | tuple[int, int] = 28,
    classes: int = 10,
    channels: Sequence[int] = (32, 64, 128),
    dropout: float = 0.1,
) -> nn.Sequential:
    """Convolution 3x3 -> batch norm -> ReLU -> dropout -> max pooling 2x2, once per number of channels.

    Then the maps are averaged to at most 4 x 4, and a dense layer follows.

    Args:
        in_channels: Channels of the images. Default: 1.
        size: Height and width in pixels, or one number for both, 8 or more. Default: 28.
        classes: Outputs. Default: 10.
        channels: Channels of each convolution. Default: 32, 64, 128.
        dropout: Share of the activations that each block drops. Default: 0.1.

    Raises:
        InputError: an argument is out of its range.
    """
    sides = image("stack", in_channels, size, classes)
    parts: dict[str, nn.Module] = {}
    for i, width in enumerate(channels, 1):
        window, sides = halved(sides)
        parts[f"block{i}"] = nn.Sequential(
            {
                "conv": nn.Conv2d(in_channels, width, 3, padding=1),
                "norm": nn.BatchNorm2d(width),
                "relu": nn.ReLU(),
                "dropout": nn.Dropout(dropout),
                "pool": nn.MaxPool2d(window),
            }
        )
        in_channels = width
    grid = (min(4, sides[0]), min(4, sides[1]))
    if grid != sides:
        parts["average"] = nn.AdaptiveAvgPool2d(grid)
    return nn.Sequential(
        {**parts, "flatten": nn.Flatten(), "head": nn.Linear(in_channels * grid[0] * grid[1], classes)}
    )


def cnn(in_channels: int = 3, size: int | tuple[int, int] = 32, classes: int = 10) -> nn.Sequential:
    """Convolution 3x3 -> batch norm -> ReLU -> max pooling 2x2 with 32, 64, 128 channels, for images of any size.

    Then the maps become 4 x 4, and after dropout of 0.3 a dense layer follows. Images of fewer than 16 pixels a side
    get fewer blocks.

    Args:
        in_channels: Channels of the images. Default: 3.
        size: Height and width in pixels, or one number for both. Default: 32.
        classes: Outputs. Default: 10.

    Raises:
        InputError: an argument is out of its range.
    """
    side = min(image("cnn", in_channels, size, classes, least=1))
    layers: list[nn.Module] = []
    for width in (32, 64, 128):
        if side < 4 and layers:
            break
        layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if side >= 2 else []
        in_channels, side = width, side // 2
    head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(in_channels * 16, classes)]
    return nn.Sequential(*layers, *head)
