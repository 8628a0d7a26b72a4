"""Random tensors, from a seed and a counter.

A generator is nothing but an int64 tensor (seed, next block), advanced in place by each draw. So a seed gives the
same numbers on every machine, a state is saved and restored as two integers, and drawing is an operation like any
other.

    uniform    u = (bits >> 8) 2^-24 in float32, (high 26 bits, low 27 bits) 2^-53 in float64;  0 <= u < 1
    normal     sqrt(-2 log(1 - u1)) cos(2 pi u2)                        (Box and Muller, 1958)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from haema import devices, dtypes, executor, ops
from haema.autograd import no_grad
from haema.errors import DTypeError
from haema.functions import reductions, shaping
from haema.functions.shaping import sizes_of
from haema.ops.core import broadcast_shapes
from haema.tensor import Tensor

DEFAULT_SEED = 0


class Generator:
    """A stream of random numbers.

    Args:
        seed: Any integer; different seeds give streams without relation.
    """

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self.state = Tensor._wrap(np.zeros(2, np.int64))
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from ``seed``."""
        executor.active().outside("seeding a random generator")
        self.state._data[:] = (_signed(int(seed)), 0)
        return self

    def initial_seed(self) -> int:
        """The seed it was started from."""
        return int(self.state._data[0])

    def seed(self) -> int:
        """Start again from a seed of the operating system's, and return that."""
        import secrets

        seed = secrets.randbits(63)
        self.manual_seed(seed)
        return seed

    def get_state(self) -> Tensor:
        """A copy of the state: (seed, next block)."""
        return self.state.clone()

    def set_state(self, state: Any) -> None:
        """Go on from a state that ``get_state`` gave."""
        self.state.copy_(state)

    def bits(self, shape: tuple[int, ...]) -> Tensor:
        """Random words (uint32) of ``shape``; the state moves on."""
        words = ops.random_bits(self.state, shape=shape)
        blocks = -(-math.prod(shape) // 4)
        self.state._update(ops.add, self.state._constant([0, blocks], dtypes.int64))
        return words


def _signed(seed: int) -> int:
    seed &= 0xFFFFFFFFFFFFFFFF
    return seed - (1 << 64) if seed >= 1 << 63 else seed


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default generator from ``seed``: all that follows is determined by it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from an unpredictable seed, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default generator was started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Put the default generator into a state that ``get_rng_state`` gave."""
    default_generator.set_state(state)


def _unit(shape: tuple[int, ...], dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Uniform numbers on [0, 1)."""
    g = default_generator if generator is None else generator
    if dtype == dtypes.float64:
        words = g.bits((2, *shape))
        high = ops.cast(ops.shift_right(words[0], words._constant(6, dtypes.uint32)), dtype=dtype)
        low = ops.cast(ops.shift_right(words[1], words._constant(5, dtypes.uint32)), dtype=dtype)
        return (high * 2.0**27 + low) * 2.0**-53
    words = g.bits(shape)
    return ops.cast(ops.shift_right(words, words._constant(8, dtypes.uint32)), dtype=dtype) * 2.0**-24


def _float_type(dtype: Any, name: str) -> np.dtype:
    found = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if found.kind != "f":
        raise DTypeError(f"{name}: the numbers are floating, so dtype must be float32 or float64, not {found.name}")
    return found


@no_grad()
def uniform(
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from the uniform distribution on [low, high)."""
    u = _unit(tuple(shape), _float_type(dtype, "uniform"), generator)
    return u if (low, high) == (0.0, 1.0) else u * (high - low) + low


@no_grad()
def normal_of(
    shape: tuple[int, ...],
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from the normal distribution."""
    u = _unit((2, *shape), _float_type(dtype, "normal"), generator)
    z = ops.sqrt(ops.log(1 - u[0]) * -2.0) * ops.cos(u[1] * (2 * math.pi))
    return z if (mean, std) == (0.0, 1.0) else z * std + mean


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from the normal distribution; ``mean`` and ``std`` are numbers, or tensors that give the shape."""
    if size is None:
        given = [x for x in (mean, std) if isinstance(x, Tensor)]
        if not given:
            raise ValueError("normal: give size, or a tensor as mean or std")
        shape = broadcast_shapes("normal", *(x.shape for x in given))
        z = normal_of(shape, dtype=dtype or given[0].dtype, generator=generator)
        return _placed(z * std + mean, device, requires_grad)
    z = normal_of(sizes_of((size,)), mean, std, dtype=dtype, generator=generator)
    return _placed(z, device, requires_grad)


@no_grad()
def bernoulli_of(shape: tuple[int, ...], p: Any, *, dtype: Any = None, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p``, else 0, of ``shape``.

    Raises:
        ValueError: a number ``p`` is not from 0 to 1.
    """
    if not isinstance(p, Tensor) and not 0 <= p <= 1:
        raise ValueError(f"bernoulli: the probability is {p}; from 0 to 1 is right")
    u = _unit(tuple(shape), dtypes.float32, generator)
    return ops.cast(u < p, dtype=dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype))


def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``input[i]``, or everywhere ``p`` if it is given, else 0, in the shape and dtype of ``input``.

    Raises:
        ValueError: ``p`` is a number not from 0 to 1. What stands in a tensor is not looked at: below 0 gives 0, above
            1 gives 1, nan gives 0.
    """
    return bernoulli_of(input.shape, input if p is None else p, dtype=input.dtype, generator=generator)


def _placed(x: Tensor, device: Any, requires_grad: bool = False) -> Tensor:
    """``input``, if ``device`` is one that there is."""
    if device is not None:
        devices.device(device)
    return x.requires_grad_() if requires_grad else x


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the uniform distribution on [0, 1)."""
    x = uniform(sizes_of(sizes, size), dtype=dtype, generator=generator)
    return _placed(x, device, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the standard normal distribution."""
    x = normal_of(sizes_of(sizes, size), dtype=dtype, generator=generator)
    return _placed(x, device, requires_grad)


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``rand`` in the shape and dtype of ``input``."""
    y = uniform(input.shape, dtype=dtype or input.dtype, generator=generator)
    return _placed(y, device, requires_grad)


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``randn`` in the shape and dtype of ``input``."""
    y = normal_of(input.shape, dtype=dtype or input.dtype, generator=generator)
    return _placed(y, device, requires_grad)


@no_grad()
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Whole numbers from ``low`` (0 if one bound is given) up to but without ``high``.

    Raises:
        ValueError: there is no number in the range, or it is wider than 2^32.
    """
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    if not 0 < high - low <= 1 << 32:
        raise ValueError(f"randint: needs low < high <= low + 2^32, not {low} and {high}")
    g = default_generator if generator is None else generator
    words = g.bits((2, *sizes_of((size,))))
    # 53 random bits make the bias of the remainder smaller than 2^-21
    wide = ops.cast(ops.shift_right(words, words._constant(5, dtypes.uint32)), dtype=dtypes.int64)
    number = (wide[0] * (1 << 26) + (wide[1] & ((1 << 26) - 1))) % (high - low) + low
    return _placed(number.to(dtypes.int64 if dtype is None else dtype), device)


@no_grad()
def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """The numbers 0 .. n-1 in random order, int64."""
    return _placed(ops.argsort(_unit((n,), dtypes.float64, generator), axis=0, descending=False), device)


def _count_below(ends: Tensor, values: Tensor) -> Tensor:
    """How many of the sorted ``ends`` are not above each of ``values``, along the last axis: by sorting both."""
    n = ends.shape[-1]
    order = reductions.argsort(shaping.cat([ends, values], -1), -1)  # at ties the ends come first
    running = (order < n).long().cumsum(-1)
    return (order * 0).scatter(-1, order, running)[..., n:]


@no_grad()
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probability proportional to the weights in the last axis.

    With replacement by inverting the running sum; without, as the largest of log(w) + Gumbel noise
    (Yellott, 1977), which draws without replacement in the order of draws.

    Args:
        input: Weights >= 0, shape (n,) or (rows, n).
        num_samples: How many positions per row.
        replacement: Whether a position may come again.
        generator: Where the numbers come from.

    Returns:
        int64, (num_samples,) or (rows, num_samples).

    Raises:
        ValueError: a weight is negative or not finite, a row has none above 0, or, without replacement, fewer than
            ``num_samples``.
    """
    weights = input.detach()
    if not bool(((weights >= 0) & (weights < math.inf)).all() & (weights.sum(-1) > 0).all()):
        raise ValueError("multinomial: weights must be finite, none below 0, and in each row one above 0")
    if replacement:
        u = uniform((*weights.shape[:-1], num_samples), dtype=dtypes.float64, generator=generator)
        ends = weights.to(dtypes.float64).cumsum(-1)
        return _count_below(ends, u * ends[..., -1:])
    if num_samples > int((weights > 0).sum(-1).min()):
        raise ValueError(f"multinomial: {num_samples} positions without replacement need as many weights above 0")
    u = uniform(weights.shape, dtype=dtypes.float64, generator=generator)
    keys = weights.to(dtypes.float64).log() - (-(1 - u).log()).log()
    return keys.topk(num_samples, -1).indices
