"""activations.png and gradients.png: how the numbers in each layer are spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from haema.drawing import INK, PALE, plain_axes
from haema.inspect.activations import Distribution, distribution
from haema.inspect.pictures.features import thinned
from haema.inspect.pictures.sheet import TOP, Sheet, shortened
from haema.nn.utils import get_total_norm
from haema.tensor import Tensor

__all__ = ["draw_activations", "draw_gradients"]

ACTIVATION, GRADIENT = "#1f6f8b", "#e07a3f"
COLUMNS, MOST = 3, 12
WIDE, HIGH, LEFT, GAP = 2.7, 1.3, 0.9, 0.75
"""Size of a panel in inches, and the room left of the first and between two."""


def draw_activations(
    statistics: Mapping[str, Distribution], types: Mapping[str, str] | None = None, rows: int | None = None
) -> Any:
    """A picture with a histogram for each layer, and above it mean, deviation, share of zeros and dead units.

    Args:
        statistics: Layer name -> figures, as from `activation_statistics`. Of more than twelve layers some are left
            out.
        types: Layer name -> what kind of layer it is.
        rows: How many images went through.

    Returns:
        A Matplotlib figure.
    """
    names = thinned(list(statistics), MOST)
    sheet, places = _sheet(
        len(names),
        0.0,
        "Activations, layer by layer",
        f"what comes out of each layer{f' for {rows} images' if rows else ''}, in evaluation mode; "
        "a unit is dead if it is 0 for all of them" + _left_out(names, statistics, "layers"),
    )
    for k, name in enumerate(names):
        d = statistics[name]
        units = f", {d.dead} of {d.units} dead" if d.units > 1 and d.dead else ""
        words = f"mean {d.mean:.3g}, sd {d.std:.3g}, {100 * d.zeros:.0f} % zeros{units}"
        axes = _panel(sheet, places[k], name, (types or {}).get(name, ""), words, k, len(names), "activation")
        _histogram(axes, d, ACTIVATION)
    return sheet.figure


def draw_gradients(
    gradients: Mapping[str, Tensor], types: Mapping[str, str] | None = None, rows: int | None = None
) -> Any:
    """A picture with the norm of each layer's gradient, and a histogram of that of its largest parameter.

    Args:
        gradients: Parameter name -> gradient, as from `hm.inspect.gradients`. Of more than twelve layers the
            histograms of some are left out.
        types: Layer name -> what kind of layer it is.
        rows: How many images there were in the batch.

    Returns:
        A Matplotlib figure.
    """
    types = types or {}
    layers: dict[str, dict[str, Tensor]] = {}
    for name, g in gradients.items():
        layer, _, own = name.rpartition(".")
        layers.setdefault(layer or name, {})[own] = g
    names = thinned(list(layers), MOST)
    sheet, places = _sheet(
        len(names),
        1.95,
        "Gradients of the loss, layer by layer",
        f"with respect to the parameters that are learned{f', over a batch of {rows} images' if rows else ''}, "
        "in evaluation mode" + _left_out(names, layers, "histograms"),
    )
    _norms(sheet, {layer: get_total_norm(found.values()).item() for layer, found in layers.items()}, types)
    for k, name in enumerate(names):
        found = layers[name]
        words = ", ".join(f"{own} {get_total_norm(g).item():.2g}" for own, g in list(found.items())[:2])
        largest = max(found, key=lambda own: found[own].numel())
        axes = _panel(
            sheet, places[k], name, types.get(name, ""), f"norm: {words}", k, len(names), f"gradient of {largest}"
        )
        bins = int(min(60, max(8, found[largest].numel() ** 0.5)))
        _histogram(axes, distribution(found[largest], bins), GRADIENT)
    return sheet.figure


def _left_out(names: list[str], of: Mapping[str, Any], what: str) -> str:
    return f"; {len(names)} of {len(of)} {what}" if len(names) < len(of) else ""


def _sheet(count: int, above: float, title: str, subtitle: str) -> tuple[Sheet, list[tuple[float, float]]]:
    """A sheet for so many panels below some other inches, and the upper left corner of each panel."""
    columns = min(COLUMNS, max(count, 1))
    rows = math.ceil(count / columns)
    line = HIGH + 0.85
    sheet = Sheet(LEFT + COLUMNS * (WIDE + GAP), TOP + above + rows * line + 0.35, title, subtitle)
    return sheet, [(LEFT + (k % columns) * (WIDE + GAP), TOP + above + (k // columns) * line) for k in range(count)]


def _panel(
    sheet: Sheet, place: tuple[float, float], name: str, kind: str, words: str, k: int, count: int, unit: str
) -> Any:
    left, top = place
    title = shortened(name, 30, end=True) if not kind else f"{shortened(name, 24, end=True)}  {kind}"
    sheet.text(left, top + 0.16, title, size=8.5, weight="bold")
    sheet.text(left, top + 0.32, words, size=7.5, color=PALE)
    axes = sheet.axes(left, top + 0.4, WIDE, HIGH)
    plain_axes(axes)
    axes.tick_params(labelsize=7, length=2)
    if k % COLUMNS == 0:
        axes.set_ylabel("share", fontsize=8, color=INK)
    if k + COLUMNS >= count:
        axes.set_xlabel(unit, fontsize=8, color=INK)
    return axes


def _histogram(axes: Any, d: Distribution, colour: str) -> None:
    """Shares per bin; on a logarithmic axis where what is rare could not be seen beside a peak."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

    total = d.counts.sum()
    if not total:
        return
    share = d.counts / total
    low, high = share[share > 0].min(), share.max()
    if high > 30 * low:
        axes.stairs(share, d.edges, fill=True, color=colour, baseline=low / 3)
        axes.set_yscale("log")
        axes.set_ylim(low / 2, 2 * high)
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.stairs(share, d.edges, fill=True, color=colour)
        axes.set_ylim(0, 1.1 * high)
        axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.xaxis.get_offset_text().set_size(7)
    axes.margins(x=0.01)


def _norms(sheet: Sheet, norms: Mapping[str, float], types: Mapping[str, str]) -> None:
    """Bars from the input's layer to the output's; on a logarithmic axis where they differ much."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axes = sheet.axes(LEFT, TOP + 0.15, COLUMNS * (WIDE + GAP) - GAP, 1.1)
    values, count = list(norms.values()), len(norms)
    axes.bar(range(count), values, color=GRADIENT, width=min(0.6, 0.09 * count + 0.1))
    positive = [v for v in values if v > 0 and math.isfinite(v)]
    if positive and max(positive) > 20 * min(positive):
        axes.set_yscale("log")
        axes.set_ylim(min(positive) / 3, max(positive) * 3)
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.2 * max(positive, default=1.0))
        axes.yaxis.set_major_locator(MaxNLocator(3))
    plain_axes(axes)
    axes.tick_params(labelsize=7, length=2)
    step = math.ceil(count / 24)
    shown = list(range(0, count, step))
    room = max(4, 130 // len(shown))
    labels = [shortened(name, room, end=True) for name in list(norms)[::step]]
    if count <= 10:
        labels = [f"{label}  {types.get(name, '')}".rstrip() for label, name in zip(labels, norms, strict=True)]
    axes.set_xticks(shown, labels)
    axes.set_xlim(-0.6, count - 0.4)
    if count <= 16:
        for k, v in enumerate(values):
            if v > 0 and math.isfinite(v):
                axes.text(k, v, f"{v:.2g}", ha="center", va="bottom", fontsize=7, color=INK)
    axes.set_ylabel("norm", fontsize=8, color=INK)
    axes.set_xlabel("layer, from the input to the output", fontsize=8, color=INK)
