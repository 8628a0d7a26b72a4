"""Writing a file so that whoever looks sees the old one or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import IO, Any

from haema.errors import InputError

__all__ = ["atomic_folder", "atomic_write", "remove_leftovers"]


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "wb", *, encoding: str | None = None, newline: str | None = None
) -> Iterator[IO[Any]]:
    """Opens a file beside ``path`` for writing and renames it to ``path`` when the block ends well.

    If the block raises, or the process is killed, ``path`` is what it was before. The bytes are on the
    disk before the rename, so a power cut does not leave an empty file under the new name either.
    A ``path`` that exists and is no regular file (a pipe, a terminal) cannot be renamed over and is
    written directly.

    Args:
        path: the file to write; a symbolic link is followed, an existing file keeps its permissions.
        mode: ``"wb"`` (default) or ``"w"``.
        encoding: of text; UTF-8 unless given. What it cannot encode is written as an escape such as ``\\udcff``.
        newline: as in ``open``.

    Yields:
        The open file.

    Raises:
        InputError: the folder does not exist, is not writable, or ``path`` is a folder.
        ValueError: ``mode`` is something else.

    Example::

        with atomic_write("model.safetensors") as file:
            file.write(data)
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_write: mode is {mode!r}; it writes whole files, so 'wb' or 'w' is right")
    if mode == "w" and encoding is None:
        encoding = "utf-8"
    errors = "backslashreplace" if mode == "w" else None  # for the names of files that are no text
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise InputError(f"cannot write {os.fspath(path)}: it is a folder, where the name of a file is right")
    if not os.path.isdir(folder):
        raise InputError(f"cannot write {os.fspath(path)}: there is no folder {folder}; make it first")
    regular = os.path.isfile(target) or not os.path.exists(target)
    if not regular:
        with open(target, mode, encoding=encoding, errors=errors, newline=newline) as file:
            yield file
        return

    beside = os.path.join(folder, f".{os.path.basename(target)}.{os.urandom(4).hex()}.tmp")
    try:
        # Not tempfile: its files are readable by their owner only, and the rename would keep that.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {os.fspath(path)}: {_reason(error)} in folder {folder}") from None
    try:
        _lock(descriptor)
        with open(descriptor, mode, encoding=encoding, errors=errors, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(beside, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Removes what processes that were killed left half-written beside ``path``; what others still write stays."""
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    for entry in os.listdir(folder):
        if not re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.tmp", entry):
            continue
        beside = os.path.join(folder, entry)
        with contextlib.suppress(OSError):
            descriptor = os.open(beside, os.O_RDWR)
            try:
                if _lock(descriptor):
                    os.unlink(beside)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Marks a file as being written until it is closed, be it by a kill; False where another process does so."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk without such locks
        return True
    return True


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _sync_folder(folder: str) -> None:
    """Puts the rename itself on the disk, where the system can do that for folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[str]:
    """Makes a folder beside ``path`` to write files into, and puts these into ``path`` when the block ends well.

    If the block raises, or the process is killed, ``path`` is what it was before. Where ``path`` is there already,
    its files of other names stay, and each of the same name is exchanged as a whole.

    Args:
        path: the folder; the one that it is in must exist.

    Yields:
        The path of the folder to write into.

    Raises:
        InputError: ``path`` is no folder, the one it is in does not exist, or either is not writable.
    """
    target = os.path.realpath(path)
    name, above = os.fspath(path), os.path.dirname(target)
    if os.path.exists(target) and not os.path.isdir(target):
        raise InputError(f"cannot write into {name}: it is a file, where the name of a folder is right")
    if not os.path.isdir(above):
        raise InputError(f"cannot make the folder {name}: there is no folder {above}; make it first")
    there = os.path.isdir(target)
    if there and not os.access(target, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into {name}: the folder is not writable")
    # In the folder itself where it is there: the one above it may be another disk, or not writable.
    place = target if there else above
    beside = os.path.join(place, f".{os.path.basename(target)}.{os.urandom(4).hex()}.tmp")
    try:
        os.mkdir(beside)
    except OSError as error:
        raise InputError(f"cannot make the folder {name}: {_reason(error)} in folder {place}") from None
    try:
        yield beside
        if there:
            for entry in sorted(os.listdir(beside)):
                os.replace(os.path.join(beside, entry), os.path.join(target, entry))
            os.rmdir(beside)
        else:
            os.rename(beside, target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync_folder(place)
