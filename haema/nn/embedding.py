"""A learned table of vectors."""

from __future__ import annotations

from typing import Any

from haema.autograd import no_grad
from haema.errors import HaemaError, ShapeError
from haema.nn import functional as F
from haema.nn import init
from haema.nn._factory import empty_parameter, sizes
from haema.nn.module import Module
from haema.nn.parameter import Parameter
from haema.tensor import Tensor

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(Module):
    """y[i] = W[x[i]]: the rows of a table, by number.

    Args:
        num_embeddings: Rows of the table.
        embedding_dim: Size of a row.
        padding_idx: A row that is 0 at first and gets no gradient; negative counts from the end.
        max_norm: Must be None: rows are not renormalised.
        device, dtype: "cpu"; type of the table.

    Shape: (...) of integers -> (..., embedding_dim).

    Attributes:
        weight: W, (num_embeddings, embedding_dim), standard normal at first.

    Raises:
        HaemaError: ``max_norm`` is given.
        ValueError: ``padding_idx`` is no row.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if max_norm is not None:
            raise HaemaError("Embedding: max_norm is not supported; normalise the weight with F.normalize instead")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"Embedding: padding_idx {padding_idx} is none of the {num_embeddings} rows")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = empty_parameter((num_embeddings, embedding_dim), device, dtype)
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """An embedding with the given table, by default not learned further."""
        if embeddings.ndim != 2:
            raise ShapeError(f"Embedding: a table has 2 axes, not shape {tuple(embeddings.shape)}")
        layer = cls(embeddings.shape[0], embeddings.shape[1], padding_idx=padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def reset_parameters(self) -> None:
        """Draw the table again."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class EmbeddingBag(Module):
    """Sums or means of rows of a table, one for each bag of row numbers; see ``F.embedding_bag``.

    Args:
        num_embeddings: Rows of the table.
        embedding_dim: Size of a row.
        mode: "mean" or "sum".
        sparse: Must be False: gradients are dense.
        padding_idx: A row that is left out of every bag.
        device, dtype: "cpu"; type of the table.

    Shape: (bags, length) of integers, or (elements) and offsets (bags) -> (bags, embedding_dim).

    Attributes:
        weight: W, (num_embeddings, embedding_dim), standard normal at first.

    Raises:
        HaemaError: sparse gradients are asked for.
        ValueError: ``padding_idx`` is no row, or the mode is unknown.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        mode: str = "mean",
        sparse: bool = False,
        padding_idx: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise HaemaError("EmbeddingBag: gradients are dense here; leave sparse out")
        if mode not in ("sum", "mean"):
            raise ValueError(f"EmbeddingBag: mode must be 'sum' or 'mean', not {mode!r}")
        table = Embedding(num_embeddings, embedding_dim, padding_idx, device=device, dtype=dtype)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.mode = mode
        self.padding_idx = table.padding_idx
        self.weight = table.weight

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(input, self.weight, offsets, self.mode, per_sample_weights, self.padding_idx)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}"
