"""Backpropagation and gradient descent: rows B1 to B6."""

import math
from itertools import pairwise

import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn, optim
from haema.optim import lr_scheduler


def test_b1_each_layer_goes_forward_and_backward():
    hm.manual_seed(0)
    one, act, two = nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1)
    network = nn.Sequential(one, act, two).double()
    seen = {}
    for name, block in (("one", one), ("act", act), ("two", two)):
        block.register_forward_hook(lambda _, x, y, name=name: seen.update({name: (x[0].detach(), y.detach())}))
        block.register_full_backward_hook(lambda _, gx, gy, name=name: seen.update({f"g {name}": (gx[0], gy[0])}))
    x = hm.randn(5, 3, dtype=hm.float64, requires_grad=True)
    network(x).square().sum().backward()
    # what each block keeps from its way forward is what its way backward needs
    a0, z1 = seen["one"]
    _, a1 = seen["act"]
    da1, dz2 = seen["g two"]
    assert hm.allclose(dz2, 2 * seen["two"][1])
    assert hm.allclose(two.weight.grad, dz2.T @ a1)
    assert hm.allclose(two.bias.grad, dz2.sum(0))
    assert hm.allclose(da1, dz2 @ two.weight)
    dz1 = seen["g act"][0]
    assert hm.allclose(dz1, da1 * F.sigmoid(z1) * (1 - F.sigmoid(z1)))
    assert hm.allclose(one.weight.grad, dz1.T @ a0)
    assert hm.allclose(x.grad, dz1 @ one.weight)


def test_b1_what_was_kept_for_the_way_back_must_not_be_changed():
    x = hm.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    loss = y.sum()
    y.detach().mul_(3)
    with pytest.raises(hm.HaemaError, match=r"exp.*changed in place"):
        loss.backward()


def test_b1_the_chain_rule_through_a_composition():
    t = hm.tensor(0.7, dtype=hm.float64, requires_grad=True)
    y = ((t.sin() ** 2).exp() * t).log()
    y.backward()
    assert t.grad.item() == pytest.approx(2 * math.sin(0.7) * math.cos(0.7) + 1 / 0.7, rel=1e-12)


def test_b1_gradients_agree_with_finite_differences():
    hm.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    x = hm.randn(4, 3, dtype=hm.float64, requires_grad=True)
    assert hm.autograd.gradcheck(lambda x: F.cross_entropy(network(x), hm.tensor([0, 1, 1, 0])), (x,))


def test_b1_gradients_of_gradients():
    x = hm.tensor([0.5, 2.0], dtype=hm.float64, requires_grad=True)
    (g,) = hm.autograd.grad((x**4).sum(), x, create_graph=True)
    (gg,) = hm.autograd.grad(g.sum(), x, create_graph=True)
    (ggg,) = hm.autograd.grad(gg.sum(), x)
    assert hm.allclose(g, 4 * x**3)
    assert hm.allclose(gg, 12 * x**2)
    assert hm.allclose(ggg, 24 * x)


class Count(hm.Callback):
    """Counts what a training consists of."""

    def __init__(self):
        self.epochs = self.iterations = 0
        self.rows = []

    def on_epoch_begin(self, run):
        self.epochs += 1

    def on_batch_end(self, run):
        self.iterations += 1


@pytest.mark.parametrize(
    ("batch_size", "iterations"), [(1000, 1), (100, 10), (1, 1000), (300, 4)], ids=["batch", "mini", "one", "odd"]
)
def test_b2_an_epoch_is_every_row_once_in_batches(batch_size, iterations):
    hm.manual_seed(0)
    x = hm.randn(1000, 3)
    y = x @ hm.tensor([1.0, -2.0, 0.5]) + 0.25
    trainer = hm.Trainer(nn.Linear(3, 1), "mse", "sgd", [], lr=0.01, seed=0)
    count = Count()
    trainer.fit(x, y, epochs=2, batch_size=batch_size, callbacks=[count], progress=False)
    assert (count.epochs, count.iterations) == (2, 2 * iterations)
    loader = hm.data.DataLoader(hm.data.TensorDataset(x, y), batch_size=batch_size)
    assert len(loader) == len(list(loader)) == iterations


def test_b2_batch_descent_is_smooth_and_a_single_sample_is_not():
    hm.manual_seed(0)
    x = hm.randn(200, 2)
    y = (x @ hm.tensor([[1.0], [-2.0]])) + 0.5 * hm.randn(200, 1)

    def rises(batch_size, lr):
        hm.manual_seed(1)
        line = nn.Linear(2, 1)
        optimizer = optim.SGD(line.parameters(), lr=lr)
        losses = []
        for i in range(60):
            rows = hm.arange(i * batch_size, (i + 1) * batch_size) % 200
            optimizer.zero_grad()
            F.mse_loss(line(x[rows]), y[rows]).backward()
            optimizer.step()
            losses.append(F.mse_loss(line(x), y).item())
        assert losses[-1] < losses[0] / 4
        return sum(b > a + 1e-6 for a, b in pairwise(losses))

    assert rises(200, 0.1) == 0
    assert rises(1, 0.1) > 10


