"""The plans for images.

`haema.models.fast`, for classes: how wide it is and how often it sees the images depends on how many there are and on
what a step costs. One image costs 3 times its forward pass, which takes 2 operations per multiplication; so 50,000
images, of which 2,500 validate, cost

    recipe    images        widths          GFLOP an image, forward     epochs    TFLOP in all
    default   28 x 28 x 1   16, 32, 64      0.0088                      7         11
    best      28 x 28 x 1   32, 64, 128     0.032                       18        99
    default   32 x 32 x 3   32, 96, 128     0.067                       14        134
    best      32 x 32 x 3   64, 128, 256    0.173                       26        639
    best, in bfloat16       64, 256, 256    0.32                        34        1557

(of the grey ones 60,000). Two cores with AVX-512 do some 270 GFLOP/s of it; those with AMX some 700 of the last one,
which is the best one there, and elsewhere if asked for. Fewer images are seen more often, epochs = E sqrt(N / rows), at
most 60 unless that is less than 150 steps; where all would cost more than the budget of the recipe, epochs and then
widths are taken back.

    loss      cross entropy with label smoothing 0.2
    optimizer SGD with Nesterov momentum 0.85; weights decay, biases do not; the biases of the norms learn faster
    rate      up and down along straight lines: 0.2, at 23 % of the steps 1, at the end 0.01 times the highest
    weights   their average over the last half epoch or so is what validates and predicts
    views     coloured images are seen as they are and mirrored; to predict, all are seen shifted by a pixel too, which
              would take too long to validate with
    best      a square of a sixteenth of each coloured image, where it fits, is erased in training

Source: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498, section 3 and appendix,
with smaller widths and batches; T. DeVries, G. Taylor, "Improved regularization of convolutional neural networks with
cutout", arXiv:1708.04552.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from haema import nn
from haema.autograd import no_grad
from haema.creation import from_numpy
from haema.data import Data
from haema.models import MODELS, fast
from haema.models.common import LEAST, image
from haema.models.fast import multiply_adds
from haema.nn.preprocessing import Standardize
from haema.train.plans.plan import Plan, check_size, effort, even_batch, head

if TYPE_CHECKING:
    pass

__all__ = ["MOST_PIXELS", "ImagePlan", "Size", "augmentation_for", "image_plan"]

MOST_PIXELS = 64 * 64
"""Images of more pixels than this are not for the fast network."""

MOST_EPOCHS = 60
FEWEST_EPOCHS = 6
FEWEST_STEPS = 150
"""Of a training with so few images that they are one batch or a few."""

SHIFT = 1
"""Pixels by which the views are shifted that the fast network predicts from."""

ERASED = 1 / 16
"""Share of a coloured image's area that the best recipe erases."""

PATCHED = 5000
"""Images from whose patches the first convolution is computed."""

SMOOTHING = 0.2
MOMENTUM = 0.85
RATE, BATCH = 0.75, 512
"""Highest learning rate for batches of so many images, of a loss averaged over them; RATE sqrt(n / BATCH) for n."""

DECAY = 1.33e-3
"""Weight decay of SGD, so that a step at the highest rate takes 0.001 of the weights with batches of 512."""

NORM_BIAS_RATE = 64.0
"""Learning rate of the biases of batch norm over that of the weights."""

FIRST_RATE, LAST_RATE, PEAK = 0.2, 0.01, 0.23
"""First and last learning rate over the highest, and the share of the steps before that."""


