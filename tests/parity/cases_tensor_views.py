"""Tensors: shapes, reading and writing through an index."""

from __future__ import annotations

import math

import numpy as np

from tests.parity.harness import case, refused


def _leaf(T, array):
    return T.tensor(np.asarray(array, "float64"), requires_grad=True)


def _gradient(T, y, *leaves):
    w = T.tensor([math.cos(1.7 * i) for i in range(y.numel())], dtype=y.dtype).reshape(y.shape)
    (y * w).sum().backward()
    return [x.grad for x in leaves]


def _checked(T, f, x):
    """A view or copy of ``x``, and its gradient."""
    x = x.detach().clone().requires_grad_()
    y = f(x)
    return [y, *_gradient(T, y, x)]


@case
def shapes(T, rng):
    x = _leaf(T, rng.normal(size=(2, 3, 4)))
    calls = {
        "reshape": lambda x: x.reshape(4, -1), "reshape tuple": lambda x: x.reshape((6, 4)),
        "view": lambda x: x.view(-1),
        "permute": lambda x: x.permute(2, 0, 1), "permute tuple": lambda x: x.permute((-1, 0, 1)),
        "transpose": lambda x: x.transpose(0, -1), "T": lambda x: x[0].T, "mT": lambda x: x.mT,
        "t": lambda x: x[0].t(),
        "swapaxes": lambda x: x.swapaxes(0, 1), "movedim": lambda x: x.movedim(0, 2),
        "swapdims": lambda x: x.swapdims(0, 1), "moveaxis": lambda x: x.moveaxis(0, 2),
        "movedim several": lambda x: x.movedim((0, 1), (2, 0)),
        "unsqueeze": lambda x: x.unsqueeze(-1).unsqueeze(0),
        "squeeze": lambda x: x[:1].squeeze(), "squeeze dim": lambda x: x[:1, :, :1].squeeze(0).squeeze(0),
        "squeeze several": lambda x: x[:1, :, :1].squeeze((0, 2)), "flatten": lambda x: x.flatten(1),
        "flatten all": lambda x: x.flatten(), "flatten front": lambda x: x.flatten(0, 1),
        "flatten number": lambda x: x[0, 0, 0].flatten(),
        "unflatten": lambda x: x.unflatten(2, (2, -1)), "expand": lambda x: x[:, :1].expand(-1, 5, 4),
        "expand in front": lambda x: x[0].expand(2, 3, 4), "expand_as": lambda x: x[:1].expand_as(x),
        "broadcast_to": lambda x: T.broadcast_to(x[0, 0], (3, 4)), "flip": lambda x: x.flip(0, 2),
        "flip list": lambda x: x.flip([1]),
        "roll": lambda x: x.roll(1), "roll dims": lambda x: x.roll((1, -2), (0, 2)),
        "roll far": lambda x: x.roll(7, 1),
        "narrow": lambda x: x.narrow(1, 1, 2), "select": lambda x: x.select(1, -1),
        "unfold": lambda x: x.unfold(2, 2, 1),
        "unfold step": lambda x: x.unfold(1, 2, 2), "diagonal": lambda x: x.diagonal(),
        "diagonal offset": lambda x: x.diagonal(1, 1, 2),
        "diagonal below": lambda x: x.diagonal(-1, 2, 1), "diagonal outside": lambda x: x.diagonal(9, 1, 2),
        "tril": lambda x: x.tril(), "tril -1": lambda x: x.tril(-1), "triu": lambda x: x.triu(1),
        "repeat": lambda x: x.repeat(2, 1, 2),
        "repeat in front": lambda x: x[0].repeat(2, 1, 1), "tile": lambda x: x.tile(2),
        "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
        "repeat_interleave flat": lambda x: x.repeat_interleave(3),
        "contiguous": lambda x: x.permute(2, 0, 1).contiguous(),
        "view after contiguous": lambda x: x.permute(2, 0, 1).contiguous().view(8, 3),
        "clone": lambda x: x.mT.clone(),
        "split": lambda x: T.cat([p * i for i, p in enumerate(x.split(3, 2))], 2),
        "split sizes": lambda x: T.cat([p * i for i, p in enumerate(x.split([1, 0, 3], 2))], 2),
        "chunk": lambda x: T.cat([p * i for i, p in enumerate(x.chunk(3, 2))], -1),
        "unbind": lambda x: T.stack([p * i for i, p in enumerate(x.unbind(1))], 2),
        "stack": lambda x: T.stack([x, x * 2], -1),
        "cat": lambda x: T.cat([x, x[:, :1], x[:, :0]], 1),
        "iterate": lambda x: sum(r * i for i, r in enumerate(x)),
        "reshape_as": lambda x: x.reshape_as(x.mT), "diag": lambda x: T.diag(x[0, 0], 1),
        "diag of matrix": lambda x: T.diag(x[0]),
        "gather": lambda x: x.gather(1, T.tensor([[[0, 2, 1, 1]], [[2, 2, 0, 1]]])),
        "take_along_dim": lambda x: x.take_along_dim(T.tensor([[[1], [0]]]), 1),
        "index_select": lambda x: x.index_select(1, T.tensor([2, 2, 0])),
        "masked_select": lambda x: x.masked_select(x > 0),
        "scatter": lambda x: (x * 1).scatter(2, T.tensor([[[3], [1], [0]]]), x[:1, :, :1] * 2),
        "scatter number": lambda x: x.scatter(2, T.tensor([[[3, 0]]]), 7.0),
        "scatter_add": lambda x: x.scatter_add(1, T.tensor([[[0, 1, 1, 2], [0, 1, 1, 2]]] * 2), x[:, 1:] * 2),
        "index_add": lambda x: x.index_add(1, T.tensor([2, 0, 2]), x * 2, alpha=0.5),
    }  # fmt: skip
    results = {name: _checked(T, f, x) for name, f in calls.items()}
    results["sizes"] = [
        x.size(),
        x.size(1),
        x.size(-1),
        x.numel(),
        x.ndim,
        x.dim(),
        len(x),
        x.stride(),
        x[0].T.stride(),
    ]
    results["contiguity"] = [
        x.is_contiguous(),
        x.mT.is_contiguous(),
        x[:, 1:].is_contiguous(),
        x.mT.contiguous().is_contiguous(),
    ]
    results["bool"] = [
        T.tensor([True, False]).repeat(2),
        T.tensor([True, False]).repeat_interleave(2),
        T.eye(2).bool().T,
    ]
    results["meshgrid"] = list(T.meshgrid(T.arange(2), T.arange(3), indexing="ij")) + list(
        T.meshgrid(T.arange(2), T.arange(3), indexing="xy")
    )
    results["refused"] = [
        refused(lambda f=f: f(x.detach()))
        for f in (
            lambda x: x.reshape(5, 5), lambda x: x.reshape(-1, -1), lambda x: x.mT.view(-1),
            lambda x: x.permute(0, 1),
            lambda x: x.permute(0, 0, 1), lambda x: x.expand(2, 3, 5), lambda x: x.expand(3, 4),
            lambda x: x.t(),
            lambda x: T.cat([x, x[0]]), lambda x: T.stack([x, x[:1]]), lambda x: x.split([1, 1], 2),
            lambda x: x.unsqueeze(5),
            lambda x: x.narrow(1, 2, 2), lambda x: x.select(0, 2), lambda x: x.flatten(2, 1),
            lambda x: x.unflatten(2, (3, 2)),
            lambda x: x.repeat(2), lambda x: x.unfold(0, 3, 1), lambda x: x.gather(0, T.tensor([0])),
            lambda x: x[:, :0].reshape(0, -1),
            lambda x: T.cat([]), lambda x: T.stack([]), lambda x: x.gather(2, T.tensor([[[9]]])),
            lambda x: x.flip(0, 0),
            lambda x: x.sum((0, 0)), lambda x: x.sum(3),
            lambda x: x.amax(1) if x[:, :0].amax(1) is None else None,
        )
    ]  # fmt: skip
    return results


