"""Yes or no."""

from __future__ import annotations

from typing import Any

from haema.distributions.distribution import Distribution, either, floating
from haema.nn.functional.classification import binary_cross_entropy_with_logits
from haema.random import bernoulli_of
from haema.tensor import Tensor

__all__ = ["Bernoulli"]


class Bernoulli(Distribution):
    """1 with probability p, else 0.

    Args:
        probs: p.
        logits: Or log(p / (1 - p)).

    Raises:
        ValueError: not exactly one of the two is given.
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        either("Bernoulli", probs, logits)
        if probs is not None:
            self.probs = floating(probs)
            self.logits = self.probs.logit(1.2e-7 if self.probs.itemsize == 4 else 2.3e-16)
        else:
            self.logits = floating(logits)
            self.probs = self.logits.sigmoid()
        self.batch_shape = self.probs.shape

    @property
    def mean(self) -> Tensor:
        """p."""
        return self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return bernoulli_of(self._shape(sample_shape), self.probs.detach(), dtype=self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        zero = self.logits.detach() * 0
        return -binary_cross_entropy_with_logits(self.logits + value * 0, value + zero, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
