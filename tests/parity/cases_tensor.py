"""Tensors: operators and methods on values, their derivatives, promotion, reductions, order, products."""

from __future__ import annotations

import math

from tests.parity.harness import case, dtype_name, refused

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")

UNARY = {  # name: range of the numbers
    "exp": (-3, 3), "expm1": (-3, 3), "exp2": (-3, 3), "log": (0.1, 4), "log1p": (-0.9, 3), "log2": (0.1, 4),
    "log10": (0.1, 4), "sqrt": (0.1, 4), "rsqrt": (0.1, 4), "square": (-3, 3), "reciprocal": (0.5, 3),
    "sin": (-5, 5), "cos": (-5, 5), "tan": (-1.4, 1.4), "asin": (-0.9, 0.9), "acos": (-0.9, 0.9),
    "atan": (-5, 5),
    "sinh": (-3, 3), "cosh": (-3, 3), "tanh": (-3, 3), "asinh": (-5, 5), "acosh": (1.1, 5),
    "atanh": (-0.9, 0.9),
    "sigmoid": (-6, 6), "erf": (-3, 3), "relu": (-2, 2), "floor": (-3, 3), "ceil": (-3, 3), "trunc": (-3, 3),
    "round": (-3, 3), "abs": (-3, 3), "neg": (-3, 3), "sign": (-3, 3), "nan_to_num": (-3, 3),
}  # fmt: skip
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, 200.0, -200.0, 1e20, math.inf, -math.inf, math.nan)
BINARY = (
    "add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "atan2", "maximum", "minimum",
    "eq", "ne", "lt", "le", "gt", "ge",
)  # fmt: skip
DIFFERENTIABLE = BINARY[:4] + BINARY[5:11]


def _leaf(T, array, dtype="float64"):
    return T.tensor(array.astype(dtype), requires_grad=True)


def _with_gradients(T, y, *leaves):
    """Gradients of an irregular weighting of y."""
    w = T.tensor([math.cos(1.7 * i) for i in range(y.numel())], dtype=y.dtype).reshape(y.shape)
    (y * w).sum().backward()
    return [x.grad for x in leaves]


@case
def unary(T, rng):
    results = {}
    for name, (low, high) in UNARY.items():
        for dtype in ("float32", "float64"):
            x = _leaf(T, rng.uniform(low, high, (3, 4)), dtype)
            y = getattr(x, name)()
            results[f"{name} {dtype}"] = y
            results[f"{name} {dtype} gradient"] = _with_gradients(T, y, x)
        results[f"{name} function"] = getattr(T, name)(x.detach())
    return results


@case
def unary_special_values(T, rng):
    x = T.tensor(SPECIAL)
    results = {n: getattr(x, n)() for n in UNARY if n not in ("sign", "rsqrt", "tan")}  # sign(nan) is nan in haema
    results["rsqrt"] = T.tensor([0.0, math.inf, -1.0, math.nan]).rsqrt()
    results["sign"] = x[:-1].sign()
    x = T.tensor(SPECIAL, dtype=T.float64)
    return results | {f"{n} double": getattr(x, n)() for n in UNARY if n not in ("sign", "rsqrt", "tan", "sin", "cos")}


@case
def unary_gradients_at_the_edges(T, rng):
    results = {}
    for name in (*UNARY, "asinh"):
        if name in ("asin", "acos", "acosh", "tan"):  # at their poles, or outside their domain
            continue
        x = T.tensor([0.0, 1.0, -1.0], requires_grad=True)
        getattr(x, name)().sum().backward()
        results[name] = x.grad
    for name, point in (("sinh", 300.0), ("asinh", 1e5), ("acosh", 1e5), ("acosh", 1.0), ("tanh", 60.0), ("erf", 9.0)):
        x = T.tensor(point, requires_grad=True)
        y = getattr(x, name)()
        y.backward()
        results[f"{name} {point}"] = [y, x.grad]
    return results


@case
def unary_integers(T, rng):
    results = {}
    for dtype in ("bool", "uint8", "int32", "int64"):
        x = T.tensor(rng.integers(0, 2 if dtype == "bool" else 5, (4,)).astype(dtype))
        for name in (
            "exp",
            "sqrt",
            "sigmoid",
            "log1p",
            "tanh",
            "erf",
            "reciprocal",
            "logical_not",
            "isnan",
            "isfinite",
        ):
            results[f"{name} {dtype}"] = getattr(x, name)()
        if dtype != "bool":
            for name in ("floor", "ceil", "trunc", "round", "abs", "neg", "sign", "square", "nan_to_num"):
                results[f"{name} {dtype}"] = getattr(x, name)()
        else:
            results["refused"] = [refused(lambda f=f, x=x: f(x)) for f in (lambda x: -x, lambda x: x - x)]
    return results


