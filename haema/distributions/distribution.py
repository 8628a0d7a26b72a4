"""What all distributions have in common."""

from __future__ import annotations

from typing import Any

from haema.errors import HaemaError
from haema.functions.shaping import sizes_of
from haema.tensor import Tensor, to_tensor

__all__ = ["Distribution", "either", "floating"]


class Distribution:
    """A probability distribution for each element of its parameters.

    Attributes:
        batch_shape: Shape of the parameters, and of one draw.
    """

    batch_shape: tuple[int, ...]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, without a gradient: (*sample_shape, *batch_shape)."""
        raise NotImplementedError(f"{type(self).__name__} has no sample()")

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws through which gradients flow to the parameters, where there are such.

        Raises:
            HaemaError: the distribution is one of separate values.
        """
        raise HaemaError(f"{type(self).__name__}: draws of separate values have no gradient; use sample()")

    def log_prob(self, value: Tensor) -> Tensor:
        """The natural logarithm of the probability (or its density) of ``value``."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob()")

    def entropy(self) -> Tensor:
        """The expected value of -log p, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy()")

    def _shape(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sizes_of((sample_shape,)), *self.batch_shape)


def either(name: str, probs: Any, logits: Any) -> None:
    """Make sure that one of the two is given.

    Raises:
        ValueError: both are, or none.
    """
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: give either probs or logits")


def floating(value: Any) -> Tensor:
    """A number or a tensor as a floating tensor."""
    x = to_tensor(value)
    return x if x.is_floating_point() else x.float()
