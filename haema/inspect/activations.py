"""What comes out of each layer: the outputs themselves, and figures on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from haema.autograd import no_grad
from haema.errors import InputError
from haema.inspect.recording import record
from haema.nn.module import Module
from haema.nn.undisturbed import undisturbed
from haema.tensor import Tensor

__all__ = ["Distribution", "activation_statistics", "distribution", "feature_maps"]


def feature_maps(model: Module, x: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
    """The outputs of a model's layers for some inputs, in evaluation mode, in the order in which they were called.

    What a module computes by functions (``F.relu(x)``) is seen in the output of that module only. The model is left
    as it was: modes, buffers, random numbers.

    Args:
        model: Any module.
        x: Its input, (N, ...).
        layers: Dotted names as in ``named_modules``; default: all modules that have none below them.

    Returns:
        Name -> output, a copy. A layer that is called again is called ``name_1`` then, and so on.

    Raises:
        InputError: there is no such layer.

    Example::

        maps = hm.inspect.feature_maps(model, images, ["0.conv1", "0.relu"])
    """
    maps: dict[str, Tensor] = {}
    with undisturbed(model), no_grad():
        # a copy, for the next layer may write into its input
        record(model, x, lambda name, layer, y: maps.__setitem__(name, y.clone()), layers)
    return maps


@dataclass(frozen=True)
class Distribution:
    """Figures on some numbers, and their histogram.

    Fields:
        shape: Of the tensor that they are.
        mean, std: Mean and standard deviation (of all of them: divided by their number).
        zeros: Share of those that are exactly 0.
        units: Length of the second axis: features (N, K) or channels (N, C, ...); 1 where there is none.
        dead: How many units are 0 in every row and place.
        counts: Numbers per bin, (B,); those that are not finite are in none.
        edges: Of the bins, (B + 1,), from the smallest to the largest.
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    zeros: float
    units: int
    dead: int
    counts: np.ndarray
    edges: np.ndarray

    @property
    def norm(self) -> float:
        """sqrt(sum of squares)."""
        return math.sqrt((self.mean**2 + self.std**2) * math.prod(self.shape))


def distribution(x: Tensor, bins: int = 60) -> Distribution:
    """Figures on the numbers in a tensor.

    Args:
        x: Any shape; the second axis is taken for the units'.
        bins: Of the histogram. Default: 60.

    Raises:
        InputError: the tensor is empty, or there are no bins.
    """
    a = x.detach().numpy()
    if a.size == 0 or bins < 1:
        raise InputError(f"a histogram of {bins} bins of a tensor of shape {a.shape}; one or more of each are right")
    units = np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) if a.ndim > 1 else a.reshape(1, -1)
    nonzero = units != 0
    with np.errstate(invalid="ignore"):  # inf - inf is nan, as it should be
        mean, std = float(a.mean(dtype=np.float64)), float(a.std(dtype=np.float64))
    finite = a[np.isfinite(a)].astype(np.float64)
    counts, edges = np.histogram(finite, bins)
    return Distribution(
        tuple(a.shape),
        mean,
        std,
        1 - np.count_nonzero(nonzero) / a.size,
        len(units),
        int((~nonzero.any(axis=1)).sum()),
        counts,
        edges,
    )


def activation_statistics(
    model: Module, x: Tensor, layers: Sequence[str] | None = None, bins: int = 60
) -> dict[str, Distribution]:
    """Mean, deviation, share of zeros, dead units and histogram of what comes out of each layer, in evaluation mode.

    Of the outputs no more than one is kept in memory at a time. The model is left as it was.

    Args:
        model, x, layers: As for `feature_maps`.
        bins: Of the histograms. Default: 60.

    Returns:
        Name -> figures, named as by `feature_maps`.

    Raises:
        InputError: there is no such layer.

    Example::

        for name, a in hm.inspect.activation_statistics(model, images).items():
            print(name, a.mean, a.std, f"{a.dead} of {a.units} units are dead")
    """
    found: dict[str, Any] = {}
    with undisturbed(model), no_grad():
        record(model, x, lambda name, layer, y: found.__setitem__(name, distribution(y, bins)), layers)
    return found
