"""Types of elements: names, ranks, the default."""

from __future__ import annotations

import numpy as np
import pytest

import haema as hm
from haema import dtypes
from haema.errors import DTypeError


def test_default() -> None:
    assert hm.get_default_dtype() == hm.float32
    try:
        hm.set_default_dtype(hm.float64)
        assert hm.tensor([1.0]).dtype == hm.zeros(1).dtype == hm.rand(1).dtype == hm.float64
        assert (hm.tensor([1]) / 2).dtype == hm.float64
        assert hm.tensor(np.float32([1])).dtype == hm.float32
        assert repr(hm.tensor([1.0])) == "tensor([1.])"
    finally:
        hm.set_default_dtype(hm.float32)
    with pytest.raises(DTypeError, match="the default dtype must be float32 or float64, not int64"):
        hm.set_default_dtype(hm.int64)


def test_names() -> None:
    assert dtypes.as_dtype(float) == hm.float32
    assert dtypes.as_dtype(int) == hm.int64
    assert dtypes.as_dtype(bool) == hm.bool
    assert dtypes.as_dtype("float64") == hm.float64
    assert (hm.long, hm.double, hm.float, hm.int) == (hm.int64, hm.float64, hm.float32, hm.int32)
    for wrong in ("complex64", "float16", "U3", "nonsense", np.int16, object):
        with pytest.raises(
            DTypeError, match="is no tensor type; the types are bool, uint8, int32, int64, float32, float64"
        ):
            dtypes.as_dtype(wrong)


def test_promote_types() -> None:
    chain = list(dtypes.RANK)
    for i, a in enumerate(chain):
        for j, b in enumerate(chain):
            assert hm.promote_types(a, b) == chain[max(i, j)]


def test_what_can_be_combined() -> None:
    assert hm.result_type(hm.tensor([1]), 1.5) == hm.float32
    for other in ("a", None, [1], 1j):
        with pytest.raises(DTypeError, match=f"a tensor cannot be combined with {type(other).__name__}"):
            hm.tensor([1]) + other
    with pytest.raises(DTypeError, match="-1 does not fit uint8"):
        hm.tensor([1], dtype=hm.uint8) + (-1)
    with pytest.raises(DTypeError, match="nan does not fit int64"):
        hm.tensor([1]).masked_fill(hm.tensor([True]), float("nan"))
    with pytest.raises(DTypeError, match="does not fit float32"):
        hm.ones(1) * 10**400


def test_too_large_is_infinite_without_a_warning() -> None:
    """Numbers too large for float32 used to warn where they came in, and to be infinite elsewhere."""
    big = 1e40
    for x in (
        hm.ones(1) * big,
        hm.tensor([big]),
        hm.full((1,), big),
        hm.zeros(1).fill_(big),
        hm.ones(1).new_full((1,), big),
    ):
        assert x.tolist() == [float("inf")]
    assert hm.linspace(0, big, 2).tolist() == [0, float("inf")]
    assert hm.tensor([big], dtype=hm.float64).float().tolist() == [float("inf")]
