"""What a trainer minimises: a loss by name, class, instance or function, and how its value is weighted.

name              module               truth            the model's output is
cross_entropy     CrossEntropyLoss     class ids        logits, (N, C)
nll               NLLLoss              class ids        log probabilities, (N, C)
multi_margin      MultiMarginLoss      class ids        scores, (N, C)
bce_with_logits   BCEWithLogitsLoss    0, 1             logits, (N,) or (N, K)
bce               BCELoss              0, 1             probabilities, (N,) or (N, K)
mse, mae          MSELoss, L1Loss      numbers          numbers
huber, smooth_l1  HuberLoss, ...       numbers          numbers
half_squared_error, rmse               numbers          numbers
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

from haema.errors import InputError, suggest
from haema.tensor import Tensor

__all__ = ["LOSSES", "Objective", "objective"]


@dataclass(frozen=True)
class Kind:
    """What a loss wants and what its input means.

    Fields:
        module: The class in ``haema.nn``.
        truth: "ids": class ids; "binary": 0 and 1; "numbers"; "given": whatever the user passes.
        link: How outputs become probabilities: "softmax", "exp", "sigmoid" or "identity".
    """

    module: str
    truth: str
    link: str


LOSSES = {
    "cross_entropy": Kind("CrossEntropyLoss", "ids", "softmax"),
    "nll": Kind("NLLLoss", "ids", "exp"),
    "multi_margin": Kind("MultiMarginLoss", "ids", "softmax"),
    "bce_with_logits": Kind("BCEWithLogitsLoss", "binary", "sigmoid"),
    "bce": Kind("BCELoss", "binary", "identity"),
    "mse": Kind("MSELoss", "numbers", "identity"),
    "mae": Kind("L1Loss", "numbers", "identity"),
    "huber": Kind("HuberLoss", "numbers", "identity"),
    "smooth_l1": Kind("SmoothL1Loss", "numbers", "identity"),
    "half_squared_error": Kind("HalfSquaredError", "numbers", "identity"),
    "rmse": Kind("RMSELoss", "numbers", "identity"),
}
_OTHER_NAMES = {
    "l1": "mae",
    "binary_cross_entropy": "bce",
    "binary_cross_entropy_with_logits": "bce_with_logits",
    "negative_log_likelihood": "nll",
}
GIVEN = Kind("", "given", "softmax")
TINY = 1e-30  # keeps a batch whose weights are all 0 from dividing by 0


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "").removesuffix("loss")


_BY_PLAIN = {_plain(n): n for n in LOSSES}
_BY_PLAIN |= {_plain(n): LOSS for n, LOSS in _OTHER_NAMES.items()}
_BY_PLAIN |= {_plain(kind.module): n for n, kind in LOSSES.items()}


class Objective:
    """The loss of a batch: the loss function's own value, or with weights the weighted mean of its rows' values.

        sum_i w_i l_i / sum_i w_i

    Args:
        function: ``function(output, y)`` -> a number or one value per row.
        name: What it is called.
        kind: What it wants.
    """

    def __init__(self, function: Any, name: str, kind: Kind) -> None:
        self.function = function
        self.name = name
        self.kind = kind
        self.reduction = getattr(function, "reduction", "mean")
        self._each = function
        if hasattr(function, "reduction"):
            self._each = copy.copy(function)
            self._each.reduction = "none"

    def __call__(self, output: Tensor, y: Tensor, w: Tensor | None) -> Tensor:
        if w is None:
            value = self.function(output, y)
            return value if value.ndim == 0 else value.mean()
        each = self._each(output, y)
        if each.ndim == 0 or self.name == "rmse":
            raise InputError(
                f"loss {self.name} is one number for a whole batch, so rows and classes cannot be weighted; "
                "a loss with one value per row, of shape (N,), is right"
            )
        if each.ndim > 1:
            each = each.reshape(each.shape[0], -1)  # (N, ...) -> (N, K)
            each = each.sum(1) if self.reduction == "sum" else each.mean(1)
        if self.reduction == "sum":
            return (each * w).sum()
        return (each * w).sum() / w.sum().clamp(min=TINY)

    def share(self, rows: int, w: Any) -> float:
        """What a batch's value counts in the mean over an epoch."""
        if self.reduction == "sum":
            return 1.0
        return float(rows) if w is None else float(w.sum())

    def mean(self, total: float, shares: float, rows: int) -> float:
        """The value per row of an epoch, from the sum over its batches of value times share."""
        return total / max(rows if self.reduction == "sum" else shares, TINY)


def objective(loss: Any) -> Objective:
    """The objective that is meant by a name, a class, an instance or a function.

    Args:
        loss: A name of the table above (also ``nn``'s and ``F``'s names for it), a loss class of ``haema.nn``, an
            instance, or ``f(output, y)`` returning a number or one value per row.

    Raises:
        InputError: the name is unknown, or it is nothing that can be called.
    """
    from haema import nn

    if isinstance(loss, str):
        name = _BY_PLAIN.get(_plain(loss))
        if name is None:
            raise InputError(f"loss is {loss!r}, which is unknown; {suggest(loss, LOSSES)}")
        return Objective(getattr(nn, LOSSES[name].module)(), name, LOSSES[name])
    if inspect.isclass(loss):
        loss = loss()
    if not callable(loss):
        raise InputError(f"loss is of type {type(loss).__name__}; a name, a loss of haema.nn or a function is right")
    for cls in type(loss).__mro__:
        name = _BY_PLAIN.get(_plain(cls.__name__))
        if name is not None and LOSSES[name].module == cls.__name__:
            return Objective(loss, name, LOSSES[name])
    shown = getattr(loss, "__name__", type(loss).__name__)
    name = _BY_PLAIN.get(_plain(shown))
    if name is not None and getattr(loss, "__module__", "").startswith("haema.nn"):
        return Objective(getattr(nn, LOSSES[name].module)(), name, LOSSES[name])
    return Objective(loss, shown, GIVEN)
