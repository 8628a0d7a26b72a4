"""Several threads, and processes that split in two."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import haema as hm
from haema import Tensor, nn, optim


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = hm.get_num_threads()
    hm.set_num_threads(2)
    yield
    hm.set_num_threads(before)


def _work(x: Tensor) -> Tensor:
    return (x @ x.T).tanh().sum(1)


def test_calls_from_several_threads_at_once() -> None:
    """Each gets the results for its own arguments, from small programs and from those that share work."""
    for n in (3, 200):
        g = hm.compile(_work)
        rng = np.random.default_rng(0)
        inputs = [hm.tensor(rng.standard_normal((n, n)).astype("float32")) for _ in range(8)]
        expected = [g(x).tolist() for x in inputs]
        fresh = hm.compile(_work)
        with ThreadPoolExecutor(8) as pool:
            for _ in range(5):
                assert [y.tolist() for y in pool.map(fresh, inputs)] == expected


def test_different_functions_in_several_threads() -> None:
    functions = [hm.compile(lambda x, k=k: (x * k).cumsum(0)) for k in range(8)]
    x = hm.ones(300, 300)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda g: g(x)[-1, 0].item(), functions))
    assert found == [300 * k for k in range(8)]


def test_no_step_is_lost() -> None:
    """A program that changes state is run by one thread at a time."""
    count = hm.zeros(5)
    g = hm.compile(lambda: count.add_(1) * 1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [g() for _ in range(50)], range(8)))
    assert count.tolist() == [400] * 5


def test_training_of_two_models_in_two_threads() -> None:
    """Recording belongs to a thread: the other one computes eagerly, or records for itself, meanwhile."""

    def train(seed: int) -> list[float]:
        generator = hm.Generator(seed)
        w = hm.rand(20, 20, generator=generator).requires_grad_()
        optimizer = optim.SGD([w], lr=0.01)
        optimizer.init_state()

        def step(x: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = ((x @ w) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        g = hm.compile(step)
        return [g(hm.ones(3 + k % 3, 20)).item() for k in range(12)]

    expected = [train(0), train(1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(train, (0, 1))) == expected


def _in_child(check: object) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "fork in a process with threads": that is the point
        child = os.fork()
    if child == 0:
        code = 1
        try:
            threading.Timer(10, os._exit, (3,)).start()
            code = 0 if check() else 2  # type: ignore[operator]
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on() -> None:
    """It has none of its parent's threads, and starts its own."""
    g = hm.compile(_work)
    x = hm.rand(200, 200)
    expected = g(x).tolist()
    assert _in_child(lambda: g(x).tolist() == expected and hm.compile(_work)(x).tolist() == expected) == 0
    assert g(x).tolist() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_others_are_at_work() -> None:
    """Locks that another thread held are free in the child."""
    g = hm.compile(_work)
    x = hm.rand(400, 400)
    expected = g(x).tolist()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            g(x)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        codes = [_in_child(lambda: g(x).tolist() == expected) for _ in range(3)]
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert codes == [0] * 3


def test_idle_threads_use_no_time() -> None:
    code = """
import time, resource
import haema as hm
hm.set_num_threads(2)
g = hm.compile(lambda x: (x @ x).sum(0))
x = hm.rand(500, 500)
g(x)
def used():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
before = used()
time.sleep(0.5)
print(used() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1


def test_a_program_may_be_the_last_thing_a_process_does() -> None:
    """Code and threads are left without a word when the interpreter ends."""
    code = """
import threading
import haema as hm
hm.set_num_threads(3)
gs = [hm.compile(lambda x, k=k: (x @ x * k).sum(0)) for k in range(5)]
x = hm.rand(300, 300)
t = threading.Thread(target=lambda: [g(x) for g in gs])
t.start()
t.join()
print(len(gs))
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_modules_are_released() -> None:
    """Compiled functions that are no longer used free their code and their memory."""
    import gc
    import weakref

    model = nn.Linear(3, 3)
    g = hm.compile(model)
    g(hm.ones(1, 3))
    seen = weakref.ref(next(iter(g._variants.values()))[0].loaded)
    del g
    gc.collect()
    assert seen() is None


def test_programs_in_cycles_are_collected() -> None:
    """Garbage collection freed what LLVM needs for an engine before the engine."""
    code = """
import gc
import haema as hm
for k in range(40):
    g = hm.compile(lambda x, k=k: x * k)
    g(hm.ones(2))
    g.cycle = g
    del g
    if k % 8 == 7:
        gc.collect()
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
