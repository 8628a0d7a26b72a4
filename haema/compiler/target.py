"""The CPU that is compiled for."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import dataclass, replace
from functools import cache

from haema.errors import InputError

VARIABLE = "HAEMA_TARGET_CPU"


@dataclass(frozen=True)
class Target:
    """What the code generator must know of a CPU.

    Attributes:
        triple: Machine and operating system, as LLVM names them.
        cpu, features: As LLVM names them.
        vector_bytes: Width of a vector register.
        registers: How many vector registers there are.
        pairs: Whether an instruction multiplies vectors of pairs of bfloat16.
        tiles: Whether one multiplies tiles of them, 16 rows times 16 columns (AMX).
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    pairs: bool = False
    tiles: bool = False

    def lanes(self, itemsize: int) -> int:
        """How many elements a vector register holds."""
        return max(self.vector_bytes // itemsize, 1)


@cache
def _llvm() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


KNOWN = {
    64: (
        "skylake-avx512 cascadelake cooperlake cannonlake icelake-client icelake-server tigerlake rocketlake "
        "sapphirerapids emeraldrapids graniterapids znver4 znver5 x86-64-v4"
    ),
    32: "haswell broadwell skylake alderlake raptorlake meteorlake znver1 znver2 znver3 x86-64-v3",
    16: (
        "x86-64 x86-64-v2 core2 penryn nehalem westmere sandybridge ivybridge generic apple-m1 apple-m2 apple-m3 "
        "apple-m4 cortex-a53 cortex-a57 cortex-a72 cortex-a76 neoverse-n1 neoverse-n2 neoverse-v1 neoverse-v2"
    ),
}
"""CPUs by the bytes of a vector register that are used on them, by LLVM's names."""
WITH_PAIRS = "cooperlake sapphirerapids emeraldrapids graniterapids znver4 znver5"
WITH_TILES = "sapphirerapids emeraldrapids graniterapids"
"""Those of them that multiply pairs of bfloat16, in vectors and in tiles."""


def describe(triple: str, cpu: str, features: str) -> Target:
    """The target of that name; its vectors are as wide as its features, or else its name, say."""
    if triple.startswith(("aarch64", "arm64")):
        return Target(triple, cpu, features, 16, 32)
    on = set(features.split(","))
    if features:
        width = 64 if "+avx512f" in on else 32 if "+avx2" in on else 16
        pairs, tiles = "+avx512bf16" in on, {"+amx-tile", "+amx-bf16"} <= on
    else:
        width = next((w for w, names in KNOWN.items() if cpu in names.split()), 16)
        pairs, tiles = cpu in WITH_PAIRS.split(), cpu in WITH_TILES.split()
    return Target(triple, cpu, features, width, 32 if width == 64 else 16, pairs, tiles)


@cache
def _tiles_allowed() -> bool:
    """Whether Linux lets this process use the registers for tiles, which it must ask for."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    arch_prctl, request, tile_data = 158, 0x1023, 18
    return ctypes.CDLL(None).syscall(arch_prctl, request, tile_data) == 0


def target(cpu: str | None = None) -> Target:
    """This CPU, or the one that ``cpu`` or HAEMA_TARGET_CPU names.

    Raises:
        InputError: the name is not known, or that CPU has wider vectors than this one.
    """
    return _target(cpu or os.environ.get(VARIABLE) or "")


@cache
def _target(wanted: str) -> Target:
    import llvmlite.binding as llvm

    _llvm()
    triple = llvm.get_process_triple()
    host = describe(triple, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    host = replace(host, tiles=host.tiles and _tiles_allowed())
    if not wanted:
        return host
    if not any(wanted in names.split() for names in KNOWN.values()):
        names = ", ".join(sorted(" ".join(KNOWN.values()).split()))
        raise InputError(f"{VARIABLE} is {wanted!r}, where the name of a CPU is right, one of {names}")
    found = describe(triple, wanted, "")
    if found.vector_bytes > host.vector_bytes:
        raise InputError(f"{VARIABLE} is {wanted!r}, whose vectors are wider than those of this CPU ({host.cpu})")
    return replace(found, pairs=found.pairs and host.pairs, tiles=found.tiles and host.tiles)


def machine(target: Target) -> object:
    """LLVM's code generator for a target."""
    import llvmlite.binding as llvm

    _llvm()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", jit=True
    )
