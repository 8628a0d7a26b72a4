"""haema: deep learning that can be looked into, and fast.

import haema as hm
from haema import nn, optim
import haema.nn.functional as F
"""

from typing import Any

from haema import autograd, dtypes
from haema.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from haema.creation import (
    allclose,
    arange,
    as_tensor,
    diag,
    e,
    empty,
    empty_like,
    equal,
    eye,
    from_numpy,
    full,
    full_like,
    inf,
    is_tensor,
    linspace,
    logspace,
    meshgrid,
    nan,
    ones,
    ones_like,
    pi,
    tensor,
    zeros,
    zeros_like,
)
from haema.dtypes import (
    bool,
    float32,
    float64,
    get_default_dtype,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from haema.errors import DTypeError, HaemaError, InputError, ShapeError
from haema.functions.contractions import addmm, bmm, dot, einsum, matmul, mm, mv, outer, tensordot
from haema.functions.elementwise import (
    abs,
    acos,
    acosh,
    add,
    addcdiv,
    addcmul,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clamp,
    cos,
    cosh,
    div,
    eq,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    ge,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    le,
    lerp,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    masked_fill,
    maximum,
    minimum,
    mul,
    nan_to_num,
    ne,
    neg,
    pow,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    sub,
    tan,
    tanh,
    trunc,
    where,
)
from haema.functions.indexing import (
    gather,
    index_add,
    index_select,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    take_along_dim,
)
from haema.functions.promotion import result_type
from haema.functions.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    argsort,
    count_nonzero,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    median,
    min,
    norm,
    prod,
    softmax,
    sort,
    std,
    sum,
    topk,
    var,
    var_mean,
)
from haema.functions.shaping import (
    broadcast_to,
    cat,
    chunk,
    diagonal,
    flatten,
    flip,
    movedim,
    narrow,
    permute,
    repeat_interleave,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    t,
    tile,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
)
from haema.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from haema.tensor import Tensor

__version__ = "0.1.0"

float = float32
double = float64
long = int64
int = int32
clip = clamp
concat = concatenate = cat
swapaxes = transpose
subtract, multiply, divide, true_divide, absolute, negative = sub, mul, div, div, abs, neg

_LAZY = {
    "Trainer": "haema.train",
    "History": "haema.train",
    "Callback": "haema.train",
    "EarlyStopping": "haema.train",
    "Checkpoint": "haema.train",
    "CSVLog": "haema.train",
    "LearningRateSchedule": "haema.train",
    "StopOnNonFinite": "haema.train",
    "TimeLimit": "haema.train",
    "ProgressBar": "haema.train",
    "LambdaCallback": "haema.train",
    "GradientNorms": "haema.train",
    "save": "haema.io",
    "load": "haema.io",
    "register": "haema.nn",
    "summary": "haema.nn",
    "nn": "haema.nn",
    "optim": "haema.optim",
    "data": "haema.data",
    "train": "haema.train",
    "io": "haema.io",
}
"""Public names whose rooms are entered when they are first used, so that ``import haema`` stays quick."""


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module 'haema' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    value = module if _LAZY[name] == f"haema.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
