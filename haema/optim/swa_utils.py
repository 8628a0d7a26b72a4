"""Averages of a model over its training: equally weighted, or exponentially."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from haema import creation, dtypes
from haema.autograd import no_grad
from haema.errors import InputError
from haema.functions.elementwise import where
from haema.nn.module import Module
from haema.optim.lr_scheduler.base import LRScheduler, Rate, need_optimizer, per_group
from haema.optim.optimizer import Optimizer
from haema.tensor import Tensor

__all__ = [
    "AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(average so far, new value, number of values averaged) -> new average."""

AverageAll = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]
"""The same for lists, writing into the averages."""


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average, decay a + (1 - decay) x.

    Args:
        decay: Weight of the past, from 0 to 1. Default: 0.999.

    Raises:
        InputError: ``decay`` is not from 0 to 1.
    """
    if not 0 <= decay <= 1:
        raise InputError(f"get_ema_avg_fn: decay must be from 0 to 1, not {decay}")

    def average(a: Tensor, x: Tensor, n: Tensor) -> Tensor:
        return a * decay + x * (1 - decay)

    return average


def get_swa_avg_fn() -> Average:
    """The equally weighted average, a + (x - a) / (n + 1)."""

    def average(a: Tensor, x: Tensor, n: Tensor) -> Tensor:
        return a + (x - a) / (n + 1)

    return average


def _for_all(one: Average) -> AverageAll:
    def average(averages: Sequence[Tensor], values: Sequence[Tensor], n: Tensor) -> None:
        for a, x in zip(averages, values, strict=True):
            a.copy_(one(a, x, n))

    return average


def get_ema_multi_avg_fn(decay: float = 0.999, *, warmup: bool = False) -> AverageAll:
    """``get_ema_avg_fn`` for lists, in place.

    Args:
        decay: Weight of the past, from 0 to 1. Default: 0.999.
        warmup: Let the n-th average decay by min(decay, (1 + n) / (10 + n)) only, so that the first values are soon
            forgotten, and take whole numbers as they are. Default: False.

    Raises:
        InputError: ``decay`` is not from 0 to 1.
    """
    plain = _for_all(get_ema_avg_fn(decay))
    if not warmup:
        return plain

    def average(averages: Sequence[Tensor], values: Sequence[Tensor], n: Tensor) -> None:
        share = 1 - ((n + 1) / (n + 10)).clamp(max=decay)
        for a, x in zip(averages, values, strict=True):
            if a.dtype.kind == "f":
                a.add_((x - a) * share.to(a.dtype))
            else:
                a.copy_(x)

    return average


def get_swa_multi_avg_fn() -> AverageAll:
    """``get_swa_avg_fn`` for lists, in place."""
    return _for_all(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of the model's parameters at several times.

        a = a + (theta - a) / (n + 1)           the first time a = theta

    Args:
        model: Model; it is copied.
        device: "cpu". Default: None.
        avg_fn: How to average one tensor. Default: equally weighted.
        multi_avg_fn: How to average a list of tensors in place, instead of ``avg_fn``. Default: None.
        use_buffers: Average the buffers too; otherwise they are the model's latest. Default: False.

    Attributes:
        module: The averaged copy.
        n_averaged: How many times ``update_parameters`` was called, int64 without axes.

    Raises:
        InputError: ``avg_fn`` and ``multi_avg_fn`` are both given.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018,
    algorithm 1.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise InputError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device=device)
        self.n_averaged: Tensor
        self.register_buffer("n_averaged", creation.zeros((), dtype=dtypes.int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of ``model`` into the average.

        Args:
            model: Model of the same architecture.
        """
        averages: list[Tensor] = [p.detach() for p in self.module.parameters()]
        values: list[Tensor] = [p.detach() for p in model.parameters()]
        kept, latest = list(self.module.buffers()), list(model.buffers())
        if self.use_buffers:
            averages, values, kept, latest = averages + kept, values + latest, [], []
        average = self.multi_avg_fn or _for_all(self.avg_fn or get_swa_avg_fn())
        with no_grad():
            first = self.n_averaged == 0
            average(averages, values, self.n_averaged)
            for a, x in zip(averages, values, strict=True):
                a.copy_(where(first, x, a))
            for a, x in zip(kept, latest, strict=True):
                a.copy_(x)
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch normalisation anew, in one pass over the data.

    Args:
        loader: Batches: tensors, or lists or tuples whose first element is the model's input.
        model: Model, put into training mode meanwhile; without batch normalisation nothing is done.
        device: "cpu". Default: None.
    """
    momenta = [(m, m.momentum) for m in model.modules() if hasattr(m, "reset_running_stats")]
    if not momenta:
        return
    training = model.training
    model.train()
    try:
        for layer, _ in momenta:
            layer.reset_running_stats()
            layer.momentum = None  # the average over all batches, equally weighted
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device=device))
    finally:
        for layer, momentum in momenta:
            layer.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the present learning rates to ``swa_lr``, which then stays.

        lr_t = lr_0 (1 - a) + swa_lr a,  a = t / anneal_epochs, or along a cosine (1 - cos(pi t / anneal_epochs)) / 2

    Args:
        optimizer: Whose learning rates are changed.
        swa_lr: Last rate, or a list of them, one for each group.
        anneal_epochs: Epochs on the way. Default: 10.
        anneal_strategy: "cos" or "linear". Default: "cos".
        last_epoch: How many steps were taken before; -1 starts anew. Default: -1.

    Raises:
        InputError: an option is out of its range.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018,
    section 3.2.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self, optimizer)
        for rate, group in zip(per_group(self, "swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise InputError(f"SWALR: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise InputError(f"SWALR: anneal_epochs must be an integer of at least 0, not {anneal_epochs!r}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: int) -> float:
        """How far the way to ``swa_lr`` has been gone."""
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Rate]:
        """The rates at this step, one for each group."""
        epoch = self._step_count - 1
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = self._share(epoch - 1), self._share(epoch)
        rates = []
        for group in self.optimizer.param_groups:
            last = group["swa_lr"]
            start = last if before == 1 else (group["lr"] - before * last) / (1 - before)
            rates.append(last * now + start * (1 - now))
        return rates
