"""The weights that meet the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

from haema.errors import InputError
from haema.nn.conv import Conv2d
from haema.nn.linear import Linear
from haema.nn.module import Module
from haema.nn.whitening import PatchWhitening
from haema.tensor import Tensor

__all__ = ["first_filters"]


def first_filters(model: Module, shape: Sequence[int] | None = None) -> tuple[str, Tensor]:
    """The weights of the first layer that looks at the image, one small image for each of its units.

    Args:
        model: Any module.
        shape: (C, H, W) of an image; then a dense layer of C H W inputs counts too.

    Returns:
        The layer's dotted name, and its weights: (O, C / groups, kh, kw) of a convolution in two dimensions,
        (O, C, H, W) of a dense layer.

    Raises:
        InputError: there is no such layer.
    """
    width = None if shape is None else math.prod(shape)
    for name, layer in model.named_modules():
        if isinstance(layer, (Conv2d, PatchWhitening)):
            return name, layer.weight.detach()
        if shape is not None and isinstance(layer, Linear) and layer.in_features == width:
            return name, layer.weight.detach().reshape(layer.out_features, *shape)
    what = "no convolution in two dimensions" + ("" if width is None else f" and no dense layer of {width} inputs")
    raise InputError(f"the model has {what}, so there are no filters to look at")
