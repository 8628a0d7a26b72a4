"""Random crops."""

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)
MODES = {"constant": {"constant_values": 9}, "edge": {}, "reflect": {}}


def numbered(n, height, width, dtype=np.int64):
    """Images whose pixels are their own numbers."""
    return np.broadcast_to(np.arange(height * width).reshape(height, width), (n, 1, height, width)).astype(dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [2, (1, 2), (0, 1, 2, 3)])
def test_each_crop_is_a_part_of_the_padded_image(mode, padding):
    x = RNG.integers(0, 256, (40, 2, 6, 5)).astype(np.uint8)
    y = nn.RandomCrop((5, 4), padding, fill=9, padding_mode=mode)(hm.tensor(x)).numpy()
    left, top, right, bottom = (padding,) * 4 if isinstance(padding, int) else tuple(padding) * (4 // len(padding))
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode, **MODES[mode])
    for n in range(40):
        found = [
            (a, b)
            for a in range(wide.shape[2] - 4)
            for b in range(wide.shape[3] - 3)
            if np.array_equal(y[n], wide[n, :, a : a + 5, b : b + 4])
        ]
        assert found, f"image {n} is no part"


def test_places_are_uniform():
    hm.manual_seed(0)
    n = 9000
    y = nn.RandomCrop((6, 7))(hm.tensor(numbered(n, 8, 9))).numpy()[:, 0, 0, 0]
    values, counts = np.unique(y, return_counts=True)
    assert values.tolist() == [9 * a + b for a in range(3) for b in range(3)]
    assert (((counts - n / 9) ** 2) / (n / 9)).sum() < 27  # chi squared with 8 degrees of freedom: once in 1500


def test_the_usual_crop_of_cifar_shifts_by_up_to_4():
    x = numbered(3000, 32, 32)
    y = nn.RandomCrop(32, 4)(hm.tensor(x + 1)).numpy()
    assert y.shape == x.shape
    middle = y[:, 0, 16, 16] - 1
    down, right = middle // 32 - 16, middle % 32 - 16
    assert set(down) == set(right) == set(range(-4, 5))
    for n in range(0, 3000, 100):
        assert (y[n] == 0).sum() == 1024 - (32 - abs(down[n])) * (32 - abs(right[n]))


def test_in_evaluation_the_middle_is_taken():
    x = hm.tensor(numbered(2, 10, 12))
    assert np.array_equal(nn.RandomCrop(6).eval()(x).numpy(), x.numpy()[:, :, 2:8, 3:9])
    assert nn.RandomCrop((10, 12), 4).eval()(x) is x
    uneven = nn.RandomCrop((10, 12), (0, 0, 4, 2), fill=-1).eval()(x).numpy()
    assert np.array_equal(uneven[:, :, :9, :10], x.numpy()[:, :, 1:, 2:])
    assert (uneven[:, :, 9:] == -1).all()
    assert (uneven[:, :, :, 10:] == -1).all()
    assert nn.RandomCrop(14, pad_if_needed=True).eval()(x).shape == (2, 1, 14, 14)


def test_images_that_are_too_small():
    x = hm.tensor(numbered(2, 5, 6))
    assert nn.RandomCrop(8, pad_if_needed=True, padding_mode="edge")(x).shape == (2, 1, 8, 8)
    with pytest.raises(hm.ShapeError, match=r"a crop of 8 x 8 is larger than the images, which are 5 x 6$"):
        nn.RandomCrop(8)(x)
    with pytest.raises(hm.ShapeError, match="a crop of 8 x 8 is larger than the images, which are 7 x 8 with their"):
        nn.RandomCrop(8, 1)(x)


def test_refuses():
    with pytest.raises(ValueError, match="padding_mode must be 'constant', 'edge', 'reflect', not 'wrap'"):
        nn.RandomCrop(3, padding_mode="wrap")
    with pytest.raises(ValueError, match="padding is -1; 1, 2 or 4 numbers from 0 upwards are right"):
        nn.RandomCrop(3, -1)
    with pytest.raises(ValueError, match=r"padding is \(1, 2, 3\)"):
        nn.RandomCrop(3, (1, 2, 3))
    with pytest.raises(ValueError, match="size must be 1 or more, not 0"):
        nn.RandomCrop(0)
