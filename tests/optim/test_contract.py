"""What every optimizer must keep, tested for each that exists."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import haema as hm
from haema import Tensor, optim
from haema.optim.optimizer import Optimizer

ALL = [c for c in vars(optim).values() if isinstance(c, type) and issubclass(c, Optimizer) and c is not Optimizer]
VARIANTS: list[tuple[type[Optimizer], dict[str, Any]]] = [(c, {}) for c in ALL] + [
    (optim.SGD, {"momentum": 0.9}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
    (optim.RMSprop, {"momentum": 0.9, "centered": True}),
    (optim.Adam, {"amsgrad": True}),
    (optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    (optim.NAdam, {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    (optim.RAdam, {"decoupled_weight_decay": True, "weight_decay": 0.1}),
]
every = pytest.mark.parametrize(
    ("make", "options"), VARIANTS, ids=[f"{c.__name__}{'-' if o else ''}{'-'.join(o)}" for c, o in VARIANTS]
)


def _params(dtype: Any = hm.float32) -> list[Tensor]:
    return [
        hm.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=dtype, requires_grad=True),
        hm.tensor([0.25, -0.75, 2.0], dtype=dtype, requires_grad=True),
        hm.tensor(-1.5, dtype=dtype, requires_grad=True),
        hm.zeros(0, 3, dtype=dtype, requires_grad=True),
    ]


def _loss(params: list[Tensor]) -> Tensor:
    total = hm.tensor(0.0, dtype=params[0].dtype)
    for i, p in enumerate(params):
        d = p - 0.3 * i
        total = total + (d * d).sum() + (d * d * d * d).sum() * 0.1
    return total


def _train(optimizer: Optimizer, params: list[Tensor], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        _loss(params).backward()
        optimizer.step()


def _bits(params: list[Tensor]) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in params]


def test_all_are_found() -> None:
    assert {c.__name__ for c in ALL} >= {"SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "NAdam"}


@every
@pytest.mark.parametrize("dtype", [hm.float32, hm.float64], ids=str)
def test_descends_and_keeps_types(make: type[Optimizer], options: dict[str, Any], dtype: Any) -> None:
    params = _params(dtype)
    optimizer = make(params, **options)
    before = _loss(params).item()
    _train(optimizer, params, 20)
    assert _loss(params).item() < before
    assert all(p.dtype == dtype and p.is_leaf and p.requires_grad for p in params)
    for i, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            kept = value.shape == params[i].shape and value.dtype == dtype
            assert kept or (key in optimizer.together and value.shape == () and value.dtype == hm.float32)


@every
def test_state_goes_on_to_the_same_bits(make: type[Optimizer], options: dict[str, Any]) -> None:
    params = _params()
    optimizer = make(params, **options)
    _train(optimizer, params, 4)
    saved, values = optimizer.state_dict(), [p.detach().clone() for p in params]
    _train(optimizer, params, 5)
    again = [v.clone().requires_grad_() for v in values]
    resumed = make(again, **options)
    _train(resumed, again, 1)  # what it did before is forgotten
    with hm.no_grad():
        for p, v in zip(again, values, strict=True):
            p.copy_(v)
    resumed.load_state_dict(saved)
    _train(resumed, again, 5)
    assert _bits(again) == _bits(params)
    first, second = optimizer.state_dict(), resumed.state_dict()
    assert first["param_groups"] == second["param_groups"]
    assert {i: sorted(s) for i, s in first["state"].items()} == {i: sorted(s) for i, s in second["state"].items()}


@every
def test_copies_and_pickles_go_on(make: type[Optimizer], options: dict[str, Any]) -> None:
    params = _params()
    optimizer = make(params, **options)
    _train(optimizer, params, 3)
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        theirs = other.param_groups[0]["params"]
        assert all(p is not q for p, q in zip(params, theirs, strict=True))
        mine = copy.deepcopy(params)
        reference = make(mine, **options)
        reference.load_state_dict(optimizer.state_dict())
        _train(reference, mine, 3)
        _train(other, theirs, 3)
        assert _bits(theirs) == _bits(mine)


@every
def test_a_saved_state_is_a_copy(make: type[Optimizer], options: dict[str, Any]) -> None:
    params = _params()
    optimizer = make(params, **options)
    _train(optimizer, params, 2)
    saved = optimizer.state_dict()
    before = {(i, k): v.numpy().copy() for i, s in saved["state"].items() for k, v in s.items()}
    _train(optimizer, params, 2)
    other = make(_params(), **options)
    other.load_state_dict(saved)
    _train(other, other.param_groups[0]["params"], 2)
    for (i, k), v in before.items():
        assert np.array_equal(saved["state"][i][k].numpy(), v)


@every
def test_a_parameter_without_gradient_is_left_alone(make: type[Optimizer], options: dict[str, Any]) -> None:
    params, together = _params(), _params()
    optimizer, reference = make(params, **options), make(together[:2], **options)
    for k in range(6):
        optimizer.zero_grad()
        _loss(params).backward()
        if k % 2:  # two of the four step half as often, and count for themselves
            params[0].grad = params[1].grad = None
        kept = _bits(params[:2])
        optimizer.step()
        assert (_bits(params[:2]) == kept) == bool(k % 2)
    for _ in range(3):
        reference.zero_grad()
        _loss(together).backward()
        reference.step()
    assert _bits(params[:2]) == _bits(together[:2])
    state = optimizer.state_dict()["state"]
    if "step" in optimizer.together:
        assert [state[i]["step"].item() for i in range(4)] == [3, 3, 6, 6]
    never = hm.ones(2, requires_grad=True)
    optimizer.add_param_group({"params": never})
    optimizer.step()
    assert _bits([never]) == _bits([hm.ones(2)])


@every
def test_the_step_reads_no_value(
    make: type[Optimizer], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler can trace it: no Python decision and no Python number comes out of a tensor."""
    params = _params()
    optimizer = make(params, **options, l1_decay=0.1)
    for name in ("item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__"):
        monkeypatch.setattr(Tensor, name, lambda *_, _name=name: pytest.fail(f"the step called {_name}"))
    for _ in range(3):
        optimizer.zero_grad()
        _loss(params).backward()
        optimizer.step()


