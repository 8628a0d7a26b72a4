"""From a scheduled nest to LLVM: one function per nest.

void nest(ptr buffer, ..., ptr fault, i64 low, i64 high)        runs the tasks low <= t < high
"""

from __future__ import annotations

from haema.compiler.builder import Module
from haema.compiler.loops import Loops
from haema.compiler.matrix import Matrix
from haema.compiler.nest import Nest
from haema.compiler.tiles import Tiles


def emit(module: Module, nest: Nest, name: str) -> int:
    """Write the function of a nest; how many tasks it has."""
    contraction = Matrix if nest.plan.depth else Tiles
    code = (contraction if nest.plan.kind == "contraction" else Loops)(module, nest, name)
    count = code.write()
    pointers = (f"ptr noalias {code.pointer[b].name}" for b in code.buffers)
    code.b.line("ret void")
    module.define(name, f"void @{name}({', '.join([*pointers, 'ptr %fault', 'i64 %low', 'i64 %high'])})", code.b)
    return count
