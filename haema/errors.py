"""The exceptions haema raises on purpose.

HaemaError         a RuntimeError, as what PyTorch raises in such cases
    InputError     bad data from a user or a file (also a ValueError)
    ShapeError     shapes that break an operation's rule
    DTypeError     dtypes that break an operation's rule
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["DTypeError", "HaemaError", "InputError", "ShapeError", "suggest"]


class HaemaError(RuntimeError):
    """Base of every exception that haema raises on purpose."""


class InputError(HaemaError, ValueError):
    """Bad data from a user or a file.

    The message is one sentence that names the file, row, column or argument, the value found there
    and what would be right. The command line prints exactly that sentence and exits with status 2.
    """


class ShapeError(HaemaError):
    """Shapes that break an operation's rule; the message names the operation, the shapes and the rule."""


class DTypeError(HaemaError):
    """Dtypes that break an operation's rule; the message names the operation, the dtypes and the rule."""


def suggest(name: object, known: Iterable[object], limit: int = 8) -> str:
    """What to say after an unknown name: the closest known names, or else all the known names.

    Args:
        name: what was asked for.
        known: what there is.
        limit: how many names are listed at most.

    Returns:
        A clause for the end of a sentence, e.g. ``did you mean 'species'?`` or ``it has 'a', 'b'``;
        ``there are none`` where nothing is known.
    """
    import difflib

    names = [str(k) for k in known]
    if not names:
        return "there are none"
    lowered = {n.lower(): n for n in names}
    close = difflib.get_close_matches(str(name).lower(), list(lowered), n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(lowered[c]) for c in close)}?"
    shown = ", ".join(repr(n) for n in names[:limit])
    return f"there are {shown}{f' and {len(names) - limit} more' if len(names) > limit else ''}"
