"""Products of matrices and tensors: all of them one primitive, the contraction of two operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from haema import ops
from haema.errors import DTypeError, ShapeError
from haema.functions import reductions
from haema.functions.promotion import is_tensor
from haema.ops.core import broadcast_shapes
from haema.ops.view import normal_axis

if TYPE_CHECKING:
    from haema.tensor import Tensor

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _need_axes(name: str, x: Tensor, ndim: int) -> None:
    if x.ndim != ndim:
        raise ShapeError(f"{name}: needs tensors with {ndim} axes, not shape {tuple(x.shape)}")


def _agree(name: str, x: Tensor, w: Tensor) -> None:
    if x.dtype != w.dtype:
        raise DTypeError(
            f"{name}: operands have dtypes {x.dtype.name} and {w.dtype.name}; convert one with .to(dtype) first"
        )


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product x @ other.

    (m, k) @ (k, n) = (m, n). A vector counts as a row on the left and a column on the right, and that axis goes
    again. Further axes in front are batches and are broadcast.

    Raises:
        ShapeError: a number, or inner sizes that differ.
        DTypeError: the dtypes differ.
    """
    if not is_tensor(other):
        raise DTypeError(f"matmul: needs two tensors, not {type(other).__name__}")
    if input.ndim == 0 or other.ndim == 0:
        raise ShapeError("matmul: needs tensors with axes; use * for a number")
    _agree("matmul", input, other)
    inner = other.shape[-2] if other.ndim > 1 else other.shape[0]
    if input.shape[-1] != inner:
        raise ShapeError(
            f"matmul: shapes {tuple(input.shape)} and {tuple(other.shape)} do not fit: "
            f"{input.shape[-1]} columns meet {inner} rows"
        )
    left, right = ("k" if input.ndim == 1 else "mk"), ("k" if other.ndim == 1 else "kn")
    out = left.replace("k", "") + right.replace("k", "")
    x_batch, w_batch = input.shape[: -len(left)], other.shape[: -len(right)]
    if not w_batch and len(left) == 2:  # one matrix for all: the batch is more rows
        rows = _LETTERS[: len(x_batch)].upper()
        return ops.contract(input, other, spec=f"{rows}{left},{right}->{rows}{out}")
    batch = broadcast_shapes("matmul", x_batch, w_batch)
    names = _LETTERS[26 : 26 + len(batch)]
    input = input if x_batch == batch else ops.expand(input, shape=batch + input.shape[-len(left) :])
    other = other if w_batch == batch else ops.expand(other, shape=batch + other.shape[-len(right) :])
    return ops.contract(input, other, spec=f"{names}{left},{names}{right}->{names}{out}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _need_axes("mm", input, 2)
    _need_axes("mm", mat2, 2)
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: (b, m, k) and (b, k, n)."""
    _need_axes("bmm", input, 3)
    _need_axes("bmm", mat2, 3)
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _need_axes("mv", input, 2)
    _need_axes("mv", vec, 1)
    return matmul(input, vec)


def dot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _need_axes("dot", input, 1)
    _need_axes("dot", other, 1)
    return matmul(input, other)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """y[i, j] = x[i] vec2[j]."""
    _need_axes("outer", input, 1)
    _need_axes("outer", vec2, 1)
    return ops.reshape(input, shape=(input.numel(), 1)) * vec2


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * x + alpha * mat1 @ mat2."""
    return beta * input + alpha * mm(mat1, mat2)


def einsum(equation: str, *operands: Any) -> Tensor:
    """A sum of products over named axes, e.g. ``einsum("bij,bjk->bik", x, y)``.

    Args:
        equation: Letters per operand, separated by commas; after ``->`` those of the result (by default the
            letters that occur once, in alphabetical order); ``...`` stands for further axes, broadcast.
        operands: Tensors, or one list of them.

    Raises:
        ValueError: the equation is malformed.
        ShapeError: it does not fit the operands.
    """
    tensors = list(operands[0]) if len(operands) == 1 and not is_tensor(operands[0]) else list(operands)
    inputs, arrow, out = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"einsum: {equation!r} has {len(terms)} operands and {len(tensors)} were given")
    terms, out, tensors = _without_dots(terms, out if arrow else None, tensors)
    for term, x in zip(terms, tensors, strict=True):
        if len(term) != x.ndim:
            raise ShapeError(f"einsum: {term!r} in {equation!r} does not fit shape {tuple(x.shape)}")
    if any(c not in _LETTERS for c in "".join(terms) + out) or any(out.count(c) > 1 for c in out):
        raise ValueError(f"einsum: {equation!r} may hold letters, and each once in the result")
    if any(c not in "".join(terms) for c in out):
        raise ValueError(f"einsum: the result of {equation!r} has a letter that no operand has")
    pairs = [_diagonals(term, x) for term, x in zip(terms, tensors, strict=True)]
    while len(pairs) > 1:
        (a, x), (b, w), *rest = pairs
        keep = set(out).union(*(t for t, _ in rest))
        pairs = [_pair(a, x, b, w, keep, "" if rest else out), *rest]
    term, x = _summed(*pairs[0], set(out))
    return x if term == out else ops.permute(x, axes=tuple(term.index(c) for c in out))


