"""How many threads compute."""

import os
import subprocess
import sys

import numpy as np
import pytest

import haema as hm
from haema import threads


@pytest.fixture(autouse=True)
def _as_before():
    before = hm.get_num_threads()
    yield
    hm.set_num_threads(before)


def test_set_and_get():
    hm.set_num_threads(1)
    assert hm.get_num_threads() == 1
    hm.set_num_threads(2)
    assert hm.get_num_threads() == 2


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_what_is_no_number_of_threads_is_refused(n):
    with pytest.raises(hm.InputError, match="no number of threads"):
        hm.set_num_threads(n)


def test_a_small_product_runs_alone_and_a_large_one_does_not():
    hm.set_num_threads(2)

    def used():
        return max(library.get_num_threads() for library in threads._libraries())

    seen = {work: threads.shared(work, used) for work in (1 << 10, 1 << 20, 1 << 25)}
    assert seen == {1 << 10: 2, 1 << 20: 1, 1 << 25: 2}
    assert used() == 2

    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        threads.shared(1 << 20, fails)
    assert used() == 2


def test_products_are_the_same_for_any_number_of_threads_asked_for():
    n = 210
    assert n**3 > threads.WORTH_SHARING
    x, y = hm.tensor(np.random.default_rng(0).standard_normal((2, n, n))).unbind()
    hm.set_num_threads(2)
    first = x @ y
    hm.set_num_threads(1)
    assert hm.allclose(x @ y, first, rtol=1e-12)


@pytest.mark.parametrize(("value", "says"), [("1", "1\n"), ("2", "2\n")])
def test_the_environment_decides(value, says):
    assert run(value).stdout == says


@pytest.mark.parametrize("value", ["0", "many", "-3", ""])
def test_an_environment_that_makes_no_sense_is_refused(value):
    done = run(value)
    assert done.returncode != 0
    assert "HAEMA_NUM_THREADS" in done.stderr
    assert "whole number from 1 on" in done.stderr


def run(value):
    """What a process with this setting says."""
    code = "import haema; print(haema.get_num_threads())"
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | {"HAEMA_NUM_THREADS": value}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
