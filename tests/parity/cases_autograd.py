"""The tape: gradients of gradients, options of backward and grad, hooks, modes."""

from __future__ import annotations

import itertools

import numpy as np

from tests.parity.harness import case, refused


def _leaf(T, array):
    return T.tensor(np.asarray(array, "float64"), requires_grad=True)


def _grads(T, y, xs, **kw):
    return list(T.autograd.grad(y, xs, **kw))


THIRD = {
    "power": lambda x: x**4,
    "sigmoid": lambda x: x.sigmoid(),
    "softmax": lambda x: x.softmax(0)[0] ** 2,
    "prod": lambda x: (x * x).prod(),
}


@case
def tape(T, rng):
    results = {}
    x, w = _leaf(T, rng.normal(size=(2, 3))), _leaf(T, rng.normal(size=(3,)))
    y = (x * w).tanh()
    results["grad"] = _grads(T, y.sum(), [x, w])
    y = (x * w).tanh()
    first = _grads(T, y.sum(), [x, w], create_graph=True)
    results["second"] = _grads(T, sum((g * g).sum() for g in first), [x, w])
    c = T.tensor([1.0, -2.0, 3.0], dtype=T.float64)
    for name, f in THIRD.items():
        g = w
        for order in range(3):
            y = f(w) if order == 0 else g
            g = _grads(T, (y * c).sum(), [w], create_graph=True)[0]
        results[f"third {name}"] = g
    y = x * w
    results["through"] = _grads(T, (y * y).sum(), [y])
    results["vector"] = _grads(T, x * w, [w], grad_outputs=T.ones(2, 3, dtype=T.float64) * 2)
    results["several"] = _grads(T, [(x * 2).sum(), (x * w).sum()], [x, w])
    results["unused"] = [g is None for g in _grads(T, (x * 2).sum(), [x, w], allow_unused=True)]
    results["materialized"] = _grads(T, (x * 2).sum(), [x, w], allow_unused=True, materialize_grads=True)
    for _ in range(2):
        (x * w).sum().backward()
    results["accumulated"] = [x.grad, w.grad]
    x.grad = w.grad = None
    y = (x * w).exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    results["retained"] = [x.grad, w.grad, refused(y.backward)]
    x.grad = w.grad = None
    (x * w).sum().backward(inputs=[w])
    results["inputs"] = [x.grad is None, w.grad]
    x.grad = w.grad = None
    (x * w).backward(T.ones(2, 3, dtype=T.float64))
    results["gradient"] = [x.grad, w.grad]
    x.grad = None
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward()
    results["retain_grad"] = [y.grad, x.grad]
    x.grad, seen = None, []
    hook = x.register_hook(lambda g: g * 10)
    y = x * 3
    y.register_hook(lambda g: seen.append(g))
    y.register_hook(lambda g: g + 1)
    y.sum().backward()
    hook.remove()
    results["hooks"] = [x.grad, *seen]
    x.grad = None
    (x * 3).sum().backward()
    results["hook removed"] = x.grad.clone()
    with T.no_grad():
        a = x * 2
        with T.enable_grad():
            b = x * 2
    c = T.set_grad_enabled(False) and None
    d = x * 2
    T.set_grad_enabled(True)

    @T.no_grad()
    def quiet(x):
        return x * 2

    @T.set_grad_enabled(False)
    def silent(x):
        return x * 2

    results["modes"] = [v.requires_grad for v in (a, b, d, quiet(x), silent(x), x * 2)] + [
        T.is_grad_enabled(),
        c is None,
    ]
    y = x * 2
    flags = [x, y, y.detach(), x.detach(), T.zeros(1), y[0], (x > 0), y.argmax(), x.data]
    results["flags"] = list(itertools.chain.from_iterable((v.requires_grad, v.is_leaf) for v in flags))
    results["refused"] = [
        refused(f)
        for f in (
            lambda: (x * 2).backward(), lambda: T.zeros(1).backward(), lambda: x.add_(1), lambda: x[0].add_(1),
            lambda: x.__setitem__(0, 1),
            lambda: (x * 2).backward(T.ones(2, dtype=T.float64)), lambda: _grads(T, w.sum(), [x]),
            lambda: _grads(T, x.sum(), [T.zeros(1)]),
            lambda: T.tensor([1]).requires_grad_(), lambda: (x * 2).requires_grad_(False),
            lambda: T.zeros(2).retain_grad(), lambda: x.numpy(),
            lambda: _changed(x, lambda y: y.exp()), lambda: _changed(x, lambda y: y * y),
            lambda: _changed(x, lambda y: y / w),
        )
    ]  # fmt: skip
    results["allowed"] = [
        refused(lambda: _changed(x, lambda y: y + y)),
        refused(lambda: _changed(x, lambda y: y.sum(0))),
    ]
    return results


def _changed(x, f):
    y = x * 2
    z = f(y)
    y.add_(1)
    z.add_(1)
    z.sum().backward()