@case
def binary(T, rng):
    results = {}
    for name in BINARY:
        for shapes in (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 1, 2)), ((0, 3), (1, 3)), ((1,), ())):
            a, b = (_leaf(T, rng.uniform(0.5, 3, s)) for s in shapes)
            y = getattr(a, name)(b) if name != "atan2" else T.atan2(a, b)
            results[f"{name} {shapes}"] = y
            if name in DIFFERENTIABLE:
                results[f"{name} {shapes} gradients"] = _with_gradients(T, y, a, b)
    return results


@case
def binary_special_values(T, rng):
    a, b = T.tensor(SPECIAL).unsqueeze(1), T.tensor(SPECIAL).unsqueeze(0)
    few = T.tensor([0.0, 1.0, -1.5, 2.0, math.inf, -math.inf, math.nan])
    results = {n: getattr(T, n)(a, b) for n in BINARY if n not in ("floor_divide", "remainder", "fmod")}
    c, d = few.unsqueeze(1), few.unsqueeze(0)
    return results | {n: getattr(T, n)(c, d) for n in ("floor_divide", "remainder", "fmod")}


@case
def ties(T, rng):
    results = {}
    for name in ("maximum", "minimum"):
        a, b = T.tensor([1.0, 2.0, 3.0], requires_grad=True), T.tensor([1.0, 3.0, 2.0], requires_grad=True)
        results[name] = _with_gradients(T, getattr(T, name)(a, b), a, b)
    for name in ("amax", "amin", "max", "min"):
        x = T.tensor([[1.0, 2.0, 2.0], [1.0, 1.0, 0.0]], requires_grad=True)
        y = getattr(x, name)() if name in ("max", "min") else getattr(x, name)(1)
        results[name] = _with_gradients(T, y, x)
    x = T.tensor([-1.0, 0.0, 1.0, 2.0], requires_grad=True)
    results["clamp"] = _with_gradients(T, x.clamp(0, 1), x)
    x = T.tensor([-1.0, 0.0, 1.0, 2.0], requires_grad=True)
    low = T.tensor([0.0, 0.0, 2.0, 1.0], requires_grad=True)
    results["clamp tensors"] = _with_gradients(T, x.clamp(min=low, max=T.tensor(1.5)), x, low)
    return results


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b, "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b, "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b,
}  # fmt: skip


@case
def promotion(T, rng):
    """dtype and values of every operator on every pair of dtypes and ranks; one string of dtypes per operator."""
    operands = {}
    for d in DTYPES:
        operands[f"{d}[2]"] = T.tensor([1, 1] if d == "bool" else [3, 2], dtype=getattr(T, d))
        operands[f"{d}[]"] = T.tensor(1 if d == "bool" else 2, dtype=getattr(T, d))
    operands |= {"True": True, "2": 2, "1.5": 1.5}
    results = {}
    for sign, f in OPERATORS.items():
        kinds, values = [], []
        for m, a in operands.items():
            for n, b in operands.items():
                if not (hasattr(a, "dtype") or hasattr(b, "dtype")):
                    continue
                both = {m.split("[")[0], n.split("[")[0]}
                if sign in "&|^" and both & {"float32", "float64", "1.5"}:
                    continue
                if sign == "**" and both <= {"bool", "True"}:
                    continue
                if sign == "-" and both & {"bool", "True"}:  # PyTorch refuses them, haema only two booleans
                    continue
                if sign in ("//", "%") and both <= {"bool", "True"}:
                    continue
                y = f(a, b)
                kinds.append(f"{m}{n}:{dtype_name(y)}")
                values.append(y.float().reshape(-1))
        results[sign] = kinds
        results[f"{sign} values"] = T.cat(values)
    pairs = [(T.tensor([1], dtype=getattr(T, a)), T.tensor([1], dtype=getattr(T, b))) for a in DTYPES for b in DTYPES]
    results["result_type"] = [str(T.result_type(a, b)).removeprefix("torch.") for a, b in pairs]
    results["cat"] = [dtype_name(T.cat([a, b])) for a, b in pairs]
    results["where"] = [dtype_name(T.where(T.tensor([True]), a, b)) for a, b in pairs]
    return results


