"""Optimizers' trajectories, learning rates under each schedule, gradient clipping."""

from __future__ import annotations

import importlib
import math

import numpy as np

from tests.parity.harness import case

OPTIMIZERS = {
    "SGD": [
        {}, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}, {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}, {"lr": 0.01, "maximize": True},
        {"lr": 0.01, "momentum": 0.5, "dampening": 0.5, "weight_decay": 0.1, "maximize": True},
    ],
    "Adagrad": [
        {}, {"lr": 0.1, "lr_decay": 0.1}, {"lr": 0.1, "initial_accumulator_value": 0.5}, {"lr": 0.1, "eps": 0.1},
        {"lr": 0.1, "weight_decay": 0.1}, {"lr": 0.05, "maximize": True},
    ],
    "RMSprop": [
        {}, {"alpha": 0.9}, {"centered": True}, {"momentum": 0.9, "lr": 0.002}, {"eps": 0.1},
        {"weight_decay": 0.1}, {"centered": True, "momentum": 0.5, "weight_decay": 0.01}, {"maximize": True},
    ],
    "Adadelta": [{}, {"rho": 0.5}, {"eps": 1e-3, "lr": 0.5}, {"weight_decay": 0.1}, {"maximize": True}],
    "Adam": [
        {}, {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9)}, {"lr": 0.02, "betas": (0.0, 0.99)}, {"eps": 0.1, "lr": 0.1},
        {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.3, "amsgrad": True}, {"lr": 0.05, "maximize": True},
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.05, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
    ],
    "AdamW": [
        {}, {"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3},
        {"lr": 0.3, "amsgrad": True}, {"lr": 0.05, "maximize": True},
    ],
    "NAdam": [
        {}, {"lr": 0.1}, {"lr": 0.1, "momentum_decay": 0.1}, {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3},
        {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.05, "maximize": True},
    ],
    "RAdam": [
        {}, {"lr": 0.1}, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}, {"lr": 0.05, "weight_decay": 0.1},
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}, {"lr": 0.05, "maximize": True},
        {"lr": 0.1, "betas": (0.9, 0.5)},
    ],
    "Adamax": [
        {}, {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}, {"lr": 0.05, "weight_decay": 0.1},
        {"lr": 0.05, "maximize": True},
    ],
    "Rprop": [
        {}, {"lr": 0.1}, {"lr": 0.1, "etas": (0.3, 1.5)}, {"lr": 0.1, "step_sizes": (0.05, 0.15)},
        {"maximize": True},
    ],
}  # fmt: skip
STEPS = 32


def _problem(T, rng, dtype):
    """Least squares with a bend, and its parameters: a matrix, a vector, a number and nothing."""
    x, y = (T.tensor(rng.normal(0, 1, s).astype(dtype)) for s in ((7, 3), (7, 2)))
    shapes = ((3, 2), (2,), (), (0, 2))
    params = [T.tensor(rng.normal(0, 1, s).astype(dtype), requires_grad=True) for s in shapes]

    def loss():
        w, b, c, nothing = params
        d = x @ w + b - y
        return (d * d).mean() + 0.1 * (w * w * w * w).sum() + (c - 0.7) * (c - 0.7) + nothing.sum()

    return params, loss


def _train(optimizer, loss, steps=STEPS):
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def _flat(tensors):
    """All elements as one array."""
    return np.concatenate([x.detach().numpy().reshape(-1) for x in tensors])


def _state(optimizer):
    """The state by name, of all parameters one after another."""
    state = optimizer.state_dict()["state"]
    names = sorted({key for i in state for key in state[i]})
    return {f"state {key}": _flat([state[i][key] for i in sorted(state)]) for key in names}


def _trajectories(name, dtype):
    """The parameters at five times, and the last state, under each set of options."""

    def run(T, rng):
        times, states = [], {}
        for options in OPTIMIZERS[name]:
            params, loss = _problem(T, rng, dtype)
            optimizer = getattr(T.optim, name)(params, **options)
            for steps in (1, 1, 1, 6, STEPS - 9):
                _train(optimizer, loss, steps)
                times.append(_flat(params))
            for key, value in _state(optimizer).items():
                states.setdefault(key, []).append(value)
        return {"parameters": np.stack(times)} | {key: np.concatenate(values) for key, values in states.items()}

    return run


