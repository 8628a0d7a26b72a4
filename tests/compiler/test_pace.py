"""As many threads as there are CPUs for, where other programs use them, with the same result."""

from __future__ import annotations

import math
import queue
import threading
import time
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


def run(pace: Pace, clock: Clock, seconds: float, cpus: float, n: int = 4) -> int:
    """A run that took ``seconds`` and got ``cpus`` CPUs, at most one for each thread; how many threads it had."""
    threads = pace.choose(n)
    clock.now += seconds
    if threads > 1:
        pace.note(threads, seconds, seconds * min(cpus, threads))
    return threads


def test_on_a_quiet_machine_all_threads_always(clock: Clock) -> None:
    pace = Pace()
    for seconds in (0.5, 0.1, 1e-5, 0.1):
        assert run(pace, clock, seconds, 3.8) == 4
        assert pace.good == 4
    assert run(pace, clock, 1e-4, 2.5) == 4, "so long it takes them to wake"
    assert pace.good == 4


def test_as_many_threads_as_there_are_cpus_for(clock: Clock) -> None:
    pace = Pace()
    assert run(pace, clock, 1.0, 2.9) == 4
    assert run(pace, clock, 0.5, 2.9) == 3
    assert run(pace, clock, 0.4, 1.2) == 3
    assert run(pace, clock, 0.1, 1.0) == 1
    assert pace.choose(1) == 1
    clock.now += 1.0
    assert run(pace, clock, 0.1, 3.9) == 4, "all are tried again"
    assert run(pace, clock, 0.1, 3.9) == 4
    assert pace.choose(2) == 2


def test_they_are_tried_ever_less_often_and_more_often_again(clock: Clock) -> None:
    pace = Pace()
    waits = []
    for cpus in (1, 1, 1, 1, 1, 4, 1):
        clock.now += 1000
        assert run(pace, clock, 0.01, cpus) == 4
        waits.append(max(pace._until - clock.now, 0.0))
    assert waits == pytest.approx([0.01, 0.04, 0.16, 0.64, 1.0, 0.0, 0.64])


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
def test_before_many_steps_with_more_threads_than_were_good_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    f = hm.compile(product)
    f(hm.randn(300, 300), hm.randn(300, 300))
    assert f._last is not None
    loaded = f._last.loaded
    runs: list[tuple[int, ...]] = []
    monkeypatch.setattr(loaded, "step", lambda: runs.append(tuple(loaded.steps.tolist())))
    monkeypatch.setattr(loaded, "_pace", Pace())
    loaded._pace.good = 2
    loaded.run(3, 10)
    assert runs == [(3, 10)]
    loaded._pace.good = 1
    loaded.run(3, 10)
    assert runs[1:] == [(3, 4), (4, 10)]


def test_what_waking_costs_is_no_reason_for_fewer(clock: Clock) -> None:
    """Up to half a millisecond for each thread."""
    pace = Pace()
    pace.note(4, 1e-3, 4e-3 - 1.9e-3)
    assert pace.good == 4
    pace.note(4, 1e-3, 4e-3 - 2.1e-3)
    assert pace.good == 2


@pytest.mark.usefixtures("two_threads")
def test_a_run_tells_how_many_threads_had_a_cpu_and_the_next_goes_with_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = runtime.Pool.run

    def noted(self: runtime.Pool, program: runtime.Loaded, args: object, n: int) -> None:
        asked.append(n)
        real(self, program, args, n)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime.Pool, "run", noted)
    f = hm.compile(product)
    x, w = hm.randn(300, 300), hm.randn(300, 300)
    f(x, w)
    assert asked == [2]
    assert f._last is not None
    pace = f._last.loaded._pace
    pace.good, pace._until = 1, math.inf
    asked.clear()
    f(x, w)
    assert asked == [], "alone for as long as there is one CPU"
    pace._until = 0.0
    monkeypatch.setattr(runtime.Pace, "note", lambda self, *run: asked.append(-run[0]))
    f(x, w)
    assert asked == [2, -2], "with two again, and noted"


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="the system does not tell threads apart")
def test_time_of_other_threads_of_the_process_is_not_counted() -> None:
    """They take CPUs away like other programs."""
    pool = runtime.Pool()
    pool.grow(2)

    def busy() -> None:
        while time.thread_time() < 0.2:
            pass

    other = threading.Thread(target=busy)
    process, before = time.process_time(), pool.cpu_time()
    other.start()
    other.join()
    assert time.process_time() - process >= 0.15
    assert pool.cpu_time() - before < 0.1
    before = pool.cpu_time()
    done, pool_was_here = queue.SimpleQueue[float](), SimpleNamespace(_run=lambda: (busy(), done.put(1.0)))
    pool._jobs.put((pool_was_here, (), None))
    done.get()
    assert pool.cpu_time() - before >= 0.15, "a thread of its own is"


@pytest.mark.usefixtures("two_threads")
def test_a_loop_begins_with_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
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

    def every_other(self: Pace, n: int) -> int:
        asked.append(n)
        return 1 + len(asked) % n

    monkeypatch.setattr(Pace, "choose", every_other)
    x, w = hm.randn(300, 300), hm.randn(300, 300)
    f = hm.compile(product)
    assert len({f(x, w).numpy().tobytes() for _ in range(6)}) == 1
    assert len(asked) >= 6
