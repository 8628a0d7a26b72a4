"""One of several classes."""

from __future__ import annotations

from typing import Any

from haema.distributions.distribution import Distribution, either, floating
from haema.functions.reductions import softmax
from haema.functions.shaping import sizes_of
from haema.random import multinomial
from haema.tensor import Tensor

__all__ = ["Categorical"]


class Categorical(Distribution):
    """A class number k with probability p[k].

    Args:
        probs: Weights of the classes in the last axis, not negative; divided by their sum.
        logits: Or their logarithms, up to a constant.

    Raises:
        ValueError: not exactly one of the two is given.
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        either("Categorical", probs, logits)
        if probs is not None:
            weights = floating(probs)
            self.probs = weights / weights.sum(-1, keepdim=True)
            eps = 1.2e-7 if self.probs.itemsize == 4 else 2.3e-16
            self.logits = self.probs.clamp(eps, 1 - eps).log()
        else:
            given = floating(logits)
            self.logits = given - given.logsumexp(-1, keepdim=True)
            self.probs = softmax(self.logits, -1)
        self.batch_shape = self.logits.shape[:-1]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        sizes = sizes_of((sample_shape,))
        count = 1
        for n in sizes:
            count *= n
        rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
        return multinomial(rows, count, True).t().reshape((*sizes, *self.batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        at = value.long()
        shape = (*(at * self.logits.detach()[..., 0].long()).shape, self.logits.shape[-1])
        return self.logits.expand(shape).gather(-1, at.expand(shape[:-1]).unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        return -(self.probs * self.logits).sum(-1)
