"""How steps are carried out: as one compiled program, or eagerly where there can be none.

A step is recorded the first time it is needed, and its program kept, so that the next epoch, and the next fit, only
run it. Python itself is not run again then, so all that Python decides by is watched:

    form      the plain attributes of the modules and the loss, which parameters learn: other values, another program
    refused   hooks, changes of attributes in ``forward``, random numbers of Python or NumPy: such a step runs eagerly

A step that cannot be compiled for whatever reason runs eagerly, with the same results up to rounding, and one sentence
on standard error says why.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.errors import HaemaError
from haema.tensor import Tensor
from haema.train.sources import Rows

if TYPE_CHECKING:
    from haema.train.step import Step

__all__ = ["Engine", "MANY", "Part", "eager_by_wish", "outputs_of"]

MANY = 8
"""Batches of one size from which on measuring and predicting are compiled, where they do not belong to a training."""
SLICE = 0.25
"""Seconds of steps between two looks at the losses, and at the progress bar."""


class _Refused(HaemaError):
    """The step does what a program would not do again."""


class _Once(Exception):
    """The optimizer makes its state in this step; the next one can be compiled."""


def eager_by_wish() -> bool:
    """Whether the environment says that nothing is to be compiled: HAEMA_EAGER=1."""
    return os.environ.get("HAEMA_EAGER", "0") not in ("", "0")


@dataclass(frozen=True)
class Part:
    """Some steps that were done.

    Fields:
        losses: One for each step.
        outputs: The model's, (steps, batch, ...).
        truth: What metrics compare with, (steps, batch, ...).
        w: Weights, (steps, batch), or None.
        native: Whether they were done in one call, in which the learning rate went along its schedule.
    """

    losses: list[float]
    outputs: np.ndarray
    truth: np.ndarray
    w: np.ndarray | None
    native: bool = False


class Engine:
    """Carries out the steps of a trainer, and measures its model.

    Args:
        step: One step.
        compiled: Whether to compile it.
        precision: Of the products in its programs, as for `haema.compile`.

    Attributes:
        reason: Why steps run eagerly: None if they do not, "" if that is wanted.
        told: Whether a fallback is told on standard error.
    """

    def __init__(self, step: Step, compiled: bool = True, precision: str = "float32") -> None:
        self.step, self.precision = step, precision
        self.reason: str | None = None if compiled else ""
        self.told = True
        self.programs: dict[str, Any] = {}
        self._forms: dict[Any, tuple[int, list[Any]]] = {}
        self._form = 0
        self._pace = 0.0
        self._recorded = False
        self._untold = ""

    @property
    def compiled(self) -> bool:
        """Whether steps run compiled."""
        return self.reason is None

    # -- steps ------------------------------------------------------------------

    def ready(self) -> None:
        """To be called before steps: gives the optimizer its state, and notes how the model is."""
        if self.compiled:
            self.step.optimizer.init_state()
            self.look()

    def look(self) -> None:
        """Note the attributes that decide what the step does; to be called after code that may have changed them."""
        if self.compiled:
            held: list[Any] = []
            key = _form(self._owners(), held)
            self._form = self._forms.setdefault(key, (len(self._forms), held))[0]

    def batch(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None, truth: np.ndarray, gradients: bool) -> Part:
        """Train on a batch.

        Args:
            gradients: Whether they are to be in ``grad`` afterwards.
        """
        if self.compiled:
            self.step.optimizer.zero_grad()
            name = "step and gradients" if gradients else "step"
            found = self._attempt(name, lambda program: program(x, y, w, self._form))
            if found is not None:
                loss, output = found[:2]
                for p, g in zip(self.step.model.parameters(), found[2] if gradients else (), strict=False):
                    p.grad = g
                return _part(loss, output, truth, w)
        return self.eagerly(x, y, w, truth)

    def eagerly(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None, truth: np.ndarray) -> Part:
        """Train on a batch without a program."""
        loss, output = self.step(x, y, w)
        self._tell()
        return _part(loss, output, truth, w)

    def steps(self, source: Rows, rows: np.ndarray, scheduler: Any) -> Part | None:
        """Train on as many of some batches as can be done in a moment.

        Args:
            source: The data.
            rows: Row numbers, (steps, batch).
            scheduler: Steps the learning rate after each, or None.

        Returns:
            What was done; None where the next batch can only be done eagerly.
        """
        if not self.compiled:
            return None
        self.step.optimizer.zero_grad()
        rows = rows[: max(1, int(SLICE / self._pace)) if self._pace else 4]
        start = time.perf_counter()
        found = self._attempt(
            "step",
            lambda program: program.loop(source.x, source.y, source.w, self._form, rows, scheduler=scheduler),
        )
        if found is None:
            return None
        self._pace = max((time.perf_counter() - start) / len(rows), 1e-6)
        losses, outputs = found
        w = None if source.w is None else source.w.numpy()[rows]
        return Part(losses.numpy().reshape(-1).tolist(), outputs.numpy(), source.truth[rows], w, native=True)

    # -- measuring ------------------------------------------------------------------

    def measure(
        self,
        x: tuple[Tensor, ...],
        y: Tensor,
        w: Tensor | None,
        truth: np.ndarray,
        compiled: bool = True,
        averaged: bool = False,
    ) -> Part:
        """Loss and outputs of a batch, of a model in evaluation mode, or of its average over the training."""
        if self.compiled and compiled:
            found = self._attempt("measure", lambda program: program(x, y, w, self._form, averaged))
            if found is not None:
                return _part(found[0], found[1], truth, w)
        output = self.step.measured(averaged)(*x)
        part = _part(self.step.objective(output, y, w), output, truth, w)
        self._tell()
        return part

    def measure_rows(self, source: Rows, rows: np.ndarray, averaged: bool = False) -> Part | None:
        """Loss and outputs of the batches ``rows``, (steps, batch); None where that can only be done eagerly."""
        if not self.compiled:
            return None
        found = self._attempt(
            "measure", lambda program: program.loop(source.x, source.y, source.w, self._form, averaged, rows)
        )
        if found is None:
            return None
        w = None if source.w is None else source.w.numpy()[rows]
        return Part(found[0].numpy().reshape(-1).tolist(), found[1].numpy(), source.truth[rows], w)

    def output(self, x: tuple[Tensor, ...]) -> Tensor:
        """The outputs for a batch, of a model in evaluation mode."""
        if self.compiled:
            found = self._attempt("output", lambda program: program(x, self._form))
            if found is not None:
                return found
        output = self.step.model(*x)
        self._tell()
        return output

    # -- programs ------------------------------------------------------------------

    def _attempt(self, name: str, call: Callable[[Any], Any]) -> Any:
        """What the program of this name gives; None where there can be none."""
        try:
            program = self.programs.get(name)
            if program is None:
                from haema.compiler import compile

                step = getattr(self, "_" + name.replace(" ", "_"))
                program = self.programs[name] = compile(step, self.precision)
            made, self._recorded = program.count, False
            return call(program)
        except _Once:
            return None
        except Exception as error:
            if program is not None and program.count and not (self._recorded and program.count == made):
                raise  # it was compiled, and what went wrong is not for lack of a program
            self.reason = self._untold = _why(error)
            self.programs.clear()
            return None

    def _tell(self) -> None:
        """Say once why there is no program; only after the step worked without, for else the step is at fault."""
        if self._untold and self.told:
            print(f"haema: this runs without the compiler, which is slower: {self._untold}", file=sys.stderr)
        self._untold = ""

    def _step(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None, form: int) -> Any:
        return self._watched(lambda: self.step(x, y, w))

    def _step_and_gradients(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None, form: int) -> Any:
        def work() -> Any:
            loss, output = self.step(x, y, w)
            return loss, output, [p.grad for p in self.step.model.parameters()]

        return self._watched(work)

    def _measure(self, x: tuple[Tensor, ...], y: Tensor, w: Tensor | None, form: int, averaged: bool) -> Any:
        def work() -> Any:
            output = self.step.measured(averaged)(*x)
            return self.step.objective(output, y, w), output

        return self._watched(work)

    def _output(self, x: tuple[Tensor, ...], form: int) -> Any:
        return self._watched(lambda: self.step.model(*x))

    def _owners(self) -> list[Any]:
        """The objects whose attributes decide what a step does."""
        loss = self.step.objective.function
        owners = [*self.step.model.modules()]
        if hasattr(loss, "modules"):
            return [*owners, *loss.modules()]
        return [*owners, loss] if hasattr(loss, "__dict__") and not isinstance(loss, type) else owners

    def _watched(self, work: Callable[[], Any]) -> Any:
        """Record ``work``, and leave no trace of that in Python's objects.

        Raises:
            _Refused: it does what a program would not do again.
            _Once: the optimizer made its state.
        """
        self._recorded = True
        owners, optimizer = self._owners(), self.step.optimizer
        for owner in owners:
            if getattr(owner, "_hooks", None):
                raise _Refused(f"a {type(owner).__name__} of the model has hooks, which are functions of Python")
        if any(p._hooks for p in self.step.model.parameters()):
            raise _Refused("a parameter of the model has a hook, which is a function of Python")
        before = [(owner, _contents(vars(owner))) for owner in owners]
        state = {p: dict(values) for p, values in optimizer.state.items()}
        drawn = _draws()
        kept = vars(optimizer)["state"], optimizer._changes
        changed = ""
        try:
            result = work()
        finally:
            for owner, contents in before:
                changed = _restore(owner, contents) or changed
            now = optimizer.state
            new = now is not kept[0] or [*now] != [*state] or any(_differ(now[p], state[p]) for p in state)
            if new:
                optimizer.state = kept[0]
                optimizer.state.clear()
                optimizer.state.update(state)
                optimizer._changes = kept[1]
            fresh = _same_draws(drawn)
        if changed:
            raise _Refused(f"{changed} is changed in each step, which only Python can do")
        if not fresh:
            raise _Refused("the step draws random numbers of Python or NumPy; those of haema can be compiled")
        if new:
            raise _Once
        return result


def outputs_of(engine: Engine | None, model: Any, batches: Iterable[tuple[Tensor, ...]]) -> list[np.ndarray]:
    """The outputs of each batch; from the eighth of one shape on they are compiled."""
    parts: list[np.ndarray] = []
    same, shapes = 0, None
    if engine is not None:
        engine.look()
    for x in batches:
        same, before, shapes = same + 1, shapes, [a.shape for a in x]
        if shapes != before:
            same = 1
        y = model(*x) if engine is None or same < MANY else engine.output(x)
        parts.append(y.numpy())
    return parts


def _part(loss: Tensor, output: Tensor, truth: np.ndarray, w: Tensor | None) -> Part:
    return Part([loss.item()], output.numpy()[None], truth[None], None if w is None else w.numpy()[None])


def _why(error: Exception) -> str:
    """The reason in a clause."""
    text = " ".join(str(error).split()).partition("; use hm.where")[0].removesuffix(".")
    return text if isinstance(error, HaemaError) else f"the compiler failed ({type(error).__name__}: {text})"


# -- what a program relies on ------------------------------------------------------------------

_NOT_LOOKED_AT = frozenset({"training", "meta"})  # the compiler watches the first itself; the second are notes
_PLAIN = (int, float, str, bool, bytes, complex, type(None))


def _form(owners: list[Any], held: list[Any]) -> Any:
    """What the attributes of some objects say, as something hashable; the objects in it go to ``held``."""
    return tuple(
        (id(o), tuple((k, _said(v, held)) for k, v in vars(o).items() if k not in _NOT_LOOKED_AT)) for o in owners
    )


def _said(value: Any, held: list[Any]) -> Any:
    if type(value) in _PLAIN:
        return type(value), value
    if type(value) in (tuple, list):
        return tuple(_said(v, held) for v in value)
    if type(value) in (dict, set):
        pairs = value.items() if type(value) is dict else enumerate(value)
        return tuple((k, _said(v, held)) for k, v in pairs)
    held.append(value)
    if isinstance(value, Tensor):
        return id(value), value._requires_grad
    if isinstance(value, np.ndarray) and value.nbytes <= 4096:
        return value.tobytes()
    return id(value)


def _contents(value: Any) -> Any:
    """A container's content, and that of containers in it, so that a change can be seen and taken back."""
    if type(value) is dict:
        return {k: (v, _contents(v)) for k, v in value.items()}
    return list(value) if type(value) in (list, set) else None


