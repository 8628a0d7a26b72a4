"""Loop nests: for every position of the domain, an expression is computed and stored.

    nest   ::= axes | reduction axes, cores, stores
    core   ::= acc = sum | max | min | argmax | argmin | scan  of expr, over the reduction axes
             | acc = contract of load * load
    store  ::= buffer[index] = expr        or  +=
    expr   ::= buffer[index] | number | acc | op(expr, ...) | expr if tests else expr | random word

A nest prints as text that can be read; so it is what `explain` shows and what golden tests hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from haema.compiler.graph import Node
from haema.compiler.index import Axis, Index


class Buffer:
    """Memory with a logical shape and a physical order.

    Attributes:
        name: What listings call it.
        shape, dtype: Of the values.
        kind: "input", "state", "constant", "output" or "temporary".
        strides: Elements between neighbours along each axis; None until decided.
        node: The value it holds.
        array: Memory of a state or values of a constant.
        fixed: Whether it must be row-major, or lie as its array does.
        panel: Columns of a panel, where it is (panels, terms..., columns of a panel); else 0.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype, kind: str, node: Node | None = None) -> None:
        self.name, self.shape, self.dtype, self.kind, self.node = name, shape, dtype, kind, node
        self.strides: tuple[int, ...] | None = None
        self.extent = 0
        self.fixed = kind != "temporary"
        self.array: np.ndarray | None = None
        self.panel = 0

    def __repr__(self) -> str:
        return self.name

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def arrange(self, order: tuple[int, ...] | None = None) -> None:
        """Decide the physical order: axes from the outermost to the innermost, row-major by default.

        The rows of a temporary are kept from lying a multiple of 512 bytes apart, for such rows compete for the same
        few places of the cache.
        """
        strides = [0] * len(self.shape)
        step = 1
        for k, axis in enumerate(reversed(tuple(range(len(self.shape))) if order is None else order)):
            strides[axis] = step
            step *= max(self.shape[axis], 1)
            if k == 0 and not self.fixed and step * self.dtype.itemsize % 512 == 0:
                step += 64 // self.dtype.itemsize
        self.strides = tuple(strides)
        self.extent = step

    @property
    def nbytes(self) -> int:
        """Bytes of memory it takes."""
        return max(self.extent, self.size) * self.dtype.itemsize

    def offset(self, index: tuple[Index, ...]) -> Index:
        """Where an element lies, counted in elements."""
        assert self.strides is not None, f"{self.name} has no layout yet"
        result = Index(0)
        for i, s in zip(index, self.strides, strict=True):
            result = result + i * s
        return result


class Expr:
    """Something with a value at each position."""

    __slots__ = ("dtype",)
    dtype: np.dtype


class Number(Expr):
    """The same everywhere."""

    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: np.dtype) -> None:
        self.value, self.dtype = value, dtype


class Load(Expr):
    """buffer[index]."""

    __slots__ = ("buffer", "index")

    def __init__(self, buffer: Buffer, index: tuple[Index, ...]) -> None:
        self.buffer, self.index, self.dtype = buffer, index, buffer.dtype


class Apply(Expr):
    """An elementwise operation."""

    __slots__ = ("args", "name")

    def __init__(self, name: str, args: tuple[Expr, ...], dtype: np.dtype) -> None:
        self.name, self.args, self.dtype = name, args, dtype


class Test(NamedTuple):
    """low <= place < high."""

    place: Index
    low: int
    high: int


class Choose(Expr):
    """``a`` where all tests hold, else ``b``; where they fail, ``a`` is not looked at."""

    __slots__ = ("a", "b", "tests")

    def __init__(self, tests: tuple[Test, ...], a: Expr, b: Expr) -> None:
        self.tests, self.a, self.b, self.dtype = tests, a, b, a.dtype


class Place(Expr):
    """A position as a number."""

    __slots__ = ("index",)

    def __init__(self, index: Index) -> None:
        self.index, self.dtype = index, np.dtype(np.int64)


class Word(Expr):
    """The random word number ``index`` after a state (seed, block)."""

    __slots__ = ("block", "index", "seed")

    def __init__(self, seed: Expr, block: Expr, index: Index) -> None:
        self.seed, self.block, self.index, self.dtype = seed, block, index, np.dtype(np.uint32)


class Acc(Expr):
    """The result of a core."""

    __slots__ = ("core",)

    def __init__(self, core: Core) -> None:
        self.core, self.dtype = core, core.dtype


