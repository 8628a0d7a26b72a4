"""The training steps that are timed, as data: every peer builds the same network from the same description."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MLP:
    """Dense layers with ReLU between them, cross entropy, Adam with its defaults.

    Attributes:
        sizes: Inputs, hidden units per layer, classes.
        batch: Rows per step.
    """

    sizes: tuple[int, ...]
    batch: int

    @property
    def name(self) -> str:
        """What the results call it."""
        return f"MLP {'-'.join(map(str, self.sizes))}, batch {self.batch}"


@dataclass(frozen=True)
class CNN:
    """Convolutions 3x3 with ReLU and 2x2 max pooling, a dense layer of 128 with dropout 0.5, ten classes, Adam.

    Attributes:
        channels: Channels of the image and of each convolution.
        size: Height and width of the image in pixels.
        batch: Images per step.
        batch_norm: Batch normalisation after each convolution.
    """

    channels: tuple[int, ...]
    size: int
    batch: int
    batch_norm: bool = False

    @property
    def name(self) -> str:
        """What the results call it."""
        norm = " with batch norm" if self.batch_norm else ""
        return f"CNN {'-'.join(map(str, self.channels))}-128-10{norm}, {self.size}x{self.size}, batch {self.batch}"


WORKLOADS: dict[str, MLP | CNN] = {
    "mlp-tiny": MLP((64, 32, 10), 32),
    "mlp-small": MLP((64, 128, 64, 10), 64),
    "mlp-mnist": MLP((784, 256, 128, 10), 128),
    "mlp-wide": MLP((784, 1024, 1024, 10), 256),
    "cnn": CNN((1, 32, 64), 28, 128),
    "cnn-bn": CNN((1, 32, 64), 28, 128, batch_norm=True),
}
