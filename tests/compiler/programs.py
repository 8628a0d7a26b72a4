"""The steps that random programs are made of: from x, w and numbered choices, a tensor that goes on."""

from __future__ import annotations

from typing import Any

import haema as hm
import haema.nn.functional as F
from haema import Tensor


def axis(x: Any, k: int) -> int:
    return k % max(x.ndim, 1)


def _line(x: Tensor) -> Tensor:
    """x as a batch of one sequence with one channel."""
    return x.reshape(1, 1, -1)


def _rows(x: Tensor, k: int) -> Tensor:
    return hm.arange(k) % max(x.shape[0], 1)


def _kept(x: Tensor, k: int) -> Tensor:
    """In-place changes of a copy, of a view of it, and of a view of that."""
    y = x * 1
    flat = y.reshape(-1)
    if flat.numel() > 1:
        flat[1:].mul_(0.5)
        flat[::2][k % 2 :].add_(0.25)
        flat[0] = flat[-1]
    return y + flat.sum()


STEPS: dict[str, Any] = {
    "tanh": lambda x, w, k: x.tanh(),
    "sigmoid": lambda x, w, k: x.sigmoid(),
    "sin": lambda x, w, k: (x * 2).sin(),
    "square": lambda x, w, k: x * x,
    "relu": lambda x, w, k: F.relu(x - 0.1),
    "divide": lambda x, w, k: x / (1 + (w * w).sum()),
    "softplus": lambda x, w, k: (1 + x.exp()).log(),
    "multiply": lambda x, w, k: x * w.mean() if w.numel() else x,
    "sum": lambda x, w, k: x.sum(axis(x, k), keepdim=k > 2),
    "total": lambda x, w, k: x * x.sum(),
    "mean": lambda x, w, k: x.mean(axis(x, k)) if x.numel() else x.sum(),
    "amax": lambda x, w, k: x.amax(axis(x, k), keepdim=k > 2) if x.numel() else x,
    "softmax": lambda x, w, k: x.softmax(axis(x, k)) if x.numel() else x,
    "log_softmax": lambda x, w, k: x.log_softmax(axis(x, k)) if x.numel() else x,
    "logsumexp": lambda x, w, k: x.logsumexp(axis(x, k)) if x.numel() else x,
    "cumsum": lambda x, w, k: x.cumsum(axis(x, k)) if x.ndim else x,
    "outer": lambda x, w, k: x.unsqueeze(-1) * w.flatten()[:3],
    "matmul": lambda x, w, k: x @ x.mT if x.ndim > 1 else x * 2,
    "times": lambda x, w, k: x @ w.flatten()[:1].expand(x.shape[-1], 3) if x.ndim and w.numel() else x,
    "einsum": lambda x, w, k: hm.einsum("a,b->ba", x.flatten()[:5], w.flatten()[:7]),
    "transpose": lambda x, w, k: x.transpose(0, -1) if x.ndim else x,
    "flatten": lambda x, w, k: x.flatten(),
    "flip": lambda x, w, k: x.flip(axis(x, k)) if x.ndim else x,
    "slice": lambda x, w, k: x[k % 2 :: 2] if x.ndim else x,
    "last": lambda x, w, k: x[..., :-1] if x.ndim else x,
    "pick": lambda x, w, k: x[[0, -1, 0]] if x.ndim and x.shape[0] else x,
    "rows": lambda x, w, k: x[_rows(x, k + 2)] if x.ndim and x.shape[0] else x,
    "gather": lambda x, w, k: x.gather(0, hm.zeros(x.shape, dtype=hm.int64)) if x.ndim and x.shape[0] else x,
    "index_add": lambda x, w, k: x.index_add(0, hm.zeros(x.shape[0], dtype=hm.int64), x) if x.ndim > 1 and x.shape[0]
    else x,
    "cat": lambda x, w, k: hm.cat([x, x * 0.5], axis(x, k)) if x.ndim else x,
    "stack": lambda x, w, k: hm.stack([x, -x], k % (x.ndim + 1)),
    "pad": lambda x, w, k: F.pad(_line(x), (k % 3, (k + 1) % 3), value=0.5),
    "window": lambda x, w, k: _line(x).unfold(2, 1 + k % 3, 1 + k % 2) if x.numel() > 3 else x,
    "conv": lambda x, w, k: F.conv1d(_line(x), w.flatten()[:3].reshape(1, 1, -1), stride=1 + k % 2, padding=k % 3)
    if x.numel() > 3 and w.numel()
    else x,
    "maxpool": lambda x, w, k: F.max_pool1d(_line(x), 2 + k % 2, stride=1 + k % 3) if x.numel() > 3 else x,
    "avgpool": lambda x, w, k: F.avg_pool1d(_line(x), 2 + k % 2, stride=1 + k % 3) if x.numel() > 3 else x,
    "write": lambda x, w, k: _kept(x, k),
    "unsqueeze": lambda x, w, k: x.unsqueeze(k % (x.ndim + 1)),
    "expand": lambda x, w, k: x.expand(2, *x.shape),
    "repeat": lambda x, w, k: x.repeat(*[2] * x.ndim) if x.ndim else x,
    "roll": lambda x, w, k: x.roll(k, 0) if x.ndim else x,
    "tril": lambda x, w, k: x.tril(k - 2) if x.ndim > 1 else x,
    "where": lambda x, w, k: hm.where(hm.arange(x.numel()).reshape(x.shape) % 2 == 0, x, x * x),
    "choose": lambda x, w, k: hm.where(x > 0.05, x, w.sum()),
    "cast": lambda x, w, k: x.double().float().to(x.dtype),
    "count": lambda x, w, k: x + (x > 0.05).sum().to(x.dtype) * 0.1,
    "clamp": lambda x, w, k: x.clamp(-0.4, 0.6),
    "variance": lambda x, w, k: (x.var(unbiased=False) + 1).sqrt() * x if x.numel() else x,
    "norm": lambda x, w, k: F.layer_norm(x, x.shape[-1:]) if x.ndim and x.shape[-1] > 1 and x.numel() else x,
    "random": lambda x, w, k: x * hm.rand(x.shape, dtype=x.dtype),
    "dropout": lambda x, w, k: F.dropout(x, 0.3),
}  # fmt: skip


