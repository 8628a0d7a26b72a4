"""The network for tables: two kinds of small networks, several of each, blended."""

from __future__ import annotations

from collections.abc import Sequence

from haema.creation import arange, full, ones, zeros
from haema.errors import InputError
from haema.functions.shaping import cat
from haema.nn import functional as F
from haema.nn.module import Module
from haema.nn.tables.parallel import ParallelMLP
from haema.tensor import Tensor

__all__ = ["TableNet"]


class TableNet(Module):
    """K smooth and K stepwise networks, and the mixture of what they say.

        classes    y = log( w1 mean_k softmax(f_k(x)) + w2 mean_k softmax(g_k(x)) )
        numbers    y = mean + std a (w1 mean_k f_k(x) + w2 mean_k g_k(x))

    The smooth networks f_k see each number once, the stepwise ones g_k see its piecewise linear encoding too. Each
    of the K is trained without one fold of the rows; w and the shrinkage a are chosen on what they say of these.

    Args:
        smooth: The table's column behind each column of x that both kinds see; the first of these, 1, is left out.
        steps: The same of the columns that only the stepwise ones see.
        hidden: Width of the hidden layers.
        outputs: The number of classes, or of the numbers to be predicted.
        members: K.
        classify: Whether classes are predicted.
        dropout: Share of the hidden units that are dropped in training, the same ones of a row in all members.

    Shapes:
        x: (N, 1 + len(smooth) + len(steps)).
        fold: (N,), the number of each row's fold, for training.
        y: (N, outputs). In training (M, N, outputs + 1): the outputs of the M members of the kinds that still
            learn, and 0 where a row is of the member's own fold, else 1.

    Attributes:
        weights: w1 and w2.
        shrink: a.
        mean, std: Of the numbers.
        learning: Whether each kind still learns.
    """

    weights: Tensor
    shrink: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        smooth: list[int],
        steps: list[int],
        hidden: int,
        outputs: int,
        members: int,
        classify: bool,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.smooth_width, self.width = 1 + len(smooth), 1 + len(smooth) + len(steps)
        self.members, self.classify = members, classify
        self.dropout = dropout
        self.smooth_networks = ParallelMLP(members, smooth, hidden, outputs)
        self.stepwise_networks = ParallelMLP(members, [*smooth, *steps], hidden, outputs)
        self.register_buffer("weights", full((2,), 0.5))
        self.register_buffer("shrink", ones(()))
        self.register_buffer("mean", zeros(outputs))
        self.register_buffer("std", ones(outputs))
        self.learning = (True, True)

    @property
    def kinds(self) -> tuple[ParallelMLP, ParallelMLP]:
        """The smooth networks and the stepwise ones."""
        return self.smooth_networks, self.stepwise_networks

    def of_kind(self, kind: int, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """The outputs of the members of a kind, (K, N, outputs).

        Args:
            kind: 0: smooth; 1: stepwise.
            x: (N, width), or (K, N, width) with rows for each member.
            kept: Factors of the hidden units, (N, hidden), or None.
        """
        return self.kinds[kind](x[..., : self.smooth_width] if kind == 0 else x, kept)

    def mixture(self, outputs: Sequence[Tensor]) -> Tensor:
        """What the members of both kinds say together, (N, outputs).

        Args:
            outputs: (K, N, outputs) of each kind.
        """
        if self.classify:
            outputs = [y.softmax(-1) for y in outputs]
        parts = [self.weights[i] * y.mean(0) for i, y in enumerate(outputs)]
        y = parts[0] + parts[1]
        return y.clamp(min=1e-9).log() if self.classify else self.mean + self.std * self.shrink * y

    def forward(self, x: Tensor, fold: Tensor | None = None) -> Tensor:
        if not self.training:
            return self.mixture([self.of_kind(kind, x) for kind in (0, 1)])
        if fold is None:
            raise InputError("TableNet: in training the rows' folds are needed beside them")
        outside = (fold.reshape(1, -1) != arange(self.members, dtype=fold.dtype).reshape(-1, 1)).to(x.dtype)
        outside = outside.unsqueeze(-1)  # (K, N, 1)
        kept = None
        if self.dropout > 0:
            kept = F.dropout(ones(x.shape[0], self.smooth_networks.last.in_features, dtype=x.dtype), self.dropout)
        return cat([cat([self.of_kind(i, x, kept), outside], -1) for i in (0, 1) if self.learning[i]], 0)
