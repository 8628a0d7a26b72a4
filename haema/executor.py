"""The eager executor: every primitive runs at once, in NumPy.

It computes as IEEE 754 says, so division by zero and overflow are values (inf, nan) and not warnings. NumPy keeps
that setting in the execution context, and entering a context prepared once is ten times cheaper than changing and
restoring the setting around each operation.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from haema.ops.core import Op, Spec

if TYPE_CHECKING:
    from collections.abc import Callable


class _Quiet(threading.local):
    """A context per thread in which NumPy does not warn."""

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.run: Callable[..., Any] = context.run


_quiet = _Quiet()


def run(op: Op, arrays: Sequence[np.ndarray], params: dict[str, Any]) -> np.ndarray:
    """The result of ``op``.

    Raises:
        ShapeError, DTypeError: what NumPy refused, in the words of the primitive's own rule.
    """
    try:
        y = _quiet.run(op.evaluate, *arrays, **params)
    except (ValueError, IndexError, TypeError):
        check(op, arrays, params)
        raise
    return y if type(y) is np.ndarray else np.asarray(y)  # NumPy turns results without axes into scalars


def update(op: Op, out: np.ndarray, arrays: Sequence[np.ndarray], params: dict[str, Any]) -> None:
    """Compute ``op`` into ``out``."""
    try:
        _quiet.run(op.update, out, *arrays, **params)
    except (ValueError, IndexError, TypeError):
        check(op, arrays, params)
        raise


def check(op: Op, arrays: Sequence[np.ndarray], params: dict[str, Any]) -> Spec:
    """What the rule of ``op`` says of these inputs."""
    return op.rule(*(Spec(a.shape, a.dtype) for a in arrays), **params)
