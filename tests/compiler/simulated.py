"""Instructions that this CPU need not have: pairs of bfloat16 multiplied in vectors and in tiles.

Code is made for a CPU that has them, and each of them is replaced by a call: of a function that does in the CPU's other
instructions what the manual says, or of one of Python's that also complains where the CPU would raise an exception.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volumes 1 (chapter 18) and 2.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from haema.compiler import cache, function, program
from haema.compiler import target as targets

PAIRS = """
define <16 x float> @simulated.dpbf16ps(<16 x float> %acc, <16 x i32> %x, <16 x i32> %y) {
  %x0 = shl <16 x i32> %x, splat (i32 16)
  %y0 = shl <16 x i32> %y, splat (i32 16)
  %x1 = and <16 x i32> %x, splat (i32 -65536)
  %y1 = and <16 x i32> %y, splat (i32 -65536)
  %a = bitcast <16 x i32> %x0 to <16 x float>
  %b = bitcast <16 x i32> %y0 to <16 x float>
  %c = bitcast <16 x i32> %x1 to <16 x float>
  %d = bitcast <16 x i32> %y1 to <16 x float>
  %first = call <16 x float> @llvm.fma.v16f32(<16 x float> %c, <16 x float> %d, <16 x float> %acc)
  %both = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b, <16 x float> %first)
  ret <16 x float> %both
}
"""


class Registers:
    """The eight tiles of each thread.

    Attributes:
        faults: What the CPU would have raised an exception for.
        used: How often each instruction ran.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.used: dict[str, int] = {}
        self._tiles: dict[int, list[np.ndarray]] = {}
        self._kept: list[Any] = []

    def ldtilecfg(self, address: int) -> None:
        text = ctypes.string_at(address, 64)
        widths, heights = np.frombuffer(text[16:32], np.uint16), np.frombuffer(text[48:56], np.uint8)
        if text[0] != 1 or any(text[1:16]) or any(text[32:48]) or any(text[56:]):
            self.faults.append(f"a configuration with what is reserved: {text!r}")
        if (widths > 64).any() or (heights > 16).any() or ((widths == 0) != (heights == 0)).any() or (widths % 4).any():
            self.faults.append(f"tiles of {heights} rows and {widths} bytes")
        self._tiles[threading.get_ident()] = [
            np.zeros((h, w), np.uint8) for h, w in zip(heights, widths, strict=True)
        ]  # fmt: skip

    def tilerelease(self) -> None:
        self._tiles.pop(threading.get_ident(), None)

    def tilezero(self, k: int) -> None:
        self._tile(k)[:] = 0

    def tileloadd64(self, k: int, address: int, step: int) -> None:
        for i, row in enumerate(self._tile(k)):
            row[:] = np.frombuffer(ctypes.string_at(address + i * step, row.size), np.uint8)

    def tilestored64(self, k: int, address: int, step: int) -> None:
        for i, row in enumerate(self._tile(k)):
            ctypes.memmove(address + i * step, row.tobytes(), row.size)

    def tdpbf16ps(self, k: int, a: int, b: int) -> None:
        acc, x, y = (self._tile(n) for n in (k, a, b))
        if len({k, a, b}) < 3 or acc.shape != (x.shape[0], y.shape[1]) or x.shape[1] != 4 * y.shape[0]:
            self.faults.append(f"a product of {x.shape} and {y.shape} for {acc.shape}")
            return
        x, y = (t.view(np.uint32) for t in (x, y))
        sums = acc.view(np.float32)
        for x_, y_ in zip(_halves(x), _halves(y), strict=True):
            sums += x_ @ y_

    def _tile(self, k: int) -> np.ndarray:
        tiles = self._tiles.get(threading.get_ident())
        if tiles is None or not tiles[k].size:
            self.faults.append(f"tile {k} has no size")
            return np.zeros((1, 4), np.uint8)
        return tiles[k]

    def definition(self, name: str, types: list[str]) -> str:
        """A function that calls the method of this name."""
        method: Callable[..., None] = getattr(self, name)

        def called(*args: int) -> None:
            self.used[name] = self.used.get(name, 0) + 1
            method(*args)

        callback = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(types))(called)
        self._kept.append(callback)
        address = ctypes.cast(callback, ctypes.c_void_p).value
        wide = {"i8": "zext i8 {} to i64", "ptr": "ptrtoint ptr {} to i64", "i64": "add i64 {}, 0"}
        lines = [f"  %w{k} = {wide[t].format(f'%a{k}')}" for k, t in enumerate(types)]
        lines.append(
            f"  call void inttoptr (i64 {address} to ptr)({', '.join(f'i64 %w{k}' for k in range(len(types)))})"
        )
        given = ", ".join(f"{t} %a{k}" for k, t in enumerate(types))
        return "\n".join([f"define void @simulated.{name}({given}) {{", *lines, "  ret void", "}"])


def _halves(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (words << np.uint32(16)).view(np.float32), (words & np.uint32(0xFFFF0000)).view(np.float32)


def simulate(monkeypatch: pytest.MonkeyPatch, tiles: bool) -> Registers:
    """Compile for a CPU with vectors of 64 bytes and pairs of bfloat16, and with tiles if ``tiles``."""
    here, registers, make = targets.target(), Registers(), program.machine_code
    there = replace(here, vector_bytes=64, registers=32, pairs=True, tiles=tiles)

    def machine_code(p: program.Program, target: targets.Target) -> bytes:
        text = p.text.replace("<32 x bfloat>", "<16 x i32>")
        if "@llvm.x86.avx512bf16.dpbf16ps.512" in text:
            text = re.sub(r"declare .*@llvm.x86.avx512bf16.dpbf16ps.512.*", PAIRS, text)
            text = text.replace("@llvm.x86.avx512bf16.dpbf16ps.512", "@simulated.dpbf16ps")
            if "declare <16 x float> @llvm.fma.v16f32" not in text:
                text += "\ndeclare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)"
        text = re.sub(
            r"declare void @llvm\.x86\.(ldtilecfg|t\w*)\((.*)\)",
            lambda m: registers.definition(m[1], m[2].split(", ") if m[2] else []), text,
        )  # fmt: skip
        text = re.sub(r"@llvm\.x86\.(ldtilecfg|t\w*)\(", r"@simulated.\1(", text)
        return make(replace(p, text=text), here)

    monkeypatch.setattr(program, "machine_code", machine_code)
    monkeypatch.setattr(function, "target", lambda: there)
    programs: dict[str, tuple[Any, ...]] = {}  # the addresses in them hold for this process alone
    monkeypatch.setattr(cache, "load", programs.get)
    monkeypatch.setattr(cache, "save", lambda key, *entry: programs.update({key: entry}))
    return registers
