"""Fully connected layers."""

from __future__ import annotations

import math
from typing import Any

from haema.nn import functional as F
from haema.nn import init
from haema.nn._factory import empty_parameter, sizes
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = ["Bilinear", "Identity", "Linear", "Scale"]


class Identity(Module):
    """y = x, whatever the arguments.

    Args:
        args, kwargs: Not used.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x W^T + b.

    Args:
        in_features: Size of the last axis of x.
        out_features: Size of the last axis of y.
        bias: Whether there is a b.
        device, dtype: "cpu"; type of the parameters.

    Shape: (..., in_features) -> (..., out_features).

    Attributes:
        weight: W, (out_features, in_features), uniform on +- 1 / sqrt(in_features) at first.
        bias: b, (out_features,), the same, or None.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        sizes("Linear", in_features=in_features, out_features=out_features, least=0)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = empty_parameter((out_features, in_features), device, dtype)
        self.register_parameter("bias", empty_parameter((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_o = x1^T W_o x2 + b_o.

    Args:
        in1_features, in2_features: Sizes of the last axes of x1 and x2, at least 1.
        out_features: Size of the last axis of y.
        bias: Whether there is a b.
        device, dtype: "cpu"; type of the parameters.

    Attributes:
        weight: W, (out_features, in1_features, in2_features), uniform on +- 1 / sqrt(in1_features) at first.
        bias: b, (out_features,), the same, or None.
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes("Bilinear", in1_features=in1_features, in2_features=in2_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = empty_parameter((out_features, in1_features, in2_features), device, dtype)
        self.register_parameter("bias", empty_parameter((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Scale(Module):
    """y = factor x, with a factor that is given and not learned.

    Args:
        factor: A number.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input: Tensor) -> Tensor:
        return input * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:.6g}"
