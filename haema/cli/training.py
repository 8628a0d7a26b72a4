"""haema train: load, divide, train, measure, save."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from haema.cli.card import Card
from haema.cli.files import RunFiles
from haema.cli.guard import Interrupted, say, writing
from haema.cli.picture import Draughtsman
from haema.cli.scores import Scores, fingerprint, outputs_of, prepared, scored, trivial_of
from haema.data import Data
from haema.dtypes import PRECISIONS
from haema.errors import HaemaError, InputError, suggest

__all__ = ["Outcome", "TrainOptions", "train"]

TEST_SHARE = 0.2
"""Share of the rows held out for the final test, where the data has no official test part."""

CHECKPOINT = 0.5
"""Seconds between two checkpoints, at most which is lost when the process is killed."""

VALIDATION_SHARE = 0.1
"""Share of the rows to watch the training with."""

MOST_TESTS, MOST_VALIDATION = 5000, 2500
"""Rows that are enough for either."""


@dataclass(frozen=True)
class TrainOptions:
    """The words of the command; None where the plan decides."""

    data: str
    target: str | None = None
    task: str | None = None
    model: str | None = None
    recipe: str | None = None
    epochs: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    seed: int = 0
    validation: float | None = None
    out: str | None = None
    resume: bool = False
    time_limit: float | None = None
    json: bool = False
    eager: bool = False
    stream: bool | None = None
    skip_broken: bool = False
    precision: str | None = None

    def check(self) -> None:
        """Refuse numbers that make no sense, before any work is done.

        Raises:
            InputError: one is out of its range.
        """
        from haema.train.engine import eager_by_wish
        from haema.train.plans import MODELS, RECIPES

        if self.model is not None and self.model not in MODELS:
            raise InputError(f"--model is {self.model!r}, which is unknown; {suggest(self.model, MODELS)}")
        if self.recipe is not None and self.recipe not in RECIPES:
            raise InputError(f"--recipe is {self.recipe!r}, which is unknown; {suggest(self.recipe, RECIPES)}")
        if self.precision is not None and self.precision not in PRECISIONS:
            raise InputError(
                f"--precision is {self.precision!r}, which is unknown; {suggest(self.precision, PRECISIONS)}"
            )
        if (self.eager or eager_by_wish()) and self.precision == "bf16":
            wish = "--eager" if self.eager else "HAEMA_EAGER=1"
            raise InputError(f"--precision bf16 is for compiled steps, and {wish} is for none; leave one of them out")
        if self.task not in (None, "classification", "regression"):
            raise InputError(f"--task is {self.task!r}, where 'classification' or 'regression' is right")
        for name, value in (("--epochs", self.epochs), ("--batch-size", self.batch_size)):
            if value is not None and not 1 <= value < 1 << 31:
                raise InputError(f"{name} is {value}, where a whole number from 1 upwards is right")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise InputError(f"--lr is {self.lr}, where a positive number such as 0.001 is right")
        if not 0 <= self.seed < 1 << 63:
            raise InputError(f"--seed is {self.seed}, where a whole number from 0 to 2**63 - 1 is right")
        if self.validation is not None and not 0 <= self.validation <= 0.7:
            raise InputError(f"--validation is {self.validation}, where a share of the rows from 0 to 0.7 is right")
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise InputError(f"--time-limit is {self.time_limit}, where a positive number of seconds is right")

    def words(self) -> str:
        """The command that goes on with this run."""
        words = ["haema", "train", self.data]
        named = (
            "target", "task", "model", "recipe", "epochs", "lr", "batch_size", "validation", "out", "time_limit",
            "precision",
        )  # fmt: skip
        for name in named:
            value = getattr(self, name)
            if value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
        words += ["--seed", str(self.seed)] if self.seed else []
        words += ["--json"] if self.json else []
        words += ["--eager"] if self.eager else []
        words += [] if self.stream is None else ["--stream" if self.stream else "--no-stream"]
        words += ["--skip-broken"] if self.skip_broken else []
        return shlex.join([*words, "--resume"])

    def share(self, folds: bool, rows: int) -> float:
        """The share of the rows to validate with; networks for tables do so on folds of the training rows."""
        if self.validation is not None:
            return self.validation
        return 0.0 if folds else min(VALIDATION_SHARE, MOST_VALIDATION / rows)

    def binding(self, plan: Any) -> dict[str, Any]:
        """What a run that is gone on with must have been started with."""
        return {
            "target": self.target,
            "task": self.task,
            "model": plan.model,
            "recipe": plan.recipe,
            "epochs": plan.epochs,
            "lr": plan.lr,
            "batch-size": plan.batch_size,
            "validation": self.share(plan.model == "table", 1),
            "seed": self.seed,
            "time-limit": self.time_limit,
            "precision": plan.precision,
        }


@dataclass(frozen=True)
class Parts:
    """The rows divided; ``test`` is None where there are too few rows to hold some out."""

    train: Data
    validation: Data | None
    test: Data | None
    official: bool


@dataclass(frozen=True)
class Outcome:
    """What a run came to, for the report."""

    options: TrainOptions
    files: RunFiles
    card: Card
    plan: Any
    parts: Parts
    history: Any
    scores: Scores
    model: Any
    notes: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The last line of ``--json``."""
        metric = self.card.metric
        return {
            "command": "train",
            "task": self.card.task,
            "metric": metric,
            "value": self.scores.values[metric],
            "rows": self.scores.rows,
            "seconds": round(self.seconds, 3),
            "part": self.scores.part,
            "metrics": self.scores.values,
            "trivial": self.scores.trivial,
            "rows_by_part": self.card.rows,
            "epochs": len(self.history),
            "best_epoch": self.history.best_epoch(),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "seed": self.options.seed,
            "classes": self.card.classes,
            "stopped": self.history.stopped,
            "model": self.files.model,
            "picture": self.files.picture,
            "report": self.files.report,
        }


