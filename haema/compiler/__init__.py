"""The compiler: a function of tensors becomes one native program.

trace     run the function once on symbolic tensors          -> graph
passes    graph -> graph; bfloat: products in pairs of bfloat16, where that is wished
lower     what is kept, and what shares a loop (inline: what a value is at a position)   -> nests
layout    how buffers lie, and the copies that contractions want
schedule  vector axes, the order of loops, threads; tiling: the same for contractions, which are held in registers
emit      nests -> LLVM (loops; tiles: contractions; matrix: those in registers that are tiles)
program   all nests in one function that every thread runs
runtime   memory and threads;  cache: programs on disk
function  `hm.compile`, the call and the loop;  report: looking inside
"""

from haema.compiler.function import Compiled, compile

__all__ = ["Compiled", "compile"]
