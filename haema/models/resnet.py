"""Residual networks: ResNet-20 for small images, ResNet-18 under torchvision's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from haema import nn
from haema.errors import InputError
from haema.models.common import image

__all__ = ["resnet18", "resnet20"]

SMALL = 64
"""Pixels of the longer side up to which ResNet-18 begins as it does for small images."""

Shortcut = Callable[[int, int, int], nn.Module]
"""(channels in, channels out, stride) -> what gives x the shape of y."""


def resnet20(in_channels: int = 3, size: int | tuple[int, int] = 32, classes: int = 10) -> nn.Sequential:
    """ResNet-20 for small images: a 3x3 convolution and 9 residual blocks of 16, 32 and 64 channels.

    Where a stage begins, every second pixel goes past the convolutions, and the new channels are 0 (option A), so
    that shortcuts have no parameters. With 3 channels and 10 classes it has 269,722 parameters.

    Args:
        in_channels: Channels of the images. Default: 3.
        size: Height and width in pixels, or one number for both, 8 or more. Default: 32.
        classes: Outputs. Default: 10.

    Raises:
        InputError: an argument is out of its range.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385, section 4.2,
    with n = 3.
    """
    image("resnet20", in_channels, size, classes)
    return _resnet(_small_stem(in_channels, 16), (16, 32, 64), 3, _padded, classes)


def resnet18(
    in_channels: int = 3, size: int | tuple[int, int] = 224, classes: int = 1000, stem: str | None = None
) -> nn.Sequential:
    """ResNet-18: a stem and 8 residual blocks of 64, 128, 256 and 512 channels; its weights are torchvision's.

        stem "imagenet"   7x7 convolution with stride 2, 3x3 max pooling with stride 2; torchvision's
        stem "cifar"      3x3 convolution, no pooling; 11,173,962 parameters with 3 channels and 10 classes

    Args:
        in_channels: Channels of the images. Default: 3.
        size: Height and width in pixels, or one number for both, 8 or more. Default: 224.
        classes: Outputs. Default: 1000.
        stem: "cifar" or "imagenet". Default: by the size; "cifar" up to 64 pixels.

    Raises:
        InputError: an argument is out of its range.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385, table 1.
    """
    sides = image("resnet18", in_channels, size, classes)
    if stem not in (None, "cifar", "imagenet"):
        raise InputError(f"resnet18: stem is {stem!r}; 'cifar' or 'imagenet' is right")
    small = max(sides) <= SMALL if stem is None else stem == "cifar"
    first = _small_stem(in_channels, 64) if small else _large_stem(in_channels, 64)
    return _resnet(first, (64, 128, 256, 512), 2, _projected, classes)


def _small_stem(in_channels: int, width: int) -> dict[str, nn.Module]:
    conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    return {"conv1": conv, "bn1": nn.BatchNorm2d(width), "relu": nn.ReLU()}


def _large_stem(in_channels: int, width: int) -> dict[str, nn.Module]:
    conv = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return {"conv1": conv, "bn1": nn.BatchNorm2d(width), "relu": nn.ReLU(), "maxpool": pool}


def _padded(a: int, b: int, stride: int) -> nn.Module:
    """Option A: every ``stride``-th pixel, then channels of zeros before and behind."""
    before = (b - a) // 2
    return nn.Sequential(nn.AvgPool2d(1, stride), nn.ConstantPad3d((0, 0, 0, 0, before, b - a - before), 0.0))


def _projected(a: int, b: int, stride: int) -> nn.Module:
    """Option B: a 1x1 convolution."""
    return nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))


def _resnet(
    stem: dict[str, nn.Module], widths: Sequence[int], blocks: int, shortcut: Shortcut, classes: int
) -> nn.Sequential:
    """Stages of blocks, each beginning with stride 2 but the first; then the mean of each map and a dense layer."""
    parts, before = dict(stem), widths[0]
    for i, width in enumerate(widths):
        stride = 2 if i else 1
        past = shortcut(before, width, stride) if i else None
        stage = [nn.BasicBlock(before, width, stride, past)]
        stage += [nn.BasicBlock(width, width) for _ in range(blocks - 1)]
        parts[f"layer{i + 1}"] = nn.Sequential(*stage)
        before = width
    parts |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(before, classes)}
    network = nn.Sequential(parts)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