for _name in OPTIMIZERS:
    for _dtype in ("float32", "float64"):
        # thirty steps of feedback let a rounding grow; with long steps around the minimum it would grow to any size
        # (PyTorch in float32 then ends far from PyTorch in float64), so such rates are not among the options
        case(_trajectories(_name, _dtype), name=f"{_name} {_dtype}", tolerance=10)


@case
def options_of_groups(T, rng):
    params, loss = _problem(T, rng, "float64")
    groups = [{"params": params[:1], "lr": 0.1}, {"params": params[1:], "betas": (0.5, 0.6), "weight_decay": 0.2}]
    optimizer = T.optim.Adam(groups, lr=0.01)
    _train(optimizer, loss)
    saved = optimizer.state_dict()
    known = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay", "params")
    options = {f"group {i} {k}": g[k] for i, g in enumerate(saved["param_groups"]) for k in known}
    return {"params": _flat(params)} | options | _state(optimizer)


@case
def parameters_without_gradient(T, rng):
    """Each parameter counts its own steps."""
    params, loss = _problem(T, rng, "float64")
    optimizer = T.optim.Adam(params, lr=0.1)
    for step in range(12):
        optimizer.zero_grad()
        loss().backward()
        for i, p in enumerate(params):
            if step % (i + 2) == i:
                p.grad = None
        optimizer.step()
    return {"params": _flat(params)} | _state(optimizer)


@case
def learning_rate_as_a_tensor(T, rng):
    results = {}
    for name in ("SGD", "Adam", "AdamW", "NAdam", "Adagrad", "RMSprop", "Adadelta", "Adamax", "RAdam"):
        params, loss = _problem(T, rng, "float64")
        lr = T.tensor(0.125, dtype=T.float64)
        optimizer = getattr(T.optim, name)(params, lr=lr, weight_decay=0.1)
        schedule = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        _train(optimizer, loss, 3)
        schedule.step()
        _train(optimizer, loss, 3)
        results[name] = _flat(params)
        results[f"{name} lr"] = optimizer.param_groups[0]["lr"]
    return results


@case
def closure(T, rng):
    params, loss = _problem(T, rng, "float64")
    optimizer = T.optim.SGD(params, lr=0.1)

    def compute():
        optimizer.zero_grad()
        y = loss()
        y.backward()
        return y

    return {"losses": _flat([optimizer.step(compute) for _ in range(5)]), "params": _flat(params)}


@case
def resumed(T, rng):
    """A saved state goes on in another optimizer."""
    results = {}
    for name in OPTIMIZERS:
        params, loss = _problem(T, rng, "float64")
        optimizer = getattr(T.optim, name)(params)
        _train(optimizer, loss, 5)
        saved = optimizer.state_dict()
        optimizer = getattr(T.optim, name)(params)
        optimizer.load_state_dict(saved)
        _train(optimizer, loss, 5)
        results[name] = _flat(params)
    return results


def _hump(t):
    return 1 / (1 + (t - 20) ** 2 / 50)