def _without_dots(terms: list[str], out: str | None, tensors: Sequence[Tensor]) -> tuple[list[str], str, list[Tensor]]:
    """``...`` replaced by letters not otherwise used."""
    free = [c for c in _LETTERS if c not in "".join(terms) + (out or "")]
    counts = [x.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, tensors, strict=True)]
    dots = "".join(free[: max([0, *counts])])
    full = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, counts, strict=True)]
    if out is None:
        joined = "".join(full)
        out = dots + "".join(sorted(c for c in set(joined) - set(dots) if joined.count(c) == 1))
    sizes: dict[str, int] = {}
    for t, x in zip(full, tensors, strict=True):
        for c, n in zip(t, x.shape, strict=False):
            sizes[c] = max(sizes.get(c, 1), n) if n != 0 else 0
    fitted = [
        ops.expand(x, shape=tuple(sizes[c] if n == 1 else n for c, n in zip(t, x.shape, strict=True)))
        if len(t) == x.ndim
        else x
        for t, x in zip(full, tensors, strict=True)
    ]
    return full, out.replace("...", dots), fitted


def _diagonals(term: str, x: Tensor) -> tuple[str, Tensor]:
    """Letters that stand twice in one operand replaced by their diagonal."""
    from haema.functions.shaping import diagonal

    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: letter {c} has sizes {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + c
    return term, x


def _summed(term: str, x: Tensor, keep: set[str]) -> tuple[str, Tensor]:
    """Axes that nothing else names summed away."""
    gone = tuple(i for i, c in enumerate(term) if c not in keep)
    if gone:
        x = reductions.sum(x, gone)
        term = "".join(c for c in term if c in keep)
    return term, x


def _pair(a: str, x: Tensor, b: str, w: Tensor, keep: set[str], order: str) -> tuple[str, Tensor]:
    """Two operands contracted into one, whose axes come in ``order`` if one is asked for."""
    a, x = _summed(a, x, keep | set(b))
    b, w = _summed(b, w, keep | set(a))
    _agree("einsum", x, w)
    out = order or "".join(c for c in dict.fromkeys(a + b) if c in keep)
    return out, ops.contract(x, w, spec=f"{a},{b}->{out}")


def tensordot(input: Tensor, other: Tensor, dims: Any = 2) -> Tensor:
    """Sum of products over paired axes: the last ``dims`` of x with the first of other, or two lists of axes."""
    if isinstance(dims, int):
        left, right = list(range(input.ndim - dims, input.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    a = list(_LETTERS[: input.ndim])
    b = list(_LETTERS[input.ndim : input.ndim + other.ndim])
    for i, j in zip(left, right, strict=True):
        b[normal_axis(j, other.ndim)] = a[normal_axis(i, input.ndim)]
    out = "".join(c for c in a if c not in b) + "".join(c for c in b if c not in a)
    return einsum(f"{''.join(a)},{''.join(b)}->{out}", input, other)
