"""Nests that share their outermost loop: the same values as one nest after the other, for any number of threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.compiler import cache, fuse, lower, program
from haema.compiler.index import Axis, Index, Part
from haema.compiler.nest import Nest, show
from tests.compiler import test_random_programs as random_programs
from tests.compiler.checking import all_close


def in_order(groups: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and nests that share what one of them writes are checked to be in the order in which they were."""

    def checked(self: fuse.Fusing, nests: list[Nest]) -> tuple[list[Nest], list[fuse.Group]]:
        result, found = groups(self, nests)
        place = {n: k for k, n in enumerate(result)}
        for k, a in enumerate(nests):
            for b in nests[k + 1 :]:
                if a in place and b in place and self._conflict(a, b):  # others were replaced by sums in parts
                    assert place[a] < place[b], f"{show(a)}\nwas before\n{show(b)}"
        return result, found

    return checked


@contextlib.contextmanager
def eager_to_fuse(folder: Path) -> Iterator[None]:
    """Whatever can be fused is, however small, and threads share it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuse.Fusing, "groups", in_order(fuse.Fusing.groups))
        patch.setattr(fuse, "CACHE", 1)
        patch.setattr(fuse, "FEWEST", 2)
        patch.setattr(fuse, "WORSE", 0.0)
        patch.setattr(lower, "MANY", 1)
        patch.setattr(program, "SMALL", 0)
        patch.setenv(cache.VARIABLE, str(folder))  # whose key knows nothing of such changes
        cache.folder.cache_clear()
        yield
    cache.folder.cache_clear()


@pytest.fixture
def fused(tmp_path: Path) -> Iterator[None]:
    before = hm.get_num_threads()
    with eager_to_fuse(tmp_path):
        yield
    hm.set_num_threads(before)


def groups_of(g: Any) -> list[fuse.Group]:
    return g._present().build(check=True).groups


I, J = Axis("i", 12), Axis("j", 4)


@pytest.mark.parametrize(
    ("index", "axis", "size", "expected"),
    [
        (Index.of(I), I, 12, True),
        (Index.of(I) * 4 + Index.of(J), I, 48, True),  # four elements a step
        (Index.of(I) + Index.of(J) * 12, I, 48, False),  # each step everywhere
        (Index.of(I) * 3 + Index.of(J), I, 36, False),  # the fourth is the next step's
        (Index.of(I) + 1, I, 13, False),
        (Index.of(I) * -1 + 11, I, 12, False),
        (Index.of(I), I, 24, False),  # half of it
        (Index.of(J), I, 4, False),
        (Index.of(I) * 4 + Index.of(Part(Index.of(I), 4, False)), I, 48, False),
        (Index.of(I) * 4 + Index.of(Part(Index.of(J), 2, True)), I, 48, True),
    ],
)
def test_units_of_a_buffer(index: Index, axis: Axis, size: int, expected: bool) -> None:
    assert fuse.conforms(index, axis, size) == expected


class Members(nn.Module):
    """Several networks at once, as those for tables are: their number is the axis that is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            nn.Parameter(hm.randn(8, *shape) / 8) for shape in ((64, 24), (24, 24), (24, 7))
        )
        self.scale = nn.Parameter(hm.ones(8, 1, 64))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)[:, :64] * self.scale  # (8, n, 64)
        for w in (self.first, self.second):
            x = F.dropout(F.silu(x @ w), 0.2)
        other = F.gelu(x) @ self.last
        return hm.cat([x @ self.last, other]).mean(0)


def network(kind: str) -> nn.Module:
    """For 16 x 16 pixels of 2 channels; with batch norm the batch comes together in between."""
    if kind == "members":
        return Members()
    if kind == "norms":
        return nn.Sequential(
            nn.Conv2d(2, 5, 3, stride=2), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(5, 4, 3),
            nn.GroupNorm(2, 4), nn.LeakyReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Flatten(), nn.Linear(36, 7),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 18, 3, stride=2, padding=1), nn.Tanh(),
        nn.Conv2d(18, 6, 1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 7),
    )  # fmt: skip


def train(model: nn.Module, compiled: bool, batch: int, steps: int = 3) -> tuple[list[Tensor], Any]:
    """Losses and the parameters after a few steps, and the step."""
    rng = np.random.default_rng(3)
    x = hm.tensor(rng.standard_normal((batch, 2, 16, 16)).astype("float32"))
    y = hm.tensor(rng.integers(0, 7, batch))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    hm.manual_seed(5)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run: Callable[..., Tensor] = hm.compile(step) if compiled else step
    losses = [run(x, y).clone() for _ in range(steps)]
    return [*losses, *(p.detach() for p in model.parameters())], run


@pytest.mark.parametrize("batch", [2, 6, 17, 32])
@pytest.mark.parametrize("kind", ["convolutions", "norms", "members"])
@pytest.mark.usefixtures("threads_as_set")
def test_training_fused(kind: str, batch: int, fused: None) -> None:
    found = []
    for compiled, threads in ((False, 1), (True, 1), (True, 2), (True, 3), (True, 8)):
        hm.manual_seed(0)
        hm.set_num_threads(threads)
        values, run = train(network(kind), compiled, batch)
        found.append(values)
    assert len(groups_of(run)) > 1
    assert any(g.local for g in groups_of(run))
    all_close(found[1], found[0], scale=300)
    for other in found[2:]:
        assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(found[1], other, strict=True))


