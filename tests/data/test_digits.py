"""The digits that come with the package."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from haema import data


def test_are_those_of_scikit_learn():
    x, y = data.digits()
    theirs = load_digits()
    assert (x.shape, x.dtype, x.max()) == ((1797, 1, 8, 8), np.uint8, 16)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(x[:, 0], theirs.images)
    np.testing.assert_array_equal(y, theirs.target)


def test_load_by_name():
    d = data.load("digits")
    assert (d.kind, d.task, d.classes, d.source) == ("images", "classification", list("0123456789"), "digits")


def test_are_small():
    from pathlib import Path

    assert (Path(data.__file__).parent / "digits.npz").stat().st_size < 100_000
