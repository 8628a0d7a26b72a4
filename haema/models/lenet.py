"""LeNet-5."""

from __future__ import annotations

from haema import nn
from haema.models.common import halved, image

__all__ = ["lenet5"]


def lenet5(in_channels: int = 1, size: int | tuple[int, int] = 28, classes: int = 10) -> nn.Sequential:
    """LeNet-5: two 5x5 convolutions with pooling, then three dense layers.

        conv 6 -> pool -> conv 16 -> pool -> dense 120 -> dense 84 -> dense classes

    As usual today, and unlike in 1998: ReLU for the scaled tanh, max pooling for averages with learned scale and
    shift, all 6 maps connected to all 16, and a linear layer under a softmax for radial basis functions. With
    28 x 28 (padded to 32 x 32) or 32 x 32 pixels, one channel and 10 classes it has 61,706 parameters. Images of fewer
    than 16 pixels a side are padded before the second convolution too; the maps of images beyond 32 x 32 are averaged
    to 5 x 5 before the dense layers.

    Args:
        in_channels: Channels of the images. Default: 1.
        size: Height and width in pixels, or one number for both, 8 or more. Default: 28.
        classes: Outputs. Default: 10.

    Raises:
        InputError: an argument is out of its range.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86,
    1998, section II.B.
    """
    sides = image("lenet5", in_channels, size, classes)
    first = 2 if min(sides) < 32 else 0
    _, sides = halved((sides[0] - 4 + 2 * first, sides[1] - 4 + 2 * first))
    second = 2 if min(sides) < 8 else 0
    _, sides = halved((sides[0] - 4 + 2 * second, sides[1] - 4 + 2 * second))
    grid = (min(5, sides[0]), min(5, sides[1]))
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(in_channels, 6, 5, padding=first),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(6, 16, 5, padding=second),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            **({} if grid == sides else {"average": nn.AdaptiveAvgPool2d(grid)}),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(16 * grid[0] * grid[1], 120),
            "relu3": nn.ReLU(),
            "fc2": nn.Linear(120, 84),
            "relu4": nn.ReLU(),
            "fc3": nn.Linear(84, classes),
        }
    )
