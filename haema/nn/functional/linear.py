"""Affine maps, products of vectors, and tables of vectors: all of them contractions or index operations."""

from __future__ import annotations

import math
import string

import numpy as np

from haema import dtypes, executor, ops
from haema.errors import DTypeError, HaemaError, InputError, ShapeError
from haema.functions import contractions, indexing, reductions
from haema.functions.promotion import convert
from haema.nn.functional import activation
from haema.nn.functional.dropout import dropout
from haema.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b.

    Args:
        input: x, (..., in).
        weight: W, (out, in), or (in,) for one output without an axis.
        bias: b, (out,), or None.

    Returns:
        (..., out).

    Raises:
        ShapeError: the last axis of ``input`` is not that of ``weight``.
    """
    if input.ndim == 0 or weight.ndim not in (1, 2) or input.shape[-1] != weight.shape[-1]:
        raise ShapeError(
            f"linear: the last axis of the input must have the {weight.shape[-1] if weight.ndim else 0} features of "
            f"the weight {tuple(weight.shape)}, but the input has shape {tuple(input.shape)}"
        )
    if input.dtype != weight.dtype:
        raise DTypeError(
            f"linear: the input is {input.dtype.name} and the weight {weight.dtype.name}; "
            f"convert the input with .to({weight.dtype.name!r})"
        )
    rows = string.ascii_lowercase[: input.ndim - 1]
    out = "O" if weight.ndim == 2 else ""
    y = ops.contract(input, weight, spec=f"{rows}K,{out}K->{rows}{out}")
    return y if bias is None else y + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_o = x1^T W_o x2 + b_o.

    Args:
        input1: x1, (..., in1).
        input2: x2, (..., in2), with the same axes in front.
        weight: W, (out, in1, in2).
        bias: b, (out,), or None.

    Returns:
        (..., out).

    Raises:
        ShapeError: the inputs do not fit the weight or each other.
    """
    lead = input1.shape[:-1]
    if input2.shape[:-1] != lead or (input1.shape[-1:], input2.shape[-1:]) != (weight.shape[1:2], weight.shape[2:]):
        raise ShapeError(
            f"bilinear: inputs of shapes {tuple(input1.shape)} and {tuple(input2.shape)} do not fit a weight of shape "
            f"{tuple(weight.shape)}: they need equal axes in front and {tuple(weight.shape[1:])} features"
        )
    n = math.prod(lead)
    x1 = ops.reshape(input1, shape=(n, input1.shape[-1]))
    x2 = ops.reshape(input2, shape=(n, input2.shape[-1]))
    half = ops.contract(x1, weight, spec="ni,oij->noj")
    y = ops.contract(half, x2, spec="noj,nj->no")
    y = ops.reshape(y, shape=(*lead, weight.shape[0]))
    return y if bias is None else y + bias


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None) -> Tensor:
    """Rows of a table: y[i] = W[x[i]].

    Args:
        input: x, row numbers, integers of any shape.
        weight: W, (rows, features).
        padding_idx: A row that gets no gradient, counted from the end if negative.
        max_norm: Must be None: rows are not renormalised.

    Returns:
        (*input.shape, features).

    Raises:
        DTypeError: the row numbers are not integers.
        InputError: a row number is out of range.
        HaemaError: ``max_norm`` is given.
    """
    if max_norm is not None:
        raise HaemaError("embedding: max_norm is not supported; normalise the weight with F.normalize instead")
    if input.dtype.kind not in "iu":
        raise DTypeError(f"embedding: row numbers are integers, not {input.dtype.name}; convert them with .long()")
    rows = weight.shape[0]
    if not isinstance(input._data, np.ndarray):
        fits = (input >= 0) & (input < rows)
        executor.active().require(fits._data, InputError(f"embedding: a row number is not in 0..{rows - 1}"))
    elif input._data.size:
        low, high = int(input._data.min()), int(input._data.max())
        if low < 0 or high >= rows:
            found = low if low < 0 else high
            raise InputError(f"embedding: row number {found} is not in 0..{rows - 1}, the rows of the table")
    index = convert(input, dtypes.int64)
    if padding_idx is None:
        return ops.take(weight, index, axes=(0,))
    skip = padding_idx % rows
    y = ops.take(weight, index, axes=(0,))
    padded = ops.reshape(ops.eq(index, index._constant(skip, dtypes.int64)), shape=(*input.shape, 1))
    return ops.where(padded, y.detach(), y)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    mode: str = "mean",
    per_sample_weights: Tensor | None = None,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums or means of rows of a table, one for each bag of row numbers: y[b] = sum of W[x[i]] over i in bag b.

    Args:
        input: x, row numbers: (bags, length), or one vector of all bags, one behind another.
        weight: W, (rows, features).
        offsets: Where in the vector each bag begins, the first at 0, in order; only for a vector.
        mode: "sum" or "mean"; a bag without elements gives 0.
        per_sample_weights: A factor for each element, of the shape of x; only for sums.
        padding_idx: A row that is left out.

    Returns:
        (bags, features).

    Raises:
        ValueError: another mode, or weights and not sums.
        ShapeError: the input is no vector or matrix, or the offsets or the weights do not fit it.
        DTypeError, InputError: the row numbers are not integers, or out of range.
    """
    if mode not in ("sum", "mean"):
        raise ValueError(f"embedding_bag: mode must be 'sum' or 'mean', not {mode!r}")
    if per_sample_weights is not None and mode != "sum":
        raise ValueError("embedding_bag: per_sample_weights are for mode 'sum'")
    if input.ndim not in (1, 2) or (input.ndim == 1) == (offsets is None):
        raise ShapeError(
            f"embedding_bag: needs a matrix of row numbers, or a vector and offsets, not shape {tuple(input.shape)}"
            f" with{'out' if offsets is None else ''} offsets"
        )
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise ShapeError(f"embedding_bag: weights of shape {per_sample_weights.shape} for a {input.shape} input")
    rows = embedding(input, weight, padding_idx)
    counted = ops.cast(convert(input, dtypes.int64) >= 0, dtype=weight.dtype)
    if padding_idx is not None:
        counted = ops.cast(convert(input, dtypes.int64) != padding_idx % weight.shape[0], dtype=weight.dtype)
    rows = rows * (counted if per_sample_weights is None else counted * per_sample_weights).unsqueeze(-1)
    if offsets is None:
        total, count = rows.sum(1), counted.sum(1)
    else:
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
            raise ShapeError(f"embedding_bag: offsets are a vector of integers, not {offsets.dtype} {offsets.shape}")
        place = input._constant(np.arange(input.numel()).reshape(-1, 1), dtypes.int64)
        bag = (place >= convert(offsets, dtypes.int64)).sum(1) - 1  # how many bags have begun
        n = offsets.numel()
        total = rows.new_zeros((n, weight.shape[1])).index_add(0, bag, rows)
        count = counted.new_zeros(n).index_add(0, bag, counted)
    return total if mode == "sum" else total / count.clamp(min=1).unsqueeze(-1)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Rows of zeros with a 1 at the class number.

    Args:
        tensor: Class numbers, integers of any shape.
        num_classes: How many classes; -1 takes the largest number present, plus 1, which reads the values.

    Returns:
        int64, (*tensor.shape, num_classes).

    Raises:
        DTypeError: the class numbers are not integers.
        InputError: one is negative, or not below ``num_classes``.
    """
    if tensor.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: class numbers are integers, not {tensor.dtype.name}; convert them with .long()")
    if num_classes == -1:
        if tensor.numel() == 0:
            raise InputError("one_hot: the number of classes cannot be seen from no elements; give num_classes")
        num_classes = int(tensor.max()) + 1
    if not isinstance(tensor._data, np.ndarray):
        fits = (tensor >= 0) & (tensor < num_classes)
        executor.active().require(fits._data, InputError(f"one_hot: a class number is not in 0..{num_classes - 1}"))
    elif tensor._data.size:
        low, high = int(tensor._data.min()), int(tensor._data.max())
        if low < 0 or high >= num_classes:
            found = low if low < 0 else high
            raise InputError(f"one_hot: class number {found} is not in 0..{num_classes - 1}")
    return indexing.one_hot(tensor, num_classes)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(||x||_p, eps) along ``dim``; 0 stays 0."""
    size = reductions.norm(input, p, dim, True)
    return input / size.clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(||x1||, eps) max(||x2||, eps)) along ``dim``."""
    a = x1 / reductions.norm(x1, 2, dim, True).clamp(min=eps)
    b = x2 / reductions.norm(x2, 2, dim, True).clamp(min=eps)
    return reductions.sum(a * b, dim)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """y = softmax(q k^T * scale + mask) v.

    Args:
        query: q, (..., T, E).
        key: k, (..., S, E).
        value: v, (..., S, V).
        attn_mask: Broadcasts to (..., T, S): booleans say where to look, numbers are added.
        dropout_p: Probability with which a weight is dropped; at inference pass 0.
        is_causal: Position t looks at positions up to t only.
        scale: 1 / sqrt(E) by default.

    Returns:
        (..., T, V).

    Raises:
        ValueError: both a mask and ``is_causal`` are given.

    Source: A. Vaswani et al., "Attention is all you need", NIPS 2017, equation 1.
    """
    if attn_mask is not None and is_causal:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = contractions.matmul(query * factor, key.transpose(-2, -1))  # (..., T, S)
    if is_causal:
        rows, cols = scores.shape[-2:]
        seen = np.arange(cols)[None, :] <= np.arange(rows)[:, None]
        attn_mask = scores._constant(seen, dtypes.bool)
    if attn_mask is not None:
        if attn_mask.dtype == dtypes.bool:
            scores = ops.where(attn_mask, scores, scores._constant(-math.inf, scores.dtype))
        else:
            scores = scores + attn_mask
    weights = activation.softmax(scores, -1)
    return contractions.matmul(dropout(weights, dropout_p) if dropout_p > 0 else weights, value)