def train(options: TrainOptions) -> Outcome:
    """Train as the options say, and write model, picture and report.

    Raises:
        InputError: the data or an option makes no sense, or a file cannot be written.
        Interrupted: Ctrl-C; the last checkpoint is there.
    """
    start = time.perf_counter()
    options.check()
    files = RunFiles.of(options.out, options.data)
    if options.resume and not os.path.exists(files.checkpoint):
        if os.path.exists(files.model):
            raise InputError(
                f"there is no checkpoint {files.checkpoint}; the run that wrote {files.model} is finished; "
                "leave out --resume to begin anew"
            )
        say(f"there is no checkpoint {files.checkpoint} yet, so the run begins at its beginning")
        options = replace(options, resume=False)
    data = _load(options)
    parts = divide(data, options)
    bond = _bond_of(files) if options.resume else {}
    if options.precision is None and bond.get("precision") is not None:  # by default it depends on the CPU
        options = replace(options, precision=bond["precision"])
        options.check()
    with contextlib.closing(Draughtsman()) as draughtsman:
        model, plan, history = _learn(options, files, parts, bond)
        outcome = _outcome(options, files, data, parts, model, plan, history, start)
        _write(outcome, draughtsman)
    return replace(outcome, seconds=time.perf_counter() - start)


def _outcome(
    options: TrainOptions, files: RunFiles, data: Data, parts: Any, model: Any, plan: Any, history: Any, start: float
) -> Outcome:
    """What came out, measured on the rows kept for it."""
    metric = plan.metrics[0]
    card = Card(
        kind=data.kind,
        task=str(data.task),
        shape=() if data.kind == "table" else tuple(int(n) for n in data.x.shape[1:]),
        classes=data.classes,
        target=data.target,
        metric=metric,
        trivial=trivial_of(parts.train),
        seed=options.seed,
        shares=_shares(data, options),
        rows={"training": len(parts.train), "validation": _len(parts.validation), "test": _len(parts.test)},
        source=os.path.basename(os.path.normpath(options.data)) or options.data,
        fingerprint=fingerprint(data),
    )
    scores = _measure(model, parts, card, files.model)
    card = replace(card, scores={k: v for k, v in scores.values.items() if math.isfinite(v)})
    seconds = time.perf_counter() - start
    of_test = [] if data.test is None else [f"of the test part, {note}" for note in data.test.notes]
    notes = (*data.notes, *of_test, *_notes_of_table(model))
    return Outcome(options, files, card, plan, parts, history, scores, model, notes, seconds)


def _len(part: Data | None) -> int:
    return 0 if part is None else len(part)


# -- data ------------------------------------------------------------------


def _load(options: TrainOptions) -> Data:
    from haema.data import load

    data = load(
        options.data,
        options.target,
        task=options.task,  # type: ignore[arg-type]
        stream=options.stream,
        skip_broken=options.skip_broken,
    )
    if data.kind == "table" and options.target is None:
        columns = [str(c) for c in data.x.columns]
        shown = ", ".join(columns[:8]) + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")
        raise InputError(
            f"{options.data} is a table, and --target does not say which column is to be predicted; it has {shown}"
        )
    if data.y is None or data.task is None:
        raise InputError(f"{options.data} has no labels to learn; they are needed for training")
    if data.task == "classification" and len(np.unique(data.y)) < 2:
        raise InputError(f"{options.data} has rows of one class only, where two or more classes are needed")
    if data.x.ndim == 1:
        test = None if data.test is None else replace(data.test, x=data.test.x[:, None])
        data = replace(data, x=data.x[:, None], test=test)
    if data.test is not None and data.test.y is None:
        data = replace(data, test=None)
    if len(data) < 2:
        raise InputError(f"{options.data} has {len(data)} row, where two or more are needed to learn from")
    return data


