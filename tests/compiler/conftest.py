"""What the compiler's tests share: two threads, and one cache of programs for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from haema import threads
from haema.compiler import cache


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here and in the processes that a test starts."""
    monkeypatch.setattr(threads, "_chosen", [2])
    monkeypatch.setenv(threads.VARIABLE, "2")


@pytest.fixture(autouse=True, scope="session")
def _a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs are kept in a folder of this session, which its processes share, and not in the user's."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "programs"
    patch = pytest.MonkeyPatch()
    patch.setenv(cache.VARIABLE, str(folder))
    cache.folder.cache_clear()
    yield
    patch.undo()
    cache.folder.cache_clear()
