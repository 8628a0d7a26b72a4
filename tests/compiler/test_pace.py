"""Several threads or one: whichever is faster where other programs use the CPUs, with the same result."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import haema as hm
from haema import Tensor
from haema.compiler import runtime
from haema.compiler.runtime import Pace


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(runtime, "time", SimpleNamespace(perf_counter=made.perf_counter))
    return made


def spent(pace: Pace, clock: Clock, seconds: float, threads: int, steps: int = 1) -> None:
    """A run that took ``seconds``."""
    clock.now += seconds
    pace.note(seconds, steps, threads)


def test_on_a_quiet_machine_all_threads_always(clock: Clock) -> None:
    pace = Pace()
    for seconds in (0.5, 0.1, 0.11, 0.19, 0.1, 0.3):  # the first loads memory; three times the usual is a hiccup
        assert pace.together()
        spent(pace, clock, seconds, threads=2)
        assert pace.trusted


def test_one_thread_where_threads_wait_for_each_other(clock: Clock) -> None:
    pace = Pace()
    spent(pace, clock, 0.1, threads=2)
    spent(pace, clock, 1.0, threads=2)
    assert not pace.trusted
    assert not pace.together()
    spent(pace, clock, 0.9, threads=1, steps=5)
    assert not pace.together()
    clock.now += 0.2
    assert pace.together(), "as long as it took, 1 s, has passed"


def test_it_is_tried_ever_less_often_and_more_often_again(clock: Clock) -> None:
    pace = Pace()
    spent(pace, clock, 0.1, threads=2)
    waits = []
    for seconds in (1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 1.0):
        clock.now += 1000
        assert pace.together()
        spent(pace, clock, seconds, threads=2)
        waits.append(max(pace._until - clock.now, 0.0))
    assert waits == pytest.approx([1, 4, 16, 64, 64, 0, 0, 16])


def product(x: Tensor, w: Tensor) -> Tensor:
    """Enough to do for several threads."""
    return (x @ w).relu() @ w


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = hm.get_num_threads()
    hm.set_num_threads(2)
    yield
    hm.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_before_many_steps_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[int, ...]] = []
    real = runtime.Loaded._shared

    def noted(self: runtime.Loaded) -> None:
        runs.append(tuple(self.steps.tolist()))
        real(self)

    monkeypatch.setattr(runtime.Loaded, "_shared", noted)
    x, w = hm.randn(2000, 300), hm.randn(300, 300)
    found = hm.compile(lambda x: product(x, w)).loop(x, np.arange(2000).reshape(10, 200))
    assert runs[0] == (0, 1)
    assert [a for a, _ in runs[1:]] == [b for _, b in runs[:-1]]
    assert runs[-1][1] == 10
    assert np.allclose(found.numpy().reshape(2000, 300), product(x, w).numpy(), rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("two_threads")
def test_the_result_is_the_same_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def every_other(self: Pace) -> bool:
        asked.append(len(asked))
        return len(asked) % 2 == 0

    monkeypatch.setattr(Pace, "together", every_other)
    x, w = hm.randn(300, 300), hm.randn(300, 300)
    f = hm.compile(product)
    assert len({f(x, w).numpy().tobytes() for _ in range(6)}) == 1
    assert len(asked) >= 6