class Picked:
    """A position that is data: the value of an int64 expression, counted from the end if negative."""

    __slots__ = ("expr", "size")

    def __init__(self, expr: Expr, size: int) -> None:
        self.expr, self.size = expr, size

    def __repr__(self) -> str:
        return f"<{show_expr(self.expr)}>"

    @property
    def top(self) -> int:
        """The largest value it can have."""
        return max(self.size - 1, 0)

    def axes(self) -> Iterator[Axis]:
        """The axes that the expression depends on."""
        for index in indices(self.expr):
            yield from index.axes()


class Core:
    """A reduction.

    Attributes:
        kind: "sum", "max", "min", "argmax", "argmin", "scan" or "contract".
        axes: What is summed over.
        args: The expression; for a contraction the two factors.
        dtype: Of the result.
    """

    def __init__(self, kind: str, axes: list[Axis], args: tuple[Expr, ...], dtype: np.dtype) -> None:
        self.kind, self.axes, self.args, self.dtype = kind, axes, args, dtype

    @property
    def pairs(self) -> bool:
        """Whether it is a contraction whose factors are pairs of bfloat16."""
        return self.kind == "contract" and self.args[0].dtype != self.dtype


class Store:
    """buffer[index] = expr, or += where ``add``."""

    def __init__(self, buffer: Buffer, index: tuple[Index, ...], expr: Expr, add: bool = False) -> None:
        self.buffer, self.index, self.expr, self.add = buffer, index, expr, add


class Nest:
    """A loop nest.

    Attributes:
        axes: The domain, in logical order.
        core: The reduction in it, if any.
        stores: What is written.
        serial: Axes whose order matters: later writes win.
        plan: How it is to be run; see `haema.compiler.schedule`.
    """

    def __init__(self, axes: list[Axis], core: Core | None, stores: list[Store], serial: tuple[Axis, ...] = ()) -> None:
        self.axes, self.core, self.stores, self.serial = axes, core, stores, serial
        self.plan: Any = None

    def loads(self) -> list[Load]:
        """Everything that is read, each load once."""
        found: dict[int, Load] = {}
        for root in self.expressions():
            for e in parts(root):
                if isinstance(e, Load):
                    found[id(e)] = e
        for store in self.stores:
            for index in store.index:
                for term in index.terms:
                    if isinstance(term, Picked):
                        found.update((id(e), e) for e in parts(term.expr) if isinstance(e, Load))
        return list(found.values())

    def expressions(self) -> Iterator[Expr]:
        """The roots of all expressions."""
        if self.core is not None:
            yield from self.core.args
        for store in self.stores:
            yield store.expr

    def buffers(self) -> list[Buffer]:
        """All memory it touches."""
        return list(dict.fromkeys([x.buffer for x in self.loads()] + [s.buffer for s in self.stores]))

    @property
    def points(self) -> int:
        """How often the innermost expression is computed."""
        return math.prod(a.size for a in {*self.axes, *(() if self.core is None else self.core.axes)})

    @property
    def flops(self) -> int:
        """Arithmetic operations of the contraction, 0 for other nests."""
        if self.core is None or self.core.kind != "contract":
            return 0
        return (4 if self.core.pairs else 2) * self.points

    @property
    def bytes(self) -> int:
        """Memory read and written, each buffer counted once."""
        return sum(min(b.size, self.points) * b.dtype.itemsize for b in self.buffers())


def parts(root: Expr) -> Iterator[Expr]:
    """Every expression below ``root`` and itself, each once."""
    seen: set[int] = set()
    stack: list[Expr] = [root]
    while stack:
        e = stack.pop()
        if id(e) in seen:
            continue
        seen.add(id(e))
        yield e
        if isinstance(e, Apply):
            stack.extend(e.args)
        elif isinstance(e, Choose):
            stack += [e.a, e.b]
            stack += [x.expr for t in e.tests for x in _terms(t.place) if isinstance(x, Picked)]
        elif isinstance(e, Word):
            stack += [e.seed, e.block]
            stack += [x.expr for x in _terms(e.index) if isinstance(x, Picked)]
        elif isinstance(e, Load):
            stack += [t.expr for i in e.index for t in _terms(i) if isinstance(t, Picked)]


def _terms(index: Index) -> Iterator[Any]:
    for t in index.terms:
        if hasattr(t, "of"):
            yield from _terms(t.of)
        yield t


def indices(root: Expr) -> Iterator[Index]:
    """Every index below ``root``."""
    for e in parts(root):
        if isinstance(e, Load):
            yield from e.index
        elif isinstance(e, Choose):
            yield from (t.place for t in e.tests)
        elif isinstance(e, (Place, Word)):
            yield e.index


# -- text ------------------------------------------------------------------------------

