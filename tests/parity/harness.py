"""What a case is, how it is run, and how near its numbers must come to the recorded ones."""

from __future__ import annotations

import importlib
import json
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
DRAWN = "#drawn"  # what the source of numbers would give next: both frameworks must have drawn as many

RELATIVE = {"float32": 1e-5, "float64": 1e-10}
"""|found - expected| <= RELATIVE |expected| + OF_LARGEST max |expected|.

float32 has 6e-8 of relative error per rounding, and a result comes after some tens of them, in another order than
PyTorch's. Where terms cancel, the error is that of the terms: some units in the last place of the largest element.
"""
OF_LARGEST = {"float32": 1e-6, "float64": 1e-14}


class Case(NamedTuple):
    """One comparison: its topic, its name, its function, and how much wider its tolerances are."""

    topic: str
    name: str
    function: Callable[..., dict[str, Any]]
    tolerance: float


CASES: dict[str, dict[str, Case]] = {}
"""Cases by topic and name."""


def case(function: Any = None, *, name: str | None = None, tolerance: float = 1) -> Any:
    """Make a function ``f(T, rng) -> {name: result}`` a case.

    Args:
        function: Gets the framework (``torch`` or ``haema``) and a seeded ``numpy.random.Generator``. A result is a
            tensor, an array, a number, a shape, a string, or a list or tuple of such.
        name: What the case is called; by default as its function.
        tolerance: Factor on the tolerances, with a comment that says why; at most 100.
    """

    def register(f: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        topic = f.__module__.rpartition("cases_")[2]
        label = name or f.__name__
        cases = CASES.setdefault(topic, {})
        if label in cases and cases[label].function.__code__ != f.__code__:
            raise ValueError(f"there are two parity cases {topic}/{label}")
        if not 0 < tolerance <= 100:
            raise ValueError(f"parity case {topic}/{label}: a tolerance factor of {tolerance} proves nothing")
        cases[label] = Case(topic, label, f, tolerance)
        return f

    return register if function is None else register(function)


def topics() -> list[str]:
    """The topics of all case modules in this folder."""
    return sorted(p.stem.removeprefix("cases_") for p in HERE.glob("cases_*.py"))


def cases_of(topic: str) -> dict[str, Case]:
    """The cases of one topic, by name."""
    importlib.import_module(f"tests.parity.cases_{topic}")
    return CASES.get(topic, {})


def run(c: Case, T: Any) -> dict[str, np.ndarray]:
    """The results of a case as arrays, by ``case/result``."""
    rng = np.random.default_rng(zlib.crc32(f"{c.topic}/{c.name}".encode()))
    results = c.function(T, rng)
    found = {f"{c.name}/{key}": a for name, value in results.items() for key, a in _arrays(name, value)}
    found[f"{c.name}/{DRAWN}"] = np.asarray(rng.integers(1 << 62))
    return found


def _arrays(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """A result as arrays, lists taken apart."""
    if hasattr(value, "detach"):
        yield name, np.array(value.detach().numpy())
    elif isinstance(value, (list, tuple)) and not (
        all(isinstance(v, (int, float)) for v in value) or all(isinstance(v, str) for v in value)
    ):
        for i, v in enumerate(value):
            yield from _arrays(f"{name}[{i}]", v)
    elif value is None:
        yield name, np.asarray("None")
    else:
        yield name, np.asarray(value)


def save(path: Path, results: dict[str, np.ndarray]) -> None:
    """Write results as two arrays, for a member of a zip file each would be ten times as large."""
    index = [[name, a.dtype.str, list(a.shape)] for name, a in results.items()]
    data = b"".join(np.ascontiguousarray(a).tobytes() for a in results.values())
    np.savez_compressed(path, index=np.asarray(json.dumps(index)), data=np.frombuffer(data, np.uint8))


def load(path: Path) -> dict[str, np.ndarray]:
    """What ``save`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        index, data = json.loads(str(file["index"])), file["data"].tobytes()
    results, start = {}, 0
    for name, kind, shape in index:
        dtype, count = np.dtype(kind), math.prod(shape)
        results[name] = np.frombuffer(data, dtype, count, start).reshape(shape) if count else np.zeros(shape, dtype)
        start += count * dtype.itemsize
    return results


def fill(T: Any, module: Any, rng: np.random.Generator, scale: float = 0.5) -> Any:
    """``module`` with parameters drawn from ``rng``, the same for both frameworks; returns it."""
    with T.no_grad():
        for _, p in sorted(module.named_parameters(), key=lambda named: named[0]):
            p.copy_(T.tensor(rng.normal(0, scale, tuple(p.shape)).astype(str(p.dtype).removeprefix("torch."))))
    return module


def refused(function: Callable[[], Any]) -> bool:
    """Whether a call raises: for what neither framework allows."""
    try:
        function()
    except (AssertionError, AttributeError, NameError):  # the case itself is wrong
        raise
    except Exception:
        return True
    return False


def dtype_name(x: Any) -> str:
    """The name of a tensor's dtype, in both frameworks."""
    return str(x.dtype).removeprefix("torch.")


def difference(found: np.ndarray, expected: np.ndarray, tolerance: float = 1) -> str | None:
    """What is wrong with ``found``, in words; None if nothing."""
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if found.dtype != expected.dtype and not (found.dtype.kind == expected.dtype.kind == "U"):
        return f"dtype {found.dtype}, expected {expected.dtype}"
    if found.dtype.kind != "f":
        wrong = found != expected
    else:
        size = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        allowed = RELATIVE[expected.dtype.name] * np.abs(expected) + OF_LARGEST[expected.dtype.name] * size
        with np.errstate(invalid="ignore"):
            near = (np.abs(found - expected) <= tolerance * allowed) & np.isfinite(expected)
        wrong = ~(near | (found == expected) | (np.isnan(found) & np.isnan(expected)))
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} differ, first at {list(at)}: {found[at]!r}, expected {expected[at]!r}"
