"""Layers that add noise in training and do nothing at inference."""

from __future__ import annotations

from haema.nn import functional as F
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "GaussianNoise"]


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: the probability p must be between 0 and 1, not {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training each element is 0 with probability p, else x / (1 - p), so that the mean stays.

    Args:
        p: Probability of 0.
        inplace: Write into the input.

    Source: N. Srivastava et al., "Dropout", JMLR 15, 2014, in the inverted form.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Dropout of whole channels of (N, C, L) or (C, L)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Dropout of whole channels of (N, C, H, W).

    Source: J. Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 of a SELU's output.

    Source: G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class GaussianNoise(Module):
    """x + e with e normally distributed, in training only: for inputs and for hidden units.

    Args:
        std: Standard deviation of e.

    Source: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7, 1995.
    """

    def __init__(self, std: float = 0.1) -> None:
        super().__init__()
        if std < 0:
            raise ValueError(f"GaussianNoise: the standard deviation must not be negative, as {std} is")
        self.std = std

    def forward(self, input: Tensor) -> Tensor:
        return F.gaussian_noise(input, self.std, self.training)

    def extra_repr(self) -> str:
        return f"std={self.std}"
