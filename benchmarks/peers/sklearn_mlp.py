"""scikit-learn's MLPClassifier, one epoch of one batch a step, Adam."""

from __future__ import annotations

import warnings

from benchmarks.networks import Step
from benchmarks.workloads import MLP, Workload, batch, weights

MODULE = "sklearn"


def takes(workload: Workload) -> bool:
    """Networks of dense layers."""
    return isinstance(workload, MLP)


def build(workload: Workload, threads: int) -> Step:
    """``step(n)`` trains n epochs of one batch, so that the cost of a call of ``fit`` is spread over them.

    A call of ``fit`` goes on from the weights there are, but with new averages of Adam; so one step alone is
    ``partial_fit``, which keeps them. A prediction is ``predict_proba``.
    """
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    assert isinstance(workload, MLP)
    x, y = batch(workload)
    model = MLPClassifier(workload.sizes[1:-1], alpha=0, batch_size=workload.batch, n_iter_no_change=10**9)
    model.partial_fit(x, y, classes=np.arange(workload.classes))
    arrays = list(weights(workload).values())
    model.coefs_ = [w.T.copy() for w in arrays[::2]]
    model.intercepts_ = arrays[1::2]
    model.warm_start = True
    del model._optimizer  # its averages are of other weights

    def train(n: int) -> float:
        if n == 1:
            return float(model.partial_fit(x, y).loss_)
        model.max_iter = n
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            return float(model.fit(x, y).loss_)

    def predict(n: int) -> float:
        for _ in range(n):
            p = model.predict_proba(x)
        return float(np.abs(p).sum())

    return train if workload.training else predict


def version() -> str:
    """What is measured."""
    import sklearn

    return f"scikit-learn {sklearn.__version__}"
