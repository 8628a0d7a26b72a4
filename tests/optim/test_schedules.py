"""What every schedule must keep, tested for each that exists; special cases; what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

import haema as hm
from haema import optim
from haema.errors import InputError
from haema.optim import lr_scheduler as S
from haema.optim.lr_scheduler import LRScheduler
from haema.optim.swa_utils import SWALR

Make = Callable[[optim.Optimizer], Any]


class Halving:
    """A schedule function with something to remember."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, t: float) -> float:
        self.calls += 1
        return 1 / (1 + self.calls)


MAKERS: dict[str, Make] = {
    "LambdaLR": lambda o: S.LambdaLR(o, lambda t: 0.9**t),
    "LambdaLR with memory": lambda o: S.LambdaLR(o, [Halving(), Halving()]),
    "MultiplicativeLR": lambda o: S.MultiplicativeLR(o, [lambda t: 0.9, lambda t: 0.8]),
    "StepLR": lambda o: S.StepLR(o, 3),
    "MultiStepLR": lambda o: S.MultiStepLR(o, [2, 5, 5, 9]),
    "ConstantLR": lambda o: S.ConstantLR(o, 0.5, 6),
    "LinearLR": lambda o: S.LinearLR(o, total_iters=9),
    "ExponentialLR": lambda o: S.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: S.PolynomialLR(o, 15, 2.0),
    "CosineAnnealingLR": lambda o: S.CosineAnnealingLR(o, 7, 0.01),
    "CosineAnnealingWarmRestarts": lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda o: S.CyclicLR(o, 0.01, 0.1, 4, 3, "triangular2"),
    "CyclicLR with a function": lambda o: S.CyclicLR(o, 0.01, 0.1, 4, scale_fn=Halving()),
    "OneCycleLR": lambda o: S.OneCycleLR(o, [0.1, 0.2], 30),
    "ReduceLROnPlateau": lambda o: S.ReduceLROnPlateau(o, patience=1, cooldown=2),
    "SequentialLR": lambda o: S.SequentialLR(o, [S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.9)], [4]),
    "ChainedScheduler": lambda o: S.ChainedScheduler([S.StepLR(o, 2), S.ExponentialLR(o, 0.9)]),
    "SWALR": lambda o: SWALR(o, 0.05, 6),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def _optimizer(lr: Any = 0.2, **options: Any) -> optim.Optimizer:
    a, b = (hm.ones(2, requires_grad=True) for _ in range(2))
    return optim.SGD([{"params": [a], "lr": lr}, {"params": [b]}], lr=0.1, momentum=0.5, **options)


def _step(schedule: LRScheduler, t: int) -> None:
    if isinstance(schedule, S.ReduceLROnPlateau):
        schedule.step([1.0, 1.0, 1.0, 0.5, 0.6][t % 5])
    else:
        schedule.step()


def _rates(optimizer: optim.Optimizer) -> list[tuple[Any, ...]]:
    return [(float(g["lr"]), g["momentum"]) for g in optimizer.param_groups]


def test_every_schedule_is_tested() -> None:
    exist = {n for n in S.__all__ if n != "LRScheduler"}
    assert exist <= {name.split(" ")[0] for name in MAKERS}


@every
def test_state_goes_on_to_the_same_bits(make: Make) -> None:
    optimizer = _optimizer()
    schedule = make(optimizer)
    for t in range(7):
        _step(schedule, t)
    saved, options = schedule.state_dict(), optimizer.state_dict()
    text = json.loads(json.dumps(saved))
    assert "optimizer" not in saved
    expected = []
    for t in range(7, 20):
        _step(schedule, t)
        expected.append((_rates(optimizer), schedule.get_last_lr(), schedule.state_dict().get("last_epoch")))
    for state in (saved, text):
        other = _optimizer()
        resumed = make(other)
        _step(resumed, 0)
        resumed.load_state_dict(state)
        other.load_state_dict(options)
        found = []
        for t in range(7, 20):
            _step(resumed, t)
            found.append((_rates(other), resumed.get_last_lr(), resumed.state_dict().get("last_epoch")))
        assert found == expected


