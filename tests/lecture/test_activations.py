"""Activation functions, their derivatives and ranges: rows A1 and A2."""

import math

import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn

S = [-3.0, -1.0, -0.25, 0.0, 0.5, 2.0, 6.0]


def value_and_derivative(f, points):
    s = hm.tensor(points, dtype=hm.float64, requires_grad=True)
    r = f(s)
    (slope,) = hm.autograd.grad(r.sum(), s)
    return r.detach(), slope


def close(a, b, tolerance=1e-12):
    return hm.allclose(a, hm.as_tensor(b, dtype=a.dtype), rtol=tolerance, atol=tolerance)


def test_a1_step():
    s = hm.tensor([-2.0, -1e-6, 0.0, 1e-6, 2.0])
    assert F.step(s).tolist() == [0, 0, 1, 1, 1]
    assert nn.Step(bipolar=True)(s).tolist() == [-1, -1, 1, 1, 1]
    # "Impossible" at 0, says document 001; haema gives 0 there as everywhere, so that the gradient is a number.
    x = hm.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    y = F.step(x)
    assert not y.requires_grad or hm.autograd.grad(y.sum(), x)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0])
def test_a1_sigmoid_with_slope(a):
    r, slope = value_and_derivative(nn.Sigmoid(a), S)
    # Document 000 prints 1 / (1 + e^x), which falls; the sigmoid is 1 / (1 + e^-x), as 001 and 002 have it.
    assert close(r, [1 / (1 + math.exp(-a * s)) for s in S])
    assert close(slope, a * r * (1 - r))
    assert r[3] == 0.5
    assert r.min() > 0
    assert r.max() < 1


def test_a1_the_sigmoids_derivative_peaks_at_a_quarter():
    # Document 001 says 0.3.
    _, slope = value_and_derivative(F.sigmoid, hm.linspace(-8, 8, 1601).tolist())
    assert close(slope.max(), 0.25)
    assert slope.argmax() == 800
    # outside of [-4, 4] hardly anything is left
    assert value_and_derivative(F.sigmoid, [-4.0, 4.0])[1].max() < 0.018


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_a1_tanh_of_the_table(a):
    r, slope = value_and_derivative(nn.BipolarSigmoid(a), S)
    assert close(r, [2 / (1 + math.exp(-a * s)) - 1 for s in S])
    assert close(slope, a / 2 * (1 - r**2))
    assert close(nn.BipolarSigmoid(2.0)(r), nn.Tanh()(r)), "slope 2 is the ordinary tanh"


def test_a1_tanh():
    r, slope = value_and_derivative(nn.Tanh(), S)
    assert close(r, [(math.exp(s) - math.exp(-s)) / (math.exp(s) + math.exp(-s)) for s in S])
    assert close(slope, 1 - r**2)
    assert r[3] == 0
    assert r.min() > -1
    assert r.max() < 1


def test_a1_relu():
    r, slope = value_and_derivative(nn.ReLU(), S)
    assert r.tolist() == [0, 0, 0, 0, 0.5, 2, 6]
    assert slope.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a1_leaky_relu():
    r, slope = value_and_derivative(nn.LeakyReLU(), S)
    assert close(r, [max(0.01 * s, s) for s in S])
    assert close(slope, [0.01, 0.01, 0.01, 0.01, 1, 1, 1])


def test_a1_prelu_given_and_learned():
    given, slope = value_and_derivative(lambda s: F.prelu(s, s.new_tensor([0.3])), S)
    assert close(given, [max(0.3 * s, s) for s in S])
    assert close(slope[:3], [0.3] * 3)
    layer = nn.PReLU(init=0.1)
    layer(hm.tensor([-2.0, 1.0])).sum().backward()
    assert layer.weight.grad.tolist() == [-2], "the slope has a gradient, so that it is learned"


def test_a1_elu():
    r, slope = value_and_derivative(nn.ELU(alpha=1.5), S)
    assert close(r, [s if s > 0 else 1.5 * (math.exp(s) - 1) for s in S])
    assert close(slope, [1 if s > 0 else 1.5 * math.exp(s) for s in S])
    assert r.min() > -1.5


def test_a1_softmax():
    s = hm.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], dtype=hm.float64)
    o = nn.Softmax(dim=1)(s)
    total = math.e + math.e**2 + math.e**3
    assert close(o[0], [math.e / total, math.e**2 / total, math.e**3 / total])
    assert close(o.sum(dim=1), [1, 1])
    assert close(o[1], [1 / 3] * 3)
    assert o[0].max() > s[0].max() / s[0].sum(), "the largest gets more than its share"


def test_a2_the_derivative_of_relu_at_zero_is_zero():
    # Document 001 has it both ways: "impossible" in its table, 0 in its formula. haema takes 0.
    assert value_and_derivative(F.relu, [0.0])[1].item() == 0
    assert value_and_derivative(F.relu, [-0.0])[1].item() == 0


def gradient_norms(activation, init, depth=12, width=64):
    """The norm of each layer's weight gradient, the first layer's first."""
    hm.manual_seed(0)
    layers = [nn.Linear(width, width) for _ in range(depth)]
    for layer in layers:
        init(layer.weight)
        nn.init.zeros_(layer.bias)
    network = nn.Sequential(*(m for layer in layers for m in (layer, activation())))
    network(hm.randn(128, width)).square().mean().backward()
    return [layer.weight.grad.norm().item() for layer in layers]


def test_a2_the_gradient_vanishes_in_a_deep_stack_of_sigmoids_but_not_of_relus():
    sigmoid = gradient_norms(nn.Sigmoid, nn.init.xavier_normal_)
    tanh = gradient_norms(nn.Tanh, nn.init.xavier_uniform_)
    relu = gradient_norms(nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))
    first_to_last = [norms[0] / norms[-1] for norms in (sigmoid, tanh, relu)]
    assert first_to_last[0] < 1e-5
    assert first_to_last[2] > 0.1
    assert first_to_last[0] < first_to_last[1]


def test_a2_what_a_chain_of_thirty_derivatives_comes_to():
    def chain(f):
        def deep(s):
            for _ in range(30):
                s = f(s)
            return s

        return value_and_derivative(deep, [0.5, 1.0, 2.0])[1]

    assert chain(F.sigmoid).max() < 0.25**30
    assert chain(F.tanh).max() < 0.1
    assert chain(F.relu).tolist() == chain(F.leaky_relu).tolist() == chain(F.elu).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("activation", "dead"), [(nn.ReLU, True), (nn.LeakyReLU, False), (nn.ELU, False)], ids=["relu", "leaky", "elu"]
)
def test_a2_a_relu_can_die_and_leaky_relu_and_elu_cannot(activation, dead):
    unit = nn.Sequential(nn.Linear(2, 1), activation())
    unit[0].load_state_dict({"weight": hm.ones(1, 2), "bias": hm.tensor([-5.0])})  # below 0 for all inputs
    x, y = hm.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), hm.ones(3, 1)
    optimizer = hm.optim.SGD(unit.parameters(), lr=0.5)
    first = unit[0].bias.item()
    for _ in range(20):
        optimizer.zero_grad()
        F.mse_loss(unit(x), y).backward()
        optimizer.step()
    moved = abs(unit[0].bias.item() - first)
    assert (moved == 0) == dead
