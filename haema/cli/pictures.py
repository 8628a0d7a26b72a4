"""haema inspect MODEL --images DATA --out FOLDER: pictures of what happens inside a network for images.

filters.png       the weights of the first layer
features.png      one image on its way through the layers
activations.png   how the outputs of each layer are spread
gradients.png     how the gradients of each layer are spread; needs labels
confusion.png     what is taken for what, and the surest mistakes; needs classes and labels
saliency.png      which pixels the score depends on
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from haema.cli.card import Card
from haema.cli.guard import say, writing
from haema.cli.scores import fingerprint, outputs_of
from haema.data import Data
from haema.errors import InputError

__all__ = ["PICTURES", "draw_pictures"]

PICTURES = {
    "filters.png": "edges, spots and colours are what it has learned to see; mere noise is what it has not",
    "features.png": "which shapes each channel answers to, and how detail gives way to meaning further down",
    "activations.png": "a spread that neither dies out nor explodes from layer to layer; few dead units",
    "gradients.png": "norms of similar size in all layers: none that vanishes towards the input, none that explodes",
    "confusion.png": "pairs of classes that are mixed up; whether the surest mistakes are wrong labels or hard images",
    "saliency.png": "whether the bright pixels are on the object, or on something that only goes with it",
}
BATCH, MEMORY = 256, 1 << 28
"""Images for histograms at most, and bytes that their activations may take with what the gradients need."""
COLUMNS = 6
MOST = 5000
"""Rows to look at; a confusion matrix of more says little else, and takes minutes."""


@dataclass(frozen=True)
class _Subject:
    """What is looked at.

    Fields:
        model, path: The network and its file.
        data: The images to use, x (N, C, H, W).
        rows: Their numbers in the data that was given.
        task: "classification" or "regression".
        classes: Names of the classes; empty for a regression.
        outputs: The model's for all of them, (N, K).
        p: Probabilities of the classes, (N, C); the outputs for a regression.
        last: The class of the model's last layer, which says what its outputs are.
    """

    model: Any
    path: str
    data: Data
    rows: np.ndarray
    task: str
    classes: list[str]
    outputs: np.ndarray
    p: np.ndarray
    last: str

    def x(self, rows: np.ndarray) -> Any:
        """Some images as a tensor."""
        from haema.creation import from_numpy

        return from_numpy(np.ascontiguousarray(self.data.x[rows]))

    def called(self, row: int) -> str:
        """What an image is called: its file, or its number in the data."""
        return self.data.names[row] if self.data.names is not None else f"row {self.rows[row]}"

    def spread(self, most: int) -> np.ndarray:
        """At most so many rows; spread, for those of a folder are in the order of their classes."""
        return _spread(len(self.data), most)

    def examples(self) -> np.ndarray:
        """A few rows, each of another class where classes are known."""
        if self.data.y is None or self.task != "classification":
            return self.spread(COLUMNS)
        present, first = np.unique(self.data.y, return_index=True)
        return first[_spread(len(present), COLUMNS)]


def draw_pictures(
    path: str, source: str, out: str, stream: bool | None = None, skip_broken: bool = False
) -> list[tuple[str, str]]:
    """Draw what can be drawn, and write all of it or nothing.

    Args:
        path: The model file.
        source: The images: digits, a folder, IDX files, an NPZ file, a single image.
        out: The folder for the pictures, made if it is not there. Pictures that a look before this one left there are
            exchanged; other files stay.
        stream, skip_broken: As for ``haema.data.load``.

    Returns:
        For each picture its path and what to look at.

    Raises:
        InputError: the model or the images cannot be read or do not fit, or the folder cannot be written.
    """
    from haema.atomic import atomic_folder
    from haema.drawing import save

    _check_place(out, source)
    with writing(out), atomic_folder(out) as folder:
        subject = _subject(path, source, stream, skip_broken)
        drawn = []
        for name, draw in _DRAWN.items():
            figure = draw(subject)
            if figure is not None:
                save(figure, os.path.join(folder, name))
                drawn.append(name)
    for name in PICTURES:
        if name not in drawn and os.path.isfile(os.path.join(out, name)):
            os.unlink(os.path.join(out, name))  # of a look before, at something else
    return [(os.path.join(out, name), PICTURES[name]) for name in drawn]


def _check_place(out: str, source: str) -> None:
    if not out:
        raise InputError("--out is '', where the name of a folder for the pictures is right")
    if os.path.exists(out) and not os.path.isdir(out):
        raise InputError(f"--out is {out}, which is a file; the name of a folder for the pictures is right")
    if os.path.isdir(source):
        inside = os.path.join(os.path.realpath(out), "")
        if inside.startswith(os.path.join(os.path.realpath(source), "")):
            raise InputError(f"--out is {out}, which is in the folder of the images; another folder is right")


# -- what is looked at ------------------------------------------------------------------


def _subject(path: str, source: str, stream: bool | None = None, skip_broken: bool = False) -> _Subject:
    """The model, the images to use and what the model makes of them."""
    from haema import io
    from haema.nn import Module

    model = io.load(path)
    if not isinstance(model, Module):
        raise InputError(f"{path} holds tensors and no network; a model file is right")
    card = Card.of(model, path) if "card" in (model.meta or {}) else None
    data, rows = _fewer(*_images(card, path, source, stream, skip_broken))
    outputs = outputs_of(model, data, path)
    last = type(list(model.modules())[-1]).__name__
    task = (card.task if card else data.task) or "classification"
    if task == "regression":
        return _Subject(model, path, data, rows, task, [], outputs, outputs, last)
    p = _probabilities(outputs, last)
    named = (card.classes if card else data.classes) or []
    if card is not None and len(named) != p.shape[1]:
        raise InputError(f"{path} has {outputs.shape[1]} outputs and {len(named)} classes; train it anew")
    classes = named if len(named) == p.shape[1] else [str(k) for k in range(p.shape[1])]
    if data.y is not None and len(named) > p.shape[1]:
        raise InputError(f"{source} has {len(named)} classes, and {path} tells {p.shape[1]} apart")
    return _Subject(model, path, data, rows, task, classes, outputs, p, last)


def _images(
    card: Card | None, path: str, source: str, stream: bool | None = None, skip_broken: bool = False
) -> tuple[Data, np.ndarray]:
    """The images to use, and their numbers in the data: a test part, or held-out rows, where there are."""
    from haema.cli.training import split_rows
    from haema.data import load

    if card is not None and card.kind != "images" and len(card.shape) != 3:
        kind = "a table" if card.kind == "table" else f"arrays of shape {' x '.join(map(str, card.shape))}"
        raise InputError(f"{path} was trained on {kind}, and --images is for models of images")
    read = load if card is None else card.load
    data = read(source, stream=stream, skip_broken=skip_broken)
    for note in (data if data.test is None else data.test).notes:
        say(note)
    if data.kind == "table" or data.x.ndim != 4:
        what = "a table" if data.kind == "table" else f"arrays of shape {' x '.join(map(str, data.x.shape[1:]))}"
        raise InputError(f"{source} holds {what}, where images are right")
    if data.test is not None:
        say(f"{source} has a test part of its own, which is used")
        return (data.test if card is None else card.fit(data.test)), np.arange(len(data.test))
    rows = np.arange(len(data))
    if card is None or data.y is None or fingerprint(data) != card.fingerprint:
        return data, rows
    if not card.rows.get("test") or len(card.shares) != 3:
        say(f"{path} was trained on these very rows, so it makes fewer mistakes here than on new ones")
        return data, rows
    rows = split_rows(data.y, card.shares, card.seed)[2]
    say(f"{path} was trained on {source}; of its rows the {len(rows):,} that were held out are used")
    return data.take(rows), rows


def _fewer(data: Data, rows: np.ndarray) -> tuple[Data, np.ndarray]:
    """At most so many rows as are looked at."""
    if len(data) <= MOST:
        return data, rows
    say(f"of {len(data):,} rows {MOST:,} are used, evenly spread")
    some = _spread(len(data), MOST)
    return data.take(some), rows[some]


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many of the numbers below ``count``, evenly spread."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


def _probabilities(outputs: np.ndarray, last: str) -> np.ndarray:
    """Of the classes, (N, C): two for a single output."""
    from haema.train.predictions import link_of, probabilities
    from haema.train.targets import Targets

    single = outputs.shape[1] == 1
    targets = Targets("classification", "binary" if single else "ids", outputs.shape[1:])
    return probabilities(outputs, targets, link_of(last, "sigmoid" if single else "softmax"))


# -- the pictures, each None where it cannot be drawn ------------------------------------------------------------------


def _filters(s: _Subject) -> Any:
    from haema.inspect import first_filters
    from haema.inspect.pictures import draw_filters

    try:
        name, weights = first_filters(s.model, s.data.x.shape[1:])
    except InputError as error:
        say(f"no filters.png: {error}")
        return None
    kind = type(s.model.get_submodule(name)).__name__
    return draw_filters(weights, kind + (f", layer {name}" if name else ""))


def _layers(s: _Subject) -> dict[str, Any]:
    """The layers' outputs for the example image, without those that leave it as it was."""
    from haema.inspect import feature_maps, stages

    before, kept = s.x(s.examples()[:1]).numpy(), {}
    for name, y in feature_maps(s.model, s.x(s.examples()[:1]), stages(s.model)).items():
        a = y.numpy()
        if a.shape != before.shape or not np.array_equal(a, before):
            kept[name] = y
        before = a
    return kept


