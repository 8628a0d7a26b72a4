"""Averaged models."""

from __future__ import annotations

from typing import Any

import pytest

import haema as hm
from haema import nn, optim
from haema.errors import InputError
from haema.optim import swa_utils
from haema.optim.swa_utils import AveragedModel


class Norm(nn.Module):
    """A stand-in for batch normalisation: a scale, and a running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(hm.zeros(2))
        self.momentum: float | None = 0.1
        self.register_buffer("mean", hm.zeros(2))
        self.register_buffer("count", hm.tensor(0))

    def reset_running_stats(self) -> None:
        self.mean.zero_()
        self.count.zero_()

    def forward(self, x: hm.Tensor) -> hm.Tensor:
        if self.training:
            self.count.add_(1)
            share = 1 / self.count if self.momentum is None else self.momentum
            self.mean.add_((x.mean(0) - self.mean) * share)
        return x * self.scale


def _set(model: nn.Module, value: float) -> None:
    with hm.no_grad():
        for p in model.parameters():
            p.fill_(value)
        for b in model.buffers():
            b.fill_(value)


def _averages(values: list[float], **options: Any) -> tuple[list[float], list[float]]:
    model = Norm()
    averaged = AveragedModel(model, **options)
    for v in values:
        _set(model, v)
        averaged.update_parameters(model)
    assert averaged.n_averaged.item() == len(values)
    return averaged.module.scale.tolist(), averaged.module.mean.tolist()


def test_equal_weights() -> None:
    assert _averages([1.0, 2.0, 6.0]) == ([3.0, 3.0], [6.0, 6.0])
    assert _averages([1.0, 2.0, 6.0], use_buffers=True) == ([3.0, 3.0], [3.0, 3.0])
    assert _averages([1.0, 2.0, 6.0], multi_avg_fn=swa_utils.get_swa_multi_avg_fn()) == ([3.0, 3.0], [6.0, 6.0])


@pytest.mark.parametrize(
    "options",
    [{"avg_fn": swa_utils.get_ema_avg_fn(0.5)}, {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.5)}],
)
def test_exponential_weights(options: dict[str, Any]) -> None:
    assert _averages([1.0, 2.0, 6.0], **options)[0] == [3.75, 3.75]


def test_the_model_is_copied_and_computes() -> None:
    model = Norm()
    averaged = AveragedModel(model, device="cpu")
    _set(model, 2.0)
    assert averaged.module.scale.tolist() == [0, 0]
    averaged.update_parameters(model)
    assert averaged(hm.ones(1, 2)).tolist() == [[2, 2]]
    assert sorted(averaged.state_dict()) == ["module.count", "module.mean", "module.scale", "n_averaged"]


def test_statistics_anew() -> None:
    model = Norm()
    _set(model, 9.0)
    model.eval()
    batches = [hm.full((3, 2), 1.0), (hm.full((3, 2), 2.0), "label"), [hm.full((3, 2), 6.0)]]
    swa_utils.update_bn(batches, model, device="cpu")
    assert model.mean.tolist() == pytest.approx([3, 3])
    assert model.momentum == 0.1
    assert not model.training
    plain = nn.Module()
    swa_utils.update_bn([], plain)


def test_refused() -> None:
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(InputError, match="decay must be from 0 to 1, not 2"):
            make(2)
    with pytest.raises(InputError, match="give avg_fn or multi_avg_fn, not both"):
        AveragedModel(
            Norm(), avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn()
        )  # fmt: skip


def test_it_is_found_where_pytorch_has_it() -> None:
    assert optim.swa_utils.AveragedModel is AveragedModel
