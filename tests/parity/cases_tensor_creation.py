"""Tensors: creation, conversion, reading out."""

from __future__ import annotations

import numpy as np

from tests.parity.harness import case, dtype_name, refused


@case
def conversions(T, rng):
    x = T.tensor([0.0, 1.7, -2.3, 3.0])
    results = {
        d: getattr(x.abs() if d == "byte" else x, d)() for d in ("float", "double", "long", "int", "byte", "bool")
    }
    for d in ("bool", "uint8", "int32", "int64", "float32", "float64"):
        results[f"to {d}"] = [
            x.abs().to(getattr(T, d)),
            T.tensor([0, 3]).to(getattr(T, d)),
            T.tensor([True, False]).to(getattr(T, d)),
        ]
    results["ways"] = [
        x.to("cpu"),
        x.to("cpu", T.float64),
        x.to(dtype=T.int64),
        x.type(T.float64),
        x.type_as(T.tensor(1)),
        x.to(T.tensor(1.0, dtype=T.float64)),
    ]
    results["same"] = [x.to(T.float32) is x, x.contiguous() is x, x.clone() is x, x.to(T.float32, copy=True) is x]
    results["python"] = [
        x[1:2].item(),
        T.tensor(3).item(),
        T.tensor(True).item(),
        x.tolist(),
        float(x[1]),
        int(x[3]),
        bool(x[1]),
        [1, 2, 3][T.tensor(1)],
    ]
    results["words"] = [f"{T.tensor(1.5)}", f"{T.tensor(1.25):.1f}", f"{T.tensor(3, dtype=T.int32):04d}"]
    results["contains"] = [1.7 in x.double(), 3.0 in x, 9 in x]
    results["refused"] = [
        refused(lambda: x.item()),
        refused(lambda: bool(x)),
        refused(lambda: len(T.tensor(1))),
        refused(lambda: [1][T.tensor(0.0)]),
    ]
    results["numpy"] = [
        x.numpy(),
        np.asarray(x),
        T.from_numpy(np.arange(3)),
        T.as_tensor([1, 2]),
        T.as_tensor(np.float64(2)),
    ]
    results["new"] = [
        x.new_zeros(2, 3),
        x.new_ones((2,)),
        x.new_full((2,), 5),
        x.new_tensor([1, 2]),
        x.new_zeros(2, dtype=T.int64),
    ]
    y = x.double().requires_grad_()
    (y.float() * T.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    results["gradient"] = y.grad
    return results


@case
def creation(T, rng):
    results = {
        "tensor": [
            T.tensor(d)
            for d in (
                1,
                1.5,
                True,
                [1, 2],
                [1.0, 2],
                [[True], [False]],
                [1, 2.5],
                [True, 2],
                [],
                [[]],
                np.arange(3),
                np.ones(2),
                np.ones(2, "f4"),
            )
        ],
        "typed": [
            T.tensor([1, 2], dtype=T.float32),
            T.tensor([0.5, 2], dtype=T.int64),
            T.tensor([0, 2], dtype=T.bool),
            T.tensor([1e40]),
            T.tensor(2.0**60),
        ],
        "nested": T.tensor([[T.tensor(1.0), T.tensor(2.0)], [3.0, 4.0]]),
        "filled": [
            T.zeros(2, 3),
            T.ones((2,)),
            T.zeros([]),
            T.full((2,), 3),
            T.full((2, 1), 2.5),
            T.full((), True),
            T.zeros(2, dtype=T.int64),
            T.full((1,), 2, dtype=T.float64),
        ],
        "like": [f(T.tensor([[1, 2]])) for f in (T.zeros_like, T.ones_like)]
        + [T.full_like(T.tensor([1.0]), 3), T.zeros_like(T.tensor([1]), dtype=T.float64)],
        "arange": [
            T.arange(5),
            T.arange(5.0),
            T.arange(2, 8, 3),
            T.arange(5, 0, -2),
            T.arange(0, 1, 0.1),
            T.arange(3, dtype=T.float64),
            T.arange(1, 2.5),
            T.arange(0),
        ],
        "linspace": [
            T.linspace(0, 1, 5),
            T.linspace(-1, 1, 1),
            T.linspace(1, 0, 3, dtype=T.float64),
            T.logspace(0, 2, 3),
            T.logspace(0, 3, 4, 2),
        ],
        "eye": [T.eye(3), T.eye(2, 3), T.eye(3, 2, dtype=T.int64)],
        "empty": [
            T.empty(2, 3).shape,
            T.empty_like(T.ones(2)).dtype == T.float32,
            dtype_name(T.empty(1, dtype=T.int32)),
        ],
        "constants": [T.pi, T.e, T.inf],
    }
    results["refused"] = [
        refused(f)
        for f in (
            lambda: T.tensor([[1], [1, 2]]),
            lambda: T.tensor("x"),
            lambda: T.tensor(None),
            lambda: T.tensor([1], requires_grad=True),
            lambda: T.arange(0, 1, 0),
            lambda: T.zeros(-1),
            lambda: T.zeros(2, dtype=T.int64, requires_grad=True),
            lambda: T.tensor([2**63]),
            lambda: T.from_numpy([1, 2]),
            lambda: T.tensor([2**70]),
        )
    ]
    return results
