"""Modules around which their input goes past."""

from __future__ import annotations

from haema.errors import ShapeError
from haema.nn._factory import sizes
from haema.nn.activation import ReLU
from haema.nn.conv import Conv2d
from haema.nn.module import Module
from haema.nn.normalization import BatchNorm2d
from haema.tensor import Tensor

__all__ = ["BasicBlock", "Residual"]


class Residual(Module):
    """A module around which the input goes past.

        y = module(x) + s(x),  s = downsample, or the identity

    Args:
        module: Computes what is added.
        downsample: Gives x the shape of module(x). Default: None, where it has that shape.

    Shapes:
        x: any that ``module`` takes; y: that of module(x).

    Raises:
        ShapeError: module(x) has another shape than what goes past it.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385, equations (1)
    and (2).
    """

    def __init__(self, module: Module, downsample: Module | None = None) -> None:
        super().__init__()
        self.module = module
        self.register_module("downsample", downsample)

    def forward(self, input: Tensor) -> Tensor:
        y, past = self.module(input), input if self.downsample is None else self.downsample(input)
        if y.shape != past.shape:
            raise ShapeError(
                f"Residual: the module makes {tuple(y.shape)}, and {tuple(past.shape)} goes past it; equal shapes are "
                "right"
            )
        return y + past


class BasicBlock(Module):
    """Two 3x3 convolutions around which the input goes past, as in torchvision's ResNet-18 and -34.

        y = relu(bn2(conv2(relu(bn1(conv1(x))))) + s(x)),  s = downsample, or the identity

    Args:
        inplanes: Channels of x.
        planes: Channels of y.
        stride: Of the first convolution. Default: 1.
        downsample: Gives x the shape of y where stride or channels change. Default: None.

    Shapes:
        x: (N, inplanes, H, W); y: (N, planes, ceil(H / stride), ceil(W / stride)).

    Raises:
        ValueError: a size is no integer from 1 upwards, or x would not have the shape of y and there is no
            ``downsample``.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385, figure 2 and
    equations (1) and (2).
    """

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__()
        sizes("BasicBlock", inplanes=inplanes, planes=planes, stride=stride)
        if downsample is None and (stride != 1 or inplanes != planes):
            raise ValueError(
                f"BasicBlock: {inplanes} channels do not become {planes} with stride {stride} on the way past the "
                "convolutions; give a downsample module that does so"
            )
        self.conv1 = Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(planes)
        self.relu = ReLU()
        self.conv2 = Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(planes)
        self.register_module("downsample", downsample)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))
