"""Contractions of bfloat16: what float64 makes of the rounded factors, on every kind of CPU, with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.compiler import program
from haema.compiler import target as targets
from haema.compiler.bfloat import WORD
from haema.errors import InputError
from tests.compiler.checking import missing, recorded
from tests.compiler.simulated import Registers, simulate

CPUS = ("haswell", "skylake-avx512", "native", "pairs", "tiles")


@pytest.fixture(params=CPUS)
def cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registers | None]:
    """A CPU to make code for; the last two are simulated."""
    name: str = request.param
    if name in ("pairs", "tiles"):
        registers = simulate(monkeypatch, name == "tiles")
        yield registers
        assert registers.faults == []
        return
    if missing(name):
        pytest.skip(f"this CPU lacks {', '.join(missing(name))}, so it cannot run code for {name}")
    if name != "native":
        monkeypatch.setenv(targets.VARIABLE, name)
    yield None


def rounded(x: Tensor) -> Tensor:
    """The nearest bfloat16, as float64."""
    mantissa, exponent = np.frexp(x.detach().numpy().astype(np.float64))
    return hm.tensor(np.ldexp(np.round(mantissa * 256), exponent - 8))


def in_pairs(f: Callable[..., Any], *inputs: Tensor) -> int:
    """How many contractions are of pairs, of those of a function."""
    graph = program.optimized(recorded(f, *inputs), check=True, precision="bf16")
    return sum(n.name == "contract" and n.inputs[0].dtype == WORD for n in graph.nodes())


def agree(found: Tensor, wanted: Tensor) -> None:
    """Equal to the rounding of a sum in float32."""
    y, z = found.detach().numpy(), wanted.detach().numpy()
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, z, rtol=0, atol=3e-6 * np.abs(z).max())


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (64, 64, 64),
        (33, 71, 50),
        (100, 7, 130),
        (17, 333, 19),
        (1, 90, 200),
        (200, 90, 1),
        (57, 600, 90),
        (78, 1580, 61),
        (40, 3005, 45),
    ],
)
def test_products(m: int, k: int, n: int, cpu: Registers | None) -> None:
    hm.manual_seed(m)
    a, b, bias = hm.randn(m, k), hm.randn(k, n), hm.randn(n)

    def f(a: Tensor, b: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        return a @ b, (b.T @ a.T * (0.3 * k**-0.5) + bias[:, None]).tanh(), F.relu(a @ b + bias).sum(0)

    def exact(x: Tensor) -> Tensor:
        return hm.tensor(x.numpy().astype(np.float64))

    pairs = in_pairs(f, a, b, bias)
    assert pairs == (2 if min(m, n) > 24 else 0)
    wanted = f(*((rounded if pairs else exact)(x) for x in (a, b)), exact(bias))
    for y, z in zip(hm.compile(f, precision="bf16")(a, b, bias), wanted, strict=True):
        agree(y, z)


CONVOLUTIONS = [
    # images, channels, features, size, kernel, and what else is given
    (3, 6, 40, (9, 9), (3, 3), {"padding": 1}),
    (4, 33, 20, (8, 6), (3, 3), {"padding": "same"}),
    (9, 16, 31, (11, 8), (3, 2), {"stride": 2, "padding": 1}),
    (5, 12, 16, (10, 10), (3, 3), {"dilation": 2}),
    (7, 16, 24, (6, 7), (2, 3), {"groups": 2, "padding": 1}),
    (6, 24, 32, (5, 5), (1, 1), {}),
    (8, 7, 37, (6, 6), (5, 3), {"padding": (2, 1), "stride": (1, 2)}),
    (12, 19, 18, (40,), (5,), {"padding": 2}),
    (6, 32, 48, (23,), (5,), {"stride": 2, "dilation": 3}),
]


@pytest.mark.parametrize(("n", "c", "o", "size", "kernel", "how"), CONVOLUTIONS)
def test_convolutions_and_their_gradients(
    n: int, c: int, o: int, size: Any, kernel: Any, how: dict[str, Any], cpu: Registers | None
) -> None:
    hm.manual_seed(0)
    convolution: Any = F.conv2d if len(size) == 2 else F.conv1d
    x = hm.randn(n, c, *size, requires_grad=True)
    w = hm.randn(o, c // how.get("groups", 1), *kernel, requires_grad=True)
    g = hm.randn(*convolution(x, w, **how).shape)

    def f(x: Tensor, w: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        y = convolution(x, w, **how)
        return y.detach(), *hm.autograd.grad(y, [x, w], g)

    wanted = f(rounded(x).requires_grad_(), rounded(w).requires_grad_(), rounded(g))
    assert in_pairs(f, x, w, g) == 3
    for y, z in zip(hm.compile(f, precision="bf16")(x, w, g), wanted, strict=True):
        agree(y, z)
    if cpu is not None and cpu.used:
        assert cpu.used["tdpbf16ps"]


@pytest.mark.parametrize("places", [60, 61])
def test_windows_on_both_sides(places: int, cpu: Registers | None) -> None:
    """Behind the end of an odd number of terms lies something else than 0 on both sides."""
    hm.manual_seed(0)
    x, y = hm.randn(places + 39), hm.randn(places + 39)

    def over_places(x: Tensor, y: Tensor) -> Tensor:
        return x.unfold(0, 40, 1).T @ y.unfold(0, 40, 1)

    def over_cells(x: Tensor, y: Tensor) -> Tensor:
        return x.unfold(0, places, 1) @ y.unfold(0, places, 1).T

    for f in (over_places, over_cells):
        folded = places % 2 == 0
        assert in_pairs(f, x, y) == folded
        wanted = f(*(rounded(v) if folded else hm.tensor(v.numpy().astype(np.float64)) for v in (x, y)))
        agree(hm.compile(f, precision="bf16")(x, y), wanted)


def test_tiles_are_used_where_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    registers = simulate(monkeypatch, tiles=True)
    x, w = hm.randn(2, 32, 16, 16), hm.randn(32, 32, 3, 3)
    hm.compile(lambda x, w: F.conv2d(x, w, padding=1), precision="bf16")(x, w)
    assert registers.faults == []
    per = 16 * 32 * 16  # products of one instruction
    assert registers.used["tdpbf16ps"] == 2 * 32 * 16 * 16 * 32 * 9 / per
    assert registers.used["ldtilecfg"] == registers.used["tilerelease"]


def test_what_is_no_number_stays_none(cpu: Registers | None) -> None:
    a, b = np.ones((2, 64, 64), np.float32)
    a[0, 5], a[1, 7], a[2, 60], b[:, 3] = np.nan, np.inf, 3.4e38, 2
    y = hm.compile(lambda a, b: a @ b, precision="bf16")(hm.tensor(a), hm.tensor(b)).numpy()
    assert np.isnan(y[0]).all()
    assert np.isinf(y[1:3]).all(), "3.4e38 is more than the largest bfloat16"
    assert (y[3:, 4:] == 64).all()
    assert (y[3:, 3] == 128).all()


def test_small_work_stays_in_float32() -> None:
    """Making pairs costs more than it saves."""
    assert in_pairs(lambda a, b: a @ b, hm.ones(200, 200), hm.ones(200, 200)) == 1
    assert in_pairs(lambda a, b: a @ b, hm.ones(200, 200), hm.ones(200, 8)) == 0
    assert in_pairs(lambda a, b: a @ b, hm.ones(200, 3), hm.ones(3, 200)) == 0
    assert in_pairs(lambda a, b: a @ b, *(hm.ones(200, 200, dtype=hm.float64) for _ in range(2))) == 0
    assert in_pairs(lambda a, b: a @ b, *(hm.ones(200, 200, dtype=hm.int32) for _ in range(2))) == 0


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1), nn.BatchNorm2d(24), nn.GELU(), nn.Conv2d(24, 33, 3), nn.MaxPool2d(2),
        nn.BatchNorm2d(33), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(33, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(400, 48), nn.ReLU(), nn.Linear(48, 10),
    )  # fmt: skip


def trained(precision: str, steps: int = 2) -> tuple[np.ndarray, bytes]:
    """The losses of a short training, and all it leaves."""
    hm.manual_seed(3)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    optimizer.init_state()

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    rng = np.random.default_rng(0)
    x, y = hm.tensor(rng.standard_normal((120, 3, 12, 12)).astype("float32")), hm.tensor(rng.integers(0, 10, 120))
    g = hm.compile(step, precision=precision)
    losses = g.loop(x, y, rng.integers(0, 120, (steps, 32))).numpy()
    assert g._last is not None
    assert g._last.loaded.parallel
    return losses, b"".join([losses.tobytes(), *(t.numpy().tobytes() for t in model.state_dict().values())])


@pytest.mark.usefixtures("threads_as_set")
def test_training_is_that_of_float32_and_threads_change_no_bit(cpu: Registers | None) -> None:
    wide, _ = trained("float32")
    ends = set()
    for n in (1, 2, 3, 8):
        hm.set_num_threads(n)
        losses, end = trained("bf16")
        ends.add(end)
    assert len(ends) == 1
    assert not np.array_equal(losses, wide)
    np.testing.assert_allclose(losses, wide, rtol=0.03)


def test_code_for_arm() -> None:
    arm = targets.describe("aarch64-unknown-linux-gnu", "generic", "")
    x, w = hm.randn(4, 16, 8, 8), hm.randn(32, 16, 3, 3)
    graph = recorded(lambda x, w: F.conv2d(x, w, padding=1), x, w)
    made = program.build(graph, arm, check=True, precision="bf16")
    assert any(n.core is not None and n.core.args[0].dtype == WORD for n in made.nests)
    assert program.machine_code(made, arm)[:4] == b"\x7fELF"


def test_code_for_tiles() -> None:
    """The instructions themselves, for a CPU that has them."""
    there = targets.describe("x86_64-unknown-linux-gnu", "sapphirerapids", "")
    assert there.pairs
    assert there.tiles
    x, w = hm.randn(4, 16, 8, 8), hm.randn(32, 16, 3, 3)
    made = program.build(recorded(lambda x, w: F.conv2d(x, w), x, w), there, check=True, precision="bf16")
    module, machine = program.emit_ir(made, there)
    assembly: str = machine.emit_assembly(module)  # type: ignore[attr-defined]
    assert all(word in assembly for word in ("ldtilecfg", "tileloadd", "tdpbf16ps", "tilestored", "tilerelease"))


@pytest.mark.parametrize("precision", ["bf61", "float16", "", "BF16"])
def test_a_precision_that_is_none(precision: str) -> None:
    with pytest.raises(InputError, match="compile: precision is dtype"):
        hm.compile(lambda x: x, precision=np.dtype("float32"))  # which is equal to its name
    with pytest.raises(InputError, match="compile: precision is"):
        hm.compile(lambda x: x, precision=precision)
