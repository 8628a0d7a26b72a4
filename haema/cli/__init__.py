"""The command line: ``haema train``, ``evaluate``, ``predict`` and ``inspect``.

app         the commands and their options
guard       what a failure looks like: one sentence, and an exit status
training    haema train
using       haema evaluate and haema predict
inspecting  haema inspect
card        what a model file says of its data
scores      metrics, beside those of the trivial predictor
report      what a person reads
files       the names of what a run writes
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Its words; default: those the process was started with.

    Returns:
        The exit status: 0, 2 after bad input, 130 after Ctrl-C, 141 when nobody reads the output any more.
    """
    import sys

    from haema.cli.guard import run

    return run(sys.argv[1:] if argv is None else list(argv))
