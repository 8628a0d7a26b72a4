"""Which pixels a class's score depends on.

Sources:
    K. Simonyan, A. Vedaldi, A. Zisserman (2013), Deep inside convolutional networks, arXiv:1312.6034, section 3.
    D. Smilkov, N. Thorat, B. Kim, F. Viegas, M. Wattenberg (2017), SmoothGrad, arXiv:1706.03825.
"""

from __future__ import annotations

from haema.autograd import enable_grad, grad, no_grad
from haema.creation import arange, as_tensor, full
from haema.dtypes import float32, int64
from haema.errors import InputError
from haema.functions.reductions import amax, amin
from haema.nn.module import Module
from haema.nn.undisturbed import undisturbed
from haema.random import Generator, randn
from haema.tensor import Tensor

__all__ = ["input_gradient", "saliency", "smooth_grad"]

Target = Tensor | int | None


def input_gradient(model: Module, x: Tensor, target: Target = None) -> Tensor:
    """The gradient of one score of each input with respect to that input, in evaluation mode.

        g[n] = d model(x)[n, target[n]] / d x[n]

    The model is left as it was.

    Args:
        model: Maps (N, ...) to scores (N, K), or to one score each, (N,) or (N, 1). Scores before a softmax are right;
            behind one, the gradient also tells what lowers the other classes.
        x: Inputs, (N, ...); whole numbers are taken as numbers of the type of the model's parameters.
        target: Class ids (N,), or one for all; default: the class of the highest score.

    Returns:
        g, of the shape of x.

    Raises:
        InputError: the output is of another shape, or a target is no class.
    """
    x = _as_numbers(model, x)
    with undisturbed(model), enable_grad():
        x = x.detach().requires_grad_()
        scores = model(x)
        (g,) = grad(_chosen(scores, target).sum(), x, materialize_grads=True) if scores.requires_grad else (x * 0,)
    assert g is not None
    return g.detach()


def saliency(model: Module, x: Tensor, target: Target = None) -> Tensor:
    """How strongly a score depends on each pixel.

        s[n, i, j] = max over c of |d model(x)[n, target[n]] / d x[n, c, i, j]|

    Args:
        model, target: As for `input_gradient`.
        x: Images, (N, C, H, W).

    Returns:
        s, (N, H, W).

    Raises:
        InputError: as for `input_gradient`, or x has no channels.

    Source: Simonyan, Vedaldi, Zisserman (2013), section 3.1.
    """
    return _over_channels(input_gradient(model, x, target), x)


def smooth_grad(
    model: Module,
    x: Tensor,
    target: Target = None,
    samples: int = 25,
    noise: float = 0.15,
    generator: Generator | None = None,
) -> Tensor:
    """`saliency` of the mean gradient over noisy copies of the input, which shows the shapes more clearly.

        s = max over c of |1/n sum over k of g(x + sigma z_k)|,  z_k from N(0, 1),  sigma = noise (max x - min x)

    where max and min are each image's own.

    Args:
        model, x: As for `saliency`.
        target: As there; the class of the highest score without noise by default.
        samples: n. Default: 25.
        noise: Share of an image's range. Default: 0.15; the paper finds 0.1 to 0.2 right.
        generator: Of the noise; default: one of its own with seed 0, so that the same image gives the same map.

    Returns:
        s, (N, H, W).

    Raises:
        InputError: as for `saliency`, ``samples`` is below 1 or ``noise`` negative.

    Source: Smilkov et al. (2017), section 2.2; absolute value and maximum as for `saliency`.
    """
    if samples < 1:
        raise InputError(f"smooth_grad: samples is {samples}, where a whole number from 1 upwards is right")
    if not noise >= 0:
        raise InputError(f"smooth_grad: noise is {noise}, where a share of the range from 0 upwards is right")
    generator = Generator().manual_seed(0) if generator is None else generator
    x = _as_numbers(model, x)
    if target is None:
        with undisturbed(model), no_grad():
            scores = model(x)
        target = scores.argmax(1) if scores.ndim == 2 else 0
    axes = tuple(range(1, x.ndim))
    sigma = noise * (amax(x, axes, keepdim=True) - amin(x, axes, keepdim=True))
    total = x * 0
    for _ in range(samples):
        total = total + input_gradient(model, x + sigma * randn(x.shape, generator=generator, dtype=x.dtype), target)
    return _over_channels(total / samples, x)


def _as_numbers(model: Module, x: Tensor) -> Tensor:
    """x in a type that has derivatives: its own or that of the model's parameters."""
    if x.dtype.kind == "f":
        return x
    return x.to(next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), float32))


def _over_channels(g: Tensor, x: Tensor) -> Tensor:
    if x.ndim != 4:
        raise InputError(f"saliency is for images (N, C, H, W), and x has shape {tuple(x.shape)}")
    return g.abs().amax(1)  # (N, H, W)


def _chosen(scores: Tensor, target: Target) -> Tensor:
    """The score of each row's target, (N,)."""
    if scores.ndim == 1:
        scores = scores.unsqueeze(1)
    if scores.ndim != 2:
        raise InputError(f"the model gives {tuple(scores.shape)}, where scores of shape (N, K) are right")
    rows, classes = scores.shape
    if target is None:
        target = scores.detach().argmax(1)
    elif isinstance(target, int):
        target = full((rows,), target, dtype=int64)
    target = as_tensor(target)
    if target.shape != (rows,) or target.dtype.kind not in "iu":
        raise InputError(
            f"target has shape {tuple(target.shape)} and type {target.dtype.name}, where {rows} class ids are right"
        )
    ids = target.numpy()
    if rows and not (ids.min() >= 0 and ids.max() < classes):
        wrong = int(ids[(ids < 0) | (ids >= classes)][0])
        raise InputError(f"target holds {wrong}, where a class id from 0 to {classes - 1} is right")
    return scores[arange(rows), target.to(int64)]
