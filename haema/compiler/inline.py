"""What a node is worth at a position: views move the position, maps become expressions, what is kept is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.compiler.graph import Node
from haema.compiler.index import Axis, Index, flat, unflat
from haema.compiler.nest import (
    Acc,
    Apply,
    Choose,
    Core,
    Expr,
    Load,
    Number,
    Picked,
    Place,
    Test,
    Word,
)  # fmt: skip
from haema.ops.contract import parse
from haema.ops.core import Op, Spec

if TYPE_CHECKING:
    from haema.compiler.lower import Group, Lowering

Position = tuple[Index, ...]

CORES = {
    "sum": "sum",
    "max": "max",
    "min": "min",
    "argmax": "argmax",
    "argmin": "argmin",
    "fold": "sum",
    "cumsum": "scan",
}
REGIONS = ("concat", "assign", "put", "put_add")
AFFINE = ("permute", "expand", "slice", "window", "flip", "reshape")


def axes_of(shape: Iterable[int], names: str = "ijklmnop") -> list[Axis]:
    """Fresh axes for a shape."""
    return [Axis(names[k] if k < len(names) else f"a{k}", n) for k, n in enumerate(shape)]


class Inline:
    """Expressions for nodes at positions.

    Attributes:
        sites: The kept nodes that were asked for, and at which positions.
        places: The inputs, states and constants that were read.
        core: The reduction of the group.
    """

    def __init__(self, lowering: Lowering, group: Group | None, kept: set[Node]) -> None:
        self.lowering, self.group, self.kept = lowering, group, kept
        self.sites: dict[Node, list[Position]] = {}
        self.places: set[Node] = set()
        self.core: Core | None = None
        self._values: dict[Node, tuple[Position, Expr]] = {}
        self._memo: dict[tuple[Node, Position], Expr] = {}

    def member(self, node: Node) -> Expr:
        """The value of a member of the group, where it stands."""
        assert self.group is not None
        at = self.group.members[node]
        if node.name in CORES or node.name == "contract":
            self.core = self._core(node, at)
            e: Expr = Acc(self.core)
        elif node.name in REGIONS:
            for x in node.inputs:
                self.at(x, tuple(Index.of(a) for a in axes_of(x.shape)))
            e = Number(0, node.dtype)
        else:
            e = self.at(node, at, root=True)
        self._values[node] = at, e
        return e

    def at(self, node: Node, at: Position, root: bool = False) -> Expr:
        """The value of ``node`` at a position; ``root`` if it is to be computed although it is kept."""
        key = node, at
        if key not in self._memo:
            self._memo[key] = self._at(node, at, root)
        return self._memo[key]

    def _at(self, node: Node, at: Position, root: bool) -> Expr:
        if is_number(node):
            assert node.array is not None
            return Number(node.array.reshape(-1)[0], node.dtype)
        if node in self.kept and not root:
            if node in self._values and self._values[node][0] == at:
                return self._values[node][1]
            if node.op is None:
                self.places.add(node)
            else:
                self.sites.setdefault(node, []).append(at)
            return Load(self.lowering.buffer(node), at)
        op = node.op
        assert op is not None
        if op.family == "map":
            return Apply(op.name, tuple(self.at(x, _stretched(at, x.shape)) for x in node.inputs), node.dtype)
        if op.family == "view":
            (x,) = node.inputs
            inside, tests = through(op, node.params, x.spec, at)
            e = self.at(x, inside)
            return choose(tests, e, Number(node.dtype.type(node.params.get("value", 0)), node.dtype))
        if op.name == "random_bits":
            (state,) = node.inputs
            seed, block = (self.at(state, (Index(k),)) for k in (0, 1))
            return Word(seed, block, flat(at, node.shape))
        assert op.name == "take", f"{op.name} is not lowered"
        x, *where = node.inputs
        n = len(where[0].shape)
        rest = iter(at[n:])
        named = dict(zip(node.params["axes"], where, strict=True))
        position = (self.picked(named[k], at[:n], size) if k in named else next(rest) for k, size in enumerate(x.shape))
        return self.at(x, tuple(position))

    def picked(self, where: Node, at: Position, size: int) -> Index:
        """A position along an axis of ``size``, read from ``where``."""
        key = where, at, size
        memo: Any = self._memo
        if key not in memo:
            memo[key] = Index.of(Picked(self.at(where, at), size))
        return memo[key]

    def _core(self, node: Node, at: Position) -> Core:
        assert self.group is not None
        x = node.inputs[0]
        if node.name == "contract":
            labels_x, labels_w, out = parse(node.params["spec"])
            sizes = dict(zip(labels_x + labels_w, x.shape + node.inputs[1].shape, strict=True))
            summed = [c for c in dict.fromkeys(labels_x) if c not in out]
            over = self.group.over([Axis(f"k{c}", sizes[c]) for c in summed])
            where = dict(zip(out, at, strict=True)) | dict(zip(summed, over, strict=True))
            args = tuple(
                self.at(n, tuple(where[c] for c in labels))
                for n, labels in zip(node.inputs, (labels_x, labels_w), strict=True)
            )
            return Core("contract", [a for a in self.group.inner if a.size != 1], args, node.dtype)
        params = node.params
        if node.name == "fold":
            (j,) = self.group.over([Axis("j", params["size"])])
            axis = params["axis"]
            place = at[axis] + j * -params["dilation"]
            count, stride = x.shape[axis], params["stride"]
            tests = (Test(place, 0, (count - 1) * stride + 1), Test(place % stride, 0, 1))
            body = self.at(x, (*at[:axis], place // stride, *at[axis + 1 :], j))
            args = (choose(tests, body, Number(node.dtype.type(0), node.dtype)),)
        elif node.name == "cumsum":
            axis = params["axis"]
            args = (self.at(x, at),)
            args = (_as(args[0], node.dtype),)
            axes = [t for t in at[axis].terms if isinstance(t, Axis)]
            return Core("scan", axes, args, node.dtype)
        else:
            axes = params["axes"]
            inner_at = iter(self.group.over([Axis("k" + "ijklmnop"[a % 8], x.shape[a]) for a in axes]))
            kept = iter(at)
            position = []
            for a in range(len(x.shape)):
                if a in axes:
                    position.append(next(inner_at))
                    if params.get("keepdims"):
                        next(kept)
                else:
                    position.append(next(kept))
            body = self.at(x, tuple(position))
            args = (_as(body, node.dtype) if node.name == "sum" else body,)
            if node.name.startswith("arg"):
                args += (Place(self.group.inner_at[0]),)
        inner = [a for a in self.group.inner if a.size != 1 or node.name.startswith("arg")]
        return Core(CORES[node.name], inner, args, node.dtype)


def _as(e: Expr, dtype: np.dtype) -> Expr:
    return e if e.dtype == dtype else Apply("cast", (e,), dtype)


def _stretched(at: Position, shape: tuple[int, ...]) -> Position:
    """The position in an operand that is broadcast."""
    return tuple(Index(0) if n == 1 else i for i, n in zip(at[len(at) - len(shape) :], shape, strict=True))


def choose(tests: Iterable[Test], a: Expr, b: Expr) -> Expr:
    """``a`` if all tests hold; those decided already are left out."""
    open_tests = []
    for t in tests:
        low, high = t.place.bounds()
        if low >= t.low and high < t.high:
            continue
        if high < t.low or low >= t.high:
            return b
        open_tests.append(t)
    return Choose(tuple(open_tests), a, b) if open_tests else a


def through(op: Op, params: dict[str, Any], spec: Spec, at: Position) -> tuple[Position, tuple[Test, ...]]:
    """Where a view looks: the position in its input, and what must hold for there to be one.

    Args:
        op, params: The view.
        spec: Of its input.
        at: A position in its result.
    """
    shape, name = spec.shape, op.name
    if name == "reshape":
        return unflat(flat(at, params["shape"]), shape), ()
    if name == "permute":
        inside: list[Index] = [Index(0)] * len(shape)
        for i, a in zip(at, params["axes"], strict=True):
            inside[a] = i
        return tuple(inside), ()
    if name == "expand":
        return _stretched(at, shape), ()
    if name == "slice":
        return tuple(i * step + start for i, (start, _, step) in zip(at, params["ranges"], strict=True)), ()
    if name == "flip":
        return tuple(
            i * -1 + (n - 1) if a in params["axes"] else i for a, (i, n) in enumerate(zip(at, shape, strict=True))
        ), ()
    if name == "window":
        axis = params["axis"]
        moved = at[axis] * params["stride"] + at[-1] * params["dilation"]
        return (*at[:axis], moved, *at[axis + 1 : -1]), ()
    assert name == "pad", f"{name} is not lowered"
    position, tests = [], []
    for i, n, (before, _, between) in zip(at, shape, params["pads"], strict=True):
        place = i + -before
        tests.append(Test(place, 0, (n - 1) * (between + 1) + 1 if n else 0))
        if between:
            tests.append(Test(place % (between + 1), 0, 1))
        position.append(place // (between + 1))
    return tuple(position), tuple(tests)


def is_number(node: Node) -> bool:
    """Whether it is a constant that stands in the code itself."""
    return node.kind == "constant" and node.array is not None and node.array.size == 1