def divide(data: Data, options: TrainOptions) -> Parts:
    """The rows as a training, a validation and a test part, every class in proportion.

    Raises:
        InputError: nothing is left to learn from.
    """
    assert data.y is not None
    official = data.test is not None
    rows = split_rows(data.y, _shares(data, options), options.seed)
    train, validation, test = (data.take(r) for r in rows)
    return Parts(
        train,
        validation if len(validation) else None,
        data.test if official else test if len(test) else None,
        official,
    )


def _shares(data: Data, options: TrainOptions) -> list[float]:
    """The shares of the rows to learn from, to validate with and to test with.

    Of many rows a smaller share tells as much, and the others are better learned from.
    """
    validation = options.share(data.kind == "table" and options.model in (None, "table"), len(data))
    tests = 0.0 if data.test is not None else min(TEST_SHARE, MOST_TESTS / len(data))
    return [round(1 - validation - tests, 9), round(validation, 9), round(tests, 9)]


def split_rows(y: np.ndarray, shares: list[float], seed: int) -> list[np.ndarray]:
    """Row numbers for each share; those of share 0 are empty."""
    from haema.data import split

    kept = [s for s in shares if s > 0]
    found = iter(split(y, kept, seed=seed))
    return [next(found) if s > 0 else np.zeros(0, np.int64) for s in shares]


# -- learning ------------------------------------------------------------------


