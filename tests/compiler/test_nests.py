"""The loop nests of typical programs, as text: what is fused with what, and what is kept in memory.

``HAEMA_GOLDEN=write pytest tests/compiler/test_nests.py`` writes the texts in ``nests/`` anew; read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.compiler import nest, program, target
from tests.compiler.checking import recorded

HERE = Path(__file__).parent / "nests"
WIDE = target.describe("x86_64-unknown-linux-gnu", "skylake-avx512", "")


def text_of(f: Callable[..., Any], *inputs: Tensor) -> str:
    """All nests of f's program, in order."""
    p = program.build(recorded(f, *inputs), WIDE, check=True)
    return "".join(nest.show(n) + "\n" for n in p.nests)


def dense() -> str:
    layer = nn.Linear(64, 32)
    return text_of(lambda x: F.relu(layer(x)), hm.ones(128, 64))


def dense_gradients() -> str:
    layer = nn.Linear(64, 32)

    def f(x: Tensor) -> Any:
        return hm.autograd.grad(F.relu(layer(x)).sum(), [layer.weight, layer.bias])

    return text_of(f, hm.ones(128, 64))


def convolution() -> str:
    """The nest of the design's text."""
    layer = nn.Conv2d(1, 32, 3, padding=1)
    return text_of(lambda x: F.relu(layer(x)), hm.ones(128, 1, 28, 28))


def convolution_gradients() -> str:
    layer = nn.Conv2d(8, 16, 3, padding=1)

    def f(x: Tensor, g: Tensor) -> Any:
        return hm.autograd.grad(layer(x), [x, layer.weight, layer.bias], g)

    return text_of(f, hm.ones(4, 8, 14, 14, requires_grad=True), hm.ones(4, 16, 14, 14))


def max_pooling() -> str:
    def f(x: Tensor) -> Any:
        y = F.max_pool2d(x, 2)
        return y.detach(), hm.autograd.grad(y.sum(), [x])[0]

    return text_of(f, hm.ones(4, 8, 14, 14, requires_grad=True))


def cross_entropy() -> str:
    def f(x: Tensor, y: Tensor) -> Any:
        loss = F.cross_entropy(x, y)
        return loss.detach(), hm.autograd.grad(loss, [x])[0]

    return text_of(f, hm.ones(32, 10, requires_grad=True), hm.zeros(32, dtype=hm.int64))


def adam() -> str:
    p = hm.ones(100, requires_grad=True)
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.init_state()

    def f(x: Tensor) -> Any:
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()
        return ()

    return text_of(f, hm.ones(100))


def batch_norm() -> str:
    layer = nn.BatchNorm2d(8)
    return text_of(lambda x: F.relu(layer(x)), hm.ones(16, 8, 5, 5))


def dropout() -> str:
    return text_of(lambda x: F.dropout(F.relu(x), 0.5), hm.ones(32, 10))


CASES = (
    dense, dense_gradients, convolution, convolution_gradients, max_pooling, cross_entropy, adam, batch_norm, dropout,
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_nests(case: Callable[[], str]) -> None:
    found, path = case(), HERE / f"{case.__name__}.txt"
    if os.environ.get("HAEMA_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


def test_a_dense_layer_is_one_nest_and_a_copy_of_the_weight() -> None:
    """The copy turns the weight, so that its output units lie side by side."""
    copy, layer = dense().split("nest  ")[1:]
    assert "acc" not in copy
    assert layer.startswith("i:128 j:32 | kK:64\n")
    assert layer.splitlines()[-1].count("acc") == 2  # bias and activation: where(acc + b <= 0, 0, acc + b)


def test_a_convolution_is_one_nest_with_bias_and_activation() -> None:
    (line, acc, store) = convolution().splitlines()[-3:]
    assert line.startswith("nest  ")
    assert line.count(":") == 4 + 2  # one input channel is no axis
    assert acc.startswith("  acc = sum ")
    assert store.count("acc") == 2, "bias and activation are in its write: where(acc + b <= 0, 0, acc + b)"


def test_an_optimizer_is_one_nest() -> None:
    """All state and the parameter itself change in the loop that has the gradient; the count is another."""
    loops = [n for n in adam().split("nest  ") if n.startswith("i:100")]
    assert len(loops) == 1
    assert loops[0].count(" = ") == 3


def test_every_file_has_its_case() -> None:
    assert {p.stem for p in HERE.glob("*.txt")} == {f.__name__ for f in CASES}
