"""Passes over graphs, each a function graph -> graph.

simplify     x.reshape(s).reshape(t) -> x.reshape(t), x * 1 -> x, ...; constants are computed; equal nodes are one
transpose    fold(contract(g, w)) -> contract(window(pad(g)), flip(w)): the gradient of a convolution is one
narrow       contract(x, w)[a:b] -> contract(x[a:b], w)
divide       a long sum with few results is taken in parts of fixed size, and these are summed
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from haema import ops
from haema.compiler.graph import Graph, Node, show_params, uses
from haema.ops.contract import parse
from haema.ops.core import Op, Spec

FOLD = 4096
"""Constants are computed up to this many elements."""


class Rebuild:
    """A graph made anew, node by node; a pass says what becomes of each."""

    def __init__(self) -> None:
        self.new: dict[Node, Node] = {}
        self._made: dict[Any, Node] = {}

    def make(self, op: Op, *inputs: Node, line: str = "", **params: Any) -> Node:
        """A node, or the one that is the same already."""
        inputs, params = _canonical(op, inputs, params)
        short = _shorter(op, inputs, params, self)
        if short is not None:
            return short
        key = (op.name, inputs, show_params(params))
        if key not in self._made:
            node = Node(op, inputs, params, line=line)
            if (
                op.name not in ("expand", "random_bits")
                and math.prod(node.shape) <= FOLD
                and all(x.kind == "constant" and x.array.size <= FOLD for x in inputs)  # type: ignore[union-attr]
            ):
                with np.errstate(all="ignore"):
                    value = op.evaluate(*(x.array for x in inputs), **params)  # type: ignore[arg-type]
                node = self.constant(value)
            self._made[key] = node
        return self._made[key]

    def constant(self, value: Any) -> Node:
        """A constant node."""
        a = np.array(value, order="C")
        key = ("constant", a.tobytes(), a.shape, a.dtype.str)
        if key not in self._made:
            self._made[key] = Node(None, spec=Spec(a.shape, a.dtype), kind="constant", array=a)
        return self._made[key]

    def keep(self, node: Node) -> Node:
        """The same node with its inputs replaced."""
        if node.op is None:
            return self.constant(node.array) if node.kind == "constant" and node.array.size <= 64 else node  # type: ignore[union-attr]
        return self.make(node.op, *(self.new[x] for x in node.inputs), line=node.line, **node.params)

    def run(self, graph: Graph, change: Callable[[Node, Rebuild], Node | None] = lambda node, r: None) -> Graph:
        """The graph with each node replaced by what ``change`` gives for it, or kept."""
        for node in graph.nodes():
            self.new[node] = change(node, self) or self.keep(node)
        outputs = [self.new[x] for x in graph.outputs]
        writes = {state: self.new[v] for state, v in graph.writes.items()}
        return Graph(graph.inputs, outputs, {s: v for s, v in writes.items() if v is not s})


def _is(x: Node, value: float) -> bool:
    return x.kind == "constant" and x.array is not None and x.array.size == 1 and x.array.item() == value


def _canonical(op: Op, inputs: tuple[Node, ...], params: dict[str, Any]) -> tuple[tuple[Node, ...], dict[str, Any]]:
    """Reads through what changes nothing: an operand stretched by ``expand`` that the map stretches itself."""
    if op.family == "map" and len(inputs) > 1:
        shape = op.rule(*(x.spec for x in inputs), **params).shape
        given = list(inputs)
        for k, x in enumerate(given):
            if x.name == "expand":
                others = [*given[:k], x.inputs[0], *given[k + 1 :]]
                if op.rule(*(y.spec for y in others), **params).shape == shape:
                    given = others
        inputs = tuple(given)
    return inputs, params


def _shorter(op: Op, inputs: tuple[Node, ...], params: dict[str, Any], r: Rebuild) -> Node | None:
    """What an operation is that need not be done, or is another's."""
    x = inputs[0]
    name = op.name
    if name in ("reshape", "expand") and tuple(params["shape"]) == x.shape:
        return x
    if name == "reshape" and x.name == "reshape":
        return r.make(op, x.inputs[0], shape=params["shape"])
    if name == "expand" and x.name == "expand":
        return r.make(op, x.inputs[0], shape=params["shape"])
    if name == "permute":
        if params["axes"] == tuple(range(len(x.shape))):
            return x
        if x.name == "permute":
            return r.make(op, x.inputs[0], axes=tuple(x.params["axes"][a] for a in params["axes"]))
    if name == "slice" and all(q == (0, n, 1) for q, n in zip(params["ranges"], x.shape, strict=True)):
        return x
    if name == "pad" and not any(p for three in params["pads"] for p in three):
        return x
    if name == "cast" and params["dtype"] == x.dtype:
        return x
    if name in ("sum", "max", "min") and math.prod(x.shape[a] for a in params["axes"]) == 1:
        out = op.rule(x.spec, **params)
        return r.make(ops.reshape, r.make(ops.cast, x, dtype=out.dtype), shape=out.shape)
    if name in ("mul", "div") and x.shape == op.rule(*(y.spec for y in inputs)).shape and _is(inputs[1], 1):
        return x
    if name == "mul" and _is(x, 1) and inputs[1].shape == op.rule(*(y.spec for y in inputs)).shape:
        return inputs[1]
    if name == "neg" and x.name == "neg":
        return x.inputs[0]
    return None


