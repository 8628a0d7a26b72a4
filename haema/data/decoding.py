"""Many image files -> their pixels, by several processes at once.

Most of what reading a small image costs is Python's own work, which threads of one process cannot share. So the files
go in portions to worker processes (`haema.data.decoder`), each with a thread here that talks to it and needs little
more than to wait. What is done in a moment is done here, without any worker; so is all, where none can be started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from haema.data import decoder
from haema.threads import get_num_threads

__all__ = ["Decoders", "Portion", "portion_size"]

PATIENCE = 0.1
"""Seconds of decoding here before workers are started, which takes about as long."""

PORTION = 1 << 20
"""Bytes of pixels in a portion, about."""


@dataclass(frozen=True)
class Portion:
    """Some decoded images.

    Fields:
        x: (n, H, W, C) uint8, or None where an image did not fit exactly.
        broken: The reasons, by number within the portion, why images cannot be read; their pixels are 0.
    """

    x: np.ndarray | None
    broken: dict[int, str]


def portion_size(bytes_each: int) -> int:
    """How many images of so many bytes make a portion."""
    return max(1, min(128, PORTION // max(1, bytes_each)))


class Decoders:
    """Decodes image files, with as many worker processes as there are threads to compute with.

    They are started when they are first needed, and end with this object or with the process.
    """

    def __init__(self) -> None:
        self._started: _Started | None = None

    def decode(
        self, paths: Sequence[str], size: tuple[int, int], channels: int, exact: bool = False, ahead: int = 8
    ) -> Iterator[Portion]:
        """The images of some files, in order.

        Args:
            paths: the files.
            size, channels, exact: as of `haema.data.decoder.pixels`.
            ahead: portions that are decoded before they are asked for.
        """
        shape = (*size, channels)
        n = portion_size(size[0] * size[1] * channels)
        some = (list(paths[i : i + n]) for i in range(0, len(paths), n))
        wanted = ({"paths": part, "size": size, "channels": channels, "exact": exact} for part in some)
        for said, content in self._answers(wanted, ahead):
            if "misfit" in said:
                yield Portion(None, {})
            else:
                x = np.frombuffer(content, np.uint8).reshape(-1, *shape)  # (n, H, W, C)
                yield Portion(x, {int(i): reason for i, reason in said["broken"].items()})

    def heads(self, paths: Sequence[str]) -> Iterator[tuple[int, int, bool] | str]:
        """Of each file the height, the width and whether the image is grey; or why it cannot be read."""
        wanted = ({"paths": list(paths[i : i + 256])} for i in range(0, len(paths), 256))
        for said, _ in self._answers(wanted, 8):
            yield from (h if isinstance(h, str) else (h[0], h[1], h[2]) for h in said["heads"])

    def _answers(self, wanted: Iterator[dict[str, Any]], ahead: int) -> Iterator[tuple[dict[str, Any], Any]]:
        start = time.perf_counter()
        while self._started is None or self._started.process != os.getpid():  # a fork has the workers of its parent
            request = next(wanted, None)
            if request is None:
                return
            yield _answer_here(request)
            if time.perf_counter() - start > PATIENCE:
                self._started = _Started()
        yield from self._started.answers(wanted, ahead)


class _Started:
    """Worker processes, and as many threads that ask them."""

    def __init__(self) -> None:
        self.process = os.getpid()
        count = get_num_threads()
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(count)]
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count, "decoding")
        self._finalizer = weakref.finalize(self, _close, self._threads, self._workers, self.process)

    def answers(self, wanted: Iterable[dict[str, Any]], ahead: int) -> Iterator[tuple[dict[str, Any], Any]]:
        """The answers to requests, in order; up to ``ahead`` of them are worked at before they are asked for."""
        rest = iter(wanted)
        ask = self._threads.submit
        waiting: deque[Future[Any]] = deque(ask(_ask, self._idle, r) for r in islice(rest, max(1, ahead)))
        try:
            while waiting:
                found = waiting.popleft().result()
                waiting.extend(ask(_ask, self._idle, r) for r in islice(rest, 1))
                yield found
        finally:
            for future in waiting:
                future.cancel()


_alone = threading.Lock()


def _answer_here(request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The answer of this process, by one thread at a time, for a filter of warnings is one for all of them."""
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decoder.answer(request)


def _ask(idle: queue.SimpleQueue[_Worker | None], request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The answer of a worker; of this thread, from then on, where the worker is gone."""
    worker = idle.get()
    try:
        found = None if worker is None else worker.ask(request)
        if found is None:
            worker = None
            found = _answer_here(request)
        return found
    finally:
        idle.put(worker)


def _close(threads: ThreadPoolExecutor, workers: list[_Worker], process: int) -> None:
    if process != os.getpid():  # in a fork, whose parent still needs them
        return
    threads.shutdown(wait=False, cancel_futures=True)  # this may run in one of them
    for worker in workers:
        worker.close()


class _Worker:
    """A process that decodes. Ctrl-C does not reach it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-S", decoder.__file__, json.dumps(decoder.settings())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any] | None:
        """The answer; None where there is none."""
        process = self._process
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            size = 0
            if "broken" in said:
                size = len(request["paths"]) * request["size"][0] * request["size"][1] * request["channels"]
            content = process.stdout.read(size)
            return (said, content) if len(content) == size else None
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()  # type: ignore[union-attr]  # both are pipes
