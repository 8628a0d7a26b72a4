"""Tensors: shapes, indexing, writing in place, what a tape makes of views, and creation."""

from __future__ import annotations

import itertools
import math

import numpy as np

from tests.parity.harness import case, dtype_name, refused


def _leaf(T, array):
    return T.tensor(np.asarray(array, "float64"), requires_grad=True)


def _gradient(T, y, *leaves):
    w = T.tensor([math.cos(1.7 * i) for i in range(y.numel())], dtype=y.dtype).reshape(y.shape)
    (y * w).sum().backward()
    return [x.grad for x in leaves]


def _checked(T, f, x):
    """A view or copy of ``x``, and its gradient."""
    x = x.detach().clone().requires_grad_()
    y = f(x)
    return [y, *_gradient(T, y, x)]


@case
def shapes(T, rng):
    x = _leaf(T, rng.normal(size=(2, 3, 4)))
    calls = {
        "reshape": lambda x: x.reshape(4, -1), "reshape tuple": lambda x: x.reshape((6, 4)), "view": lambda x: x.view(-1),
        "permute": lambda x: x.permute(2, 0, 1), "permute tuple": lambda x: x.permute((-1, 0, 1)),
        "transpose": lambda x: x.transpose(0, -1), "T": lambda x: x[0].T, "mT": lambda x: x.mT, "t": lambda x: x[0].t(),
        "swapaxes": lambda x: x.swapaxes(0, 1), "movedim": lambda x: x.movedim(0, 2),
        "movedim several": lambda x: x.movedim((0, 1), (2, 0)), "unsqueeze": lambda x: x.unsqueeze(-1).unsqueeze(0),
        "squeeze": lambda x: x[:1].squeeze(), "squeeze dim": lambda x: x[:1, :, :1].squeeze(0).squeeze(0),
        "squeeze several": lambda x: x[:1, :, :1].squeeze((0, 2)), "flatten": lambda x: x.flatten(1),
        "flatten all": lambda x: x.flatten(), "flatten front": lambda x: x.flatten(0, 1), "flatten number": lambda x: x[0, 0, 0].flatten(),
        "unflatten": lambda x: x.unflatten(2, (2, -1)), "expand": lambda x: x[:, :1].expand(-1, 5, 4),
        "expand in front": lambda x: x[0].expand(2, 3, 4), "expand_as": lambda x: x[:1].expand_as(x),
        "broadcast_to": lambda x: T.broadcast_to(x[0, 0], (3, 4)), "flip": lambda x: x.flip(0, 2), "flip list": lambda x: x.flip([1]),
        "roll": lambda x: x.roll(1), "roll dims": lambda x: x.roll((1, -2), (0, 2)), "roll far": lambda x: x.roll(7, 1),
        "narrow": lambda x: x.narrow(1, 1, 2), "select": lambda x: x.select(1, -1), "unfold": lambda x: x.unfold(2, 2, 1),
        "unfold step": lambda x: x.unfold(1, 2, 2), "diagonal": lambda x: x.diagonal(), "diagonal offset": lambda x: x.diagonal(1, 1, 2),
        "diagonal below": lambda x: x.diagonal(-1, 2, 1), "diagonal outside": lambda x: x.diagonal(9, 1, 2),
        "tril": lambda x: x.tril(), "tril -1": lambda x: x.tril(-1), "triu": lambda x: x.triu(1), "repeat": lambda x: x.repeat(2, 1, 2),
        "repeat in front": lambda x: x[0].repeat(2, 1, 1), "tile": lambda x: x.tile(2), "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
        "repeat_interleave flat": lambda x: x.repeat_interleave(3), "contiguous": lambda x: x.permute(2, 0, 1).contiguous(),
        "view after contiguous": lambda x: x.permute(2, 0, 1).contiguous().view(8, 3), "clone": lambda x: x.mT.clone(),
        "split": lambda x: T.cat([p * i for i, p in enumerate(x.split(3, 2))], 2),
        "split sizes": lambda x: T.cat([p * i for i, p in enumerate(x.split([1, 0, 3], 2))], 2),
        "chunk": lambda x: T.cat([p * i for i, p in enumerate(x.chunk(3, 2))], -1),
        "unbind": lambda x: T.stack([p * i for i, p in enumerate(x.unbind(1))], 2), "stack": lambda x: T.stack([x, x * 2], -1),
        "cat": lambda x: T.cat([x, x[:, :1], x[:, :0]], 1), "iterate": lambda x: sum(r * i for i, r in enumerate(x)),
        "reshape_as": lambda x: x.reshape_as(x.mT), "diag": lambda x: T.diag(x[0, 0], 1), "diag of matrix": lambda x: T.diag(x[0]),
        "gather": lambda x: x.gather(1, T.tensor([[[0, 2, 1, 1]], [[2, 2, 0, 1]]])), "take_along_dim": lambda x: x.take_along_dim(T.tensor([[[1], [0]]]), 1),
        "index_select": lambda x: x.index_select(1, T.tensor([2, 2, 0])), "masked_select": lambda x: x.masked_select(x > 0),
        "scatter": lambda x: (x * 1).scatter(2, T.tensor([[[3], [1], [0]]]), x[:1, :, :1] * 2),
        "scatter number": lambda x: x.scatter(2, T.tensor([[[3, 0]]]), 7.0),
        "scatter_add": lambda x: x.scatter_add(1, T.tensor([[[0, 1, 1, 2], [0, 1, 1, 2]]] * 2), x[:, 1:] * 2),
        "index_add": lambda x: x.index_add(1, T.tensor([2, 0, 2]), x * 2, alpha=0.5),
    }  # fmt: skip
    results = {name: _checked(T, f, x) for name, f in calls.items()}
    results["sizes"] = [x.size(), x.size(1), x.size(-1), x.numel(), x.ndim, x.dim(), len(x), x.stride(), x[0].T.stride()]
    results["contiguity"] = [x.is_contiguous(), x.mT.is_contiguous(), x[:, 1:].is_contiguous(), x.mT.contiguous().is_contiguous()]
    results["bool"] = [T.tensor([True, False]).repeat(2), T.tensor([True, False]).repeat_interleave(2), T.eye(2).bool().T]
    results["meshgrid"] = list(T.meshgrid(T.arange(2), T.arange(3), indexing="ij")) + list(T.meshgrid(T.arange(2), T.arange(3), indexing="xy"))
    results["refused"] = [
        refused(lambda f=f: f(x.detach()))
        for f in (
            lambda x: x.reshape(5, 5), lambda x: x.reshape(-1, -1), lambda x: x.mT.view(-1), lambda x: x.permute(0, 1),
            lambda x: x.permute(0, 0, 1), lambda x: x.expand(2, 3, 5), lambda x: x.expand(3, 4), lambda x: x.t(),
            lambda x: T.cat([x, x[0]]), lambda x: T.stack([x, x[:1]]), lambda x: x.split([1, 1], 2), lambda x: x.unsqueeze(5),
            lambda x: x.narrow(1, 2, 2), lambda x: x.select(0, 2), lambda x: x.flatten(2, 1), lambda x: x.unflatten(2, (3, 2)),
            lambda x: x.repeat(2), lambda x: x.unfold(0, 3, 1), lambda x: x.gather(0, T.tensor([0])), lambda x: x[:, :0].reshape(0, -1),
            lambda x: T.cat([]), lambda x: T.stack([]), lambda x: x.gather(2, T.tensor([[[9]]])), lambda x: x.flip(0, 0),
            lambda x: x.sum((0, 0)), lambda x: x.sum(3), lambda x: x.amax(1) if x[:, :0].amax(1) is None else None,
        )
    ]  # fmt: skip
    return results


