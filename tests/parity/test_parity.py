"""Every case against its recording."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import numpy as np
import pytest

from tests.parity.harness import EXPECTED, Case, cases_of, difference, load, run, topics

ALL = [pytest.param(c, id=f"{t}/{c.name}") for t in topics() for c in cases_of(t).values()]


@cache
def haema() -> ModuleType:
    """The framework with the rooms that a case may enter."""
    for name in ("haema.nn", "haema.nn.functional", "haema.optim"):
        importlib.import_module(name)
    return importlib.import_module("haema")


@cache
def recorded(topic: str) -> dict[str, np.ndarray]:
    """PyTorch's answers."""
    path = EXPECTED / f"{topic}.npz"
    return load(path) if path.exists() else {}


def _of(c: Case) -> dict[str, np.ndarray]:
    return {k: v for k, v in recorded(c.topic).items() if k.startswith(f"{c.name}/")}


@pytest.mark.parametrize("c", ALL)
def test_case(c: Case) -> None:
    expected = _of(c)
    if not expected:
        pytest.fail(f"{c.topic}/{c.name} has no recording: python -m tests.parity.record {c.topic}")
    found = run(c, haema())
    assert sorted(found) == sorted(expected), "the results have other names than when they were recorded"
    wrong = {k: d for k in found if (d := difference(found[k], expected[k], c.tolerance)) is not None}
    assert not wrong, "\n" + "\n".join(f"{k}: {d}" for k, d in wrong.items())


@pytest.mark.parametrize("topic", topics())
def test_recordings_have_their_cases(topic: str) -> None:
    stale = {k.split("/")[0] for k in recorded(topic)} - set(cases_of(topic))
    assert not stale, f"recorded and no longer there: {sorted(stale)}; python -m tests.parity.record {topic}"


def test_recordings_have_their_topics() -> None:
    assert {p.stem for p in EXPECTED.glob("*.npz")} == set(topics())


def test_difference_sees_what_is_wrong() -> None:
    a = np.array([1.0, np.nan, np.inf, 0.0])
    assert difference(a, a.copy()) is None
    assert "shape" in str(difference(a[:3], a))
    assert "dtype" in str(difference(a.astype(np.float32), a))
    for i, value in ((0, 1 + 1e-8), (1, 0.0), (2, -np.inf), (2, 1e300), (3, 1e-12), (0, np.nan)):
        b = a.copy()
        b[i] = value
        assert f"first at [{i}]" in str(difference(b, a))
    assert difference(np.array([1 + 1e-8]), np.array([1.0]), tolerance=100) is None
    assert "1 of 2" in str(difference(np.array([1, 2]), np.array([1, 3])))
