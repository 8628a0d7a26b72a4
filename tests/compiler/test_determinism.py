"""The same bits for any number of threads and from run to run, for whole training runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("threads_as_set")]
THREADS = (1, 2, 3, 8)


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(144, 300), nn.ReLU(), nn.Dropout(0.3), nn.Linear(300, 257), nn.LayerNorm(257), nn.Tanh(),
        nn.Linear(257, 10),
    )  # fmt: skip


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 12, 12)), nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout2d(0.2), nn.Conv2d(16, 33, 3), nn.BatchNorm2d(33), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(132, 40), nn.ReLU(), nn.Dropout(0.5), nn.Linear(40, 10),
    )  # fmt: skip


MAKERS: dict[str, Callable[[], nn.Module]] = {"mlp": mlp, "cnn": cnn}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((500, 144))
Y = RNG.integers(0, 10, 500)


def run(name: str, loop: bool, dtype: str = "float32", steps: int = 6) -> tuple[bytes, Any]:
    """All that is left of a training run, as bytes; and the compiled step."""
    hm.manual_seed(7)
    model = MAKERS[name]().to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    optimizer.init_state()

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    g = hm.compile(step)
    x, y = hm.tensor(X.astype(dtype)), hm.tensor(Y)
    batches = np.random.default_rng(1).integers(0, 500, (steps, 93))
    losses = g.loop(x, y, batches) if loop else hm.stack([g(x[hm.tensor(b)], y[hm.tensor(b)]) for b in batches])
    state = [v for s in optimizer.state.values() for v in s.values()]
    kept = [losses, *model.state_dict().values(), *state, hm.get_rng_state()]
    return b"".join(t.detach().numpy().tobytes() for t in kept), g


@pytest.mark.parametrize("loop", [False, True], ids=["steps", "loop"])
@pytest.mark.parametrize("name", MAKERS)
def test_threads_change_no_bit(name: str, loop: bool) -> None:
    ends = []
    for n in THREADS:
        hm.set_num_threads(n)
        bits, g = run(name, loop)
        assert g._last.loaded.parallel, "the network is too small to test threads"
        ends.append(bits)
    assert [e == ends[0] for e in ends] == [True] * len(THREADS)


@pytest.mark.parametrize("name", MAKERS)
def test_runs_change_no_bit(name: str) -> None:
    hm.set_num_threads(2)
    first = run(name, True)[0]
    assert all(run(name, True)[0] == first for _ in range(5))


def test_threads_change_no_bit_in_float64() -> None:
    ends = set()
    for n in THREADS:
        hm.set_num_threads(n)
        ends.add(run("cnn", True, "float64", 3)[0])
    assert len(ends) == 1


def test_the_number_may_change_between_calls() -> None:
    g = hm.compile(lambda x: ((x @ x.T).exp().sum(), (x @ x.T).softmax(0), x.cumsum(0), x.sum(0)))
    x = hm.tensor(np.random.default_rng(0).standard_normal((300, 301)).astype("float32"))
    ends = set()
    for n in (1, 3, 2, 8, 1, 16):
        hm.set_num_threads(n)
        ends.add(b"".join(y.numpy().tobytes() for y in g(x)))
    assert len(ends) == 1
    assert g._last is not None
    assert g._last.loaded.parallel


SHARED: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda x: x.sum(),
    "rows": lambda x: x.sum(1),
    "columns": lambda x: x.sum(0),
    "max": lambda x: x.max(0),
    "argmax": lambda x: x.argmax(1),
    "cumsum": lambda x: x.cumsum(1),
    "softmax": lambda x: x.log_softmax(1),
    "variance": lambda x: x.var(0),
    "contract": lambda x: x.T @ x,
    "dot": lambda x: (x.flatten() * x.flatten()).sum(),
    "long": lambda x: x.flatten() @ x.flatten(),
    "scatter": lambda x: hm.zeros(7, x.shape[1]).index_add(0, hm.arange(x.shape[0]) % 7, x.cumsum(1)),
    "gather": lambda x: x[hm.arange(2000) % 13] * 2,
    "random": lambda x: hm.randn(x.shape) + x,
}


@pytest.mark.parametrize("name", SHARED)
def test_every_kind_of_shared_work(name: str) -> None:
    """Also what eight threads divide into unequal parts."""
    x = hm.tensor(np.random.default_rng(0).standard_normal((1001, 803)).astype("float32"))
    g, ends = hm.compile(SHARED[name]), set()
    for n in THREADS:
        hm.set_num_threads(n)
        hm.manual_seed(0)
        y = g(x)
        ends.add(b"".join(t.numpy().tobytes() for t in (y if isinstance(y, tuple) else (y,))))
        assert g._last is not None
        assert g._last.loaded.parallel, "too little work to share"
    assert len(ends) == 1
