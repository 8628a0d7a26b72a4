"""Subnormal numbers: zero in a step that learns, themselves everywhere else."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import haema as hm
from haema.compiler import program
from haema.compiler.target import describe

TINY = np.float32(2.0**-126)  # the smallest normal number

known = platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")


@pytest.mark.skipif(not known, reason="how this CPU flushes is not known")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_that_changes_floats_takes_them_for_zero(threads: int) -> None:
    hm.set_num_threads(threads)
    w = hm.full((300_000,), float(TINY))
    step = hm.compile(lambda x: w.mul_(x))
    step(hm.tensor(0.5))  # the result would be subnormal
    assert (w.numpy() == 0).all()
    w.fill_(float(TINY) / 2)  # by NumPy, as which it stays
    assert w.numpy()[0] == TINY / 2
    step(hm.tensor(2.0))  # an operand is
    assert (w.numpy() == 0).all()


def test_other_functions_keep_them_and_so_does_numpy() -> None:
    half = hm.compile(lambda x: x * 0.5)
    x = hm.full((100,), float(TINY))
    assert (half(x).numpy() == TINY / 2).all()
    w = hm.ones(100)
    hm.compile(lambda x: w.mul_(x))(x)
    assert (x.numpy() * np.float32(0.5) == TINY / 2).all()
    assert (half(x).numpy() == TINY / 2).all()


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"])
def test_it_is_written_for_other_machines_too(triple: str) -> None:
    w = hm.ones(100)
    step = hm.compile(lambda x: w.mul_(x))
    step(hm.tensor(0.5))
    target = describe(triple, "generic", "")
    p = program.build(step._present().graph, target)
    assert "mxcsr" in p.text or "fpcr" in p.text
    assert program.machine_code(p, target)
