"""The tensor: its methods are the functions of `haema.functions`, listed in the class body.

What this file defines itself is how a tensor is read out, converted, written in place and made of other data. What it
is underneath (data, history, views) is `haema.variable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from haema import autograd, devices, dtypes, executor, ops
from haema.conversion import to_array
from haema.errors import HaemaError
from haema.functions import contractions, elementwise, indexing, reductions, shaping, statistics
from haema.functions.promotion import pair
from haema.ops.core import broadcast_shapes
from haema.variable import Variable


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``x.f_(...)``: the result of ``f`` written into ``x``."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tensors = (self, *(a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)))
        source = self._snapshot() if autograd.is_grad_enabled() and any(t.requires_grad for t in tensors) else self
        return self._become(function(source, *args, **kwargs))

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"``{function.__name__}`` in place: the result is written into this tensor, which is returned."
    return method


def _in_place_map(op: ops.Op, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``_in_place`` of an elementwise primitive, which can compute into its first operand's memory."""
    general = _in_place(function)

    def method(self: Tensor, *others: Any, **kwargs: Any) -> Tensor:
        if kwargs or self._data.dtype.kind != "f" or self._records(*others):
            return general(self, *others, **kwargs)
        if not others:
            return self._update(op)
        a, b = pair(self, *others)
        if a is not self or (b.ndim and b.shape != a.shape and broadcast_shapes(op, a.shape, b.shape) != a.shape):
            return general(self, b)
        return self._update(op, b)

    method.__name__, method.__doc__ = f"{op.name}_", general.__doc__
    return method