def simplify(graph: Graph) -> Graph:
    """Computes constants, drops what changes nothing, and makes equal nodes one."""
    return Rebuild().run(graph)


def transpose(graph: Graph) -> Graph:
    """The gradient of a convolution with stride 1 as a convolution itself.

        fold_j(sum_o g[n, o, x] w[o, c, j])  ->  sum_{o, j} pad(g)[n, o, x + d j] w[o, c, size - 1 - j]

    Without it each product would be kept for all j before they are added up.
    """
    readers = uses(graph.nodes())

    def change(node: Node, r: Rebuild) -> Node | None:
        if node.name != "fold":
            return None
        # fold(permute(... fold(permute(contract)) ...)): labels are followed from the outside in
        label = list(_LETTERS[: len(node.shape)])
        unused = iter(_LETTERS[len(node.shape) :])
        folds: list[tuple[str, str, Node]] = []
        x = node
        while x.name in ("fold", "permute", "reshape"):
            if x is not node and len(readers[x]) != 1:
                return None
            if x.name == "fold":
                if x.params["stride"] != 1:
                    return None
                j = next(unused)
                folds.append((label[x.params["axis"]], j, x))
                label = [*label, j]
            elif x.name == "permute":
                inner = [""] * len(label)
                for k, a in enumerate(x.params["axes"]):
                    inner[a] = label[k]
                label = inner
            else:
                return None
            x = x.inputs[0]
        if x.name != "contract" or len(readers[x]) != 1:
            return None
        a, b, out = parse(x.params["spec"])
        rename = dict(zip(out, label, strict=True))
        for c in a + b:
            if c not in rename:
                rename[c] = next(unused)
        sides = [("".join(rename[c] for c in t), r.new[n]) for t, n in zip((a, b), x.inputs, strict=True)]
        image = {axis for axis, _, _ in folds}
        cells = {j for _, j, _ in folds}
        for k in (0, 1):
            (gl, g), (wl, w) = sides[k], sides[1 - k]
            if image <= set(gl) and cells <= set(wl) and not image & set(wl) and not cells & set(gl):
                break
        else:
            return None
        pads = [(0, 0, 0)] * len(g.shape)
        for axis, _, fold in folds:
            at, length = gl.index(axis), fold.params["length"]
            pads[at] = ((fold.params["size"] - 1) * fold.params["dilation"], length - g.shape[at], 0)
        g = r.make(ops.pad, g, pads=tuple(pads), value=0)
        for axis, j, fold in folds:
            size, d = fold.params["size"], fold.params["dilation"]
            g = r.make(ops.window, g, axis=gl.index(axis), size=size, stride=1, dilation=d)
            gl += j
            w = r.make(ops.flip, w, axes=(wl.index(j),))
        final = "".join(_LETTERS[: len(node.shape)])
        return r.make(ops.contract, g, w, spec=f"{gl},{wl}->{final}", line=node.line)

    return Rebuild().run(graph, change)


def narrow(graph: Graph) -> Graph:
    """Only the part of a contraction that is needed: slices move before it, and before the views below it.

        contract(x, w)[a:b] -> contract(x[a:b], w)        pad(x)[a:b] -> pad(x, less)

    The gradient of a padded convolution is so computed without the border, where nobody asks for it.
    """
    readers = uses(graph.nodes())

    def change(node: Node, r: Rebuild) -> Node | None:
        if node.name != "slice":
            return None
        x = node.inputs[0]
        while x.name in ("permute", "slice") and len(readers[x]) == 1:
            x = x.inputs[0]
        if x.name != "contract" or len(readers[x]) != 1:
            return None
        return _sliced(r.new[node.inputs[0]], node.params["ranges"], r)

    return Rebuild().run(graph, change)


def _sliced(x: Node, ranges: tuple[tuple[int, int, int], ...], r: Rebuild) -> Node:
    """x[ranges], with the slice as far towards the inputs as it can go."""
    if all(q == (0, n, 1) for q, n in zip(ranges, x.shape, strict=True)):
        return x
    simple = all(step == 1 for _, _, step in ranges)
    if x.name == "permute":
        inner = [(0, 0, 1)] * len(ranges)
        for q, a in zip(ranges, x.params["axes"], strict=True):
            inner[a] = q
        return r.make(ops.permute, _sliced(x.inputs[0], tuple(inner), r), axes=x.params["axes"])
    if x.name == "contract":
        *labels, out = parse(x.params["spec"])
        named = dict(zip(out, ranges, strict=True))
        sides = [
            _sliced(v, tuple(named.get(c, (0, n, 1)) for c, n in zip(t, v.shape, strict=True)), r)
            for t, v in zip(labels, x.inputs, strict=True)
        ]
        return r.make(ops.contract, *sides, spec=x.params["spec"], line=x.line)
    if x.name == "window" and ranges[-1] == (0, x.shape[-1], 1) and simple:
        p, axis = x.params, x.params["axis"]
        start, stop, _ = ranges[axis]
        reach = (p["size"] - 1) * p["dilation"] + 1
        inner = [*ranges[:-1]]
        inner[axis] = (start * p["stride"], (stop - 1) * p["stride"] + reach, 1)
        if stop > start:
            return r.make(ops.window, _sliced(x.inputs[0], tuple(inner), r), **p)
    if x.name == "pad" and simple and not any(between for _, _, between in x.params["pads"]):
        pads, inner = [], []
        for (start, stop, _), (before, _, _), n in zip(ranges, x.params["pads"], x.inputs[0].shape, strict=True):
            low, high = min(max(start - before, 0), n), min(max(stop - before, 0), n)
            front = max(before - start, 0)
            inner.append((low, high, 1))
            pads.append((front, stop - start - front - (high - low), 0))
        if all(high > low for low, high, _ in inner):
            inside = _sliced(x.inputs[0], tuple(inner), r)
            return r.make(ops.pad, inside, pads=tuple(pads), value=x.params.get("value", 0))
    return r.make(ops.slice, x, ranges=ranges)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

