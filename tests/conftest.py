"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Two processes share the cores already; a matrix product that waits for a busy core takes ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

import haema as hm


@pytest.fixture(autouse=True)
def _leave_haema_as_it_was() -> Iterator[None]:
    """Every test starts from the same random state, with the tape on and the default dtype; none leaves others."""
    hm.manual_seed(0)
    yield
    assert hm.is_grad_enabled(), "a test left the tape switched off"
    assert hm.get_default_dtype() == hm.float32, "a test left another default dtype"