def _indices(T):
    """Indices for shape (3, 4, 2, 5)."""
    rows, pair = T.tensor([0, 2, 1]), T.tensor([[0, 1, 1]])
    mask = T.tensor([[True, False, True, True], [False] * 4, [True, False, False, False]])
    return {
        "0": 0, "-1": -1, "slice": slice(1, 3), "step": slice(0, 4, 2), "empty": slice(2, 1), "far": slice(-9, 9), "...": ...,
        "None": None, "ints": (1, 2, 0, 3), "int slice": (0, slice(None), 1), "... int": (..., 2), "int ... int": (1, ..., 0),
        "None mix": (None, 0, ..., None, slice(1, 3)), "rows": rows, "list": [0, 2], "nested": np.array([[0, 1], [2, 2]]), "empty list": [],
        "negative": T.tensor([-1, -3]), "int32": T.tensor([2, 0], dtype=T.int32), "array": np.array([1, 1]), "range": range(2),
        "rows after": (slice(None), rows), "rows last": (..., rows), "two": (rows, rows), "two broadcast": (rows, pair),
        "apart": (rows, slice(None), pair[:, :1]), "apart in front": (slice(None), pair, slice(None), rows), "middle": (slice(1), rows, pair),
        "int array": (0, rows), "array int": (rows, 1), "array slice int": (rows, slice(None), 1), "int slice array": (0, slice(None), T.tensor([0, 1])),
        "array None array": (rows, None, rows), "None array": (None, rows), "array None": (rows, None), "slice array None": (slice(None), rows, None),
        "mask": mask, "mask first": T.tensor([True, False, True]), "mask second": (slice(None), mask[0]), "mask rest": (mask, 1),
        "mask and array": (mask[:, 0], slice(None), T.tensor([0, 1])), "two masks": (mask[:, 0], T.tensor([True, False, False, True])),
        "mask list": [True, False, True], "all masked": mask & False, "True": True, "False": False, "tensor True": T.tensor(True),
        "number tensor": T.tensor(1), "number tensors": (T.tensor(1), slice(None), T.tensor(0)), "number array": (T.tensor(1), rows),
        "empty array": T.tensor([], dtype=T.int64), "empty apart": (T.tensor([], dtype=T.int64), slice(None), T.tensor([], dtype=T.int64)),
        "array ... array": (rows, ..., rows), "None ... array": (None, ..., rows), "mask ...": (mask, ..., 0), "numpy int": np.int64(2),
    }  # fmt: skip


