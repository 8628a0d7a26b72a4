"""Training steps: every optimizer, learning rates that change, gradients from before, and what is recorded anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.errors import HaemaError
from haema.optim.optimizer import Optimizer
from tests.compiler.checking import all_close
from tests.optim.test_contract import ALL, VARIANTS, _loss, _params

DECAYS: dict[str, Any] = {"weight_decay": 0.02, "l1_decay": 0.01}
CASES = [
    *VARIANTS,
    *((c, {k: v}) for c in ALL for k, v in DECAYS.items() if not (c is optim.Rprop and k == "weight_decay")),
    *((c, {"maximize": True}) for c in ALL),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.1, "betas": (0.8, 0.9), "eps": 1e-6}),
]
every = pytest.mark.parametrize(
    ("make", "options"), CASES, ids=[f"{c.__name__}{'-' if o else ''}{'-'.join(o)}" for c, o in CASES]
)


def recorded(f: Callable[..., Any]) -> tuple[Any, list[int]]:
    """f compiled, and how often it was recorded."""
    count = [0]

    def counted(*args: Any) -> Any:
        count[0] += 1
        return f(*args)

    return hm.compile(counted), count


def step_of(optimizer: Optimizer, params: list[Tensor]) -> Callable[[], Tensor]:
    def step() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(params)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def state_of(optimizer: Optimizer) -> list[Tensor]:
    return [v for _, s in sorted(optimizer.state_dict()["state"].items()) for _, v in sorted(s.items())]


@every
@pytest.mark.parametrize("dtype", [hm.float32, hm.float64], ids=str)
def test_optimizers(make: type[Optimizer], options: dict[str, Any], dtype: Any) -> None:
    """Five steps with a learning rate that changes: parameters, state and losses; one program, or two where the
    first step makes the state."""
    losses, ends, count = [], [], [0]
    for compiled in (False, True):
        params = _params(dtype)
        optimizer = make(params, **options)
        step: Any = step_of(optimizer, params)
        if compiled:
            step, count = recorded(step)
        lr = optimizer.param_groups[0]["lr"]
        losses.append([])
        for k in range(5):
            optimizer.param_groups[0]["lr"] = lr / (1 + k)
            losses[-1].append(step())
        ends.append([*params, *state_of(optimizer)])
    assert count[0] <= 2
    all_close(losses[1], losses[0], scale=10)
    all_close(ends[1], ends[0], scale=10)


@pytest.mark.parametrize("make", ALL)
def test_state_made_before_needs_one_program(make: type[Optimizer]) -> None:
    params = _params()
    optimizer = make(params)
    optimizer.init_state()
    g, count = recorded(step_of(optimizer, params))
    for k in range(4):
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        g()
    assert count == [1]


def test_the_first_step_with_dampening_is_a_program_of_its_own() -> None:
    """It makes the velocity of the bare gradient; those that follow go on from it."""
    ends = []
    for wrap in (lambda f: f, hm.compile):
        params = _params(hm.float64)
        optimizer = optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.5)
        step = wrap(step_of(optimizer, params))
        for _ in range(4):
            step()
        ends.append([*params, *(optimizer.state[p]["momentum_buffer"] for p in params)])
    all_close(*ends)
    assert step.count == 2


def test_learning_rates_of_every_kind() -> None:
    """A fraction is read anew; 0, a whole number and a tensor are right too, whatever they cost."""
    for values in ((0.1, 0.2, 1e-9, 0.3), (0.1, 0.0, 0.1), (1, 2, 0.5), (0.1, np.float32(0.2), 0.3)):
        ends = []
        for wrap in (lambda f: f, hm.compile):
            params = _params(hm.float64)
            optimizer = optim.SGD(params, lr=0.1)
            step = wrap(step_of(optimizer, params))
            for lr in values:
                optimizer.param_groups[0]["lr"] = lr
                step()
            ends.append(params)
        all_close(*ends)
    rate = hm.tensor(0.1)
    params = _params()
    optimizer = optim.SGD(params, lr=rate)
    g, count = recorded(step_of(optimizer, params))
    g()
    rate.fill_(0.0)
    before = [p.tolist() for p in params]
    g()
    assert [p.tolist() for p in params] == before
    assert count == [1]


def test_options_and_groups_that_change() -> None:
    ends = []
    for wrap in (lambda f: f, hm.compile):
        params = _params(hm.float64)
        optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.01}], lr=0.02, momentum=0.5)
        step = wrap(step_of(optimizer, params))
        step()
        optimizer.param_groups[1]["lr"] = 0.03
        step()
        optimizer.param_groups[0]["weight_decay"] = 0.5
        step()
        optimizer.param_groups[0]["nesterov"] = True
        step()
        optimizer.param_groups[1]["momentum"] = 0
        step()
        ends.append([*params, *state_of(optimizer)])
    all_close(*ends)


def test_a_group_added_later() -> None:
    ends = []
    for wrap in (lambda f: f, hm.compile):
        params = _params(hm.float64)
        optimizer = optim.Adam(params[:2], lr=0.02)
        step = wrap(step_of(optimizer, params))
        step()
        optimizer.add_param_group({"params": params[2:], "lr": 0.5})
        step()
        step()
        ends.append(params)
    all_close(*ends)


def test_a_loaded_optimizer_state_is_used() -> None:
    params = _params()
    optimizer = optim.Adam(params, lr=0.1)
    g = hm.compile(step_of(optimizer, params))
    g()
    saved, values = optimizer.state_dict(), [p.detach().clone() for p in params]
    g(), g()
    expected = [p.tolist() for p in params]
    with hm.no_grad():
        for p, v in zip(params, values, strict=True):
            p.copy_(v)
    optimizer.load_state_dict(saved)
    g(), g()
    assert [p.tolist() for p in params] == expected


def test_a_loaded_model_state_is_used() -> None:
    model = nn.Linear(3, 2)
    g = hm.compile(model)
    x = hm.rand(4, 3)
    for _ in range(2):
        assert hm.allclose(g(x), model(x), rtol=1e-5)
        model.load_state_dict(nn.Linear(3, 2).state_dict())
    model.double()
    assert g(x.double()).dtype == hm.float64
    assert hm.allclose(g(x.double()), model(x.double()))


def test_gradients_from_before_accumulate() -> None:
    p = hm.ones(3, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        loss = (p * x).sum()
        loss.backward()
        return p.grad * 1

    g = hm.compile(f)
    assert g(hm.ones(3)).tolist() == [1, 1, 1]
    assert p.grad is None
    p.grad = hm.ones(3)
    assert g(hm.ones(3)).tolist() == [2, 2, 2]
    assert p.grad.tolist() == [2, 2, 2]
    assert g(hm.ones(3)).tolist() == [3, 3, 3]
    p.grad = hm.zeros(3)
    assert g(hm.ones(3)).tolist() == [1, 1, 1]
    p.grad = None
    assert g(hm.ones(3)).tolist() == [1, 1, 1]
    assert p.grad is None


def test_zeroed_gradients_stay_outside() -> None:
    p = hm.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5)
    (p * 1).sum().backward()

    @hm.compile
    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=False)
        (p * 2).sum().backward()
        optimizer.step()
        return p.grad * 1

    for k in range(3):
        assert step().tolist() == [2, 2]
        assert p.tolist() == [-k, -k]
        assert p.grad.tolist() == [2, 2]


def test_micro_batches() -> None:
    """Gradients gathered over two calls, and used by a third function."""
    ends = []
    for wrap in (lambda f: f, hm.compile):
        hm.manual_seed(0)
        model = nn.Linear(3, 2).double()
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        for p in model.parameters():
            p.grad = hm.zeros_like(p)
        x = hm.rand(8, 3, dtype=hm.float64)

        def gather(x: Tensor, model: Any = model) -> Tensor:
            loss = (model(x) ** 2).mean()
            loss.backward()
            return loss.detach()

        def use(optimizer: Any = optimizer) -> None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

        gather, use = wrap(gather), wrap(use)
        for k in range(6):
            gather(x[k : k + 2])
            if k % 2:
                use()
        ends.append(list(model.parameters()))
    all_close(*ends)


def test_the_step_of_a_schedule_is_refused_inside() -> None:
    params = _params()
    optimizer = optim.SGD(params, lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    before = [p.tolist() for p in params]

    def f() -> None:
        optimizer.step()
        scheduler.step()

    with pytest.raises(HaemaError, match=r"test_training.py:\d+: the step of a learning-rate schedule changes Python"):
        hm.compile(f)()
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert [p.tolist() for p in params] == before


def test_a_failed_recording_leaves_the_optimizer() -> None:
    """Its state, made while recording, has no values outside."""
    params = _params()
    optimizer = optim.Adam(params, lr=0.1)

    def f() -> Tensor:
        step_of(optimizer, params)()
        return hm.tensor(float(params[0].sum()))

    with pytest.raises(HaemaError, match="asks for the values"):
        hm.compile(f)()
    step_of(optimizer, params)()
    others = _params()
    step_of(optim.Adam(others, lr=0.1), others)()
    all_close(params, others)


@pytest.mark.parametrize("norm", [1.0, 2.0, float("inf")])
def test_clipping(norm: float) -> None:
    ends = []
    for wrap in (lambda f: f, hm.compile):
        params = _params(hm.float64)
        optimizer = optim.SGD(params, lr=0.1)

        def step(optimizer: Any = optimizer, params: Any = params) -> Tensor:
            optimizer.zero_grad()
            _loss(params).backward()
            total = nn.utils.clip_grad_norm_(params, 1.0, norm)
            nn.utils.clip_grad_value_(params, 0.5)
            optimizer.step()
            return total

        step = wrap(step)
        ends.append([step() for _ in range(3)] + params)
    all_close(*ends)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(108, 20), nn.ReLU(), nn.Dropout(0.2), nn.Linear(20, 3)),
    "cnn": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 7, 3, stride=2),
        nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 3),
    ),
    "norms": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.AvgPool2d(2), nn.Flatten(1),
        nn.LayerNorm(36), nn.Linear(36, 3),
    ),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(676, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [hm.float32, hm.float64], ids=str)
def test_networks(name: str, dtype: Any) -> None:
    """Five whole steps: losses, parameters, running statistics, random numbers."""
    rng = np.random.default_rng(0)
    x = hm.tensor(rng.standard_normal((6, 3, 6, 6)), dtype=dtype)
    y = hm.tensor(rng.integers(0, 3, 6))
    ends = []
    for wrap in (lambda f: f, hm.compile):
        hm.manual_seed(1)
        model = LAYERS[name]().to(dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(x: Tensor, y: Tensor, model: Any = model, optimizer: Any = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = wrap(step)
        losses = [step(x, y) for _ in range(5)]
        ends.append([*losses, *model.state_dict().values(), hm.rand(3)])
    all_close(*ends, scale=100)


def test_two_networks_take_turns() -> None:
    """Programs share memory with eager code and with each other through the tensors only."""
    ends = []
    for wrap in (lambda f: f, hm.compile):
        params = _params(hm.float64)
        optimizers = [optim.Adam(params, lr=0.01), optim.SGD(params, lr=0.01, momentum=0.9)]
        steps = [wrap(step_of(o, params)) for o in optimizers]
        for step in itertools.islice(itertools.cycle([*steps, step_of(optimizers[0], params)]), 9):
            step()
        ends.append(params)
    all_close(*ends)


@pytest.mark.parametrize("make", [
    lambda p: optim.SGD(p, lr=0.1), lambda p: optim.RMSprop(p, lr=0.01),
])  # fmt: skip
def test_momentum_that_is_switched_on_later(make):
    """Its state is made while a step is recorded, and is there from then on."""
    found = []
    for wrap in (lambda f: f, hm.compile):
        hm.manual_seed(0)
        model = nn.Linear(6, 3)
        optimizer = make(model.parameters())
        x = hm.randn(20, 6)

        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        g = wrap(step)
        losses = []
        for momentum in (0.0, 0.5, 0.5, 0.0):
            optimizer.param_groups[0]["momentum"] = momentum
            losses += [float(g(x)) for _ in range(2)]
        found.append(losses)
    assert found[1] == pytest.approx(found[0], rel=1e-4)
