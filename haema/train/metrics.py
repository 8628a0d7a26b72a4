"""Metrics: what is measured of predictions, as in the field and equal to scikit-learn's.

    accuracy, top_k_accuracy, precision, recall, f1, confusion_matrix     of class ids or labels
    roc_auc, log_loss                                                     of probabilities or scores
    mae, mse, rmse, r2                                                    of numbers

Each is a function of (truth, prediction). Sums are taken in float64. A quotient without a denominator is
``zero_division`` (0 unless said otherwise) and never a warning.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from haema.errors import InputError

__all__ = [
    "accuracy",
    "confusion_matrix",
    "f1",
    "log_loss",
    "mae",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "top_k_accuracy",
]

AVERAGES = ("binary", "macro", "micro", "weighted", None)


# -- what comes in ------------------------------------------------------------------


def as_array(values: Any) -> np.ndarray:
    """Values as an array; a tensor loses its history."""
    return np.asarray(values.detach() if hasattr(values, "detach") else values)


def _pair(y_true: Any, y_pred: Any, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction as two arrays of one shape; (N, 1) counts as (N,)."""
    a, b = as_array(y_true), as_array(y_pred)
    a, b = (v[:, 0] if v.ndim == 2 and v.shape[1] == 1 else v for v in (a, b))
    if a.shape != b.shape:
        raise InputError(f"{metric}: y_true has shape {a.shape} and y_pred {b.shape}; they must be the same")
    if a.size == 0:
        raise InputError(f"{metric}: there are no rows to measure")
    return a, b


def _weights(sample_weight: Any, rows: int, metric: str) -> np.ndarray:
    if sample_weight is None:
        return np.ones(rows)
    w = as_array(sample_weight).astype(np.float64)
    if w.shape != (rows,):
        raise InputError(f"{metric}: sample_weight has shape {w.shape}, where one weight per row, ({rows},), is right")
    if not w.sum() > 0:
        raise InputError(f"{metric}: sample_weight adds up to {w.sum():g}, where more than 0 is right")
    return w


