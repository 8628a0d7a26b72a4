"""Callbacks: what happens around the training loop at its five moments.

    on_fit_begin(run)      before the first epoch, and before a checkpoint is restored
    on_epoch_begin(run)
    on_batch_end(run)      after each step; run.loss is the batch's loss, and gradients are still there
    on_epoch_end(run)      run.logs has the epoch's values
    on_fit_end(run)        always, whatever ended the training

A callback keeps its constructor's arguments under their names. What it learns on the way, and would need to go on
after a crash, is in its ``state_dict``.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.errors import HaemaError, InputError, suggest
from haema.train.history import larger_is_better

if TYPE_CHECKING:
    from haema.train.run import Run

__all__ = [
    "Callback",
    "EarlyStopping",
    "GradientNorms",
    "LambdaCallback",
    "Monitor",
    "NonFiniteLoss",
    "StopOnNonFinite",
    "TimeLimit",
]


class NonFiniteLoss(HaemaError):
    """The loss became nan or infinite."""


class Callback:
    """Base of all callbacks: does nothing at each moment.

    Attributes:
        steers: Whether it changes what is learned, so that a run can go on only with the same one.
        order: Callbacks run from the lowest to the highest.
    """

    steers = False
    order = 0

    def on_fit_begin(self, run: Run) -> None:
        """Called before the first epoch."""

    def on_epoch_begin(self, run: Run) -> None:
        """Called before each epoch."""

    def on_batch_end(self, run: Run) -> None:
        """Called after each step."""

    def on_epoch_end(self, run: Run) -> None:
        """Called after each epoch, with its values in ``run.logs``."""

    def on_fit_end(self, run: Run) -> None:
        """Called at the end."""

    def on_non_finite(self, run: Run) -> None:
        """Called when the loss of a batch is nan or infinite."""

    def state_dict(self) -> dict[str, Any]:
        """What must be kept to go on: numbers, texts, None, arrays, and lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        names = [n for n in inspect.signature(type(self).__init__).parameters if n != "self"]
        return {n: _plain(getattr(self, n)) for n in names if hasattr(self, n)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    return getattr(value, "__name__", type(value).__name__)


class Monitor:
    """Whether a value got better.

    Args:
        name: The value in ``run.logs``; None: the validation loss, or the loss without validation.
        mode: "min", "max", or "auto": told by the name.
        min_delta: What counts as better must be so by more than this.

    Raises:
        InputError: ``mode`` is another, or ``min_delta`` is negative.
    """

    def __init__(self, name: str | None, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise InputError(f"mode is {mode!r}; 'min', 'max' or 'auto' is right")
        if min_delta < 0:
            raise InputError(f"min_delta is {min_delta}; 0 or more is right")
        self.name, self.mode, self.min_delta = name, mode, min_delta
        self.best: float | None = None

    def value(self, run: Run) -> float:
        """The value after this epoch.

        Raises:
            InputError: there is none of this name.
        """
        name = self.name or run.history.monitor
        if name not in run.logs:
            raise InputError(f"monitor is {name!r}, which no epoch has; {suggest(name, run.logs)}")
        return run.logs[name]

    def improved(self, run: Run) -> bool:
        """Whether the value is better than the best so far, which it then becomes. nan never is."""
        value = self.value(run)
        up = self.mode == "max" or (self.mode == "auto" and larger_is_better(self.name or run.history.monitor))
        if math.isnan(value):
            return False
        if self.best is None or (value - self.best if up else self.best - value) > self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Callback):
    """Stops when a value has not got better for ``patience`` epochs, and brings the best weights back.

    Args:
        monitor: The value that is watched; default: "val_loss", or "loss" without validation.
        patience: Epochs without a better value that are borne, for curves zigzag; default 5.
        min_delta: What counts as better must be so by more than this; default 0.
        mode: "min", "max" or "auto" (default), which tells it by the name.
        restore_best: Whether the model ends with the weights of its best epoch; default True.

    Attributes:
        best: The best value.
        best_epoch: Its epoch.

    Raises:
        InputError: an argument is out of its range.

    Source: L. Prechelt (1998), Early stopping - but when?
    """

    steers = True

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise InputError(f"EarlyStopping: patience is {patience}; 1 or more epochs are right")
        self.monitor, self.patience, self.min_delta, self.mode = monitor, patience, min_delta, mode
        self.restore_best = restore_best
        self._reset()

    def _reset(self) -> None:
        self._watch = Monitor(self.monitor, self.mode, self.min_delta)
        self.best_epoch = 0
        self._waited = 0
        self._weights: dict[str, np.ndarray] | None = None

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self._watch.best

    def on_fit_begin(self, run: Run) -> None:
        self._reset()

    def on_epoch_end(self, run: Run) -> None:
        if self._watch.improved(run):
            self.best_epoch, self._waited = run.epoch, 0
            if self.restore_best:
                self._weights = run.weights()
            return
        self._waited += 1
        if self._waited >= self.patience:
            name = self._watch.name or run.history.monitor
            was = "never a number" if self.best is None else f"best in epoch {self.best_epoch} ({self.best:.4g})"
            run.stop(f"{name} was {was} and has not got better for {self._waited} epoch{'s' * (self._waited > 1)}")

    def on_fit_end(self, run: Run) -> None:
        if self._weights is not None:
            run.load_weights(self._weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
            "weights": self._weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._watch.best = None if state["best"] is None else float(state["best"])
        self.best_epoch, self._waited = int(state["best_epoch"]), int(state["waited"])
        weights = state["weights"]
        self._weights = None if weights is None else {k: np.array(v) for k, v in weights.items()}


class StopOnNonFinite(Callback):
    """Ends the training when the loss of a batch is nan or infinite, with the weights of the last finished epoch.

    Every training has one, unless it is given another.

    Args:
        error: Raise NonFiniteLoss (default), or just stop.

    Raises:
        NonFiniteLoss: when it happens, if ``error``.
    """

    def __init__(self, error: bool = True) -> None:
        self.error = error

    def on_non_finite(self, run: Run) -> None:
        where = f"epoch {run.epoch}, batch {run.batch}"
        back = f"those of epoch {run.epoch - 1}" if run.epoch > 1 else "the initial ones"
        message = (
            f"the loss became {run.loss} in {where}; the weights are {back} again; a lower learning rate than "
            f"{run.lr:g} or clip_norm=1 usually helps"
        )
        run.go_back()
        if self.error:
            raise NonFiniteLoss(message)
        run.stop(message)


class TimeLimit(Callback):
    """Stops before an epoch that would not be finished in time, as far as the longest epoch so far tells.

    Args:
        seconds: Time for the whole of ``fit``; at least one epoch is trained. A run that goes on from a checkpoint
            has this time anew.

    Raises:
        InputError: ``seconds`` is not positive.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise InputError(f"TimeLimit: seconds is {seconds}; a positive number is right")
        self.seconds = seconds
        self._start = self._last = 0.0
        self._longest = 0.0

    def on_fit_begin(self, run: Run) -> None:
        self._start = self._last = time.monotonic()
        self._longest = 0.0

    def on_epoch_end(self, run: Run) -> None:
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        if now - self._start + self._longest > self.seconds:
            run.stop(f"another epoch would take longer than the limit of {self.seconds:g} s", final=False)


class LambdaCallback(Callback):
    """Functions of the run as a callback.

    Args:
        on_fit_begin, on_epoch_begin, on_batch_end, on_epoch_end, on_fit_end: Called at their moments, if given.
    """

    def __init__(
        self,
        on_fit_begin: Callable[[Run], Any] | None = None,
        on_epoch_begin: Callable[[Run], Any] | None = None,
        on_batch_end: Callable[[Run], Any] | None = None,
        on_epoch_end: Callable[[Run], Any] | None = None,
        on_fit_end: Callable[[Run], Any] | None = None,
    ) -> None:
        given = locals()
        for moment in ("on_fit_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_fit_end"):
            if given[moment] is not None:
                setattr(self, moment, given[moment])

    def settings(self) -> dict[str, Any]:
        return {name: _plain(function) for name, function in vars(self).items()}


class GradientNorms(Callback):
    """The size of each layer's gradient, epoch by epoch: whether it vanishes on its way to the input, or explodes.

        sqrt(sum over the layer's parameters of g^2), averaged over the epoch's batches

    Where gradients are clipped these are the clipped ones.

    Attributes:
        norms: Layer name -> one norm per epoch, in the order from the input on.
    """

    def __init__(self) -> None:
        self.norms: dict[str, list[float]] = {}
        self._sums: dict[str, float] = {}

    def on_fit_begin(self, run: Run) -> None:
        self.norms = {}

    def on_epoch_begin(self, run: Run) -> None:
        self._sums = {}

    def on_batch_end(self, run: Run) -> None:
        squares: dict[str, float] = {}
        for name, p in run.model.named_parameters():
            if p.grad is not None:
                g = p.grad.detach().numpy().reshape(-1).astype(np.float64, copy=False)
                layer = name.rpartition(".")[0] or name
                squares[layer] = squares.get(layer, 0.0) + float(g @ g)
        for layer, square in squares.items():
            self._sums[layer] = self._sums.get(layer, 0.0) + math.sqrt(square)

    def on_epoch_end(self, run: Run) -> None:
        for layer, total in self._sums.items():
            self.norms.setdefault(layer, []).append(total / max(run.batch, 1))

    def state_dict(self) -> dict[str, Any]:
        return {"norms": {layer: list(v) for layer, v in self.norms.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.norms = {layer: [float(x) for x in v] for layer, v in state["norms"].items()}
