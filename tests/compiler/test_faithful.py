"""Programs that once gave other results than Python would: each is run both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn, optim
from haema.errors import HaemaError


def both(f: Any, *args: Any) -> None:
    eager, compiled = f(*args), hm.compile(f)(*args)
    for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (eager, compiled)), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=2e-5, atol=2e-5)


def test_a_product_after_its_matrix_was_changed() -> None:
    """A copy made for the product before the change was used again after it."""
    x, w = hm.randn(128, 64), hm.randn(32, 64)

    def f(x: hm.Tensor) -> Any:
        before = x @ w.T
        w.mul_(2)
        after = x @ w.T
        w.div_(2)
        return before, after

    both(f, x)


def test_a_model_after_its_step() -> None:
    ends = []
    for wrap in (lambda f: f, hm.compile):
        hm.manual_seed(0)
        model = nn.Linear(64, 32)
        o = optim.SGD(model.parameters(), lr=0.1)

        def step(x: hm.Tensor, model: Any = model, o: Any = o) -> Any:
            o.zero_grad()
            y = model(x)
            (y * y).mean().backward()
            nn.utils.clip_grad_norm_(list(model.parameters()), 0.01)
            o.step()
            return model(x)

        hm.manual_seed(1)
        ends.append(wrap(step)(hm.randn(128, 64)))
    np.testing.assert_allclose(ends[1].detach().numpy(), ends[0].detach().numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda x: x.sum(2), [(4000, 0, 4096)]),
        (lambda x: x.sum(2), [(64, 0, 128)]),
        (lambda x: x.cumsum(1), [(5, 0)]),
        (lambda x, w: x @ w, [(64, 0, 5), (64, 5, 7)]),
        (lambda x, w: x @ w, [(64, 5, 6), (64, 6, 0)]),
    ],
)
def test_results_without_elements(f: Any, shapes: list[tuple[int, ...]]) -> None:
    """They were written all the same."""
    both(f, *(hm.zeros(s) for s in shapes))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.T.reshape(15).cumsum(0),
        lambda x: x.round().T.reshape(15).argmax(0),
        lambda x: x.round().T.reshape(15).max(0)[1],
    ],
)
def test_the_order_along_an_axis_that_runs_through_two(f: Any) -> None:
    both(f, hm.randn(3, 5))


def test_positions_in_what_is_drawn_and_padded() -> None:
    i = hm.tensor([0, 6, 3])
    both(lambda i: F.pad(hm.ones(5), (1, 1))[i], i)
    hm.manual_seed(0)
    eager = hm.rand(10)[i]
    hm.manual_seed(0)
    assert hm.compile(lambda i: hm.rand(10)[i])(i).tolist() == eager.tolist()


@pytest.mark.parametrize("lr", [1, np.float64(1), 1.0])
def test_a_schedule_in_a_loop_from_every_kind_of_number(lr: Any) -> None:
    ends = []
    for looped in (False, True):
        p = hm.tensor([1.0], requires_grad=True)
        o = optim.SGD([p], lr=lr)
        schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)

        def step(x: hm.Tensor, o: Any = o, p: Any = p) -> None:
            o.zero_grad()
            (p * x).sum().backward()
            o.step()

        if looped:
            hm.compile(step).loop(hm.ones(4, 1), np.zeros((4, 1), np.int64), scheduler=schedule)
        else:
            for _ in range(4):
                step(hm.ones(1, 1))
                schedule.step()
        ends.append((p.item(), float(o.param_groups[0]["lr"])))
    assert ends[0] == pytest.approx(ends[1])


def test_a_schedule_of_what_the_program_holds_fixed() -> None:
    p = hm.tensor([1.0], requires_grad=True)
    o = optim.SGD([p], lr=hm.tensor(1.0))
    schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)
    g = hm.compile(lambda x: (x * 2).sum())
    with pytest.raises(HaemaError, match="a schedule needs options that are numbers"):
        g.loop(hm.ones(4, 1), np.zeros((4, 1), np.int64), scheduler=schedule)


def test_a_loop_that_ends_early_leaves_the_schedule_where_it_ended() -> None:
    p = hm.tensor([1.0], requires_grad=True)
    o = optim.SGD([p], lr=1.0)
    schedule = optim.lr_scheduler.ExponentialLR(o, 0.5)

    def step(x: hm.Tensor) -> None:
        o.zero_grad()
        (p * x).sum().backward()
        o.step()

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hm.compile(step).loop(hm.ones(4, 1), np.zeros((50, 1), np.int64), scheduler=schedule, progress=stop)
    assert o.param_groups[0]["lr"] == 0.5
    assert p.item() == 0


def test_a_compiled_function_inside_another() -> None:
    w = hm.ones(3)
    inner = hm.compile(lambda: w * 2)
    inner()
    with pytest.raises(HaemaError, match="is called inside another compiled function"):
        hm.compile(lambda x: x + inner())(hm.ones(3))


def test_the_mode_of_a_module_whose_forward_is_compiled() -> None:
    class Noisy(nn.Module):
        @hm.compile
        def forward(self, x: hm.Tensor) -> hm.Tensor:
            return F.dropout(x, 0.5, self.training)

    m = Noisy()
    assert (m(hm.ones(100)) == 0).any()
    assert m.eval()(hm.ones(100)).tolist() == [1] * 100


def test_settings_that_change() -> None:
    m = nn.Sequential(nn.Linear(2, 2))
    g = hm.compile(m)
    x = hm.ones(1, 2)
    before = g(x)
    m.register_forward_hook(lambda module, args, out: out + 100)
    assert (g(x) - before).tolist() == [[100, 100]]

    f = hm.compile(lambda x: x + hm.ones(1))
    assert f(hm.ones(1, dtype=hm.float32)).dtype == hm.float32
    made = hm.compile(lambda x: hm.ones(1))
    made(x)
    hm.set_default_dtype(hm.float64)
    try:
        assert made(x).dtype == hm.float64
    finally:
        hm.set_default_dtype(hm.float32)


def test_a_parameter_that_is_thawed() -> None:
    v, w = (hm.ones(1, requires_grad=wants) for wants in (True, False))
    o = optim.SGD([v, w], lr=0.1)

    @hm.compile
    def step() -> None:
        o.zero_grad()
        (v * w).sum().backward()
        o.step()

    step()
    w.requires_grad_(True)
    step()
    assert w.item() < 1


def test_values_that_python_reads() -> None:
    c = hm.tensor(1.0)
    f = hm.compile(lambda x: x * c.item())
    assert f(hm.ones(1)).item() == 1
    c.fill_(3)
    assert f(hm.ones(1)).item() == 3

    def counted(x: hm.Tensor) -> hm.Tensor:
        c.add_(1)
        return x * float(c)

    with pytest.raises(HaemaError, match="the program asks Python for the values"):
        hm.compile(counted)(hm.ones(1))
    big = hm.ones(100)
    with pytest.raises(HaemaError, match="the program asks Python for the values"):
        hm.compile(lambda x: x * big.numpy()[0])(hm.ones(1))


def test_arguments_in_the_memory_of_a_state() -> None:
    big = hm.zeros(10)
    part = big[:5]

    def through_part(x: hm.Tensor) -> hm.Tensor:
        part.add_(1)
        return x.sum()

    with pytest.raises(HaemaError, match="changes as well; clone"):
        hm.compile(through_part)(big)

    w = hm.zeros(3)

    def through_argument(x: hm.Tensor) -> hm.Tensor:
        x.add_(1)
        return w * 1

    with pytest.raises(HaemaError, match="changes as well; clone"):
        hm.compile(through_argument)(w)


def test_a_long_chain() -> None:
    def f(x: hm.Tensor) -> hm.Tensor:
        for _ in range(400):
            x = x * 1.001 + 0.001
        return x

    both(f, hm.ones(5))


def test_seeding_inside() -> None:
    with pytest.raises(HaemaError, match="seeding a random generator"):
        hm.compile(lambda x: (hm.manual_seed(5), x)[1])(hm.ones(1))
