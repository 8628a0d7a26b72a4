"""Erased rectangles."""

import numpy as np
import pytest

import haema as hm
from haema import nn


def rectangles(y):
    """Top, left, height and width of the one rectangle of zeros in each image of ones."""
    found = []
    for image in y[:, 0] == 0:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        top, left, height, width = rows[0], columns[0], len(rows), len(columns)
        assert image[top : top + height, left : left + width].all()
        assert image.sum() == height * width
        found.append((top, left, height, width))
    return np.array(found).T


def test_areas_ratios_and_places():
    hm.manual_seed(0)
    n = 4000
    layer = nn.RandomErasing(1.0, (0.05, 0.25), (0.5, 2.0))
    top, left, height, width = rectangles(layer(hm.ones(n, 1, 40, 50)).numpy())
    share = height * width / 2000
    assert 0.04 < share.min() < 0.06  # whole pixels
    assert 0.24 < share.max() < 0.27
    assert abs(share.mean() - 0.15) < 0.004
    assert abs(share.std() - 0.2 / np.sqrt(12)) < 0.003
    log_ratio = np.log(height / width)
    assert abs(log_ratio.mean()) < 0.03
    assert abs(log_ratio.std() - 2 * np.log(2) / np.sqrt(12)) < 0.02
    for place, size, room in ((top, height, 40), (left, width, 50)):
        relative = (place + 0.5) / (room - size + 1)  # uniform on (0, 1)
        counts, _ = np.histogram(relative, 5, (0, 1))
        assert np.abs(counts / n - 0.2).max() < 0.04
    assert (top + height).max() == 40
    assert (left + width).max() == 50


def test_as_often_as_wanted():
    hm.manual_seed(0)
    y = nn.RandomErasing(0.3)(hm.ones(3000, 1, 12, 12)).numpy()
    assert abs((y == 0).any((1, 2, 3)).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 3000)


def test_cutout():
    top, left, height, width = rectangles(nn.RandomErasing(1, (0.25, 0.25), (1, 1))(hm.ones(50, 1, 32, 32)).numpy())
    assert set(height) == set(width) == {16}
    assert len({*zip(top, left, strict=True)}) > 30


def test_a_rectangle_that_does_not_fit_is_drawn_again():
    """Of an image of one row each rectangle is as high as the image, so nothing is erased."""
    x = hm.ones(200, 1, 1, 30)
    assert np.array_equal(nn.RandomErasing(1.0)(x).numpy(), x.numpy())
    # most rectangles of this ratio are too high for 8 rows: one of ten fits in about half of the images
    hm.manual_seed(0)
    y = nn.RandomErasing(1.0, (0.1, 0.4), (1.0, 8.0))(hm.ones(2000, 1, 8, 32)).numpy()
    rng = np.random.default_rng(0)
    height = np.sqrt(rng.uniform(0.1, 0.4, 100000) * 256 * np.exp(rng.uniform(0, np.log(8), 100000)))
    expected = 1 - (np.round(height) >= 8).mean() ** 10
    assert 0.3 < expected < 0.7
    assert abs((y == 0).any((1, 2, 3)).mean() - expected) < 0.045  # 4 deviations
    assert (y[:, 0] == 0).any(2).sum(1).max() < 8


def test_values():
    x = hm.tensor(np.full((300, 3, 8, 8), 7, np.uint8))
    y = nn.RandomErasing(1.0, (0.2, 0.3), value=[1, 2, 3])(x).numpy()
    for c in range(3):
        assert {*y[:, c].ravel()} == {7, c + 1}
    hm.manual_seed(0)
    z = nn.RandomErasing(1.0, value="random")(hm.full((300, 3, 8, 8), 9.0)).numpy()
    drawn = z[z != 9]
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.std() - 1) < 0.05
    with pytest.raises(hm.ShapeError, match=r"2 values came for images of shape \(300, 3, 8, 8\)"):
        nn.RandomErasing(1.0, value=[1, 2])(x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"p": -0.1}, "the probability p must be between 0 and 1, not -0.1"),
        ({"scale": (0.5, 0.2)}, r"scale is \(0.5, 0.2\); a pair \(lowest, highest\) in this order, from 0 upwards"),
        ({"scale": (0.5, 1.2)}, "shares up to 1, ratios above 0 are right"),
        ({"ratio": (0, 1)}, "shares up to 1, ratios above 0 are right"),
        ({"value": "grey"}, "value is 'grey'; a number, one per channel, or 'random' is right"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        nn.RandomErasing(**arguments)
