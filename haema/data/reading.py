"""What every reader of files needs: a file that is missing or cannot be read, told in one sentence."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haema.errors import InputError, suggest

__all__ = ["missing", "reading"]


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns a failure to read or unpack the file ``name`` inside the block into an InputError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} is damaged: it cannot be unpacked ({error}); copy it anew") from None
    except OSError as error:
        raise InputError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None


def missing(name: str) -> str:
    """That there is no such file, and which may have been meant."""
    path = Path(name)
    beside = [p.name for p in path.parent.iterdir() if p.exists()] if path.parent.is_dir() else []
    hint = suggest(path.name, beside)
    hint = f"; {hint}" if hint.startswith("did") else ""
    return f"there is no file or folder {name}{hint}"
