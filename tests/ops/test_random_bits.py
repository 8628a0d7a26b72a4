"""Philox4x32-10 against the vectors published with it, and what a state means."""

from __future__ import annotations

import numpy as np
import pytest

import haema as hm
from haema import ops
from haema.errors import DTypeError
from haema.ops.random import philox
from tests.ops import references as rows

KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter, key, words) -> None:
    found = philox(tuple(np.array([c], np.uint64) for c in counter), key)
    assert tuple(int(w[0]) for w in found) == words
    assert tuple(rows.philox(list(counter), list(key))) == words


def test_words_do_not_depend_on_how_they_are_drawn() -> None:
    """Blocks drawn one by one, all at once, and in another shape, are the same words."""
    state = np.array([42, 0], np.int64)
    all_at_once = ops.random_bits.evaluate(state, shape=(4, 5))
    one_by_one = [ops.random_bits.evaluate(np.array([42, c]), shape=(4,)) for c in range(5)]
    np.testing.assert_array_equal(all_at_once.ravel(), np.concatenate(one_by_one))


def test_counter_goes_past_32_and_64_bits() -> None:
    for start in (2**32 - 1, -1):
        two = ops.random_bits.evaluate(np.array([1, start]), shape=(8,))
        after = ops.random_bits.evaluate(np.array([1, start + 1]), shape=(4,))
        np.testing.assert_array_equal(two[4:], after)


def test_state_must_be_two_numbers() -> None:
    with pytest.raises(DTypeError, match=r"random_bits: the state is int64\[2\], \(seed, block\), not float32\[2\]"):
        ops.random_bits.rule(ops.Spec((2,), hm.float32), shape=(3,))
