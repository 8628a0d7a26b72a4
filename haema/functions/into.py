"""Functions that can write their result into a given tensor: ``hm.add(x, y, out=z)``.

Only the free functions take ``out``; among the methods ``z.copy_(x + y)`` and ``x.add_(y)`` say the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haema.autograd import is_grad_enabled
from haema.errors import HaemaError
from haema.functions import contractions, elementwise, shaping

if TYPE_CHECKING:
    from haema.tensor import Tensor


def _into(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``function`` with a keyword ``out``."""

    @functools.wraps(function)
    def writing(*args: Any, out: Tensor | None = None, **kwargs: Any) -> Tensor:
        y = function(*args, **kwargs)
        if out is None:
            return y
        if is_grad_enabled() and (y.requires_grad or out.requires_grad):
            raise HaemaError(f"{function.__name__}: what is written by out= has no gradient; leave it out, or detach()")
        return out._become(y)

    return writing


add = _into(elementwise.add)
sub = _into(elementwise.sub)
mul = _into(elementwise.mul)
div = _into(elementwise.div)
pow = _into(elementwise.pow)
exp = _into(elementwise.exp)
log = _into(elementwise.log)
sqrt = _into(elementwise.sqrt)
sin = _into(elementwise.sin)
cos = _into(elementwise.cos)
tanh = _into(elementwise.tanh)
sigmoid = _into(elementwise.sigmoid)
abs = _into(elementwise.abs)
neg = _into(elementwise.neg)
square = _into(elementwise.square)
clamp = _into(elementwise.clamp)
maximum = _into(elementwise.maximum)
minimum = _into(elementwise.minimum)
matmul = _into(contractions.matmul)
mm = _into(contractions.mm)
bmm = _into(contractions.bmm)
mv = _into(contractions.mv)
cat = _into(shaping.cat)
stack = _into(shaping.stack)
