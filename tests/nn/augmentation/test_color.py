"""Light and colours."""

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)
X = RNG.random((3000, 3, 2, 2)).astype(np.float32)
LUMA = np.array([0.2989, 0.587, 0.114]).reshape(1, 3, 1, 1)


def jitter(x, **spans):
    return nn.ColorJitter(**spans)(hm.tensor(x)).numpy()


def test_brightness_contrast_and_saturation():
    grey = (X * LUMA).sum(1, keepdims=True)
    assert np.allclose(jitter(X, brightness=(1.5, 1.5)), np.clip(1.5 * X, 0, 1), atol=1e-6)
    expected = np.clip(0.5 * X + 0.5 * grey.mean((1, 2, 3), keepdims=True), 0, 1)
    assert np.allclose(jitter(X, contrast=(0.5, 0.5)), expected, atol=1e-6)
    assert np.allclose(jitter(X, saturation=(0, 0)), np.broadcast_to(grey, X.shape), atol=1e-6)
    assert np.allclose(jitter(X, saturation=(2, 2)), np.clip(2 * X - grey, 0, 1), atol=1e-6)
    one = X[:, :1]
    assert np.allclose(jitter(one, saturation=(2, 2)), one, atol=1e-6), "a grey image has no colours"
    mean = one.mean((1, 2, 3), keepdims=True)
    assert np.allclose(jitter(one, contrast=(2, 2)), np.clip(2 * one - mean, 0, 1), atol=1e-6)


def test_whole_numbers_stay_between_0_and_255():
    x = np.array([0, 100, 101, 255], np.uint8).reshape(1, 1, 2, 2)
    assert jitter(x, brightness=(2, 2)).ravel().tolist() == [0, 200, 202, 255]
    assert jitter(x, brightness=(0.5, 0.5)).ravel().tolist() == [0, 50, 50, 128]  # 50.5 and 127.5 to even numbers
    assert nn.RandomInvert(1.0)(hm.tensor(x)).numpy().ravel().tolist() == [255, 155, 154, 0]


def test_factors_are_uniform():
    x = np.full((4000, 1, 1, 1), 0.5, np.float32)
    hm.manual_seed(0)
    f = jitter(x, brightness=0.4).ravel() / 0.5
    assert (f >= 0.6 - 1e-6).all()
    assert (f <= 1.4 + 1e-6).all()
    assert abs(f.mean() - 1) < 4 * 0.8 / np.sqrt(12 * 4000)
    assert abs(f.var() / (0.8**2 / 12) - 1) < 0.1
    assert nn.ColorJitter(brightness=1.5).brightness == (0, 2.5), "no factor below 0"


def test_inversion():
    hm.manual_seed(0)
    y = nn.RandomInvert(0.25)(hm.tensor(X)).numpy()
    inverted = np.isclose(y, 1 - X).all((1, 2, 3))
    assert (inverted | (y == X).all((1, 2, 3))).all()
    assert abs(inverted.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 3000)


def correlated(n, dtype):
    z = RNG.normal(size=(n, 3, 4, 5)) * np.array([30, 8, 2]).reshape(1, 3, 1, 1)
    mixed = np.einsum("cd,ndij->ncij", np.linalg.qr(RNG.normal(size=(3, 3)))[0], z) + 128
    return mixed.clip(0, 255).astype(dtype) if dtype == np.uint8 else (mixed / 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colour_directions_are_those_of_numpy(dtype):
    x = correlated(300, dtype)
    layer = nn.PCAColorShift.of(x)
    pixels = x.transpose(1, 0, 2, 3).reshape(3, -1) / (255 if dtype == np.uint8 else 1)
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    assert np.allclose(layer.eigenvalues, values[::-1], rtol=1e-4)
    p = np.array(layer.eigenvectors)
    assert np.allclose(np.abs((p * vectors[:, ::-1]).sum(0)), 1, atol=1e-5), "the same up to the sign"


def test_colour_shifts_have_the_covariance_of_the_formula():
    values, vectors = [0.2, 0.05, 0.01], np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    layer = nn.PCAColorShift(values, vectors.tolist(), std=0.2)
    hm.manual_seed(0)
    x = np.full((20000, 3, 1, 2), 0.5, np.float32)
    shift = layer(hm.tensor(x)).numpy() - 0.5
    assert np.array_equal(shift[..., 0], shift[..., 1]), "the same for all pixels"
    shift = shift[:, :, 0, 0]
    expected = vectors @ np.diag((0.2 * np.array(values)) ** 2) @ vectors.T
    assert np.abs(shift.mean(0)).max() < 4 * 0.04 / np.sqrt(20000)
    assert np.abs(np.cov(shift.T) - expected).max() < 0.05 * expected.max()
    whole = layer(hm.tensor((x * 255).astype(np.uint8))).numpy().astype(float)
    assert abs(whole.std() / (255 * np.sqrt(expected.trace() / 3)) - 1) < 0.05, "in the scale of whole numbers"


def test_refuses():
    with pytest.raises(ValueError, match="brightness is -1; a number from 0 upwards"):
        nn.ColorJitter(-1)
    with pytest.raises(ValueError, match=r"contrast is \(-1, 1\); a pair .* in this order, from 0 upwards is right"):
        nn.ColorJitter(contrast=(-1, 1))
    with pytest.raises(hm.ShapeError, match="images have 1 or 3 channels, and these are of shape"):
        nn.ColorJitter(0.5)(hm.ones(1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"2 eigenvalues and rows of \[2\] numbers; C and C rows of C are right"):
        nn.PCAColorShift([1, 2], [[1, 0]])
    with pytest.raises(ValueError, match="std is -1; a number from 0 upwards is right"):
        nn.PCAColorShift([1], [[1]], -1)
    with pytest.raises(hm.ShapeError, match=r"it has 1 channels, and x is \(2, 3, 4, 4\)"):
        nn.PCAColorShift([1], [[1]])(hm.ones(2, 3, 4, 4))
