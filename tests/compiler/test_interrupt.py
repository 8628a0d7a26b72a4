"""Ctrl-C at any moment: either all threads have begun a program or none, and the next results are right."""

from __future__ import annotations

import dis
import sys
from types import CodeType, FrameType
from typing import Any

import pytest

import haema as hm
from haema.compiler import runtime
from haema.compiler.runtime import Loaded, Pool

pytestmark = pytest.mark.usefixtures("threads_as_set")
CODE: set[CodeType] = {f.__code__ for f in (Loaded.run, Loaded._shared, Pool.run, Pool.grow, runtime.places)}


class Interrupt:
    """Ctrl-C at the place ``at``, counted from 0, where the interpreter looks for it while threads are started.

    It looks behind calls, at the begin of functions and where loops jump back.
    """

    def __init__(self, at: int) -> None:
        self.left = at
        self._last: dict[FrameType, str] = {}
        self.where = ""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code not in CODE or self.where:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            last = self._last.get(frame, "")
            self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if last.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                if self.left == 0:
                    self.where = f"{frame.f_code.co_name}, line {frame.f_lineno}"
                    raise KeyboardInterrupt
                self.left -= 1
        return self


@pytest.mark.parametrize("threads", [2, 3])
def test_ctrl_c_at_any_moment(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hm.set_num_threads(threads)
    monkeypatch.setattr(runtime, "_pool", Pool())
    w = hm.randn(100, 100)
    f = hm.compile(lambda x: (x @ w).relu() @ w)
    xs = [hm.randn(128, 100) for _ in range(3)]
    right = [f(x).numpy().tobytes() for x in xs]
    assert f._last is not None
    assert f._last.loaded.parallel
    places: list[str] = []
    while True:
        interrupt = Interrupt(len(places))
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            f(xs[0])
        except KeyboardInterrupt:
            places.append(interrupt.where)
        finally:
            sys.settrace(before)
        if not interrupt.where:
            break
        assert places[-1] == interrupt.where, f"nobody heard of Ctrl-C in {interrupt.where}"
        assert not runtime._pool.lock.locked(), interrupt.where
        assert [f(x).numpy().tobytes() for x in xs] == right, interrupt.where
    assert len(places) > 20
    assert {p.partition(",")[0] for p in places} >= {"run", "_shared", "grow", "places"}
