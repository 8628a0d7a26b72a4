"""Borders around tensors: views, flips and joins, so that the derivative needs nothing of its own."""

from __future__ import annotations

from collections.abc import Sequence

from haema import ops
from haema.errors import ShapeError
from haema.nn.functional._common import along, bordered, row_major
from haema.tensor import Tensor


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """``input`` with a border.

        constant   v v | a b c | v v            reflect    c b | a b c | b a
        replicate  a a | a b c | c c            circular   b c | a b c | a b

    Args:
        input: Any shape; for the modes other than constant at least one axis more than is padded.
        pad: (left, right, top, bottom, ...): sizes from the last axis on backwards; negative to crop.
        mode: "constant", "reflect", "replicate" or "circular".
        value: v, for "constant" only; 0 by default.

    Raises:
        ValueError: the mode is unknown, or a value comes with a mode that has none.
        ShapeError: there are more sizes than axes, or the border is wider than the values it is made of.
    """
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}")
    if mode != "constant" and value not in (None, 0):
        raise ValueError(f"pad: a value has no meaning with mode {mode!r}")
    sizes = [int(p) for p in pad]
    if len(sizes) % 2 or len(sizes) // 2 > input.ndim:
        came = tuple(input.shape)
        raise ShapeError(f"pad: {tuple(sizes)} is not a pair of sizes for each of the last axes of {came}")
    pads = {input.ndim - 1 - i // 2: (sizes[i], sizes[i + 1]) for i in range(0, len(sizes), 2)}
    for a, (before, after) in pads.items():
        if input.shape[a] + before + after < 0:
            raise ShapeError(f"pad: {(before, after)} leaves less than nothing of axis {a} of {tuple(input.shape)}")
    if mode == "constant":
        return row_major(bordered(input, pads, 0.0 if value is None else value))
    for a, (before, after) in pads.items():
        cropped = bordered(input, {a: (min(before, 0), min(after, 0))})
        input = _joined(cropped, a, max(before, 0), max(after, 0), mode)
    return input


def _joined(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """``x`` with a border made of its own values on one axis."""
    n = x.shape[axis]
    if before == after == 0:
        return x
    widest = {"reflect": n - 1, "circular": n, "replicate": before + after if n else 0}[mode]
    if max(before, after) > widest:
        raise ShapeError(f"pad: a {mode} border of {(before, after)} needs more than the {n} values of axis {axis}")
    if mode == "reflect":
        left, right = along(x, axis, 1, before + 1), along(x, axis, n - 1 - after, n - 1)
        left, right = ops.flip(left, axes=(axis,)), ops.flip(right, axes=(axis,))
    elif mode == "circular":
        left, right = along(x, axis, n - before, n), along(x, axis, 0, after)
    else:
        ends = along(x, axis, 0, 1), along(x, axis, n - 1, n)
        left, right = (
            ops.expand(end, shape=tuple(k if a == axis else m for a, m in enumerate(x.shape)))
            for end, k in zip(ends, (before, after), strict=True)
        )
    parts = [p for p, k in ((left, before), (x, 1), (right, after)) if k]
    return ops.concat(*parts, axis=axis)
