"""Compiled programs kept on disk, so that the next process starts at once.

An entry is named by a digest of everything that decides what is in it: the recorded graph, the CPU, haema's own
sources and LLVM's version. It holds machine code, which is run when loaded; so the folder belongs to the user alone,
and an entry whose checksum is wrong, or that others could have written, is compiled anew.

    entry ::= checksum of the rest (32 bytes), length of the header (8 bytes), header (JSON), constants, machine code
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from functools import cache
from pathlib import Path
from typing import Any

from haema.atomic import atomic_write
from haema.errors import InputError

VARIABLE = "HAEMA_CACHE_DIR"
LARGEST = 512 << 20
"""Bytes that all entries together may have; the oldest go first."""


@cache
def folder() -> Path | None:
    """Where programs are kept, or None if there is no place that belongs to the user alone."""
    named = os.environ.get(VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(named or f"{base}/haema").expanduser()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path if _private(path) else None
    except (OSError, RuntimeError):
        return None


def _private(path: Path) -> bool:
    """Whether it is the user's and nobody else may write to it."""
    found = path.stat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def sources() -> str:
    """A digest of the code that makes programs."""
    digest = hashlib.blake2b(digest_size=16)
    here = Path(__file__).resolve().parent
    for path in sorted([*here.glob("*.py"), *here.parent.glob("ops/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def load(key: str) -> tuple[dict[str, Any], bytes, bytes] | None:
    """Header, constants and machine code of an entry; None if there is no sound one."""
    place = folder()
    if place is None:
        return None
    path = place / f"{key}.program"
    try:
        if not _private(path):
            return None
        data = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    body = memoryview(data)[32:]
    if len(data) < 40 or hashlib.blake2b(body, digest_size=32).digest() != data[:32]:
        return None
    length = int.from_bytes(body[:8], "little")
    try:
        header = json.loads(bytes(body[8 : 8 + length]))
        middle = 8 + length + header["constants"]
    except (ValueError, KeyError, TypeError):
        return None
    return header, bytes(body[8 + length : middle]), bytes(body[middle:])


def save(key: str, header: dict[str, Any], constants: bytes, code: bytes) -> None:
    """Keep an entry; where that fails the program is compiled again next time."""
    place = folder()
    if place is None:
        return
    text = json.dumps({**header, "constants": len(constants)}).encode()
    body = len(text).to_bytes(8, "little") + text + constants + code
    try:
        with atomic_write(place / f"{key}.program") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(hashlib.blake2b(body, digest_size=32).digest())
            file.write(body)
        _trim(place)
    except (OSError, InputError):
        return


def _trim(place: Path) -> None:
    """Remove the entries not used for longest while there are too many."""
    entries = []
    for path in place.glob("*.program"):
        found = path.stat()
        entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, key=lambda e: e[0]):
        if total <= LARGEST:
            break
        path.unlink(missing_ok=True)
        total -= size