SCHEDULES = {
    "LambdaLR": [(_hump,), ([_hump, lambda t: 0.9**t],)],
    "MultiplicativeLR": [(lambda t: 0.95,), ([lambda t: 0.9, lambda t: 1 + 1 / (t + 1)],)],
    "StepLR": [(10,), (7, 0.5), (1, 0.9)],
    "MultiStepLR": [([5, 20, 21, 50],), ([10, 10, 30], 0.5), ([],)],
    "ConstantLR": [(), (0.5, 10), (0.1, 100), (1.0, 3)],
    "LinearLR": [(), (0.1, 0.9, 20), (1.0, 0.0, 30), (0.5, 0.5, 7)],
    "ExponentialLR": [(0.9,), (1.01,)],
    "PolynomialLR": [(), (40, 2.0), (100, 0.5), (60, 1.0)],
    "CosineAnnealingLR": [(10,), (30, 0.01), (100, 0.05), (1,), (7, 0.02)],
    "CosineAnnealingWarmRestarts": [(10,), (7, 2), (5, 3, 0.01), (1, 1), (60, 1, 0.1)],
    "CyclicLR": [
        (0.01, 0.1, 5), (0.01, 0.1, 4, 9), (0.01, 0.1, 5, None, "triangular2"), ([0.01, 0.02], [0.1, 0.3], 7),
        (0.01, 0.1, 5, None, "exp_range", 0.95), (0.01, 0.1, 5, 3, "triangular", 1.0, lambda c: 0.5 ** (c - 1)),
        (0.01, 0.1, 6, 3, "triangular", 1.0, lambda t: 0.99**t, "iterations"),
        (0.01, 0.1, 6, 3, "triangular", 1.0, None, "cycle", False), (0.01, 0.1, 5, None, "exp_range", 0.9, None,
        "cycle", True, 0.5, 0.99), (0.01, 0.1, 5, 5, "triangular2", 1.0, None, "cycle", True, [0.5, 0.6], [0.8, 0.9]),
    ],
    "OneCycleLR": [
        (0.1, 60), ([0.1, 0.2], 60), (0.1, None, 6, 10), (0.1, 60, None, None, 0.5, "linear"), (0.1, 75, None, None,
        0.25, "cos", False), (0.1, 60, None, None, 0.3, "cos", True, 0.8, 0.9, 10.0, 100.0, True),
        (0.1, 60, None, None, 0.4, "linear", True, 0.7, 0.99, 5.0, 1e3, True),
    ],
}  # fmt: skip


def _two_groups(T, name="SGD", **options):
    a, b = (T.tensor([1.0], dtype=T.float64, requires_grad=True) for _ in range(2))
    return getattr(T.optim, name)([{"params": [a], "lr": 0.2}, {"params": [b], "lr": 0.05}], lr=0.1, **options)


def _rates(optimizer, schedule, steps=60, by_hand=None):
    """Learning rates and momenta of both groups at each step."""
    rates, momenta = [], []
    for t in range(steps):
        groups = optimizer.param_groups
        assert by_hand or [g["lr"] for g in groups] == schedule.get_last_lr()
        rates.append([g["lr"] for g in groups])
        momenta.append([g["betas"][0] if "betas" in g else g["momentum"] for g in groups])
        optimizer.step()
        schedule.step()
        if by_hand:
            by_hand(t, groups)
    return {"rates": _table(rates), "momenta": _table(momenta), "last epoch": schedule.last_epoch}


def _table(rows):
    return np.array(rows, dtype=np.float64)


def _shrink(t, groups):
    if t % 13 == 5:
        for g in groups:
            g["lr"] = g["lr"] * 0.7


def _schedules(name):
    """Every variant; the first with Adam; the last with changes by hand."""

    def run(T, rng):
        variants, tables = SCHEDULES[name], []
        runs = [(v, "SGD", None) for v in variants] + [(variants[0], "Adam", None), (variants[-1], "SGD", _shrink)]
        for args, kind, by_hand in runs:
            optimizer = _two_groups(T, kind, **({"momentum": 0.5} if kind == "SGD" else {}))
            tables.append(_rates(optimizer, getattr(T.optim.lr_scheduler, name)(optimizer, *args), by_hand=by_hand))
        return {key: np.array([t[key] for t in tables]) for key in tables[0]}

    return run


for _name in SCHEDULES:
    case(_schedules(_name), name=_name)


PLATEAU = [
    {}, {"patience": 2}, {"patience": 0, "factor": 0.5}, {"mode": "max", "patience": 3}, {"patience": 2, "cooldown": 4},
    {"patience": 1, "threshold": 0.1, "threshold_mode": "abs"}, {"patience": 1, "min_lr": 0.01},
    {"patience": 1, "min_lr": [0.1, 0.001]}, {"patience": 0, "eps": 0.01, "factor": 0.3},
    {"mode": "max", "threshold_mode": "abs", "patience": 2, "threshold": 0.05}, {"threshold": 0.2, "patience": 2},
]  # fmt: skip


