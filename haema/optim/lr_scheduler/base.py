"""What all learning-rate schedules have in common."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from haema import executor
from haema.autograd import no_grad
from haema.errors import InputError
from haema.optim.optimizer import Optimizer
from haema.tensor import Tensor

Rate = Any
"""A learning rate: a Python number or a tensor without axes."""


def need_optimizer(schedule: object, optimizer: object) -> None:
    """Raise TypeError unless ``optimizer`` is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__}: needs an optimizer, not {type(optimizer).__name__}")


def values_of(optimizer: Optimizer, key: str) -> list[Any]:
    """One option of all groups; tensors are copied."""
    return [g[key].clone() if isinstance(g[key], Tensor) else g[key] for g in optimizer.param_groups]


def set_value(group: dict[str, Any], key: str, value: Rate) -> None:
    """Set an option of a group; a tensor is written into."""
    if isinstance(group[key], Tensor):
        with no_grad():
            group[key].fill_(float(value))
    else:
        group[key] = float(value) if isinstance(value, Tensor) else value


def per_group(schedule: object, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value for each group: from a list of as many, or the same for all."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copy.deepcopy(value) for _ in range(n)]
    if len(value) != n:
        raise InputError(
            f"{type(schedule).__name__}: {name} has {len(value)} values, and the optimizer has {n} parameter groups"
        )
    return [copy.deepcopy(v) for v in value]


def saved_function(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What of a function can be saved: nothing, or the attributes of a callable object."""
    if function is None or isinstance(function, (types.FunctionType, types.BuiltinFunctionType)):
        return None
    return copy.deepcopy(vars(function))


class LRScheduler:
    """Base class of learning-rate schedules.

    A schedule changes ``group["lr"]`` of each parameter group whenever ``step`` is called: once an epoch or once a
    batch, after ``optimizer.step()``. Most compute the new rate from the present one, so that several schedules of
    one optimizer multiply their effects, and changes by hand stay.

    Args:
        optimizer: Whose learning rates are changed. Making a schedule sets their first value.
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Attributes:
        base_lrs: The initial rates, one for each group.
        last_epoch: Number of steps taken.

    Raises:
        TypeError: ``optimizer`` is none.
        InputError: ``last_epoch`` is given and a group has no "initial_lr".
    """

    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        need_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copy.deepcopy(group["lr"]))
            elif "initial_lr" not in group:
                raise InputError(
                    f"{type(self).__name__}: parameter group {i} has no 'initial_lr', which last_epoch={last_epoch} "
                    "needs; load the optimizer's state first"
                )
        self.base_lrs: list[Rate] = values_of(optimizer, "initial_lr")
        self.last_epoch: Any = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        with self._initial():
            self.step()

    @contextmanager
    def _initial(self) -> Iterator[None]:
        self._is_initial = True
        try:
            yield
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, one for each group, computed from the present ones."""
        raise NotImplementedError

    def _get_closed_form_lr(self) -> list[Rate]:
        """The rates at ``last_epoch``, computed from ``base_lrs``; where there is no such form, ``get_lr()``."""
        return self.get_lr()

    def get_last_lr(self) -> list[Rate]:
        """The rates that the last step set, one for each group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next learning rates.

        Args:
            epoch: Jump to this number of steps, by the closed form where there is one. Default: one further.
        """
        executor.active().outside("the step of a learning-rate schedule")
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            values = self.get_lr()
        else:
            self.last_epoch = epoch
            values = self._get_closed_form_lr()
        self._set(values)

    def _set(self, values: list[Rate]) -> None:
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            set_value(group, "lr", lr)
        self._last_lr = values_of(self.optimizer, "lr")

    def _present(self) -> list[Rate]:
        return values_of(self.optimizer, "lr")

    def _times(self, factor: float) -> list[Rate]:
        """The present rates times ``factor``."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything but the optimizer and plain functions."""
        skip = ("optimizer", "_is_initial")
        return {key: copy.deepcopy(value) for key, value in vars(self).items() if key not in skip}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned; load the optimizer's state too, which holds the rates."""
        vars(self).update(copy.deepcopy(state_dict))