def _differ(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    return [*a] != [*b] or any(a[k] is not b[k] for k in a)


def _restore(owner: Any, contents: dict[str, Any]) -> str:
    """Give an object the attributes that it had; says which had changed, or ""."""
    name = _put_back(vars(owner), contents)
    return name and f"the attribute {name!r} of a {type(owner).__name__} of the model"


def _put_back(holder: dict[Any, Any], contents: dict[Any, Any]) -> str:
    changed = ""
    if [*holder] != [*contents] or any(holder[k] is not v for k, (v, _) in contents.items()):
        changed = next((str(k) for k in {**holder, **contents} if _moved(k, holder, contents)), "")
        holder.clear()
        holder.update({k: v for k, (v, _) in contents.items()})
    for k, (v, inner) in contents.items():
        if type(v) is dict and inner is not None:
            changed = _put_back(v, inner) or changed
        elif inner is not None and (len(inner) != len(v) or any(x is not y for x, y in zip(v, inner, strict=True))):
            changed = str(k)
            v.clear()
            v.extend(inner) if type(v) is list else v.update(inner)
    return changed


def _moved(k: Any, holder: dict[Any, Any], contents: dict[Any, Any]) -> bool:
    return k not in holder or k not in contents or holder[k] is not contents[k][0]


def _draws() -> tuple[Any, Any]:
    """The states of Python's and, if it is there yet, NumPy's generator of random numbers."""
    return random.getstate(), np.random.get_state() if "numpy.random" in sys.modules else None  # noqa: NPY002


def _same_draws(before: tuple[Any, Any]) -> bool:
    """Whether nothing was drawn from them since; else it is taken back."""
    now = _draws()
    same = before[0] == now[0] and (
        before[1] is None or all(np.array_equal(a, b) for a, b in zip(before[1], now[1], strict=True))
    )
    if not same:
        random.setstate(before[0])
        if before[1] is not None:
            np.random.set_state(before[1])  # noqa: NPY002
    return same
