"""Losses: values and gradients, each with mean, sum and none."""

from __future__ import annotations

import numpy as np

from tests.parity.harness import case, refused


def _loss(name, make, inputs, **options):
    """A case of one loss in its three reductions: ``inputs(rng)`` gives arrays, floating ones with gradients."""

    def function(T, rng):
        arrays = inputs(rng)
        result = {}
        for reduction in options.get("reductions", ("mean", "sum", "none")):
            xs = [T.tensor(a) for a in arrays]
            for x, a in zip(xs, arrays, strict=True):
                if a.dtype.kind == "f":
                    x.requires_grad_()
            y = make(T, reduction)(*xs)
            (y * T.tensor(np.cos(np.arange(y.numel())).reshape(tuple(y.shape)))).sum().backward()
            result[f"{reduction}/y"] = y
            result |= {f"{reduction}/gx{i}": x.grad for i, x in enumerate(xs) if x.grad is not None}
        return result

    function.__module__ = __name__
    function.__code__ = function.__code__.replace(co_name=name)
    case(function, name=name)


def _two(shape):
    return lambda rng: [rng.normal(0, 2, shape), rng.normal(0, 2, shape)]


def _near(rng):
    """Differences of 0 and on both sides of 1."""
    y = np.round(rng.normal(size=(4, 3)), 1)
    return [y + np.array([[0, 1, -1], [0.5, 2, -3], [1e-9, 0.999, 1.001], [100, -100, 0.25]]), y]


_loss("mse", lambda T, r: T.nn.MSELoss(reduction=r), _two((4, 3)))
_loss("l1", lambda T, r: T.nn.L1Loss(reduction=r), _near)
_loss("smooth_l1", lambda T, r: T.nn.SmoothL1Loss(reduction=r), _near)
_loss("smooth_l1_beta", lambda T, r: T.nn.SmoothL1Loss(reduction=r, beta=0.5), _near)
_loss("smooth_l1_zero", lambda T, r: T.nn.SmoothL1Loss(reduction=r, beta=0.0), _near)
_loss("huber", lambda T, r: T.nn.HuberLoss(reduction=r), _near)
_loss("huber_delta", lambda T, r: T.nn.HuberLoss(r, 2.0), _near)


def _labels(shape, classes, *, ignored=0):
    def inputs(rng):
        x = rng.normal(0, 3, (shape[0], classes, *shape[1:]))
        y = rng.integers(0, classes, shape)
        flat = y.reshape(-1)
        flat[:ignored] = -100
        return [x, y]

    return inputs


def _weights(T):
    return T.tensor([0.5, 2.0, 1.0, 0.1], dtype=T.float64)


_loss("cross_entropy", lambda T, r: T.nn.CrossEntropyLoss(reduction=r), _labels((5,), 4))
_loss("cross_entropy_image", lambda T, r: T.nn.CrossEntropyLoss(reduction=r), _labels((2, 3, 2), 4))
_loss("cross_entropy_ignored", lambda T, r: T.nn.CrossEntropyLoss(reduction=r), _labels((5,), 4, ignored=2))
_loss(
    "cross_entropy_class_ignored",
    lambda T, r: T.nn.CrossEntropyLoss(reduction=r, ignore_index=1),
    _labels((9,), 3),
)
_loss(
    "cross_entropy_weight",
    lambda T, r: T.nn.CrossEntropyLoss(_weights(T), reduction=r),
    _labels((2, 3), 4, ignored=1),
)
_loss(
    "cross_entropy_smooth",
    lambda T, r: T.nn.CrossEntropyLoss(reduction=r, label_smoothing=0.2),
    _labels((5,), 4, ignored=1),
)
_loss(
    "cross_entropy_smooth_weight",
    lambda T, r: T.nn.CrossEntropyLoss(_weights(T), reduction=r, label_smoothing=0.2),
    _labels((5, 2), 4, ignored=2),
)
_loss(
    "cross_entropy_one",
    lambda T, r: T.nn.CrossEntropyLoss(reduction=r),
    lambda rng: [rng.normal(size=4), np.array(2)],
)


def _soft(shape):
    def inputs(rng):
        t = rng.random(shape)
        return [rng.normal(0, 3, shape), t / t.sum(1, keepdims=True)]

    return inputs


_loss("cross_entropy_soft", lambda T, r: T.nn.CrossEntropyLoss(reduction=r), _soft((5, 4)))
_loss(
    "cross_entropy_soft_all",
    lambda T, r: T.nn.CrossEntropyLoss(_weights(T), reduction=r, label_smoothing=0.1),
    _soft((2, 4, 3)),
)
_loss("nll", lambda T, r: T.nn.NLLLoss(reduction=r), _labels((5,), 4, ignored=1))
_loss("nll_weight", lambda T, r: T.nn.NLLLoss(_weights(T), reduction=r), _labels((2, 3), 4, ignored=1))


@case
def cross_entropy_far_out(T, rng):
    x = T.tensor(np.float32([[1e4, -1e4, 0], [-1e4, 1e4, 0], [0, 0, 0]]), requires_grad=True)
    y = T.nn.functional.cross_entropy(x, T.tensor([0, 0, 2]), reduction="none")
    y.sum().backward()
    z = T.tensor(np.float32([[0, -np.inf, 1]]), requires_grad=True)
    w = T.nn.functional.cross_entropy(z, T.tensor([2]))
    w.backward()
    none = T.nn.functional.cross_entropy(x.detach(), T.tensor([-100, -100, -100]))
    return {"y": y, "gx": x.grad, "w": w, "gz": z.grad, "none": none}


