"""What the compiler says at each stage in haema/compiler/README.md: ``python -m tests.compiler.walk`` writes it anew.

The page holds the Python program; all its other listings are made from that. The schedule and the assembly are those of
one fixed CPU with AVX-512, so that they come out the same everywhere. Only the times are those of this machine.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import haema as hm
from haema.compiler import graph, nest, program
from haema.compiler.program import Program
from haema.compiler.report import memory_text, nest_text
from haema.compiler.target import Target

PAGE = Path(program.__file__).with_name("README.md")
TARGET = Target("x86_64-unknown-linux-gnu", "znver4", "", 64, 32)
LAYER = 1
"""The nest that is followed to the end: the contraction of the forward pass."""
BLOCK = re.compile(r"(<!-- (\w+) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)


def listings(page: str) -> dict[str, str]:
    """Name -> text of the listings on the page."""
    return {m[2]: m[3] for m in BLOCK.finditer(page)}


def run(code: str) -> dict[str, Any]:
    """The names that the page's program leaves."""
    names: dict[str, Any] = {"__name__": "dense"}
    exec(compile(code, "dense.py", "exec"), names)
    return names


def build(names: dict[str, Any]) -> tuple[graph.Graph, Program]:
    """The recorded graph and the program for the page's CPU."""
    recorded = names["step"]._last.graph
    return recorded, program.build(recorded, TARGET)


def text_stages(recorded: graph.Graph, p: Program) -> dict[str, str]:
    """The stages before machine code."""
    numbered = [f"[{k}] {nest.show(n)}" for k, n in enumerate(p.nests)]
    return {
        "traced": graph.show(recorded),
        "passes": graph.show(p.graph),
        "nests": "\n\n".join(numbered),
        "schedule": "\n".join(nest_text(p, LAYER)),
        "memory": "\n".join(memory_text(p)),
    }


def machine_stages(p: Program) -> dict[str, str]:
    """LLVM's language, and assembly, of the innermost loop."""
    module, tm = program.emit_ir(p, TARGET)
    assembly = tm.emit_assembly(module)  # type: ignore[attr-defined]
    name = f"nest{LAYER}"
    function = p.text[p.text.index(f"void @{name}(") :].split("\n}")[0]
    code = assembly[assembly.index(f"\n{name}:") :].split(".Lfunc_end")[0]
    return {"ir": _loop_of(function), "assembly": _assembly_of(code)}


def _hottest(text: str, label: str, word: str) -> list[str]:
    """The lines of the block with the most ``word``."""
    blocks = re.split(rf"(?m)^(?={label})", text)
    return max(blocks, key=lambda b: b.count(word)).rstrip().split("\n")


def _loop_of(function: str) -> str:
    lines = _hottest(function, r"\w+:$", "@llvm.fma")
    sums = [k for k, line in enumerate(lines) if " phi <" in line]
    products = [k for k, line in enumerate(lines) if "@llvm.fma" in line]
    shown = [
        *lines[: sums[0] + 2], f"  ; ... and so on: {len(sums)} sums in all", *lines[sums[-1] + 1 : products[1] + 1],
        f"  ; ... the same for the other {len(products) // 2 - 1} rows", *lines[products[-1] + 1 :],
    ]  # fmt: skip
    # sixteen zeros in every line are no help to a reader
    return re.sub(r"<(float 0x0{16}(, )?)+>", "zeroinitializer", "\n".join(shown))


def _assembly_of(code: str) -> str:
    lines = [x for x in _hottest(code, r"\.LBB\w+:", "vfmadd") if not x.strip().startswith(("#", ".p2align", ".cfi"))]
    end = next(k for k, x in enumerate(lines) if re.match(r"\tj\w+\t\.LBB", x)) + 1
    products = sum("vfmadd" in x for x in lines[:end])
    cut = lines[:14], lines[end - 7 : end]
    between = products - sum("vfmadd" in x for part in cut for x in part)
    return "\n".join([*cut[0], f"\t# ... {between} more multiply-adds", *cut[1]]).expandtabs(8)


def main() -> None:
    """Write the page."""
    page = PAGE.read_text()
    names = run(listings(page)["python"])
    recorded, p = build(names)
    stages = {**text_stages(recorded, p), **machine_stages(p), "time": str(names["step"].profile(names["x"]))}

    def replace(m: re.Match[str]) -> str:
        return m[0] if m[2] == "python" else f"{m[1]}{stages.pop(m[2])}\n{m[4]}"

    page = BLOCK.sub(replace, page)
    assert not stages, f"the page has no place for {', '.join(stages)}"
    PAGE.write_text(page)
    print(f"{PAGE} is what the compiler says, with {hm.get_num_threads()} threads")


if __name__ == "__main__":
    main()