def _learn(options: TrainOptions, files: RunFiles, parts: Parts, bond: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The trained model, its plan and its history; what is gone on with was started as ``bond`` says."""
    import haema as hm
    from haema.train import Checkpoint, EarlyStopping, NonFiniteLoss, ProgressBar, TimeLimit, Trainer
    from haema.train.engine import eager_by_wish
    from haema.train.plans import plan_for

    hm.manual_seed(options.seed)
    precision = "float32" if options.eager or eager_by_wish() else options.precision
    plan = plan_for(
        parts.train, options.model, options.epochs, options.lr, options.batch_size, options.recipe, precision
    )
    model = plan.build()
    learner = plan.learner(model)
    train_part = plan.training_part(parts.train, model)
    validation = None if parts.validation is None else plan.validation_part(parts.validation, model)
    if parts.test is not None:
        prepared(parts.test, model)  # so that what is wrong with it is said before the training, not after
    if options.resume:
        _check_resumable(options, files, plan, bond)

    callbacks: list[Any] = [*plan.callbacks(), plan.schedule(len(parts.train)), _bond(options.binding(plan))]
    callbacks.append(Checkpoint(files.checkpoint, seconds=CHECKPOINT))
    patience = plan.patience or (plan.epochs if options.time_limit is not None else None)
    if patience is not None and validation is not None and not plan.has_folds:
        callbacks.append(EarlyStopping(patience=patience))
    if options.time_limit is not None:
        callbacks.append(TimeLimit(options.time_limit))
    callbacks.append(ProgressBar(lines=True, file=sys.stderr))
    files.clean()
    first = _first_checkpoint(files.checkpoint)
    if not options.resume:
        if os.path.exists(files.checkpoint):
            say(f"{files.checkpoint} of an unfinished run is replaced; --resume would have gone on with it")
        callbacks.append(first)
    trainer = Trainer(
        learner,
        plan.loss,
        plan.make_optimizer(learner),
        plan.training_metrics(),
        seed=options.seed,
        task=parts.train.task,
        average=plan.average,
        compile=False if options.eager else None,
        precision=plan.precision,
    )
    try:
        with _stoppable(), writing(files.checkpoint):
            history = trainer.fit(
                train_part,
                epochs=plan.epochs,
                batch_size=plan.batch_size,
                validation=validation,
                callbacks=callbacks,
                resume=files.checkpoint if options.resume else None,
            )
    except NonFiniteLoss as error:
        with contextlib.suppress(OSError):
            os.unlink(files.checkpoint)
        epoch = str(error).partition(";")[0]
        raise InputError(f"{epoch}; a lower --lr than {plan.lr:g} is right, nothing was written") from None
    except (_Stop, KeyboardInterrupt):
        raise Interrupted(_left(options, files)) from None
    except HaemaError:
        if first.written and not trainer.epochs:  # there is nothing to go on with
            with contextlib.suppress(OSError):
                os.unlink(files.checkpoint)
        raise
    model.meta = learner.meta
    plan.finish(model)
    return model, plan, history


class _Stop(BaseException):
    """Ctrl-C while training: the checkpoint after the last epoch is what is kept."""


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C raise `_Stop`, which passes through the trainer, as Ctrl-C itself would not."""

    def stop(number: int, frame: Any) -> None:
        raise _Stop

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _left(options: TrainOptions, files: RunFiles) -> str:
    """What to say after Ctrl-C."""
    if not os.path.exists(files.checkpoint):
        return "interrupted before the first checkpoint; nothing was written"
    return f"interrupted; {files.checkpoint} holds the state after the last whole epoch; go on with: {options.words()}"


def _bond_of(files: RunFiles) -> dict[str, Any]:
    """What the run that left the checkpoint was started with.

    Raises:
        InputError: the file is no checkpoint of such a run.
    """
    from haema import io

    saved = io.load_checkpoint(files.checkpoint)
    try:
        bond = dict(saved["identity"]["callbacks"]["CommandLine"])
        for key in ("epoch", "begin", "steps", "model", "optimizer", "generators", "callbacks", "history"):
            saved[key]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{files.checkpoint} is no checkpoint of `haema train`; leave out --resume") from None
    if bond.get("precision") not in (None, *PRECISIONS):
        raise InputError(f"{files.checkpoint} is no checkpoint of `haema train`; leave out --resume")
    return bond


def _check_resumable(options: TrainOptions, files: RunFiles, plan: Any, bond: dict[str, Any]) -> None:
    """Refuse to go on with other options than the run was started with.

    Raises:
        InputError: one differs.
    """
    for name, value in options.binding(plan).items():
        if bond.get(name) != value:
            was = "left out" if bond.get(name) is None else bond.get(name)
            now = "left out" if value is None else value
            raise InputError(
                f"{files.checkpoint} belongs to a run with --{name} {was}, and now it is {now}; "
                "go on with the same options, or leave out --resume to begin anew"
            )


def _first_checkpoint(path: str) -> Any:
    """A callback that writes the state before the first epoch, so that a run killed at once can be gone on with."""
    from haema.train import Callback

    class FirstCheckpoint(Callback):
        order = 101
        written = False

        def on_fit_begin(self, run: Any) -> None:
            run.save(path)
            self.written = True

    return FirstCheckpoint()


def _bond(options: dict[str, Any]) -> Any:
    """A callback that does nothing but bind the run's checkpoints to the command's options."""
    from haema.train import Callback

    class CommandLine(Callback):
        steers = True

        def settings(self) -> dict[str, Any]:
            return options

    return CommandLine()


# -- afterwards ------------------------------------------------------------------


def _measure(model: Any, parts: Parts, card: Card, path: str) -> Scores:
    """The scores on the test part; where there is none, on the validation or the training part."""
    for name, part in (("test", parts.test), ("validation", parts.validation), ("training", parts.train)):
        if part is not None:
            data = prepared(card.fit(part), model)
            return scored(outputs_of(model, data, path), data, card, path, name)
    raise AssertionError("there is a training part")


def _notes_of_table(model: Any) -> list[str]:
    from haema.train.sources import first_stage

    schema = getattr(first_stage(model), "schema", None)
    return [] if schema is None else list(schema.notes)


def _write(outcome: Outcome, draughtsman: Draughtsman) -> None:
    """The model, the picture, the report; then the checkpoint is of no more use."""
    import haema as hm
    from haema.cli.report import write_report

    files, model, history = outcome.files, outcome.model, outcome.history
    values = {k: v for k, v in history.values.items() if k != "seconds"}  # so that equal runs make equal files
    notes = {k: v for k, v in (model.meta or {}).items() if k == "targets"}
    if "targets" in notes:
        notes["targets"] = {**notes["targets"], "classes": outcome.card.classes}
    model.meta = {
        **notes,
        "task": outcome.card.task,
        "classes": outcome.card.classes,
        "card": outcome.card.to_notes(),
        "hyperparameters": {**outcome.plan.hyperparameters(), "seed": outcome.options.seed},
        "history": {"values": values, "best_epoch": history.best_epoch(), "monitor": history.monitor},
        "haema": hm.__version__,
    }
    model.eval()
    with writing(files.model):
        hm.save(model, files.model)
    with writing(files.picture):
        draughtsman.draw(history, files.picture, f"{outcome.card.source}: {outcome.plan.model}")
    with writing(files.report):
        write_report(outcome)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(files.checkpoint)
