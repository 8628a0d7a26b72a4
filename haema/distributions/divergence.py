"""How far one distribution is from another."""

from __future__ import annotations

from typing import Any

from haema.distributions.bernoulli import Bernoulli
from haema.distributions.categorical import Categorical
from haema.distributions.distribution import Distribution
from haema.distributions.normal import Normal
from haema.nn.functional.activation import logsigmoid
from haema.tensor import Tensor

__all__ = ["kl_divergence"]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence: the expected value of log p - log q under p, in nats.

    Args:
        p, q: Two normal, two categorical or two Bernoulli distributions.

    Raises:
        NotImplementedError: there is no formula for the pair.
    """
    for kind, formula in _FORMULAS.items():
        if isinstance(p, kind) and isinstance(q, kind):
            return formula(p, q)
    raise NotImplementedError(f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}")


def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


def _categorical(p: Any, q: Any) -> Tensor:
    return (p.probs * (p.logits - q.logits)).sum(-1)


def _bernoulli(p: Any, q: Any) -> Tensor:
    return p.probs * (p.logits - q.logits) + logsigmoid(-p.logits) - logsigmoid(-q.logits)


_FORMULAS: dict[type, Any] = {Normal: _normal, Categorical: _categorical, Bernoulli: _bernoulli}
