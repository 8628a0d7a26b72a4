"""What is timed, as data: every peer builds the same network from the same description, weights and batch.

Training steps are forward, mean cross entropy, backward, and Adam with its defaults. Each network says which arrays
it consists of, under PyTorch's names and in PyTorch's shapes; ``weights`` and ``batch`` draw them with NumPy, so that
all peers start equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Shapes = Iterator[tuple[str, tuple[int, ...]]]
"""Names and shapes of arrays, as in PyTorch's ``state_dict``."""


def _dense(name: str, n: int, m: int) -> Shapes:
    yield f"{name}.weight", (m, n)
    yield f"{name}.bias", (m,)


def _conv(name: str, a: int, b: int, size: int = 3, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (b, a, size, size)
    if bias:
        yield f"{name}.bias", (b,)


def _norm(name: str, n: int) -> Shapes:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (n,)
    yield f"{name}.num_batches_tracked", ()


@dataclass(frozen=True)
class MLP:
    """Dense layers with ReLU between them.

    Attributes:
        sizes: Inputs, hidden units per layer, classes.
        batch: Rows per step.
        training: A training step; else one prediction, in evaluation mode and without gradients.
    """

    sizes: tuple[int, ...]
    batch: int
    training: bool = True
    at_once = 50
    """Steps in one call, for peers that have whole loops."""

    @property
    def name(self) -> str:
        """What the results call it."""
        what = "" if self.training else "one prediction, "
        return f"{what}MLP {'-'.join(map(str, self.sizes))}, batch {self.batch}"

    @property
    def input(self) -> tuple[int, ...]:
        """The shape of a batch."""
        return self.batch, self.sizes[0]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.sizes[-1]

    def arrays(self) -> Shapes:
        """Names and shapes of what it consists of."""
        for i, (n, m) in enumerate(pairwise(self.sizes)):
            yield from _dense(str(2 * i), n, m)


@dataclass(frozen=True)
class CNN:
    """Convolutions 3x3 with ReLU and 2x2 max pooling, a dense layer of 128 with ReLU and dropout, ten classes.

    Attributes:
        channels: Channels of the image and of each convolution.
        size: Height and width of the image in pixels.
        batch: Images per step.
        batch_norm: Batch normalisation after each convolution.
        dropout: Share of the dense layer that each step drops.
    """

    channels: tuple[int, ...]
    size: int
    batch: int
    batch_norm: bool = False
    dropout: float = 0.5
    training = True
    classes = 10
    at_once = 50

    @property
    def name(self) -> str:
        """What the results call it."""
        norm = " with batch norm" if self.batch_norm else ""
        return f"CNN {'-'.join(map(str, self.channels))}-128-10{norm}, {self.size}x{self.size}, batch {self.batch}"

    @property
    def input(self) -> tuple[int, ...]:
        """The shape of a batch."""
        return self.batch, self.channels[0], self.size, self.size

    @property
    def pooled(self) -> int:
        """Height and width of what is flattened."""
        return self.size >> len(self.channels) - 1

    def arrays(self) -> Shapes:
        """Names and shapes of what it consists of."""
        block = 4 if self.batch_norm else 3
        for i, (a, b) in enumerate(pairwise(self.channels)):
            yield from _conv(str(block * i), a, b)
            if self.batch_norm:
                yield from _norm(str(block * i + 1), b)
        flat = block * (len(self.channels) - 1)
        yield from _dense(str(flat + 1), self.channels[-1] * self.pooled**2, 128)
        yield from _dense(str(flat + 4), 128, self.classes)


@dataclass(frozen=True)
class ResNet:
    """A convolution, a stage per further number of channels, global average pooling, ten classes.

    A stage is twice (convolution 3x3, batch normalisation, ReLU) with a skip connection around them. From the second
    stage on its first convolution has stride 2, and so has the skip: a convolution 1x1 without bias, then batch
    normalisation.

    Attributes:
        channels: Channels of the image, of the first convolution, and of each stage.
        size: Height and width of the image in pixels.
        batch: Images per step.
    """

    channels: tuple[int, ...]
    size: int
    batch: int
    training = True
    classes = 10
    at_once = 5  # a step takes about a second

    @property
    def name(self) -> str:
        """What the results call it."""
        return f"ResNet {'-'.join(map(str, self.channels))}-10, {self.size}x{self.size}, batch {self.batch}"

    @property
    def input(self) -> tuple[int, ...]:
        """The shape of a batch."""
        return self.batch, self.channels[0], self.size, self.size

    @property
    def stages(self) -> tuple[tuple[int, int, int], ...]:
        """Channels in, channels out and stride of each stage."""
        pairs = pairwise(self.channels[1:])
        return tuple((a, b, 2 if i else 1) for i, (a, b) in enumerate(pairs))

    def arrays(self) -> Shapes:
        """Names and shapes of what it consists of."""
        yield from _conv("0", self.channels[0], self.channels[1])
        for i, (a, b, stride) in enumerate(self.stages, 1):
            yield from _conv(f"{i}.body.0", a, b)
            yield from _norm(f"{i}.body.1", b)
            yield from _conv(f"{i}.body.3", b, b)
            yield from _norm(f"{i}.body.4", b)
            if stride != 1 or a != b:
                yield from _conv(f"{i}.skip.0", a, b, 1, bias=False)
                yield from _norm(f"{i}.skip.1", b)
        yield from _dense(str(len(self.stages) + 3), self.channels[-1], self.classes)


@dataclass(frozen=True)
class Ready:
    """A network of ``haema.models``; peers have the same under the same names (``benchmarks.ready``).

    Attributes:
        network: Its name there: "lenet5", "stack", "fast" or "resnet20".
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        batch: Images per step.
        widths: Channels of the blocks of "stack" and "fast".
        dropout: Of "stack".
    """

    network: str
    channels: int
    size: int
    batch: int
    widths: tuple[int, ...] = ()
    dropout: float = 0.1
    training = True
    classes = 10
    at_once = 5

    @property
    def name(self) -> str:
        """What the results call it."""
        widths = f" {'-'.join(map(str, self.widths))}" if self.widths else ""
        return f"{self.network}{widths}, {self.channels}x{self.size}x{self.size}, batch {self.batch}"

    @property
    def input(self) -> tuple[int, ...]:
        """The shape of a batch."""
        return self.batch, self.channels, self.size, self.size

    def arrays(self) -> Shapes:
        """Names and shapes of what it consists of."""
        yield from {"lenet5": self._lenet5, "stack": self._stack, "fast": self._fast, "resnet20": self._resnet20}[
            self.network
        ]()

    def _lenet5(self) -> Shapes:
        yield from _conv("conv1", self.channels, 6, 5)
        yield from _conv("conv2", 6, 16, 5)
        for i, (n, m) in enumerate(pairwise((400, 120, 84, self.classes)), 1):
            yield from _dense(f"fc{i}", n, m)

    def _stack(self) -> Shapes:
        for i, (a, b) in enumerate(pairwise((self.channels, *self.widths)), 1):
            yield from _conv(f"block{i}.conv", a, b)
            yield from _norm(f"block{i}.norm", b)
        yield from _dense("head", self.widths[-1] * (self.size >> len(self.widths)) ** 2, self.classes)

    def _fast(self) -> Shapes:
        yield from _conv("whiten", self.channels, 8 * self.channels, 2)
        for i, (a, b) in enumerate(pairwise((8 * self.channels, *self.widths)), 1):
            for j, n in enumerate((a, b, b), 1):
                inside = f"block{i}" if j == 1 else f"block{i}.residual.module"
                yield from _conv(f"{inside}.conv{j}", n, b, bias=False)
                yield from _norm(f"{inside}.norm{j}", b)
        yield "head.weight", (self.classes, self.widths[-1])

    def _resnet20(self) -> Shapes:
        yield from _conv("conv1", self.channels, 16, bias=False)
        yield from _norm("bn1", 16)
        for i, (before, width) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            for j in range(3):
                for k, a in enumerate((width if j else before, width), 1):
                    yield from _conv(f"layer{i}.{j}.conv{k}", a, width, bias=False)
                    yield from _norm(f"layer{i}.{j}.bn{k}", width)
        yield from _dense("fc", 64, self.classes)


Workload = MLP | CNN | ResNet | Ready

WORKLOADS: dict[str, Workload] = {
    "mlp-predict": MLP((64, 32, 10), 1, training=False),
    "mlp-tiny": MLP((64, 32, 10), 32),
    "mlp-small": MLP((64, 128, 64, 10), 64),
    "mlp-mnist": MLP((784, 256, 128, 10), 128),
    "mlp-wide": MLP((784, 1024, 1024, 10), 256),
    "cnn-32": CNN((1, 32, 64), 28, 32),
    "cnn": CNN((1, 32, 64), 28, 128),
    "cnn-bn": CNN((1, 32, 64), 28, 128, batch_norm=True),
    "resnet": ResNet((3, 64, 64, 128, 256), 32, 64),
    "lenet5": Ready("lenet5", 1, 28, 128),
    "stack": Ready("stack", 1, 28, 128, (32, 64, 128)),
    "fast": Ready("fast", 3, 32, 256, (32, 128, 128)),
    "fast-wide": Ready("fast", 3, 32, 256, (64, 256, 256)),
    "resnet20": Ready("resnet20", 3, 32, 128),
}


def weights(workload: Workload, seed: int = 0) -> dict[str, np.ndarray]:
    """Initial arrays of the network: uniform on +-1 / sqrt(fan in), as PyTorch's; norms and statistics 1 and 0."""
    rng = np.random.default_rng(seed)
    shapes = dict(workload.arrays())
    arrays: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        layer, _, part = name.rpartition(".")
        kernel = shapes.get(f"{layer}.weight", ())
        if part == "num_batches_tracked":
            arrays[name] = np.zeros((), np.int64)
        elif len(kernel) > 1:
            bound = float(np.prod(kernel[1:])) ** -0.5
            arrays[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
        else:
            arrays[name] = np.full(shape, part in ("weight", "running_var"), np.float32)
    return arrays


def batch(workload: Workload, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The one batch of all steps: x normal float32, y int64, all classes alike in number.

    Each input is there twice, with different labels. So the loss cannot fall to 0, however long a step is timed, and
    gradients and Adam's averages do not shrink to subnormal numbers, which some processors add up slowly and some
    frameworks flush to 0.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(workload.input).astype(np.float32)
    y = np.arange(workload.batch) % workload.classes
    half = workload.batch // 2
    x[half : 2 * half] = x[:half]
    y[half : 2 * half] = (y[:half] + 1) % workload.classes
    return x, y