def _codes(a: np.ndarray, b: np.ndarray, labels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both arrays as numbers of labels, and the labels; a value that is no label becomes their number."""
    known = np.unique(np.concatenate([a, b])) if labels is None else np.asarray(labels)
    order = np.argsort(known, kind="stable")
    found = []
    for values in (a, b):
        place = np.searchsorted(known, values, sorter=order).clip(0, len(known) - 1)
        code = order[place]
        found.append(np.where(known[code] == values, code, len(known)))
    return found[0], found[1], known


# -- classes ------------------------------------------------------------------


def accuracy(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """The share of rows whose class is right.

        sum_i w_i [y_i = p_i] / sum_i w_i

    Args:
        y_true: Classes, (N,).
        y_pred: Predicted classes, (N,).
        sample_weight: Weights of the rows, (N,); default 1.

    Raises:
        InputError: the shapes differ, or there are no rows.
    """
    a, b = _pair(y_true, y_pred, "accuracy")
    a, b = a.reshape(-1), b.reshape(-1)
    return float(np.average(a == b, weights=_weights(sample_weight, len(a), "accuracy")))


def top_k_accuracy(y_true: Any, y_score: Any, k: int = 5, *, sample_weight: Any = None) -> float:
    """The share of rows whose class is among the ``k`` with the highest scores; of equal ones the later is higher.

    Args:
        y_true: Class ids 0 .. C-1, (N,).
        y_score: A score for each class, (N, C).
        k: How many classes are looked at; default 5.
        sample_weight: Weights of the rows, (N,); default 1.

    Raises:
        InputError: the shapes do not fit, or ``k`` < 1.
    """
    y, s = as_array(y_true), as_array(y_score)
    if y.ndim != 1 or s.ndim != 2 or len(y) != len(s) or not len(y):
        raise InputError(f"top_k_accuracy: shapes {y.shape} and {s.shape} came, where (N,) and (N, C) are right")
    if k < 1:
        raise InputError(f"top_k_accuracy: k is {k}; 1 or more is right")
    best = np.argsort(s, axis=1, kind="stable")[:, ::-1][:, :k]
    hit = (best == y[:, None]).any(axis=1)
    return float(np.average(hit, weights=_weights(sample_weight, len(y), "top_k_accuracy")))


def confusion_matrix(
    y_true: Any, y_pred: Any, *, labels: Any = None, normalize: str | None = None, sample_weight: Any = None
) -> np.ndarray:
    """How often class i (row) was predicted as class j (column).

    Args:
        y_true: Classes, (N,).
        y_pred: Predicted classes, (N,).
        labels: The classes and their order; default: those that occur, sorted. Rows of other classes do not count.
        normalize: "true" divides by the row's sum, "pred" by the column's, "all" by the whole; default: counts.
        sample_weight: Weights of the rows, (N,); default: each counts 1.

    Returns:
        (C, C), int64 if counts, else float64.

    Raises:
        InputError: the shapes differ, there are no rows, or ``normalize`` is unknown.
    """
    if normalize not in (None, "true", "pred", "all"):
        raise InputError(f"confusion_matrix: normalize is {normalize!r}; 'true', 'pred', 'all' or None is right")
    a, b = _pair(y_true, y_pred, "confusion_matrix")
    i, j, known = _codes(a, b, labels)
    n = len(known)
    w = _weights(sample_weight, len(a), "confusion_matrix")
    inside = (i < n) & (j < n)
    counts = np.bincount(i[inside] * n + j[inside], weights=w[inside], minlength=n * n).reshape(n, n)
    if normalize is None:
        return counts.astype(np.int64) if sample_weight is None else counts.astype(np.float64)
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    total = counts.sum(axis=axis, keepdims=True)
    return np.divide(counts, total, out=np.zeros((n, n)), where=total != 0)


def _quotient(above: np.ndarray, below: np.ndarray, zero_division: float) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, float(zero_division)), where=below != 0)


def _per_class(
    metric: str,
    y_true: Any,
    y_pred: Any,
    average: str | None,
    labels: Any,
    pos_label: Any,
    zero_division: float,
    sample_weight: Any,
) -> Any:
    """Precision, recall or F1 from the counts of each class, averaged."""
    if average not in AVERAGES:
        raise InputError(f"{metric}: average is {average!r}; 'binary', 'macro', 'micro', 'weighted' or None is right")
    a, b = _pair(y_true, y_pred, metric)
    if average == "binary":
        present = np.unique(np.concatenate([a, b]))
        if len(present) > 2:
            raise InputError(
                f"{metric}: average='binary' is for two classes, and there are {len(present)}; "
                "'macro', 'micro' or 'weighted' is right"
            )
        if len(present) == 2 and pos_label not in present:
            raise InputError(f"{metric}: pos_label is {pos_label!r}, and the classes are {present.tolist()}")
        labels = [pos_label]
    i, j, known = _codes(a, b, labels)
    n = len(known)
    w = _weights(sample_weight, len(a), metric)
    hits = np.bincount(i[i == j], weights=w[i == j], minlength=n + 1)[:n]
    truth = np.bincount(i, weights=w, minlength=n + 1)[:n]
    predicted = np.bincount(j, weights=w, minlength=n + 1)[:n]
    support = truth
    if average == "micro":
        hits, truth, predicted = (v.sum(keepdims=True) for v in (hits, truth, predicted))
    above, below = {
        "precision": (hits, predicted),
        "recall": (hits, truth),
        "f1": (2 * hits, truth + predicted),
    }[metric]
    values = _quotient(above, below, zero_division)
    if average is None:
        return values
    counted = ~np.isnan(values)
    if not counted.any():
        return float("nan")
    if average == "weighted" and support[counted].any():
        return float(np.average(values[counted], weights=support[counted]))
    return float(values[counted].mean())


def precision(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float = 0.0,
    sample_weight: Any = None,
) -> Any:
    """Of the rows predicted as a class, the share that are of it.

        true positives / (true positives + false positives)

    Args:
        y_true: Classes, (N,).
        y_pred: Predicted classes, (N,).
        average: "binary": of ``pos_label`` alone; "macro": the mean over the classes; "weighted": that mean weighted
            by the classes' true counts; "micro": from the counts summed over the classes; None: one per class.
        labels: The classes that count; default: those that occur.
        pos_label: The positive class of "binary"; default 1.
        zero_division: The value where the denominator is 0: 0 (default), 1, or nan, which leaves the class out.
        sample_weight: Weights of the rows, (N,); default 1.

    Raises:
        InputError: the shapes differ, there are no rows, or ``average`` does not suit.
    """
    return _per_class("precision", y_true, y_pred, average, labels, pos_label, zero_division, sample_weight)


def recall(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float = 0.0,
    sample_weight: Any = None,
) -> Any:
    """Of the rows of a class, the share that are found.

        true positives / (true positives + false negatives)

    Args, Raises: as for `precision`.
    """
    return _per_class("recall", y_true, y_pred, average, labels, pos_label, zero_division, sample_weight)


def f1(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    zero_division: float = 0.0,
    sample_weight: Any = None,
) -> Any:
    """The harmonic mean of precision and recall.

        2 tp / (2 tp + fp + fn)

    Args, Raises: as for `precision`.
    """
    return _per_class("f1", y_true, y_pred, average, labels, pos_label, zero_division, sample_weight)


# -- scores ------------------------------------------------------------------


def _binary_auc(positive: np.ndarray, score: np.ndarray, w: np.ndarray) -> float:
    """The area under the curve of true over false positive rate; nan unless both kinds occur."""
    order = np.argsort(-score, kind="stable")
    score, positive, w = score[order], positive[order], w[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # equal scores are one point of the curve
    tp = np.concatenate([[0.0], np.cumsum(positive * w)[last]])
    fp = np.concatenate([[0.0], np.cumsum(~positive * w)[last]])
    if tp[-1] == 0 or fp[-1] == 0:
        return float("nan")
    return float(np.trapezoid(tp, fp) / (tp[-1] * fp[-1]))


def roc_auc(y_true: Any, y_score: Any, *, sample_weight: Any = None) -> float:
    """The area under the ROC curve: how likely a positive row scores above a negative one, ties counting half.

    Args:
        y_true: 0 and 1, (N,), with scores (N,); or class ids 0 .. C-1 with scores (N, C): then the mean over the
            classes of one against the rest. A class that does not occur is left out.
        y_score: Scores or probabilities; with two columns the second counts.
        sample_weight: Weights of the rows, (N,); default 1.

    Returns:
        0 to 1; nan where only one class occurs.

    Raises:
        InputError: the shapes do not fit, or a score is nan.

    Source: T. Fawcett (2006), An introduction to ROC analysis, algorithm 2.
    """
    y, s = as_array(y_true), as_array(y_score)
    if s.ndim == 2 and s.shape[1] <= 2:
        s = s[:, -1]
    if y.ndim != 1 or s.ndim not in (1, 2) or len(y) != len(s) or not len(y):
        raise InputError(f"roc_auc: shapes {y.shape} and {s.shape} came, where (N,) with (N,) or (N, C) are right")
    if np.isnan(s).any():
        raise InputError(f"roc_auc: the score of row {int(np.argwhere(np.isnan(s))[0][0])} is nan")
    w = _weights(sample_weight, len(y), "roc_auc")
    if s.ndim == 1:
        return _binary_auc(y == 1, s, w)
    areas = [_binary_auc(y == c, s[:, c], w) for c in range(s.shape[1]) if (y == c).any()]
    return float(np.mean(areas))


def log_loss(y_true: Any, y_prob: Any, *, sample_weight: Any = None) -> float:
    """The mean negative log likelihood, with probabilities kept off 0 and 1 by their type's epsilon.

        - sum_i w_i log p_i[y_i] / sum_i w_i

    Args:
        y_true: Class ids 0 .. C-1, (N,).
        y_prob: Probabilities of the classes, (N, C); or of class 1 alone, (N,).
        sample_weight: Weights of the rows, (N,); default 1.

    Raises:
        InputError: the shapes do not fit, or a class id has no column.
    """
    y, p = as_array(y_true), as_array(y_prob)
    if p.dtype.kind != "f":
        p = p.astype(np.float64)
    if p.ndim == 1 or (p.ndim == 2 and p.shape[1] == 1):
        p = p.reshape(-1)
        p = np.stack([1 - p, p], axis=1)
    if y.ndim != 1 or p.ndim != 2 or len(y) != len(p) or not len(y):
        raise InputError(f"log_loss: shapes {y.shape} and {p.shape} came, where (N,) with (N, C) are right")
    y = y.astype(np.int64)
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise InputError(f"log_loss: class ids go from {y.min()} to {y.max()}, and there are {p.shape[1]} columns")
    eps = np.finfo(p.dtype).eps
    chosen = p[np.arange(len(y)), y].clip(eps, 1 - eps).astype(np.float64)
    return float(np.average(-np.log(chosen), weights=_weights(sample_weight, len(y), "log_loss")))


# -- numbers ------------------------------------------------------------------


def _errors(y_true: Any, y_pred: Any, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and error as (N, outputs) float64."""
    a, b = _pair(y_true, y_pred, metric)
    a = a.astype(np.float64).reshape(len(a), -1)
    return a, a - b.astype(np.float64).reshape(len(b), -1)


def mae(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Mean absolute error: sum_i w_i |y_i - p_i| / sum_i w_i, and its mean over several outputs.

    Args:
        y_true: Numbers, (N,) or (N, K).
        y_pred: Predictions of the same shape.
        sample_weight: Weights of the rows, (N,); default 1.

    Raises:
        InputError: the shapes differ, or there are no rows.
    """
    _, e = _errors(y_true, y_pred, "mae")
    return float(np.average(np.abs(e), axis=0, weights=_weights(sample_weight, len(e), "mae")).mean())


def mse(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Mean squared error: sum_i w_i (y_i - p_i)^2 / sum_i w_i, and its mean over several outputs.

    Args, Raises: as for `mae`.
    """
    _, e = _errors(y_true, y_pred, "mse")
    return float(np.average(e * e, axis=0, weights=_weights(sample_weight, len(e), "mse")).mean())


def rmse(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """The root of the mean squared error of each output, and its mean over several outputs.

    Args, Raises: as for `mae`.
    """
    _, e = _errors(y_true, y_pred, "rmse")
    return float(np.sqrt(np.average(e * e, axis=0, weights=_weights(sample_weight, len(e), "rmse"))).mean())


def r2(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """The coefficient of determination, and its mean over several outputs.

        1 - sum_i w_i (y_i - p_i)^2 / sum_i w_i (y_i - mean y)^2

    Of an output that is constant it is 1 if predicted exactly, else 0. Of a single row it is nan.

    Args, Raises: as for `mae`.
    """
    y, e = _errors(y_true, y_pred, "r2")
    if len(y) < 2:
        return float("nan")
    w = _weights(sample_weight, len(y), "r2")[:, None]
    residual = (w * e * e).sum(axis=0)
    total = (w * (y - np.average(y, axis=0, weights=w[:, 0])) ** 2).sum(axis=0)
    exact = np.where(residual == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, exact, 1 - residual / np.where(total == 0, 1, total))))
