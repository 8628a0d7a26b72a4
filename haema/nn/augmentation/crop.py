"""Parts of images at random places, and borders around images: whole pixels, so nothing is interpolated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from haema import dtypes, ops, random
from haema.errors import ShapeError
from haema.nn import functional as F
from haema.nn.augmentation._common import Augmentation, filling, images
from haema.nn.functional._common import per_axis
from haema.nn.functional.sampling import border
from haema.tensor import Tensor

__all__ = ["Frame", "RandomCrop", "part"]

MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


class Frame:
    """A border around images, and the size of what is cut out of them.

    Args:
        name: The layer it belongs to.
        size: Height and width of a crop, one number for both; None: those of the image.
        padding: Border: for all sides, (left and right, top and bottom), or (left, top, right, bottom); None: none.
        fill: Value of a constant border.
        padding_mode: "constant", "edge" (the outermost pixels' values) or "reflect" (without the outermost pixels).
        pad_if_needed: Whether images that are too small get a wider border.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        name: str,
        size: int | Sequence[int] | None,
        padding: int | Sequence[int] | None,
        fill: float = 0.0,
        padding_mode: str = "constant",
        pad_if_needed: bool = False,
    ) -> None:
        if padding_mode not in MODES:
            raise ValueError(f"{name}: padding_mode must be {', '.join(map(repr, MODES))}, not {padding_mode!r}")
        self.name, self.fill, self.padding_mode, self.widen = name, filling(name, fill), padding_mode, pad_if_needed
        self.size = None if size is None else per_axis(size, 2, f"{name}: size", least=1)
        sides = (0,) if padding is None else (padding,) if isinstance(padding, int) else tuple(padding)
        if len(sides) not in (1, 2, 4) or min(sides) < 0:
            raise ValueError(f"{name}: padding is {padding!r}; 1, 2 or 4 numbers from 0 upwards are right")
        self.left, self.top, self.right, self.bottom = sides * (4 // len(sides))

    def measured(self, x: Tensor) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """The border of these images, (above, below) and (left, right), and the size of a crop.

        Raises:
            ShapeError: it is larger than the images with their border.
        """
        height, width = x.shape[2:]
        size = self.size or (height, width)
        rows, columns = (self.top, self.bottom), (self.left, self.right)
        more = [max(0, size[0] - height - sum(rows)), max(0, size[1] - width - sum(columns))]
        if self.widen:
            rows, columns = (rows[0] + more[0], rows[1] + more[0]), (columns[0] + more[1], columns[1] + more[1])
        elif any(more):
            raise ShapeError(
                f"{self.name}: a crop of {size[0]} x {size[1]} is larger than the images, which are "
                f"{height + sum(rows)} x {width + sum(columns)}{' with their border' if any((*rows, *columns)) else ''}"
            )
        return rows, columns, (size[0], size[1])

    def padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The images within the border, and the size of a crop.

        Raises:
            ShapeError: it is larger than that.
        """
        rows, columns, size = self.measured(x)
        mode = MODES[self.padding_mode]
        return border(x, rows, columns, self.fill) if mode == "constant" else F.pad(x, (*columns, *rows), mode), size

    def central(self, x: Tensor) -> Tensor:
        """The crop in the middle; the border is only made if it is seen there."""
        rows, columns, size = self.measured(x)
        top, left = (
            (n + sum(both) - k) // 2 - both[0] for n, both, k in zip(x.shape[2:], (rows, columns), size, strict=True)
        )  # in the image without its border
        if min(top, left) < 0 or top + size[0] > x.shape[2] or left + size[1] > x.shape[3]:
            x, top, left = self.padded(x)[0], top + rows[0], left + columns[0]
        return part(x, top, left, size)

    def __str__(self) -> str:
        sides = (self.left, self.top, self.right, self.bottom)
        shown = f"size={self.size}"
        if any(sides):
            shown += f", padding={sides[0] if len({*sides}) == 1 else sides}"
            shown += "" if self.padding_mode == "constant" else f", padding_mode={self.padding_mode!r}"
        return shown


def part(x: Tensor, top: int, left: int, size: tuple[int, int]) -> Tensor:
    """A crop whose upper left pixel is given; x itself where it is the whole."""
    if tuple(x.shape[2:]) == size:
        return x
    return x[:, :, top : top + size[0], left : left + size[1]]


class RandomCrop(Augmentation):
    """A part of each image, at a random place; otherwise than in training the part in the middle.

        y[n, c, i, j] = x[n, c, i + a_n, j + b_n],    a_n, b_n uniform on all places where the crop fits

    With images of 256 x 256 and size 224 there are 33 x 33 places (AlexNet's 32 x 32 leave out one at the end). With
    ``size`` that of the images and padding 4, as is usual for CIFAR-10, it is a translation by up to 4 pixels, and in
    evaluation the image itself.

    Args:
        size: Height and width, one number for both.
        padding: Border around the image first: for all sides, (left and right, top and bottom), or (left, top, right,
            bottom); default: none.
        pad_if_needed: Whether images that are too small get a wider border.
        fill: Value of the border.
        padding_mode: "constant", "edge" (the outermost pixels' values) or "reflect" (without the outermost pixels).

    Shapes:
        x: (N, C, H, W), of any type; y: (N, C, size).

    Raises:
        ValueError: an argument is out of its range.
        ShapeError: the crop is larger than the image with its border.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks",
    NIPS 2012, section 4.1.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float = 0.0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size, self.padding, self.pad_if_needed = size, padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode
        self._frame = Frame("RandomCrop", size, padding, fill, padding_mode, pad_if_needed)

    def forward(self, input: Tensor) -> Tensor:
        x = images("RandomCrop", input)
        return self.augment(x) if self.training else self._frame.central(x)

    def augment(self, x: Tensor) -> Tensor:
        x, (h, w) = self._frame.padded(x)
        n, _, height, width = x.shape
        # All crops there are, as a view (N, C, places down, places across, h, w); of each image one is taken.
        crops = x.unfold(2, h, 1).unfold(3, w, 1)
        number = x._constant(np.arange(n), dtypes.int64)
        top, left = (random.randint(0, room + 1, (n,)) for room in (height - h, width - w))
        return ops.take(crops, number, top, left, axes=(0, 2, 3))

    def extra_repr(self) -> str:
        return str(self._frame)