def _indices(T):
    """Indices for shape (3, 4, 2, 5)."""
    rows, pair = T.tensor([0, 2, 1]), T.tensor([[0, 1, 1]])
    mask = T.tensor([[True, False, True, True], [False] * 4, [True, False, False, False]])
    return {
        "0": 0, "-1": -1, "slice": slice(1, 3), "step": slice(0, 4, 2), "empty": slice(2, 1),
        "far": slice(-9, 9), "...": ...,
        "None": None, "ints": (1, 2, 0, 3), "int slice": (0, slice(None), 1), "... int": (..., 2),
        "int ... int": (1, ..., 0),
        "None mix": (None, 0, ..., None, slice(1, 3)), "rows": rows, "list": [0, 2],
        "nested": np.array([[0, 1], [2, 2]]), "empty list": [],
        "negative": T.tensor([-1, -3]), "int32": T.tensor([2, 0], dtype=T.int32), "array": np.array([1, 1]),
        "range": range(2),
        "rows after": (slice(None), rows), "rows last": (..., rows), "two": (rows, rows),
        "two broadcast": (rows, pair),
        "apart": (rows, slice(None), pair[:, :1]), "apart in front": (slice(None), pair, slice(None), rows),
        "middle": (slice(1), rows, pair),
        "int array": (0, rows), "array int": (rows, 1), "array slice int": (rows, slice(None), 1),
        "int slice array": (0, slice(None), T.tensor([0, 1])),
        "array None array": (rows, None, rows), "None array": (None, rows), "array None": (rows, None),
        "slice array None": (slice(None), rows, None),
        "mask": mask, "mask first": T.tensor([True, False, True]), "mask second": (slice(None), mask[0]),
        "mask rest": (mask, 1),
        "mask and array": (mask[:, 0], slice(None), T.tensor([0, 1])),
        "two masks": (mask[:, 0], T.tensor([True, False, False, True])),
        "mask list": [True, False, True], "all masked": mask & False, "True": True, "False": False,
        "tensor True": T.tensor(True),
        "number tensor": T.tensor(1), "number tensors": (T.tensor(1), slice(None), T.tensor(0)),
        "number array": (T.tensor(1), rows),
        "empty array": T.tensor([], dtype=T.int64),
        "empty apart": (T.tensor([], dtype=T.int64), slice(None), T.tensor([], dtype=T.int64)),
        "array ... array": (rows, ..., rows), "None ... array": (None, ..., rows), "mask ...": (mask, ..., 0),
        "numpy int": np.int64(2),
    }  # fmt: skip


