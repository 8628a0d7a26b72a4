"""Layers of networks for images: the residual block, whitening of patches, averages over mirror images."""

import numpy as np
import pytest

import haema as hm
from haema import nn


def images(n=40, c=3, h=12, w=10):
    """Images whose neighbouring pixels and channels are alike, as those of photos are."""
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(n, 1, h + 1, w + 1)) + 0.3 * rng.normal(size=(n, c, h + 1, w + 1))
    mixed = smooth[..., 1:, 1:] + smooth[..., :-1, 1:] + 0.5 * smooth[..., 1:, :-1] + 0.7
    return mixed.astype(np.float32)


def covariance(maps):
    return np.cov(maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1), bias=True)


@pytest.mark.parametrize(("c", "k"), [(3, 2), (1, 2), (1, 3), (2, 1)])
def test_whitened_patches_are_uncorrelated_and_of_variance_one(c, k):
    x = images(c=c)
    layer = nn.PatchWhitening(c, k).fit(x, eps=0)
    y = layer(hm.tensor(x)).detach().numpy()
    n = c * k * k
    assert y.shape == (40, 2 * n, 13 - k, 11 - k)
    np.testing.assert_allclose(covariance(y[:, :n]), np.eye(n), atol=1e-3)
    np.testing.assert_allclose(y[:, n:], -y[:, :n], atol=1e-5)
    before = np.linalg.norm(covariance(x) - np.eye(c))
    assert before > 0.5  # so it was not so already


def test_whitening_takes_the_widest_directions_first_and_bounds_the_narrow_ones():
    x = np.repeat(images(c=1), 2, axis=1)  # both channels are equal, so half of the directions have no spread
    layer = nn.PatchWhitening(2, 1).fit(x, eps=1e-4)
    w = layer.weight.numpy()[:2, :, 0, 0]
    np.testing.assert_allclose(np.abs(w[0]), 0.5**0.5 / np.sqrt(2 * x[:, 0].var() + 1e-4), rtol=1e-4)
    np.testing.assert_allclose(np.abs(w[1]), 0.5**0.5 / np.sqrt(1e-4), rtol=1e-3)
    assert np.isfinite(nn.PatchWhitening(1).fit(np.zeros((2, 1, 4, 4))).weight.numpy()).all()


def test_whitening_looks_at_all_images_portion_by_portion(monkeypatch):
    x = images()
    whole = nn.PatchWhitening(3).fit(x).weight.numpy()
    monkeypatch.setattr("haema.nn.whitening.PORTION", 1)
    np.testing.assert_allclose(np.abs(nn.PatchWhitening(3).fit(x).weight.numpy()), np.abs(whole), rtol=1e-4)


def test_whitening_is_not_learned_and_its_bias_is():
    layer = nn.PatchWhitening(1).fit(images(c=1))
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    layer(hm.tensor(images(c=1))).sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), 40 * 11 * 9)
    for shape in ((4, 2, 8, 8), (4, 1, 8, 1), (0, 1, 8, 8), (4, 1, 8)):
        with pytest.raises(hm.InputError, match="PatchWhitening: images have shape"):
            layer.fit(np.zeros(shape))
    with pytest.raises(ValueError, match="kernel_size must be"):
        nn.PatchWhitening(1, 0)


def test_basic_block_asks_for_a_way_past():
    for arguments in ((4, 8), (4, 4, 2)):
        with pytest.raises(ValueError, match="give a downsample module"):
            nn.BasicBlock(*arguments)
    with pytest.raises(ValueError, match="planes must be"):
        nn.BasicBlock(4, 0)
    block = nn.BasicBlock(4, 8, 2, nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8)))
    assert block(hm.randn(2, 4, 7, 5)).shape == (2, 8, 4, 3)


def test_residual_adds_what_goes_past():
    x = hm.randn(3, 4)
    inside, past = nn.Linear(4, 4), nn.Linear(4, 2)
    np.testing.assert_array_equal(nn.Residual(inside)(x).detach().numpy(), (inside(x) + x).detach().numpy())
    wide = nn.Residual(nn.Linear(4, 2), past)
    np.testing.assert_array_equal(wide(x).detach().numpy(), (wide.module(x) + past(x)).detach().numpy())
    assert [*wide.state_dict()] == ["module.weight", "module.bias", "downsample.weight", "downsample.bias"]
    for module in (nn.Linear(4, 2), nn.Linear(4, 1), nn.Unflatten(1, (2, 2))):  # (3, 1) would broadcast
        with pytest.raises(hm.ShapeError, match=r"Residual: the module makes \(3, .*\), and \(3, 4\) goes past it"):
            nn.Residual(module)(x)


def test_basic_block_adds_its_input():
    block = nn.BasicBlock(3, 3)
    with hm.no_grad():
        block.bn2.weight.zero_()
    x = hm.randn(2, 3, 5, 5)
    np.testing.assert_array_equal(block(x).detach().numpy(), np.maximum(x.numpy(), 0))


def test_scale():
    np.testing.assert_array_equal(nn.Scale(0.5)(hm.tensor([1.0, -4.0])).numpy(), [0.5, -2.0])
    assert repr(nn.Scale(1 / 9)) == "Scale(0.111111)"