def _types(s: _Subject, names: Any) -> dict[str, str]:
    from haema.inspect import type_of

    return {name: type_of(s.model, name) for name in names}


def _features(s: _Subject) -> Any:
    from haema.inspect.pictures import draw_features

    maps, row = _layers(s), int(s.examples()[0])
    called = s.called(row) if s.data.names is not None else f"{s.called(row)} of {s.data.source}"
    return draw_features(s.x(np.array([row]))[0], maps, _types(s, maps), s.classes, called)


def _batch(s: _Subject) -> np.ndarray:
    """Rows for histograms, as many as the memory allows."""
    from haema.nn import summary

    one = summary(s.model, s.x(np.array([0])), show=False).activation_bytes
    return s.spread(max(1, min(BATCH, MEMORY // max(4 * one, 1))))


def _activations(s: _Subject) -> Any:
    from haema.inspect import activation_statistics, stages
    from haema.inspect.pictures import draw_activations

    rows, names = _batch(s), _layers(s)
    found = activation_statistics(s.model, s.x(rows), stages(s.model))
    return draw_activations({n: found[n] for n in names}, _types(s, names), len(rows))


def _gradients(s: _Subject) -> Any:
    from haema.creation import from_numpy
    from haema.inspect import gradients
    from haema.inspect.pictures import draw_gradients

    if s.data.y is None:
        say(f"{s.data.source} has no labels, without which there is no loss: no gradients.png")
        return None
    rows = _batch(s)
    y = from_numpy(np.ascontiguousarray(s.data.y[rows]))
    try:
        found = gradients(s.model, s.x(rows), y, _loss(s))
    except InputError as error:
        say(f"no gradients.png: {error}")
        return None
    layers = {name.rpartition(".")[0] for name in found}
    return draw_gradients(found, _types(s, layers), len(rows))


def _loss(s: _Subject) -> Callable[[Any, Any], Any]:
    """The loss that goes with the task and the model's last layer."""
    from haema.nn import functional as F

    if s.task == "regression":
        return lambda output, y: F.mse_loss(output, y.to(output.dtype).reshape(output.shape))
    if s.outputs.shape[1] == 1:
        binary = F.binary_cross_entropy if s.last == "Sigmoid" else F.binary_cross_entropy_with_logits
        return lambda output, y: binary(output, y.to(output.dtype).reshape(output.shape))
    if s.last == "Softmax":
        return lambda output, y: F.nll_loss(output.log(), y)
    return F.nll_loss if s.last == "LogSoftmax" else F.cross_entropy


def _confusion(s: _Subject) -> Any:
    from haema.inspect.pictures import draw_confusion

    if s.task == "regression":
        say(f"{s.path} predicts numbers and no classes: no confusion.png")
        return None
    if s.data.y is None:
        say(f"{s.data.source} has no labels to compare with: no confusion.png")
        return None
    return draw_confusion(s.p, s.data.y, s.classes, s.data.x, s.data.names)


def _saliency(s: _Subject) -> Any:
    from haema.inspect import saliency, smooth_grad
    from haema.inspect.pictures import draw_saliency

    rows = s.examples()
    x = s.x(rows)
    maps = [("|gradient|", saliency(s.model, x)), ("SmoothGrad\n25 noisy copies", smooth_grad(s.model, x))]
    headings = list(_headings(s, rows))
    of = "score of the predicted class" if s.task == "classification" else "prediction"
    return draw_saliency(
        s.data.x[rows], maps, headings, f"size of the derivative of the {of} by each pixel, each map on its own scale"
    )


def _headings(s: _Subject, rows: np.ndarray) -> Iterator[tuple[str, str, bool]]:
    """What each image is, what was predicted, and whether that is wrong."""
    from haema.inspect.pictures.sheet import shortened

    for row in rows.tolist():
        wrong = False
        if s.task == "regression":
            found = f"predicted {s.outputs[row, 0]:.4g}"
            truth = "" if s.data.y is None else f"is {np.ravel(s.data.y[row])[0]:.4g}"
        else:
            best = int(s.p[row].argmax())
            found = f"predicted {s.classes[best]}, {100 * s.p[row, best]:.0f} %"
            truth = "" if s.data.y is None else f"is {s.classes[s.data.y[row]]}"
            wrong = s.data.y is not None and best != s.data.y[row]
        yield truth or shortened(s.called(row), 21, end=True), found, bool(wrong)


_DRAWN: dict[str, Callable[[_Subject], Any]] = {
    "filters.png": _filters,
    "features.png": _features,
    "activations.png": _activations,
    "gradients.png": _gradients,
    "confusion.png": _confusion,
    "saliency.png": _saliency,
}
