"""Several networks of the same shape side by side, as one."""

from __future__ import annotations

import itertools
import math

import numpy as np

from haema import ops
from haema.creation import ones, tensor
from haema.errors import ShapeError
from haema.functions.shaping import cat
from haema.nn import init
from haema.nn._factory import empty_parameter, sizes
from haema.nn.containers import ModuleList
from haema.nn.module import Module
from haema.nn.parameter import Parameter
from haema.tensor import Tensor

__all__ = ["ParallelLinear", "ParallelMLP"]


class ParallelLinear(Module):
    """K fully connected layers side by side.

        y_k = (x_k * gate_k) W_k^T + b_k

    Args:
        members: K.
        in_features: I, the size of the last axis of x.
        out_features: O, that of y.
        bias: Whether there is a b.
        zero: Whether W is 0 at first, and not uniform with variance 1 / I.

    Shapes:
        x: (N, I), the same for all, or (K, N, I).
        gate: Factors of the inputs, (K, I), or None.
        y: (K, N, O).

    Attributes:
        weight: W, (K, O, I).
        bias: b, (K, O), uniform on +- 1 / sqrt(I), or None.

    Raises:
        ValueError: a size is no whole number or too small.
        ShapeError: x has another number of axes.
    """

    def __init__(
        self, members: int, in_features: int, out_features: int, bias: bool = True, zero: bool = False
    ) -> None:
        super().__init__()
        sizes("ParallelLinear", members=members, out_features=out_features)
        sizes("ParallelLinear", least=0, in_features=in_features)
        self.members, self.in_features, self.out_features, self.zero = members, in_features, out_features, zero
        self.weight = empty_parameter((members, out_features, in_features), None, None)
        self.register_parameter("bias", empty_parameter((members, out_features), None, None) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        if self.zero:
            init.zeros_(self.weight)
        else:
            init.uniform_(self.weight, -math.sqrt(3) * bound, math.sqrt(3) * bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        if x.ndim not in (2, 3):
            raise ShapeError(f"ParallelLinear: x has shape {x.shape}, where (N, I) or (K, N, I) is right")
        if x.ndim == 2:
            x = ops.expand(x, shape=(self.members, *x.shape))  # (K, N, I), without a copy
        weight = self.weight if gate is None else self.weight * gate.unsqueeze(1)
        y = ops.contract(x, weight, spec="kni,koi->kno")
        return y if self.bias is None else y + self.bias.reshape(self.members, 1, self.out_features)

    def extra_repr(self) -> str:
        return f"{self.members} x {self.in_features} -> {self.out_features}, bias={self.bias is not None}"


class ParallelMLP(Module):
    """K multi-layer perceptrons side by side, each with a straight way from input to output.

        h_0 = g * x,  h_i = kept silu(W_i h_(i-1)),  y = W h_depth + S (g * x)

    The gates g, one for each group of columns, let a network do without columns that say nothing: an L1 penalty on
    them closes these. There are no biases: the first column of x is to be 1, and has no gate. W and S are 0 at first,
    so that a network begins with what S is set to.

    Args:
        members: K.
        groups: For each column of x but the first the number of its group, from 0.
        hidden: Width of each hidden layer.
        outputs: Width of y.
        depth: Hidden layers; default 3.

    Shapes:
        x: (N, 1 + len(groups)), the same for all, or (K, N, 1 + len(groups)).
        kept: Factors of the hidden units for dropout, (N, hidden), the same in all layers of all K; or None.
        y: (K, N, outputs).

    Attributes:
        gate: g, (K, number of groups), 1 at first.

    Source: Y. Grandvalet, S. Canu (1998), Outcomes of the equivalence of adaptive ridge with least absolute shrinkage
    (learned factors of the inputs select among them).
    """

    index: Tensor

    def __init__(self, members: int, groups: list[int], hidden: int, outputs: int, depth: int = 3) -> None:
        super().__init__()
        inputs = 1 + len(groups)
        self.gate = Parameter(ones(members, 1 + max(groups, default=-1)))
        self.register_buffer("index", tensor(np.array([0, *(g + 1 for g in groups)], np.int64)), persistent=False)
        widths = [inputs] + [hidden] * depth
        layers = [ParallelLinear(members, a, b, bias=False) for a, b in itertools.pairwise(widths)]
        self.hidden = ModuleList(layers)
        self.last = ParallelLinear(members, widths[-1], outputs, bias=False, zero=True)
        self.straight = ParallelLinear(members, inputs, outputs, bias=False, zero=True)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        one = ones(self.gate.shape[0], 1, dtype=self.gate.dtype)
        gate = cat([one, self.gate], 1).index_select(1, self.index)  # (K, width of x)
        h = x
        for i, layer in enumerate(self.hidden):
            half = layer(h, None if i else gate) * 0.5
            h = half + half * half.tanh()  # silu(s) = s / (1 + e^-s) = s/2 (1 + tanh(s/2))
            if kept is not None:
                h = h * kept
        return self.last(h) + self.straight(x, gate)
