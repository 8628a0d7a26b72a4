"""A table and its target in, a trainer that predicts out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from haema import random
from haema.errors import InputError
from haema.train.callbacks import Callback
from haema.train.tables.plan import table_plan
from haema.train.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["learn_table"]


def learn_table(
    frame: pd.DataFrame,
    y: Any,
    *,
    task: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    resume: str | os.PathLike[str] | bool | None = None,
) -> Trainer:
    """Learn to predict a target from a table's columns, whatever they hold, by the default plan.

        trainer = hm.train.learn_table(frame.drop(columns="price"), frame["price"])
        trainer.predict(new_rows)
        hm.save(trainer.model, "prices.haema")

    Args:
        frame: N rows of numbers, texts, dates, booleans, holes.
        y: The target, (N,): labels or numbers.
        task: "classification" or "regression"; default: told by the target.
        seed: Of folds, weights and the order of rows; default 0.
        epochs: Times that all rows are seen; default: the plan's.
        callbacks, progress, resume: As for ``Trainer.fit``.

    Returns:
        A trainer whose model takes tables; ``trainer.history`` tells how the training went.

    Raises:
        InputError: the table or the target makes no sense.
    """
    from dataclasses import replace

    from haema.data import load

    data = load((frame, y), task=task)  # type: ignore[arg-type]
    if data.kind != "table":
        raise InputError(f"learn_table: the rows are {data.kind}, where a pandas DataFrame is right")
    random.manual_seed(seed)
    plan = table_plan(data)
    if epochs is not None:
        plan = replace(plan, epochs=epochs)
    model = plan.build()
    learner = plan.learner(model)
    optimizer = plan.make_optimizer(learner)
    trainer = Trainer(learner, loss=plan.loss, optimizer=optimizer, metrics=(), seed=seed, task=data.task)
    trainer.fit(
        plan.training_part(data, model),
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        callbacks=[*plan.callbacks(), plan.schedule(len(data)), *callbacks],
        progress=progress,
        resume=resume,
    )
    model.meta = trainer.model.meta
    model.eval()
    using = Trainer(model, seed=seed, task=data.task)
    using.history = trainer.history
    return using
