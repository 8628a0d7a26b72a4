"""What tutorials use beside layers: functions of one's own, Jacobians, names, order statistics, resizing, bags."""

from __future__ import annotations

import numpy as np

from tests.parity.harness import case, refused


def _leaf(T, array, dtype="float64"):
    return T.tensor(array.astype(dtype), requires_grad=True)


def _functions(T):
    """Three functions with a derivative by hand."""

    class Square(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            return 2 * x * gy

    class Exp(T.autograd.Function):  # keeps its output
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, gy):
            (y,) = ctx.saved_tensors
            return gy * y

    class Polar(T.autograd.Function):  # several inputs and outputs, one of them without a gradient
        @staticmethod
        def forward(ctx, r, angle, scale):
            ctx.save_for_backward(r, angle)
            ctx.scale = scale
            quadrant = (angle > 0).long()
            ctx.mark_non_differentiable(quadrant)
            return scale * r * angle.cos(), scale * r * angle.sin(), quadrant

        @staticmethod
        def backward(ctx, gx, gy, _):
            r, angle = ctx.saved_tensors
            gr = gangle = None
            if ctx.needs_input_grad[0]:
                gr = ctx.scale * (gx * angle.cos() + gy * angle.sin())
            if ctx.needs_input_grad[1]:
                gangle = ctx.scale * r * (gy * angle.cos() - gx * angle.sin())
            return gr, gangle, None

    return Square.apply, Exp.apply, Polar.apply


