"""The primitive operations, one family a file.

    map       elementwise, broadcasting          reduce    sums, extremes, running sums
    contract  einsum of two operands             view      affine re-indexing, no arithmetic
    index     gather and scatter                 random    bits from (seed, counter)
    order     sorting and counting: eager only

``TABLE`` holds them all by name. Everything else in haema is Python over these.
"""

from haema.ops.contract import contract
from haema.ops.core import TABLE, Op, Spec
from haema.ops.index import put, put_add, take
from haema.ops.map import (
    abs,
    acos,
    add,
    asin,
    atan,
    atan2,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    cast,
    ceil,
    cos,
    div,
    eq,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    ge,
    gt,
    le,
    log,
    log1p,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pair,
    pow,
    remainder,
    round,
    shift_left,
    shift_right,
    sigmoid,
    sign,
    sin,
    sqrt,
    sub,
    tan,
    tanh,
    trunc,
    where,
)
from haema.ops.order import argsort, nonzero
from haema.ops.random import random_bits
from haema.ops.reduce import argmax, argmin, cumsum, max, min, sum, sum_to
from haema.ops.view import (
    assign,
    concat,
    expand,
    flip,
    fold,
    pad,
    permute,
    reshape,
    slice,
    window,
)

__all__ = [
    "TABLE", "Op", "Spec", "abs", "acos", "add", "argmax", "argmin", "argsort", "asin", "assign", "atan", "atan2",
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "cast", "ceil", "concat", "contract", "cos", "cumsum",
    "div", "eq", "erf", "exp", "expand", "expm1", "flip", "floor", "floor_divide", "fold", "ge", "gt", "le", "log",
    "log1p", "lt", "max", "maximum", "min", "minimum", "mul", "ne", "neg", "nonzero", "pad", "permute", "pow", "put",
    "put_add", "random_bits", "remainder", "reshape", "round", "shift_left", "shift_right", "sigmoid", "sign", "sin",
    "slice", "sqrt", "sub", "sum", "sum_to", "take", "tan", "tanh", "trunc", "where", "window",
]  # fmt: skip
