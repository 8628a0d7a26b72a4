"""Learning-rate schedules as a callback."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from haema.errors import InputError, suggest
from haema.train.callbacks import Callback, Monitor

if TYPE_CHECKING:
    from haema.train.run import Run

__all__ = ["LearningRateSchedule"]


class LearningRateSchedule(Callback):
    """Steps a scheduler of ``haema.optim.lr_scheduler`` after every epoch, or after every batch.

        LearningRateSchedule("StepLR", step_size=10, gamma=0.5)
        LearningRateSchedule(lambda optimizer: CyclicLR(optimizer, 1e-4, 1e-2), per="step")
        LearningRateSchedule("ReduceLROnPlateau", patience=3, monitor="val_loss")

    Args:
        scheduler: The name of a scheduler, its class, a function of the optimizer, or a scheduler of the trainer's
            optimizer.
        per: "epoch" (default) or "step".
        monitor: The value a scheduler such as ReduceLROnPlateau is fed with; default: "val_loss", or "loss" without
            validation.
        options: The scheduler's arguments, with a name or class.

    Raises:
        InputError: the name is unknown, or an argument makes no sense.
    """

    steers = True

    def __init__(self, scheduler: Any, per: str = "epoch", monitor: str | None = None, **options: Any) -> None:
        from haema.optim import lr_scheduler

        if per not in ("epoch", "step"):
            raise InputError(f"LearningRateSchedule: per is {per!r}; 'epoch' or 'step' is right")
        if isinstance(scheduler, str):
            known = {n: c for n, c in vars(lr_scheduler).items() if inspect.isclass(c) and not n.startswith("_")}
            if scheduler not in known:
                raise InputError(f"LearningRateSchedule: {scheduler!r} is unknown; {suggest(scheduler, known)}")
        elif not callable(scheduler) and not hasattr(scheduler, "step"):
            raise InputError(
                f"LearningRateSchedule: scheduler is of type {type(scheduler).__name__}; a name, a class, "
                "a function of the optimizer or a scheduler is right"
            )
        if options and not isinstance(scheduler, str) and not inspect.isclass(scheduler):
            raise InputError(
                f"LearningRateSchedule: {', '.join(options)} came with a finished scheduler; give a name or a class"
            )
        self.scheduler, self.per, self.monitor, self.options = scheduler, per, monitor, options
        self._watch = Monitor(monitor)
        self._made: Any = None
        self._fed = False

    def on_fit_begin(self, run: Run) -> None:
        if self._made is None or self._made.optimizer is not run.optimizer:
            self._made = self._make(run.optimizer)
            if self._made.optimizer is not run.optimizer:
                raise InputError("LearningRateSchedule: the scheduler belongs to another optimizer than the trainer's")
            self._fed = "metrics" in inspect.signature(self._made.step).parameters
            if self._fed and self.per == "step":
                name = type(self._made).__name__
                raise InputError(f"LearningRateSchedule: {name} is fed once per epoch; per='epoch' is right")

    def _make(self, optimizer: Any) -> Any:
        from haema.optim import lr_scheduler

        if isinstance(self.scheduler, str):
            return getattr(lr_scheduler, self.scheduler)(optimizer, **self.options)
        if hasattr(self.scheduler, "step") and not inspect.isclass(self.scheduler):
            return self.scheduler
        return self.scheduler(optimizer, **self.options)

    def on_batch_end(self, run: Run) -> None:
        if self.per == "step":
            self._made.step()

    def on_epoch_end(self, run: Run) -> None:
        if self.per == "epoch":
            self._made.step(*([self._watch.value(run)] if self._fed else []))

    def state_dict(self) -> dict[str, Any]:
        return {} if self._made is None else {"scheduler": self._made.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "scheduler" in state:
            self._made.load_state_dict(state["scheduler"])

    def settings(self) -> dict[str, Any]:
        named = getattr(self.scheduler, "__name__", type(self.scheduler).__name__)
        shown = self.scheduler if isinstance(self.scheduler, str) else named
        options = {k: v if isinstance(v, (int, float, str, bool, list)) else str(v) for k, v in self.options.items()}
        return {"scheduler": shown, "per": self.per, "monitor": self.monitor, **options}
