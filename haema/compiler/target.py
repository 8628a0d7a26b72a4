"""The CPU that is compiled for."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, itemsize: int) -> int:
        """How many elements a vector register holds."""
        return max(self.vector_bytes // itemsize, 1)


@cache
def _llvm() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def describe(triple: str, cpu: str, features: str) -> Target:
    """The target of that name; its vectors are as wide as its features say."""
    if triple.startswith(("aarch64", "arm64")):
        return Target(triple, cpu, features, 16, 32)
    on = set(features.split(","))
    if "+avx512f" in on or cpu.startswith(
        ("skylake-avx512", "cascadelake", "icelake", "sapphirerapids", "znver4", "znver5")
    ):
        return Target(triple, cpu, features, 64, 32)
    if "+avx2" in on or cpu in ("haswell", "broadwell", "skylake", "znver1", "znver2", "znver3", "x86-64-v3"):
        return Target(triple, cpu, features, 32, 16)
    return Target(triple, cpu, features, 16, 16)


def target(cpu: str | None = None) -> Target:
    """This CPU, or the one that ``cpu`` or HAEMA_TARGET_CPU names.

    Raises:
        InputError: LLVM does not know the name.
    """
    return _target(cpu or os.environ.get(VARIABLE) or "")


@cache
def _target(wanted: str) -> Target:
    import llvmlite.binding as llvm

    _llvm()
    triple = llvm.get_process_triple()
    if not wanted:
        features = llvm.get_host_cpu_features().flatten()
        return describe(triple, llvm.get_host_cpu_name(), features)
    if not wanted.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{VARIABLE} is {wanted!r}, where the name of a CPU is right, such as haswell")
    return describe(triple, wanted, "")


def machine(target: Target) -> object:
    """LLVM's code generator for a target."""
    import llvmlite.binding as llvm

    _llvm()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", jit=True
    )