@case
def powers(T, rng):
    results = {}
    for dtype in ("bool", "uint8", "int64", "float32"):
        x = T.tensor([1, 1, 0] if dtype == "bool" else [1, 2, 3], dtype=getattr(T, dtype))
        for p in (0, 1, 2, 3, 4, 0.5, 1.0, 2.0, 3.0, -1.0, -2.0, 1.7):
            if dtype == "bool" and p in (-1.0, -2.0):
                continue
            results[f"{dtype} {p}"] = x**p
            results[f"{p} {dtype}"] = 2**x if dtype != "bool" else x
    for p in (0, 1, 2, 3, 4, 0.5, -1, -2, 1.7):
        x = _leaf(T, rng.uniform(0.2, 2, 4))
        results[f"gradient {p}"] = _with_gradients(T, x**p, x)
    a, b = (
        T.tensor([0.0, 0.0, 2.0, -2.0, 1.5], requires_grad=True),
        T.tensor([0.0, 2.0, 0.0, 2.0, -1.0], requires_grad=True),
    )
    y = a**b
    y[T.tensor([0, 1, 2, 4])].sum().backward()
    results["edges"] = [y, a.grad, b.grad]
    results["negative whole"] = refused(lambda: T.tensor([2]) ** -1)
    return results


@case
def reflected(T, rng):
    x = T.tensor(rng.uniform(1, 3, 3))
    i = T.tensor([1, 2, 5])
    b = T.tensor([True, False])
    return {
        "float": [2 - x, 2 / x, 7 // x, 7 % x, 2**x, 2 + x, 2 * x, -x, +x, abs(-x)],
        "int": [2 - i, 2 / i, 7 // i, 7 % i, 2**i, 7 & i, 8 | i, 3 ^ i, ~i, i << 2, i >> 1, i << T.tensor([1, 2, 3])],
        "bool": [True & b, True | b, True ^ b, ~b, b & T.tensor([True, True])],
        "rounding": [T.div(T.tensor([7, -7, 6]), T.tensor([2, 2, -4]), rounding_mode=m) for m in ("floor", "trunc")],
        "rounding float": [T.div(T.tensor([7.5, -7.5]), 2, rounding_mode=m) for m in ("floor", "trunc", None)],
        "none": [T.tensor([1.0]) == None, T.tensor([1.0]) != None],  # noqa: E711
    }


@case
def elementwise_functions(T, rng):
    x, y = _leaf(T, rng.normal(size=(3, 4))), _leaf(T, rng.uniform(0.5, 2, (4,)))
    z = _leaf(T, rng.normal(size=(3, 1)))
    results = {}
    for name, f in {
        "lerp": lambda: T.lerp(x, y + z * 0, 0.3) if False else x.lerp((y + z).detach(), 0.3),
        "addcmul": lambda: T.addcmul(x, y, z, value=0.5),
        "addcdiv": lambda: T.addcdiv(x, z, y, value=-2),
        "add alpha": lambda: T.add(x, y, alpha=3),
        "sub alpha": lambda: x.sub(z, alpha=0.5),
        "where": lambda: T.where(x > 0, x * y, z),
        "where numbers": lambda: T.where(x > 0, x, 1.5),
        "masked_fill": lambda: x.masked_fill(y > 1, -3.0),
        "method where": lambda: x.where(x > z, y),
        "clip": lambda: x.clip(-0.5, 0.5) + T.clamp(z, max=0.1) + T.clamp(y, min=1),
        "fmod": lambda: (x * 3).fmod(y) + T.fmod(x, 0.7),
        "round": lambda: x.round(decimals=1) + x,
    }.items():
        for leaf in (x, y, z):
            leaf.grad = None
        r = f()
        results[name] = [r, *_with_gradients(T, r, x, y, z)]
    a = T.tensor([1.0, math.nan, math.inf, -math.inf, 0.0])
    b = T.tensor([1.0 + 1e-7, math.nan, math.inf, math.inf, 1e-9])
    results["tests"] = [T.isnan(a), T.isinf(a), T.isfinite(a), T.isclose(a, b), T.isclose(a, b, equal_nan=True)]
    results["close"] = [T.allclose(a, a), T.allclose(a, a, equal_nan=True), T.equal(a[2:], a[2:]), T.equal(a, a[:3])]
    results["close, methods"] = [a.allclose(b), b[:1].allclose(a[:1], atol=1e-6), a[2:].equal(a[2:]), a.equal(b)]
    results["ordered"] = [f(a, b) for f in (T.greater, T.greater_equal, T.less, T.less_equal, T.not_equal)]
    results["ordered, methods"] = [a.greater(b), a.greater_equal(0), a.less(b), a.less_equal(b), a.not_equal(b)]
    results["as methods"] = [a.logaddexp(b), a.heaviside(b), b.deg2rad(), b.rad2deg()]
    results["replaced"] = [a.nan_to_num(), a.nan_to_num(7.0, 8.0, 9.0)]
    i, j = T.tensor([0, 1, 2]), T.tensor([0.0, 0.5, 0.0])
    results["logical"] = [f(i, j) for f in (T.logical_and, T.logical_or, T.logical_xor)] + [T.logical_not(j)]
    results["where alone"] = list(T.where(T.tensor([[True, False], [True, True]])))
    return results


@case
def reductions(T, rng):
    results = {}
    calls = [{}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, 2)}, {"dim": (1, -1), "keepdim": True}]
    for name in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp", "norm"):
        for kw in calls:
            if not kw and name == "logsumexp":
                continue
            x = _leaf(T, rng.normal(size=(2, 3, 4)))
            y = getattr(x, name)(**kw)
            results[f"{name} {kw}"] = [y, *_with_gradients(T, y, x)]
    for name in ("prod", "max", "min", "median", "softmax", "log_softmax", "cumsum", "argmax", "argmin"):
        for kw in calls[:3]:
            if not kw and name in ("softmax", "log_softmax", "cumsum"):
                continue
            if name in ("softmax", "log_softmax", "cumsum"):
                kw = {"dim": kw["dim"]}
            x = _leaf(T, rng.normal(size=(2, 3, 4)))
            y = getattr(x, name)(**kw)
            results[f"{name} {kw}"] = list(y) if isinstance(y, tuple) else y
            y = y.values if isinstance(y, tuple) else y
            if not name.startswith("arg"):
                results[f"{name} {kw} gradient"] = _with_gradients(T, y, x)
    x = T.tensor(rng.normal(size=(3, 4)))
    results["positional"] = [x.std(False), x.var(False), x.std(0, False), x.var(1, True, True), *T.var_mean(x, 0)]
    results["correction"] = [x.var(correction=0), x.var(dim=0, correction=2)]
    results["norms"] = [x.norm(p, dim=1) for p in (0, 1, 2, 3, 0.5, math.inf, -math.inf)] + [x.norm("fro")]
    results["counts"] = [(x > 0).any(), (x > 0).all(1), (x > 0).any(0, keepdim=True), T.count_nonzero(x > 0, 1)]
    results["dtypes"] = [x.sum(dtype=T.float32), (x > 0).float().mean(0), x.softmax(1, dtype=T.float32)]
    results["none"] = [T.prod(x[:0]), x[:0].sum(), x[:0].sum(0), x[:0].mean(), x[:0].all(), x[:0].any()]
    return results