@case
def getting(T, rng):
    base = rng.normal(size=(3, 4, 2, 5))
    results = {}
    for name, index in _indices(T).items():
        if name == "two masks":
            index = (index[0] & T.tensor([True, True, True]), index[1])
        x = _leaf(T, base)
        y = x[index]
        results[name] = [y.shape, y.sum(), *_gradient(T, y, x)] if y.numel() > 60 else [y, *_gradient(T, y, x)]
    x = T.tensor(base)
    wrong = (3, -4, (0, 0, 0, 0, 0), T.tensor([3]), T.tensor([True, False]), 1.5, T.tensor([0.5]), (T.tensor([0, 1]), T.tensor([0, 1, 2])))
    results["refused"] = [refused(lambda i=i: x[i]) for i in wrong] + [refused(lambda: T.tensor(1.0)[0])]
    return results


@case
def setting(T, rng):
    base = rng.normal(size=(3, 4, 2, 5))
    results = {}
    for name, index in _indices(T).items():
        x = _leaf(T, base)
        shape = tuple(x.detach()[index].shape)
        repeated = name in ("nested", "array")  # PyTorch leaves open which of several writes to one place stays
        v = _leaf(T, np.ones(shape) if repeated else rng.normal(size=shape))
        y = x * 1
        y[index] = v
        results[name] = [y.sum(dim=(0, 3)), *([] if repeated or 0 in shape else _gradient(T, y, x, v))]
        z = T.tensor(base)
        z[index] = 3
        z[index] += 1
        results[f"{name} number"] = z.sum(dim=(1, 2))
    x = _leaf(T, base)
    v, w = _leaf(T, rng.normal(size=(1, 1, 5))), _leaf(T, rng.normal(size=()))
    y = x * 2
    y[1:, :, 0] = v
    y[:, T.tensor([0, 2]), 1] = w
    y[y > 1] = w
    y[..., 0] *= 3
    results["broadcast"] = [y, *_gradient(T, y, x, v, w)]
    z = T.arange(4)
    z[1:] = z[:-1].clone()
    z[0] = 2.7
    z[T.tensor([True, False, False, False])] = T.tensor(9.9)
    results["converted"] = z
    z = T.zeros(2, 3)
    results["refused"] = [
        refused(lambda i=i, v=v: z.__setitem__(i, v))
        for i, v in ((0, T.zeros(2)), (slice(None), T.zeros(3, 3)), ((0, 0), T.zeros(2)), (5, 1), (T.tensor([0, 1]), T.zeros(3, 3)))
    ]
    return results