@dataclass(frozen=True)
class Size:
    """How much a recipe of the fast network does.

    Fields:
        widths: Channels of the blocks.
        epochs: How often ``rows`` images are seen.
        rows: The number of images that this was chosen for.
        budget: Operations in all, at most.
    """

    widths: tuple[int, ...]
    epochs: int
    rows: int
    budget: float

    def fitted(self, rows: int, shape: tuple[int, int, int], classes: int) -> Size:
        """The same for so many images of (channels, height, width)."""
        widths, epochs = self.widths, min(max(round(self.epochs * math.sqrt(self.rows / rows)), 1), MOST_EPOCHS)
        while 6.0 * multiply_adds(shape[0], shape[1:], classes, widths) * rows * epochs > self.budget:
            if epochs > FEWEST_EPOCHS:
                epochs -= 1
            elif widths[0] > 8:
                widths = tuple(max(8, w * 3 // 4 // 8 * 8) for w in widths)
            elif epochs > 1:
                epochs -= 1
            else:
                break
        return replace(self, widths=widths, epochs=epochs)


SIZES = {
    ("default", "grey"): Size((16, 32, 64), 7, 57_500, 12e12),
    ("best", "grey"): Size((32, 64, 128), 18, 57_500, 105e12),
    ("default", "colour"): Size((32, 96, 128), 14, 47_500, 140e12),
    ("best", "colour"): Size((64, 128, 256), 26, 47_500, 660e12),
}
IN_TILES = Size((64, 256, 256), 34, 47_500, 1600e12)
"""Instead of the best one for coloured images, where products are of bfloat16."""


@dataclass(frozen=True)
class ImagePlan(Plan):
    """A plan for images: batches of images as they come, which the network itself augments, standardises and looks at.

    Fields beside those of `Plan`:
        widths: Channels of the fast network; empty for others.
        label_smoothing: Of the cross entropy.
        norm_bias_rate: Learning rate of biases, which in the fast network are those of norms, over that of weights.
    """

    widths: tuple[int, ...] = ()
    label_smoothing: float = 0.0
    norm_bias_rate: float = 1.0

    def make_optimizer(self, model: Any) -> Any:
        from haema import optim

        groups = self._groups(model)
        if self.optimizer == "SGD":
            return optim.SGD(groups, lr=self.lr, momentum=MOMENTUM, nesterov=True)
        return getattr(optim, self.optimizer)(groups, lr=self.lr)

    def _groups(self, model: Any) -> list[dict[str, Any]]:
        """Weights, which decay; biases and what norms learn, which do not, and have a rate of their own."""
        kinds: tuple[list[Any], list[Any]] = ([], [])
        for p in model.parameters():
            if p.requires_grad:
                kinds[p.ndim == 1].append(p)
        found = zip(kinds, self._rates(), (self.weight_decay, 0.0), strict=True)
        return [{"params": kind, "lr": rate, "weight_decay": decay} for kind, rate, decay in found]

    def _rates(self) -> list[float]:
        return [self.lr, self.lr * self.norm_bias_rate]

    def cycle(self) -> dict[str, Any]:
        if self.optimizer != "SGD":
            return super().cycle()
        return {
            "max_lr": self._rates(), "pct_start": PEAK, "anneal_strategy": "linear", "div_factor": 1 / FIRST_RATE,
            "final_div_factor": FIRST_RATE / LAST_RATE, "cycle_momentum": False,
        }  # fmt: skip

    def finish(self, model: Any) -> None:
        """Let the trained fast network look at shifted images too."""
        if self.widths:
            seen = model[-1]
            model[-1] = nn.TestTimeAugmentation(seen.module, padding=SHIFT, flip=seen.flip, padding_mode="reflect")
            model[-1].train(seen.training)

    def hyperparameters(self) -> dict[str, Any]:
        own: dict[str, Any] = {"label_smoothing": self.label_smoothing, "average": self.average, "mirrored": self.tta}
        if self.widths:
            own |= {"widths": list(self.widths), "momentum": MOMENTUM, "norm_bias_rate": self.norm_bias_rate}
        return {**super().hyperparameters(), **own}


def front(data: Data, recipe: str, first: Standardize) -> list[nn.Module]:
    """The layers before the network: those that make new images of the training images, and standardising.

    Grey images are turned, shifted, zoomed and sheared a little; coloured ones are shifted by up to a sixteenth of
    their side, and mirrored, and the best recipe erases a square of each. What is no class may depend on where things
    are, so then there are none.

    Args:
        data: The training part.
        recipe: "default" or "best".
        first: What standardises.
    """
    erased = recipe == "best" and data.task == "classification" and data.x.shape[1] > 1
    # behind what standardises, so that what is erased gets the value of the mean
    erasing = [nn.RandomErasing(1.0, (ERASED, ERASED), (1.0, 1.0))] if erased else []
    return [*augmentation_for(data), first, *erasing]


def augmentation_for(data: Data) -> list[nn.Module]:
    """What moves and mirrors the training images as they come."""
    if data.task != "classification":
        return []
    channels, height, width = data.x.shape[1:]
    if channels == 1:
        return [nn.RandomAffine(degrees=10.0, translate=(0.07, 0.07), scale=(0.9, 1.1), shear=5.0)]
    border = max(1, round(min(height, width) / 16))
    if min(height, width) < 2:
        return [nn.RandomHorizontalFlip()]  # a line of pixels has nothing to be reflected across it
    return [nn.RandomCrop((height, width), padding=border, padding_mode="reflect"), nn.RandomHorizontalFlip()]


def image_plan(data: Data, model: str, recipe: str, precision: str | None = None) -> Plan:
    """The plan for images and a network of `haema.models`.

    Args:
        data: The training part, x (N, C, H, W).
        model: The network's name.
        recipe: "default" or "best".
        precision: "float32" or "bf16"; default: what suits the recipe and this CPU.

    Raises:
        InputError: the images do not suit the network.
    """
    channels, *sides = data.x.shape[1:]
    image(model, channels, sides, 1, least=1 if model == "cnn" else LEAST)
    first = Standardize.of(data.x)
    if model == "fast" and data.task == "classification":
        return _fast(data, first, recipe, precision)
    return _general(data, first, model, recipe)


def _fast(data: Data, first: Standardize, recipe: str, precision: str | None) -> Plan:
    rows, (channels, height, width) = len(data), data.x.shape[1:]
    outputs, _, _, metrics = head(data)
    kind = "grey" if channels == 1 else "colour"
    size = SIZES[recipe, kind]
    if size is SIZES["best", "colour"] and (precision == "bf16" or (precision is None and _has_tiles())):
        size, precision = IN_TILES, "bf16"
    size = size.fitted(rows, (channels, height, width), outputs)
    batch = even_batch(rows, min(BATCH, max(16, 2 ** round(math.log2(rows / 32)))))
    mirrored = channels > 1

    def build() -> nn.Module:
        network = _whitened(fast(channels, (height, width), outputs, size.widths), data, first)
        return nn.Sequential(*front(data, recipe, first), nn.TestTimeAugmentation(network, flip=mirrored))

    return ImagePlan(
        "fast",
        build,
        nn.CrossEntropyLoss(label_smoothing=SMOOTHING),
        metrics,
        lr=RATE * math.sqrt(batch / BATCH),
        epochs=max(size.epochs, math.ceil(FEWEST_STEPS / math.ceil(rows / batch))),
        batch_size=batch,
        optimizer="SGD",
        weight_decay=DECAY,
        recipe=recipe,
        precision=precision or "float32",
        average=_decay(rows, batch),
        tta=mirrored,
        widths=size.widths,
        label_smoothing=SMOOTHING,
        norm_bias_rate=NORM_BIAS_RATE,
    )


def _has_tiles() -> bool:
    from haema.compiler.target import target

    return target().tiles


def _general(data: Data, first: Standardize, model: str, recipe: str) -> Plan:
    """AdamW over one cycle, as for all other networks; the best recipe takes twice as long."""
    outputs, last, loss, metrics = head(data)
    rows, (channels, height, width) = len(data), data.x.shape[1:]
    epochs, batch = effort(rows, 30)
    epochs, best = max(5, epochs // 2), recipe == "best"
    mirrored = best and channels > 1 and data.task == "classification"
    smoothing = 0.1 if best and data.task == "classification" else 0.0

    def build() -> nn.Module:
        network = MODELS[model].build(channels, (height, width), outputs)
        check_size(sum(p.numel() for p in network.parameters()), data)
        network = _whitened(network, data, first)
        views = nn.TestTimeAugmentation(network) if mirrored else network
        return nn.Sequential(*front(data, recipe, first), views, *last)

    return ImagePlan(
        model,
        build,
        nn.CrossEntropyLoss(label_smoothing=smoothing) if smoothing else loss,
        metrics,
        lr=3e-3,
        epochs=2 * epochs if best else epochs,
        batch_size=batch,
        recipe=recipe,
        average=_decay(rows, batch) if best else None,
        tta=mirrored,
        label_smoothing=smoothing,
    )


def _whitened(network: nn.Sequential, data: Data, first: Standardize) -> nn.Sequential:
    """The network, with a first convolution that is computed from standardised images where it is not learned."""
    found = [m for m in network.modules() if isinstance(m, nn.PatchWhitening)]
    if found:
        some = np.unique(np.linspace(0, len(data) - 1, PATCHED).astype(np.int64))
        with no_grad():
            x = first(from_numpy(np.ascontiguousarray(data.x[some]))).numpy()
        for layer in found:
            layer.fit(x)
    return network


def _decay(rows: int, batch: int) -> float:
    """The decay of an average over about the last half epoch."""
    return round(min(max(1 - 2 / max(1, math.ceil(rows / batch)), 0.5), 0.999), 4)