@case
def reductions_of_integers(T, rng):
    results = {}
    for dtype in ("bool", "uint8", "int32", "int64"):
        x = T.tensor(rng.integers(0, 2 if dtype == "bool" else 100, (3, 4)).astype(dtype))
        results[dtype] = [x.sum(), x.sum(0), x.prod(), x.cumsum(1), T.count_nonzero(x), x.sort(1).values]
        if dtype != "uint8":  # of which PyTorch says any and all in uint8
            results[dtype] += [x.any(), x.all(0)]
        if dtype != "bool":
            results[dtype] += [x.max(), x.min(1).values, x.amax(0), x.argmax(), x.median(), x.sum(dtype=T.float32)]
    return results


@case
def reductions_with_nan_and_inf(T, rng):
    x = T.tensor([[1.0, math.nan, 3.0], [math.inf, 2.0, -math.inf], [-math.inf] * 3, [1.0, math.inf, math.inf]])
    y = T.tensor([[-math.inf, -math.inf], [0.0, -math.inf]])
    z = y.logsumexp(1)
    return {
        "sum": [x.sum(0), x.sum(1)], "max": [*x.max(1), *x.max(0)], "min": [*x.min(1), *x.min(0)],
        "argmax": x.argmax(1),
        "amax": x.amax(1), "logsumexp": x.logsumexp(1), "softmax": x.softmax(1),
        "log_softmax": x.log_softmax(1),
        "median": x.median(1).values, "sort": [*x.sort(1), *x.sort(1, descending=True)], "cumsum": x.cumsum(1),
        "topk": x[1:].topk(2).values, "norm": x.norm(dim=1), "empty row": z, "median of all": x.median(),
    }  # fmt: skip