def f(theta):
    """Something to descend on: its gradient is neither constant nor the same in both directions."""
    return (theta**2 * hm.tensor([0.5, 4.0], dtype=theta.dtype)).sum() + theta.prod()


def formula_sgd(g, theta, s, t):
    return theta - 0.05 * g


def formula_momentum(g, theta, s, t):
    s["v"] = 0.9 * s.get("v", 0) + g
    return theta - 0.05 * s["v"]


def formula_nesterov(g, theta, s, t):
    s["v"] = 0.9 * s.get("v", 0) + g
    return theta - 0.05 * (g + 0.9 * s["v"])


def formula_adagrad(g, theta, s, t):
    s["r"] = s.get("r", 0) + g * g
    return theta - 0.05 * g / (s["r"].sqrt() + 1e-10)


def formula_rmsprop(g, theta, s, t):
    s["r"] = 0.99 * s.get("r", 0) + 0.01 * g * g
    return theta - 0.05 * g / (s["r"].sqrt() + 1e-8)


def formula_adam(g, theta, s, t):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    m, v = s["m"] / (1 - 0.9**t), s["v"] / (1 - 0.999**t)
    return theta - 0.05 * m / (v.sqrt() + 1e-8)


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda p: optim.SGD(p, lr=0.05), formula_sgd),
        (lambda p: optim.SGD(p, lr=0.05, momentum=0.9), formula_momentum),
        (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), formula_nesterov),
        (lambda p: optim.Adagrad(p, lr=0.05), formula_adagrad),
        (lambda p: optim.RMSprop(p, lr=0.05), formula_rmsprop),
        (lambda p: optim.Adam(p, lr=0.05), formula_adam),
    ],
    ids=["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"],
)
def test_b3_each_optimizer_is_its_formula_step_by_step(make, formula):
    p = nn.Parameter(hm.tensor([1.5, -0.8], dtype=hm.float64))
    theta = p.detach().clone()
    optimizer, state = make([p]), {}
    for t in range(1, 31):
        optimizer.zero_grad()
        f(p).backward()
        theta = formula(p.grad.detach().clone(), theta, state, t)
        optimizer.step()
        assert hm.allclose(p.detach(), theta, rtol=1e-10, atol=1e-12), t


def descend(surface, start, make, steps):
    """Where an optimizer is after each step."""
    p = nn.Parameter(hm.tensor(start, dtype=hm.float64))
    optimizer = make([p])
    path = [p.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(p).backward()
        optimizer.step()
        path.append(p.detach().clone())
    return path


@pytest.mark.parametrize(("lr", "what"), [(0.001, "crawls"), (0.3, "arrives"), (0.95, "swings"), (1.05, "diverges")])
def test_b4_the_learning_rate_decides(lr, what):
    path = [p.item() for p in descend(lambda x: x.square().sum(), [1.0], lambda p: optim.SGD(p, lr=lr), 50)]
    end = abs(path[-1])
    signs = sum(a * b < 0 for a, b in pairwise(path))
    if what == "crawls":
        assert 0.9 < end < 1
    elif what == "arrives":
        assert end < 1e-10
    elif what == "swings":
        assert signs == 50
        assert end < 0.01
    else:
        assert signs == 50
        assert end > 100


def test_b4_a_local_minimum_holds_sgd_and_momentum_leaves_it():
    def valley(x):  # minima near -1 (the lower one) and 1
        return ((x**2 - 1) ** 2 + 0.3 * x).sum()

    still = descend(valley, [1.6], lambda p: optim.SGD(p, lr=0.01), 500)[-1].item()
    moving = descend(valley, [1.6], lambda p: optim.SGD(p, lr=0.01, momentum=0.95), 500)[-1].item()
    assert still > 0.9
    assert moving < -0.9
    assert valley(hm.tensor(moving)) < valley(hm.tensor(still))


def saddle(p):
    """x^2 - y^2: the smallest value in one direction and the largest in the other at (0, 0)."""
    return p[0] ** 2 - p[1] ** 2


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
}


def test_b4_sgd_stalls_on_a_saddle_and_the_others_get_away():
    ends = {name: descend(saddle, [1.0, 1e-5], make, 150)[-1] for name, make in OPTIMIZERS.items()}
    down = {name: end[1].item() for name, end in ends.items()}
    assert down["sgd"] < 1e-3
    assert abs(ends["sgd"][0].item()) < 0.1, "it went where the saddle is, and stays"
    for name in ("momentum", "rmsprop", "adam"):
        assert down[name] > 100 * down["sgd"], name
    assert down["rmsprop"] > 0.5
    assert down["adam"] > 0.5