@every
def test_the_step_writes_in_place(make: type[Optimizer], options: dict[str, Any]) -> None:
    """Parameters, state and their memory stay the same objects, as a compiled program needs."""
    params = _params()
    optimizer = make(params, **options)
    _train(optimizer, params, 2)
    memory = {id(p): p._data for p in params}
    memory |= {id(t): t._data for s in optimizer.state.values() for t in s.values()}
    grads = [p.grad.clone() for p in params if p.grad is not None]
    optimizer.step()
    tensors = [*params, *(t for s in optimizer.state.values() for t in s.values())]
    assert all(memory[id(t)] is t._data for t in tensors)
    for p, g in zip(params, grads, strict=True):
        assert p.grad is not None
        assert _bits([p.grad]) == _bits([g]), "gradients are read, not written"


@every
def test_state_can_be_made_before_the_first_step(make: type[Optimizer], options: dict[str, Any]) -> None:
    params, lazy = _params(), _params()
    optimizer, reference = make(params, **options), make(lazy, **options)
    optimizer.init_state()
    made = {id(t) for s in optimizer.state.values() for t in s.values()}
    for _ in range(3):
        for o, ps in ((optimizer, params), (reference, lazy)):
            _train(o, ps, 1)
        assert _bits(params) == _bits(lazy)
    if not options.get("dampening"):
        assert made == {id(t) for s in optimizer.state.values() for t in s.values()}


@every
def test_hyperparameters_may_be_tensors(make: type[Optimizer], options: dict[str, Any]) -> None:
    """All that is read through ``_hyper`` may become an input of a compiled program."""

    class Fed(make):  # type: ignore[misc, valid-type]
        def _hyper(self, group: dict[str, Any], name: str) -> Any:
            return fed(super()._hyper(group, name))

    def fed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(fed(v) for v in value)
        return hm.tensor(value, dtype=hm.float64) if type(value) in (int, float) else value

    params, others = _params(hm.float64), _params(hm.float64)
    both = {**options, "l1_decay": 0.01, **({} if make is optim.Rprop else {"weight_decay": 0.01})}
    _train(Fed(params, **both), params, 5)
    _train(make(others, **both), others, 5)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-13)


@every
def test_zero_grad(make: type[Optimizer], options: dict[str, Any]) -> None:
    params = _params()
    optimizer = make(params, **options)
    _loss(params).backward()
    memory = [p.grad._data for p in params if p.grad is not None]
    optimizer.zero_grad(set_to_none=False)
    for p, m in zip(params, memory, strict=True):
        assert p.grad is not None
        assert p.grad._data is m
        assert not m.any()
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)
    optimizer.step()
    assert _bits(params) == _bits(_params())


@every
def test_maximize_is_descent_on_the_negative(make: type[Optimizer], options: dict[str, Any]) -> None:
    params, others = _params(), _params()
    up, down = make(params, **options, maximize=True), make(others, **options)
    for _ in range(4):
        up.zero_grad()
        (-_loss(params)).backward()
        up.step()
        _train(down, others, 1)
    assert _bits(params) == _bits(others)


@every
def test_nan_and_infinite_gradients_go_through(make: type[Optimizer], options: dict[str, Any]) -> None:
    p = hm.ones(3, requires_grad=True)
    optimizer = make([p], **options)
    p.grad = hm.tensor([1.0, hm.nan, 1.0])
    optimizer.step()
    assert np.isnan(p.detach().numpy()).tolist() == [False, True, False]


@every
def test_repr_names_the_options(make: type[Optimizer], options: dict[str, Any]) -> None:
    text = repr(make(_params(), **options))
    assert text.startswith(f"{make.__name__} (\nParameter Group 0\n")
    assert "    l1_decay: 0.0\n    lr: " in text
