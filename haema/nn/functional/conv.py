"""Convolutions of any number of axes: a contraction over a sliding-window view, and its adjoint.

    conv             y[n, g o, x] = sum over c, i of  x[n, g c, x s + i d - p] w[g o, c, i]
    conv_transpose   y[n, g o, x s + i d - p] += x[n, g c, x] w[g c, o, i]

(N samples, g groups, c and o channels of a group, x and i positions in the image and in the kernel.) The contraction
is written with the kernel's labels first, (c, i) against (n, x): a matrix product over long rows of the image, in
the order in which the memory holds them, forward and backward.
"""

from __future__ import annotations

import math

from haema import ops
from haema.errors import DTypeError, ShapeError
from haema.nn.functional._common import Sizes, batched, bordered, per_axis, row_major, unbatched
from haema.tensor import Tensor

_IMAGE, _KERNEL = "xyz", "ijk"


def windows(x: Tensor, first: int, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Tensor:
    """Sliding windows over all axes from ``first`` on; the positions in the window become the last axes."""
    n = x.ndim - first
    given = (per_axis(s, n, what, 1) for s, what in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation")))
    for a, (size, step, spread) in enumerate(zip(*given, strict=True), first):
        x = ops.window(x, axis=a, size=size, stride=step, dilation=spread)
    return x


def _check_operands(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, n: int, groups: int, out: int) -> None:
    if weight.ndim != n + 2:
        raise ShapeError(f"{name}: the weight must have {n + 2} axes, not shape {tuple(weight.shape)}")
    if x.dtype != weight.dtype:
        raise DTypeError(
            f"{name}: the input is {x.dtype.name} and the weight {weight.dtype.name}; "
            f"convert the input with .to({weight.dtype.name!r})"
        )
    if groups < 1 or weight.shape[0] % groups:
        raise ShapeError(f"{name}: {weight.shape[0]} kernels cannot be divided into {groups} groups")
    if bias is not None and tuple(bias.shape) != (out,):
        raise ShapeError(f"{name}: the bias must have shape ({out},), not {tuple(bias.shape)}")


def _same(size: int, dilation: int) -> tuple[int, int]:
    """The border that keeps the size: what is odd goes behind."""
    total = dilation * (size - 1)
    return total // 2, total - total // 2


def _with_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return y
    return y + ops.reshape(bias, shape=(1, bias.shape[0]) + (1,) * (y.ndim - 2))


def conv(
    name: str,
    n: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    """The convolution over ``n`` axes that ``conv1d``, ``conv2d`` and ``conv3d`` are."""
    x, had_batch = batched(name, input, n)
    _check_operands(name, x, weight, bias, n, groups, weight.shape[0])
    inner = weight.shape[1]
    if x.shape[1] != inner * groups:
        raise ShapeError(
            f"{name}: the input of shape {tuple(input.shape)} has {x.shape[1]} channels, and a weight of shape "
            f"{tuple(weight.shape)} with groups={groups} needs {inner * groups}"
        )
    kernel = weight.shape[2:]
    step, spread = per_axis(stride, n, f"{name}: stride", 1), per_axis(dilation, n, f"{name}: dilation", 1)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding must be numbers, 'same' or 'valid', not {padding!r}")
        if padding == "same" and any(s != 1 for s in step):
            raise ValueError(f"{name}: padding='same' needs stride 1, not {stride}")
        borders = [_same(k, d) if padding == "same" else (0, 0) for k, d in zip(kernel, spread, strict=True)]
    else:
        borders = [(p, p) for p in per_axis(padding, n, f"{name}: padding")]
    for size, (before, after), k, d in zip(x.shape[2:], borders, kernel, spread, strict=True):
        if size + before + after < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: an input of shape {tuple(input.shape)} with padding {padding} is too small for a kernel of "
                f"{tuple(kernel)} with dilation {dilation}"
            )
    x = bordered(x, dict(enumerate(borders, 2)))
    image, cells = _IMAGE[:n], _KERNEL[:n]
    if groups == 1:
        v = _columns(ops.permute(x, axes=(1, 0, *range(2, 2 + n))), 1, kernel, step, spread)  # (C, *kernel, N, *image)
        y = ops.contract(weight, v, spec=f"oc{cells},c{cells}n{image}->on{image}")
        y = ops.permute(y, axes=(1, 0, *range(2, 2 + n)))  # (N, O, *image)
    else:
        x = ops.reshape(x, shape=(x.shape[0], groups, inner, *x.shape[2:]))  # (N, G, C, *image)
        w = ops.reshape(weight, shape=(groups, weight.shape[0] // groups, inner, *kernel))  # (G, O, C, *kernel)
        v = _columns(ops.permute(x, axes=(1, 2, 0, *range(3, 3 + n))), 2, kernel, step, spread)
        y = ops.contract(w, v, spec=f"goc{cells},gc{cells}n{image}->gon{image}")
        y = ops.permute(y, axes=(2, 0, 1, *range(3, 3 + n)))  # (N, G, O, *image)
        y = ops.reshape(y, shape=(y.shape[0], weight.shape[0], *y.shape[3:]))
    return unbatched(_with_bias(row_major(y), bias), had_batch)


def _columns(x: Tensor, lead: int, kernel: tuple[int, ...], step: tuple[int, ...], spread: tuple[int, ...]) -> Tensor:
    """(lead axes, N, *image) as (lead axes, *kernel, N, *image): what stands at each place of the kernel, a view.

    Each new axis is moved in front before the next is made, so that the image's own axes are always the last ones
    and the memory is gone through in its order, here and when the gradients are added up again.
    """
    for a, (size, stride, dilation) in enumerate(zip(kernel, step, spread, strict=True)):
        x = ops.window(x, axis=lead + 2 * a + 1, size=size, stride=stride, dilation=dilation)
        last = x.ndim - 1
        x = ops.permute(x, axes=(*range(lead + a), last, *range(lead + a, last)))
    return x


def conv_transpose(
    name: str,
    n: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    """The adjoint of ``conv`` over ``n`` axes: every input value adds a kernel to the output."""
    x, had_batch = batched(name, input, n)
    _check_operands(name, x, weight, bias, n, groups, weight.shape[1] * groups)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{name}: the input of shape {tuple(input.shape)} has {x.shape[1]} channels, and a weight of shape "
            f"{tuple(weight.shape)} needs {weight.shape[0]}"
        )
    inner, out, kernel = weight.shape[0] // groups, weight.shape[1], weight.shape[2:]
    step, spread = per_axis(stride, n, f"{name}: stride", 1), per_axis(dilation, n, f"{name}: dilation", 1)
    border = per_axis(padding, n, f"{name}: padding")
    extra = per_axis(output_padding, n, f"{name}: output_padding")
    lengths = []  # of the output with its border
    for size, k, s, d, p, e in zip(x.shape[2:], kernel, step, spread, border, extra, strict=True):
        if e >= max(s, d):
            raise ShapeError(f"{name}: output_padding {output_padding} must be smaller than the stride or the dilation")
        lengths.append((size - 1) * s + d * (k - 1) + 1 + e)
        if size < 1 or lengths[-1] - 2 * p < 1:
            raise ShapeError(f"{name}: padding {padding} leaves nothing of an input of shape {tuple(input.shape)}")
    image, cells = _IMAGE[:n], _KERNEL[:n]
    x = ops.reshape(x, shape=(x.shape[0], groups, inner, *x.shape[2:]))  # (N, G, C, *image)
    w = ops.reshape(weight, shape=(groups, inner, out, *kernel))  # (G, C, O, *kernel)
    y = ops.contract(w, x, spec=f"gco{cells},ngc{image}->go{cells}n{image}")
    for a in reversed(range(n)):  # (G, O, *kernel, N, *image): the reverse of ``_columns``
        y = ops.permute(y, axes=(*(i for i in range(y.ndim) if i != 2 + a), 2 + a))
        y = ops.fold(y, axis=3 + 2 * a, length=lengths[a], size=kernel[a], stride=step[a], dilation=spread[a])
    y = ops.permute(y, axes=(2, 0, 1, *range(3, 3 + n)))  # (N, G, O, *image)
    y = ops.reshape(y, shape=(y.shape[0], groups * out, *lengths))
    y = bordered(y, {a: (-p, -p) for a, p in enumerate(border, 2)})
    return unbatched(_with_bias(row_major(y), bias), had_batch)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over one axis; see ``conv2d``. input (N, C, L), weight (O, C / groups, K)."""
    return conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution (in the mathematician's words cross-correlation) over height and width.

        y[n, o, h, w] = b[o] + sum over c, i, j of  x[n, c, h s + i d - p, w s + j d - p] weight[o, c, i, j]

    Args:
        input: x, (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, kH, kW).
        bias: b, (O,), or None.
        stride: s, the step of the kernel.
        padding: p, a border of zeros; "same" keeps the size (with stride 1), "valid" is 0.
        dilation: d, the distance between the kernel's cells.
        groups: Channels are cut into this many groups, each convolved by itself.

    Returns:
        (N, O, H', W') with H' = floor((H + 2 p - d (kH - 1) - 1) / s) + 1.

    Raises:
        ShapeError: the input has the wrong number of axes or channels, or is smaller than the kernel.
        DTypeError: input and weight have different dtypes.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """
    return conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over three axes; see ``conv2d``. input (N, C, D, H, W), weight (O, C / groups, kD, kH, kW)."""
    return conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed convolution over one axis; see ``conv_transpose2d``. weight (C, O / groups, K)."""
    return conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed convolution over height and width: the derivative of ``conv2d`` with respect to its input.

    Args:
        input: x, (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, kH, kW).
        bias: (O,), or None.
        stride: Distance in the output between neighbours of the input.
        padding: What is cut off on each side.
        output_padding: What is added behind, to tell apart the sizes that a stride makes equal.
        groups, dilation: As in ``conv2d``.

    Returns:
        (N, O, H', W') with H' = (H - 1) s - 2 p + d (kH - 1) + output_padding + 1.

    Raises:
        ShapeError: the input does not fit the weight, or nothing is left.
        DTypeError: input and weight have different dtypes.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
    """
    return conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed convolution over three axes; see ``conv_transpose2d``."""
    return conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """The windows of (N, C, H, W) as columns: (N, C kH kW, number of windows)."""
    x, had_batch = batched("unfold", input, 2)
    kernel = per_axis(kernel_size, 2, "unfold: kernel_size", 1)
    border = per_axis(padding, 2, "unfold: padding")
    x = bordered(x, {2: (border[0],) * 2, 3: (border[1],) * 2})
    v = windows(x, 2, kernel, stride, dilation)  # (N, C, h, w, i, j)
    v = ops.permute(v, axes=(0, 1, 4, 5, 2, 3))
    shape = (v.shape[0], math.prod(v.shape[1:4]), math.prod(v.shape[4:]))
    return unbatched(ops.reshape(v, shape=shape), had_batch)


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The adjoint of ``unfold``: columns added up into an image of ``output_size``.

    Args:
        input: (N, C kH kW, number of windows), or without N.
        output_size: (H, W).
        kernel_size, dilation, padding, stride: Of the windows.

    Returns:
        (N, C, H, W).

    Raises:
        ShapeError: the columns are not those of such an image.
    """
    x = input if input.ndim == 3 else ops.reshape(input, shape=(1, *input.shape))
    size, kernel = per_axis(output_size, 2, "fold: output_size", 1), per_axis(kernel_size, 2, "fold: kernel_size", 1)
    step, spread = per_axis(stride, 2, "fold: stride", 1), per_axis(dilation, 2, "fold: dilation", 1)
    border = per_axis(padding, 2, "fold: padding")
    full = [m + 2 * p for m, p in zip(size, border, strict=True)]
    counts = [(m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(full, kernel, step, spread, strict=True)]
    cells = math.prod(kernel)
    if x.ndim != 3 or min(counts) < 1 or x.shape[1] % cells or x.shape[2] != math.prod(counts):
        raise ShapeError(
            f"fold: an image of {size} has {' x '.join(map(str, counts))} windows of {kernel}, "
            f"which an input of shape {tuple(input.shape)} is not"
        )
    y = ops.reshape(x, shape=(x.shape[0], x.shape[1] // cells, *kernel, *counts))
    y = ops.permute(y, axes=(0, 1, 4, 5, 2, 3))
    for a in (1, 0):
        y = ops.fold(y, axis=2 + a, length=full[a], size=kernel[a], stride=step[a], dilation=spread[a])
    y = bordered(y, {2: (-border[0],) * 2, 3: (-border[1],) * 2})
    return unbatched(y, input.ndim == 3)
