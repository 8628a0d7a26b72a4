"""The trainer: a model, a loss and an optimizer, and data of many kinds.

trainer = hm.Trainer(model, optimizer="adam", metrics=["accuracy"], seed=0)
history = trainer.fit(X, Y, epochs=20, validation=0.2, callbacks=[hm.EarlyStopping()])
trainer.evaluate(X_test, Y_test);  trainer.predict(X_new)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from haema import random
from haema.dtypes import PRECISIONS
from haema.errors import HaemaError, InputError, suggest
from haema.train.averaging import make_average
from haema.train.callbacks import Callback
from haema.train.checkpoint import Checkpoint, check_identity, model_fingerprint, read
from haema.train.engine import MANY, Engine, eager_by_wish, outputs_of
from haema.train.history import History
from haema.train.intake import Intake, share_of_most_frequent
from haema.train.objective import LOSSES, Objective, objective
from haema.train.optimizing import make_optimizer, optimizer_settings
from haema.train.predictions import Metric, link_of, make_metric, probabilities
from haema.train.progress import ProgressBar
from haema.train.run import Run, named_callbacks
from haema.train.sources import Source
from haema.train.step import Step, evaluate_source, evaluating
from haema.train.targets import Targets

__all__ = ["Trainer"]

TASKS = ("classification", "regression")


class Trainer:
    """Trains a model, and evaluates and predicts with it.

    What is not said is told from the data: class ids, texts and one-hot rows are a classification, with cross
    entropy (binary where the model has one output) and accuracy; fractional numbers are a regression, with the mean
    squared error, RMSE and R2.

    Args:
        model: The module to be learned. If one of its layers mixes samples (``nn.MixUp``, ``nn.CutMix``), the training
            loss is that of the mixed targets.
        loss: A name ("cross_entropy", "mse", ...), a loss of ``haema.nn``, or ``f(output, y)``; default: by the task.
        optimizer: A name ("adam", "sgd", ...), a class of ``haema.optim``, a function of the parameters, or an
            optimizer; default: "adam".
        metrics: Names ("accuracy", "f1_macro", "top5", ...) or functions of (truth, prediction); default: by the task.
        lr: Learning rate; default: the optimizer's own.
        seed: Start haema's random generator from this before the first epoch, so that the run can be repeated;
            default: go on with the generator as it is. It also decides which rows validate (0 by default).
        clip_norm: Scale gradients so that their norm together is at most this; default: no bound.
        clip_value: Bound each gradient to [-clip_value, clip_value]; default: no bound.
        class_weight: "balanced" (N / (C N_c) for class c), a dict from classes to weights, or one weight per class;
            default: all 1. It counts in the training loss and in the validation loss, not in metrics.
        average: Decay of an exponential moving average of the weights and of running statistics, such as 0.999, with
            which the model is validated, and which it has after ``fit``; or an ``AveragedModel`` of the model. A
            further ``fit`` goes on from the averages. Default: no average.
        task: "classification" or "regression", where the data would tell otherwise.
        compile: Whether steps run as one compiled program; what cannot be compiled runs eagerly after all, and
            ``fit`` says so. False: eagerly, operation by operation. Default: True, unless the environment has
            HAEMA_EAGER=1. The model's ``forward`` and the loss are then run by Python only once, to be recorded
            (see `haema.compile`).
        precision: "bf16": products in compiled steps are of bfloat16, summed in float32, which is faster on CPUs that
            know it (see `haema.compile`); what runs eagerly is in float32. Default: "float32".

    Attributes:
        history: The values of all epochs so far.
        classes: Names of the classes, or None.
        epochs: How many epochs the model was trained.

    Raises:
        InputError: an argument is unknown, out of its range or does not suit the others.
    """

    def __init__(
        self,
        model: Any,
        loss: Any = None,
        optimizer: Any = "adam",
        metrics: Sequence[Any] | None = None,
        *,
        lr: float | None = None,
        seed: int | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        class_weight: Any = None,
        average: Any = None,
        task: str | None = None,
        compile: bool | None = None,
        precision: str = "float32",
    ) -> None:
        from haema.nn import Module

        if not isinstance(model, Module):
            raise InputError(f"model is of type {type(model).__name__}; a module of haema.nn is right")
        for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if bound is not None and not bound > 0:
                raise InputError(f"{name} is {bound}; a positive number is right")
        if task is not None and task not in TASKS:
            raise InputError(f"task is {task!r}; {suggest(task, TASKS)}")
        if isinstance(metrics, str):
            metrics = [metrics]
        if isinstance(class_weight, str) and class_weight != "balanced":
            raise InputError(f"class_weight is {class_weight!r}; 'balanced', a dict or a list of weights is right")
        if not isinstance(precision, str) or precision not in PRECISIONS:
            raise InputError(f"precision is {precision!r}; {suggest(precision, PRECISIONS)}")
        if precision != "float32" and compile is not None and not compile:
            raise InputError(f"precision is {precision!r}, which only compiled steps have, and compile is {compile}")
        self.model = model
        self.optimizer = make_optimizer(optimizer, model, lr)
        self.seed, self.clip_norm, self.clip_value, self.class_weight = seed, clip_norm, clip_value, class_weight
        self.task = task
        self.average = make_average(average, model)
        self._decay = average if average is None or average is not self.average else "given"
        self.compile = not eager_by_wish() if compile is None else bool(compile)
        self.precision = precision
        self._made: Engine | None = None
        self.history = History()
        self.epochs = 0
        self.targets: Targets | None = None
        self._steps = 0
        self._loss = None if loss is None else objective(loss)
        self._metrics = None if metrics is None else list(metrics)
        self._settings = optimizer_settings(self.optimizer)
        self._class_vector: np.ndarray | None = None
        known = (model.meta or {}).get("targets")
        if known is not None:
            self.targets = Targets.from_json(known)

    # -- what the task decides ------------------------------------------------------------------

    @property
    def classes(self) -> list[Any] | None:
        """Names of the classes in the order of their ids; None where ids are their own names."""
        return None if self.targets is None else self.targets.classes

    @property
    def objective(self) -> Objective:
        """The loss."""
        if self._loss is None:
            targets = self._need_targets("the loss")
            last = self._intake().last
            name = "mse"
            if targets.task == "classification":
                name = {"LogSoftmax": "nll"}.get(last, "cross_entropy")
                if targets.form == "binary":
                    name = "bce" if last == "Sigmoid" else "bce_with_logits"
            self._loss = objective(name)
        return self._loss

    @property
    def metrics(self) -> list[Metric]:
        """What is measured besides the loss."""
        targets = self._need_targets("the metrics")
        default = ["accuracy"] if targets.task == "classification" else ["rmse", "r2"]
        if targets.form == "given" and targets.task == "regression":
            default = []  # what the output is compared with is only known to the loss
        return [make_metric(m, targets) for m in (default if self._metrics is None else self._metrics)]

    @property
    def link(self) -> str:
        """How outputs become probabilities: "softmax", "sigmoid", "exp" or "identity"."""
        targets = self._need_targets("the probabilities")
        kind = LOSSES.get(self.objective.name, self.objective.kind)
        link = kind.link
        if kind.truth == "given" and targets.form == "binary":
            link = "sigmoid"
        return link_of(self._intake().last, link)

    def _need_targets(self, what: str) -> Targets:
        if self.targets is None:
            raise HaemaError(f"{what} depend on the task, which is not known before fit or evaluate")
        return self.targets

    def _intake(self) -> Intake:
        return Intake(self.model, self._loss, self.targets, self.task, self._class_vector)

    @property
    def engine(self) -> Engine:
        """What carries out steps; it keeps its programs from one ``fit`` to the next."""
        given = (self.model, self.objective, self.optimizer, self.clip_norm, self.clip_value, self.average)
        made = self._made
        if (
            made is None
            or made.step.given != given
            or (made.reason == "") == self.compile
            or made.precision != self.precision
        ):
            made = self._made = Engine(Step(*given), self.compile, self.precision)
        return made

    # -- training ------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        Y: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        *,
        sample_weight: Any = None,
        shuffle: bool = True,
        progress: bool | None = None,
        resume: str | os.PathLike[str] | bool | None = None,
    ) -> History:
        """Train the model; called again it goes on where it was.

        An epoch visits every row once, in batches; an iteration is one batch and one update. ``batch_size`` 1 is
        stochastic gradient descent, N batch gradient descent.

        Args:
            X: N rows: an array, tensor or table; a tuple of them for a model with several inputs; a ``data.Data``,
                Dataset or DataLoader (then without Y, and with batches from the loader).
            Y: Class ids, texts, one-hot rows or numbers, N of them.
            epochs: How often to visit all rows; default 10. When resuming, of the whole run.
            batch_size: Rows per update; default 32.
            validation: The share of rows to validate with (every class in proportion), a pair (X, Y), or a Dataset
                or DataLoader; default: none.
            callbacks: Called around epochs and batches.
            sample_weight: One weight >= 0 per row; default 1.
            shuffle: Visit the rows in a new random order in each epoch; default True.
            progress: None (default): a bar if standard error is a terminal; True: or else a line per epoch; False:
                nothing.
            resume: A checkpoint to go on from; True: that of the Checkpoint callback, if it is there already.

        Returns:
            The history of all epochs. After Ctrl-C it is flagged ``interrupted``.

        Raises:
            InputError: data or an argument makes no sense, or the checkpoint belongs to another run.
            NonFiniteLoss: the loss became nan or infinite.
        """
        _check_counts(epochs, batch_size)
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise InputError(f"callbacks holds a {type(callback).__name__}; instances of hm.Callback are right")
        intake = self._intake()
        source, valid = intake.training(X, Y, validation, sample_weight, self.class_weight, self.seed or 0)
        self.targets, self._class_vector = intake.targets, intake.class_vector
        hyperparameters = self._hyperparameters(epochs, batch_size, validation, valid, shuffle, callbacks)
        run = self._run(source, valid, epochs, batch_size, shuffle, callbacks, progress, hyperparameters)
        saved = self._saved(resume, callbacks, run)
        if saved is None and self.seed is not None and self.epochs == 0:
            random.manual_seed(self.seed)
        self.history.chance = share_of_most_frequent(source, run.targets)
        self.history.hyperparameters, self.history.metrics = hyperparameters, [m.name for m in run.metrics]
        self.model.meta = {**(self.model.meta or {}), **self._notes(run.targets, hyperparameters)}
        try:
            return run.train(saved)
        finally:
            self.epochs, self._steps = run.epoch, run.steps

    def _run(
        self,
        source: Source,
        valid: Source | None,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        callbacks: Sequence[Callback],
        progress: bool | None,
        hyperparameters: dict[str, Any],
    ) -> Run:
        listed = list(callbacks)
        if progress is not False and not any(isinstance(c, ProgressBar) for c in listed):
            listed.append(ProgressBar(lines=bool(progress)))
        needs_data = any(isinstance(c, Checkpoint) for c in listed)
        self.engine.told = any(isinstance(c, ProgressBar) for c in listed)
        return Run(
            self.engine,
            source,
            valid,
            self.metrics,
            self._need_targets("training"),
            self.link,
            self.history,
            listed,
            done=self.epochs,
            steps=self._steps,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            merge_single=_normalises_batches(self.model),
            identity={
                "layers": model_fingerprint(self.model),
                "data": source.fingerprint() if needs_data else "",
                "validation data": valid.fingerprint() if needs_data and valid is not None else "",
                **{k: v for k, v in hyperparameters.items() if k != "epochs"},  # a run may be made longer
            },
        )

    def _saved(self, resume: Any, callbacks: Sequence[Callback], run: Run) -> dict[str, Any] | None:
        """The checkpoint to go on from."""
        if resume is None or resume is False:
            return None
        if resume is True:
            paths = [c.path for c in callbacks if isinstance(c, Checkpoint) and c.keep == "last"]
            if not paths:
                raise InputError("resume is True, and no Checkpoint callback says where; give the path of a checkpoint")
            if not os.path.exists(paths[0]):
                return None
            resume = paths[0]
        path = os.fspath(resume)
        saved = read(path)
        if not run.identity["data"]:
            run.identity["data"] = run.source.fingerprint()
            run.identity["validation data"] = "" if run.valid is None else run.valid.fingerprint()
        check_identity(path, saved["identity"], run.identity)
        return saved

    def _hyperparameters(
        self,
        epochs: int,
        batch_size: int,
        validation: Any,
        valid: Source | None,
        shuffle: bool,
        callbacks: Sequence[Callback],
    ) -> dict[str, Any]:
        """All choices that make a run, as plain data; parameters, which it learns, are not among them."""
        weight = self.class_weight
        if weight is not None and not isinstance(weight, str):
            pairs = weight.items() if isinstance(weight, Mapping) else enumerate(weight)
            weight = {str(k): float(v) for k, v in pairs}
        share = float(validation) if isinstance(validation, (int, float, np.number)) else None
        return {
            "model": type(self.model).__name__,
            "loss": self.objective.name,
            "optimizer": self._settings,
            "metrics": [m.name for m in self.metrics],
            "epochs": epochs,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "validation": share if share is not None or valid is None else "given",
            "seed": self.seed,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "class_weight": weight,
            "average": self._decay,
            "precision": self.precision,
            "callbacks": {k: c.settings() for k, c in named_callbacks(callbacks).items() if c.steers},
        }

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The choices that made the last run, in one place; saved with the model and in every checkpoint."""
        return self.history.hyperparameters

    def _notes(self, targets: Targets, hyperparameters: dict[str, Any]) -> dict[str, Any]:
        return {
            "task": targets.task,
            "classes": targets.classes,
            "targets": targets.to_json(),
            "hyperparameters": hyperparameters,
        }

    # -- using ------------------------------------------------------------------

    def evaluate(self, X: Any, Y: Any = None, batch_size: int = 256, *, sample_weight: Any = None) -> dict[str, float]:
        """The mean loss and the metrics, by name.

        Args:
            X, Y: As for ``fit``.
            batch_size: Rows at once; default 256.
            sample_weight: One weight >= 0 per row, for the loss; default 1.

        Raises:
            InputError: data or an argument makes no sense.
        """
        _check_counts(1, batch_size)
        intake = self._intake()
        source = intake.source(X, Y, sample_weight)
        self.targets = intake.targets
        targets = self._need_targets("evaluation")
        self.engine.look()
        return evaluate_source(self.engine, self.metrics, source, batch_size, targets, self.link, MANY)

    def outputs(self, X: Any, batch_size: int = 256) -> np.ndarray:
        """The model's outputs in evaluation mode, (N, ...).

        Args:
            X: Rows as for ``fit``; of a Dataset or loader that gives pairs the first part.
            batch_size: Rows at once; default 256.

        Raises:
            InputError: data or an argument makes no sense.
        """
        _check_counts(1, batch_size)
        known = self.targets is not None or self._loss is not None
        with evaluating(self.model):
            parts = outputs_of(self.engine if known else None, self.model, self._intake().inputs(X, batch_size))
        if not parts:
            raise InputError("X gave no batches; there is nothing to predict")
        return np.concatenate(parts)

    def predict(self, X: Any, batch_size: int = 256) -> np.ndarray:
        """The most probable class of each row, as a label of ``classes`` or else an id; in a regression the numbers.

        Args, Raises: as for ``outputs``.
        """
        outputs = self.outputs(X, batch_size)
        if self.targets is None and (self._loss is None or self._loss.kind.truth != "ids"):
            return outputs
        if self.targets is not None and self.targets.task == "regression":
            linked = self._loss is not None and self._loss.name == "bce_with_logits"
            return 1 / (1 + np.exp(-outputs)) if linked else outputs
        targets, link = self._assumed(outputs)
        return targets.labels(probabilities(outputs, targets, link).argmax(axis=1))

    def predict_proba(self, X: Any, batch_size: int = 256) -> np.ndarray:
        """The probability of each class, (N, C), in the order of ``classes``.

        Args: as for ``outputs``.

        Raises:
            InputError: the task is a regression, or data or an argument makes no sense.
        """
        outputs = self.outputs(X, batch_size)
        targets, link = self._assumed(outputs)
        if targets.task == "regression":
            raise InputError("predict_proba is for classification, and this is a regression; predict gives its numbers")
        return probabilities(outputs, targets, link)

    def _assumed(self, outputs: np.ndarray) -> tuple[Targets, str]:
        """What the outputs stand for, where nothing was learned yet too."""
        if self.targets is not None:
            return self.targets, self.link
        tail = outputs.shape[1:]
        form = "binary" if int(np.prod(tail)) == 1 else "ids"
        link = link_of(self._intake().last, "sigmoid" if form == "binary" else "softmax")
        return Targets("classification", form, tail), link


def _check_counts(epochs: int, batch_size: int) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{name} is {value!r}; a whole number from 1 upwards is right")


def _normalises_batches(model: Any) -> bool:
    return any(type(m).__name__.startswith("BatchNorm") for m in model.modules())