PARTS = 512
"""Into how many parts a long sum is divided, at most."""
ENOUGH = 32
"""Parts from which on the outermost axis is the best."""
SHORT = 64
"""Terms of a part, at least."""
LONG = 4096
"""Terms from which on a sum with few results is divided."""
FEW = 512
"""Results up to which a sum has few."""


def divide(graph: Graph) -> Graph:
    """Long sums with few results in parts, so that several threads can work on them, always in the same order.

    sum_n x[n, ...]  ->  sum_p sum_m x[p M + m, ...]
    """

    def change(node: Node, r: Rebuild) -> Node | None:
        if node.name == "sum":
            return _divided_sum(node, r)
        if node.name == "contract":
            return _divided_contract(node, r)
        return None

    return Rebuild().run(graph, change)


def _parts(n: int, terms: int) -> int:
    """The largest number of parts that divides an axis of n evenly, if ``terms`` in all are summed.

    Where the axis is the batch, each image is a part, and what is done image by image can be done at once.
    """
    most = max(1, min(PARTS, terms // SHORT))
    return max(p for p in range(1, most + 1) if n % p == 0)


def _divided_sum(node: Node, r: Rebuild) -> Node | None:
    x = r.new[node.inputs[0]]
    axes, n = node.params["axes"], math.prod(node.shape)
    if n > FEW or math.prod(x.shape) < LONG * max(n, 1) or not axes:
        return None
    terms = math.prod(x.shape[a] for a in axes)
    axis = max(axes, key=lambda a: (min(_parts(x.shape[a], terms), ENOUGH), -a))
    p = _parts(x.shape[axis], terms)
    if p < 4:
        return None
    cut = r.make(ops.reshape, x, shape=(*x.shape[:axis], p, x.shape[axis] // p, *x.shape[axis + 1 :]))
    inner = tuple(a if a < axis else a + 1 for a in axes)
    part = r.make(ops.sum, cut, axes=inner, keepdims=False, line=node.line)
    at = sum(1 for a in range(axis) if a not in axes)
    return r.make(ops.reshape, r.make(ops.sum, part, axes=(at,), keepdims=False), shape=node.shape)


def _divided_contract(node: Node, r: Rebuild) -> Node | None:
    x, w = (r.new[n] for n in node.inputs)
    lx, lw, out = parse(node.params["spec"])
    sizes = dict(zip(lx + lw, x.shape + w.shape, strict=True))
    summed = [c for c in dict.fromkeys(lx) if c not in out]
    n = math.prod(node.shape)
    terms = math.prod(sizes[c] for c in summed)
    if not summed or n > FEW or terms < LONG:
        return None
    label = max(summed, key=lambda c: min(_parts(sizes[c], terms), ENOUGH))
    p = _parts(sizes[label], terms)
    if p < 4:
        return None
    new = next(c for c in _LETTERS if c not in lx + lw + out)
    sides = []
    for labels, v in ((lx, x), (lw, w)):
        a = labels.index(label)
        sides.append(r.make(ops.reshape, v, shape=(*v.shape[:a], p, sizes[label] // p, *v.shape[a + 1 :])))
    lx, lw = lx.replace(label, new + label), lw.replace(label, new + label)
    part = r.make(ops.contract, *sides, spec=f"{lx},{lw}->{new}{out}", line=node.line)
    return r.make(ops.sum, part, axes=(0,), keepdims=False)


def distinct(graph: Graph) -> Graph:
    """Every result and every written value a node of its own, which nothing else is."""
    taken: set[Node] = set()

    def own(x: Node) -> Node:
        if x.op is None or x in taken:
            x = Node(ops.cast, (x,), {"dtype": x.dtype}, line=x.line)
        taken.add(x)
        return x

    writes = {state: own(v) for state, v in graph.writes.items()}
    return Graph(graph.inputs, [own(x) for x in graph.outputs], writes)


PASSES = (simplify, transpose, narrow, divide)
LAST = (simplify, distinct)
"""All of them, in order; `haema.compiler.bfloat` comes between, where it is wished."""
