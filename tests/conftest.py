"""What all tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

# Two processes share the cores already; threads that wait for a busy core take far longer than one alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HAEMA_NUM_THREADS", "1")

import pytest

import haema as hm


@pytest.fixture(autouse=True)
def _leave_haema_as_it_was() -> Iterator[None]:
    """Every test starts from the same random state, with the tape on and the default dtype; none leaves others."""
    hm.manual_seed(0)
    yield
    assert hm.is_grad_enabled(), "a test left the tape switched off"
    assert hm.get_default_dtype() == hm.float32, "a test left another default dtype"


@pytest.fixture
def threads_as_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program uses as many threads as a test sets, also where one would be faster; afterwards it is as before."""
    monkeypatch.setattr("haema.compiler.runtime.Pace.choose", lambda self, n: n)
    before = hm.get_num_threads()
    yield
    hm.set_num_threads(before)


# -- the compiler ------------------------------------------------------------------

COMPILED = (
    "train.test_engine",
    "train.test_callbacks",
    "train.test_resume",
    "train.test_trainer",
    "cli.test_resume",
    "cli.test_images",
)
"""Each program takes about a second to be made: tests that are about other things than training train eagerly."""


def pytest_configure(config: pytest.Config) -> None:
    """Compiled programs are kept for this session, and shared by its processes."""
    if "HAEMA_CACHE_DIR" not in os.environ:
        config.stash[_kept] = os.environ["HAEMA_CACHE_DIR"] = tempfile.mkdtemp(prefix="haema-tests-")
    if "HAEMA_EAGER" not in os.environ:
        os.environ["HAEMA_TESTS_CHOOSE"] = "1"


def pytest_unconfigure(config: pytest.Config) -> None:
    """The programs go with the session that began the folder."""
    if _kept in config.stash:
        shutil.rmtree(config.stash[_kept], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before all fixtures; HAEMA_EAGER=0 or 1 in the environment lets all tests train compiled or eagerly."""
    if "HAEMA_TESTS_CHOOSE" in os.environ:
        chosen = item.module.__name__.endswith(COMPILED)  # type: ignore[attr-defined]
        os.environ["HAEMA_EAGER"] = "0" if chosen else "1"


_kept: pytest.StashKey[str] = pytest.StashKey()