@case
def plateau(T, rng):
    results = {}
    metrics = 1 / (1 + 0.1 * rng.random(60).cumsum()) + 0.05 * rng.random(60)
    metrics[40] = math.nan
    for i, options in enumerate(PLATEAU):
        optimizer = _two_groups(T)
        schedule = T.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for k, m in enumerate(metrics):
            schedule.step(float(m) if k % 2 else T.tensor(float(m), dtype=T.float64))
            rates.append([g["lr"] for g in optimizer.param_groups])
        results[f"{i} rates"] = _table(rates)
        results[f"{i} state"] = [schedule.best, schedule.num_bad_epochs, schedule.cooldown_counter]
    return results


def _sequential(S, optimizer):
    parts = [S.ConstantLR(optimizer, 0.1, 5), S.ExponentialLR(optimizer, 0.9), S.CosineAnnealingLR(optimizer, 20)]
    return S.SequentialLR(optimizer, parts, [8, 20])


def _warm_up(S, optimizer):
    parts = [S.LinearLR(optimizer, 0.1, 1.0, 10), S.CosineAnnealingWarmRestarts(optimizer, 12, 2, 0.001)]
    return S.SequentialLR(optimizer, parts, [10])


def _all_factors(S, optimizer):
    parts = [
        S.StepLR(optimizer, 4, 0.5), S.MultiStepLR(optimizer, [3, 9]), S.PolynomialLR(optimizer, 9, 2.0),
        S.LambdaLR(optimizer, _hump), S.MultiplicativeLR(optimizer, lambda t: 1.05), S.LinearLR(optimizer),
    ]  # fmt: skip
    return S.SequentialLR(optimizer, parts, [6, 16, 30, 40, 50])


def _sequential_of_one(S, optimizer):
    return S.SequentialLR(optimizer, [S.StepLR(optimizer, 4, 0.5)], [])


def _sequential_of_chained(S, optimizer):
    chained = S.ChainedScheduler([S.ConstantLR(optimizer, 0.5, 4), S.ExponentialLR(optimizer, 0.8)])
    return S.SequentialLR(optimizer, [chained, S.StepLR(optimizer, 5)], [12])


def _chained(S, optimizer):
    return S.ChainedScheduler([S.ConstantLR(optimizer, 0.1, 12), S.ExponentialLR(optimizer, 0.9)])


def _chained_many(S, optimizer):
    parts = [
        S.LinearLR(optimizer, 0.2, 1.0, 15), S.CosineAnnealingLR(optimizer, 25, 0.001), S.StepLR(optimizer, 9, 0.7),
        S.MultiplicativeLR(optimizer, lambda t: 1.01), S.PolynomialLR(optimizer, 70, 0.5),
    ]  # fmt: skip
    return S.ChainedScheduler(parts, optimizer=optimizer)


@case
def combined(T, rng):
    results = {}
    builders = (_sequential, _warm_up, _all_factors, _sequential_of_one, _chained, _chained_many)
    for build in (*builders, _sequential_of_chained):
        optimizer = _two_groups(T)
        schedule = build(T.optim.lr_scheduler, optimizer)
        rates = []
        for _ in range(60):
            rates.append([*schedule.get_last_lr(), *(g["lr"] for g in optimizer.param_groups)])
            optimizer.step()
            schedule.step()
        results[build.__name__] = _table(rates)
    return results


@case
def two_schedules_of_one_optimizer(T, rng):
    optimizer = _two_groups(T)
    S = T.optim.lr_scheduler
    schedules = [S.ExponentialLR(optimizer, 0.95), S.MultiStepLR(optimizer, [10, 30], 0.3), S.LinearLR(optimizer)]
    rates = []
    for _ in range(60):
        optimizer.step()
        for s in schedules:
            s.step()
        rates.append([g["lr"] for g in optimizer.param_groups])
    return {"rates": _table(rates)}


