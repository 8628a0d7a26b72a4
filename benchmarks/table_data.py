"""The tables of the benchmark of the default plan: scikit-learn's own, its generators', and the realistic ones.

Every table is a function of nothing but its name, and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn import datasets

from benchmarks.table_stories import STORIES, Table, frame

__all__ = ["TABLES", "load"]

_C, _R = "classification", "regression"

_OWN: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "iris": (datasets.load_iris, _C, {}),
    "wine": (datasets.load_wine, _C, {}),
    "breast_cancer": (datasets.load_breast_cancer, _C, {}),
    "diabetes": (datasets.load_diabetes, _R, {"scaled": False}),
    "digits": (datasets.load_digits, _C, {}),
}

_GENERATED: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "classification_300": (datasets.make_classification, _C, {"n_samples": 300, "n_features": 20, "n_informative": 5}),
    "classification_2k": (
        datasets.make_classification,
        _C,
        {"n_samples": 2000, "n_features": 20, "n_informative": 8, "n_clusters_per_class": 3, "flip_y": 0.03},
    ),
    "classification_4c": (
        datasets.make_classification,
        _C,
        {"n_samples": 5000, "n_features": 30, "n_informative": 10, "n_classes": 4, "n_clusters_per_class": 3},
    ),
    "classification_100k": (
        datasets.make_classification,
        _C,
        {"n_samples": 100_000, "n_features": 20, "n_informative": 10, "n_clusters_per_class": 4},
    ),
    "friedman1_500": (datasets.make_friedman1, _R, {"n_samples": 500, "n_features": 10, "noise": 1.0}),
    "friedman1_5k": (datasets.make_friedman1, _R, {"n_samples": 5000, "n_features": 10, "noise": 1.0}),
    "friedman2": (datasets.make_friedman2, _R, {"n_samples": 1000, "noise": 50.0}),
    "friedman3": (datasets.make_friedman3, _R, {"n_samples": 1000, "noise": 0.1}),
    "moons": (datasets.make_moons, _C, {"n_samples": 1000, "noise": 0.25}),
    "circles": (datasets.make_circles, _C, {"n_samples": 1000, "noise": 0.15, "factor": 0.5}),
    "hastie_2k": (datasets.make_hastie_10_2, _C, {"n_samples": 2000}),
    "hastie_12k": (datasets.make_hastie_10_2, _C, {"n_samples": 12_000}),
    "linear_300": (
        datasets.make_regression, _R, {"n_samples": 300, "n_features": 20, "n_informative": 10, "noise": 20.0}
    ),
    "linear_2k": (
        datasets.make_regression, _R, {"n_samples": 2000, "n_features": 50, "n_informative": 10, "noise": 30.0}
    ),
    "linear_wide": (
        datasets.make_regression, _R, {"n_samples": 200, "n_features": 100, "n_informative": 10, "noise": 10.0}
    ),
    "quantiles": (datasets.make_gaussian_quantiles, _C, {"n_samples": 2000, "n_features": 10, "n_classes": 3}),
    "blobs": (datasets.make_blobs, _C, {"n_samples": 600, "n_features": 5, "centers": 5, "cluster_std": 4.0}),
    "swiss_roll": (datasets.make_swiss_roll, _R, {"n_samples": 1500, "noise": 0.5}),
    "sparse_uncorrelated": (datasets.make_sparse_uncorrelated, _R, {"n_samples": 1000, "n_features": 10}),
}  # fmt: skip


def _own(name: str) -> Table:
    make, task, arguments = _OWN[name]
    bunch = make(**arguments)
    return pd.DataFrame(bunch.data, columns=[str(c) for c in bunch.feature_names]), bunch.target, task


def _generated(name: str) -> Table:
    make, task, arguments = _GENERATED[name]
    x, y = make(random_state=0, **arguments)
    return frame(x), y, task


TABLES = (*_OWN, *_GENERATED, *STORIES)
"""The names of all tables."""


def load(name: str) -> Table:
    """The table called ``name``: its columns, its target, and the task."""
    if name in STORIES:
        return STORIES[name]()
    return _own(name) if name in _OWN else _generated(name)
