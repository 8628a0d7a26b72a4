"""Mixed samples and their losses."""

import numpy as np
import pytest
from scipy import stats

import haema as hm
import haema.nn.functional as F
from haema import nn
from haema.nn.augmentation import beta


@pytest.mark.parametrize("alpha", [0.02, 0.2, 0.4, 1.0, 2.0, 8.0, 100.0])
def test_beta_against_the_exact_distribution(alpha):
    hm.manual_seed(0)
    points = hm.tensor(beta.table(alpha), dtype=hm.float64)
    x = beta.draw(points, alpha, (20000,)).numpy()
    if alpha >= 0.2:  # below, much lies so near to 1 that no float64 is between
        assert stats.kstest(x, stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert abs(x.mean() - 0.5) < 0.015
    assert abs(x.var() * (4 * (2 * alpha + 1)) - 1) < 0.05
    # the table itself, everywhere between its points, as stated
    u = np.linspace(0, 1, 10007)
    t = np.interp(u, np.linspace(0, 1, beta.CELLS + 1), beta.table(alpha))
    error = np.abs(stats.beta.cdf(t ** (1 / alpha) / 2, alpha, alpha) - u / 2).max()
    assert error < (2e-6 if alpha <= 2 else 2e-4)


def test_mixup_mixes_each_with_the_one_before():
    x = np.random.default_rng(0).random((5, 2, 3)).astype(np.float32)
    layer = nn.MixUp(1.0)
    y = layer(hm.tensor(x)).numpy()
    s = layer.share.item()
    assert 0 < s < 1
    assert np.allclose(y, s * x + (1 - s) * np.roll(x, 1, 0), atol=1e-6)
    whole = (x * 255).astype(np.uint8)
    y = layer(hm.tensor(whole)).numpy()
    s = layer.share.item()
    assert y.dtype == np.uint8
    assert np.abs(y - (s * whole + (1 - s) * np.roll(whole, 1, 0))).max() <= 0.501


def test_shares_of_mixup_are_beta_distributed_also_in_a_loop():
    layer = nn.MixUp(0.4)
    hm.manual_seed(0)
    x = hm.tensor(np.array([[0.0], [1.0]], np.float32))

    @hm.compile
    def step(x):
        return layer(x)[1, 0]  # the second row is share * 1 + (1 - share) * 0

    shares = step.loop(x, np.tile([0, 1], (3000, 1))).numpy().ravel()
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_cutmix_takes_a_rectangle_and_its_share_is_the_area():
    layer = nn.CutMix(1.0)
    hm.manual_seed(0)
    x = hm.tensor(np.broadcast_to(np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1), (3, 2, 12, 10)).copy())
    areas, clipped = [], 0
    for _ in range(500):
        y = layer(x).numpy()
        other = y[1] == 0
        assert np.array_equal(y[0] == 2, other)
        assert np.array_equal(y[2] == 1, other)
        assert np.array_equal(other[0], other[1])
        assert np.isclose(layer.share.item(), 1 - other[0].mean(), atol=1e-6)
        rows, columns = other[0].any(1).sum(), other[0].any(0).sum()
        assert other[0].sum() == rows * columns
        areas.append(other[0].mean())
        clipped += other[0][0].any() or other[0][-1].any()
    rng = np.random.default_rng(0)
    r, sides = np.sqrt(rng.random(100000)), []
    for n in (12, 10):
        centre, reach = rng.integers(0, n, 100000), np.floor(r * n / 2)
        sides.append(np.minimum(centre + reach, n) - np.maximum(centre - reach, 0))
    expected = sides[0] * sides[1] / 120
    assert abs(np.mean(areas) - expected.mean()) < 4 * expected.std() / np.sqrt(500)
    assert abs(np.std(areas) / expected.std() - 1) < 0.1
    assert clipped > 200


def test_the_loss_is_that_of_the_mixed_targets():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 6)
    output = hm.tensor(rng.normal(size=(6, 4)))
    for layer, x in ((nn.MixUp(1.0), hm.rand(6, 3)), (nn.CutMix(), hm.rand(6, 1, 8, 8))):
        layer(x)
        s = layer.share.item()
        onehot = np.eye(4)[y]
        mixed = hm.tensor(s * onehot + (1 - s) * np.roll(onehot, 1, 0))
        found = layer.loss(F.cross_entropy, output, hm.tensor(y)).item()
        assert np.isclose(found, F.cross_entropy(output, mixed).item(), rtol=1e-6)
        assert np.isclose(layer.loss(F.cross_entropy, output, hm.tensor(onehot)).item(), found, rtol=1e-6)
        layer.eval()
        assert layer.loss(F.cross_entropy, output, hm.tensor(y)).item() == F.cross_entropy(output, hm.tensor(y)).item()


@pytest.mark.parametrize("layer", [nn.MixUp, nn.CutMix])
def test_refuses(layer):
    for alpha in (0, -1, 101, float("nan")):
        with pytest.raises(ValueError, match=f"alpha is {alpha}; a number above 0 and up to 100 is right"):
            layer(alpha)