@case
def warm_restarts_in_fractions(T, rng):
    results = {}
    for args in ((10,), (4, 2), (8, 1, 0.01)):
        optimizer = _two_groups(T)
        schedule = T.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, *args)
        optimizer.step()
        rates = []
        for epoch in range(15):
            for batch in range(4):
                schedule.step(epoch + batch / 4)
                rates.append([*schedule.get_last_lr(), schedule.T_cur, schedule.T_i, schedule.last_epoch])
        schedule.step(26)
        schedule.step()
        rates.append([*schedule.get_last_lr(), schedule.T_cur, schedule.T_i, schedule.last_epoch])
        results[str(args)] = _table(rates)
    return results


@case
def resumed_schedules(T, rng):
    """``last_epoch`` with "initial_lr" in the groups, and a saved state."""
    results = {}
    for name, variants in SCHEDULES.items():
        optimizer = _two_groups(T, momentum=0.5)
        make = getattr(T.optim.lr_scheduler, name)
        schedule = make(optimizer, *variants[0])
        _rates(optimizer, schedule, 17)
        saved, rates = schedule.state_dict(), [dict(g) for g in optimizer.param_groups]
        optimizer = _two_groups(T, momentum=0.5)
        schedule = make(optimizer, *variants[0])
        schedule.load_state_dict(saved)
        for old, new in zip(rates, optimizer.param_groups, strict=True):
            new.update({k: v for k, v in old.items() if k != "params"})
        results |= {f"{name} {k}": v for k, v in _rates(optimizer, schedule, 20).items()}
    for name in ("StepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR", "PolynomialLR", "MultiplicativeLR"):
        optimizer = _two_groups(T)
        for g in optimizer.param_groups:
            g["initial_lr"] = 0.4
        schedule = getattr(T.optim.lr_scheduler, name)(optimizer, *SCHEDULES[name][0], last_epoch=4)
        results |= {f"{name} from 4 {k}": v for k, v in _rates(optimizer, schedule, 20).items()}
    return results


@case
def clipping(T, rng):
    U = importlib.import_module(f"{T.__name__}.nn.utils")
    results = {}
    for p in (1.0, 2.0, 3, 0.5, math.inf, "inf"):
        for largest in (0.5, 1e6):
            params, _ = _problem(T, rng, "float64")
            params = params[:3]
            _grads(T, rng, params)
            results[f"{p} {largest}"] = U.clip_grad_norm_(params, largest, p)
            results[f"{p} {largest} grads"] = _flat([x.grad for x in params])
    params, _ = _problem(T, rng, "float64")
    _grads(T, rng, params)
    params[1].grad = None
    U.clip_grad_value_(params, 0.3)
    results["value"] = [x.grad for x in params]
    U.clip_grad_value_(params[0], 0.1)
    results["one"] = params[0].grad
    U.clip_grads_with_norm_(params, 0.1, T.tensor(2.0, dtype=T.float64))
    results["with norm"] = [x.grad for x in params]
    results["norm"] = U.get_total_norm([x.detach() for x in params[:3]])
    results["none"] = U.clip_grad_norm_(params[1:2], 1.0)
    results["vector"] = U.parameters_to_vector(params)
    U.vector_to_parameters(T.arange(9, dtype=T.float64), params)
    results["filled"] = params
    return results


def _grads(T, rng, params):
    for p in params:
        p.grad = T.tensor(rng.normal(0, 1, tuple(p.shape)))


@case
def averages_of_learning_rates(T, rng):
    results = {}
    for i, args in enumerate([(0.01,), ([0.01, 0.3], 5, "linear"), (0.05, 0), (0.05, 20, "cos")]):
        optimizer = _two_groups(T)
        schedule = T.optim.swa_utils.SWALR(optimizer, *args)
        rates = []
        for _ in range(30):
            optimizer.step()
            schedule.step()
            rates.append([g["lr"] for g in optimizer.param_groups])
        results[str(i)] = _table(rates)
    return results