@every
def test_the_rates_are_those_that_it_reports(make: Make) -> None:
    optimizer = _optimizer()
    schedule = make(optimizer)
    seen = set()
    for t in range(20):
        rates = [g["lr"] for g in optimizer.param_groups]
        assert schedule.get_last_lr() == rates
        assert all(type(r) is float and r >= 0 for r in rates)
        seen.add(tuple(rates))
        _step(schedule, t)
    assert len(seen) > 1


@every
def test_a_rate_that_is_a_tensor_is_written_into(make: Make) -> None:
    rate = hm.tensor(0.2, dtype=hm.float64)
    optimizer, plain = _optimizer(rate), _optimizer(0.2)
    schedule, other = make(optimizer), make(plain)
    for t in range(10):
        _step(schedule, t)
        _step(other, t)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(plain.param_groups[0]["lr"], rel=1e-13)
    assert schedule.get_last_lr()[0] is not rate
    assert float(schedule.get_last_lr()[0]) == rate.item()


def test_epochs_can_be_jumped_to() -> None:
    for name in ("StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
                 "CosineAnnealingLR", "LambdaLR"):  # fmt: skip
        walked, jumped = _optimizer(), _optimizer()
        walk, jump = MAKERS[name](walked), MAKERS[name](jumped)
        for _ in range(11):
            walk.step()
        jump.step(11)
        for a, b in zip(walk.get_last_lr(), jump.get_last_lr(), strict=True):
            assert a == pytest.approx(b, rel=1e-12), name


def test_a_schedule_can_start_late() -> None:
    optimizer = _optimizer()
    with pytest.raises(InputError, match="parameter group 0 has no 'initial_lr', which last_epoch=4 needs"):
        S.StepLR(optimizer, 3, last_epoch=4)
    for group in optimizer.param_groups:
        group["initial_lr"] = 0.4
    assert S.CosineAnnealingLR(optimizer, 10, last_epoch=4).last_epoch == 5


def test_warm_restarts_begin_anew_at_their_epochs() -> None:
    """log(243, 3) is below 5 in floating point, and the sixth run must begin all the same."""
    schedule = S.CosineAnnealingWarmRestarts(_optimizer(), 2, 3)
    for epoch, length in ((0, 2), (2, 6), (8, 18), (26, 54), (80, 162), (242, 486), (728, 1458)):
        schedule.step(epoch)
        assert (schedule.T_cur, schedule.T_i) == (0, length)
        assert schedule.get_last_lr() == [0.2, 0.1]
    with pytest.raises(InputError, match="epoch must be at least 0, not -1"):
        schedule.step(-1)


def test_one_cycle_ends() -> None:
    schedule = S.OneCycleLR(_optimizer(), 0.1, 5)
    for _ in range(5):
        schedule.step()
    with pytest.raises(InputError, match="step 6 is after the end; total_steps is 5"):
        schedule.step()
    optimizer = _optimizer()
    schedule = S.OneCycleLR(optimizer, 1.0, 1, pct_start=1.0, div_factor=4.0)
    assert all(math.isfinite(lr) for lr in schedule.get_last_lr())


def test_plateau_with_more_groups() -> None:
    optimizer = _optimizer()
    one, many = (S.ReduceLROnPlateau(optimizer, patience=0, min_lr=m) for m in (0.01, [0.01, 0.01]))
    optimizer.add_param_group({"params": [hm.ones(1, requires_grad=True)]})
    for _ in range(2):
        one.step(hm.tensor(1.0))
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.02, 0.01, 0.01])
    many.step(1.0)
    with pytest.raises(InputError, match="min_lr has 2 values, and the optimizer now has 3 parameter groups"):
        many.step(1.0)
    one.step(0.1, epoch=9)
    assert one.last_epoch == 9