_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">",
    "ge": ">=", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "floor_divide": "//", "remainder": "%",
}  # fmt: skip


def show_expr(e: Expr, limit: int = 400) -> str:
    """An expression as text."""
    text = _show(e, {})
    return text if len(text) <= limit else text[:limit] + " ..."


def _show(e: Expr, memo: dict[int, str]) -> str:
    if id(e) not in memo:
        memo[id(e)] = _show_new(e, memo)
    return memo[id(e)]


def _show_new(e: Expr, memo: dict[int, str]) -> str:
    if isinstance(e, Number):
        return f"{e.value:.9g}" if e.dtype.kind == "f" else str(e.value)
    if isinstance(e, Load):
        return f"{e.buffer}[{', '.join(map(str, e.index))}]"
    if isinstance(e, Acc):
        return "acc"
    if isinstance(e, Place):
        return f"({e.index})"
    if isinstance(e, Word):
        return f"random[{e.index}]"
    if isinstance(e, Choose):
        tests = " and ".join(f"{t.low} <= {t.place} < {t.high}" for t in e.tests)
        return f"({_show(e.a, memo)} if {tests} else {_show(e.b, memo)})"
    assert isinstance(e, Apply)
    args = [_show(x, memo) for x in e.args]
    if sum(map(len, args)) > 4000:
        args = [a[:200] + " ..." if len(a) > 200 else a for a in args]
    if e.name in _SIGNS and len(args) == 2:
        return f"({args[0]} {_SIGNS[e.name]} {args[1]})"
    if e.name == "cast":
        return f"{e.dtype.name}({args[0]})"
    return f"{e.name}({', '.join(args)})"


def show(nest: Nest) -> str:
    """The nest as text."""
    axes = " ".join(f"{a}:{a.size}" for a in nest.axes) or "once"
    over = "" if nest.core is None else " | " + " ".join(f"{a}:{a.size}" for a in nest.core.axes)
    lines = [f"nest  {axes}{over}"]
    if nest.core is not None:
        factors = nest.core.args if nest.core.kind == "contract" else nest.core.args[:1]
        what = " * ".join(show_expr(x) for x in factors)
        kind = "sum" if nest.core.kind == "contract" else nest.core.kind
        lines.append(f"  acc = {kind} {what}")
    for s in nest.stores:
        lines.append(f"  {s.buffer}[{', '.join(map(str, s.index))}] {'+=' if s.add else '='} {show_expr(s.expr)}")
    return "\n".join(lines)


def verify(nest: Nest) -> None:
    """Check that every index uses the nest's own axes and stays inside its buffer where it can be seen to.

    Raises:
        AssertionError: it does not.
    """
    outer, inner = set(nest.axes), set(nest.axes)
    if nest.core is not None:
        inner |= set(nest.core.axes)
    for i, root in enumerate(nest.expressions()):
        allowed = inner if nest.core is not None and (i < len(nest.core.args) or nest.core.kind == "scan") else outer
        for index in indices(root):
            assert set(index.axes()) <= allowed, f"{index} uses an axis that is none of the nest's: {show(nest)}"
    for store in nest.stores:
        for index, n in zip(store.index, store.buffer.shape, strict=True):
            low, high = index.bounds()
            assert n == 0 or nest.points == 0 or (low >= 0 and high < n), f"{store.buffer}: {index} leaves 0..{n - 1}"


def substitute(e: Expr, change: Callable[[Any], Index | None], memo: dict[int, Expr]) -> Expr:
    """The expression with the axes of all its indices replaced."""
    if id(e) not in memo:
        memo[id(e)] = _substituted(e, change, memo)
    return memo[id(e)]


def _substituted(e: Expr, change: Callable[[Any], Index | None], memo: dict[int, Expr]) -> Expr:
    def term(t: Any) -> Index | None:
        if isinstance(t, Picked):
            return Index.of(Picked(substitute(t.expr, change, memo), t.size))
        return change(t)

    if isinstance(e, Load):
        return Load(e.buffer, tuple(i.rewrite(term) for i in e.index))
    if isinstance(e, Apply):
        return Apply(e.name, tuple(substitute(x, change, memo) for x in e.args), e.dtype)
    if isinstance(e, Choose):
        tests = tuple(Test(t.place.rewrite(term), t.low, t.high) for t in e.tests)
        return Choose(tests, substitute(e.a, change, memo), substitute(e.b, change, memo))
    if isinstance(e, Place):
        return Place(e.index.rewrite(term))
    if isinstance(e, Word):
        return Word(substitute(e.seed, change, memo), substitute(e.block, change, memo), e.index.rewrite(term))
    return e
