"""What every reader of files needs: a file that cannot be read, told in one sentence."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from haema.errors import InputError

__all__ = ["reading"]


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns a failure to read or unpack the file ``name`` inside the block into an InputError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} is damaged: it cannot be unpacked ({error}); copy it anew") from None
    except OSError as error:
        raise InputError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None