@case
def order(T, rng):
    x = _leaf(T, rng.permutation(24).reshape(2, 3, 4).astype(float))
    results = {}
    for dim in (0, 1, -1):
        for descending in (False, True):
            s = x.sort(dim, descending)
            results[f"sort {dim} {descending}"] = [*s, x.argsort(dim, descending)]
            x.grad = None
            results[f"sort {dim} {descending} gradient"] = _with_gradients(T, s.values, x)
        for k in (0, 1, 2):
            results[f"topk {dim} {k}"] = [*x.topk(k, dim), *x.topk(k, dim, largest=False)]
    x.grad = None
    results["topk gradient"] = _with_gradients(T, x.topk(2, 1).values, x)
    t = T.tensor([2, 1, 2, 1, 3])
    results["stable"] = [*t.sort(stable=True), *T.sort(t, stable=True, descending=True)]
    results["single"] = [*T.tensor(3.0).sort(), T.tensor(math.nan).argsort()]
    results["bool"] = T.tensor([True, False, True]).sort().values
    return results


@case
def products(T, rng):
    results = {}
    shapes = [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((2, 1, 2, 3), (5, 3, 4)),
        ((4, 1, 2, 3), (1, 5, 3, 2)),
        ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((5, 0, 3), (3, 1)), ((1, 1), (1, 1)),
    ]  # fmt: skip
    for shape, other in shapes:
        a, b = _leaf(T, rng.normal(size=shape)), _leaf(T, rng.normal(size=other))
        y = a @ b
        results[f"{shape} @ {other}"] = [y, *_with_gradients(T, y, a, b)]
    a, b, v, w = (T.tensor(rng.normal(size=s)) for s in ((2, 3), (3, 4), (3,), (3,)))
    c, d = T.tensor(rng.normal(size=(5, 2, 3))), T.tensor(rng.normal(size=(5, 3, 4)))
    results["named"] = [T.mm(a, b), T.mv(a, v), T.dot(v, w), T.outer(v, w), T.bmm(c, d), T.matmul(c, d)]
    results["addmm"] = T.addmm(T.tensor(rng.normal(size=4)), a, b, beta=0.5, alpha=2)
    results["integers"] = T.tensor([[1, 2]]) @ T.tensor([[3], [4]])
    results["not contiguous"] = [b.T @ a.T, c.transpose(1, 2) @ c, c.permute(2, 1, 0) @ c.permute(2, 0, 1)[:, :, ::2]]
    results["tensordot"] = [T.tensordot(c, d, ([0, 2], [0, 1])), T.tensordot(a, b, 1), T.tensordot(v, w, 0)]
    results["refused"] = [
        refused(f)
        for f in (
            lambda: a @ a, lambda: T.mm(v, w), lambda: T.bmm(a, b), lambda: T.tensor(1.0) @ v,
            lambda: T.mv(v, a),
            lambda: T.dot(a, b), lambda: a @ b.float(), lambda: c @ T.ones(4, 3, 2, dtype=T.float64),
        )
    ]  # fmt: skip
    return results


EINSUM = {
    "ij,jk->ik": ((2, 3), (3, 4)), "ij,jk->ki": ((2, 3), (3, 4)), "ij,jk": ((2, 3), (3, 4)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 2)),
    "ii->i": ((3, 3),), "ii": ((3, 3),), "ij->ji": ((2, 3),), "ij->": ((2, 3),), "i,j->ij": ((2,), (3,)),
    "i,i->": ((3,), (3,)), "...ij,...jk->...ik": ((2, 1, 2, 3), (4, 3, 2)), "b...->...b": ((2, 3, 4),),
    "...i": ((2, 3),),
    "ij,kl->ijkl": ((2, 2), (3, 1)), "ij,ij->ij": ((2, 3), (2, 3)), "ij,ij->j": ((2, 3), (2, 3)),
    "i,i,i->i": ((3,), (3,), (3,)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)), "iij,jk->ik": ((2, 2, 3), (3, 2)), "ij,k->": ((2, 3), (4,)),
    "Ab,bA->A": ((2, 3), (3, 2)),
    "ij,jk->ik ": ((2, 1), (3, 4)), "bhqd,bhkd->bhqk": ((2, 2, 3, 2), (2, 2, 4, 2)),
    "ij,jk -> ik": ((0, 3), (3, 2)),
}  # fmt: skip


@case
def einsum(T, rng):
    results = {}
    for equation, shapes in EINSUM.items():
        xs = [_leaf(T, rng.normal(size=s)) for s in shapes]
        y = T.einsum(equation, *xs)
        results[equation] = [y, *_with_gradients(T, y, *xs)]
    results["list"] = T.einsum("i,i", [xs[0][:, 0], xs[0][:, 0]])
    return results
