"""Random tensors: reproducible, of the right distribution, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import haema as hm
from haema import random
from haema.errors import DTypeError

N = 40_000


def seeded(seed: int = 1) -> hm.Generator:
    return hm.Generator(seed)


def near(x: hm.Tensor, mean: float, std: float) -> None:
    """The mean within five standard errors, the spread within 5% (a fixed seed, so it fails always or never)."""
    a = x.numpy().astype(np.float64)
    assert abs(a.mean() - mean) < 5 * std / math.sqrt(a.size)
    assert abs(a.std() - std) < 0.05 * std


# -- reproducibility ------------------------------------------------------------------


def test_the_first_numbers_are_what_they_always_were() -> None:
    """They belong to the format: a seed in a paper or in a checkpoint must mean the same numbers tomorrow."""
    g = hm.Generator(0)
    words = g.bits((4,)).numpy()
    assert [hex(w) for w in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    assert g.get_state().tolist() == [0, 1]
    u = hm.rand(2, generator=hm.Generator(0))
    assert u.tolist() == [(0x6627E8D5 >> 8) * 2.0**-24, (0xE169C58D >> 8) * 2.0**-24]


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: hm.rand(7, generator=g),
        lambda g: hm.randn(2, 3, generator=g),
        lambda g: hm.randn(3, generator=g, dtype=hm.float64),
        lambda g: hm.randint(0, 10, (5,), generator=g),
        lambda g: hm.randperm(9, generator=g),
        lambda g: hm.bernoulli(hm.full((9,), 0.5), generator=g),
        lambda g: hm.multinomial(hm.ones(9), 4, generator=g),
        lambda g: hm.zeros(9).uniform_(-1, 1, generator=g),
        lambda g: hm.zeros(9).normal_(1, 2, generator=g),
        lambda g: hm.zeros(9).bernoulli_(0.3, generator=g),
        lambda g: hm.normal(0.0, 1.0, (3,), generator=g),
    ],
)
def test_a_seed_means_the_same_numbers(draw) -> None:
    one, two, other = draw(seeded()), draw(seeded()), draw(seeded(2))
    assert one.tolist() == two.tolist()
    assert one.tolist() != other.tolist()
    g = seeded()
    state = g.get_state()
    first, second = draw(g), draw(g)
    assert first.tolist() != second.tolist()
    g.set_state(state)
    assert draw(g).tolist() == first.tolist()
    assert not one.requires_grad


def test_default_generator() -> None:
    old = hm.get_rng_state()
    try:
        hm.manual_seed(5)
        assert hm.initial_seed() == 5
        state = hm.get_rng_state()
        a = hm.rand(3)
        hm.set_rng_state(state)
        assert hm.rand(3).tolist() == a.tolist()
        assert hm.rand_like(a).tolist() != a.tolist()
        assert hm.seed() == hm.initial_seed()
        assert hm.manual_seed(-1).initial_seed() == -1
        assert hm.manual_seed(2**64 - 1).initial_seed() == -1
    finally:
        hm.set_rng_state(old)


def test_generators_are_independent() -> None:
    g, h = seeded(), seeded()
    hm.rand(100, generator=g)
    assert hm.rand(3, generator=h).tolist() == hm.rand(3, generator=seeded()).tolist()
    assert g.seed() != g.seed()


def test_drawing_does_not_touch_a_tape() -> None:
    x = hm.ones(3, requires_grad=True)
    assert not hm.bernoulli(x, generator=seeded()).requires_grad
    assert hm.randn(2, requires_grad=True).requires_grad


# -- distributions ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [hm.float32, hm.float64])
def test_uniform(dtype) -> None:
    u = hm.rand(N, generator=seeded(), dtype=dtype)
    assert u.dtype == dtype
    assert 0 <= u.min().item() < 1e-3
    assert 1 - 1e-3 < u.max().item() < 1
    near(u, 0.5, math.sqrt(1 / 12))
    counts = np.histogram(u.numpy(), bins=20, range=(0, 1))[0]
    assert ((counts - N / 20) ** 2 / (N / 20)).sum() < 45  # chi square, 19 degrees of freedom: 1 in 1000
    near(random.uniform((N,), -3, 5, generator=seeded(), dtype=dtype), 1, 8 * math.sqrt(1 / 12))


@pytest.mark.parametrize("dtype", [hm.float32, hm.float64])
def test_normal(dtype) -> None:
    z = hm.randn(N, generator=seeded(), dtype=dtype)
    assert z.dtype == dtype
    near(z, 0, 1)
    near(z**2, 1, math.sqrt(2))
    near(z**3, 0, math.sqrt(15))
    assert abs((z[:-1] * z[1:]).mean().item()) < 5 / math.sqrt(N)
    below = np.sort(z.numpy())
    expected = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in below[::100]])
    assert np.abs(expected - np.arange(0, N, 100) / N).max() < 1.95 / math.sqrt(N)  # Kolmogorov and Smirnov: 1 in 1000
    near(hm.zeros(N, dtype=dtype).normal_(2, 3, generator=seeded()), 2, 3)


def test_normal_with_tensors() -> None:
    """With a mean and a deviation of different shape the same numbers used to serve for several elements."""
    z = hm.normal(hm.zeros(200, 1), hm.ones(200), generator=seeded())
    assert z.shape == (200, 200)
    assert len(set(z.flatten().tolist())) > 39_000
    near(hm.normal(hm.full((N,), 4.0), 0.5, generator=seeded()), 4, 0.5)
    near(hm.normal(1.0, hm.full((N,), 2.0), generator=seeded()), 1, 2)
    near(hm.normal(1.0, 2.0, (N,), generator=seeded()), 1, 2)


def test_bernoulli() -> None:
    p = 0.3
    near(hm.bernoulli(hm.full((N,), p), generator=seeded()), p, math.sqrt(p * (1 - p)))
    near(hm.zeros(N).bernoulli_(p, generator=seeded()), p, math.sqrt(p * (1 - p)))
    sure = hm.bernoulli(hm.tensor([0.0, 1.0] * 500), generator=seeded())
    assert sure.tolist() == [0, 1] * 500
    assert hm.bernoulli(hm.zeros(1, dtype=hm.float64)).dtype == hm.float64


def test_randint() -> None:
    x = hm.randint(-2, 5, (N,), generator=seeded())
    assert x.dtype == hm.int64
    counts = np.bincount(x.numpy() + 2, minlength=7)
    assert counts.size == 7
    assert ((counts - N / 7) ** 2 / (N / 7)).sum() < 23  # 6 degrees of freedom: 1 in 1000
    assert set(hm.randint(3, (50,), generator=seeded()).tolist()) == {0, 1, 2}
    wide = hm.randint(-(2**31), 2**31, (N,), generator=seeded())
    near(wide.to(hm.float64), -0.5, 2**32 / math.sqrt(12))
    assert hm.randint(1, 2, (2,), dtype=hm.float32).tolist() == [1, 1]


def test_randperm() -> None:
    assert sorted(hm.randperm(1000, generator=seeded()).tolist()) == list(range(1000))
    assert hm.randperm(0).shape == (0,)
    g = seeded()
    firsts = np.bincount([hm.randperm(4, generator=g)[0].item() for _ in range(2000)], minlength=4)
    assert ((firsts - 500) ** 2 / 500).sum() < 17  # 3 degrees of freedom: 1 in 1000


def test_multinomial_with_replacement() -> None:
    w = hm.tensor([1.0, 0.0, 3.0, 0.0])
    at = hm.multinomial(w, N, replacement=True, generator=seeded())
    counts = np.bincount(at.numpy(), minlength=4)
    assert counts[1] == counts[3] == 0
    near((at == 2).float(), 0.75, math.sqrt(0.75 * 0.25))
    rows = hm.multinomial(hm.eye(3), 5, replacement=True, generator=seeded())
    assert rows.tolist() == [[0] * 5, [1] * 5, [2] * 5]


def test_multinomial_without_replacement() -> None:
    g = seeded()
    w = hm.tensor([1.0, 2.0, 0.0, 1.0])
    draws = [hm.multinomial(w, 3, generator=g).tolist() for _ in range(2000)]
    assert all(sorted(d) == [0, 1, 3] for d in draws)
    near(hm.tensor([float(d[0] == 1) for d in draws]), 0.5, 0.5)


# -- errors ------------------------------------------------------------------


def test_errors() -> None:
    with pytest.raises(
        DTypeError, match="uniform: the numbers are floating, so dtype must be float32 or float64, not int64"
    ):
        hm.rand(2, dtype=hm.int64)
    with pytest.raises(DTypeError, match="normal: the numbers are floating"):
        hm.randn(2, dtype=hm.int32)
    with pytest.raises(ValueError, match="normal: give size, or a tensor as mean or std"):
        hm.normal(0.0, 1.0)
    for low, high in ((3, 3), (0, 2**32 + 1)):
        with pytest.raises(ValueError, match=f"randint: needs low < high <= low . 2.32, not {low} and {high}"):
            hm.randint(low, high, (2,))
    with pytest.raises(ValueError, match="multinomial: 3 positions without replacement need as many weights above 0"):
        hm.multinomial(hm.tensor([1.0, 1.0, 0.0]), 3)
    for w in ([-1.0, 2.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]):
        with pytest.raises(ValueError, match="multinomial: weights must be finite, none below 0"):
            hm.multinomial(hm.tensor(w), 1, replacement=True)
