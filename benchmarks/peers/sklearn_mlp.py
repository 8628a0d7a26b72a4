"""scikit-learn's MLPClassifier, one epoch of one batch a step, Adam."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


def build(workload: Any, threads: int) -> Callable[[int], None]:
    """``step(n)`` trains n epochs of one batch, so that the cost of a call of ``fit`` is spread over them."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    x = rng.standard_normal((workload.batch, workload.sizes[0])).astype(np.float32)
    y = np.arange(workload.batch) % workload.sizes[-1]
    hidden = workload.sizes[1:-1]

    def step(n: int) -> None:
        model = MLPClassifier(hidden, alpha=0, batch_size=workload.batch, max_iter=n, n_iter_no_change=n + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)

    return step


def version() -> str:
    """What is measured."""
    import sklearn

    return f"scikit-learn {sklearn.__version__}"
