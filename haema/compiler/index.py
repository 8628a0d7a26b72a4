"""Positions as affine functions of loop axes: c + a i + b j + ..., with quotients and remainders where they stay.

A reshape turns positions into quotients and remainders, and most of them dissolve again:

    (7 i + j) // 7 -> i        (7 i + j) % 7 -> j        for 0 <= j < 7

What does not dissolve because an axis runs across a boundary does once that axis is split in two
(k -> 7 k0 + k1), so the nest is lowered again with the axis split; `Index.splits` proposes where.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any


class Axis:
    """A loop: a name and a number of steps."""

    __slots__ = ("name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    def __repr__(self) -> str:
        return self.name

    @property
    def top(self) -> int:
        """The largest value."""
        return self.size - 1


class Part:
    """``of // by`` or ``of % by``, where that does not dissolve."""

    __slots__ = ("by", "of", "quotient")

    def __init__(self, of: Index, by: int, quotient: bool) -> None:
        self.of, self.by, self.quotient = of, by, quotient

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self.of, self.by, self.quotient) == (other.of, other.by, other.quotient)

    def __hash__(self) -> int:
        return hash((self.of, self.by, self.quotient))

    def __repr__(self) -> str:
        return f"({self.of}) {'//' if self.quotient else '%'} {self.by}"

    @property
    def top(self) -> int:
        """The largest value it can have."""
        return self.of.bounds()[1] // self.by if self.quotient else self.by - 1


class Index:
    """c + sum of coefficient * term, the terms being axes, parts, or values read from memory (0 <= term <= top)."""

    __slots__ = ("const", "terms")

    def __init__(self, const: int = 0, terms: dict[Any, int] | None = None) -> None:
        self.const = const
        self.terms = {t: c for t, c in terms.items() if c} if terms else {}

    @classmethod
    def of(cls, term: Any) -> Index:
        """The index that is this term."""
        if isinstance(term, Axis) and term.size == 1:
            return cls(0)
        return cls(0, {term: 1})

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.const + other, self.terms)
        terms = dict(self.terms)
        for t, c in other.terms.items():
            terms[t] = terms.get(t, 0) + c
        return Index(self.const + other.const, terms)

    def __mul__(self, c: int) -> Index:
        return Index(self.const * c, {t: a * c for t, a in self.terms.items()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self.const == other.const and self.terms == other.terms

    def __hash__(self) -> int:
        return hash((self.const, frozenset(self.terms.items())))

    def __repr__(self) -> str:
        words = [f"{c} {t}" if c != 1 else str(t) for t, c in self.terms.items()]
        if self.const or not words:
            words.append(str(self.const))
        return " + ".join(words).replace("+ -", "- ")

    def bounds(self) -> tuple[int, int]:
        """The smallest and largest value."""
        low = high = self.const
        for t, c in self.terms.items():
            if c > 0:
                high += c * t.top
            else:
                low += c * t.top
        return low, high

    def _divide(self, by: int) -> tuple[Index, Index]:
        """Multiples of ``by``, divided, and the rest."""
        q, r = Index(self.const // by), Index(self.const % by)
        for t, c in self.terms.items():
            whole = c // by if c % by == 0 else 0
            q = q + Index(0, {t: whole})
            r = r + Index(0, {t: c - whole * by})
        k = r.bounds()[0] // by
        return (q + k, r + -k * by) if k else (q, r)  # so that the rest is never negative

    def __floordiv__(self, by: int) -> Index:
        if by == 1:
            return self
        q, r = self._divide(by)
        return q if r.bounds()[1] < by else q + Index.of(Part(r, by, True))

    def __mod__(self, by: int) -> Index:
        if by == 1:
            return Index(0)
        _, r = self._divide(by)
        return r if r.bounds()[1] < by else Index.of(Part(r, by, False))

    def axes(self) -> Iterable[Axis]:
        """All axes it depends on, also inside parts and values read."""
        for t in self.terms:
            if isinstance(t, Axis):
                yield t
            elif isinstance(t, Part):
                yield from t.of.axes()
            else:
                yield from t.axes()

    def affine(self) -> bool:
        """Whether all terms are axes."""
        return all(isinstance(t, Axis) for t in self.terms)

    def splits(self) -> Iterable[tuple[Axis, int]]:
        """Axes that, split with this inner size, would let a part dissolve."""
        for t in self.terms:
            if isinstance(t, Part):
                yield from t.of.splits()
                for axis, c in t.of.terms.items():
                    if isinstance(axis, Axis):
                        inner = t.by // math.gcd(abs(c), t.by)
                        if 1 < inner < axis.size and axis.size % inner == 0:
                            yield axis, inner

    def rewrite(self, change: Callable[[Any], Index | None]) -> Index:
        """With each axis or value replaced by what ``change`` gives for it, if anything."""
        result = Index(self.const)
        for t, c in self.terms.items():
            if isinstance(t, Part):
                of = t.of.rewrite(change)
                result = result + (of // t.by if t.quotient else of % t.by) * c
            else:
                new = change(t)
                result = result + (Index(0, {t: c}) if new is None else new * c)
        return result


def flat(index: Iterable[Index], shape: Iterable[int]) -> Index:
    """The place of an element in row-major order."""
    result = Index(0)
    for i, n in zip(index, shape, strict=True):
        result = result * n + i
    return result


def unflat(place: Index, shape: tuple[int, ...]) -> tuple[Index, ...]:
    """The position of the element at a place in row-major order."""
    result = []
    below = math.prod(shape)
    for axis, n in enumerate(shape):
        below //= max(n, 1)
        if n <= 1:
            result.append(Index(0))
        else:
            whole = place // max(below, 1)
            result.append(whole if axis == 0 or all(m == 1 for m in shape[:axis]) else whole % n)
    return tuple(result)