@case
def custom_functions(T, rng):
    square, exp, polar = _functions(T)
    x = _leaf(T, rng.normal(size=(2, 3)))
    y = exp(square(x)) * x
    (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = T.autograd.grad((g * g).sum(), x)
    r, angle = _leaf(T, rng.uniform(1, 2, 4)), _leaf(T, rng.normal(size=4))
    a, b, quadrant = polar(r, angle, 3.0)
    (a * b.exp()).sum().backward()
    one = polar(r.detach(), angle, 0.5)[1]  # of two outputs only one is used
    (only,) = T.autograd.grad(one.sum(), angle)
    return {
        "values": [y, a, b, quadrant],
        "gradients": [g, h, r.grad, angle.grad, only],
        "requires": [a.requires_grad, quadrant.requires_grad, square(x.detach()).requires_grad],
        "freed": refused(lambda: a.sum().backward()),
    }


@case
def custom_function_with_setup(T, rng):
    class Cube(T.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            return 3 * x**2 * gy

    x = _leaf(T, rng.normal(size=3))
    y = Cube.apply(x)
    y.sum().backward()
    return {"y": y, "gradient": x.grad}


@case
def jacobians(T, rng):
    from importlib import import_module

    functional = import_module(f"{T.__name__}.autograd.functional")
    x, w = T.tensor(rng.normal(size=3)), T.tensor(rng.normal(size=(2, 3)))
    return {
        "one": functional.jacobian(lambda v: v.exp() * v.sum(), x),
        "two": list(functional.jacobian(lambda v, m: m @ v, (x, w))),
        "outputs": list(functional.jacobian(lambda v: (v.sin(), v[0] * v), x)),
        "unused": functional.jacobian(lambda v: v.detach() * 2, x),
        "hessian": functional.hessian(lambda v: (v**3).sum() * v[0], x),
        "hessians": [list(row) for row in functional.hessian(lambda v, m: (m @ v).pow(2).sum(), (x, w))],
    }


@case
def several_roots(T, rng):
    x = _leaf(T, rng.normal(size=3))
    T.autograd.backward([(x * 3).sum(), (x * x).sum()])
    first = x.grad
    T.autograd.backward([x * 2, x.sum()], [T.ones(3, dtype=T.float64), None])  # added in the same memory
    return {"gradient": x.grad, "shared": first}


@case
def constructors(T, rng):
    return {
        "Tensor": [T.Tensor([1, 2]), T.Tensor(2, 3).zero_(), T.Tensor(), T.Tensor(np.arange(2)), T.Tensor([[True]])],
        "typed": [
            T.LongTensor([1, 2]),
            T.FloatTensor([1, 2]),
            T.DoubleTensor([0.5]),
            T.IntTensor([3]),
            T.ByteTensor([4]),
            T.BoolTensor([True]),
            T.LongTensor(2).zero_(),
        ],
        "placed": [
            T.arange(3, device="cpu"),
            T.eye(2, requires_grad=True),
            T.linspace(0, 1, 3, device=T.device("cpu")),
            T.full((2,), 1.5, device="cpu"),
            T.zeros_like(T.ones(2), device="cpu"),
            T.randn(2, device="cpu").shape,
            T.randperm(1, device="cpu"),
        ],
        "accelerators": [T.cuda.is_available(), T.cuda.device_count(), T.backends.mps.is_available()],
        "device": [str(T.ones(1).device), T.device("cpu").type, repr(T.device("cpu")), T.ones(1).is_cuda],
        "sizes": [T.ones(2).element_size(), T.numel(T.ones(2, 3))],
    }


@case
def numpy_names(T, rng):
    x = T.tensor(rng.normal(size=(2, 3)))
    return {
        "reductions": [f(x, axis=1, keepdims=True) for f in (T.sum, T.mean, T.amax, T.argmax)],
        "methods": [x.sum(axis=0), x.max(axis=1).values, x.std(axis=0), x.cumsum(axis=1), x.sum(axis=(0, 1))],
        "joined": [T.cat([x, x], axis=1), T.stack([x, x], axis=0), T.flip(x, dims=[1]), T.permute(x, dims=(1, 0))],
        "input": [
            T.sum(input=x, dim=1),
            T.matmul(input=x, other=x.T),
            T.abs(input=x),
            T.mul(input=x, other=2),
            T.clamp(input=x, min=0.0),
            T.where(condition=x > 0, input=x, other=-x),
            T.reshape(input=x, shape=(3, 2)),
            T.squeeze(input=T.unsqueeze(input=x, dim=0)),
            T.topk(input=x, k=2)[0],
            T.gather(input=x, dim=1, index=T.tensor([[0], [2]])),
            T.ones_like(input=x),
        ],
        "sizes": [
            T.zeros(size=(2, 2)),
            T.ones(size=[2]),
            T.rand(size=(2, 1)).shape,
            T.randn(size=(3,)).shape,
            x.reshape(shape=(6,)),
            x[:1].expand(size=(2, -1)),
            x.new_empty(2, 1).shape,
            x.ndimension(),
        ],
        "both": refused(lambda: x.sum(dim=0, axis=0)),
    }


@case
def written_by_out(T, rng):
    x, y = T.tensor(rng.normal(size=(2, 2))), T.tensor(rng.normal(size=(2, 2)))
    z = T.zeros(2, 2, dtype=T.float64)
    T.add(x, y, out=z)
    w = T.zeros(2, 2, dtype=T.float64)
    return {
        "add": z,
        "matmul": T.matmul(x, y, out=w),
        "written": w,
        "recorded": refused(lambda: T.mul(x.requires_grad_(), y, out=z)),
    }


@case
def order_and_counts(T, rng):
    x = T.tensor(rng.normal(size=(3, 5)))
    n = T.tensor([3, 1, 1, 4])
    some = T.tensor([1.0, float("nan"), 2.0])
    return {
        "quantile": [
            T.quantile(x, 0.3),
            T.quantile(x, 0.5, dim=1),
            T.quantile(x, T.tensor([0.0, 0.25, 1.0], dtype=T.float64), dim=0, keepdim=True),
            T.quantile(some, 0.5),
            *(T.quantile(x, 0.4, dim=1, interpolation=i) for i in ("lower", "higher", "midpoint", "nearest")),
        ],
        "bincount": [T.bincount(n), T.bincount(n, minlength=7), T.bincount(n, T.tensor([0.5, 1.0, 2.0, 4.0]))],
        "empty": [T.bincount(n[:0]), T.unique(n[:0])],
        "unique": [T.unique(n), *T.unique(n.view(2, 2), return_inverse=True, return_counts=True)],
        "nan": [some.nansum(), T.nanmean(some), T.nanmean(T.ones(2, 3), dim=1)],
        "std_mean": list(T.std_mean(x, dim=1)),
    }


@case
def small_functions(T, rng):
    x = _leaf(T, rng.uniform(0.1, 0.9, (2, 3)))
    y = _leaf(T, rng.normal(size=(2, 3)))
    smooth = {
        "clamp_min": x.clamp_min(0.5), "clamp_max": T.clamp_max(x, 0.5), "frac": (y * 3).frac(), "logit": x.logit(),
        "logit_eps": T.logit(x, eps=0.3), "logaddexp": T.logaddexp(x, y), "deg2rad": T.deg2rad(x),
        "rad2deg": T.rad2deg(x), "cumprod": y.cumprod(1), "cumprod0": T.cumprod(y, dim=0), "trace": y.trace(),
        "diff": T.diff(y), "diff2": T.diff(y, n=2, dim=1), "fliplr": T.fliplr(y), "flipud": T.flipud(y),
        "hstack": T.hstack([x, y]), "vstack": T.vstack((x, y[0])), "ravel": x.ravel(), "diag": T.diag(x[0], 1),
        "diag_of": x[:, :2].diag(), "index_fill": y.index_fill(1, T.tensor([0, 2]), 1.5),
        "index_copy": y.index_copy(0, T.tensor([1]), x[:1]), "clone": T.clone(y),
        "scatter": x.scatter(1, T.tensor([[0], [2]]), value=2.0), "legacy_cat": T.cat([T.tensor([]).double(), x]),
    }  # fmt: skip
    total = sum((v * v).sum() for v in smooth.values())
    total.backward()
    inf = float("inf")
    z = T.zeros(3)
    return smooth | {
        "gradients": [x.grad, y.grad],
        "ints": [T.cumprod(T.tensor([1, 2, 3]), 0), T.diff(T.tensor([True, False])), T.hstack([z[0], z[1]])],
        "heaviside": T.heaviside(T.tensor([-1.0, 0.0, 2.0]), T.tensor(0.5)),
        "infinite": T.logaddexp(T.tensor([inf, -inf, inf]), T.tensor([inf, -inf, -inf])),
        "in_place": [z.clone().index_fill_(0, T.tensor([1]), 3.0), z.clone().clamp_min_(1), z.clone().unsqueeze_(0)],
        "squeezed": T.ones(1, 2).squeeze_(0),
    }


@case
def resized(T, rng):
    results = {}
    F = T.nn.functional
    for name, shape, size, mode in (
        ("line", (2, 2, 5), 8, "linear"),
        ("up", (1, 2, 3, 4), (6, 9), "bilinear"),
        ("down", (1, 1, 7, 6), (3, 1), "bilinear"),
        ("volume", (1, 1, 2, 3, 2), (3, 4, 5), "trilinear"),
    ):
        for corners in (False, True):
            x = _leaf(T, rng.normal(size=shape))
            y = F.interpolate(x, size=size, mode=mode, align_corners=corners)
            (y * y).sum().backward()
            results[f"{name} {corners}"] = [y, x.grad]
    x = T.tensor(rng.normal(size=(1, 1, 3, 5)))
    results["factor"] = F.interpolate(x, scale_factor=1.5, mode="bilinear")
    results["layer"] = T.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(x)
    return results


@case
def bags(T, rng):
    table = rng.normal(size=(6, 3))
    words, offsets = T.tensor([1, 2, 4, 5, 4]), T.tensor([0, 2, 2])
    results = {}
    for mode in ("mean", "sum"):
        for padding in (None, 4):
            w = _leaf(T, table)
            y = T.nn.functional.embedding_bag(words, w, offsets, mode=mode, padding_idx=padding)
            z = T.nn.functional.embedding_bag(T.tensor([[1, 4], [4, 4]]), w, mode=mode, padding_idx=padding)
            ((y * y).sum() + (z * z).sum()).backward()
            results[f"{mode} {padding}"] = [y, z, w.grad]
    factors = _leaf(T, rng.normal(size=5))
    y = T.nn.functional.embedding_bag(words, w.detach(), offsets, mode="sum", per_sample_weights=factors)
    y.sum().backward()
    return results | {"weighted": [y, factors.grad]}


@case
def distributions(T, rng):
    from importlib import import_module

    D = import_module(f"{T.__name__}.distributions")
    weights, logits = _leaf(T, rng.uniform(0.1, 1, (2, 3))), _leaf(T, rng.normal(size=(2, 3)))
    mean, spread = _leaf(T, rng.normal(size=2)), _leaf(T, rng.uniform(0.5, 2, 2))
    c, d = D.Categorical(weights), D.Categorical(logits=logits)
    n, m = D.Normal(mean, spread), D.Normal(0.0, T.tensor([1.0, 2.0], dtype=T.float64))
    b, e = D.Bernoulli(weights / 2), D.Bernoulli(logits=logits)
    k, yes = T.tensor([2, 0]), T.tensor(rng.integers(0, 2, (2, 3)).astype(float))
    results = {
        "categorical": [c.log_prob(k), d.log_prob(k), c.entropy(), d.entropy(), c.probs, d.logits],
        "broadcast": [d.log_prob(T.tensor([[0, 1], [2, 2], [1, 0]])), d.log_prob(T.tensor(1))],
        "normal": [n.log_prob(T.tensor([0.3, 0.4])), m.log_prob(mean), n.entropy(), n.mean, n.stddev, n.variance],
        "bernoulli": [b.log_prob(yes), e.log_prob(yes), b.entropy(), e.entropy(), b.mean],
        "divergence": [D.kl_divergence(*pair) for pair in ((c, d), (n, m), (b, e))],
    }
    sum(v.sum() for group in results.values() for v in group).backward()
    shapes = [c.sample().shape, c.sample((4,)).shape, n.rsample((5, 1)).shape, m.sample().shape, e.sample((2,)).shape]
    return results | {"gradients": [x.grad for x in (weights, logits, mean, spread)], "shapes": shapes}
