"""Rotation, translation, zoom, shear and mirroring."""

import math

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)


def places(n, height, width):
    """Images whose two channels say the row and the column of a pixel: warped, they say where it was read."""
    i, j = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return hm.tensor(np.broadcast_to(np.stack([i, j]), (n, 2, height, width)).astype(np.float64))


def read(x, i, j, fill):
    """Bilinear, one pixel after the other."""
    height, width = x.shape
    k, l = math.floor(i), math.floor(j)
    total = 0.0
    for a, p in ((k, 1 - (i - k)), (k + 1, i - k)):
        for b, q in ((l, 1 - (j - l)), (l + 1, j - l)):
            total += p * q * (x[a, b] if 0 <= a < height and 0 <= b < width else fill)
    return total


@pytest.mark.parametrize("size", [5, 6])
def test_quarter_turns_are_exact(size):
    x = RNG.random((2, 3, size, size)).astype(np.float32)
    for k in range(4):
        clockwise = nn.RandomAffine((90 * k, 90 * k))(hm.tensor(x)).numpy()
        assert np.allclose(clockwise, np.rot90(x, -k, (2, 3)), atol=2e-6)
        counter = nn.RandomRotation((90 * k, 90 * k))(hm.tensor(x)).numpy()
        assert np.allclose(counter, np.rot90(x, k, (2, 3)), atol=2e-6)


def test_whole_pixels_of_translation_are_a_shifted_slice():
    x = RNG.integers(0, 256, (64, 1, 8, 10)).astype(np.uint8)
    hm.manual_seed(0)
    layer = nn.RandomAffine(0, translate=(0.2, 0.3), fill=7)
    y = layer(hm.tensor(x)).numpy()
    hm.manual_seed(0)
    at = layer(hm.tensor(np.broadcast_to(np.arange(80).reshape(8, 10), (64, 1, 8, 10)).astype(np.float32))).numpy()
    seen = set()
    for n in range(64):
        middle = at[n, 0, 4, 5]
        down, right = 4 - int(middle) // 10, 5 - int(middle) % 10
        assert middle == int(middle)
        wide = np.full((8 + 20, 10 + 20), 7, np.uint8)
        wide[10:18, 10:20] = x[n, 0]
        assert np.array_equal(y[n, 0], wide[10 - down : 18 - down, 10 - right : 20 - right])
        seen.add((down, right))
    assert {d for d, _ in seen} == {-2, -1, 0, 1, 2}  # 0.3 x 8 = 2.4, 0.2 x 10 = 2
    assert {r for _, r in seen} == {-2, -1, 0, 1, 2}


def test_a_zoomed_ramp_is_a_ramp():
    y = nn.RandomAffine(0, scale=(2, 2))(places(1, 9, 9)).numpy()[0]
    assert np.allclose(y[1][4], 4 + (np.arange(9) - 4) / 2)
    assert np.allclose(y[0][:, 2], 4 + (np.arange(9) - 4) / 2)
    small = nn.RandomAffine(0, scale=(0.5, 0.5), fill=-1)(places(1, 9, 9)).numpy()[0]
    assert small[1][4].tolist() == [-1, -1, 0, 2, 4, 6, 8, -1, -1]


def test_a_sheared_line():
    x = np.zeros((1, 1, 5, 5), np.float32)
    x[..., 2] = 1
    y = nn.RandomAffine(0, shear=(45, 45))(hm.tensor(x)).numpy()[0, 0]
    assert np.allclose(y, np.eye(5)[::-1], atol=1e-6)
    assert np.allclose(nn.RandomAffine(0, shear=(0, 0, 45, 45))(hm.tensor(x)).numpy(), x, atol=1e-6), "along the line"
    row = np.ascontiguousarray(x.transpose(0, 1, 3, 2))
    y = nn.RandomAffine(0, shear=(0, 0, 45, 45))(hm.tensor(row)).numpy()[0, 0]
    assert np.allclose(y, np.eye(5)[::-1], atol=1e-6)


def test_mirroring_is_exact():
    x = hm.tensor(RNG.random((3, 2, 5, 6)).astype(np.float32))
    assert np.array_equal(nn.RandomAffine(0, hflip=1)(x).numpy(), x.numpy()[..., ::-1])
    assert np.array_equal(nn.RandomAffine(0, vflip=1)(x).numpy(), x.numpy()[:, :, ::-1])
    assert np.array_equal(nn.RandomAffine(0, hflip=1, vflip=1)(x).numpy(), x.numpy()[:, :, ::-1, ::-1])


