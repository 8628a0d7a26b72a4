"""`explain` and `profile`: what they say is there, complete, and leaves the program as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import nn, optim
from haema.compiler.measure import Stopwatch, bandwidth, peak
from haema.compiler.nest import Buffer
from haema.compiler.report import amount, lifetimes, physical
from haema.compiler.target import target
from tests.compiler import walk


def training(n=8, inputs=12, hidden=16, drop=0.5):
    """A compiled training step with dropout and Adam, and what it changes."""
    hm.manual_seed(1)
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(drop), nn.Linear(hidden, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    optimizer.init_state()

    @hm.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def state():
        moments = [t for s in optimizer.state_dict()["state"].values() for t in s.values()]
        found = [*model.state_dict().values(), *moments, hm.get_rng_state()]
        return [t.numpy().tobytes() if isinstance(t, hm.Tensor) else repr(t) for t in found]

    return step, state, (hm.randn(n, inputs), hm.randint(0, 3, (n,)))


def test_explain_names_every_nest_and_buffer():
    step, _, data = training()
    step(*data)
    text, p = step.explain(), step._last.build()
    for section in ("Graph as recorded", "Graph after the passes", "Loop nests", "Memory", "Total"):
        assert f"\n{section}" in text
    nests, memory = text.split("\nLoop nests")[1].split("\nMemory\n")
    for k, nest in enumerate(p.nests):
        assert f"\n[{k}] " in nests
        for store in nest.stores:
            assert f"\n      {store.buffer}[" in nests
    table = {line.split()[0]: line for line in memory.split("\n") if line}
    for b, (first, last) in lifetimes(p).items():
        line = table[b.name]
        assert b.kind in line
        assert str(list(b.shape)) in line
        assert line.endswith(f" {first}-{last}" if last > first else f" {first}")
        assert b not in p.offsets or f" {p.offsets[b]} " in line
    assert nests.count("work: ") == nests.count("threads: ") == nests.count("vector: ") == len(p.nests)
    assert "test_report.py:" in nests
    assert max(map(len, text.split("\n"))) <= 120


@pytest.mark.parametrize("shape", [(0, 6), (1, 6), (5, 6)])
def test_explain_and_profile_a_module_that_only_runs_forward(shape):
    model = hm.compile(nn.Sequential(nn.Linear(6, 4), nn.Tanh()).eval())
    x = hm.randn(*shape)
    y = model(x).numpy()
    assert "Loop nests" in model.explain()
    found = model.profile(x, repeat=2)
    assert [r.nest for r in sorted(found.rows, key=lambda r: r.nest)] == [
        k for k, n in enumerate(model._last.build().tasks) if n
    ]
    assert str(found).endswith("of the peak of 1 core")
    np.testing.assert_array_equal(model(x).numpy(), y)


def test_profile_leaves_every_bit_of_the_state_alone():
    step, state, data = training()
    other, other_state, _ = training()
    hm.manual_seed(5)
    step(*data)
    before = state()
    step.profile(*data, repeat=3)
    assert state() == before
    losses = [step(*data).item() for _ in range(3)]
    after = state()
    hm.manual_seed(5)
    other(*data)
    assert [other(*data).item() for _ in range(3)] == losses
    assert other_state() == after


def test_profile_of_a_program_that_threads_share():
    step, state, data = training(64, 256, 256)
    step(*data)
    before = state()
    n = hm.get_num_threads()
    try:
        hm.set_num_threads(2)
        found = step.profile(*data, repeat=2)
    finally:
        hm.set_num_threads(n)
    assert state() == before
    assert found.threads == 2
    assert "threads: share " in step.explain()
    assert step.explain().endswith("threads: several threads")
    assert "(2 threads)" in str(found)
    assert found.flops_per_second == sum(r.flops for r in found.rows) / found.all


def test_the_rows_of_a_profile_sum_up():
    step, _, data = training()
    found = step.profile(*data, repeat=2)
    p = step._last.build()
    assert sorted(r.nest for r in found.rows) == [k for k, n in enumerate(p.tasks) if n]
    times = [r.seconds for r in found.rows]
    assert times == sorted(times, reverse=True)
    assert min(times) > 0
    assert found.seconds == sum(times)
    assert math.isclose(sum(r.share for r in found.rows), 1)
    assert sum(r.flops for r in found.rows) == sum(n.flops for n in p.nests)
    lines = str(found).split("\n")
    assert len(lines) == len(found.rows) + 3
    assert max(map(len, lines)) <= 120
    for row, line in zip(found.rows, lines[1:], strict=False):
        assert line.split()[0] == str(row.nest)
        assert row.computes[:30] in line
    assert repr(found) == str(found)
    assert any(r.line.endswith(".py:" + r.line.rsplit(":", 1)[1]) for r in found.rows)


def test_profile_of_a_state_with_gaps_and_backward():
    base = hm.arange(60).float().reshape(6, 10)
    part = hm.Tensor._wrap(base._data[::-2, 1::3])
    before = base.numpy().copy()

    @hm.compile
    def f(x):
        part.add_(x)
        return part * 2

    x = hm.ones(3, 3)
    f.profile(x, repeat=2)
    np.testing.assert_array_equal(base.numpy(), before)
    np.testing.assert_array_equal(f(x).numpy(), 2 * (before[::-2, 1::3] + 1))
    assert "strides (-20, 3)" in f.explain()


def test_what_profile_and_explain_refuse_in_one_sentence():
    f = hm.compile(lambda x, i: x[i])
    with pytest.raises(
        hm.HaemaError, match=r"^<compiled .*> has not been called yet, so there is no program to look at$"
    ):
        f.explain()
    x, i = hm.randn(4, 2), hm.tensor([0, 3])
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=r"^profile: repeat is .*, where a whole number from 1 on is right$"):
            f.profile(x, i, repeat=wrong)
    with pytest.raises(IndexError, match=r"^profile: an index in the arguments is out of range for an axis of size 4$"):
        f.profile(x, hm.tensor([0, 4]))
    np.testing.assert_array_equal(f(x, i).numpy(), x.numpy()[[0, 3]])


@pytest.mark.parametrize(
    ("f", "shapes", "texts"),
    [
        (lambda x, w: x @ w, [(64, 9000), (9000, 40)], ["threads: share "]),
        (lambda x: x.cumsum(0), [(5, 8)], ["scan -> ", "one thread"]),
        (lambda x: hm.cat([x, 2 * x]), [(5, 7)], ["copy x", "vector:  ", "the other lanes are masked"]),
        (lambda x: x.sum(), [(300, 1000)], ["a partial result in each lane", "share 300 tasks: i:300"]),
        (lambda x: x + 1, [(0, 3)], ["nothing to do", "0 B written"]),
        (lambda x: x.sum(0), [(3000, 100)], [" tasks: the vectors"]),
        (lambda x: F.embedding(hm.tensor([0, 2, 2]), x.square()), [(5, 8)], ["[<c"]),
    ],
)
def test_the_schedule_in_words(f, shapes, texts):
    c = hm.compile(f)
    c(*(hm.randn(*s) for s in shapes))
    text = c.explain()
    for words in texts:
        assert words in text
    assert max(map(len, text.split("\n"))) <= 120


def test_writes_whose_order_matters_are_left_to_one_thread():
    @hm.compile
    def f(w, i, g):
        w = w.clone().requires_grad_(True)
        w[i].backward(g)
        return w.grad

    f(hm.randn(5, 8), hm.tensor([0, 2, 2]), hm.ones(3, 8))
    assert "add -> " in f.explain()
    assert "threads: one thread: the order of the writes matters" in f.explain()


def test_explain_of_a_loop():
    step, _, (x, y) = training()
    step.loop(x, y, np.arange(8).reshape(2, 4))
    assert "take" in step.explain()


def test_the_words_for_a_physical_order():
    def order(*axes, shape=(2, 3, 4)):
        b = Buffer("b", shape, np.dtype("f4"), "temporary")
        b.arrange(axes)
        return physical(b)

    assert order(0, 1, 2) == "row-major"
    assert order(0, 2, 1) == "axes 0 2 1"
    assert order(1, 0, shape=(1, 5)) == "row-major"
    assert order(0, shape=(5,)) == "-"


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (131072, "131 kB"),
        (999_800, "1000 kB"),
        (2.5e6, "2.5 MB"),
        (7e9, "7 GB"),
    ],
)
def test_amounts(x, text):
    assert amount(x, "B") == text


def test_what_the_machine_can_do_is_measured_once():
    assert peak(target()) == peak(target()) > 1e8
    assert bandwidth() == bandwidth() > 1e7
    assert Stopwatch([2, 2, 5], target())  # functions with the same number of pointers share one


def test_the_page_shows_what_the_compiler_says():
    page = walk.listings(walk.PAGE.read_text())
    stages = walk.text_stages(*walk.build(walk.run(page["python"])))
    assert set(page) == {"python", *stages, "ir", "assembly", "time"}
    for name, text in stages.items():
        assert page[name] == text + "\n", f"{name} is out of date; write it anew with python -m tests.compiler.walk"


def test_the_page_can_show_machine_code():
    _, p = walk.build(walk.run(walk.listings(walk.PAGE.read_text())["python"]))
    found = walk.machine_stages(p)
    assert found["ir"].count("@llvm.fma") == p.nests[walk.LAYER].plan.tile[1]
    assert "vfmadd" in found["assembly"]
