"""What all losses share: how they are reduced, and how their arguments are checked."""

from __future__ import annotations

import math
import warnings

import numpy as np

from haema import executor, ops
from haema.errors import DTypeError, InputError, ShapeError
from haema.nn.functional._common import need_floating
from haema.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(name: str, reduction: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Refuse an unknown reduction.

    Raises:
        ValueError: it is none of ``known``.
    """
    if reduction not in known:
        raise ValueError(f"{name}: reduction must be one of {', '.join(map(repr, known))}, not {reduction!r}")


def reduced(loss: Tensor, reduction: str, count: float | Tensor | None = None) -> Tensor:
    """The loss of each element, their sum, or that divided by ``count`` (by default how many they are)."""
    if reduction == "none":
        return loss
    total = ops.sum(loss, axes=tuple(range(loss.ndim)), keepdims=False)
    if reduction == "sum":
        return total
    return total / (loss.numel() if count is None else count)


def log_base(name: str, base: float | None) -> float:
    """What a natural logarithm is multiplied with to be one to ``base``: 1 for None.

    Raises:
        ValueError: there is no logarithm to that base.
    """
    if base is None or base == math.e:
        return 1.0
    if not base > 0 or base == 1:
        raise ValueError(f"{name}: base must be above 0 and not 1, not {base}")
    return 1 / math.log(base)


def check_pair(name: str, input: Tensor, target: Tensor, *, broadcast: bool = True) -> None:
    """Compare the shapes of prediction and target.

    Raises:
        DTypeError: the prediction is not floating.
        ShapeError: the shapes differ, and ``broadcast`` is False or they do not broadcast.

    Warns:
        UserWarning: the shapes differ and broadcast, which is rarely what is meant.
    """
    need_floating(name, input)
    if input.shape == target.shape:
        return
    came = f"{name}: the input has shape {tuple(input.shape)} and the target {tuple(target.shape)}"
    if not broadcast:
        raise ShapeError(f"{came}; they must be equal")
    try:
        np.broadcast_shapes(tuple(input.shape), tuple(target.shape))
    except ValueError:
        raise ShapeError(f"{came}; they must be equal") from None
    warnings.warn(f"{came}: they are broadcast, which is rarely what is meant", UserWarning, stacklevel=4)


def check_weight(name: str, weight: Tensor | None, classes: int) -> None:
    """Compare the class weights with the number of classes.

    Raises:
        ShapeError: there is not one for each class.
    """
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(
            f"{name}: weight must have shape ({classes},), one number for each class, not {tuple(weight.shape)}"
        )


def _check_labels(name: str, target: Tensor, classes: int, ignore_index: int) -> None:
    """Look at the labels themselves; in a recorded program when it runs.

    Raises:
        InputError: one is neither a class number nor ``ignore_index``.
    """
    labels = target._data
    if not isinstance(labels, np.ndarray):
        fits = ((target >= 0) & (target < classes)) | (target == ignore_index)
        message = (
            f"{name}: a label is not a class number: the input has scores for the {classes} classes 0..{classes - 1}"
        )
        executor.active().require(fits._data, InputError(message))
        return
    if labels.size == 0:
        return
    if labels.min() >= 0 and labels.max() < classes:
        return
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f" at position {at[0] if len(at) == 1 else at}" if at else ""
        raise InputError(
            f"{name}: label {labels[at]}{where} is not a class number: the input has scores for the {classes} classes "
            f"0..{classes - 1}"
        )


def check_classes(name: str, input: Tensor, target: Tensor, ignore_index: int) -> int:
    """Check scores (N, C, d1, ...) or (C,) against labels (N, d1, ...) or ().

    Returns:
        The axis of the classes.

    Raises:
        ShapeError, DTypeError, InputError: they do not belong together.
    """
    need_floating(name, input)
    if input.ndim == 0:
        raise ShapeError(f"{name}: the input must be (N, C, ...) or (C,), not a single number")
    axis = 0 if input.ndim == 1 else 1
    expected = (*input.shape[:axis], *input.shape[axis + 1 :])
    if target.dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels are class numbers (int64), not {target.dtype.name}; convert with .long()")
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"{name}: an input of shape {tuple(input.shape)} needs labels of shape {expected}, "
            f"not {tuple(target.shape)}"
        )
    _check_labels(name, target, input.shape[axis], ignore_index)
    return axis