def _add(s: Tensor, x: Tensor, k: int) -> None:
    s.add_(x.sum() * 0.1)


def _scale(s: Tensor, x: Tensor, k: int) -> None:
    s.mul_(0.9).sub_(0.1)


def _row(s: Tensor, x: Tensor, k: int) -> None:
    s[k % 3] = x.sum().tanh()


def _columns(s: Tensor, x: Tensor, k: int) -> None:
    s[:, k % 2 :: 2].add_(s[:, : (4 - k % 2 + 1) // 2] * 0.5)


def _transposed(s: Tensor, x: Tensor, k: int) -> None:
    s.T[1:3].copy_(s[:, :2].T * 0.5)


def _picked(s: Tensor, x: Tensor, k: int) -> None:
    s[[0, 2, 0], [1, k % 4, 3]] = hm.tensor([0.1, 0.2, 0.3], dtype=s.dtype)


def _turned(s: Tensor, x: Tensor, k: int) -> None:
    s.copy_(s.flip(k % 2) + x.sum())


def _moved(s: Tensor, x: Tensor, k: int) -> None:
    s[1:] = s[:-1]


CHANGES: dict[str, Any] = {
    "add": _add,
    "scale": _scale,
    "row": _row,
    "columns": _columns,
    "transposed": _transposed,
    "picked": _picked,
    "turned": _turned,
    "moved": _moved,
}
"""What a program does in place to a tensor of shape (3, 4) that was there before."""
