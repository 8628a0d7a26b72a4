"""What a person reads: the report of a training run, of an evaluation, and the confusion matrix."""

from __future__ import annotations

import math
import sys
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from haema.cli.scores import Scores

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from haema.cli.card import Card
    from haema.cli.training import Outcome

__all__ = ["evaluation", "number", "run_report", "show", "write_report"]

MOST_CLASSES = 20
"""Of more classes than this the most frequent mistakes are listed instead of a matrix."""

_NAMES = {"f1": "F1 (macro)", "log_loss": "log loss", "r2": "R2", "rmse": "RMSE", "mae": "MAE"}


def number(name: str, value: float) -> str:
    """A metric's value in words: a share as per cent, others with four digits that matter."""
    if math.isnan(value):
        return "undefined"
    return f"{100 * value:.2f} %" if name == "accuracy" else f"{value:.4g}"


def show(parts: list[Any], file: IO[str] | None = None, width: int | None = None) -> None:
    """Print the parts of a report, in colours if it goes to a terminal."""
    from rich.console import Console

    out = sys.stdout if file is None else file
    terminal = bool(getattr(out, "isatty", lambda: False)())
    console = Console(file=out, width=width or (None if terminal else 100), highlight=False, markup=False, emoji=False)
    lines: list[Any] = []
    for part in parts:
        lines.append(part)
    for line in lines:
        console.print(line, soft_wrap=isinstance(line, str))


def write_report(outcome: Outcome) -> None:
    """Write the report of a training run to its file, whole or not at all."""
    from haema.io import atomic_write

    with atomic_write(outcome.files.report, "w") as file:
        show(run_report(outcome, for_file=True), file, width=100)


def run_report(outcome: Outcome, for_file: bool = False) -> list[Any]:
    """The report of a training run.

    Args:
        outcome: The run.
        for_file: With everything that would be too much for the screen: options and the epochs' table.
    """
    card, plan, history, scores = outcome.card, outcome.plan, outcome.history, outcome.scores
    parameters = sum(p.numel() for p in outcome.model.parameters())
    rows = card.rows
    of = "the data's own test part" if outcome.parts.official else "held out"
    validated = f"{rows['validation']:,} to validate with, " if rows["validation"] or not plan.has_folds else ""
    parts: list[Any] = [
        "",
        f"{card.source}: {described(card)}",
        f"  rows       {rows['training']:,} to learn from, {validated}{rows['test']:,} to test with ({of})",
        f"  model      {plan.model}, {parameters:,} parameters{', recipe best' if plan.recipe == 'best' else ''}"
        f"{', products of bfloat16' if plan.precision == 'bf16' else ''}",
        f"  training   {len(history)} epochs of batches of {plan.batch_size}, {plan.optimizer}, learning rate up to "
        f"{plan.lr:g}, seed {outcome.options.seed}",
    ]
    parts += [f"  note       {note}" for note in _some(outcome.notes, 5 if not for_file else 1000)]
    if history.stopped:
        parts.append(f"  stopped    {history.stopped}")
    if scores.part != "test":
        parts.append(f"  note       too few rows to hold some out: the scores are those of the {scores.part} rows")
    parts += ["", *score_parts(scores, card)]
    verdict = history.diagnosis()
    restored = plan.has_folds or plan.patience is not None  # then what came after the best epoch does no harm
    if verdict.verdict != "unknown" and not (restored and verdict.verdict == "overfitting"):
        parts += [f"Learning curves: {verdict}", ""]
    if for_file:
        parts += [str(history), "", f"command    {outcome.options.words().removesuffix(' --resume')}", ""]
    parts += [
        f"  model      {outcome.files.model}",
        f"  curves     {outcome.files.picture}",
        f"  report     {outcome.files.report}",
    ]
    return parts


def _some(notes: tuple[str, ...], most: int) -> list[str]:
    more = [f"and {len(notes) - most} more in the report"] if len(notes) > most else []
    return [*notes[:most], *more]


def described(card: Card) -> str:
    """The kind, size and task of the data in a phrase."""
    kind = {"images": "images", "table": "a table", "arrays": "arrays"}[card.kind]
    if card.kind == "images":
        c, h, w = card.shape
        kind = f"images of {h} x {w} pixels{' in colour' if c == 3 else ''}"
    elif card.kind == "arrays":
        kind = f"arrays of {' x '.join(map(str, card.shape))} numbers"
    target = f", target {card.target}" if card.target else ""
    classes = f" in {len(card.classes)} classes" if card.classes else ""
    return f"{kind}{target}, {card.task}{classes}"


def evaluation(scores: Scores, card: Card) -> list[Any]:
    """The report of an evaluation."""
    return [f"{scores.rows:,} rows", "", *score_parts(scores, card)]


def score_parts(scores: Scores, card: Card) -> list[Any]:
    """The metrics beside the trivial predictor's, and the confusion matrix."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    usual = "always the mean"
    if card.task == "classification":
        usual = f"always {(card.classes or [])[int(card.trivial[0])]}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{scores.part} rows" if scores.part != "all" else "")
    table.add_column("this model", justify="right")
    table.add_column(Text(usual, overflow="ellipsis"), justify="right", max_width=30, no_wrap=True)
    for i, (name, value) in enumerate(scores.values.items()):
        style = "bold" if i == 0 else ""
        other = number(name, scores.trivial[name]) if name in scores.trivial else ""
        table.add_row(Text(_NAMES.get(name, name), style=style), Text(number(name, value), style=style), Text(other))
    parts: list[Any] = [table]
    if scores.confusion is not None and card.classes is not None:
        parts += _confusion(scores.confusion, card.classes)
    return parts


def _confusion(counts: np.ndarray, classes: list[str]) -> list[Any]:
    if len(classes) <= MOST_CLASSES and sum(max(len(_short(c)), 3) + 2 for c in classes) <= 84:
        return ["Confusion matrix (row: what it is, column: what was predicted)", _matrix(counts, classes)]
    mistakes = _mistakes(counts, classes)
    return ["The most frequent mistakes", mistakes] if mistakes is not None else ["No mistakes", ""]


def _matrix(counts: np.ndarray, classes: list[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("")
    for name in classes:
        table.add_column(_text(_short(name), "bold"), justify="right", no_wrap=True)
    table.add_column("right", justify="right")
    for i, name in enumerate(classes):
        total = int(counts[i].sum())
        cells = [_text(str(n) if n else ".", _style(n, i == j)) for j, n in enumerate(counts[i].tolist())]
        table.add_row(_text(_short(name), "bold"), *cells, f"{100 * counts[i, i] / total:.1f} %" if total else "")
    return table


def _style(n: int, hit: bool) -> str:
    return "dim" if not n else "green" if hit else "red"


def _mistakes(counts: np.ndarray, classes: list[str]) -> Table | None:
    from rich import box
    from rich.table import Table

    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = [int(k) for k in np.argsort(-wrong, axis=None, kind="stable")[:10] if wrong.flat[k]]
    if not order:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what it is")
    table.add_column("was predicted as")
    table.add_column("times", justify="right")
    table.add_column("of", justify="right")
    for k in order:
        i, j = divmod(k, len(classes))
        table.add_row(_text(classes[i]), _text(classes[j]), str(wrong[i, j]), str(int(counts[i].sum())))
    return table


def _short(name: str) -> str:
    return name if len(name) <= 12 else name[:11] + "."


def _text(value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(value, style=style)
