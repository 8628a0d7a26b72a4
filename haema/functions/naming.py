"""NumPy's names for arguments, which PyTorch takes as well: ``axis`` for ``dim`` and ``keepdims`` for ``keepdim``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def numpy_names(function: F) -> F:
    """``function``, whose ``dim`` and ``keepdim`` may also be called ``axis`` and ``keepdims``.

    Raises:
        TypeError: an argument is given under both names.
    """

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")) if kwargs else ():
            if theirs in kwargs:
                if ours in kwargs:
                    raise TypeError(f"{function.__name__}: {theirs} and {ours} are two names of one argument")
                kwargs[ours] = kwargs.pop(theirs)
        return function(*args, **kwargs)

    return cast(F, named)
