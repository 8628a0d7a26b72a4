"""Contractions of pairs of bfloat16, summed in float32: about twice as many products a cycle, or many times.

bfloat16 is the upper half of float32: its range, with 8 bits of mantissa. A CPU that knows it multiplies two
neighbours of the sum at once, acc + a0 b0 + a1 b1, so both factors must hold their terms in pairs, a pair to a word of
32 bits. To everything else in the compiler such a word is an element like any other.

The pass takes one label of a sum of n terms and folds it in the middle, at h = ceil(n / 2):

    sum_k x[k] w[k]  ->  sum_{q < h} x'[q] w'[q]        x'[q] = pair(x[q], x[q + h]),   x[n] = 0

Neighbours stay neighbours, so that pairs are made of whole vectors. Where the label runs through a window, what the
window slides over is folded instead:

    x[s q + d j]  ->  x'[s q + d j]        x'[t] = pair(x[t], x[t + s h])

Of an odd number of terms the last pair then holds what lies behind the window's end. The other factor multiplies it by
its 0, so it adds nothing (an infinity or what is no number adds nan); where both run through windows, there is no such
0, and the label is not folded.
"""

from __future__ import annotations

import math

import numpy as np

from haema import ops
from haema.compiler.graph import Graph, Node
from haema.compiler.passes import Rebuild
from haema.ops.contract import parse

WORD = np.dtype(np.uint32)
"""The type of a pair."""
FEWEST = 6
"""Terms along a label from which on it is folded."""
WORTH = 24
"""Products for each element of a factor from which on making pairs of it pays."""
WHOLE = 1.25
"""How much more a sum may cost by folding another label than that of the batch, whose images are better left apart."""


def paired(graph: Graph) -> Graph:
    """The graph with its large contractions of float32 done in pairs of bfloat16."""

    def change(node: Node, r: Rebuild) -> Node | None:
        if node.name != "contract" or node.dtype != np.float32:
            return None
        sides = [r.new[n] for n in node.inputs]
        labels = parse(node.params["spec"])
        label = _label(labels, sides)
        if label is None:
            return None
        half = -(-sides[0].shape[labels[0].index(label)] // 2)
        x, w = (_pairs(s, t.index(label), half, half, r) for s, t in zip(sides, labels, strict=False))
        return r.make(ops.contract, x, w, spec=node.params["spec"], line=node.line)

    return Rebuild().run(graph, change)


def _label(labels: tuple[str, str, str], sides: list[Node]) -> str | None:
    """The label to fold; None where it does not pay."""
    sizes = {c: n for t, s in zip(labels, sides, strict=False) for c, n in zip(t, s.shape, strict=True)}
    if math.prod(sizes.values()) < WORTH * max(math.prod(_base(s).shape) for s in sides):
        return None
    best: tuple[float, str | None] = (math.inf, None)
    for c in labels[0]:
        if c in labels[2] or sizes[c] < FEWEST:
            continue
        if sizes[c] % 2 and all(_slides(s, t.index(c)) for s, t in zip(sides, labels, strict=False)):
            continue
        cost = 2 * -(-sizes[c] // 2) / sizes[c]
        if all(_outermost(s, t.index(c)) for s, t in zip(sides, labels, strict=False)):
            cost *= WHOLE
        if cost < best[0]:
            best = cost, c
    return best[1]


def _base(x: Node) -> Node:
    """What a factor is a view of."""
    while x.name in ("permute", "window", "flip", "pad", "expand"):
        x = x.inputs[0]
    return x


def _outermost(x: Node, axis: int) -> bool:
    """Whether an axis is the first one of what the factor is a view of."""
    while x.name in ("permute", "window", "flip", "pad"):
        if x.name == "permute":
            axis = x.params["axes"][axis]
        elif x.name == "window" and axis == len(x.shape) - 1:
            axis = x.params["axis"]
        x = x.inputs[0]
    return axis == 0


def _slides(x: Node, axis: int) -> bool:
    """Whether `_pairs` folds what a window slides over, rather than the axis itself."""
    while _passes(x, axis):
        axis = x.params["axes"][axis] if x.name == "permute" else axis
        x = x.inputs[0]
    return x.name == "window"


def _passes(x: Node, axis: int) -> bool:
    """Whether a view leaves an axis as it is, but for its place."""
    p = x.params
    if x.name == "window":
        return axis not in (p["axis"], len(x.shape) - 1)
    if x.name == "pad":
        return p["pads"][axis] == (0, 0, 0) and not p.get("value", 0)
    return x.name == "permute" or (x.name == "flip" and axis not in p["axes"])


def _pairs(x: Node, axis: int, shift: int, length: int, r: Rebuild) -> Node:
    """y[.., t, ..] = pair(x[.., t, ..], x[.., t + shift, ..]) for t < length, with 0 behind the end of x.

    Views are left where they are, so that each pair is made once.
    """
    p = x.params
    if _passes(x, axis):
        inside = p["axes"][axis] if x.name == "permute" else axis
        return r.make(getattr(ops, x.name), _pairs(x.inputs[0], inside, shift, length, r), **p)
    if x.name == "window":
        cells = len(x.shape) - 1
        places, size = (x.shape[p["axis"]], length) if axis == cells else (length, p["size"])
        step = p["dilation"] if axis == cells else p["stride"]
        reach = (places - 1) * p["stride"] + (size - 1) * p["dilation"] + 1
        folded = _pairs(x.inputs[0], p["axis"], shift * step, reach, r)
        return r.make(ops.window, folded, **{**p, "size": size})
    return r.make(ops.pair, *(_part(x, axis, start, length, r) for start in (0, shift)))


def _part(x: Node, axis: int, start: int, length: int, r: Rebuild) -> Node:
    """x[start : start + length] along an axis, with zeros behind its end."""
    n = x.shape[axis]
    stop = min(start + length, n)
    ranges = tuple((start, stop, 1) if a == axis else (0, m, 1) for a, m in enumerate(x.shape))
    x = r.make(ops.slice, x, ranges=ranges)
    pads = tuple((0, start + length - stop if a == axis else 0, 0) for a in range(len(x.shape)))
    return r.make(ops.pad, x, pads=pads, value=0)
