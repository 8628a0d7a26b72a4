"""Random bits from a key and a counter: Philox4x32-10.

    (w0, w1, w2, w3) of block c = philox(key = seed, counter = c),   word i of the result = w[i mod 4] of block i div 4

The state is an int64 tensor (seed, next block). Nothing hidden is advanced: who draws n words adds ceil(n / 4) to the
second number. The same state gives the same words however the work is split.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.3 and the
known-answer vectors published with it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from haema import dtypes
from haema.errors import DTypeError
from haema.ops.core import Op, Spec

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio, sqrt(3) - 1
ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(counter: tuple[np.ndarray, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Four words for each counter of four words; all are 32-bit numbers held in uint64."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0 = x0 * np.uint64(MULTIPLIERS[0])
        p1 = x2 * np.uint64(MULTIPLIERS[1])
        x0, x1, x2, x3 = (
            (p1 >> _HALF) ^ x1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF) ^ x3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return x0, x1, x2, x3


class RandomBits(Op):
    """y = ``shape`` random words (uint32), from the state (seed, block)."""

    family = "random"

    def rule(self, *specs: Spec, shape: tuple[int, ...] = (), **params: Any) -> Spec:
        (state,) = specs
        if state != Spec((2,), dtypes.int64):
            raise DTypeError(f"random_bits: the state is int64[2], (seed, block), not {state}")
        return Spec(shape, dtypes.uint32)

    def evaluate(self, *arrays: np.ndarray, shape: tuple[int, ...] = (), **_: Any) -> np.ndarray:
        seed, start = (int(v) & 0xFFFFFFFFFFFFFFFF for v in arrays[0])
        n = math.prod(shape)
        blocks = np.arange(-(-n // 4), dtype=np.uint64) + np.uint64(start)
        zero = np.zeros_like(blocks)
        words = philox((blocks & _LOW, blocks >> _HALF, zero, zero), (seed & 0xFFFFFFFF, seed >> 32))
        return np.stack(words, -1).reshape(-1)[:n].astype(np.uint32).reshape(shape)


random_bits = RandomBits("random_bits", ("state",))
