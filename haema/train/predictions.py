"""From a model's outputs to probabilities, classes and numbers; and from a metric's name to its value on them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from haema.errors import InputError, suggest
from haema.train import metrics
from haema.train.targets import Targets

__all__ = ["METRICS", "Metric", "link_of", "make_metric", "probabilities", "rows_of_scores"]


def link_of(last: str, link: str) -> str:
    """How outputs become probabilities: told by the model's last layer, else by the loss."""
    return {"Softmax": "identity", "Sigmoid": "identity", "LogSoftmax": "exp"}.get(last, link)


def probabilities(outputs: np.ndarray, targets: Targets, link: str) -> np.ndarray:
    """Probabilities of the classes, (N, C) or (N, C, ...); they sum to 1.

    Args:
        outputs: The model's, (N, C, ...), or (N,) or (N, 1) of one output for two classes.
        targets: What they stand for.
        link: "softmax", "sigmoid", "exp" or "identity".
    """
    z = outputs.astype(np.float64) if outputs.dtype.kind != "f" else outputs
    if targets.form == "binary":
        z = z.reshape(len(z))
        p = z.clip(0, 1) if link == "identity" else _sigmoid(z)
        return np.stack([1 - p, p], axis=1)
    if link == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    p = _sigmoid(z) if link == "sigmoid" else np.exp(z) if link == "exp" else z.clip(0, None)
    total = p.sum(axis=1, keepdims=True)
    return np.divide(p, total, out=np.full_like(p, 1 / p.shape[1]), where=total > 0)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def rows_of_scores(scores: np.ndarray) -> np.ndarray:
    """(N, C, ...) as (N ..., C), so that each place counts as a row."""
    return scores if scores.ndim <= 2 else np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1])


@dataclass(frozen=True)
class Metric:
    """A function of truth and prediction with what it is to be given.

    Fields:
        name: Its name in the history.
        function: ``function(truth, prediction)`` -> a number.
        needs: "classes", "probabilities" or "numbers".
        larger_is_better: Which way is better.
    """

    name: str
    function: Callable[..., Any]
    needs: str
    larger_is_better: bool = True

    def __call__(self, outputs: np.ndarray, truth: np.ndarray, targets: Targets, link: str) -> float:
        """The metric of a model's outputs."""
        if targets.task == "regression":
            return float(self.function(truth, outputs))
        p = rows_of_scores(probabilities(outputs, targets, link))
        y = truth.reshape(-1)
        if self.needs == "classes":
            return float(self.function(y, p.argmax(axis=1)))
        return float(self.function(y, p[:, 1] if p.shape[1] == 2 and self.name == "roc_auc" else p))


METRICS = {
    "accuracy": Metric("accuracy", metrics.accuracy, "classes"),
    "precision": Metric("precision", metrics.precision, "classes"),
    "recall": Metric("recall", metrics.recall, "classes"),
    "f1": Metric("f1", metrics.f1, "classes"),
    "top_k_accuracy": Metric("top_k_accuracy", metrics.top_k_accuracy, "probabilities"),
    "roc_auc": Metric("roc_auc", metrics.roc_auc, "probabilities"),
    "log_loss": Metric("log_loss", metrics.log_loss, "probabilities", False),
    "mae": Metric("mae", metrics.mae, "numbers", False),
    "mse": Metric("mse", metrics.mse, "numbers", False),
    "rmse": Metric("rmse", metrics.rmse, "numbers", False),
    "r2": Metric("r2", metrics.r2, "numbers"),
}
_OTHER_NAMES = {"acc": "accuracy", "auc": "roc_auc", "r2_score": "r2", "f1_score": "f1", "accuracy_score": "accuracy"}
_AVERAGED = ("precision", "recall", "f1")


def make_metric(metric: Any, targets: Targets) -> Metric:
    """The metric that is meant by a name or a function.

    Args:
        metric: A name of ``METRICS``, also "f1_macro", "recall_weighted", "top3"; a function of
            ``haema.train.metrics`` or one of those with arguments filled in by ``functools.partial``; or any
            ``f(truth, prediction)`` of class ids or numbers.
        targets: The task. Precision, recall and F1 are "binary" for two classes, else "macro", unless said otherwise.

    Raises:
        InputError: the name is unknown, or the metric is for the other task.
    """
    found = _named(metric, targets) if isinstance(metric, str) else _function(metric, targets)
    if (found.needs == "numbers") != (targets.task == "regression"):
        right = [n for n, m in METRICS.items() if (m.needs == "numbers") == (targets.task == "regression")]
        raise InputError(f"metric {found.name!r} is not for {targets.task}; {', '.join(right)} are")
    return found


def _named(name: str, targets: Targets) -> Metric:
    plain = name.lower().replace("-", "_")
    plain = _OTHER_NAMES.get(plain, plain)
    top = re.fullmatch(r"top_?(\d+)(_accuracy)?", plain)
    if top:
        return Metric(name, functools.partial(metrics.top_k_accuracy, k=int(top[1])), "probabilities")
    base, _, average = plain.partition("_")
    if base in _AVERAGED and average in ("", "macro", "micro", "weighted", "binary"):
        average = average or ("binary" if targets.task == "classification" and targets.size == 2 else "macro")
        return Metric(name, functools.partial(METRICS[base].function, average=average), "classes")
    if plain not in METRICS:
        raise InputError(f"metric {name!r} is unknown; {suggest(name, METRICS)}")
    return Metric(plain, METRICS[plain].function, METRICS[plain].needs, METRICS[plain].larger_is_better)


def _function(metric: Any, targets: Targets) -> Metric:
    if isinstance(metric, Metric):
        return _function(metric.function, targets) if METRICS.get(metric.name) is metric else metric
    if not callable(metric):
        came = type(metric).__name__
        raise InputError(f"a metric is of type {came}; a name or a function of (truth, prediction) is right")
    inner = metric.func if isinstance(metric, functools.partial) else metric
    for known in METRICS.values():
        if known.function is inner:
            if inner is metric and known.name in _AVERAGED:
                return _named(known.name, targets)
            return Metric(known.name, metric, known.needs, known.larger_is_better)
    needs = "classes" if targets.task == "classification" else "numbers"
    return Metric(getattr(inner, "__name__", type(inner).__name__), metric, needs)