def _in_place_sum(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``add_`` and ``sub_``, whose second operand may be scaled."""

    def scaled(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
        return method(self, other if type(alpha) is int and alpha == 1 else other * alpha)

    scaled.__name__, scaled.__doc__ = method.__name__, method.__doc__
    return scaled


def _reshaped_in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``x.f_(...)`` for a function that gives the same elements another shape."""

    def method(self: Tensor, *args: Any) -> Tensor:
        return self._take_shape(function.__name__, function(self.detach(), *args))

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"``{function.__name__}`` in place, of a tensor without history."
    return method


class Tensor(Variable):
    """A multi-dimensional array with a gradient.

    ``Tensor([1, 2])`` makes floating numbers of whatever it is given, and ``Tensor(2, 3)`` zeros of that shape;
    ``hm.tensor`` keeps the type of its data.

    Args:
        data: Nested lists, an array, or a tensor, which are copied; or sizes; nothing for no elements.
        dtype: Type of the elements; float32, or what the default is.
        requires_grad: Record operations on this tensor so that ``backward`` fills its ``grad``.

    Attributes:
        grad: The gradient that ``backward`` accumulated, or None.
        shape, ndim, dtype: As in NumPy.
        requires_grad: Whether operations on it are recorded.
        is_leaf: Whether it was made by the user and not computed by recorded operations.
        grad_fn: The record of the operation that computed it, or None.
    """

    __slots__ = ()

    def __init__(self, *data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        if device is not None:
            devices.device(device)
        kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
            self._set(to_array(data[0], kind))
        else:
            self._set(executor.fill(0, shaping.sizes_of(data or (0,)), kind))
        if requires_grad:
            self.requires_grad = True

    # -- what it is ------------------------------------------------------------------

    @property
    def device(self) -> devices.device:
        """Where the data are: always "cpu"."""
        return _CPU

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.permute(self, axes=tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return shaping.transpose(self, -2, -1)

    def size(self, dim: Any = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return self._data.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return int(self._data.ctypes.data)

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False

    def dim(self) -> int:
        """Number of axes."""
        return self.ndim

    ndimension = dim

    def stride(self) -> tuple[int, ...]:
        """Steps between neighbours along each axis, in elements."""
        return tuple(s // self.itemsize for s in self._data.strides)

    def is_floating_point(self) -> bool:
        """Whether the type is float32 or float64."""
        return self.dtype.kind == "f"

    def is_contiguous(self) -> bool:
        """Whether the elements stand in row-major order without gaps."""
        return bool(self._data.flags.c_contiguous)

    # -- reading values ------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The array itself, sharing memory.

        Raises:
            HaemaError: the tensor requires a gradient, which the array could not carry on; detach it first.
        """
        if self.requires_grad:
            raise HaemaError("numpy() on a tensor that requires a gradient would lose it; use .detach().numpy()")
        executor.active().reading(self._data)
        return self._data if isinstance(self._data, np.ndarray) else np.asarray(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The one element as a Python number.

        Raises:
            HaemaError: there is not exactly one.
        """
        if self._data.size != 1:
            raise HaemaError(f"item(): needs a tensor with one element, and shape {self.shape} has {self._data.size}")
        executor.active().reading(self._data)
        return self._data.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        executor.active().reading(self._data)
        return self._data.tolist()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise HaemaError(f"a tensor of shape {self.shape} is neither true nor false; ask .any() or .all()")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self._data.size != 1:
            raise TypeError(f"only an integer tensor with one element can be an index, not {self.dtype.name}")
        return int(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a tensor without axes cannot be gone through")
        return iter(shaping.unbind(self))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)

    def __repr__(self) -> str:
        from haema.printing import represent

        return represent(self)

    # -- copies and conversions ------------------------------------------------------------------

    def clone(self) -> Tensor:
        """A copy, through which gradients flow."""
        return ops.cast(self, dtype=self.dtype)

    def contiguous(self) -> Tensor:
        """The tensor itself if contiguous, else a copy that is."""
        return self if self.is_contiguous() else ops.cast(self, dtype=self.dtype)

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False
    ) -> Tensor:
        """This tensor as another dtype; a device may be named, and there is one: "cpu".

        Args:
            args: A dtype, a tensor whose dtype is taken, or "cpu".
            dtype, device: The same by name.
            non_blocking: Whether a copy to another device may come later; there is no other.
            copy: Copy even if nothing changes.

        Raises:
            HaemaError: another device is asked for.
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, str) and arg not in np.sctypeDict:
                device = arg
            else:
                dtype = arg
        if device is not None:
            devices.device(device)
        target = self.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self if target == self.dtype and not copy else ops.cast(self, dtype=target)

    def type(self, dtype: Any) -> Tensor:
        """This tensor as another dtype."""
        return self.to(dtype=dtype)

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of another."""
        return self.to(dtype=other.dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def byte(self) -> Tensor:
        """As uint8."""
        return self.to(dtypes.uint8)

    def bool(self) -> Tensor:
        """Whether each element is non-zero."""
        return self.to(dtypes.bool)

    def cpu(self) -> Tensor:
        """The tensor itself: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Tensor:
        """There is no GPU here.

        Raises:
            HaemaError: always.
        """
        raise HaemaError("cuda: haema computes on the CPU")

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        if not self.is_leaf:
            raise HaemaError("only leaf tensors can be deep-copied; detach() or clone() this one")
        x = object.__new__(type(self))
        x._set(self._data.copy())
        x._requires_grad = self._requires_grad
        x.grad = None if self.grad is None else self.grad.detach().clone()
        memo[id(self)] = x
        return x

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), np.asarray(self._data, order="C"), self._requires_grad)

    # -- writing in place ------------------------------------------------------------------

    def copy_(self, source: Any) -> Tensor:
        """Take over the values of ``source``, broadcast and converted."""
        value = source if isinstance(source, Tensor) else self._constant(source, self.dtype)
        value = value if value.dtype == self.dtype else ops.cast(value, dtype=self.dtype)
        value = value if value.shape == self.shape else ops.expand(value, shape=self.shape)
        return self._update(ops.assign, value, path=())

    def fill_(self, value: Any) -> Tensor:
        """Set every element to ``value``."""
        return self.copy_(value)

    def zero_(self) -> Tensor:
        """Set every element to 0."""
        return self.copy_(0)

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """Set the elements where ``mask`` to ``value``."""
        return self._become(elementwise.masked_fill(self, mask, value))

    def scatter_(self, dim: Any, index: Tensor, src: Any = None, *, value: Any = None) -> Tensor:
        """``scatter`` in place."""
        return self._become(indexing.scatter(self, dim, index, src, value=value))

    def scatter_add_(self, dim: Any, index: Tensor, src: Any) -> Tensor:
        """``scatter_add`` in place."""
        return self._become(indexing.scatter_add(self, dim, index, src))

    def index_add_(self, dim: Any, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
        """``index_add`` in place."""
        return self._become(indexing.index_add(self, dim, index, source, alpha=alpha))

    def uniform_(self, low: Any = 0.0, high: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with numbers from the uniform distribution on [low, high)."""
        from haema import random

        return self.copy_(random.uniform(self.shape, low, high, dtype=self.dtype, generator=generator))

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with numbers from the normal distribution."""
        from haema import random

        return self.copy_(random.normal_of(self.shape, mean, std, dtype=self.dtype, generator=generator))

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        """Fill with 1 with probability ``p``, else 0."""
        from haema import random

        return self.copy_(random.bernoulli_of(self.shape, p, dtype=self.dtype, generator=generator))

    def bernoulli(self, p: Any = None, *, generator: Any = None) -> Tensor:
        """1 with the probability that is here, or with ``p`` if it is given, else 0."""
        from haema import random

        return random.bernoulli(self, p, generator=generator)

    def multinomial(self, num_samples: Any, replacement: Any = False, *, generator: Any = None) -> Tensor:
        """Positions drawn with the weights that are here."""
        from haema import random

        return random.multinomial(self, num_samples, replacement, generator=generator)

    add_ = _in_place_sum(_in_place_map(ops.add, elementwise.add))
    sub_ = _in_place_sum(_in_place_map(ops.sub, elementwise.sub))
    mul_ = _in_place_map(ops.mul, elementwise.mul)
    div_ = _in_place_map(ops.div, elementwise.div)
    pow_ = _in_place(elementwise.pow)
    neg_ = _in_place_map(ops.neg, elementwise.neg)
    abs_ = _in_place_map(ops.abs, elementwise.abs)
    exp_ = _in_place_map(ops.exp, elementwise.exp)
    log_ = _in_place_map(ops.log, elementwise.log)
    sqrt_ = _in_place_map(ops.sqrt, elementwise.sqrt)
    rsqrt_ = _in_place(elementwise.rsqrt)
    square_ = _in_place(elementwise.square)
    reciprocal_ = _in_place(elementwise.reciprocal)
    tanh_ = _in_place_map(ops.tanh, elementwise.tanh)
    sigmoid_ = _in_place(elementwise.sigmoid)
    relu_ = _in_place(elementwise.relu)
    floor_ = _in_place_map(ops.floor, elementwise.floor)
    ceil_ = _in_place_map(ops.ceil, elementwise.ceil)
    round_ = _in_place(elementwise.round)
    trunc_ = _in_place_map(ops.trunc, elementwise.trunc)
    clamp_ = clip_ = _in_place(elementwise.clamp)
    clamp_min_, clamp_max_ = _in_place(elementwise.clamp_min), _in_place(elementwise.clamp_max)
    index_fill_, index_copy_ = _in_place(indexing.index_fill), _in_place(indexing.index_copy)
    lerp_ = _in_place(elementwise.lerp)
    addcmul_ = _in_place(elementwise.addcmul)
    addcdiv_ = _in_place(elementwise.addcdiv)
    remainder_ = _in_place(elementwise.remainder)
    nan_to_num_ = _in_place(elementwise.nan_to_num)
    tril_ = _in_place(shaping.tril)
    triu_ = _in_place(shaping.triu)
    unsqueeze_, squeeze_ = _reshaped_in_place(shaping.unsqueeze), _reshaped_in_place(shaping.squeeze)
    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_
    __ipow__, __imod__ = pow_, remainder_
    __ifloordiv__ = floor_divide_ = _in_place(elementwise.floor_divide)
    __iand__ = bitwise_and_ = _in_place(elementwise.bitwise_and)
    __ior__ = bitwise_or_ = _in_place(elementwise.bitwise_or)
    __ixor__ = bitwise_xor_ = _in_place(elementwise.bitwise_xor)

    # -- operators ------------------------------------------------------------------

    __neg__ = elementwise.neg
    __pos__ = elementwise.positive
    __abs__ = elementwise.abs
    __add__ = __radd__ = elementwise.add
    __sub__ = elementwise.sub
    __mul__ = __rmul__ = elementwise.mul
    __truediv__ = elementwise.div
    __floordiv__ = elementwise.floor_divide
    __mod__ = elementwise.remainder
    __pow__ = elementwise.pow
    __matmul__ = contractions.matmul
    __lt__ = elementwise.lt
    __le__ = elementwise.le
    __gt__ = elementwise.gt
    __ge__ = elementwise.ge
    __invert__ = elementwise.bitwise_not
    __and__ = __rand__ = elementwise.bitwise_and
    __or__ = __ror__ = elementwise.bitwise_or
    __xor__ = __rxor__ = elementwise.bitwise_xor
    __lshift__ = elementwise.bitwise_left_shift
    __rshift__ = elementwise.bitwise_right_shift
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    def __eq__(self, other: object) -> Any:
        return elementwise.eq(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return elementwise.ne(self, other) if _comparable(other) else NotImplemented

    def __rsub__(self, other: Any) -> Tensor:
        return elementwise.sub(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return elementwise.div(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return elementwise.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return elementwise.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return elementwise.pow(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return contractions.matmul(to_tensor(other), self)

    # -- functions as methods ------------------------------------------------------------------

    exp, expm1, exp2 = elementwise.exp, elementwise.expm1, elementwise.exp2
    log, log1p, log2, log10 = elementwise.log, elementwise.log1p, elementwise.log2, elementwise.log10
    sqrt, rsqrt, square = elementwise.sqrt, elementwise.rsqrt, elementwise.square
    reciprocal = elementwise.reciprocal
    sin, cos, tan = elementwise.sin, elementwise.cos, elementwise.tan
    asin, acos, atan, atan2 = elementwise.asin, elementwise.acos, elementwise.atan, elementwise.atan2
    sinh, cosh, tanh = elementwise.sinh, elementwise.cosh, elementwise.tanh
    asinh, acosh, atanh = elementwise.asinh, elementwise.acosh, elementwise.atanh
    sigmoid, erf, relu = elementwise.sigmoid, elementwise.erf, elementwise.relu
    floor, ceil, trunc, round = elementwise.floor, elementwise.ceil, elementwise.trunc, elementwise.round
    abs, absolute, neg, negative = elementwise.abs, elementwise.abs, elementwise.neg, elementwise.neg
    sign = elementwise.sign
    add, sub, mul, div, pow = (
        elementwise.add, elementwise.sub, elementwise.mul, elementwise.div, elementwise.pow,
    )  # fmt: skip
    subtract, multiply, divide, true_divide = sub, mul, div, div
    floor_divide, remainder, fmod = elementwise.floor_divide, elementwise.remainder, elementwise.fmod
    maximum, minimum, clamp, clip = (
        elementwise.maximum, elementwise.minimum, elementwise.clamp, elementwise.clamp,
    )  # fmt: skip
    clamp_min, clamp_max, frac, logit = (
        elementwise.clamp_min, elementwise.clamp_max, elementwise.frac, elementwise.logit,
    )  # fmt: skip
    logaddexp, heaviside, deg2rad, rad2deg = (
        elementwise.logaddexp, elementwise.heaviside, elementwise.deg2rad, elementwise.rad2deg,
    )  # fmt: skip
    lerp, addcmul, addcdiv = elementwise.lerp, elementwise.addcmul, elementwise.addcdiv
    eq, ne, lt, le, gt, ge = (
        elementwise.eq, elementwise.ne, elementwise.lt, elementwise.le, elementwise.gt, elementwise.ge,
    )  # fmt: skip
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
    isnan, isinf, isfinite = elementwise.isnan, elementwise.isinf, elementwise.isfinite
    isclose, allclose, equal = elementwise.isclose, elementwise.allclose, elementwise.equal
    logical_not, logical_and, logical_or, logical_xor = (
        elementwise.logical_not, elementwise.logical_and, elementwise.logical_or, elementwise.logical_xor,
    )  # fmt: skip
    bitwise_not, bitwise_and, bitwise_or, bitwise_xor = (
        elementwise.bitwise_not, elementwise.bitwise_and, elementwise.bitwise_or, elementwise.bitwise_xor,
    )  # fmt: skip
    bitwise_left_shift, bitwise_right_shift = elementwise.bitwise_left_shift, elementwise.bitwise_right_shift
    masked_fill, nan_to_num = elementwise.masked_fill, elementwise.nan_to_num

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor where ``condition``, else ``other``."""
        return elementwise.where(condition, self, other)

    sum, mean, prod, cumsum = reductions.sum, reductions.mean, reductions.prod, reductions.cumsum
    var, std, norm = reductions.var, reductions.std, reductions.norm
    max, min, amax, amin = reductions.max, reductions.min, reductions.amax, reductions.amin
    argmax, argmin = reductions.argmax, reductions.argmin
    nansum, nanmean, cumprod = reductions.nansum, reductions.nanmean, reductions.cumprod
    any, all, count_nonzero = reductions.any, reductions.all, reductions.count_nonzero
    logsumexp, softmax, log_softmax = reductions.logsumexp, reductions.softmax, reductions.log_softmax
    sort, argsort, topk, median = reductions.sort, reductions.argsort, reductions.topk, reductions.median

    reshape, view, permute, transpose, t = (
        shaping.reshape, shaping.view, shaping.permute, shaping.transpose, shaping.t,
    )  # fmt: skip
    swapaxes = swapdims = shaping.transpose
    expand, expand_as, broadcast_to = shaping.expand, shaping.expand_as, shaping.broadcast_to
    unsqueeze, squeeze, flatten, unflatten = (
        shaping.unsqueeze, shaping.squeeze, shaping.flatten, shaping.unflatten,
    )  # fmt: skip
    flip, roll, movedim, moveaxis = shaping.flip, shaping.roll, shaping.movedim, shaping.movedim
    narrow, select, unbind, split, chunk = (
        shaping.narrow, shaping.select, shaping.unbind, shaping.split, shaping.chunk,
    )  # fmt: skip
    repeat, tile, repeat_interleave = shaping.repeat, shaping.tile, shaping.repeat_interleave
    unfold, diagonal, tril, triu = shaping.unfold, shaping.diagonal, shaping.tril, shaping.triu

    def reshape_as(self, other: Tensor) -> Tensor:
        """The elements in the shape of ``other``."""
        return shaping.reshape(self, other.shape)

    view_as = reshape_as
    ravel, diag, fliplr, flipud, trace, diff = (
        shaping.ravel, shaping.diag, shaping.fliplr, shaping.flipud, shaping.trace, shaping.diff,
    )  # fmt: skip

    quantile, bincount, unique = statistics.quantile, statistics.bincount, statistics.unique
    gather, scatter, scatter_add = indexing.gather, indexing.scatter, indexing.scatter_add
    index_select, index_add = indexing.index_select, indexing.index_add
    index_fill, index_copy = indexing.index_fill, indexing.index_copy
    take_along_dim, masked_select, nonzero = (
        indexing.take_along_dim, indexing.masked_select, indexing.nonzero,
    )  # fmt: skip

    matmul, mm, bmm, mv, dot, outer, addmm = (
        contractions.matmul, contractions.mm, contractions.bmm, contractions.mv, contractions.dot,
        contractions.outer, contractions.addmm,
    )  # fmt: skip

    def new_zeros(self, *size: Any, dtype: Any = None) -> Tensor:
        """Zeros of the given shape, in this tensor's dtype unless another is named."""
        return Tensor._wrap(executor.fill(0, shaping.sizes_of(size), dtypes.as_dtype(dtype or self.dtype)))

    def new_ones(self, *size: Any, dtype: Any = None) -> Tensor:
        """Ones of the given shape, in this tensor's dtype unless another is named."""
        return Tensor._wrap(executor.fill(1, shaping.sizes_of(size), dtypes.as_dtype(dtype or self.dtype)))

    new_empty = new_zeros

    def new_full(self, size: Any, fill_value: Any, dtype: Any = None) -> Tensor:
        """One value in the given shape, in this tensor's dtype unless another is named."""
        return self._constant(fill_value, dtypes.as_dtype(dtype or self.dtype)).expand(size).clone()

    def new_tensor(self, data: Any, dtype: Any = None) -> Tensor:
        """``data`` as a tensor of this tensor's dtype unless another is named."""
        return Tensor._wrap(to_array(data, dtype or self.dtype))


Variable._plain = Tensor
_CPU = devices.device("cpu")


def _comparable(x: object) -> bool:
    """Whether a tensor can be compared with ``x`` element by element; it is not equal to anything else."""
    return isinstance(x, (Tensor, np.ndarray, np.generic, bool, int, float))


def to_tensor(data: Any) -> Tensor:
    """``data`` itself if a tensor, else a tensor of it."""
    return data if isinstance(data, Tensor) else Tensor._wrap(to_array(data))


def _rebuild(cls: type[Tensor], data: np.ndarray, requires_grad: bool) -> Tensor:
    """A tensor from its pickled parts."""
    x = object.__new__(cls)
    x._set(data.copy())
    x._requires_grad = requires_grad
    return x
