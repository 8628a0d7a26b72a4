"""The normal distribution."""

from __future__ import annotations

import math
from typing import Any

from haema.autograd import no_grad
from haema.distributions.distribution import Distribution, floating
from haema.ops.core import broadcast_shapes
from haema.random import normal_of
from haema.tensor import Tensor

__all__ = ["Normal"]


class Normal(Distribution):
    """p(x) = exp(-(x - m)^2 / (2 s^2)) / (s sqrt(2 pi)).

    Args:
        loc: m, a tensor or a number.
        scale: s, above 0.
    """

    def __init__(self, loc: Any, scale: Any) -> None:
        mean, spread = floating(loc), floating(scale)
        self.batch_shape = broadcast_shapes("Normal", mean.shape, spread.shape)
        self.loc = mean.expand(self.batch_shape)
        self.scale = spread.expand(self.batch_shape)

    @property
    def mean(self) -> Tensor:
        """m."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """s."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """s^2."""
        return self.scale.square()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.scale * normal_of(self._shape(sample_shape), dtype=self.loc.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        d = value - self.loc
        return -d.square() / (2 * self.variance) - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def entropy(self) -> Tensor:
        return self.scale.log() + 0.5 * (1 + math.log(2 * math.pi))
