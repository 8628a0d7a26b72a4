"""The text of a function: what is known is not computed again, and only where it is known."""

from __future__ import annotations

import llvmlite.binding as llvm

from haema.compiler.builder import Builder, Module, Value, const


def built(b: Builder, module: Module) -> str:
    """The text of the program, after LLVM has read and verified it."""
    b.line("ret void")
    module.define("f", "void @f(ptr %to, i64 %n)", b)
    llvm.parse_assembly(module.text()).verify()
    return module.text()


def test_a_known_value_is_not_computed_again() -> None:
    module = Module()
    b = Builder(module)
    to, n = Value("ptr", "%to"), Value("i64", "%n")
    for _ in range(3):
        b.store(b.op("mul", n, n), b.at(to, n, "i64"), 8)
    text = built(b, module)
    assert (text.count("mul i64"), text.count("getelementptr"), text.count("store")) == (1, 1, 3)


def test_memory_is_read_each_time() -> None:
    module = Module()
    b = Builder(module)
    to = Value("ptr", "%to")
    for _ in range(2):
        b.store(b.op("add", b.load(to, "i64", 8), const("i64", 1)), to, 8)
    text = built(b, module)
    assert (text.count("load i64"), text.count("add i64")) == (2, 2)


def test_after_a_branch_or_a_loop_nothing_in_it_is_known() -> None:
    """Were a value of the branch used after it, LLVM would find it used where it need not exist."""
    module = Module()
    b = Builder(module)
    to, n = Value("ptr", "%to"), Value("i64", "%n")
    before = b.op("mul", n, n)
    with b.when(b.compare("icmp sgt", n, const("i64", 3))):
        b.store(b.op("sub", n, before), to, 8)
    with b.loop(const("i64", 0), n) as loop:
        b.store(b.op("sub", n, before), b.at(to, loop.index, "i64"), 8)
    b.store(b.op("sub", n, before), to, 8)
    text = built(b, module)
    assert (text.count("sub i64"), text.count("mul i64")) == (3, 1)
