"""Tensors: methods that write in place, and what the tape makes of writes through views."""

from __future__ import annotations

import numpy as np

from tests.parity.harness import case, refused


def _leaf(T, array):
    return T.tensor(np.asarray(array, "float64"), requires_grad=True)


@case
def in_place(T, rng):
    results = {}
    calls = {
        "add_": lambda x, y: x.add_(y), "add_ alpha": lambda x, y: x.add_(y, alpha=2),
        "sub_": lambda x, y: x.sub_(y),
        "mul_": lambda x, y: x.mul_(y), "div_": lambda x, y: x.div_(y), "pow_": lambda x, y: x.pow_(y),
        "pow_ 3": lambda x, y: x.pow_(3),
        "neg_": lambda x, y: x.neg_(), "abs_": lambda x, y: x.abs_(), "exp_": lambda x, y: x.exp_(),
        "log_": lambda x, y: x.log_(),
        "sqrt_": lambda x, y: x.sqrt_(), "rsqrt_": lambda x, y: x.rsqrt_(), "square_": lambda x, y: x.square_(),
        "reciprocal_": lambda x, y: x.reciprocal_(), "tanh_": lambda x, y: x.tanh_(),
        "sigmoid_": lambda x, y: x.sigmoid_(),
        "relu_": lambda x, y: x.relu_(), "floor_": lambda x, y: x.floor_(), "ceil_": lambda x, y: x.ceil_(),
        "round_": lambda x, y: x.round_(),
        "trunc_": lambda x, y: x.trunc_(), "clamp_": lambda x, y: x.clamp_(0.7, 1.5),
        "clamp_ tensor": lambda x, y: x.clamp_(max=y),
        "lerp_": lambda x, y: x.lerp_(end=y.expand(3, 4), weight=0.3),
        "addcmul_": lambda x, y: x.addcmul_(y, y, value=2),
        "addcdiv_": lambda x, y: x.addcdiv_(y, y + 1), "remainder_": lambda x, y: x.remainder_(0.4),
        "nan_to_num_": lambda x, y: x.nan_to_num_(),
        "tril_": lambda x, y: x.tril_(), "triu_": lambda x, y: x.triu_(), "copy_": lambda x, y: x.copy_(y),
        "fill_": lambda x, y: x.fill_(2),
        "fill_ tensor": lambda x, y: x.fill_(y[0]), "zero_": lambda x, y: x.zero_(),
        "masked_fill_": lambda x, y: x.masked_fill_(y > 1, 2.0),
        "scatter_": lambda x, y: x.scatter_(1, T.tensor([[2], [0], [1]]), y.expand(3, 4)[:, :1]),
        "scatter_add_": lambda x, y: x.scatter_add_(0, T.tensor([[2, 2, 0, 1]]), y.expand(1, 4)),
        "index_add_": lambda x, y: x.index_add_(0, T.tensor([2, 2]), y.expand(2, 4)),
        "+=": lambda x, y: x.__iadd__(y),
        "-=": lambda x, y: x.__isub__(2), "*=": lambda x, y: x.__imul__(y),
        "/=": lambda x, y: x.__itruediv__(y), "**=": lambda x, y: x.__ipow__(2),
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
        refused(lambda: T.arange(3).add_(1.5)), refused(lambda: T.arange(3).div_(2)),
        refused(lambda: T.zeros(3).add_(T.zeros(2, 3))),
        refused(lambda: T.zeros(3).expand(2, 3).add_(1)), refused(lambda: T.tensor([True]).add_(1)),
        refused(lambda: T.zeros(2).copy_(T.zeros(3))),
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

    def diagonal_written(y, w):
        y.diagonal().mul_(w[:3])
        return y

    for f in (
        row,
        view_of_view,
        base_after_view,
        siblings,
        twice,
        plain_base,
        plain_base_first,
        copied,
        detached,
        masked,
        chained,
        diagonal_written,
    ):
        run(f.__name__, f)
    w = _leaf(T, w0) * 1
    b = T.zeros(4, dtype=T.float64)
    b.copy_(w)
    results["own history"] = [*_grads(T, (b * 3 + w * 5).sum(), [b, w])]
    return results


def _grads(T, y, xs, **kw):
    return list(T.autograd.grad(y, xs, **kw))
