"""Convolutional layers."""

from __future__ import annotations

import math
from typing import Any

from haema.errors import ShapeError
from haema.nn import functional as F
from haema.nn import init
from haema.nn._factory import empty_parameter, sizes
from haema.nn.functional._common import Sizes, batched, per_axis
from haema.nn.functional.conv import conv, conv_transpose
from haema.nn.module import Module
from haema.tensor import Tensor

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "Unfold",
]  # fmt: skip

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What convolutions over 1, 2 or 3 axes have in common."""

    axes = 0
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self.axes
        sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name}: {what} must be divisible by groups, and {channels} is not by {groups}")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {_PADDING_MODES}, not {padding_mode!r}")
        if self.transposed and padding_mode != "zeros":
            raise ValueError(f"{name}: only padding_mode='zeros' exists for a transposed convolution")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(kernel_size, n, f"{name}: kernel_size", 1)
        self.stride = per_axis(stride, n, f"{name}: stride", 1)
        self.dilation = per_axis(dilation, n, f"{name}: dilation", 1)
        self.padding: Any = padding
        if isinstance(padding, str):
            if padding not in ("same", "valid") or self.transposed:
                raise ValueError(f"{name}: padding must be numbers, 'same' or 'valid', not {padding!r}")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f"{name}: padding='same' needs stride 1, not {stride}")
        else:
            self.padding = per_axis(padding, n, f"{name}: padding")
        self.output_padding = per_axis(output_padding, n, f"{name}: output_padding")
        self.groups = groups
        self.padding_mode = padding_mode
        pair = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = empty_parameter((*pair, *self.kernel_size), device, dtype)
        self.register_parameter("bias", empty_parameter((out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters again: uniform on +- 1 / sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def _borders(self) -> list[int]:
        """The padding in the order of ``F.pad``: the last axis first."""
        borders: list[int] = []
        for i in reversed(range(self.axes)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                borders += [total // 2, total - total // 2]
            else:
                borders += [0, 0] if self.padding == "valid" else [self.padding[i]] * 2
        return borders

    def forward(self, input: Tensor) -> Tensor:
        name, padding = type(self).__name__, self.padding
        if self.padding_mode != "zeros":
            batched(name, input, self.axes)  # the message about its axes before that about the border
            input, padding = F.pad(input, self._borders(), mode=self.padding_mode), 0
        return conv(name, self.axes, input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        ones = (1,) * self.axes
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self.axes:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * self.axes:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class Conv1d(_Conv):
    """Convolution over one axis; see ``Conv2d``.

    Shape: (N, C, L) or (C, L) -> (N, O, L') or (O, L').
    """

    axes = 1


class Conv2d(_Conv):
    """Convolution over height and width.

        y[n, o, h, w] = b[o] + sum over c, i, j of  x[n, c, h s + i d - p, w s + j d - p] W[o, c, i, j]

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: Height and width of the kernel.
        stride: s, the step of the kernel.
        padding: p, the width of the border; "same" keeps the size, "valid" is 0.
        dilation: d, the distance between the kernel's cells.
        groups: Channels are cut into this many groups, each convolved by itself.
        bias: Whether there is a b.
        padding_mode: What the border is made of: "zeros", "reflect", "replicate" or "circular".
        device, dtype: "cpu"; type of the parameters.

    Shape: (N, C, H, W) or (C, H, W) -> (N, O, H', W') or (O, H', W'),
        H' = floor((H + 2 p - d (kernel - 1) - 1) / s) + 1.

    Attributes:
        weight: W, (O, C / groups, *kernel_size), uniform on +- 1 / sqrt(C / groups * kernel cells) at first.
        bias: b, (O,), the same, or None.

    Raises:
        ValueError: the channels do not divide into the groups, or an argument is out of range.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution over depth, height and width; see ``Conv2d``.

    Shape: (N, C, D, H, W) or (C, D, H, W) -> (N, O, D', H', W') or (O, D', H', W').
    """

    axes = 3


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        return conv_transpose(
            type(self).__name__,
            self.axes,
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding if output_size is None else self._extra(input, output_size),
            self.groups,
            self.dilation,
        )

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives ``output_size``.

        Raises:
            ShapeError: none does.
        """
        wanted = tuple(output_size)[-self.axes :]
        extra = []
        for i, size in enumerate(wanted):
            least = (
                (input.shape[i - self.axes] - 1) * self.stride[i]
                - 2 * self.padding[i]
                + self.dilation[i] * (self.kernel_size[i] - 1)
                + 1
            )
            if not least <= size < least + max(self.stride[i], self.dilation[i]):
                raise ShapeError(
                    f"{type(self).__name__}: an output size of {size} cannot be had; "
                    f"{least} to {least + self.stride[i] - 1} can"
                )
            extra.append(size - least)
        return tuple(extra)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one axis; see ``ConvTranspose2d``.

    Shape: (N, C, L) or (C, L) -> (N, O, L') or (O, L').
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over height and width: every input value adds a kernel to the output.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: Height and width of the kernel.
        stride: s, the distance in the output between neighbours of the input.
        padding: p, what is cut off on each side.
        output_padding: What is added behind.
        groups, bias, dilation: As in ``Conv2d``.
        padding_mode: "zeros".
        device, dtype: "cpu"; type of the parameters.

    Shape: (N, C, H, W) or (C, H, W) -> (N, O, H', W') or (O, H', W'),
        H' = (H - 1) s - 2 p + d (kernel - 1) + output_padding + 1.

    Attributes:
        weight: (C, O / groups, *kernel_size).
        bias: (O,), or None.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over depth, height and width; see ``ConvTranspose2d``."""

    axes = 3


class Unfold(Module):
    """The windows of an image as columns: (N, C, H, W) -> (N, C kH kW, windows).

    Args:
        kernel_size, dilation, padding, stride: Of the windows.
    """

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The adjoint of ``Unfold``: columns added up into an image.

    Args:
        output_size: Height and width of the image.
        kernel_size, dilation, padding, stride: Of the windows.
    """

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