def test_b4_nobody_leaves_a_saddle_whose_gradient_is_exactly_zero():
    for name, make in OPTIMIZERS.items():
        assert descend(saddle, [1.0, 0.0], make, 20)[-1][1].item() == 0, name


def test_b4_a_plateau_holds_sgd_for_long():
    def plateau(x):  # flat on the left, a hole at 3
        return -F.sigmoid(4 * (x - 2)).sum() + 0.1 * F.relu(x - 3).square().sum()

    sgd = descend(plateau, [0.0], OPTIMIZERS["sgd"], 300)[-1].item()
    adam = descend(plateau, [0.0], OPTIMIZERS["adam"], 300)[-1].item()
    assert sgd < 0.01
    assert adam > 1.5


def test_b4_in_a_ravine_sgd_swings_from_side_to_side_and_momentum_gets_along():
    def ravine(p):  # 100 times as steep across as along
        return 0.5 * p[0] ** 2 + 50 * p[1] ** 2

    sgd = descend(ravine, [10.0, 1.0], lambda p: optim.SGD(p, lr=0.0195), 60)
    momentum = descend(ravine, [10.0, 1.0], lambda p: optim.SGD(p, lr=0.0195, momentum=0.8), 60)
    adam = descend(ravine, [10.0, 1.0], lambda p: optim.Adam(p, lr=0.5), 60)
    crossings = sum((a[1] * b[1]).item() < 0 for a, b in pairwise(sgd))
    assert crossings == 60
    for path in (momentum, adam):
        assert ravine(path[-1]).item() < ravine(sgd[-1]).item() / 10


SCHEDULES = [
    (lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.95**epoch), lambda e: 0.95**e),
    (lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9 if epoch % 2 else 0.5), lambda e:
        0.9 ** ((e + 1) // 2) * 0.5 ** (e // 2)),
    (lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.1), lambda e: 0.1 ** (e // 3)),
    (lambda o: lr_scheduler.CyclicLR(o, base_lr=0.2, max_lr=1.0, step_size_up=4, cycle_momentum=False), lambda e:
        0.2 + 0.8 * (1 - abs(e % 8 / 4 - 1))),
    (lambda o: lr_scheduler.MultiStepLR(o, [2, 5], gamma=0.5), lambda e: 0.5 ** ((e >= 2) + (e >= 5))),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.8), lambda e: 0.8**e),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10), lambda e: (1 + math.cos(math.pi * e / 10)) / 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "rate"),
    SCHEDULES,
    ids=["lambda", "multiplicative", "step", "cyclic", "multistep", "exponential", "cosine"],
)
def test_b5_schedulers_set_the_learning_rate(make, rate):
    p = nn.Parameter(hm.ones(1))
    optimizer = optim.SGD([p], lr=1.0)
    scheduler = make(optimizer)
    for epoch in range(10):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate(epoch)), epoch
        before = p.item()
        p.grad = hm.ones(1)
        optimizer.step()
        assert before - p.item() == pytest.approx(rate(epoch), abs=1e-6), "and it is what the step takes"
        scheduler.step()


def test_b5_a_scheduler_in_a_training():
    x = hm.linspace(-1, 1, 40).reshape(-1, 1)
    trainer = hm.Trainer(nn.Linear(1, 1), "mse", "sgd", [], lr=0.4, seed=0)
    half = hm.LearningRateSchedule("StepLR", step_size=2, gamma=0.5)
    history = trainer.fit(x, 3 * x[:, 0], epochs=6, callbacks=[half], progress=False)
    assert history["lr"] == pytest.approx([0.4, 0.4, 0.2, 0.2, 0.1, 0.1])


def norms_by_layer(activation, init, depth=8):
    """The mean gradient norm of each hidden layer over an epoch on the digits."""
    hm.manual_seed(0)
    x, y = hm.data.digits()
    layers = [nn.Flatten(), nn.Linear(64, 32), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(32, 32), activation()]
    network = nn.Sequential(*layers, nn.Linear(32, 10))
    for layer in network:
        if isinstance(layer, nn.Linear):
            init(layer.weight)
            nn.init.zeros_(layer.bias)
    norms = hm.train.GradientNorms()
    hm.Trainer(network, lr=1e-4, seed=0).fit(x[:300] / 16.0, y[:300], epochs=1, callbacks=[norms], progress=False)
    return [values[0] for values in norms.norms.values()][:-1]


def test_b6_the_gradient_of_a_deep_sigmoid_network_shrinks_towards_the_input():
    norms = norms_by_layer(nn.Sigmoid, nn.init.xavier_normal_)
    assert len(norms) == 8
    assert all(a < b for a, b in pairwise(norms)), "smaller from layer to layer, seen from the output"
    assert norms[0] < 1e-3 * norms[-1]


def test_b6_with_relu_and_he_it_does_not():
    norms = norms_by_layer(nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))
    assert norms[0] > 0.3 * norms[-1]
    assert max(norms) < 10 * min(norms)
