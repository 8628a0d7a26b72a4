"""``loop``: many steps in one call are the steps one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor, nn, optim
from haema.errors import InputError, ShapeError


def trained(make: Callable[[], nn.Module], dtype: Any = hm.float32, lr: float = 0.05) -> tuple[Any, Any, list[Tensor]]:
    """A compiled training step, its optimizer, and all that it changes."""
    hm.manual_seed(2)
    model = make().to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    optimizer.init_state()

    def step(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        optimizer.zero_grad()
        scores = model(x.to(dtype) / 255 if x.dtype == hm.uint8 else x)
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach(), "right": (scores.argmax(1) == y).sum()}

    return hm.compile(step), optimizer, [*model.state_dict().values()]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 3))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 6, 6)), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


def data(n: int, width: int, dtype: str = "float32") -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, width)).astype(dtype) if dtype == "uint8" else rng.standard_normal((n, width))
    return hm.tensor(x.astype(dtype)), hm.tensor(rng.integers(0, 3, n))


def same(a: Any, b: Any) -> bool:
    return bool(
        (a.dtype, a.shape) == (b.dtype, b.shape) and a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    )


@pytest.mark.parametrize(
    ("make", "width", "kind", "dtype"),
    [(mlp, 5, "float32", hm.float32), (mlp, 5, "float64", hm.float64), (cnn, 36, "float32", hm.float32),
     (cnn, 36, "uint8", hm.float32)],
)  # fmt: skip
def test_equals_step_by_step_bit_for_bit(make: Any, width: int, kind: str, dtype: Any) -> None:
    x, y = data(23, width, kind)
    batches = np.random.default_rng(1).integers(-23, 23, (7, 6))
    one, _, ends = trained(make, dtype)
    steps = [one(x[hm.tensor(b)], y[hm.tensor(b)]) for b in batches]
    drawn = hm.rand(2)
    many, _, others = trained(make, dtype)
    found = many.loop(x, y, batches)
    assert same(hm.rand(2), drawn)
    for key in ("loss", "right"):
        assert same(found[key], hm.stack([s[key] for s in steps]))
    assert all(same(a, b) for a, b in zip(ends, others, strict=True))


def test_loops_and_steps_take_turns() -> None:
    x, y = data(12, 5)
    batches = np.arange(12).reshape(4, 3)
    one, _, ends = trained(mlp)
    expected = [one(x[b], y[b])["loss"].item() for b in (*batches, *batches)]
    many, _, others = trained(mlp)
    found = many.loop(x, y, batches[:2])["loss"].tolist()
    found += [many(x[b], y[b])["loss"].item() for b in batches[2:]]
    found += many.loop(x, y, hm.tensor(batches))["loss"].tolist()
    assert found == expected
    assert all(same(a, b) for a, b in zip(ends, others, strict=True))


@pytest.mark.parametrize("wrong", [12, -13, 2**62])
def test_a_row_out_of_range_changes_nothing(wrong: int) -> None:
    x, y = data(12, 5)
    g, optimizer, ends = trained(mlp)
    before = [t.tolist() for t in ends]
    for batches in ([[0, 1], [2, wrong]], [[wrong, 0]]):
        with pytest.raises(IndexError, match=f"loop: row {wrong} is out of range for arrays with 12 rows"):
            g.loop(x, y, np.array(batches))
    assert [t.tolist() for t in ends] == before
    assert all(not t.any().item() for s in optimizer.state.values() for t in s.values())


def test_a_schedule_steps_along() -> None:
    x, y = data(12, 5)
    batches = np.arange(12).reshape(6, 2)
    ends = []
    for inside in (False, True):
        g, optimizer, state = trained(mlp)
        scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
        if inside:
            g.loop(x, y, batches, scheduler=scheduler)
        else:
            for b in batches:
                g(x[b], y[b])
                scheduler.step()
        ends.append(([t.tolist() for t in state], optimizer.param_groups[0]["lr"], scheduler.state_dict()))
        g(x[:2], y[:2])
        ends[-1] += ([t.tolist() for t in state],)
    assert ends[0] == ends[1]


def test_a_schedule_that_ends_at_zero() -> None:
    """A learning rate of 0 is recorded anew when it is met in a call; in a loop it must simply be 0."""
    x, y = data(12, 5)
    batches = np.arange(12).reshape(6, 2)
    ends = []
    for inside in (False, True):
        g, optimizer, state = trained(mlp)
        scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda k: [1.0, 0.5, 0.0, 0.0, 2.0, 0.0, 1.0][k])
        if inside:
            g.loop(x, y, batches, scheduler=scheduler)
        else:
            for b in batches:
                g(x[b], y[b])
                scheduler.step()
        ends.append([t.tolist() for t in state])
    assert ends[0] == ends[1]


def test_no_steps_and_no_rows() -> None:
    x, y = data(4, 5)
    g, _, ends = trained(mlp)
    before = [t.tolist() for t in ends]
    found = g.loop(x, y, np.zeros((0, 3), np.int64))
    assert {k: (v.shape, v.dtype) for k, v in found.items()} == {
        "loss": ((0,), hm.float32), "right": ((0,), hm.int64),
    }  # fmt: skip
    assert [t.tolist() for t in ends] == before
    total = hm.compile(lambda x: (x.sum(), x * 2))
    sums, rows = total.loop(x, np.zeros((2, 0), np.int64))
    assert sums.tolist() == [0, 0]
    assert rows.shape == (2, 0, 5)
    with pytest.raises(IndexError, match="arrays with 0 rows"):
        total.loop(x[:0], np.zeros((1, 1), np.int64))


def test_rows_of_every_kind() -> None:
    x = hm.arange(10)
    g = hm.compile(lambda x: x * 1)
    assert g.loop(x, np.array([[-1, -10], [9, 0]])).tolist() == [[9, 0], [9, 0]]
    for dtype in ("int8", "uint8", "int32", "uint64"):
        assert g.loop(x, np.array([[3], [1]], dtype)).tolist() == [[3], [1]]
    assert g.loop(x, np.arange(20).reshape(10, 2)[::3, ::-1] % 10).tolist() == [[1, 0], [7, 6], [3, 2], [9, 8]]
    assert g.loop(x.flip(0), hm.tensor([[0]])).tolist() == [[9]]
    assert g.loop(hm.arange(20)[::2], hm.tensor([[1, 2]])).tolist() == [[2, 4]]
    assert g.loop(np.arange(4.0), [[1], [2]]).tolist() == [[1], [2]]


def test_what_is_refused() -> None:
    g = hm.compile(lambda x, y: x + y)
    x = hm.ones(4)
    with pytest.raises(ShapeError, match=r"whole numbers of shape \(steps, batch\), not float64 of shape \(1, 1\)"):
        g.loop(x, x, np.ones((1, 1)))
    with pytest.raises(ShapeError, match=r"not int64 of shape \(3,\)"):
        g.loop(x, x, np.arange(3))
    with pytest.raises(ShapeError, match="the arrays have 3, 4 rows; equally many are right"):
        g.loop(x, hm.ones(3), np.zeros((1, 1), np.int64))
    with pytest.raises(InputError, match="give the arrays whose rows the batches name"):
        g.loop(np.zeros((1, 1), np.int64))
    with pytest.raises((ShapeError, IndexError)):
        g.loop(hm.ones(()), hm.ones(()), np.zeros((1, 1), np.int64))


def test_an_index_out_of_range_inside() -> None:
    table = nn.Embedding(5, 2)
    g = hm.compile(table)
    with pytest.raises(IndexError, match="out of range for an axis of size 5"):
        g.loop(hm.tensor([1, 7]), np.array([[0], [1], [0]]))
    assert g.loop(hm.tensor([1, 7]), np.array([[0]])).shape == (1, 1, 2)


def test_progress_is_told() -> None:
    seen: list[int] = []
    hm.compile(lambda x: x * 2).loop(hm.ones(3), np.zeros((50, 1), np.int64), progress=seen.append)
    assert seen == sorted(set(seen))
    assert seen[-1] == 50


def test_an_error_of_progress_ends_it_and_leaves_it_usable() -> None:
    count = hm.zeros(())
    g = hm.compile(lambda x: count.add_(x.sum()) * 1)

    def stop(done: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        g.loop(hm.ones(1), np.zeros((10**6, 1), np.int64), progress=stop)
    done = count.item()
    assert 3 < done < 10**6
    assert g(hm.ones(1)).item() == done + 1
    assert g.loop(hm.ones(1), np.zeros((2, 1), np.int64)).tolist() == [done + 2, done + 3]


INTERRUPTED = """
import signal, sys, time
import numpy as np
import haema as hm
from haema import nn
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent that ignores it hands that on
hm.set_num_threads(int(sys.argv[1]))
w = hm.rand(600, 600)
count = hm.zeros(())

def f(x):
    y = x
    for _ in range(4):
        y = (y @ w).tanh()
    count.add_(1)
    return y.sum()

g = hm.compile(f)
x = hm.rand(600, 600)
g.loop(x, np.zeros((1, 600), np.int64))
print("begin", flush=True)
try:
    g.loop(x, np.zeros((10**6, 600), np.int64))
except KeyboardInterrupt:
    print("end", time.time(), flush=True)
    before = count.item()
    g(x)
    assert count.item() == before + 1
    print("fine", flush=True)
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_is_answered_within_half_a_second(threads: str) -> None:
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, threads], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(0.7)
        sent = time.time()
        os.kill(process.pid, signal.SIGINT)
        word, at = process.stdout.readline().split()
        assert word == "end"
        assert float(at) - sent < 0.5
        assert process.stdout.readline() == "fine\n"
        assert process.wait(30) == 0
