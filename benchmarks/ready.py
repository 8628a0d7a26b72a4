"""The networks of ``haema.models``, and the same of another framework's layers under the same names."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Any

from benchmarks.workloads import Ready


def ready(nn: Any, workload: Ready) -> Any:
    """The network of a workload: haema's own, or the same written out in the words of ``torch.nn``."""
    if nn.__name__ == "haema.nn":
        return own(workload)
    written = {"lenet5": lenet5, "stack": stack, "fast": fast, "resnet20": resnet20}
    return written[workload.network](nn, workload)


def own(workload: Ready) -> Any:
    """The network as a user of haema gets it."""
    from haema import models

    options: dict[str, Any] = {}
    if workload.network == "stack":
        options = {"channels": workload.widths, "dropout": workload.dropout}
    if workload.network == "fast":
        options = {"widths": workload.widths}
    build = models.MODELS[workload.network].build
    return build(workload.channels, workload.size, workload.classes, **options)


def named(nn: Any, **layers: Any) -> Any:
    """Layers one after the other, under names."""
    return nn.Sequential(OrderedDict(layers))


def lenet5(nn: Any, w: Ready) -> Any:
    """LeNet-5 for 28 x 28 pixels."""
    return named(
        nn,
        conv1=nn.Conv2d(w.channels, 6, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(400, 120), relu3=nn.ReLU(), fc2=nn.Linear(120, 84), relu4=nn.ReLU(),
        fc3=nn.Linear(84, w.classes),
    )  # fmt: skip


def stack(nn: Any, w: Ready) -> Any:
    """Convolution, batch norm, activation, dropout, pooling."""
    blocks = {
        f"block{i}": named(
            nn,
            conv=nn.Conv2d(a, b, 3, padding=1), norm=nn.BatchNorm2d(b), relu=nn.ReLU(),
            dropout=nn.Dropout(w.dropout), pool=nn.MaxPool2d(2),
        )
        for i, (a, b) in enumerate(pairwise((w.channels, *w.widths)), 1)
    }  # fmt: skip
    side = w.size >> len(w.widths)
    return named(nn, **blocks, flatten=nn.Flatten(), head=nn.Linear(w.widths[-1] * side**2, w.classes))


def fast(nn: Any, w: Ready) -> Any:
    """The fast network; its first convolution and the scales of its norms are not learned, its end divides by 9."""

    class Ninth(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x * (1 / 9)

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Any) -> Any:
            return self.module(x) + x

    def norm(channels: int) -> Any:
        layer = nn.BatchNorm2d(channels, momentum=0.4)
        layer.weight.requires_grad_(False)
        return layer

    def block(a: int, b: int) -> Any:
        return named(
            nn,
            conv1=nn.Conv2d(a, b, 3, padding=1, bias=False), pool=nn.MaxPool2d(2), norm1=norm(b), gelu1=nn.GELU(),
            residual=Residual(named(
                nn,
                conv2=nn.Conv2d(b, b, 3, padding=1, bias=False), norm2=norm(b), gelu2=nn.GELU(),
                conv3=nn.Conv2d(b, b, 3, padding=1, bias=False), norm3=norm(b),
            )), gelu3=nn.GELU(),
        )  # fmt: skip

    whiten = nn.Conv2d(w.channels, 8 * w.channels, 2)
    whiten.requires_grad_(False)
    widths = (8 * w.channels, *w.widths)
    blocks = {f"block{i}": block(a, b) for i, (a, b) in enumerate(pairwise(widths), 1)}
    side = (w.size - 1) >> len(w.widths)
    return named(
        nn, whiten=whiten, gelu=nn.GELU(), **blocks,
        pool=nn.MaxPool2d(side), flatten=nn.Flatten(), head=nn.Linear(widths[-1], w.classes, bias=False), scale=Ninth(),
    )  # fmt: skip


def resnet20(nn: Any, w: Ready) -> Any:
    """ResNet-20 with shortcuts without parameters."""

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, a: int, b: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
            self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
            self.relu, self.past = nn.ReLU(), nn.Identity()
            if a != b:
                more = (b - a) // 2
                self.past = nn.Sequential(nn.AvgPool2d(1, stride), nn.ConstantPad3d((0, 0, 0, 0, more, more), 0.0))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + self.past(x))

    stages = {
        f"layer{i}": nn.Sequential(Block(a, b, stride), Block(b, b, 1), Block(b, b, 1))
        for i, (a, b, stride) in enumerate(((16, 16, 1), (16, 32, 2), (32, 64, 2)), 1)
    }
    return named(
        nn, conv1=nn.Conv2d(w.channels, 16, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(16), relu=nn.ReLU(),
        **stages, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(64, w.classes),
    )  # fmt: skip
