"""Initial values: their distribution, that they are written in place, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import haema as hm
from haema import nn
from haema.errors import ShapeError
from haema.nn import init


def _weight(*shape):
    return nn.Parameter(hm.zeros(*shape, dtype=hm.float64))


def test_constants():
    w = _weight(2, 3)
    assert init.ones_(w) is w
    assert w.requires_grad
    assert w.is_leaf
    assert w.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert init.constant_(w, 2.5).tolist() == [[2.5] * 3] * 2
    assert init.zeros_(w).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert init.eye_(w).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_dirac_gives_the_input_back():
    x = hm.tensor(np.random.default_rng(0).normal(size=(1, 4, 5, 5)))
    for groups in (1, 2):
        layer = nn.Conv2d(4, 4, 3, padding=1, groups=groups, bias=False).double()
        init.dirac_(layer.weight, groups)
        np.testing.assert_array_equal(layer(x).detach().numpy(), x.numpy())


@pytest.mark.parametrize(
    ("function", "std", "uniform"),
    [
        (init.xavier_uniform_, math.sqrt(2 / 1100), True),
        (init.xavier_normal_, math.sqrt(2 / 1100), False),
        (init.kaiming_uniform_, math.sqrt(2 / 600), True),
        (init.kaiming_normal_, math.sqrt(2 / 600), False),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh"), 5 / 3 / math.sqrt(500), False),
        (lambda w: init.kaiming_uniform_(w, a=1.0), math.sqrt(1 / 600), True),
        (lambda w: init.uniform_(w, -1, 1), 1 / math.sqrt(3), True),
        (lambda w: init.normal_(w, 0, 3), 3, False),
        (lambda w: init.xavier_normal_(w, gain=2), 2 * math.sqrt(2 / 1100), False),
    ],
)
def test_spread(function, std, uniform):
    hm.manual_seed(0)
    w = function(_weight(500, 600)).detach().numpy()
    assert w.std() == pytest.approx(std, rel=0.01)
    assert abs(w.mean()) < 0.01 * std
    assert np.abs(w).max() <= math.sqrt(3) * std * (1 + 1e-9) if uniform else np.abs(w).max() > 3.5 * std


def test_fans_count_the_kernel():
    assert init.fans(hm.zeros(8, 3, 5, 5)) == (75, 200)


def test_truncated_normal():
    hm.manual_seed(0)
    w = init.trunc_normal_(_weight(300, 300), 1.0, 2.0, 0.0, 4.0).detach().numpy()
    assert w.min() >= 0
    assert w.max() <= 4
    # the mean and the variance of a normal distribution cut at alpha and beta standard deviations
    alpha, beta = -0.5, 1.5
    mass = 0.5 * (math.erf(beta / math.sqrt(2)) - math.erf(alpha / math.sqrt(2)))
    height = [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in (alpha, beta)]
    shift = (height[0] - height[1]) / mass
    var = 1 + (alpha * height[0] - beta * height[1]) / mass - shift**2
    assert w.mean() == pytest.approx(1 + 2 * shift, abs=0.01)
    assert w.std() == pytest.approx(2 * math.sqrt(var), rel=0.01)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3), (4, 4)])
def test_orthogonal(shape):
    w = init.orthogonal_(_weight(*shape), gain=2).detach().numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_sparse():
    w = init.sparse_(_weight(10, 7), 0.35).detach().numpy()
    assert ((w == 0).sum(0) == 4).all()


def test_generators():
    draws = [init.normal_, init.uniform_, init.trunc_normal_, init.xavier_normal_, init.kaiming_uniform_]
    for f in (*draws, init.orthogonal_, lambda w, generator: init.sparse_(w, 0.5, generator=generator)):
        a, b = (f(_weight(4, 5), generator=hm.Generator(3)) for _ in range(2))
        assert hm.equal(a, b)


def test_layers_start_as_pytorch_starts_them():
    hm.manual_seed(0)
    for layer, fan in ((nn.Linear(100, 300), 100), (nn.Conv2d(20, 60, 3, groups=2), 90), (nn.Conv1d(9, 99, 7), 63)):
        for p in layer.parameters():
            a = np.abs(p.detach().numpy())
            assert 0.9 / math.sqrt(fan) < a.max() <= 1 / math.sqrt(fan)
            assert a.mean() == pytest.approx(0.5 / math.sqrt(fan), rel=0.2)
    table = nn.Embedding(1000, 50, padding_idx=-1).weight.detach().numpy()
    assert table.std() == pytest.approx(1, abs=0.02)
    assert not table[-1].any()
    frozen = nn.Embedding.from_pretrained(hm.ones(2, 3))
    assert not frozen.weight.requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.calculate_gain("softly"), ValueError, "nonlinearity 'softly' is none of"),
        (lambda: init.calculate_gain("leaky_relu", "steep"), ValueError, "the slope of leaky_relu is a number"),
        (lambda: init.xavier_normal_(hm.zeros(3)), ShapeError, "at least 2 axes"),
        (lambda: init.kaiming_normal_(hm.zeros(3, 3), mode="fan"), ValueError, "mode must be 'fan_in' or 'fan_out'"),
        (lambda: init.eye_(hm.zeros(3)), ShapeError, "needs a matrix"),
        (lambda: init.dirac_(hm.zeros(3, 3)), ShapeError, "3, 4 or 5 axes"),
        (lambda: init.dirac_(hm.zeros(3, 3, 3), 2), ShapeError, "do not divide into 2 groups"),
        (lambda: init.orthogonal_(hm.zeros(3)), ShapeError, "at least 2 axes"),
        (lambda: init.sparse_(hm.zeros(3), 0.5), ShapeError, "needs a matrix"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_to_fill():
    for f in (init.kaiming_normal_, init.kaiming_uniform_):
        with pytest.warns(UserWarning, match="has no elements"):
            f(hm.zeros(0, 3))
    assert init.orthogonal_(hm.zeros(0, 3)).shape == (0, 3)
