"""What a failure looks like: one sentence on standard error and an exit status, never a traceback.

0      all is well
1      a mistake in haema itself
2      bad input
130    Ctrl-C
141    nobody reads the output any more (as a process ended by SIGPIPE)
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from haema.errors import HaemaError, InputError

__all__ = ["Interrupted", "run", "say", "writing"]

BAD_INPUT, BUG, INTERRUPTED, BROKEN_PIPE = 2, 1, 130, 141


class Interrupted(HaemaError):
    """Ctrl-C, where there is more to say about it."""


def say(sentence: str) -> None:
    """Print a sentence to standard error, on one line and without characters that would steer a terminal."""
    line = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in sentence)
    with contextlib.suppress(OSError, ValueError):
        text = f"haema: {' '.join(line.split())}\n"
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def run(argv: list[str]) -> int:
    """Run the command line ``argv`` and return its exit status."""
    for stream in (sys.stdout, sys.stderr):  # a terminal without the letters of a name is no reason to fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _command(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _nobody_reads()
    except Interrupted as error:
        say(str(error))
        return INTERRUPTED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except InputError as error:
        say(str(error))
    except HaemaError as error:
        say(str(error))
    except MemoryError:
        say("there is not enough memory; fewer rows, smaller images or a smaller --batch-size need less")
    except OSError as error:
        say(_failed(error))
    except RecursionError:
        say("the input is nested too deep; a flat one is right")
    except Exception as error:
        return _bug(error)
    _drop_output()
    return BAD_INPUT


def _command(argv: list[str]) -> int:
    import typer

    from haema.cli.app import app

    usage_error: Any = typer.BadParameter.__mro__[1]  # click's or, in newer versions, typer's own
    base_error: Any = usage_error.__mro__[1]
    try:
        result = app(args=argv or ["--help"], prog_name="haema", standalone_mode=False)
    except usage_error as error:
        raise InputError(_usage(error, argv)) from None
    except base_error as error:
        raise InputError(error.format_message()) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as exit:
        return int(exit.exit_code)
    except SystemExit:  # how click ends on a broken pipe
        raise BrokenPipeError from None
    return result if isinstance(result, int) else 0


def _usage(error: Any, argv: list[str]) -> str:
    """What is wrong with the words of a command, as one sentence."""
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "haema"
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    named = re.match(r"invalid value for '(--[\w-]+)'", message)
    if named:
        given = _given(argv, named[1])
        right = "a whole number" if "integer" in message else "a number"
        message = f"{named[1]} is {given!r}, where {right} is right"
    return f"{message}; see {path} --help"


def _given(argv: list[str], option: str) -> str:
    """The word given for an option in the command."""
    for word, after in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else after
    return ""


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Name ``path`` in the sentence for a disk that is full, and the like."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{reason}; make room or choose another folder"
    if error.errno == errno.EFBIG:
        return f"{reason}; the limit of this process or of the disk is lower"
    return reason


def _failed(error: OSError) -> str:
    name = error.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return f"cannot {f'open {name}' if name else 'write the output'}: {_reason(error)}"


def _nobody_reads() -> int:
    _drop_output()
    return BROKEN_PIPE


def _drop_output() -> None:
    """Keep the interpreter's last flush from failing again."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)


def _bug(error: Exception) -> int:
    if os.environ.get("HAEMA_TRACEBACK"):
        traceback.print_exception(error)
    say(
        f"a mistake in haema itself: {type(error).__name__}: {str(error)[:300]} (HAEMA_TRACEBACK=1 shows where; "
        "please report it)"
    )
    _drop_output()
    return BUG
