"""Mirrored images."""

import numpy as np
import pytest

import haema as hm
from haema import nn

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (2000, 1, 2, 3)).astype(np.uint8)


@pytest.mark.parametrize(("layer", "axis"), [(nn.RandomHorizontalFlip, 3), (nn.RandomVerticalFlip, 2)])
def test_flips_are_exact_and_as_frequent_as_they_should_be(layer, axis):
    flipped = np.flip(X, axis)
    assert np.array_equal(layer(1.0)(hm.tensor(X)).numpy(), flipped)
    assert np.array_equal(layer(0.0)(hm.tensor(X)).numpy(), X)
    hm.manual_seed(0)
    y = layer(0.3)(hm.tensor(X)).numpy()
    is_flipped, is_same = ((y == a).all((1, 2, 3)) for a in (flipped, X))
    assert (is_flipped | is_same).all()
    assert abs(is_flipped.mean() - 0.3) < 0.04  # 4 deviations


@pytest.mark.parametrize("convert", [lambda a: a, lambda a: (a / 255).astype(np.float32)], ids=["whole", "real"])
def test_alternating_flips_show_both_ways_in_any_two_epochs(convert):
    x = convert(X)
    layer = nn.AlternatingFlip(len(x))
    shown = []
    for epoch in range(4):
        order = np.random.default_rng(epoch).permutation(len(x))
        y = np.empty_like(x)
        for rows in np.array_split(order, 7):  # batches of several sizes, in another order in each epoch
            y[rows] = layer(hm.tensor(x[rows])).numpy()
        shown.append((y == x).all((1, 2, 3)))
        assert (shown[-1] | (y == x[..., ::-1]).all((1, 2, 3))).all()
    symmetric = (x == x[..., ::-1]).all((1, 2, 3))
    assert (shown[0] != shown[1])[~symmetric].all()
    assert np.array_equal(shown[0], shown[2])
    assert np.array_equal(shown[1], shown[3])
    assert abs(shown[0].mean() - 0.5) < 0.05
    assert layer.seen == 4 * len(x)


def test_an_epoch_may_end_within_a_batch():
    layer = nn.AlternatingFlip(3)
    same = hm.tensor(X[:1]).expand(8, 1, 2, 3)
    y = layer(same).numpy()
    flipped = (y != X[0]).any((1, 2, 3))
    assert flipped.tolist() in ([False] * 3 + [True] * 3 + [False] * 2, [True] * 3 + [False] * 3 + [True] * 2)


def test_images_of_few_values_are_not_all_flipped_alike():
    """A bit of the pixels' sum, also of its hash, was the same for most of them."""
    x = (RNG.integers(0, 2, (1000, 1, 8, 8)) * 254).astype(np.uint8)
    y = nn.AlternatingFlip(1000)(hm.tensor(x)).numpy()
    assert 0.4 < (y == x).all((1, 2, 3)).mean() < 0.6


def test_where_it_is_goes_with_the_model(tmp_path):
    layer = nn.AlternatingFlip(10)
    layer(hm.tensor(X[:10]))
    hm.save(nn.Sequential(layer), tmp_path / "m")
    again = hm.load(tmp_path / "m")[0]
    assert again.seen == 10
    assert np.array_equal(again.train()(hm.tensor(X[:10])).numpy(), layer(hm.tensor(X[:10])).numpy())


def test_refuses():
    with pytest.raises(ValueError, match="an epoch has 0 images; a whole number from 1 upwards is right"):
        nn.AlternatingFlip(0)
    for layer in (nn.RandomHorizontalFlip, nn.RandomVerticalFlip, nn.RandomInvert):
        with pytest.raises(ValueError, match=rf"{layer.__name__}: the probability p must be between 0 and 1, not 1.5"):
            layer(1.5)