@pytest.mark.parametrize("center", [None, (2.5, 1.0)])
def test_all_at_once_against_matrices(center):
    height, width = 7, 6
    x = RNG.random((height, width))
    layer = nn.RandomAffine((25, 25), None, (1.3, 1.3), (10, 10, -5, -5), fill=0.25, center=center, hflip=1)
    y = layer(hm.tensor(x[None, None])).numpy()[0, 0]

    turn, sx, sy = np.deg2rad([25, 10, -5])
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    along_y = np.array([[1, 0, 0], [-np.tan(sy), 1, 0], [0, 0, 1]])
    along_x = np.array([[1, -np.tan(sx), 0], [0, 1, 0], [0, 0, 1]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    about = middle if center is None else np.array(center) - 0.5

    def moved(m, by):
        there, back = np.eye(3), np.eye(3)
        there[:2, 2], back[:2, 2] = by, -by
        return there @ m @ back

    whole = moved(np.diag([1.3, 1.3, 1]) @ rotation @ along_y @ along_x, about) @ moved(np.diag([-1, 1, 1]), middle)
    inverse = np.linalg.inv(whole)
    for i in range(height):
        for j in range(width):
            px, py, _ = inverse @ [j, i, 1]
            assert np.isclose(y[i, j], read(x, py, px, 0.25), atol=1e-9)


def test_nearest_takes_pixels_as_they_are():
    x = RNG.integers(0, 256, (16, 3, 8, 8)).astype(np.uint8)
    y = nn.RandomAffine(45, scale=(0.7, 1.5), interpolation="nearest", fill=9)(hm.tensor(x)).numpy()
    for n in range(16):
        assert {*y[n].ravel()} <= {*x[n].ravel(), 9}


def test_whole_numbers_are_rounded():
    x = np.array([0, 1, 255], np.uint8).reshape(1, 1, 1, 3)
    y = nn.RandomAffine(0, scale=(2, 2))(hm.tensor(x)).numpy().ravel()  # read at 0.5, 1 and 1.5
    assert y.tolist() == [0, 1, 128]


def test_parameters_have_their_distributions():
    n = 2500
    hm.manual_seed(0)
    layer = nn.RandomAffine((-10, 30), (0.1, 0.2), (0.8, 1.4), (-20, 10, -10, 20))
    y = layer(places(n, 20, 20)).numpy()
    # the matrix and the shift, from three pixels in the middle
    a = y[:, 1, 10, 11] - y[:, 1, 10, 10]
    b = y[:, 1, 11, 10] - y[:, 1, 10, 10]
    c = y[:, 0, 10, 11] - y[:, 0, 10, 10]
    d = y[:, 0, 11, 10] - y[:, 0, 10, 10]
    forward = np.linalg.inv(np.stack([np.stack([a, b], -1), np.stack([c, d], -1)], -2))
    scale = np.sqrt(np.linalg.det(forward))
    m = forward / scale[:, None, None]  # R S with S = [[1, 0], [-tan sy, 1]] [[1, -tan sx], [0, 1]]
    at = np.stack([y[:, 1, 10, 10], y[:, 0, 10, 10]], -1) - 9.5
    shift = 0.5 - np.einsum("nij,nj->ni", forward, at)
    assert np.allclose(shift, shift.round(), atol=1e-6)
    # m e1 = R (1, -tan sy): its length tells sy's size, and with sx and the angle solved numerically, all
    found = []
    for k in range(300):
        length = np.hypot(*m[k, :, 0])
        for size in (1, -1):
            sy = size * np.arccos(1 / length)
            turn = np.arctan2(m[k, 1, 0], m[k, 0, 0]) + sy
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            s = np.linalg.inv(np.array([[1, 0], [-np.tan(sy), 1]])) @ np.linalg.inv(rotation) @ m[k]
            sx = np.arctan(-s[0, 1])
            angles = np.rad2deg([turn, sx, sy])
            if (np.array([-10, -20, -10]) - 1e-6 <= angles).all() and (angles <= np.array([30, 10, 20]) + 1e-6).all():
                found.append(angles)
                break
        else:
            raise AssertionError(f"no angles in range explain {m[k]}")
    assert (scale >= 0.8).all()
    assert (scale <= 1.4).all()
    for values, low, high in ((scale, 0.8, 1.4), (shift[:, 0], -2, 2), (shift[:, 1], -4, 4)):
        whole = 0 if values is scale else 1 / 12  # rounding adds its own variance
        error = (high - low) / math.sqrt(12 * n)
        assert abs(values.mean() - (low + high) / 2) < 4 * error
        assert abs(values.var() / ((high - low) ** 2 / 12 + whole) - 1) < 0.1
    counts = np.unique(shift[:, 0].round(), return_counts=True)
    assert counts[0].tolist() == [-2, -1, 0, 1, 2]
    assert np.abs(counts[1] / n - np.array([0.125, 0.25, 0.25, 0.25, 0.125])).max() < 0.04


def test_the_angle_is_uniform():
    hm.manual_seed(0)
    y = nn.RandomRotation((-30, 60))(places(4000, 8, 8)).numpy()
    angle = np.rad2deg(np.arctan2(y[:, 0, 4, 4] - y[:, 0, 4, 3], y[:, 1, 4, 4] - y[:, 1, 4, 3]))
    # the picture turns counter-clockwise by what the grid turns clockwise (rows count downwards)
    assert (angle >= -30 - 1e-6).all()
    assert (angle <= 60 + 1e-6).all()
    counts, _ = np.histogram(angle, 9, (-30, 60))
    assert np.abs(counts / 4000 - 1 / 9).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"degrees": -1}, "degrees is -1; a number from 0 upwards, or a pair of numbers, is right"),
        ({"degrees": (3, 2)}, r"degrees is \(3, 2\); a pair \(lowest, highest\) in this order is right"),
        ({"degrees": "much"}, "degrees is 'much'; a number, or a pair"),
        ({"degrees": 1, "translate": (2, 0)}, "translate is .2, 0.; shares of width and height from 0 to 1"),
        ({"degrees": 1, "translate": (1,)}, "translate is .1,.; two numbers, across and down"),
        ({"degrees": 1, "scale": (0, 1)}, "scale is .0, 1.; factors above 0 are right"),
        ({"degrees": 1, "scale": 1.5}, r"scale is 1.5; a pair \(lowest, highest\) is right"),
        ({"degrees": 1, "shear": 90}, "shear is 90; angles between -90 and 90 degrees"),
        ({"degrees": 1, "interpolation": "cubic"}, "interpolation: 'bilinear' or 'nearest' is right, not 'cubic'"),
        ({"degrees": 1, "center": (1, 2, 3)}, "center is .1, 2, 3.; two numbers"),
        ({"degrees": 1, "hflip": 2}, "the probability p must be between 0 and 1, not 2"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        nn.RandomAffine(**arguments)
