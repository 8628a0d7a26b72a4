"""features.png: what becomes of one image on its way through the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from haema.drawing import INK, PALE
from haema.inspect.pictures.sheet import TOP, Sheet, grey_or_colour, shortened, show_tile
from haema.tensor import Tensor

__all__ = ["draw_features", "thinned"]

MOST, CHANNELS = 12, 8
TILE, GAP, LEFT = 0.82, 0.08, 3.55


def thinned(names: Sequence[str], most: int = MOST) -> list[str]:
    """At most so many of the names, evenly spread, the first and the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[round(k * (len(names) - 1) / (most - 1))] for k in range(most)]


def draw_features(
    image: Tensor,
    maps: Mapping[str, Tensor],
    types: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    name: str = "",
) -> Any:
    """A picture with a row for each layer: up to eight of its channels, the liveliest ones.

    Values that are all 0 or above are dark at 0 and bright at the layer's largest; others are blue below and red
    above 0. Each row has a scale of its own. A channel keeps its column from a convolution through the activation and
    the pooling behind it.

    Args:
        image: (C, H, W).
        maps: Layer name -> output for this image alone, (1, C, H, W) or (1, K), in their order; as from
            `feature_maps`. Of more than twelve layers some are left out.
        types: Layer name -> what kind of layer it is.
        classes: Names of the last layer's units.
        name: What the image is called.

    Returns:
        A Matplotlib figure.
    """
    names = thinned([n for n, y in maps.items() if y.ndim in (2, 4) and y.numel()])
    heights = [_height(maps[n]) for n in names]
    sheet = Sheet(
        LEFT + CHANNELS * (TILE + GAP) + 0.85,
        TOP + max(sum(heights), 2.9) + 0.3,
        f"Feature maps{f' of {shortened(name, 60, end=True)}' if name else ''}",
        (f"{len(names)} of {len(maps)} layers" if len(names) < len(maps) else "layers")
        + f" from top to bottom, up to {CHANNELS} channels of each; those that only normalise or reshape are left out",
    )
    pixels, how = grey_or_colour(image.detach().numpy()[None])
    c, h, w = image.shape
    side = 1.45 / max(h, w)
    axes = sheet.blank(0.25, TOP, 1.5, 2.0)
    axes.text(0, 0.15, "the image", fontsize=8.5, color=INK, fontweight="bold")
    axes.text(0, 0.3, f"{c} x {h} x {w}", fontsize=7.5, color=PALE)
    show_tile(axes, pixels[0], 0, 0.36, w * side, h * side, **how)
    top, chosen = TOP, None
    for n, height in zip(names, heights, strict=True):
        y = maps[n].detach().numpy()[0].astype(np.float64)
        last = n == names[-1]
        _label(sheet, top, n, (types or {}).get(n, ""), y.shape)
        if y.ndim == 3:
            chosen = _channels(y, chosen)
            _maps(sheet, top, y, chosen[1])
        else:
            _vector(sheet, top, y, classes if last else None)
        top += height
    return sheet.figure


def _height(y: Tensor) -> float:
    return 0.66 if y.ndim == 2 else _tile_height(y.shape[2], y.shape[3]) + 0.3


def _tile_height(h: int, w: int) -> float:
    return min(max(TILE * h / w, 0.2), 1.6)


def _channels(y: np.ndarray, before: tuple[int, list[int]] | None) -> tuple[int, list[int]]:
    """Which channels of (C, H, W): those of the layer before if it had as many, else those with the most spread."""
    if before is not None and before[0] == len(y):
        return before
    order = np.argsort(-y.std(axis=(1, 2)), kind="stable")[:CHANNELS]
    return len(y), sorted(order.tolist())


def _label(sheet: Sheet, top: float, name: str, kind: str, shape: tuple[int, ...]) -> None:
    sheet.text(1.95, top + 0.3, shortened(kind or name, 20), size=8.5, weight="bold")
    sheet.text(1.95, top + 0.44, " x ".join(map(str, shape)), size=7.5, color=PALE)
    if kind:
        sheet.text(1.95, top + 0.58, f"layer {shortened(name, 17, end=True)}", size=7.5, color=PALE)


def _scale(y: np.ndarray) -> tuple[dict[str, Any], list[float]]:
    """Colours for the numbers of a layer, and the ticks of their bar."""
    finite = y[np.isfinite(y)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0:
        return {"cmap": "viridis", "vmin": 0.0, "vmax": high or 1.0}, [0.0, high or 1.0]
    limit = max(-low, high)
    return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}, [-limit, 0.0, limit]


def _maps(sheet: Sheet, top: float, y: np.ndarray, channels: list[int]) -> None:
    how, ticks = _scale(y[channels])
    height = _tile_height(*y.shape[1:])
    axes = sheet.blank(LEFT, top, CHANNELS * (TILE + GAP), height + 0.26)
    shown: Any = None
    for k, channel in enumerate(channels):
        left = k * (TILE + GAP)
        axes.text(left, 0.17, f"{channel}", fontsize=7, color=PALE)
        shown = show_tile(axes, y[channel], left, 0.21, TILE, height, **how)
    place = (LEFT + CHANNELS * (TILE + GAP) + 0.02, top + 0.24, 0.08, height - 0.06)
    sheet.bar(shown, place, ticks)


def _vector(sheet: Sheet, top: float, y: np.ndarray, classes: Sequence[str] | None) -> None:
    """The units of a dense layer as a strip."""
    how, ticks = _scale(y)
    wide = CHANNELS * (TILE + GAP) - GAP
    axes = sheet.axes(LEFT, top + 0.14, wide, 0.26)
    shown = axes.imshow(y[None], aspect="auto", interpolation="nearest", **how)
    axes.set_yticks([])
    axes.tick_params(labelsize=7, length=2, colors=INK, pad=1.5)
    if classes is not None and len(classes) == len(y) <= 20:
        room = max(2, round(110 / len(y)))
        axes.set_xticks(range(len(y)), [shortened(c, room) for c in classes])
    else:
        axes.set_xticks(_unit_ticks(len(y)))
    for spine in axes.spines.values():
        spine.set_linewidth(0.4)
    sheet.bar(shown, (LEFT + wide + GAP + 0.02, top + 0.14, 0.08, 0.26), [ticks[0], ticks[-1]])


def _unit_ticks(count: int) -> list[int]:
    step = next(s for p in range(12) for s in (10**p, 2 * 10**p, 5 * 10**p) if count / s <= 16)
    return list(range(0, count, step))
