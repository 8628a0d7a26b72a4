"""erf in double precision, against Python's."""

from __future__ import annotations

import math

import numpy as np

from haema.ops.special import ERF_END, ERF_K, ERF_P, ERF_Q, erf


def test_erf_is_good_to_the_last_bits() -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), np.geomspace(1e-300, 7, 2000), [1, np.nextafter(1, 2), 0.0]])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), expected, rtol=4e-16, atol=0)


def test_erf_in_float32() -> None:
    x = np.linspace(-7, 7, 4001, dtype=np.float32)
    y = erf(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [math.erf(v) for v in x], rtol=4e-7, atol=0)


def test_erfc_from_its_formula() -> None:
    """The tail polynomial against Python's erfc: its relative error is that of the exponential."""
    x = np.linspace(1, ERF_END, 2001)
    t = (x - ERF_K) / (x + ERF_K)
    q = np.polyval(ERF_Q, t)
    np.testing.assert_allclose(np.exp(-x * x) * q / (1 + 2 * x), [math.erfc(v) for v in x], rtol=1e-14)


def test_erf_starts_with_its_slope() -> None:
    assert ERF_P[-1] == 2 / math.sqrt(math.pi)
