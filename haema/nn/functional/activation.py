"""Activation functions.

At a kink the derivative is PyTorch's: 0 on the flat side (relu'(0) = 0). A branch that is not taken never puts a
nan into the gradient: where one could, its argument is replaced before and not after.
"""

from __future__ import annotations

import math
from typing import Any

from haema import ops, random
from haema.errors import ShapeError
from haema.functions import elementwise as ew
from haema.functions import reductions
from haema.functions.promotion import floating
from haema.nn.functional._common import along, constant, in_place
from haema.ops.view import normal_axis
from haema.tensor import Tensor

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def step(input: Tensor, bipolar: bool = False) -> Tensor:
    """The perceptron's hard decision.

        y = 1 if s >= 0, else 0        (bipolar: else -1)

    Args:
        input: s, any shape.
        bipolar: Decide between -1 and +1 rather than 0 and 1.

    Returns:
        y of the shape of ``input``; its derivative is 0 everywhere, at 0 too.

    Source: F. Rosenblatt, "The perceptron", Psychological Review 65, 1958.
    """
    s = floating(input)
    sign = ops.where(ops.eq(s, constant(0, s)), constant(1, s), ops.sign(s))
    return sign if bipolar else (sign + 1) * 0.5


def sigmoid(input: Tensor, slope: float = 1.0) -> Tensor:
    """Logistic sigmoid: y = 1 / (1 + e^(-a s)), y' = a y (1 - y), with the slope a."""
    return ew.sigmoid(input if slope == 1 else input * slope)


