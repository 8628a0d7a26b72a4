"""haema.data.split: every row once, every class in proportion, the same rows for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haema.data import split
from haema.errors import InputError

SHARES = st.sampled_from([(0.8, 0.2), (0.6, 0.2, 0.2), (1.0,), (0.5, 0.5), (0.9, 0.1), (0.25,) * 4])


@settings(max_examples=100, deadline=None)
@given(y=st.lists(st.integers(-3, 5), max_size=200), shares=SHARES, seed=st.integers(0, 9), even=st.booleans())
def test_every_row_is_in_one_part(y, shares, seed, even):
    y = np.array(y, dtype=np.int64)
    parts = split(y, shares, stratify=even, seed=seed)
    assert len(parts) == len(shares)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(y)))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    again = split(y, shares, stratify=even, seed=seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=8), shares=SHARES, seed=st.integers(0, 9))
def test_classes_keep_their_proportions(counts, shares, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = split(y, shares, seed=seed)
    assert set(y[parts[0]]) == set(y)
    for share, part in zip(shares, parts, strict=True):
        for c, m in enumerate(counts):
            assert abs((y[part] == c).sum() - m * share) <= len(shares)
        assert abs(len(part) - len(y) * share) <= len(shares)


def test_counts_by_hand():
    y = np.array([0] * 10 + [1] * 5)
    train, test = split(y, (0.8, 0.2))
    assert np.bincount(y[train]).tolist() == [8, 4]
    assert np.bincount(y[test]).tolist() == [2, 1]


def test_a_class_with_one_row_is_trained_on():
    y = np.array(["a"] * 50 + ["b", "c"])
    for seed in range(10):
        train, test = split(y, (0.5, 0.5), seed=seed)
        assert set(y[train]) == {"a", "b", "c"}
        assert set(y[test]) == {"a"}


def test_seeds_differ_and_rows_are_mixed():
    a, b = split(1000, seed=0)[0], split(1000, seed=1)[0]
    assert (a != b).any()
    assert split(1000)[1].max() > 900
    assert split(1000)[1].min() < 100


def test_numbers_and_row_counts_are_split_at_random():
    y = np.random.default_rng(0).random(100)
    for parts in (split(y), split(100), split(y.reshape(100, 1)), split(np.int64(100))):
        assert [len(p) for p in parts] == [80, 20]
        np.testing.assert_array_equal(parts[0], split(100)[0])


def test_no_rows_make_empty_parts():
    assert [len(p) for p in split(0)] == [0, 0]
    assert [len(p) for p in split(np.zeros(0, np.int64))] == [0, 0]
    assert [len(p) for p in split(1)] == [1, 0]


@pytest.mark.parametrize("shares", [(0.8, 0.3), (1.2, -0.2), (), (0.0, 1.0), 1.0])
def test_names_shares_that_do_not_sum_to_one(shares):
    with pytest.raises(InputError, match=r"split: shares are .*; positive numbers that sum to 1 are right"):
        split(10, shares)


def test_names_a_seed_and_a_count_below_zero():
    with pytest.raises(InputError, match="seed is -1"):
        split(10, seed=-1)
    with pytest.raises(InputError, match="number of rows is -5"):
        split(-5)


def test_names_a_y_that_is_no_list_of_classes():
    with pytest.raises(InputError, match=r"y has shape \(2, 2\)"):
        split(np.zeros((2, 2), np.int64))
