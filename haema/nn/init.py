"""Initial values of parameters, written in place and not recorded.

For a weight of shape (out, in, *kernel) the fans are fan_in = in * prod(kernel) and fan_out = out * prod(kernel).

    Xavier   std = gain sqrt(2 / (fan_in + fan_out))        He   std = gain / sqrt(fan)
    uniform  on [-sqrt(3) std, sqrt(3) std]

Every function returns its tensor and takes ``generator=``, where the numbers come from (by default the global one).
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from haema import autograd, random
from haema.errors import ShapeError
from haema.tensor import Tensor

_Generator = random.Generator | None


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that makes up for what an activation does to the spread of its input.

        linear, conv1d ... conv_transpose3d, sigmoid: 1     tanh: 5/3     relu: sqrt 2
        leaky_relu: sqrt(2 / (1 + slope^2))                 selu: 3/4

    Args:
        nonlinearity: Name of the function.
        param: Slope of leaky_relu, 0.01 by default.

    Raises:
        ValueError: the name is unknown.
    """
    plain = ["linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3))]
    if nonlinearity in plain:
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope of leaky_relu is a number, not {slope!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3 / 4
    known = ", ".join([*plain, "tanh", "relu", "leaky_relu", "selu"])
    raise ValueError(f"calculate_gain: nonlinearity {nonlinearity!r} is none of {known}")


def fans(tensor: Tensor, name: str = "init") -> tuple[int, int]:
    """How many inputs an output has and how many outputs an input has.

    Raises:
        ShapeError: the tensor has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"{name}: a fan needs a weight with at least 2 axes, not shape {tuple(tensor.shape)}")
    cells = math.prod(tensor.shape[2:])
    return tensor.shape[1] * cells, tensor.shape[0] * cells


@autograd.no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """All 0. Hidden units with equal weights stay equal through training: use it for biases only."""
    return tensor.fill_(0)


@autograd.no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return tensor.fill_(1)


@autograd.no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """All ``val``."""
    return tensor.fill_(val)


@autograd.no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.

    Raises:
        ShapeError: the tensor is no matrix.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: needs a matrix, not shape {tuple(tensor.shape)}")
    return tensor.copy_(np.eye(tensor.shape[0], tensor.shape[1]))


@autograd.no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution that gives its input: 1 in the middle of the kernel from channel i to channel i of each group.

    Raises:
        ShapeError: the tensor has not 3, 4 or 5 axes, or its first does not divide into the groups.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError(f"dirac_: needs a kernel with 3, 4 or 5 axes, not shape {tuple(tensor.shape)}")
    if tensor.shape[0] % groups:
        raise ShapeError(f"dirac_: {tensor.shape[0]} kernels do not divide into {groups} groups")
    values = np.zeros(tensor.shape)
    out = tensor.shape[0] // groups
    middle = tuple(k // 2 for k in tensor.shape[2:])
    for g in range(groups):
        for i in range(min(out, tensor.shape[1])):
            values[(g * out + i, i, *middle)] = 1
    return tensor.copy_(values)


@autograd.no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: _Generator = None) -> Tensor:
    """The uniform distribution on [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@autograd.no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: _Generator = None) -> Tensor:
    """The normal distribution."""
    return tensor.normal_(mean, std, generator=generator)


@autograd.no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: _Generator = None
) -> Tensor:
    """The normal distribution with what lies outside [a, b] drawn again.

    It inverts the distribution function by bisection on a table of erf, in float64.

    Args:
        tensor: Filled in place.
        mean, std: Of the distribution before it is cut.
        a, b: Bounds of the values.
        generator: Where the numbers come from.
    """
    grid = np.linspace(max((a - mean) / std, -9.0), min((b - mean) / std, 9.0), 20001)
    mass = np.array([math.erf(v / math.sqrt(2)) for v in grid])
    u = random.uniform(tensor.shape, dtype="float64", generator=generator)
    z = np.interp(mass[0] + u.numpy() * (mass[-1] - mass[0]), mass, grid)
    return tensor.copy_(np.clip(z * std + mean, a, b))


@autograd.no_grad()
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: _Generator = None) -> Tensor:
    """Uniform on [-r, r], r = gain sqrt(6 / (fan_in + fan_out)).

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, equation 16.
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor, "xavier_uniform_")))
    return tensor.uniform_(-bound, bound, generator=generator)


@autograd.no_grad()
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: _Generator = None) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)).

    Source: X. Glorot, Y. Bengio, AISTATS 2010.
    """
    return tensor.normal_(0.0, gain * math.sqrt(2 / sum(fans(tensor, "xavier_normal_"))), generator=generator)


def _he(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """gain / sqrt(fan)."""
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', not {mode!r}")
    fan = fans(tensor, name)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _empty(name: str, tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn(f"{name}: the tensor of shape {tuple(tensor.shape)} has no elements", UserWarning, stacklevel=4)
        return True
    return False


@autograd.no_grad()
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: _Generator = None,
) -> Tensor:
    """Uniform on [-r, r], r = gain sqrt(3 / fan).

    Args:
        tensor: Filled in place.
        a: Slope of the leaky_relu that follows.
        mode: "fan_in" keeps the spread of activations, "fan_out" that of gradients.
        nonlinearity: What follows; see ``calculate_gain``.
        generator: Where the numbers come from.

    Raises:
        ValueError: the mode or the nonlinearity is unknown.

    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, equations 10 and 14.
    """
    if _empty("kaiming_uniform_", tensor):
        return tensor
    bound = math.sqrt(3) * _he("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return tensor.uniform_(-bound, bound, generator=generator)


@autograd.no_grad()
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: _Generator = None,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan); arguments as for ``kaiming_uniform_``.

    Source: K. He et al., ICCV 2015.
    """
    if _empty("kaiming_normal_", tensor):
        return tensor
    return tensor.normal_(0.0, _he("kaiming_normal_", tensor, a, mode, nonlinearity), generator=generator)


@autograd.no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: _Generator = None) -> Tensor:
    """A matrix (out, in * kernel) with orthonormal rows or columns, times ``gain``.

    Raises:
        ShapeError: the tensor has fewer than two axes.

    Source: A. Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear networks", 2014.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: needs at least 2 axes, not shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    flat = random.normal_of((rows, tensor.numel() // rows), dtype="float64", generator=generator).numpy()
    q, r = np.linalg.qr(flat.T if flat.shape[0] < flat.shape[1] else flat)
    q = q * np.sign(np.diag(r))  # without this q would not be evenly distributed
    q = q.T if flat.shape[0] < flat.shape[1] else q
    return tensor.copy_(np.ascontiguousarray(q).reshape(tensor.shape) * gain)


@autograd.no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: _Generator = None) -> Tensor:
    """A normal matrix in which the given share of each column, rounded up, is 0.

    Raises:
        ShapeError: the tensor is no matrix.

    Source: J. Martens, "Deep learning via Hessian-free optimization", ICML 2010.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: needs a matrix, not shape {tuple(tensor.shape)}")
    rows = tensor.shape[0]
    order = random.uniform(tensor.shape, dtype="float64", generator=generator).numpy().argsort(0).argsort(0)
    values = random.normal_of(tensor.shape, 0.0, std, dtype=tensor.dtype, generator=generator).numpy()
    return tensor.copy_(np.where(order < math.ceil(sparsity * rows), 0, values))
