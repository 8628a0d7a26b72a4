"""Rotation, translation, zoom, shear and mirroring in one: each pixel is computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from haema.autograd import no_grad
from haema.functions.elementwise import cos, sin, tan, where
from haema.nn.augmentation._common import Augmentation, chosen, drawn, filling, probability, real, restored, span
from haema.nn.functional.sampling import check_interpolation, sample
from haema.tensor import Tensor

__all__ = ["RandomAffine", "RandomRotation"]


class RandomAffine(Augmentation):
    """Each image rotated, shifted, zoomed, sheared and mirrored at random, with one resampling for all of it.

        y(u) = x(c + M^-1 (u - c - t)),    M = s R(angle) S(shear) F

    R turns clockwise by ``angle``, S shears along x and along y, s zooms, F mirrors, and t shifts; c is the centre.

    Args:
        degrees: Angle in degrees, uniform on [-degrees, degrees] or on (lowest, highest).
        translate: (a, b): t is uniform on [-a W, a W] x [-b H, b H], rounded to whole pixels; default: 0.
        scale: s is uniform on (lowest, highest); default: 1.
        shear: Degrees: d, for [-d, d] along x; (lowest, highest) along x; or (lowest, highest, lowest, highest), along
            x and along y; default: 0.
        interpolation: "bilinear", or torchvision's default "nearest".
        fill: What comes in from outside.
        center: (x, y) in pixels from the upper left corner; default: the middle of the image.
        hflip, vflip: Probabilities of mirroring left to right and top to bottom first.

    Shapes:
        x, y: (N, C, H, W); whole numbers are rounded.

    Raises:
        ValueError: an argument is out of its range.

    Source: as torchvision's; for recognition, P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional
    neural networks applied to visual document analysis", ICDAR 2003, section 2.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: str = "bilinear",
        fill: float = 0.0,
        center: Sequence[float] | None = None,
        *,
        hflip: float = 0.0,
        vflip: float = 0.0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_interpolation(f"{name}: interpolation", interpolation)
        self._angle = span(name, "degrees", degrees)
        self._scale = (1.0, 1.0) if scale is None else span(name, "scale", scale, None, least=0)
        if self._scale[0] == 0:
            raise ValueError(f"{name}: scale is {scale!r}; factors above 0 are right")
        along_y = shear is not None and not isinstance(shear, (int, float)) and len(shear) == 4
        self._shear = [
            span(name, "shear", 0.0 if shear is None else shear[:2] if along_y else shear),  # type: ignore[index]
            span(name, "shear", shear[2:] if along_y else 0.0),  # type: ignore[index]
        ]
        if any(abs(v) >= 90 for both in self._shear for v in both):
            raise ValueError(f"{name}: shear is {shear!r}; angles between -90 and 90 degrees are right")
        for what, pair in (("translate", translate), ("center", center)):
            if pair is not None and len(pair) != 2:
                raise ValueError(f"{name}: {what} is {pair!r}; two numbers, across and down, are right")
        if translate is not None and not all(0 <= v <= 1 for v in translate):
            raise ValueError(f"{name}: translate is {translate!r}; shares of width and height from 0 to 1 are right")
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear
        self.interpolation, self.fill, self.center = interpolation, filling(name, fill), center
        self.hflip, self.vflip = probability(name, hflip), probability(name, vflip)

    def augment(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        with no_grad():
            ((a, b), (c, d)), (right, down) = self._inverse(x)
            middle = ((height - 1) / 2, (width - 1) / 2)
            of_x, of_y = (width / 2, height / 2) if self.center is None else self.center
            i0, j0 = of_y - 0.5, of_x - 0.5  # the centre as a place where pixels lie at whole numbers
            like = real(x).dtype
            i = x._constant(np.arange(height).reshape(1, height, 1) - i0, like) - down
            j = x._constant(np.arange(width).reshape(1, 1, width) - j0, like) - right
            columns, rows = a * j + b * i + j0, c * j + d * i + i0  # (N, H, W)
            if self.hflip:
                columns = where(chosen(x, self.hflip)[:, 0], 2 * middle[1] - columns, columns)
            if self.vflip:
                rows = where(chosen(x, self.vflip)[:, 0], 2 * middle[0] - rows, rows)
        return restored(sample(real(x), rows, columns, self.interpolation, self.fill), x)

    def _inverse(self, x: Tensor) -> tuple[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:
        """The entries of (s R S)^-1, and t, each (N, 1, 1)."""

        def draw(low: float, high: float) -> Tensor:
            return drawn(x, low, high)[:, 0]  # (N, 1, 1)

        height, width = x.shape[2:]
        angle = draw(*self._angle) * (math.pi / 180)
        across, along = self.translate or (0.0, 0.0)
        right, down = draw(-across * width, across * width).round(), draw(-along * height, along * height).round()
        scale = draw(*self._scale)
        sx, sy = (draw(*both) * (math.pi / 180) for both in self._shear)
        a, b = cos(angle - sy) / cos(sy), -cos(angle - sy) * tan(sx) / cos(sy) - sin(angle)
        c, d = sin(angle - sy) / cos(sy), -sin(angle - sy) * tan(sx) / cos(sy) + cos(angle)
        return ((d / scale, -b / scale), (-c / scale, a / scale)), (right, down)  # R S has the determinant 1

    def extra_repr(self) -> str:
        shown = {"degrees": self.degrees}
        defaults = {
            "translate": None, "scale": None, "shear": None, "interpolation": "bilinear", "fill": 0, "center": None,
            "hflip": 0, "vflip": 0,
        }  # fmt: skip
        shown |= {k: getattr(self, k) for k, v in defaults.items() if getattr(self, k) != v}
        return ", ".join(f"{k}={v}" for k, v in shown.items())


class RandomRotation(RandomAffine):
    """Each image turned around its centre by a random angle.

    Args:
        degrees: Angle in degrees counter-clockwise, uniform on [-degrees, degrees] or on (lowest, highest).
        interpolation: "bilinear", or torchvision's default "nearest".
        center: (x, y) in pixels from the upper left corner; default: the middle of the image.
        fill: What comes in from outside.

    Shapes:
        x, y: (N, C, H, W); whole numbers are rounded.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: str = "bilinear",
        center: Sequence[float] | None = None,
        fill: float = 0.0,
    ) -> None:
        super().__init__(degrees, interpolation=interpolation, center=center, fill=fill)
        low, high = self._angle
        self._angle = (-high, -low)
