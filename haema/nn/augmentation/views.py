"""Predictions averaged over several views of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

from haema.errors import ShapeError
from haema.functions.shaping import cat
from haema.nn.augmentation._common import images
from haema.nn.augmentation.crop import Frame, part
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["TestTimeAugmentation"]

AVERAGES = ("probabilities", "outputs")


class TestTimeAugmentation(Module):
    """A model that in evaluation looks at several views of each image and averages what it sees.

        probabilities   y = log( 1/V sum_v softmax(model(x_v)) )
        outputs         y = 1/V sum_v model(x_v)

    The views are five crops (the corners and the middle) of the image within its border, and their mirror images:

        TestTimeAugmentation(model)              the image and its mirror image
        TestTimeAugmentation(model, padding=1)   ten: shifted by up to a pixel as well
        TestTimeAugmentation(model, 224)         ten: the crops of 224 x 224 (AlexNet's, of 256 x 256)

    The first average is a log probability, which cross entropy and softmax read as they read logits. In training it is
    the model alone.

    Args:
        module: The model.
        size: Height and width of a crop, one number for both; default: the image's own.
        padding: Border around the image first, as in ``RandomCrop``; default: none.
        flip: Whether to look at the mirror images too.
        fill: Value of the border.
        padding_mode: "constant", "edge" or "reflect", as in ``RandomCrop``.
        average: "probabilities", for a model that gives logits or log probabilities, (N, classes), or "outputs", for
            all others.

    Shapes:
        x: (N, C, H, W); y: what the model makes of (N, C, size).

    Raises:
        ValueError: an argument is out of its range.
        ShapeError: a crop is larger than the image with its border, or a single output is averaged as a probability.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NIPS 2012, section 4.1; with shifts, K. Jordan, arXiv:2404.00498, section 3.5.
    """

    def __init__(
        self,
        module: Module,
        size: int | Sequence[int] | None = None,
        padding: int | Sequence[int] | None = None,
        flip: bool = True,
        fill: float = 0.0,
        padding_mode: str = "constant",
        average: str = "probabilities",
    ) -> None:
        super().__init__()
        if average not in AVERAGES:
            raise ValueError(f"TestTimeAugmentation: average is {average!r}; 'probabilities' or 'outputs' is right")
        self.module = module
        self.size, self.padding, self.flip = size, padding, flip
        self.fill, self.padding_mode, self.average = fill, padding_mode, average
        self._frame = Frame("TestTimeAugmentation", size, padding, fill, padding_mode)

    def views(self, x: Tensor) -> list[Tensor]:
        """The views of (N, C, H, W), the one in the middle first."""
        x, size = self._frame.padded(images("TestTimeAugmentation", x))
        down, right = x.shape[2] - size[0], x.shape[3] - size[1]
        places = [(down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)]
        crops = [part(x, *place, size) for place in dict.fromkeys(places)]
        return crops + [crop.flip(-1) for crop in crops] if self.flip else crops

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            return self.module(input)
        views = self.views(input)
        y = self.module(cat(views))  # (V N, ...): one pass, view after view
        y = y.reshape(len(views), -1, *y.shape[1:])
        if self.average == "outputs":
            return y.mean(0)
        if y.ndim != 3 or y.shape[2] < 2:
            raise ShapeError(
                f"TestTimeAugmentation: outputs of shape {tuple(y.shape[1:])} are no classes' logits (N, C); "
                "average='outputs' is right for them"
            )
        return y.log_softmax(2).logsumexp(0) - math.log(len(views))

    def extra_repr(self) -> str:
        return f"{self._frame}, flip={self.flip}, average={self.average!r}"