@case
def in_place(T, rng):
    results = {}
    calls = {
        "add_": lambda x, y: x.add_(y), "add_ alpha": lambda x, y: x.add_(y, alpha=2), "sub_": lambda x, y: x.sub_(y),
        "mul_": lambda x, y: x.mul_(y), "div_": lambda x, y: x.div_(y), "pow_": lambda x, y: x.pow_(y), "pow_ 3": lambda x, y: x.pow_(3),
        "neg_": lambda x, y: x.neg_(), "abs_": lambda x, y: x.abs_(), "exp_": lambda x, y: x.exp_(), "log_": lambda x, y: x.log_(),
        "sqrt_": lambda x, y: x.sqrt_(), "rsqrt_": lambda x, y: x.rsqrt_(), "square_": lambda x, y: x.square_(),
        "reciprocal_": lambda x, y: x.reciprocal_(), "tanh_": lambda x, y: x.tanh_(), "sigmoid_": lambda x, y: x.sigmoid_(),
        "relu_": lambda x, y: x.relu_(), "floor_": lambda x, y: x.floor_(), "ceil_": lambda x, y: x.ceil_(), "round_": lambda x, y: x.round_(),
        "trunc_": lambda x, y: x.trunc_(), "clamp_": lambda x, y: x.clamp_(0.7, 1.5), "clamp_ tensor": lambda x, y: x.clamp_(max=y),
        "lerp_": lambda x, y: x.lerp_(end=y.expand(3, 4), weight=0.3), "addcmul_": lambda x, y: x.addcmul_(y, y, value=2),
        "addcdiv_": lambda x, y: x.addcdiv_(y, y + 1), "remainder_": lambda x, y: x.remainder_(0.4), "nan_to_num_": lambda x, y: x.nan_to_num_(),
        "tril_": lambda x, y: x.tril_(), "triu_": lambda x, y: x.triu_(), "copy_": lambda x, y: x.copy_(y), "fill_": lambda x, y: x.fill_(2),
        "fill_ tensor": lambda x, y: x.fill_(y[0]), "zero_": lambda x, y: x.zero_(), "masked_fill_": lambda x, y: x.masked_fill_(y > 1, 2.0),
        "scatter_": lambda x, y: x.scatter_(1, T.tensor([[2], [0], [1]]), y.expand(3, 4)[:, :1]),
        "scatter_add_": lambda x, y: x.scatter_add_(0, T.tensor([[2, 2, 0, 1]]), y.expand(1, 4)),
        "index_add_": lambda x, y: x.index_add_(0, T.tensor([2, 2]), y.expand(2, 4)), "+=": lambda x, y: x.__iadd__(y),
        "-=": lambda x, y: x.__isub__(2), "*=": lambda x, y: x.__imul__(y), "/=": lambda x, y: x.__itruediv__(y), "**=": lambda x, y: x.__ipow__(2),
        "%=": lambda x, y: x.__imod__(0.7), "//=": lambda x, y: x.__ifloordiv__(0.7),
    }  # fmt: skip
    x0, y0 = rng.uniform(0.5, 2, (3, 4)), rng.uniform(0.5, 2, 4)
    for name, f in calls.items():
        if name != "//=":
            x, y = _leaf(T, x0), _leaf(T, y0)
            z = x.sin() + 1
            r = f(z, y)
            s = z * z
            s.sum().backward()
            results[name] = [z, r is z, x.grad, np.zeros(4) if y.grad is None else y.grad]
        z = T.tensor(x0)
        v = z[1:]
        f(z, T.tensor(y0))
        results[f"{name} seen by a view"] = v
    results["types"] = [
        refused(lambda: T.arange(3).add_(1.5)), refused(lambda: T.arange(3).div_(2)), refused(lambda: T.zeros(3).add_(T.zeros(2, 3))),
        refused(lambda: T.zeros(3).expand(2, 3).add_(1)), refused(lambda: T.tensor([True]).add_(1)), refused(lambda: T.zeros(2).copy_(T.zeros(3))),
    ]  # fmt: skip
    z = T.arange(3, dtype=T.uint8)
    z += T.tensor([1, 2, 300])
    results["narrowed"] = z
    results["mixed"] = [T.zeros(2).add_(T.ones(2, dtype=T.float64)), T.zeros(2).add_(T.arange(2)), T.arange(2).mul_(3)]
    m, n = T.tensor([True, True, False]), T.tensor([True, False, True])
    for sign in ("iand", "ior", "ixor"):
        z = m.clone()
        v = z[:2]
        getattr(z, f"__{sign}__")(n)
        results[sign] = [z, v]
    return results


