"""Pooling layers: each window of the image becomes one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haema.nn import functional as F
from haema.nn.functional._common import Sizes, per_axis
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d", "StochasticPool1d", "StochasticPool2d",
]  # fmt: skip


class _MaxPool(Module):
    function: Callable[..., Any]
    axes = 0

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        per_axis(kernel_size, self.axes, f"{type(self).__name__}: kernel_size", 1)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return self.function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value of each window of (N, C, L); see ``MaxPool2d``."""

    axes = 1
    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value of each window.

    Args:
        kernel_size: Size of the window.
        stride: By default the size of the window.
        padding: A border of -inf, at most half a window.
        dilation: Distance between the cells of a window.
        return_indices: Give also where in the flattened image each value stood.
        ceil_mode: Count windows that reach over the end too.

    Shape: (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W').
    """

    axes = 2
    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value of each window of (N, C, D, H, W); see ``MaxPool2d``."""

    axes = 3
    function = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean of each window of (N, C, L); see ``AvgPool2d``.

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad: As there.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = per_axis(kernel_size, 1, "AvgPool1d: kernel_size", 1)
        self.stride = per_axis(kernel_size if stride is None else stride, 1, "AvgPool1d: stride", 1)
        self.padding = per_axis(padding, 1, "AvgPool1d: padding")
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    function: Callable[..., Tensor]
    axes = 0

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        per_axis(kernel_size, self.axes, f"{type(self).__name__}: kernel_size", 1)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return self.function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window.

    Args:
        kernel_size: Size of the window.
        stride: By default the size of the window.
        padding: A border of zeros, at most half a window.
        ceil_mode: Count windows that reach over the end too.
        count_include_pad: Divide by the size of the window also where it lies partly on the border.
        divisor_override: Divide by this instead.

    Shape: (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W').
    """

    axes = 2
    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W); see ``AvgPool2d``."""

    axes = 3
    function = staticmethod(F.avg_pool3d)


class _StochasticPool(Module):
    function: Callable[..., Tensor]
    axes = 0

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        per_axis(kernel_size, self.axes, f"{type(self).__name__}: kernel_size", 1)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.kernel_size, self.stride, self.padding, self.training)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class StochasticPool1d(_StochasticPool):
    """Stochastic pooling of (N, C, L); see ``StochasticPool2d``."""

    axes = 1
    function = staticmethod(F.stochastic_pool1d)


class StochasticPool2d(_StochasticPool):
    """One value of each window, drawn with a probability proportional to its size.

        p_i = a_i / sum of a in the window
        training: y = a_l with l drawn from p           inference: y = sum over i of p_i a_i

    Activations are >= 0 (a negative one counts as 0); a window of zeros gives 0.

    Args:
        kernel_size: Size of the window.
        stride: By default the size of the window.
        padding: A border of zeros, at most half a window.

    Shape: (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W').

    Source: M. Zeiler, R. Fergus, "Stochastic pooling for regularization of deep convolutional neural networks",
    ICLR 2013.
    """

    axes = 2
    function = staticmethod(F.stochastic_pool2d)


class _AdaptiveAvgPool(Module):
    function: Callable[..., Tensor]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of ``output_size`` windows that cover (N, C, L) evenly; see ``AdaptiveAvgPool2d``."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of windows that cover the image evenly, however large it is.

    Args:
        output_size: Size of the result, for both axes or for each; None keeps that of the input.

    Shape: (N, C, H, W) or (C, H, W) -> (N, C, *output_size) or (C, *output_size).
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class _AdaptiveMaxPool(Module):
    function: Callable[..., Any]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return self.function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Largest values of ``output_size`` windows that cover (N, C, L) evenly; see ``AdaptiveMaxPool2d``."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest values of windows that cover the image evenly, however large it is.

    Args:
        output_size: Size of the result, for both axes or for each; None keeps that of the input.
        return_indices: Give also where in the flattened image each value stood.
    """

    function = staticmethod(F.adaptive_max_pool2d)
