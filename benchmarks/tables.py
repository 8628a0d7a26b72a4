"""How well haema's default plan for tables predicts, beside gradient boosting and well-set MLPs of scikit-learn.

    python -m benchmarks.tables [--table NAME ...] [--folds N] [--repeats N] [--rows N]

Every table is divided into five folds, and anew for each repeat; each of the first N is predicted from the other four.
Printed are accuracies, or R2 of numbers, in percent, on average over all folds; the difference of haema to the better
of the others; and seconds per fold. The two MLPs are one of 256-128 units with early stopping and one of 100 with more
weight decay; shown is the one that is better on average over the folds, for to choose anew in each test fold is to know
its answers. One row of a small table is half a point: only repeats tell there what is chance.
Boosting gets holes and categories as they are; the MLPs get standardised numbers with holes filled and shown, and
one-hot categories; for both, columns of more than 200 categories become mean targets.
All of them are given the columns as haema reads them: dates and times of day as numbers, and a text as a category and
as words that it has or has not.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

import haema as hm
from benchmarks.table_data import TABLES, load
from haema import nn
from haema.train import learn_table

FOLDS = 5
MANY = 200  # a column of more categories becomes mean targets
LARGE = 6000  # rows from which on the second MLP, which stops late, is left out


def folds(x: pd.DataFrame, y: np.ndarray, task: str, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to learn from and to predict, five times."""
    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(FOLDS, shuffle=True, random_state=seed).split(x, y))


def score(task: str, truth: np.ndarray, found: np.ndarray) -> float:
    """Accuracy or R2, in percent."""
    return 100 * float(np.mean(truth == found) if task == "classification" else r2_score(truth, found))


class Columns:
    """A training table and the rows to predict as one array of numbers and category codes each."""

    def __init__(self, train: pd.DataFrame, test: pd.DataFrame) -> None:
        columns = nn.TableColumns.of(train)
        self.train, self.test = columns.prepare(train), columns.prepare(test)
        p, sizes = len(columns.numbers), columns.sizes
        self.numbers = [*range(p), *range(p + len(sizes), self.train.shape[1])]  # words are numbers too
        self.few = [p + j for j, size in enumerate(sizes) if size <= MANY]
        self.many = [p + j for j, size in enumerate(sizes) if size > MANY]


def boosting(columns: Columns, task: str) -> Any:
    """Gradient boosting over histograms."""
    made = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    first = ColumnTransformer([
        ("few", "passthrough", columns.few),
        ("numbers", "passthrough", columns.numbers),
        ("many", TargetEncoder(random_state=0), columns.many),
    ])  # fmt: skip
    return make_pipeline(first, made(random_state=0, categorical_features=list(range(len(columns.few))) or None))


def perceptron(columns: Columns, task: str, rows: int, large: bool) -> Any:
    """A multi-layer perceptron with all that it needs in front of it."""
    filled = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    encoded = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=max(2, rows // 1000), sparse_output=False
    )
    first = ColumnTransformer([
        ("numbers", filled, columns.numbers),
        ("many", make_pipeline(TargetEncoder(random_state=0), StandardScaler()), columns.many),
        ("few", encoded, columns.few),
    ])  # fmt: skip
    stopping = {"early_stopping": True, "max_iter": 200 if rows < 30_000 else 60}
    options = stopping if large else {"alpha": 1e-2, "max_iter": 400}
    options |= {"hidden_layer_sizes": (256, 128) if large else (100,), "random_state": 0}
    if task == "classification":
        return make_pipeline(first, MLPClassifier(**options))
    return make_pipeline(first, TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler()))


def measure(x: pd.DataFrame, y: np.ndarray, task: str, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Score and seconds of each on one fold."""
    found = {}
    start = time.perf_counter()
    trainer = learn_table(x.iloc[train], y[train], task=task, progress=False)
    p = trainer.predict(x.iloc[test])
    p = p if task == "classification" else p[:, 0]
    found["haema"] = score(task, y[test], p), time.perf_counter() - start
    columns = Columns(x.iloc[train], x.iloc[test])
    peers = {"HGB": boosting(columns, task), "MLP": perceptron(columns, task, len(train), True)}
    if len(y) <= LARGE:
        peers["MLP 2"] = perceptron(columns, task, len(train), False)
    for name, model in peers.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that 400 epochs were not enough, and that a category is new
            p = model.fit(columns.train, y[train]).predict(columns.test)
        found[name] = score(task, y[test], p), time.perf_counter() - start
    return found


def main() -> None:
    """Measure, and print a line per table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", choices=TABLES, default=TABLES, metavar="NAME")
    parser.add_argument("--folds", type=int, choices=range(1, FOLDS + 1), default=FOLDS)
    parser.add_argument("--repeats", type=int, default=1, help="divide each table so many times, each differently")
    parser.add_argument("--rows", type=int, default=10**9, help="leave out tables of more rows than this")
    options = parser.parse_args()
    times = f", {options.repeats} times" if options.repeats > 1 else ""
    print(
        f"haema {hm.__version__}, {options.folds} of {FOLDS} folds{times}; accuracy or R2 in percent, seconds per fold"
    )
    print(f"{'table':22}{'rows':>7}{'HGB':>9}{'MLP':>9}{'haema':>9}{'diff':>8}{'s HGB':>9}{'s MLP':>8}{'s haema':>9}")
    for name in options.table:
        x, y, task = load(name)
        if len(y) > options.rows:
            continue
        y = y.astype(str) if task == "classification" else y.astype(float)
        divided = [fold for seed in range(options.repeats) for fold in folds(x, y, task, seed)[: options.folds]]
        parts = [measure(x, y, task, *fold) for fold in divided]
        mean = {k: np.mean([part[k] for part in parts], axis=0) for k in parts[0]}
        better = max((mean[k] for k in mean if k.startswith("MLP")), key=lambda m: m[0])
        (boost, mlp, own), seconds = zip(mean["HGB"], better, mean["haema"], strict=True)
        print(
            f"{name:22}{len(y):7d}{boost:9.2f}{mlp:9.2f}{own:9.2f}{own - max(boost, mlp):+8.2f}"
            f"{seconds[0]:9.1f}{seconds[1]:8.1f}{seconds[2]:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