@case
def in_place_through_views(T, rng):
    results = {}
    x0, w0 = rng.normal(size=(3, 4)), rng.normal(size=4)

    def run(name, f):
        x, w = _leaf(T, x0), _leaf(T, w0)
        y = x * 2
        out = f(y, w)
        out = out if isinstance(out, tuple) else (out,)
        sum((o * o).sum() * (k + 1) for k, o in enumerate(out)).backward()
        results[name] = [*out, x.grad, T.zeros(4, dtype=T.float64) if w.grad is None else w.grad]

    def row(y, w):
        v = y[1]
        v.mul_(w)
        return y, v

    def view_of_view(y, w):
        v = y.T[1:3].reshape(2, 3)
        u = v[:, 0]
        u += w[:2]
        return y, v, u

    def base_after_view(y, w):
        v = y[:2]
        y.mul_(w)
        return v, y.sum(0)

    def siblings(y, w):
        a, b = y[:2], y[1:]
        a.add_(w)
        b.mul_(w)
        return a, b, y

    def twice(y, w):
        v = y.view(-1)
        v[:4] = w
        v[2:6] *= 3
        y[0, 0] = 7
        return v, y

    def plain_base(y, w):
        b = T.zeros(3, 4, dtype=T.float64)
        v = b[0]
        v += w
        b[1] = v * 2
        return b, v

    def plain_base_first(y, w):
        b = T.ones(2, 4, dtype=T.float64)
        v, u = b[0], b[:, 1:3]
        b.mul_(w)
        return v * 1, u.sum(0), u

    def copied(y, w):
        b = T.zeros(4, dtype=T.float64)
        b.copy_(w)
        c = T.zeros(4, dtype=T.float64)
        c[:] = w
        return b * 3, c * w

    def detached(y, w):
        d = y.detach()
        d += 1  # the values change, the tape does not see it
        return y * 1, w * 1

    def masked(y, w):
        y[y > 0] = 0
        y[:, [0, 2]] = y[:, [2, 0]]
        return y

    def chained(y, w):
        for i in range(3):
            y[i] = y[i - 1].clone() * w + i
        return y

    def unbound(y, w):
        for i, r in enumerate(list(y)):
            if i == 1:
                r.mul_(w)
                break
        return y

    def diagonal_written(y, w):
        y.diagonal().mul_(w[:3])
        return y

    for f in (row, view_of_view, base_after_view, siblings, twice, plain_base, plain_base_first, copied, detached, masked, chained, diagonal_written):
        run(f.__name__, f)
    y, w = _leaf(T, x0) * 1, _leaf(T, w0) * 1
    b = T.zeros(4, dtype=T.float64)
    b.copy_(w)
    results["own history"] = [*_grads(T, (b * 3 + w * 5).sum(), [b, w])]
    return results


def _grads(T, y, xs, **kw):
    return list(T.autograd.grad(y, xs, **kw))