def bipolar_sigmoid(input: Tensor, slope: float = 1.0) -> Tensor:
    """Sigmoid between -1 and 1.

        y = 2 / (1 + e^(-a s)) - 1 = tanh(a s / 2),      y' = a/2 (1 - y^2)

    Args:
        input: s, any shape.
        slope: a.
    """
    return ew.tanh(input * (slope / 2))


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent: (e^x - e^-x) / (e^x + e^-x)."""
    return ew.tanh(input)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Rectified linear unit: max(0, x); the derivative at 0 is 0.

    Source: V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """
    return in_place(ew.relu, input, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]; the derivative at and beyond the limits is 0."""

    def function(x: Tensor) -> Tensor:
        low, high = constant(min_val, x), constant(max_val, x)
        return ops.where(ops.le(x, low), low, ops.where(ops.ge(x, high), high, x))

    return in_place(function, input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6); the derivative at 0 and 6 is 0."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x.

    Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    def function(x: Tensor) -> Tensor:
        return ops.where(ops.gt(x, constant(0, x)), x, x * negative_slope)

    return in_place(function, input, inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x, with a learned slope for all channels or for each.

    Args:
        input: (N, C, ...), or any shape if there is one slope.
        weight: (1,) or (C,).

    Raises:
        ShapeError: the number of slopes is neither 1 nor that of the channels.

    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    n = weight.numel()
    channels = input.shape[1] if input.ndim > 1 else (input.shape[0] if input.ndim else 1)
    if n not in (1, channels):
        raise ShapeError(
            f"prelu: {n} slopes do not fit an input of shape {tuple(input.shape)} with {channels} channels"
        )
    if n == 1:
        slope = ops.reshape(weight, shape=(1,) * input.ndim)
    else:
        axis = 1 if input.ndim > 1 else 0
        slope = ops.reshape(weight, shape=tuple(n if a == axis else 1 for a in range(input.ndim)))
    return ops.where(ops.gt(input, constant(0, input)), input, slope * input)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
    generator: random.Generator | None = None,
) -> Tensor:
    """x where x > 0, else a x with a drawn from [lower, upper) per element; their middle when not training.

    Source: B. Xu et al., "Empirical evaluation of rectified activations", 2015.
    """
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)

    def function(x: Tensor) -> Tensor:
        slope = random.uniform(x.shape, lower, upper, dtype=x.dtype, generator=generator)
        return ops.where(ops.gt(x, constant(0, x)), x, x * slope)

    return in_place(function, input, inplace)


def _exponential(x: Tensor, scale: float, alpha: float, rate: float = 1.0) -> Tensor:
    """scale * (x where x > 0, else alpha (e^(rate x) - 1))."""
    positive = ops.gt(x, constant(0, x))
    below = ops.where(positive, constant(0, x), x)  # so that e^x cannot overflow where it is not used
    below = ops.expm1(below if rate == 1 else below * rate)
    factor = scale * alpha
    below = below if factor == 1 else below * factor
    return ops.where(positive, x if scale == 1 else x * scale, below)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1).

    Source: D. Clevert et al., "Fast and accurate deep network learning by exponential linear units", ICLR 2016.
    """
    return in_place(lambda x: _exponential(x, 1.0, alpha), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1).

    Source: J. Barron, "Continuously differentiable exponential linear units", 2017.
    """
    return in_place(lambda x: _exponential(x, 1.0, alpha, 1 / alpha), input, inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * (x where x > 0, else alpha (e^x - 1)), with alpha = 1.6733 and scale = 1.0507.

    Source: G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017, section 2.
    """
    return in_place(lambda x: _exponential(x, SELU_SCALE, SELU_ALPHA), input, inplace)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x.

        none:  x/2 (1 + erf(x / sqrt 2))
        tanh:  x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))

    Raises:
        ValueError: ``approximate`` is something else.

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate == "none":
        inner = ops.erf(input * math.sqrt(0.5))
    elif approximate == "tanh":
        cubic = input * input * input * 0.044715
        inner = ops.tanh((input + cubic) * math.sqrt(2 / math.pi))
    else:
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return input * 0.5 * (inner + 1)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish.

    Source: S. Elfwing et al., "Sigmoid-weighted linear units", Neural Networks 107, 2018.
    """
    return in_place(lambda x: x * ops.sigmoid(x), input, inplace)


def log1p_exp(x: Tensor) -> Tensor:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), accurate for every x, with its derivatives of any order."""
    zero = constant(0, x)
    positive = ops.gt(x, zero)
    size = ops.where(positive, x, ops.neg(x))
    return ops.where(positive, x, zero) + ops.log1p(ops.exp(ops.neg(size)))


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + e^x)).

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.
    """
    return in_place(lambda x: x * ops.tanh(log1p_exp(x)), input, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold."""
    z = input if beta == 1 else input * beta
    linear = ops.gt(z, constant(threshold, z))
    y = ops.log1p(ops.exp(ops.where(linear, constant(0, z), z)))
    return ops.where(linear, input, y if beta == 1 else y / beta)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), without overflow."""
    return ops.neg(log1p_exp(ops.neg(input)))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (ops.abs(input) + 1)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2 limited to [0, 1]; the derivative at and beyond -3 and 3 is 0."""

    def function(x: Tensor) -> Tensor:
        low, high = ops.le(x, constant(-3, x)), ops.ge(x, constant(3, x))
        return ops.where(low, constant(0, x), ops.where(high, constant(1, x), x / 6 + 0.5))

    return in_place(function, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """0 where x <= -3, x where x >= 3, else x (x + 3) / 6.

    Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019.
    """

    def function(x: Tensor) -> Tensor:
        low, high = ops.le(x, constant(-3, x)), ops.ge(x, constant(3, x))
        middle = ops.where(low | high, constant(0, x), x)  # an infinite x would square to nan in the gradient
        return ops.where(low, constant(0, x), ops.where(high, x, middle * (middle + 3) / 6))

    return in_place(function, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""

    def function(x: Tensor) -> Tensor:
        return ops.where(ops.le(x, constant(threshold, x)), constant(value, x), x)

    return in_place(function, input, inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    return ops.where(ops.le(ops.abs(input), constant(lambd, input)), constant(0, input), input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x pulled towards 0 by lambd; 0 where |x| <= lambd."""
    inside = ops.le(ops.abs(input), constant(lambd, input))
    return ops.where(inside, constant(0, input), input - ops.sign(input) * lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - ops.tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Gated linear unit: a sigmoid(b), where a and b are the halves of ``input`` along ``dim``.

    Raises:
        ShapeError: the axis has an odd size.

    Source: Y. Dauphin et al., "Language modeling with gated convolutional networks", ICML 2017.
    """
    axis = normal_axis(dim, input.ndim)
    n = input.shape[axis]
    if n % 2:
        raise ShapeError(f"glu: axis {dim} of shape {tuple(input.shape)} has the odd size {n} and cannot be halved")
    return along(input, axis, 0, n // 2) * ops.sigmoid(along(input, axis, n // 2, n))


def _softmax_axis(input: Tensor, dim: int | None) -> int:
    """The axis, by default that of the classes: 1, or 0 of tensors with 0, 1 or 3 axes, as in PyTorch."""
    if dim is None:
        return 0 if input.ndim in (0, 1, 3) else 1
    return dim


def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """y_i = e^x_i / sum_j e^x_j along ``dim``, without overflow.

    Args:
        input: Scores.
        dim: Axis; by default 1, or 0 of tensors with 0, 1 or 3 axes.
        dtype: Type to compute in.
    """
    return reductions.softmax(input, _softmax_axis(input, dim), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """y_i = x_i - log sum_j e^x_j along ``dim``, without overflow; ``dim`` as for ``softmax``."""
    return reductions.log_softmax(input, _softmax_axis(input, dim), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """softmax of -x."""
    return softmax(ops.neg(input), dim, dtype=dtype)
