"""The compiler: a function of tensors becomes one native program.

trace     run the function once on symbolic tensors          -> graph
passes    graph -> graph
lower     what is kept, and what shares a loop (inline: what a value is at a position)   -> nests
schedule  layouts, vector axes, register tiles, threads
emit      nests                                               -> LLVM
program   all nests in one function that every thread runs
runtime   memory and threads;  cache: programs on disk
function  `hm.compile`, the call and the loop;  report: looking inside
"""

from haema.compiler.function import Compiled, compile

__all__ = ["Compiled", "compile"]
