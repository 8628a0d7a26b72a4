"""Noise that makes training robust: dropout and its relatives.

The numbers come from haema's counter-based generator, whose state is part of a compiled program too.
"""

from __future__ import annotations

import math

from haema import autograd, dtypes, ops, random
from haema.errors import ShapeError
from haema.nn.functional._common import in_place, need_floating
from haema.nn.functional.activation import SELU_ALPHA, SELU_SCALE
from haema.tensor import Tensor


def _check(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: the probability p must be between 0 and 1, not {p}")


def _kept(x: Tensor, shape: tuple[int, ...], p: float, generator: random.Generator | None) -> Tensor:
    """Booleans of ``shape``, true with probability 1 - p."""
    with autograd.no_grad():
        return ops.ge(random.uniform(shape, dtype=dtypes.float32, generator=generator), x._constant(p, dtypes.float32))


def _drop(
    name: str,
    input: Tensor,
    p: float,
    training: bool,
    inplace: bool,
    generator: random.Generator | None,
    shape: tuple[int, ...],
) -> Tensor:
    """Dropout with one decision per element of ``shape``, which broadcasts to that of the input."""
    _check(name, p)
    need_floating(name, input)
    if not training or p == 0:
        return input

    def function(x: Tensor) -> Tensor:
        scale = 0.0 if p == 1 else 1 / (1 - p)
        with autograd.no_grad():
            noise = ops.where(_kept(x, shape, p, generator), x._constant(scale, x.dtype), x._constant(0, x.dtype))
        return ops.mul(x, noise)

    return in_place(function, input, inplace)


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """Each element 0 with probability p, else x / (1 - p), so that the mean stays; x itself if not training.

    Args:
        input: x, any shape.
        p: Probability of 0.
        training: Whether to drop at all.
        inplace: Write into ``input``.
        generator: Where the random numbers come from; by default the global generator.

    Raises:
        ValueError: p is no probability.

    Source: N. Srivastava et al., "Dropout", JMLR 15, 2014, in the inverted form.
    """
    return _drop("dropout", input, p, training, inplace, generator, tuple(input.shape))


def _channels(name: str, input: Tensor, n: int) -> tuple[int, ...]:
    """One decision per sample and channel of (N, C, ...) with n inner axes, or per channel of (C, ...)."""
    if input.ndim not in (n + 1, n + 2):
        raise ShapeError(f"{name}: the input must have {n + 1} or {n + 2} axes, not shape {tuple(input.shape)}")
    return tuple(input.shape[: input.ndim - n]) + (1,) * n


def dropout1d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """``dropout`` of whole channels of (N, C, L) or (C, L)."""
    return _drop("dropout1d", input, p, training, inplace, generator, _channels("dropout1d", input, 1))


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """``dropout`` of whole channels of (N, C, H, W).

    As in PyTorch a tensor with three axes counts as (N, C, L).

    Source: J. Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """
    n = 1 if input.ndim == 3 else 2
    return _drop("dropout2d", input, p, training, inplace, generator, _channels("dropout2d", input, n))


def dropout3d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """``dropout`` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _drop("dropout3d", input, p, training, inplace, generator, _channels("dropout3d", input, 3))


def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1 of a SELU's output.

        y = a (x kept, else alpha') + b,    alpha' = -scale alpha
        a = ((1 - p) (1 + p alpha'^2))^(-1/2),    b = -a p alpha'

    Source: G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017, section 2.
    """
    _check("alpha_dropout", p)
    need_floating("alpha_dropout", input)
    if not training or p == 0:
        return input

    def function(x: Tensor) -> Tensor:
        if p == 1:
            return x * 0
        low = -SELU_SCALE * SELU_ALPHA
        a = 1 / math.sqrt((1 - p) * (1 + p * low**2))
        kept = _kept(x, tuple(x.shape), p, generator)
        return ops.where(kept, x, x._constant(low, x.dtype)) * a - a * p * low

    return in_place(function, input, inplace)


def gaussian_noise(
    input: Tensor, std: float = 0.1, training: bool = True, generator: random.Generator | None = None
) -> Tensor:
    """x + e with e from the normal distribution of standard deviation ``std``; x itself if not training.

    Source: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7, 1995.
    """
    if std < 0:
        raise ValueError(f"gaussian_noise: the standard deviation must not be negative, as {std} is")
    need_floating("gaussian_noise", input)
    if not training or std == 0:
        return input
    return input + random.normal_of(input.shape, 0.0, std, dtype=input.dtype, generator=generator)