def _probabilities(rng):
    return [np.append(rng.random(10), [0.5, 1e-5, 1 - 1e-5]), np.append(rng.integers(0, 2, 10), [0.3, 0.0, 1.0])]


def _certain(rng):
    return [np.array([0.0, 1.0, 0.0, 1.0, 1e-13, 0.0]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.4])]


_loss("bce", lambda T, r: T.nn.BCELoss(reduction=r), _probabilities)
_loss("bce_certain", lambda T, r: lambda x, t: T.nn.BCELoss(reduction=r)(x, t.detach()), _certain)
_loss("bce_weight", lambda T, r: T.nn.BCELoss(T.tensor(np.arange(13.0)), reduction=r), _probabilities)


def _scores(rng):
    x = np.append(rng.normal(0, 4, 6), [0.0, 0.0, 50.0, -50.0, 1e4, -1e4])
    return [x.reshape(4, 3), rng.choice([0.0, 1.0, 0.3], (4, 3))]


_loss("bce_logits", lambda T, r: T.nn.BCEWithLogitsLoss(reduction=r), _scores)
_loss(
    "bce_logits_all",
    lambda T, r: T.nn.BCEWithLogitsLoss(_weights(T)[:, None], reduction=r, pos_weight=_weights(T)[:3]),
    _scores,
)


def _divergence(rng):
    x, t = rng.normal(size=(4, 3)), rng.random((4, 3))
    t[0, 0] = 0
    return [x, t]


_KL = ("mean", "batchmean", "sum", "none")
_loss("kl_div", lambda T, r: lambda x, t: T.nn.KLDivLoss(reduction=r)(x, t.detach()), _divergence, reductions=_KL)
_loss("kl_div_log", lambda T, r: T.nn.KLDivLoss(reduction=r, log_target=True), _two((4, 3)), reductions=_KL)


def _counts(rng):
    return [rng.random((4, 3)) * 3, rng.poisson(2.0, (4, 3)).astype(float)]


_loss("poisson", lambda T, r: lambda x, t: T.nn.PoissonNLLLoss(reduction=r)(x, t.detach()), _counts)
_loss(
    "poisson_full",
    lambda T, r: lambda x, t: T.nn.PoissonNLLLoss(log_input=False, full=True, reduction=r)(x, t.detach()),
    _counts,
)


def _normal(last):
    return lambda rng: [rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.random((4, *last)) + 0.1]


_loss("gaussian", lambda T, r: T.nn.GaussianNLLLoss(reduction=r), _normal((3,)))
_loss("gaussian_full", lambda T, r: T.nn.GaussianNLLLoss(full=True, eps=0.5, reduction=r), _normal((1,)))


@case
def second_derivatives(T, rng):
    F = T.nn.functional
    result = {}
    for name, loss, target in (
        ("cross_entropy", F.cross_entropy, T.tensor([1, 0, 2])),
        ("mse", F.mse_loss, T.tensor(rng.normal(size=(3, 3)))),
        ("bce_logits", F.binary_cross_entropy_with_logits, T.tensor(rng.random((3, 3)))),
        ("logsigmoid", lambda x, t: F.logsigmoid(x).sum(), None),
        ("softplus", lambda x, t: F.softplus(x).sum(), None),
    ):
        a = rng.normal(size=(3, 3))
        a[0, 0] = 0
        x = T.tensor(a, requires_grad=True)
        (gx,) = T.autograd.grad(loss(x, target), x, create_graph=True)
        (gx * T.tensor(rng.normal(size=(3, 3)))).sum().backward()
        result[name] = x.grad
    return result


@case
def printed(T, rng):
    nn = T.nn
    names = ("MSELoss", "L1Loss", "CrossEntropyLoss", "NLLLoss", "BCELoss", "HuberLoss", "KLDivLoss")
    losses = [getattr(nn, name)() for name in names]
    weighted = nn.CrossEntropyLoss(weight=_weights(T))
    return {"repr": [repr(l) for l in losses], "keys": list(weighted.state_dict()), "weight": weighted.weight}


@case
def refusals(T, rng):
    F = T.nn.functional
    x = T.zeros(3, 4)
    return {
        "range": refused(lambda: F.cross_entropy(x, T.tensor([0, 4, 1]))),
        "negative": refused(lambda: F.cross_entropy(x, T.tensor([0, -1, 1]))),
        "float labels": refused(lambda: F.cross_entropy(x, T.tensor([0.0, 1.0, 2.0]))),
        "shape": refused(lambda: F.cross_entropy(x, T.tensor([0, 1]))),
        "weight": refused(lambda: F.cross_entropy(x, T.tensor([0, 1, 2]), weight=T.ones(3))),
        "smoothing": refused(lambda: F.cross_entropy(x, T.tensor([0, 1, 2]), label_smoothing=1.5)),
        "reduction": refused(lambda: F.mse_loss(x, x, reduction="median")),
        "probability": refused(lambda: F.binary_cross_entropy(x + 2, x)),
        "bce shape": refused(lambda: F.binary_cross_entropy(x, T.zeros(3))),
        "delta": refused(lambda: F.huber_loss(x, x, delta=-1.0)),
        "beta": refused(lambda: F.smooth_l1_loss(x, x, beta=-1.0)),
    }
