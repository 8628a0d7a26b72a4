"""activations.png and gradients.png: how the numbers in each layer are spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from haema.drawing import INK, PALE, plain_axes
from haema.inspect.activations import Distribution, distribution
from haema.inspect.pictures.features import thinned
from haema.inspect.pictures.sheet import TOP, Sheet, shortened
from haema.tensor import Tensor

__all__ = ["draw_activations", "draw_gradients"]

ACTIVATION, GRADIENT, BIAS = "#1f6f8b", "#e07a3f", "#8d6aa8"
COLUMNS, MOST = 3, 12
WIDE, HIGH, LEFT = 2.75, 1.3, 0.85
"""Size of a panel in inches, and the room left of the first."""


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


def draw_gradients(gradients: Mapping[str, Tensor], rows: int | None = None) -> Any:
    """A picture with the norm of each layer's gradient, and a histogram of it for the weights of each.

    Args:
        gradients: Parameter name -> gradient, as from `hm.inspect.gradients`. Of more than twelve layers the
            histograms of some are left out.
        rows: How many images there were in the batch.

    Returns:
        A Matplotlib figure.
    """
    layers: dict[str, dict[str, Distribution]] = {}
    for name, g in gradients.items():
        layer, _, own = name.rpartition(".")
        layers.setdefault(layer or name, {})[own] = distribution(g)
    names = thinned(list(layers), MOST)
    above = 1.9
    sheet, places = _sheet(
        len(names),
        above,
        "Gradients of the loss, layer by layer",
        f"with respect to the parameters that are learned{f', over a batch of {rows} images' if rows else ''}, "
        "in evaluation mode" + _left_out(names, layers, "histograms"),
    )
    norms = {layer: math.sqrt(sum(d.norm**2 for d in found.values())) for layer, found in layers.items()}
    _norms(sheet, norms)
    for k, name in enumerate(names):
        found = layers[name]
        words = ", ".join(f"{own} {d.norm:.2g}" for own, d in list(found.items())[:2])
        axes = _panel(sheet, places[k], name, "", f"norm: {words}", k, len(names), "gradient")
        for (own, d), colour in zip(list(found.items())[:2], (GRADIENT, BIAS), strict=False):
            _histogram(axes, d, colour, own, outline=colour == BIAS)
        if k == 0:
            axes.legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper left", handlelength=1.2, borderpad=0)
    return sheet.figure


def _left_out(names: list[str], of: Mapping[str, Any], what: str) -> str:
    return f"; {len(names)} of {len(of)} {what}" if len(names) < len(of) else ""


def _sheet(count: int, above: float, title: str, subtitle: str) -> tuple[Sheet, list[tuple[float, float]]]:
    """A sheet for so many panels below some other inches, and the upper left corner of each panel."""
    columns = min(COLUMNS, max(count, 1))
    rows = math.ceil(count / columns)
    line = HIGH + 0.85
    sheet = Sheet(LEFT + COLUMNS * (WIDE + 0.6), TOP + above + rows * line + 0.35, title, subtitle)
    return sheet, [(LEFT + (k % columns) * (WIDE + 0.6), TOP + above + (k // columns) * line) for k in range(count)]


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


def _histogram(axes: Any, d: Distribution, colour: str, label: str = "", outline: bool = False) -> None:
    """Shares per bin on a logarithmic axis, so that what is rare can be seen beside a peak at 0."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

    total = d.counts.sum()
    if not total:
        return
    share = d.counts / total
    floor = share[share > 0].min() / 3
    axes.stairs(share, d.edges, fill=not outline, color=colour, label=label, linewidth=1.0, baseline=floor)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.01)


def _norms(sheet: Sheet, norms: Mapping[str, float]) -> None:
    """Bars from the input's layer to the output's."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes = sheet.axes(LEFT, TOP + 0.1, sheet.width - LEFT - 0.35, 1.1)
    values = list(norms.values())
    places = range(len(values))
    positive = [v for v in values if v > 0 and math.isfinite(v)]
    axes.bar(places, values, color=GRADIENT, width=0.6)
    if positive:
        axes.set_yscale("log")
        axes.set_ylim(min(positive) / 3, max(positive) * 1.5)
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    plain_axes(axes)
    axes.tick_params(labelsize=7, length=2)
    step = math.ceil(len(values) / 24)
    room = max(4, round(120 / math.ceil(len(values) / step)))
    axes.set_xticks(list(places)[::step], [shortened(n, room, end=True) for n in list(norms)[::step]])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylabel("norm", fontsize=8, color=INK)
    axes.set_xlabel("layer, from the input to the output", fontsize=8, color=INK)
