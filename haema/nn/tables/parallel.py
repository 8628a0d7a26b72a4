"""Several networks of the same shape side by side, as one."""

from __future__ import annotations

import math

from haema import ops
from haema.errors import ShapeError
from haema.nn import init
from haema.nn._factory import empty_parameter, sizes
from haema.nn.containers import ModuleList
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["ParallelLinear", "ParallelMLP"]


class ParallelLinear(Module):
    """K fully connected layers side by side.

        y_k = x_k W_k^T + b_k

    Args:
        members: K.
        in_features: I, the size of the last axis of x.
        out_features: O, that of y.
        bias: Whether there is a b.

    Shapes:
        x: (N, I), the same for all, or (K, N, I); y: (K, N, O).

    Attributes:
        weight: W, (K, O, I), uniform with variance 1 / I at first.
        bias: b, (K, O), uniform on +- 1 / sqrt(I), or None.

    Raises:
        ValueError: a size is no whole number or too small.
        ShapeError: x has another number of axes.
    """

    def __init__(self, members: int, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        sizes("ParallelLinear", members=members, out_features=out_features)
        sizes("ParallelLinear", least=0, in_features=in_features)
        self.members, self.in_features, self.out_features = members, in_features, out_features
        self.weight = empty_parameter((members, out_features, in_features), None, None)
        self.register_parameter("bias", empty_parameter((members, out_features), None, None) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        init.uniform_(self.weight, -math.sqrt(3) * bound, math.sqrt(3) * bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (2, 3):
            raise ShapeError(f"ParallelLinear: x has shape {x.shape}, where (N, I) or (K, N, I) is right")
        if x.ndim == 2:
            x = ops.expand(x, shape=(self.members, *x.shape))  # (K, N, I), without a copy
        y = ops.contract(x, self.weight, spec="kni,koi->kno")
        return y if self.bias is None else y + self.bias.reshape(self.members, 1, self.out_features)

    def extra_repr(self) -> str:
        return f"{self.members} x {self.in_features} -> {self.out_features}, bias={self.bias is not None}"


class ParallelMLP(Module):
    """K multi-layer perceptrons side by side, each with a straight way from input to output.

        h_0 = x,  h_i = kept_i silu(W_i h_(i-1)),  y = W h_depth + S x

    There are no biases: one of the columns of x is to be 1. W and S are 0 at first, so that a network begins with what
    S is set to.

    Args:
        members: K.
        inputs: Width of x.
        hidden: Width of each hidden layer.
        outputs: Width of y.
        depth: Hidden layers; default 3.

    Shapes:
        x: (N, inputs), the same for all, or (K, N, inputs).
        kept: Factors of the hidden units for dropout, (depth, N, hidden), the same for all K; or None.
        y: (K, N, outputs).
    """

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int, depth: int = 3) -> None:
        super().__init__()
        widths = [inputs] + [hidden] * depth
        self.hidden = ModuleList(
            ParallelLinear(members, a, b, bias=False) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.last = ParallelLinear(members, widths[-1], outputs, bias=False)
        self.straight = ParallelLinear(members, inputs, outputs, bias=False)
        init.zeros_(self.last.weight)
        init.zeros_(self.straight.weight)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        h = x
        for i, layer in enumerate(self.hidden):
            half = layer(h) * 0.5
            h = half + half * half.tanh()  # silu(s) = s / (1 + e^-s) = s/2 (1 + tanh(s/2))
            if kept is not None:
                h = h * kept[i]
        return self.last(h) + self.straight(x)
