"""One call of ``fit``: the loop over epochs and batches, and the state that a checkpoint holds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from haema import random
from haema.creation import tensor
from haema.errors import InputError
from haema.random import Generator
from haema.tensor import Tensor
from haema.train.callbacks import Callback, StopOnNonFinite
from haema.train.engine import Engine, Part
from haema.train.history import History
from haema.train.predictions import Metric
from haema.train.progress import ProgressBar
from haema.train.schedule import LearningRateSchedule
from haema.train.sources import Rows, Source
from haema.train.step import Sums, evaluate_source
from haema.train.targets import Targets

__all__ = ["Run"]


class Run:
    """A training run; callbacks are given it at each of their moments.

    Attributes:
        model, optimizer, history: As in the trainer.
        epoch: The present epoch, counted from 1 over all calls of ``fit``.
        epochs: The last epoch planned.
        batch: Batches done in this epoch; ``batches``: how many it has, or None if unknown.
        steps: Steps done over all epochs.
        loss: The loss of the last batch.
        logs: The values of the last finished epoch.
        stopped: Why the training ends early, or None.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        valid: Source | None,
        metrics: list[Metric],
        targets: Targets,
        link: str,
        history: History,
        callbacks: Sequence[Callback],
        *,
        done: int,
        steps: int,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        merge_single: bool,
        identity: dict[str, Any],
    ) -> None:
        self.engine, self.step, self.source, self.valid = engine, engine.step, source, valid
        self.model, self.optimizer, self.average = self.step.model, self.step.optimizer, self.step.average
        self.metrics, self.targets, self.link, self.history = metrics, targets, link, history
        given = list(callbacks)
        if not any(isinstance(c, StopOnNonFinite) for c in given):
            given.append(StopOnNonFinite())
        self.callbacks = sorted(given, key=lambda c: c.order)
        self._each_batch = [c for c in self.callbacks if _listens(c, "on_batch_end")]
        self._bars = [c for c in self._each_batch if _is(c, ProgressBar)]
        self._schedules = [
            c for c in self._each_batch if _is(c, LearningRateSchedule) and getattr(c, "per", "") == "step"
        ]
        self.begin = self.epoch = done
        self.epochs = done + epochs
        self.steps = steps
        self.batch_size, self.shuffle, self.merge_single = batch_size, shuffle, merge_single
        self.batch = 0
        self.batches = source.count(batch_size, merge_single)
        self.loss = math.nan
        self.logs: dict[str, float] = {}
        self.stopped: str | None = None
        self._final = True
        self.identity = identity
        self._generators = _generators(self.model, source)
        self._good: dict[str, Any] = {}
        self._over = False

    # -- what callbacks use ------------------------------------------------------------------

    def stop(self, reason: str, final: bool = True) -> None:
        """End the training after this epoch (called after a batch: after this batch).

        Args:
            reason: A clause that says why.
            final: Whether a checkpoint remembers it, so that going on from there trains no further; default True.
        """
        self.stopped = reason
        self._final = final

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def log(self, name: str, value: float) -> None:
        """Add a value to the epoch that has just ended."""
        self.logs[name] = float(value)
        column = self.history.values.setdefault(name, [math.nan] * len(self.history))
        column[-1] = float(value)

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of the state of the model as it is measured: where weights are averaged, that of the average."""
        return _state(self.step.measured(self.average is not None))

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Put the model into a state that ``weights`` gave."""
        self.model.load_state_dict(weights)

    # -- the loop ------------------------------------------------------------------

    def train(self, saved: dict[str, Any] | None = None) -> History:
        """Train up to the last epoch, or until something stops it.

        Args:
            saved: The state to go on from, as ``capture`` gave it.

        Returns:
            The history.

        Whatever ends it, the model is as after the last finished epoch; where weights are averaged, it then has the
        averages.
        """
        training = [(module, module.training) for module in self.model.modules()]
        if not self.model.training:
            self.model.train()
        self.history.interrupted, self.history.stopped = False, None
        if self.average is not None:
            self.average.n_averaged.zero_()
        try:
            for callback in self.callbacks:
                callback.on_fit_begin(self)
            if saved is not None:
                self.restore(saved)
            self._good = self.capture()
            while self.epoch < self.epochs and self.stopped is None:
                self._epoch()
                self._good = self.capture()
        except KeyboardInterrupt:
            self._interrupted()
        except BaseException:
            if self._good:
                self.go_back()
            raise
        finally:
            self.history.stopped = self.stopped
            self.optimizer.zero_grad()
            self._over = True
            if self.average is not None and self.average.n_averaged.item():
                self.load_weights(self.weights())
            for callback in self.callbacks:
                callback.on_fit_end(self)
            for module, mode in training:
                module.training = mode
        return self.history

    def _epoch(self) -> None:
        self.epoch += 1
        self.batch = 0
        for callback in self.callbacks:
            callback.on_epoch_begin(self)
        start = time.perf_counter()
        sums = Sums(self.step.objective, self.metrics)
        self.engine.ready()
        for part in self._parts():
            good = next((k for k, loss in enumerate(part.losses) if not math.isfinite(loss)), None)
            done = len(part.losses) if good is None else good + 1
            self.batch += done
            self.steps += done
            self.loss = part.losses[done - 1]
            sums.add(part, good)
            if good is not None:
                if part.native:
                    self._schedule.go_back(good)
                for callback in self.callbacks:
                    callback.on_non_finite(self)
                return
            for callback in self._bars if part.native else self._each_batch:
                callback.on_batch_end(self)
            if self.stopped is not None:
                break
        if self.batch == 0:
            raise InputError("the loader gave no batches; there is nothing to learn from")
        self.logs = sums.logs(self.targets, self.link)
        if self.valid is not None:
            size = max(self.batch_size, 256)
            averaged = self.average is not None
            found = evaluate_source(
                self.engine, self.metrics, self.valid, size, self.targets, self.link, averaged=averaged
            )
            self.logs |= {f"val_{name}": value for name, value in found.items()}
        self.logs |= {"lr": self.lr, "seconds": time.perf_counter() - start}
        self.history.append(self.logs)
        for callback in self.callbacks:
            callback.on_epoch_end(self)

    def _parts(self) -> Iterator[Part]:
        """The steps of an epoch, each batch by itself, or as many at once as nobody looks between.

        After each batch a callback may read and change everything, gradients too; only the bar, which looks at no
        more than the loss, and a schedule, which says its learning rates beforehand, let batches run on.
        """
        schedule = self._schedule = _Schedule(self, self._schedules)
        known = len(self._bars) + sum(_is(c, LearningRateSchedule) for c in self._each_batch)
        alone = len(self._each_batch) > known
        tensors = any(isinstance(v, Tensor) for g in self.optimizer.param_groups for v in g.values())
        if not isinstance(self.source, Rows) or alone or tensors:
            for batch in self.source.batches(self.batch_size, self.shuffle, self.merge_single):
                yield self.engine.batch(*batch, gradients=alone)
                if alone:
                    self.engine.look()
            return
        for rows in self.source.order(self.batch_size, self.shuffle, self.merge_single):
            for held, index in self.source.slices(np.atleast_2d(rows)) if rows is not None else ():
                at = 0
                while at < len(index):
                    schedule.keep()
                    part = self.engine.steps(held, index[at:], schedule if self._schedules else None)
                    if part is None:
                        part = self.engine.eagerly(*held.take(index[at]))
                    at += len(part.losses)
                    yield part

    def _interrupted(self) -> None:
        """Ctrl-C: back to the last finished epoch, which checkpoints then hold."""
        if self._good:
            self.go_back()
        self.history.interrupted = True
        self.stop(f"interrupted in epoch {self.epoch + 1}; the model is as after epoch {self.epoch}", final=False)
        places = [place for c in self.callbacks if (place := getattr(c, "keep_up", lambda run: None)(self))]
        kept = f"; go on with resume={places[0]!r}" if places else ""
        print(f"haema: {self.stopped}{kept}", file=sys.stderr)

    # -- state ------------------------------------------------------------------

    def capture(self) -> dict[str, Any]:
        """A copy of all that decides how the training goes on."""
        return {
            "epoch": self.epoch,
            "begin": self.begin,
            "steps": self.steps,
            "stopped": self.stopped if self._final else None,
            "rows_of_history": len(self.history),
            "model": _state(self.model),
            "average": None if self.average is None else _state(self.average),
            "optimizer": self.optimizer.state_dict(),
            "generators": [g.get_state().numpy() for g in self._generators],
            "callbacks": {key: c.state_dict() for key, c in named_callbacks(self.callbacks).items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``capture`` gave."""
        length = self.epochs - self.begin
        self.epoch, self.begin, self.steps = int(state["epoch"]), int(state["begin"]), int(state["steps"])
        self.epochs = self.begin + length
        self.stopped = state["stopped"]
        if "history" in state:
            saved = History.from_json(state["history"])
            self.history.values = saved.values
        rows = int(state["rows_of_history"])
        self.history.values = {name: v[:rows] for name, v in self.history.values.items() if rows}
        self.logs = self.history.last()
        self.load_weights(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for generator, numbers in zip(self._generators, state["generators"], strict=True):
            generator.set_state(tensor(numbers, dtype=np.int64))
        for key, callback in named_callbacks(self.callbacks).items():
            if key in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][key])

    def go_back(self) -> None:
        """Return to the end of the last finished epoch."""
        self.restore(self._good)

    def saved(self) -> dict[str, Any]:
        """What a checkpoint holds: the present state, or once the training is over that after its last epoch."""
        return self._good if self._over and self._good else self.capture()

    def save(self, path: str) -> None:
        """Write a checkpoint; see `haema.train.checkpoint`."""
        from haema.train.checkpoint import write

        write(path, self)


class _Schedule:
    """The learning rates of the steps of one native call, which are known before any is taken."""

    def __init__(self, run: Run, callbacks: Sequence[Callback]) -> None:
        self._run, self._callbacks = run, callbacks
        self._kept: list[Any] = []
        self._options: list[dict[str, Any]] = []

    def step(self) -> None:
        """One step further."""
        for callback in self._callbacks:
            callback.on_batch_end(self._run)

    def keep(self) -> None:
        """Note the present state."""
        if self._callbacks:
            self._kept = [c.state_dict() for c in self._callbacks]
            self._options = [dict(group) for group in self._run.optimizer.param_groups]

    def go_back(self, steps: int) -> None:
        """To so many steps after the noted state."""
        if self._kept:
            for callback, state in zip(self._callbacks, self._kept, strict=True):
                callback.load_state_dict(state)
            for group, options in zip(self._run.optimizer.param_groups, self._options, strict=True):
                group.update(options)
            for _ in range(steps):
                self.step()


def _state(model: Any) -> dict[str, np.ndarray]:
    """A copy of a module's state."""
    return {name: np.array(x.detach().numpy()) for name, x in model.state_dict().items()}


def named_callbacks(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """The callbacks under the names of their classes, numbered where there are several of one."""
    named: dict[str, Callback] = {}
    for callback in callbacks:
        base = name = type(callback).__name__
        n = 1
        while name in named:
            n += 1
            name = f"{base} {n}"
        named[name] = callback
    return named


def _is(callback: Callback, kind: type[Callback]) -> bool:
    """Whether it does after a batch what callbacks of this kind do."""
    return getattr(callback.on_batch_end, "__func__", None) is kind.on_batch_end


def _listens(callback: Callback, moment: str) -> bool:
    """Whether a callback does something at a moment."""
    own = getattr(callback, moment)
    return getattr(own, "__func__", own) is not getattr(Callback, moment)


def _generators(model: Any, source: Source) -> list[Generator]:
    """All random generators that decide how the training goes, each once."""
    found = [random.default_generator]
    for holder in model.modules():
        for value in vars(holder).values():
            if isinstance(value, Generator) and all(value is not g for g in found):
                found.append(value)
    return found + [g for g in source.generators() if all(g is not f for f in found)]
