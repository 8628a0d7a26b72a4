"""Many calls in one program: compiling costs far more than the calls do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

import haema as hm
from haema import Tensor, executor
from haema.compiler.graph import Graph
from haema.compiler.trace import Tracer
from haema.ops.core import Op, Spec
from tests.ops.checking import ROUNDING, Execute, rng_of
from tests.ops.rows import Row

NEEDS = {
    "x86-64": ("sse2",),
    "haswell": ("avx2", "fma", "bmi2"),
    "skylake-avx512": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "native": (),
}
"""Features that a CPU must have to run code for another."""

Call = tuple[Op, list[np.ndarray], dict[str, Any]]
Runner = Callable[[list[Call]], list[np.ndarray]]


def as_inputs(calls: list[Call]) -> list[np.ndarray]:
    """The results of all calls, from one program whose arguments are the arrays."""

    def f(arrays: list[list[Tensor]]) -> list[Tensor]:
        return [op(*xs, **params) for xs, (op, _, params) in zip(arrays, calls, strict=True)]

    return [y.numpy() for y in hm.compile(f)([[Tensor._wrap(a) for a in xs] for _, xs, _ in calls])]


def as_captured(calls: list[Call]) -> list[np.ndarray]:
    """The results of all calls, from one program that reads the arrays where they lie."""
    tensors = [[Tensor._wrap(a) for a in xs] for _, xs, _ in calls]

    def f() -> list[Tensor]:
        return [op(*xs, **params) for xs, (op, _, params) in zip(tensors, calls, strict=True)]

    return [y.numpy() for y in hm.compile(f)()]


def together(check: Callable[[str, Row, Execute], None], name: str, row: Row, runner: Runner) -> None:
    """A check of ``tests.ops.checking`` on compiled code: its calls are noted first, then run in one program."""
    calls: list[Call] = []

    def note(op: Op, arrays: Sequence[np.ndarray], params: dict[str, Any]) -> np.ndarray:
        calls.append((op, list(arrays), params))
        return np.array(executor.run(op, arrays, params), order="C")

    check(name, row, note)
    found = iter(runner(calls))
    check(name, row, lambda op, arrays, params: next(found))
    assert next(found, None) is None


def close(found: Any, expected: Any, scale: float = 1.0) -> None:
    """Same shape, dtype and values; floats to rounding, relative to the largest element (or ``scale`` if larger)."""
    a, b = (x.detach().numpy() if isinstance(x, Tensor) else x for x in (found, expected))
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    if b.dtype.kind != "f":
        np.testing.assert_array_equal(a, b)
        return
    largest = max(np.abs(b[np.isfinite(b)]).max(initial=0), scale)
    np.testing.assert_allclose(a, b, rtol=4 * ROUNDING[b.dtype.name], atol=4 * ROUNDING[b.dtype.name] * largest)


def all_close(found: Iterable[Any], expected: Iterable[Any], scale: float = 1.0) -> None:
    """`close` for each."""
    for a, b in zip(found, expected, strict=True):
        close(a, b, scale)


def cotangent(name: str, k: int, y: Tensor) -> Tensor:
    """What is asked of a derivative: numbers around 1, the same for all executors."""
    return Tensor._wrap(np.asarray(rng_of(f"g {name}", k).uniform(0.5, 1.5, y.shape)).astype(y.dtype))


def recorded(f: Callable[..., Any], *inputs: Tensor) -> Graph:
    """What f computes from inputs of these shapes, before any pass."""
    tracer = Tracer()
    try:
        with executor.using(tracer):
            given = []
            for x in inputs:
                given.append(Tensor._wrap(tracer.input(Spec(x.shape, x.dtype))))
                given[-1].requires_grad = x.requires_grad
            y = f(*given)
        return tracer.graph([t._data for t in (y if isinstance(y, (list, tuple)) else [y])])
    finally:
        tracer.close()


@cache
def missing(cpu: str) -> list[str]:
    """What this CPU lacks."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return [f for f in NEEDS[cpu] if not features.get(f)]