@case
def getting(T, rng):
    base = rng.normal(size=(3, 4, 2, 5))
    results = {}
    for name, index in _indices(T).items():
        if name == "two masks":
            index = (index[0] & T.tensor([True, True, True]), index[1])
        x = _leaf(T, base)
        y = x[index]
        results[name] = [y.shape, y.sum(), *_gradient(T, y, x)] if y.numel() > 60 else [y, *_gradient(T, y, x)]
    x = T.tensor(base)
    wrong = (
        3,
        -4,
        (0, 0, 0, 0, 0),
        T.tensor([3]),
        T.tensor([True, False]),
        1.5,
        T.tensor([0.5]),
        (T.tensor([0, 1]), T.tensor([0, 1, 2])),
    )
    results["refused"] = [refused(lambda i=i: x[i]) for i in wrong] + [refused(lambda: T.tensor(1.0)[0])]
    return results


@case
def setting(T, rng):
    base = rng.normal(size=(3, 4, 2, 5))
    results = {}
    for name, index in _indices(T).items():
        x = _leaf(T, base)
        shape = tuple(x.detach()[index].shape)
        repeated = name in ("nested", "array")  # PyTorch leaves open which of several writes to one place stays
        v = _leaf(T, np.ones(shape) if repeated else rng.normal(size=shape))
        y = x * 1
        y[index] = v
        results[name] = [y.sum(dim=(0, 3)), *([] if repeated or 0 in shape else _gradient(T, y, x, v))]
        z = T.tensor(base)
        z[index] = 3
        z[index] += 1
        results[f"{name} number"] = z.sum(dim=(1, 2))
    x = _leaf(T, base)
    v, w = _leaf(T, rng.normal(size=(1, 1, 5))), _leaf(T, rng.normal(size=()))
    y = x * 2
    y[1:, :, 0] = v
    y[:, T.tensor([0, 2]), 1] = w
    y[y > 1] = w
    y[..., 0] *= 3
    results["broadcast"] = [y, *_gradient(T, y, x, v, w)]
    z = T.arange(4)
    z[1:] = z[:-1].clone()
    z[0] = 2.7
    z[T.tensor([True, False, False, False])] = T.tensor(9.9)
    results["converted"] = z
    z = T.zeros(2, 3)
    results["refused"] = [
        refused(lambda i=i, v=v: z.__setitem__(i, v))
        for i, v in (
            (0, T.zeros(2)),
            (slice(None), T.zeros(3, 3)),
            ((0, 0), T.zeros(2)),
            (5, 1),
            (T.tensor([0, 1]), T.zeros(3, 3)),
        )
    ]
    return results