def test_what_needs_all_of_the_batch_is_not_fused(fused: None) -> None:
    def f(x: Tensor) -> Tensor:
        y = (x * 2).cumsum(1)
        z = (y - y.mean(0)).cumsum(1)  # waits for all rows of y
        return (z * y).cumsum(1)

    g = hm.compile(f)
    x = hm.randn(24, 5, 50)
    all_close(g(x), f(x), scale=30)
    p = g._present().build()
    (mean,) = (k for k, n in enumerate(p.nests) if n.core is not None and n.core.kind == "sum")
    assert not any(h.first <= mean < h.stop and h.units == 24 for h in groups_of(g))


def test_a_nest_in_between_that_the_group_needs_runs_before_it(fused: None) -> None:
    """The cumulative weights are computed after the first nest, and needed by the second; so are those of the third."""

    def f(x: Tensor, w: Tensor) -> Tensor:
        y = (x * 2).cumsum(1)
        a = w.cumsum(0)
        y = (y * a).cumsum(1)
        return (y * a.cumsum(1)).cumsum(1)

    g = hm.compile(f)
    x, w = hm.randn(16, 5, 30), hm.randn(5, 30)
    all_close(g(x, w), f(x, w), scale=30)
    assert len(groups_of(g)) == 1


def test_states_written_in_a_fused_loop(fused: None) -> None:
    """A state read by one nest and written by a later one, row by row."""
    for threads in (1, 2):
        hm.set_num_threads(threads)
        states = [hm.ones(16, 5, 30), hm.ones(16, 5, 30)]
        x = hm.randn(16, 5, 30)
        results = []
        for s, wrap in zip(states, (lambda f: f, hm.compile), strict=True):

            def f(x: Tensor, s: Tensor = s) -> Tensor:
                y = (x + s).cumsum(1)
                s.mul_(0.5).add_(y.cumsum(1))
                return (y * s).cumsum(1)

            g = wrap(f)
            results.append([g(x).clone() for _ in range(3)])
        all_close(results[1], results[0], scale=100)
        all_close(states[1:], states[:1], scale=100)


def test_writes_whose_order_matters_are_not_fused() -> None:
    """Rows that are given twice: the later write wins, for any number of threads."""
    before = hm.get_num_threads()
    x, rows = hm.randn(16, 400, 20), hm.tensor([*range(0, 300, 20), 3, 3, 3, 40])

    def f(x: Tensor, rows: Tensor) -> Tensor:
        x = x.clone()
        y = (x * 2).cumsum(1)
        y[:, rows] = (y[:, rows] * 3).cumsum(1)
        return y.cumsum(1)

    for threads in (1, 2, 3):
        hm.set_num_threads(threads)
        all_close(hm.compile(f)(x, rows), f(x, rows), scale=300)
    hm.set_num_threads(before)


def test_nothing_is_read_before_a_slice() -> None:
    """Where padding has nothing to load, a load must go to some memory, though the slice's own is elsewhere."""

    def f(x: Tensor) -> Tensor:
        y = x.cumsum(1)
        return F.pad(y[:, ::2], (1, 1, 1, 1)).cumsum(1).sum((1, 2))

    x = hm.randn(100, 1000, 64)
    g = hm.compile(f)
    all_close(g(x), f(x), scale=3000)
    assert any(h.local for h in groups_of(g))


def test_a_nest_without_elements_is_left_out() -> None:
    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        y = (x * 2).cumsum(1)
        return y.cumsum(1), y[:, 0:0].cumsum(1)

    g = hm.compile(f)
    x = hm.randn(16, 400, 20)
    all_close(list(g(x)), list(f(x)), scale=300)
    assert groups_of(g)


def test_sums_in_parts_have_one_order() -> None:
    """The gradient of a kernel over a batch of which turns and parts are different multiples."""
    before = hm.get_num_threads()
    found = []
    for threads in (1, 2, 3, 8):
        hm.set_num_threads(threads)
        hm.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 1, padding=1), nn.LeakyReLU(), nn.Conv2d(8, 16, 3), nn.Tanh(),
            nn.Conv2d(16, 16, 3, stride=2), nn.Flatten(), nn.Linear(1936, 5),
        )  # fmt: skip
        x = hm.randn(200, 1, 24, 24)

        def step(x: Tensor, model: nn.Module = model) -> list[Tensor]:
            return list(hm.autograd.grad(model(x).square().mean(), list(model.parameters())))

        g = hm.compile(step)
        found.append([t.numpy().tobytes() for t in g(x)])
    assert any(h.grain > 1 for h in groups_of(g))
    assert all(other == found[0] for other in found)
    hm.set_num_threads(before)


@pytest.mark.parametrize("test", [random_programs.test_programs, random_programs.test_convolutions])
def test_random_programs_fused(test: Any, fused: None) -> None:
    """What those tests check, with their examples."""
    test()


def test_small_programs_are_left_alone() -> None:
    f = hm.compile(lambda x: (x.cumsum(1) * 2).cumsum(1))
    f(hm.randn(16, 5, 10))
    assert not groups_of(f)


def test_it_is_explained(fused: None) -> None:
    f = hm.compile(lambda x: (x.cumsum(1) * 2).cumsum(1).cumsum(1))
    f(hm.randn(16, 5, 40))
    text = f.explain()
    assert "fused:" in text
    assert "16 units" in text
