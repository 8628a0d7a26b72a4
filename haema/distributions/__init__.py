"""Probability distributions whose probabilities can be differentiated, as policies and latent variables need them."""

from haema.distributions.bernoulli import Bernoulli
from haema.distributions.categorical import Categorical
from haema.distributions.distribution import Distribution
from haema.distributions.divergence import kl_divergence
from haema.distributions.normal import Normal

__all__ = ["Bernoulli", "Categorical", "Distribution", "Normal", "kl_divergence"]
