"""Each optimizer against its source's formula, written out for one number; weight decay (T6) in all its forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import haema as hm
from haema import optim

GRADIENTS = [0.5, -1.0, 2.0, 0.25, -0.125, 3.0, -0.5, 1.5] * 4


def _path(make: Any, start: float = 1.0, **options: Any) -> list[float]:
    """The values of one parameter that gets ``GRADIENTS``."""
    p = hm.tensor([start], dtype=hm.float64, requires_grad=True)
    optimizer = make([p], **options)
    values = []
    for g in GRADIENTS:
        p.grad = hm.tensor([g], dtype=hm.float64)
        optimizer.step()
        values.append(p[0].item())
    return values


Formula = Callable[[float], Iterator[float]]


def momentum(x: float) -> Iterator[float]:
    v = 0.0
    for g in GRADIENTS:
        v = 0.9 * v + g
        x -= 0.1 * v
        yield x


def nesterov(x: float) -> Iterator[float]:
    v = 0.0
    for g in GRADIENTS:
        v = 0.9 * v + g
        x -= 0.1 * (g + 0.9 * v)
        yield x


def adagrad(x: float) -> Iterator[float]:
    s = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        s += g * g
        x -= 0.1 / (1 + (t - 1) * 0.05) * g / (math.sqrt(s) + 1e-10)
        yield x


def rmsprop(x: float) -> Iterator[float]:
    v = 0.0
    for g in GRADIENTS:
        v = 0.99 * v + 0.01 * g * g
        x -= 0.01 * g / (math.sqrt(v) + 1e-8)
        yield x


def adam(x: float) -> Iterator[float]:
    m = v = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x -= 0.1 * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield x


def lion(x: float) -> Iterator[float]:
    m = 0.0
    for g in GRADIENTS:
        x *= 1 - 0.1 * 0.5
        x -= 0.1 * math.copysign(1, 0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
        yield x


@pytest.mark.parametrize(
    ("make", "options", "formula"),
    [
        (optim.SGD, {"lr": 0.1, "momentum": 0.9}, momentum),
        (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, nesterov),
        (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.05}, adagrad),
        (optim.RMSprop, {}, rmsprop),
        (optim.Adam, {"lr": 0.1}, adam),
        (optim.Lion, {"lr": 0.1, "weight_decay": 0.5}, lion),
    ],
)
def test_source_formulas(make: Any, options: dict[str, Any], formula: Formula) -> None:
    """LECTURE B3."""
    assert _path(make, **options) == pytest.approx(list(formula(1.0)), rel=1e-12)


def test_bias_correction_is_accurate_in_the_first_and_the_millionth_step() -> None:
    """1 - beta^t as -expm1(t log beta): no digits are lost where beta^t is close to 1."""
    p = hm.tensor([0.0], dtype=hm.float64, requires_grad=True)
    optimizer = optim.Adam([p], lr=1.0, betas=(1 - 1e-12, 1 - 1e-12), eps=0)
    p.grad = hm.tensor([2.0], dtype=hm.float64)
    optimizer.step()
    assert p.item() == pytest.approx(-1, rel=1e-4)  # 1 - beta itself has but four digits here
    optimizer = optim.Adam([p], lr=1.0)
    optimizer.step()
    optimizer.state[p]["step"].fill_(1e6)
    before = p.item()
    optimizer.step()
    assert abs(p.item() - before) < 10


def test_weight_decay_of_gradient_descent() -> None:
    """LECTURE T6: theta <- theta (1 - eta lambda) - eta grad."""
    theta, expected = _path(optim.SGD, 2.0, lr=0.1, weight_decay=0.3), 2.0
    for g, value in zip(GRADIENTS, theta, strict=True):
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * g
        assert value == pytest.approx(expected, rel=1e-13)


def test_l1_decay_of_gradient_descent() -> None:
    theta, expected = _path(optim.SGD, 2.0, lr=0.1, l1_decay=0.3), 2.0
    for g, value in zip(GRADIENTS, theta, strict=True):
        expected -= 0.1 * (g + 0.3 * math.copysign(1, expected))
        assert value == pytest.approx(expected, rel=1e-12)


ADAPTIVE = (optim.Adagrad, optim.RMSprop, optim.Adadelta, optim.Adam, optim.NAdam, optim.RAdam, optim.Adamax)


@pytest.mark.parametrize("make", [optim.SGD, *ADAPTIVE])
def test_coupled_decay_is_part_of_the_gradient(make: Any) -> None:
    """With L2 and L1 a step is that of the loss with lambda_2 / 2 |theta|^2 + lambda_1 |theta| added."""
    values = {}
    for inside in (True, False):
        p = hm.tensor([1.0, -2.0, 0.0, 0.5], dtype=hm.float64, requires_grad=True)
        optimizer = make([p], lr=0.05) if inside else make([p], lr=0.05, weight_decay=0.2, l1_decay=0.3)
        for _ in range(12):
            optimizer.zero_grad()
            loss = ((p - 0.3) * (p - 0.3)).sum()
            if inside:
                loss = loss + 0.1 * (p * p).sum() + 0.3 * p.abs().sum()
            loss.backward()
            optimizer.step()
        values[inside] = p.tolist()
    assert values[True] == pytest.approx(values[False], rel=1e-12)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (optim.AdamW, {}),
        (optim.Adam, {"decoupled_weight_decay": True}),
        (optim.NAdam, {"decoupled_weight_decay": True}),
        (optim.RAdam, {"decoupled_weight_decay": True}),
        (optim.Lion, {}),
    ],
)
def test_decoupled_decay_passes_by_the_averages(make: Any, options: dict[str, Any]) -> None:
    p = hm.tensor([1.0, -2.0, 0.0], dtype=hm.float64, requires_grad=True)
    q = hm.tensor([1.0, -2.0, 0.0], dtype=hm.float64, requires_grad=True)
    bare = {"weight_decay": 0.0} | options
    with_decay, without = (
        make([p], lr=0.1, **options | {"weight_decay": 0.2, "l1_decay": 0.3}),
        make([q], lr=0.1, **bare),
    )
    for _ in range(5):
        old = p.detach().clone()
        with hm.no_grad():
            q.copy_(old)
        p.grad, q.grad = hm.tensor([1.0, 2.0, -3.0]).double(), hm.tensor([1.0, 2.0, -3.0]).double()
        with_decay.step()
        without.step()
        expected = q.detach() - 0.1 * 0.2 * old - 0.1 * 0.3 * old.sign()
        assert p.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_l1_drives_weights_to_zero_and_l2_shrinks_them() -> None:
    """With no other force, L1 takes off the same from each weight and L2 the same share."""
    ends = {}
    for name in ("l1_decay", "weight_decay"):
        p = hm.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=hm.float64, requires_grad=True)
        optimizer = optim.SGD([p], lr=0.1, **{name: 1.0})
        for _ in range(5):
            p.grad = hm.zeros(5, dtype=hm.float64)
            optimizer.step()
        ends[name] = p.tolist()
    assert ends["l1_decay"] == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5])
    assert ends["weight_decay"] == pytest.approx([x * 0.9**5 for x in (1, 2, 3, 4, 5)])


def test_a_saddle_holds_sgd_and_not_the_others() -> None:
    """LECTURE B4: f = x^2 - y^2 from (1, 1e-4)."""
    heights = {}
    for name, optimizer in {
        "SGD": lambda ps: optim.SGD(ps, lr=0.01),
        "momentum": lambda ps: optim.SGD(ps, lr=0.01, momentum=0.9),
        "RMSprop": lambda ps: optim.RMSprop(ps),
        "Adam": lambda ps: optim.Adam(ps, lr=0.01),
    }.items():
        x, y = (hm.tensor(v, dtype=hm.float64, requires_grad=True) for v in (1.0, 1e-4))
        o = optimizer([x, y])
        for _ in range(120):
            o.zero_grad()
            (x * x - y * y).backward()
            o.step()
        heights[name] = (x * x - y * y).item()
    assert abs(heights["SGD"]) < 0.01
    assert all(heights[k] < -0.5 for k in ("momentum", "RMSprop", "Adam")), heights
