"""The gradient of the loss with respect to the parameters: does it reach the first layers?"""

from __future__ import annotations

from collections.abc import Callable

from haema.autograd import enable_grad, grad
from haema.errors import InputError
from haema.nn import functional as F
from haema.nn.module import Module
from haema.nn.undisturbed import undisturbed
from haema.nn.utils import get_total_norm
from haema.tensor import Tensor

__all__ = ["gradient_norms", "gradients"]

Loss = Callable[[Tensor, Tensor], Tensor]


def gradients(model: Module, x: Tensor, y: Tensor, loss: Loss = F.cross_entropy) -> dict[str, Tensor]:
    """The gradient of the loss of a batch with respect to each parameter that is learned.

        g = d loss(model(x), y) / d theta

    In evaluation mode, so without dropout and with the running statistics of batch normalisation. The model is left
    as it was, ``grad`` of its parameters included.

    Args:
        model: Any module.
        x: Its input, (N, ...).
        y: What the loss compares the output with, e.g. class ids (N,).
        loss: ``loss(output, y)`` -> one number. Default: cross entropy of logits.

    Returns:
        Parameter name -> gradient of its shape, 0 where the loss does not depend on it; frozen ones are left out.

    Raises:
        InputError: no parameter is learned.
    """
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not learned:
        raise InputError("the model has no parameter that is learned (requires_grad), so there are no gradients")
    with undisturbed(model), enable_grad():
        found = grad(loss(model(x), y), list(learned.values()), materialize_grads=True)
    return {name: g for name, g in zip(learned, found, strict=True) if g is not None}


def gradient_norms(model: Module, x: Tensor, y: Tensor, loss: Loss = F.cross_entropy) -> dict[str, float]:
    """The size of each layer's gradient, from the input on: whether it vanishes on its way back, or explodes.

        sqrt(sum over the layer's parameters of g^2)

    `haema.train.GradientNorms` notes the same during a training.

    Args:
        model, x, y, loss: As for `gradients`.

    Returns:
        Layer name -> norm; layers whose parameters are all frozen are left out.

    Raises:
        InputError: no parameter is learned.
    """
    layers: dict[str, list[Tensor]] = {}
    for name, g in gradients(model, x, y, loss).items():
        layers.setdefault(name.rpartition(".")[0] or name, []).append(g)
    return {layer: get_total_norm(found).item() for layer, found in layers.items()}
