"""Parameter groups, saved states and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import haema as hm
from haema import Tensor, optim
from haema.errors import InputError


def _p(*size: int) -> Tensor:
    return hm.ones(*(size or (2,)), requires_grad=True)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (optim.SGD, {"lr": -0.1}, "SGD: lr must be at least 0, not -0.1"),
        (optim.SGD, {"lr": float("nan")}, "lr must be at least 0, not nan"),
        (optim.SGD, {"momentum": -1}, "momentum must be at least 0"),
        (optim.SGD, {"weight_decay": -1}, "weight_decay must be at least 0"),
        (optim.SGD, {"l1_decay": -1}, "l1_decay must be at least 0"),
        (optim.SGD, {"nesterov": True}, "Nesterov momentum needs a momentum above 0 and a dampening of 0"),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum needs"),
        (optim.SGD, {"lr": hm.ones(2)}, "lr must be a number or a tensor with one element, not one of shape"),
        (optim.Adagrad, {"lr_decay": -1}, "lr_decay must be at least 0"),
        (optim.Adagrad, {"initial_accumulator_value": -1}, "initial_accumulator_value must be at least 0"),
        (optim.RMSprop, {"alpha": -1}, "alpha must be at least 0"),
        (optim.RMSprop, {"eps": -1}, "eps must be at least 0"),
        (optim.Adadelta, {"rho": 1.5}, "rho must be from 0 to 1, not 1.5"),
        (optim.Adam, {"betas": (0.9, 1.0)}, "betas must be two numbers from 0 to below 1"),
        (optim.AdamW, {"betas": (0.9,)}, "betas must be two numbers"),
        (optim.NAdam, {"momentum_decay": -1}, "momentum_decay must be at least 0"),
        (optim.RAdam, {"eps": -1}, "eps must be at least 0"),
        (optim.Adamax, {"betas": (-0.1, 0.9)}, "betas must be two numbers"),
        (optim.Rprop, {"etas": (1.1, 1.2)}, r"etas must be \(a, b\) with 0 < a < 1 < b"),
        (optim.Lion, {"betas": (0.9, 2.0)}, "betas must be two numbers"),
    ],
)
def test_options_out_of_range(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make([_p()], **options)
    if "lr" not in options:
        with pytest.raises(InputError, match=message):
            make([{"params": [_p()], **options}])


def test_parameters_that_are_refused() -> None:
    p = _p()
    with pytest.raises(TypeError, match=r"SGD: params must be a list .* not a single tensor"):
        optim.SGD(p)
    with pytest.raises(InputError, match="the list of parameters is empty"):
        optim.Adam([])
    with pytest.raises(TypeError, match="parameter 1 must be a tensor, not float"):
        optim.Adam([p, 1.0])
    with pytest.raises(InputError, match=r"parameter 0 of shape \(2,\) was computed from other tensors"):
        optim.Adam([p * 2])
    with pytest.raises(InputError, match="stands twice in one group"):
        optim.Adam([p, p])
    with pytest.raises(InputError, match="in more than one parameter group"):
        optim.Adam([{"params": [p]}, {"params": [_p(), p]}])
    with pytest.raises(TypeError, match="a set has none"):
        optim.Adam([{"params": {p}}])
    with pytest.raises(TypeError, match="a parameter group must be a dict, not list"):
        optim.Adam([p]).add_param_group([_p()])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs the key 'params'"):
        optim.Adam([{"lr": 0.1}])
    with pytest.raises(InputError, match="either all parameters of a group have names or none"):
        optim.Adam([("w", p), _p()])
    with pytest.raises(InputError, match="either all parameter groups have names or none"):
        optim.Adam([("w", p)]).add_param_group({"params": [_p()]})


def test_groups_have_their_own_options() -> None:
    a, b, c = _p(), _p(), _p()
    given = {"params": b, "lr": 0.5}
    optimizer = optim.SGD([{"params": [a]}, given], lr=0.1)
    optimizer.add_param_group({"params": [c], "weight_decay": 1.0, "lr": 1.0})
    assert given == {"params": b, "lr": 0.5}, "the caller's dict is not changed"
    for p in (a, b, c):
        p.grad = hm.ones(2)
    optimizer.step()
    assert [p[0].item() for p in (a, b, c)] == pytest.approx([0.9, 0.5, -1.0])
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5, 1.0]
    assert [g["params"] for g in optimizer.state_dict()["param_groups"]] == [[0], [1], [2]]


def test_names_are_kept() -> None:
    optimizer = optim.Adam([("w", _p()), ("b", _p())])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["w", "b"]


def test_layout_of_the_state() -> None:
    a, b = _p(2, 3), _p()
    optimizer = optim.Adam([a, b], lr=0.5)
    assert optimizer.state_dict()["state"] == {}
    a.grad, b.grad = hm.ones(2, 3), hm.ones(2)
    optimizer.step()
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert list(saved["state"]) == [0, 1]
    assert list(saved["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    assert saved["state"][0]["step"] is not saved["state"][1]["step"]
    assert saved["state"][0]["step"].item() == 1
    assert saved["param_groups"][0]["lr"] == 0.5
    assert saved["param_groups"][0]["params"] == [0, 1]


def test_parameters_that_step_together_share_their_count_again_after_loading() -> None:
    params = [_p() for _ in range(3)]
    optimizer = optim.NAdam(params)
    for k in range(4):
        for i, p in enumerate(params):
            p.grad = hm.ones(2) if k or i < 2 else None
        optimizer.step()
    again = optim.NAdam(params)
    again.load_state_dict(optimizer.state_dict())
    steps = [again.state[p]["step"] for p in params]
    assert [s.item() for s in steps] == [4, 4, 3]
    assert steps[0] is steps[1]
    assert steps[1] is not steps[2]


def test_loading_from_arrays_and_numbers() -> None:
    """As a checkpoint file gives them; a count may be a plain number, and unknown options are kept."""
    p = hm.ones(2, dtype=hm.float64, requires_grad=True)
    optimizer = optim.Adam([p])
    state = {0: {"step": 3, "exp_avg": np.float32([1, 2]), "exp_avg_sq": hm.ones(2), "max_exp_avg_sq": None}}
    options = {"lr": 0.5, "betas": [0.5, 0.6], "foreach": None, "initial_lr": 0.7, "params": [0]}
    optimizer.load_state_dict({"state": state, "param_groups": [options]})
    assert {k: v.dtype.name for k, v in optimizer.state[p].items()} == {
        "step": "float32", "exp_avg": "float64", "exp_avg_sq": "float64",
    }  # fmt: skip
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["initial_lr"], group["eps"]) == (0.5, (0.5, 0.6), 0.7, 1e-8)
    p.grad = hm.ones(2, dtype=hm.float64)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 4


def test_loading_from_other_frameworks_and_of_other_things() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.ones(2, np.float32)

    p = _p()
    optimizer = optim.SGD([p], momentum=0.9)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"momentum_buffer": Foreign(), "remark": ["kept"]}}
    optimizer.load_state_dict(saved)
    assert optimizer.state[p]["momentum_buffer"].tolist() == [1, 1]
    assert optimizer.state[p]["remark"] == ["kept"]
    assert optimizer.state_dict()["state"][0]["remark"] == ["kept"]


def test_states_that_are_refused_change_nothing() -> None:
    p, q = _p(), _p(3)
    optimizer = optim.Adam([p, q])
    p.grad, q.grad = hm.ones(2), hm.ones(3)
    optimizer.step()
    before = optimizer.state_dict()

    def refused(state: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            optimizer.load_state_dict(state)
        assert optimizer.state[p]["step"].item() == 1

    two = optim.Adam([{"params": [_p()]}, {"params": [_p(3)]}])
    refused(two.state_dict(), "has 2 parameter groups, and this optimizer 1")
    refused(optim.Adam([_p()]).state_dict(), "group 0 of the saved state has 1 parameters, and of this optimizer 2")
    other = optim.Adam([_p(3), _p()])
    other.init_state()
    refused(other.state_dict(), r"the saved 'exp_avg' has shape \(3,\), and its parameter has shape \(2,\)")
    other = optim.RMSprop([_p(), _p(3)])
    other.init_state()
    refused(other.state_dict(), "the saved state of parameter 0 has no 'exp_avg', 'exp_avg_sq'")
    refused({**before, "state": {5: {}}}, "has an entry 5 for a parameter in no group")


def test_closure() -> None:
    p = _p()
    optimizer = optim.SGD([p], lr=0.25)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with hm.no_grad():
        assert optimizer.step(closure).item() == 2
    assert p.tolist() == [0.5, 0.5]
    assert optimizer.step() is None


def test_the_base_class_has_no_step_of_its_own() -> None:
    p = _p()
    p.grad = hm.ones(2)
    optimizer = optim.Optimizer([p], {"lr": 0.1, "l1_decay": 0.0})
    with pytest.raises(NotImplementedError):
        optimizer.step()


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Adams'"):
        _ = optim.Adams
