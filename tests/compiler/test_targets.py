"""Other CPUs: narrower and wider vectors give right results, and another architecture's code can be made.

``HAEMA_TARGET_CPU=haswell pytest tests/compiler`` runs all the compiler's tests so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, ops, optim
from haema.compiler import program
from haema.compiler import target as targets
from haema.errors import InputError
from tests.compiler.checking import NEEDS, all_close, as_inputs, missing, recorded, together
from tests.ops import checking
from tests.ops.rows import ROWS, Row

pytestmark = pytest.mark.slow

NAMED = [pytest.param(n, r, id=n) for n, r in sorted(ROWS.items()) if ops.TABLE[n].compiles]


@pytest.fixture(params=NEEDS)
def cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a CPU that code is made for."""
    name: str = request.param
    if missing(name):
        pytest.skip(f"this CPU lacks {', '.join(missing(name))}, so it cannot run code for {name}")
    if name == "native":
        monkeypatch.delenv(targets.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(targets.VARIABLE, name)
    return name


def test_widths() -> None:
    wide = {
        "x86-64": (16, 16), "haswell": (32, 16), "znver3": (32, 16), "skylake-avx512": (64, 32), "znver5": (64, 32),
    }  # fmt: skip
    for name, (width, registers) in wide.items():
        t = targets.describe("x86_64-unknown-linux-gnu", name, "")
        assert (t.vector_bytes, t.registers) == (width, registers)
    assert targets.describe("arm64-apple-darwin", "apple-m1", "").vector_bytes == 16
    assert targets.target("haswell").lanes(4) == 8


@pytest.mark.parametrize("name", ["no such", "a;b", "../x"])
def test_a_name_that_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(targets.VARIABLE, name)
    with pytest.raises(InputError, match="where the name of a CPU is right, one of"):
        hm.compile(lambda x: x * 2)(hm.ones(2))


def test_a_name_that_llvm_does_not_know() -> None:
    """LLVM ended the process."""
    code = "import haema as hm; hm.compile(lambda x: x * 2)(hm.ones(2))"
    environment = os.environ | {targets.VARIABLE: "penryn9"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("haema.errors.InputError: HAEMA_TARGET_CPU is 'penryn9'")


@pytest.mark.parametrize("cpu", ["haswell", "skylake-avx512"], indirect=True)  # test_rows.py is for the native one
@pytest.mark.parametrize(("name", "row"), NAMED)
def test_rows(name: str, row: Row, cpu: str) -> None:
    together(checking.check_forward, name, row, as_inputs)
    if row.special and "f" in row.kinds and name in ("sum", "max", "argmin", "where", "exp", "tanh", "pow", "floor"):
        together(checking.check_special, name, row, as_inputs)


def networks() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]:
    return {
        "mlp": (lambda: nn.Sequential(nn.Linear(33, 47), nn.Tanh(), nn.Dropout(0.1), nn.Linear(47, 5)), (13, 33)),
        "cnn": (
            lambda: nn.Sequential(
                nn.Conv2d(3, 18, 3, padding=1), nn.BatchNorm2d(18), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(18, 8, (2, 3), stride=2, groups=2), nn.GELU(), nn.Flatten(), nn.Linear(16, 5),
            ),
            (5, 3, 11, 9),
        ),
    }  # fmt: skip


def step_of(name: str) -> tuple[Callable[..., Tensor], list[Tensor], Tensor, Tensor]:
    """A training step, what it changes, and a batch."""
    make, shape = networks()[name]
    hm.manual_seed(4)
    model, x, y = make(), hm.randn(shape), hm.arange(shape[0]) % 5
    # Adam would divide the rounding of gradients that are 0 by itself: the bias before batch norm
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    optimizer.init_state()

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, [*model.state_dict().values()], x, y


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_networks(name: str, cpu: str) -> None:
    ends = []
    for compiled in (True, False):
        f, state, x, y = step_of(name)
        step = hm.compile(f) if compiled else f
        ends.append([*(step(x, y) for _ in range(3)), *state])
    all_close(*ends, scale=10)


@pytest.mark.parametrize("k", [1, 7, 8, 9, 15, 16, 17, 31, 33])
def test_products_of_every_tail(k: int, cpu: str) -> None:
    rng = np.random.default_rng(k)
    for dtype in ("float32", "float64"):
        a, b = (hm.tensor(rng.standard_normal(s).astype(dtype)) for s in ((k, 19), (19, k + 3)))
        f: Any = lambda a, b: (a @ b, b.T @ a.T, a.T @ a, (a @ b).sum(0), (a @ b).exp().max(1)[0])  # noqa: E731
        all_close(hm.compile(f)(a, b), f(a, b), scale=20)


ARM = targets.describe("aarch64-unknown-linux-gnu", "generic", "")


HASWELL = targets.describe("x86_64-unknown-linux-gnu", "haswell", "")


def object_for(target: targets.Target, graph: Any, precision: str = "float32") -> bytes:
    """The object file; every stage is checked on the way, LLVM's verifier the last."""
    return program.machine_code(program.build(graph, target, check=True, precision=precision), target)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_networks_for_arm(name: str) -> None:
    f, _, x, y = step_of(name)
    code = object_for(ARM, recorded(f, x, y))
    assert code[:4] == b"\x7fELF"
    assert int.from_bytes(code[18:20], "little") == 183, "the machine is aarch64"


@pytest.mark.parametrize(("name", "row"), NAMED)
def test_rows_for_arm(name: str, row: Row) -> None:
    inputs: list[Tensor] = []
    calls = []
    for k, call in enumerate(row.calls):
        xs = [Tensor._wrap(a) for a in checking.fill(row, call, checking.dtypes_of(row)[-1], checking.rng_of(name, k))]
        calls.append((len(inputs), len(xs), call.params))
        inputs += xs

    def f(*xs: Tensor) -> list[Tensor]:
        return [ops.TABLE[name](*xs[at : at + n], **params) for at, n, params in calls]

    assert object_for(ARM, recorded(f, *inputs))[:4] == b"\x7fELF"


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_convolution_with_many_tails(precision: str) -> None:
    """LLVM's NewGVN pass ended the process on its gradient: such a pass is not needed."""

    def f(x: Tensor, w: Tensor, upstream: Tensor) -> Tensor:
        y = F.conv2d(x, w, stride=(3, 1), padding=(2, 1), groups=3)
        return hm.autograd.grad(y, [x], upstream)[0]

    x, w, upstream = hm.randn(7, 36, 7, 4).requires_grad_(), hm.randn(120, 12, 7, 3), hm.randn(7, 120, 2, 4)
    assert object_for(HASWELL, recorded(f, x, w, upstream), precision)[:4] == b"\x7fELF"
