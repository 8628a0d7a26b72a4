"""Elastic morphing."""

import numpy as np
import pytest

import haema as hm
from haema import nn
from haema.nn.augmentation.elastic import smoothing


@pytest.mark.parametrize(("n", "sigma"), [(32, 4.0), (7, 2.5), (2, 3.0), (1, 1.0), (50, 0.8)])
def test_smoothing_is_a_mirrored_gaussian(n, sigma):
    x = np.random.default_rng(0).normal(size=n)
    radius = int(8 * sigma + 1) // 2
    k = np.arange(-radius, radius + 1)
    weight = np.exp(-(k**2) / (2 * sigma**2))
    mirrored = np.pad(x, radius, "reflect") if n > 1 else np.repeat(x, 2 * radius + 1)
    assert np.allclose(smoothing(n, sigma) @ x, np.convolve(mirrored, weight / weight.sum(), "valid"))
    assert np.allclose(smoothing(n, sigma).sum(1), 1), "a constant field stays"


def test_the_field_is_as_strong_and_as_smooth_as_the_formula_says():
    alpha, sigma = 60.0, 3.0
    hm.manual_seed(0)
    d = nn.ElasticTransform(alpha, sigma).field(hm.zeros(300, 1, 40, 36)).numpy()
    assert d.shape == (300, 2, 40, 36)
    rows, columns = smoothing(40, sigma), smoothing(36, sigma)
    expected = (alpha / 2) ** 2 / 3 * np.outer((rows**2).sum(1), (columns**2).sum(1))
    assert np.abs(d.mean((0, 2, 3))).max() < 0.05 * d.std()
    assert np.abs(d.var((0, 1)) / expected - 1).mean() < 0.06
    assert abs(d[:, :, 18:22, 16:20].std() / (alpha / (12 * sigma)) - 1) < 0.1, "the rule of thumb of the docstring"
    # of a Gaussian's correlation exp(-d^2 / (4 sigma^2)) after 1 and after 6 pixels
    for step in (1, 6):
        a, b = d[:, :, 10:20, 12:24], d[:, :, 10 + step : 20 + step, 12:24]
        assert abs((a * b).mean() / np.sqrt((a**2).mean() * (b**2).mean()) - np.exp(-(step**2) / 36)) < 0.05
    down, across = d[:, 0].ravel(), d[:, 1].ravel()
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.05


def test_pixels_are_read_where_the_field_points():
    layer = nn.ElasticTransform(8.0, 2.0)
    i, j = np.meshgrid(np.arange(20.0), np.arange(16.0), indexing="ij")
    x = hm.tensor(np.broadcast_to(np.stack([i, j]), (4, 2, 20, 16)).copy())
    hm.manual_seed(5)
    d = layer.field(x).numpy()
    hm.manual_seed(5)
    y = layer(x).numpy()
    inside = slice(4, -4)
    moved = (y - x.numpy())[:, :, inside, inside]
    assert np.abs(d).max() < 4
    assert np.abs(d).max() > 0.5
    assert np.allclose(moved, d[:, :, inside, inside], atol=1e-9)


def test_nothing_moves_without_strength():
    x = hm.rand(2, 3, 6, 5)
    assert np.allclose(nn.ElasticTransform(0.0)(x).numpy(), x.numpy())
    assert not np.allclose(nn.ElasticTransform(2.0, 0.0)(x).numpy(), x.numpy())


def test_refuses():
    with pytest.raises(ValueError, match="sigma is -1; a number from 0 upwards is right"):
        nn.ElasticTransform(sigma=-1)
    with pytest.raises(ValueError, match="alpha is nan"):
        nn.ElasticTransform(float("nan"))
    with pytest.raises(ValueError, match="'bilinear' or 'nearest' is right, not 'cubic'"):
        nn.ElasticTransform(interpolation="cubic")