@case
def conversions(T, rng):
    x = T.tensor([0.0, 1.7, -2.3, 3.0])
    results = {d: getattr(x.abs() if d == "byte" else x, d)() for d in ("float", "double", "long", "int", "byte", "bool")}
    for d in ("bool", "uint8", "int32", "int64", "float32", "float64"):
        results[f"to {d}"] = [x.abs().to(getattr(T, d)), T.tensor([0, 3]).to(getattr(T, d)), T.tensor([True, False]).to(getattr(T, d))]
    results["ways"] = [x.to("cpu"), x.to("cpu", T.float64), x.to(dtype=T.int64), x.type(T.float64), x.type_as(T.tensor(1)), x.to(T.tensor(1.0, dtype=T.float64))]
    results["same"] = [x.to(T.float32) is x, x.contiguous() is x, x.clone() is x, x.to(T.float32, copy=True) is x]
    results["python"] = [x[1:2].item(), T.tensor(3).item(), T.tensor(True).item(), x.tolist(), float(x[1]), int(x[3]), bool(x[1]), [1, 2, 3][T.tensor(1)]]
    results["words"] = [f"{T.tensor(1.5)}", f"{T.tensor(1.25):.1f}", f"{T.tensor(3, dtype=T.int32):04d}"]
    results["contains"] = [1.7 in x.double(), 3.0 in x, 9 in x]
    results["refused"] = [refused(lambda: x.item()), refused(lambda: bool(x)), refused(lambda: len(T.tensor(1))), refused(lambda: [1][T.tensor(0.0)])]
    results["numpy"] = [x.numpy(), np.asarray(x), T.from_numpy(np.arange(3)), T.as_tensor([1, 2]), T.as_tensor(np.float64(2))]
    results["new"] = [x.new_zeros(2, 3), x.new_ones((2,)), x.new_full((2,), 5), x.new_tensor([1, 2]), x.new_zeros(2, dtype=T.int64)]
    y = x.double().requires_grad_()
    (y.float() * T.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    results["gradient"] = y.grad
    return results


@case
def creation(T, rng):
    results = {
        "tensor": [T.tensor(d) for d in (1, 1.5, True, [1, 2], [1.0, 2], [[True], [False]], [1, 2.5], [True, 2], [], [[]], np.arange(3), np.ones(2), np.ones(2, "f4"))],
        "typed": [T.tensor([1, 2], dtype=T.float32), T.tensor([0.5, 2], dtype=T.int64), T.tensor([0, 2], dtype=T.bool), T.tensor([1e40]), T.tensor(2.0**60)],
        "nested": T.tensor([[T.tensor(1.0), T.tensor(2.0)], [3.0, 4.0]]),
        "filled": [T.zeros(2, 3), T.ones((2,)), T.zeros([]), T.full((2,), 3), T.full((2, 1), 2.5), T.full((), True), T.zeros(2, dtype=T.int64), T.full((1,), 2, dtype=T.float64)],
        "like": [f(T.tensor([[1, 2]])) for f in (T.zeros_like, T.ones_like)] + [T.full_like(T.tensor([1.0]), 3), T.zeros_like(T.tensor([1]), dtype=T.float64)],
        "arange": [T.arange(5), T.arange(5.0), T.arange(2, 8, 3), T.arange(5, 0, -2), T.arange(0, 1, 0.1), T.arange(3, dtype=T.float64), T.arange(1, 2.5), T.arange(0)],
        "linspace": [T.linspace(0, 1, 5), T.linspace(-1, 1, 1), T.linspace(1, 0, 3, dtype=T.float64), T.logspace(0, 2, 3), T.logspace(0, 3, 4, 2)],
        "eye": [T.eye(3), T.eye(2, 3), T.eye(3, 2, dtype=T.int64)],
        "empty": [T.empty(2, 3).shape, T.empty_like(T.ones(2)).dtype == T.float32, dtype_name(T.empty(1, dtype=T.int32))],
        "constants": [T.pi, T.e, T.inf],
    }  # fmt: skip
    results["refused"] = [
        refused(f)
        for f in (
            lambda: T.tensor([[1], [1, 2]]), lambda: T.tensor("x"), lambda: T.tensor(None), lambda: T.tensor([1], requires_grad=True),
            lambda: T.arange(0, 1, 0), lambda: T.zeros(-1), lambda: T.zeros(2, dtype=T.int64, requires_grad=True), lambda: T.tensor([2**63]),
            lambda: T.from_numpy([1, 2]), lambda: T.tensor([2**70]),
        )
    ]  # fmt: skip
    return results


@case
def tape(T, rng):
    results = {}
    x, w = _leaf(T, rng.normal(size=(2, 3))), _leaf(T, rng.normal(size=(3,)))
    y = (x * w).tanh()
    results["grad"] = _grads(T, y.sum(), [x, w])
    y = (x * w).tanh()
    first = _grads(T, y.sum(), [x, w], create_graph=True)
    results["second"] = _grads(T, sum((g * g).sum() for g in first), [x, w])
    third = lambda f, x: _grads(T, _grads(T, _grads(T, f(x).sum(), [x], create_graph=True)[0].sum(), [x], create_graph=True)[0].sum(), [x])  # noqa: E731
    results["third"] = [third(f, w) for f in (lambda x: x**4, lambda x: x.sigmoid(), lambda x: x.softmax(0)[0] ** 2, lambda x: (x * x).prod())]
    y = x * w
    results["through"] = _grads(T, (y * y).sum(), [y])
    results["vector"] = _grads(T, x * w, [w], grad_outputs=T.ones(2, 3, dtype=T.float64) * 2)
    results["several"] = _grads(T, [(x * 2).sum(), (x * w).sum()], [x, w])
    results["unused"] = [g is None for g in _grads(T, (x * 2).sum(), [x, w], allow_unused=True)]
    results["materialized"] = _grads(T, (x * 2).sum(), [x, w], allow_unused=True, materialize_grads=True)
    for _ in range(2):
        (x * w).sum().backward()
    results["accumulated"] = [x.grad, w.grad]
    x.grad = w.grad = None
    y = (x * w).exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    results["retained"] = [x.grad, w.grad, refused(y.backward)]
    x.grad = w.grad = None
    (x * w).sum().backward(inputs=[w])
    results["inputs"] = [x.grad is None, w.grad]
    x.grad = w.grad = None
    (x * w).backward(T.ones(2, 3, dtype=T.float64))
    results["gradient"] = [x.grad, w.grad]
    x.grad = None
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward()
    results["retain_grad"] = [y.grad, x.grad]
    x.grad, seen = None, []
    hook = x.register_hook(lambda g: g * 10)
    y = x * 3
    y.register_hook(lambda g: seen.append(g))
    y.register_hook(lambda g: g + 1)
    y.sum().backward()
    hook.remove()
    results["hooks"] = [x.grad, *seen]
    x.grad = None
    (x * 3).sum().backward()
    results["hook removed"] = x.grad.clone()
    with T.no_grad():
        a = x * 2
        with T.enable_grad():
            b = x * 2
    c = T.set_grad_enabled(False) and None
    d = x * 2
    T.set_grad_enabled(True)

    @T.no_grad()
    def quiet(x):
        return x * 2

    @T.set_grad_enabled(False)
    def silent(x):
        return x * 2

    results["modes"] = [v.requires_grad for v in (a, b, d, quiet(x), silent(x), x * 2)] + [T.is_grad_enabled(), c is None]
    y = x * 2
    flags = [x, y, y.detach(), x.detach(), T.zeros(1), y[0], (x > 0), y.argmax(), x.data]
    results["flags"] = list(itertools.chain.from_iterable((v.requires_grad, v.is_leaf) for v in flags))
    results["refused"] = [
        refused(f)
        for f in (
            lambda: (x * 2).backward(), lambda: T.zeros(1).backward(), lambda: x.add_(1), lambda: x[0].add_(1), lambda: x.__setitem__(0, 1),
            lambda: (x * 2).backward(T.ones(2, dtype=T.float64)), lambda: _grads(T, w.sum(), [x]), lambda: _grads(T, x.sum(), [T.zeros(1)]),
            lambda: T.tensor([1]).requires_grad_(), lambda: (x * 2).requires_grad_(False), lambda: T.zeros(2).retain_grad(), lambda: x.numpy(),
            lambda: _changed(x, lambda y: y.exp()), lambda: _changed(x, lambda y: y * y), lambda: _changed(x, lambda y: y / w),
        )
    ]  # fmt: skip
    results["allowed"] = [refused(lambda: _changed(x, lambda y: y + y)), refused(lambda: _changed(x, lambda y: y.sum(0)))]
    return results


def _changed(x, f):
    y = x * 2
    z = f(y)
    y.add_(1)
    z.add_(1)
    z.sum().backward()
