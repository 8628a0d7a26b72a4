"""Every layer and every loss against finite differences, in float64, first and second derivatives."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.autograd import gradcheck, gradgradcheck
from haema.nn import activation, conv, dropout, embedding, linear, loss, normalization, padding, pooling, shape


def _numbers(*size, seed=0):
    """Distinct numbers at some distance from each other and from the kinks at 0, 0.5, 1, 3 and 6."""
    n = int(np.prod(size))
    order = np.random.default_rng(seed).permutation(n)
    return ((order - n / 2) * 0.37 + 0.13).reshape(size)


def _input(*size, seed=0):
    return hm.tensor(_numbers(*size, seed=seed), requires_grad=True)


# name of the layer -> what to build, and the shapes of its inputs
LAYERS = {
    "Linear": [(lambda: nn.Linear(3, 2), (4, 3)), (lambda: nn.Linear(1, 1, bias=False), (1, 1))],
    "Identity": [(lambda: nn.Identity(), (2, 3))],
    "Scale": [(lambda: nn.Scale(0.5), (2, 3))],
    "Bilinear": [(lambda: nn.Bilinear(2, 3, 2), (3, 2), (3, 3))],
    "Embedding": [],  # tested below: its input is not differentiable
    "EmbeddingBag": [],  # likewise
    "Conv1d": [(lambda: nn.Conv1d(2, 3, 3, 2, 1, 2), (2, 2, 7))],
    "Conv2d": [
        (lambda: nn.Conv2d(2, 3, (2, 3), (2, 1), (1, 0), (1, 2)), (1, 2, 4, 5)),
        (lambda: nn.Conv2d(2, 4, 2, groups=2, padding="same"), (2, 2, 3, 3)),
        (lambda: nn.Conv2d(1, 1, 1), (1, 1, 1, 1)),
        (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), (1, 3, 4)),
    ],
    "Conv3d": [(lambda: nn.Conv3d(1, 2, 2), (1, 1, 2, 3, 2))],
    "ConvTranspose1d": [(lambda: nn.ConvTranspose1d(2, 2, 3, 2, 1, 1), (1, 2, 3))],
    "ConvTranspose2d": [(lambda: nn.ConvTranspose2d(2, 2, 2, (2, 1), 1, 0, 2, dilation=2), (1, 2, 3, 3))],
    "ConvTranspose3d": [(lambda: nn.ConvTranspose3d(1, 1, 2), (1, 1, 1, 2, 2))],
    "Fold": [(lambda: nn.Fold((3, 4), 2), (1, 4, 6))],
    "Unfold": [(lambda: nn.Unfold(2, stride=2, padding=1), (1, 1, 3, 4))],
    "MaxPool1d": [(lambda: nn.MaxPool1d(3, 1, 1), (1, 2, 5))],
    "MaxPool2d": [(lambda: nn.MaxPool2d(2), (1, 2, 5, 4)), (lambda: nn.MaxPool2d((8, 9), 1, 3), (1, 8, 9))],
    "MaxPool3d": [(lambda: nn.MaxPool3d(2), (1, 1, 2, 2, 3))],
    "AvgPool1d": [(lambda: nn.AvgPool1d(3, 2, 1), (1, 2, 5))],
    "AvgPool2d": [
        (lambda: nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False, padding=1), (1, 1, 4, 3)),
        (lambda: nn.AvgPool2d((9, 2), 1), (1, 10, 2)),
    ],
    "AvgPool3d": [(lambda: nn.AvgPool3d(2), (1, 1, 2, 2, 3))],
    "AdaptiveAvgPool1d": [(lambda: nn.AdaptiveAvgPool1d(3), (1, 2, 5))],
    "AdaptiveAvgPool2d": [
        (lambda: nn.AdaptiveAvgPool2d((2, 1)), (1, 2, 3, 4)),
        (lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 2)),
    ],
    "AdaptiveMaxPool1d": [(lambda: nn.AdaptiveMaxPool1d(3), (1, 2, 5))],
    "AdaptiveMaxPool2d": [(lambda: nn.AdaptiveMaxPool2d((2, 3)), (1, 1, 4, 4))],
    "StochasticPool1d": [(lambda: nn.StochasticPool1d(2).eval(), (1, 2, 6))],
    "StochasticPool2d": [(lambda: nn.StochasticPool2d(2, 1, 1).eval(), (1, 1, 3, 3))],
    "BatchNorm1d": [(lambda: nn.BatchNorm1d(2), (4, 2)), (lambda: nn.BatchNorm1d(2).eval(), (1, 2, 3))],
    "BatchNorm2d": [(lambda: nn.BatchNorm2d(2), (2, 2, 2, 3))],
    "BatchNorm3d": [(lambda: nn.BatchNorm3d(1), (1, 1, 2, 1, 3))],
    "GroupNorm": [(lambda: nn.GroupNorm(2, 4), (2, 4, 2))],
    "InstanceNorm1d": [(lambda: nn.InstanceNorm1d(2, affine=True), (2, 2, 3))],
    "InstanceNorm2d": [(lambda: nn.InstanceNorm2d(2), (2, 2, 2))],
    "InstanceNorm3d": [(lambda: nn.InstanceNorm3d(1), (1, 1, 2, 1, 2))],
    "LayerNorm": [(lambda: nn.LayerNorm(3), (2, 3)), (lambda: nn.LayerNorm((2, 3)), (2, 2, 3))],
    "RMSNorm": [(lambda: nn.RMSNorm(3), (2, 3))],
    "Dropout": [(lambda: nn.Dropout().eval(), (2, 3))],
    "Dropout1d": [(lambda: nn.Dropout1d().eval(), (2, 3, 1))],
    "Dropout2d": [(lambda: nn.Dropout2d().eval(), (2, 1, 3, 1))],
    "Dropout3d": [(lambda: nn.Dropout3d().eval(), (2, 1, 3, 1, 1))],
    "AlphaDropout": [(lambda: nn.AlphaDropout().eval(), (2, 3))],
    "GaussianNoise": [(lambda: nn.GaussianNoise().eval(), (2, 3))],
    "PReLU": [(lambda: nn.PReLU(), (2, 3)), (lambda: nn.PReLU(3), (2, 3, 2))],
    "RReLU": [(lambda: nn.RReLU().eval(), (2, 3))],
    "Softmax2d": [(lambda: nn.Softmax2d(), (2, 3, 1, 2))],
    "Threshold": [(lambda: nn.Threshold(0.2, 1.0), (3, 4))],
    "Softmax": [(lambda: nn.Softmax(1), (2, 4)), (lambda: nn.Softmax(0), (1,))],
    "LogSoftmax": [(lambda: nn.LogSoftmax(1), (2, 4))],
    "Softmin": [(lambda: nn.Softmin(1), (2, 4))],
    "GLU": [(lambda: nn.GLU(), (3, 4))],
    "Flatten": [(lambda: nn.Flatten(), (2, 3, 2))],
    "Unflatten": [(lambda: nn.Unflatten(1, (2, 3)), (2, 6))],
    "PixelShuffle": [(lambda: nn.PixelShuffle(2), (4, 1, 2))],
    "PixelUnshuffle": [(lambda: nn.PixelUnshuffle(2), (1, 2, 4))],
    "Upsample": [(lambda: nn.Upsample(size=(3, 4)), (1, 2, 2, 2))],
    "UpsamplingNearest2d": [(lambda: nn.UpsamplingNearest2d(scale_factor=2), (1, 1, 2, 2))],
    "CosineSimilarity": [(lambda: nn.CosineSimilarity(), (2, 3), (2, 3))],
}
for _kind in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
    for _n in (1, 2, 3):
        LAYERS[f"{_kind}{_n}d"] = [(lambda k=_kind, n=_n: getattr(nn, f"{k}{n}d")(1), (1, 1, *(2, 3, 2)[:_n]))]
for _n in (1, 2, 3):
    LAYERS[f"ConstantPad{_n}d"] = [(lambda n=_n: getattr(nn, f"ConstantPad{n}d")(1, 0.5), (1, 1, *(2, 3, 2)[:_n]))]
LAYERS["ZeroPad2d"].append((lambda: nn.ZeroPad2d((-1, 0, 0, -1)), (1, 2, 3, 3)))
for _name in activation.__all__:
    LAYERS.setdefault(_name, [(getattr(nn, _name), (3, 5))])

_PROBABILITIES = np.array([[0.2, 0.9, 0.4], [0.6, 0.01, 0.5]])
LOSSES = {
    "MSELoss": [({}, _numbers(2, 3, seed=1))],
    "HalfSquaredError": [({}, _numbers(2, 3, seed=1))],
    "RMSELoss": [({}, _numbers(2, 3, seed=1))],
    "L1Loss": [({}, _numbers(2, 3) + 0.3)],
    "SmoothL1Loss": [({"beta": 0.7}, _numbers(2, 3, seed=1) + 0.2)],
    "HuberLoss": [({"delta": 0.7}, _numbers(2, 3, seed=1) + 0.2)],
    "CrossEntropyLoss": [
        ({}, np.array([2, 0])),
        ({"label_smoothing": 0.3, "ignore_index": 1, "base": 2}, np.array([2, 1])),
        ({"label_smoothing": 0.3}, _PROBABILITIES),
    ],
    "NLLLoss": [({"base": 2}, np.array([2, 0]))],
    "BCEWithLogitsLoss": [
        ({}, _PROBABILITIES),
        ({"pos_weight": hm.tensor([1.0, 2.0, 0.5], dtype=hm.float64)}, _PROBABILITIES),
    ],
    "KLDivLoss": [({"reduction": "batchmean"}, _PROBABILITIES), ({"log_target": True}, _numbers(2, 3, seed=1))],
    "PoissonNLLLoss": [({"full": True}, np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))],
    "GaussianNLLLoss": [],  # takes three inputs: below
    "BCELoss": [],  # takes probabilities: below
}


def test_every_layer_and_loss_is_here():
    rooms = (activation, conv, dropout, embedding, linear, normalization, padding, pooling, shape)
    assert {name for room in rooms for name in room.__all__} | {"CosineSimilarity"} == set(LAYERS)
    assert set(loss.__all__) - {"CosineSimilarity"} == set(LOSSES)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer(name):
    for make, *shapes in LAYERS[name]:
        layer = make().double()
        xs = [_input(*s, seed=i) for i, s in enumerate(shapes)]
        parameters = list(layer.parameters())
        for i, p in enumerate(parameters):
            with hm.no_grad():
                p.copy_(hm.tensor(_numbers(*p.shape, seed=7 + i) * 0.3))
        args = [*xs, *parameters]
        layer = layer if not isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) else _still(layer)
        assert gradcheck(lambda *a, f=layer, given=xs: f(*a[: len(given)]), args)
        assert gradgradcheck(lambda *a, f=layer, given=xs: f(*a[: len(given)]), args, atol=1e-4)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_results_can_be_viewed(name):
    """``y.view(n, -1)`` after any layer, as tutorials write it."""
    for make, *shapes in LAYERS[name]:
        y = make()(*(hm.tensor(_numbers(*s), dtype=hm.float32) for s in shapes))
        assert y.view(-1).shape == (y.numel(),)


def _still(layer):
    """A batch norm whose running statistics do not move while it is examined."""
    layer.momentum = 0.0
    return layer


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss(name, reduction):
    for options, target in LOSSES[name]:
        f = getattr(nn, name)(**{"reduction": reduction, **options})
        x, t = _input(2, 3), hm.tensor(target)
        assert gradcheck(lambda a, f=f, t=t: f(a, t), [x])
        assert gradgradcheck(lambda a, f=f, t=t: f(a, t), [x])


def test_bce_and_gaussian():
    x = hm.tensor(_PROBABILITIES, requires_grad=True)
    t = hm.tensor(_PROBABILITIES[::-1].copy(), requires_grad=True)
    assert gradcheck(F.binary_cross_entropy, [x, t])
    assert gradgradcheck(F.binary_cross_entropy, [x, t])
    y, v = _input(2, 3), hm.tensor(_PROBABILITIES + 0.1, requires_grad=True)
    assert gradcheck(F.gaussian_nll_loss, [x, y, v])
    assert gradgradcheck(F.gaussian_nll_loss, [x, y, v])


def test_embedding_and_attention():
    weight = _input(4, 2)
    index = hm.tensor([[0, 3], [3, 1]])
    assert gradcheck(lambda w: F.embedding(index, w), [weight])
    assert gradgradcheck(lambda w: F.embedding(index, w) ** 2, [weight])
    q, k, v = _input(2, 3), _input(4, 3, seed=1), _input(4, 2, seed=2)
    assert gradcheck(lambda *a: F.scaled_dot_product_attention(*a, is_causal=True), [q, k, v])
    assert gradgradcheck(F.scaled_dot_product_attention, [q, k, v], atol=1e-4)
    assert gradcheck(F.normalize, [q])


def test_stochastic_pooling_in_training_passes_the_gradient_to_the_value_drawn():
    x = hm.tensor(np.abs(_numbers(1, 2, 4, 4)), requires_grad=True)
    y = F.stochastic_pool2d(x, 2)
    y.sum().backward()
    picked = x.grad.numpy() != 0
    assert picked.sum() == 8
    windows = np.where(picked, x.detach().numpy(), 0).reshape(1, 2, 2, 2, 2, 2).sum((3, 5))
    np.testing.assert_array_equal(windows, y.detach().numpy())


@pytest.mark.parametrize("name", activation.__all__)
def test_no_nan_far_out(name):
    """Neither values nor gradients of any order are nan at the ends of the range."""
    if name in ("Threshold", "GLU", "Softmax2d"):
        return
    layer = getattr(nn, name)(*([0] if "max" in name or "min" in name else []))
    for dtype in (hm.float32, hm.float64):
        x = hm.tensor([-1e4, -200.0, -1.0, 0.0, 1.0, 200.0, 1e4], dtype=dtype, requires_grad=True)
        y = layer.to(dtype)(x)
        (gx,) = hm.autograd.grad(y.sum(), x, create_graph=True)
        assert np.isfinite(y.detach().numpy()).all()
        assert np.isfinite(gx.detach().numpy()).all()
        if gx.requires_grad:
            (ggx,) = hm.autograd.grad(gx.sum(), x, materialize_grads=True)
            assert np.isfinite(ggx.numpy()).all()


def test_layers_can_be_described():
    """Whatever a layer was built with stands in its description, and builds it again."""
    for cases in LAYERS.values():
        for make, *_ in cases:
            layer = make()
            again = nn.build(nn.describe(layer))
            assert repr(again) == repr(layer)
            assert list(again.state_dict()) == list(layer.state_dict())


def test_no_layer_takes_an_argument_without_a_word_about_it():
    rooms = (activation, conv, dropout, embedding, linear, loss, normalization, padding, pooling, shape)
    for room in rooms:
        for name in room.__all__:
            cls = getattr(nn, name)
            documented = any(c.__doc__ and ("Args:" in c.__doc__ or "see ``" in c.__doc__) for c in cls.__mro__[:3])
            takes = [p for p in list(inspect.signature(cls.__init__).parameters)[1:] if p not in ("args", "kwargs")]
            assert cls.__doc__, name
            assert documented or not takes or len(takes) <= 2, name
