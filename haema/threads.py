"""How many threads compute.

Compiled programs use as many as are set here. Of the eager operations only NumPy's matrix products use several. For a
small product a second thread gains nothing, and costs much where it has to wait for a core that others use; so small
products run on one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from haema.errors import InputError

VARIABLE = "HAEMA_NUM_THREADS"
ALREADY_ALONE = 1 << 18
"""Multiplications up to which BLAS keeps to one thread of its own accord."""
WORTH_SHARING = 1 << 23
"""Multiplications, some 0.1 ms of one core, from which on several threads are worth it."""


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries in this process; HAEMA_NUM_THREADS is heeded when they are first asked for.

    Raises:
        InputError: it is no whole number above 0.
    """
    from threadpoolctl import ThreadpoolController

    libraries = list(ThreadpoolController().select(user_api="blas").lib_controllers)
    if _chosen or os.environ.get(VARIABLE) is not None:
        for library in libraries:
            library.set_num_threads(get_num_threads())
    return libraries


_chosen: list[int] = []
"""The number that was set, if one was."""


@cache
def _default() -> int:
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not wanted.isdecimal() or int(wanted) < 1:
        raise InputError(f"{VARIABLE} is {wanted!r}, where a whole number from 1 on is right")
    return int(wanted)


def set_num_threads(n: int) -> None:
    """Let compiled programs and matrix products use ``n`` threads; programs use fewer while others take the CPUs.

    Args:
        n: At least 1; by default the CPUs that this process may use, or what HAEMA_NUM_THREADS says.

    Raises:
        InputError: ``n`` is no whole number above 0.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"set_num_threads: {n!r} is no number of threads; a whole number from 1 on is right")
    _chosen[:] = [n]
    for library in _libraries():
        library.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads compiled programs and matrix products use.

    Raises:
        InputError: HAEMA_NUM_THREADS is no whole number above 0.
    """
    return _chosen[0] if _chosen else _default()


def shared(work: int, function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, on one thread if its ``work`` (multiplications) is not worth sharing."""
    if work <= ALREADY_ALONE:
        return function(*args)
    libraries = _libraries()
    before = [library.get_num_threads() for library in libraries]
    if work >= WORTH_SHARING or max(before, default=1) == 1:
        return function(*args)
    for library in libraries:
        library.set_num_threads(1)
    try:
        return function(*args)
    finally:
        for library, n in zip(libraries, before, strict=True):
            library.set_num_threads(n)