def _adadelta() -> optim.Optimizer:
    return optim.Adadelta([hm.ones(1, requires_grad=True)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: S.StepLR(o, 0), "step_size must be at least 1, not 0"),
        (lambda o: S.ConstantLR(o, 1.5), "factor must be from 0 to 1, not 1.5"),
        (lambda o: S.LinearLR(o, 0.0), "start_factor must be above 0 and at most 1, not 0.0"),
        (lambda o: S.LinearLR(o, 1.0, 2.0), "end_factor must be from 0 to 1, not 2.0"),
        (lambda o: S.LambdaLR(o, [abs]), "lr_lambda has 1 values, and the optimizer has 2 parameter groups"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 0), "T_0 must be a positive integer, not 0"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 1, 1.5), "T_mult must be a positive integer, not 1.5"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 1, 1, "x"), "eta_min must be a number, not 'x'"),
        (lambda o: S.CyclicLR(o, 0.1, 1, mode="square"), "mode must be 'triangular', .* not 'square'"),
        (lambda o: S.CyclicLR(o, 0.1, 1, scale_mode="x"), "scale_mode must be 'cycle' or 'iterations', not 'x'"),
        (lambda o: S.CyclicLR(o, [0.1], 1), "base_lr has 1 values"),
        (lambda o: S.CyclicLR(_adadelta(), 0.1, 1), "Adadelta has neither; pass cycle_momentum=False"),
        (lambda o: S.OneCycleLR(_adadelta(), 0.1, 9), "cycle_momentum needs an optimizer with momentum or betas"),
        (lambda o: S.OneCycleLR(o, 0.1), "give total_steps, or epochs and steps_per_epoch"),
        (lambda o: S.OneCycleLR(o, 0.1, 0), "total_steps must be a positive integer, not 0"),
        (lambda o: S.OneCycleLR(o, 0.1, None, 2, 0.5), "steps_per_epoch must be a positive integer, not 0.5"),
        (lambda o: S.OneCycleLR(o, 0.1, 9, pct_start=1.5), "pct_start must be from 0 to 1, not 1.5"),
        (lambda o: S.OneCycleLR(o, 0.1, 9, anneal_strategy="x"), "anneal_strategy must be 'cos' or 'linear'"),
        (lambda o: S.ReduceLROnPlateau(o, factor=1.0), "factor must be below 1, not 1.0"),
        (lambda o: S.ReduceLROnPlateau(o, mode="x"), "mode must be 'min' or 'max', not 'x'"),
        (lambda o: S.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode must be 'rel' or 'abs', not 'x'"),
        (lambda o: S.ReduceLROnPlateau(o, min_lr=[0.1]), "min_lr has 1 values"),
        (lambda o: S.SequentialLR(o, [], []), "the list of schedulers is empty"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [1]), "1 schedulers need 0 milestones, not 1"),
        (lambda o: S.ChainedScheduler([]), "the list of schedulers is empty"),
        (lambda o: S.ChainedScheduler([S.ReduceLROnPlateau(o)]), "scheduler 0 is a ReduceLROnPlateau"),
        (lambda o: S.ChainedScheduler([S.StepLR(_optimizer(), 1)], o), "scheduler 0 belongs to another optimizer"),
        (lambda o: SWALR(o, 0.1, -1), "anneal_epochs must be an integer of at least 0, not -1"),
        (lambda o: SWALR(o, 0.1, 1, "x"), "anneal_strategy must be 'cos' or 'linear', not 'x'"),
    ],
)
def test_options_out_of_range(make: Make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(_optimizer())


def test_wrong_types() -> None:
    for make in (lambda: S.StepLR(3, 1), lambda: S.CyclicLR(3, 1, 1), lambda: S.ReduceLROnPlateau(3)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="needs an optimizer, not int"):
            make()
    with pytest.raises(TypeError, match="lr_lambda must be a function of the epoch, not float"):
        S.MultiplicativeLR(_optimizer(), 0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="scheduler 0 must be a schedule, not int"):
        S.ChainedScheduler([1])  # type: ignore[list-item]
    with pytest.raises(NotImplementedError):
        LRScheduler(_optimizer())
