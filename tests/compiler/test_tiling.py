"""Contractions in tiles: every way to cut them gives the same sums, and the order of the loops is the one meant."""

from __future__ import annotations

import numpy as np
import pytest

import haema as hm
import haema.nn.functional as F
from haema import Tensor
from haema.compiler import program, target
from haema.compiler.index import Axis
from haema.compiler.nest import Nest
from haema.compiler.tiling import COLUMNS, ROWS, Plan, Touch, balanced, tile_of
from tests.compiler.checking import recorded

NARROW = target.describe("x86_64-unknown-linux-gnu", "haswell", "")
WIDE = target.describe("x86_64-unknown-linux-gnu", "skylake-avx512", "")


def close(found: Tensor, wanted: np.ndarray) -> None:
    """Equal to what NumPy says in float64, to the rounding of a long sum."""
    scale = np.abs(wanted).max()
    tolerance = 1e-12 if found.dtype == hm.float64 else 2e-5
    np.testing.assert_allclose(found.numpy(), wanted, atol=tolerance * scale, rtol=0)


def contractions(f: object, *inputs: Tensor, on: target.Target = NARROW) -> list[Nest]:
    """The tiled contractions of a function's program."""
    nests = program.build(recorded(f, *inputs), on, check=True).nests  # type: ignore[arg-type]
    return [n for n in nests if n.plan.kind == "contraction"]


@pytest.mark.parametrize("dtype", [hm.float32, hm.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 5, 17), (7, 100, 33), (64, 64, 47), (65, 129, 16), (6, 300, 1), (100, 3, 200),
        (50, 2100, 90), (257, 512, 260), (40, 5000, 40), (3, 4099, 37),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", ["ab", "aTb", "abT", "aTbT"])
def test_products_of_all_sizes_and_orders_are_numpys(m: int, k: int, n: int, turned: str, dtype: np.dtype) -> None:
    hm.manual_seed(0)
    a = hm.randn(*((k, m) if "aT" in turned else (m, k)), dtype=dtype)
    b = hm.randn(*((n, k) if "bT" in turned else (k, n)), dtype=dtype)

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a.T if "aT" in turned else a) @ (b.T if "bT" in turned else b)

    x, y = (np.asarray(t.numpy(), np.float64) for t in (a, b))
    close(hm.compile(product)(a, b), (x.T if "aT" in turned else x) @ (y.T if "bT" in turned else y))


@pytest.mark.parametrize("dtype", [hm.float32, hm.float64])
@pytest.mark.parametrize(
    ("n", "c", "o", "size", "kernel", "stride", "groups"),
    [
        (3, 5, 37, 9, 3, 1, 1), (2, 40, 50, 7, 3, 1, 1), (8, 33, 24, 6, 3, 2, 1), (4, 64, 96, 5, 1, 1, 1),
        (5, 24, 48, 8, 3, 1, 2), (2, 130, 20, 6, 5, 1, 1), (40, 3, 19, 10, 3, 1, 1),
    ],
)  # fmt: skip
def test_convolutions_and_their_gradients_are_the_eager_ones(
    n: int, c: int, o: int, size: int, kernel: int, stride: int, groups: int, dtype: np.dtype
) -> None:
    hm.manual_seed(0)
    x = hm.randn(n, c, size, size, dtype=dtype, requires_grad=True)
    w = hm.randn(o, c // groups, kernel, kernel, dtype=dtype, requires_grad=True)

    def all_three(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        y = F.conv2d(x, w, stride=stride, padding=kernel // 2, groups=groups)
        gx, gw = hm.autograd.grad((y * y).sum(), [x, w])
        return y.detach(), gx, gw

    wide = [hm.tensor(t.detach().numpy(), dtype=hm.float64).requires_grad_() for t in (x, w)]
    for found, wanted in zip(hm.compile(all_three)(x, w), all_three(*wide), strict=True):
        close(found, wanted.numpy())


def test_weights_that_lie_the_other_way_are_copied_in_panels() -> None:
    (nest,) = contractions(lambda x, w: x @ w.T, hm.ones(200, 64), hm.ones(61, 64))
    loaded = nest.core.args[nest.plan.second]
    assert loaded.buffer.panel == 16
    assert loaded.buffer.shape == (4, 64, 16)  # 61 columns are four panels, the last one filled up
    assert loaded.buffer.strides == (64 * 16, 16, 1)


def test_a_long_sum_is_cut_where_its_panels_would_not_stay_in_the_cache() -> None:
    (nest,) = contractions(lambda x, w: x @ w, hm.ones(256, 4096), hm.ones(4096, 256))
    (block,) = nest.plan.blocks
    (rest,) = nest.plan.inner
    assert block.size * rest.size == 4096
    assert 128 <= rest.size <= 512
    (short,) = contractions(lambda x, w: x @ w, hm.ones(256, 256), hm.ones(256, 256))
    assert not short.plan.blocks


def test_the_panel_of_a_convolution_stays_while_the_rows_of_an_image_pass() -> None:
    """A panel of 2304 x 16 numbers is more than the first cache holds, all panels more than the second."""
    x, w = hm.ones(64, 256, 8, 8), hm.ones(256, 256, 3, 3)
    (nest,) = contractions(lambda x, w: F.relu(F.conv2d(F.relu(x), w, padding=1).sum(0)), x, w)
    order = nest.plan.order
    height = next(a for a in nest.plan.outer if a.size == 8)
    assert order.index(COLUMNS) < min(order.index(height), order.index(ROWS))


def test_what_is_touched_is_counted_in_runs() -> None:
    i, j, k = Axis("i", 10), Axis("j", 3), Axis("k", 8)
    rows = Touch({i: 100, k: 1}, 4)
    assert rows.bytes({k: 8}) == 32
    assert rows.bytes({i: 10, k: 8}) == 10 * (32 + 64)  # ten runs, each of which begins within a line
    assert Touch({i: 8, k: 1}, 4).bytes({i: 10, k: 8}) == 10 * 8 * 4  # rows one after another are one run
    assert Touch({i: 100, j: 100, k: 1}, 4).bytes({i: 10, j: 3, k: 8}) == 12 * (32 + 64)  # a window slides


def test_tiles_cover_all_rows_and_columns() -> None:
    v = Axis("v", 8 * 7 + 3)
    p = Plan(v, 8, [], [], {}, kind="contraction", row=Axis("r", 20), tile=(6, 3))
    assert p.row_tiles() == balanced(20, 6) == [(5, 4)]
    assert p.column_tiles() == [(3, 2, False), (2, 1, True)]  # vectors; the last one is cut
    assert (p.turns(ROWS), p.turns(COLUMNS)) == (4, 3)


@pytest.mark.parametrize(("on", "tile"), [(NARROW, (6, 2)), (WIDE, (14, 2))])
def test_a_tile_fills_the_registers(on: target.Target, tile: tuple[int, int]) -> None:
    which, rows, vectors = tile_of([(420, 1)], 64, on)
    assert (which, rows, vectors) == (0, *tile)
    assert rows * vectors + vectors + 1 <= on.registers
