"""haema: deep learning that can be looked into, and fast.

import haema as hm
from haema import nn, optim
import haema.nn.functional as F
"""

from typing import Any as _Any

from haema import autograd, dtypes
from haema.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from haema.creation import (
    BoolTensor,
    ByteTensor,
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    arange,
    as_tensor,
    e,
    empty,
    empty_like,
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
from haema.devices import accelerator, backends, cuda, device
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
from haema.functions.contractions import addmm, dot, einsum, outer, tensordot
from haema.functions.elementwise import (
    acos,
    acosh,
    addcdiv,
    addcmul,
    allclose,
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
    clamp_max,
    clamp_min,
    cosh,
    deg2rad,
    eq,
    equal,
    erf,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    frac,
    ge,
    gt,
    heaviside,
    isclose,
    isfinite,
    isinf,
    isnan,
    le,
    lerp,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logit,
    lt,
    masked_fill,
    nan_to_num,
    ne,
    rad2deg,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sign,
    sinh,
    tan,
    trunc,
    where,
)
from haema.functions.indexing import (
    gather,
    index_add,
    index_copy,
    index_fill,
    index_select,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    take_along_dim,
)
from haema.functions.into import (
    abs,
    add,
    bmm,
    cat,
    clamp,
    cos,
    div,
    exp,
    log,
    matmul,
    maximum,
    minimum,
    mm,
    mul,
    mv,
    neg,
    pow,
    sigmoid,
    sin,
    sqrt,
    square,
    stack,
    sub,
    tanh,
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
    cumprod,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    median,
    min,
    nanmean,
    nansum,
    norm,
    prod,
    softmax,
    sort,
    std,
    std_mean,
    sum,
    topk,
    var,
    var_mean,
)
from haema.functions.shaping import (
    broadcast_to,
    chunk,
    diag,
    diagonal,
    diff,
    flatten,
    flip,
    fliplr,
    flipud,
    hstack,
    movedim,
    narrow,
    permute,
    ravel,
    repeat_interleave,
    reshape,
    roll,
    select,
    split,
    squeeze,
    t,
    tile,
    trace,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
    vstack,
)
from haema.functions.statistics import bincount, quantile, unique
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
from haema.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

clone, numel = Tensor.clone, Tensor.numel

float = float32
double = float64
long = int64
int = int32
clip = clamp
concat = concatenate = cat
swapaxes = swapdims = transpose
moveaxis = movedim
subtract, multiply, divide, true_divide, absolute, negative = sub, mul, div, div, abs, neg
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

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
    "compile": "haema.compiler",
    "nn": "haema.nn",
    "optim": "haema.optim",
    "data": "haema.data",
    "train": "haema.train",
    "io": "haema.io",
    "compiler": "haema.compiler",
    "utils": "haema.utils",
    "distributions": "haema.distributions",
    "inspect": "haema.inspect",
    "models": "haema.models",
}
"""Public names whose rooms are entered when they are first used, so that ``import haema`` stays quick."""


def __getattr__(name: str) -> _Any:
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module 'haema' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    value = module if _LAZY[name] == f"haema.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
