"""A program may be dropped as soon as its call has returned."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import haema as hm

hm.set_num_threads(2)
for _ in range(40):
    f = hm.compile(lambda x: x * 2 + 1)
    for _ in range(2):
        f(hm.ones(600, 1000))
    del f
print("all dropped")
"""


def run(program):
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout, found.stderr) == (0, "all dropped\n", "")


def test_machine_code_lives_until_the_last_thread_has_left_it():
    # A thread other than the caller's could still be on its way out of the last barrier when the program was collected
    # and its code unmapped; the process then died.
    run(PROGRAM)


def test_an_engine_is_freed_before_its_context():
    # llvmlite lets go of the module, and with it of the context, before it frees the engine; the process then died.
    run(PROGRAM.replace("num_threads(2)", "num_threads(1)").replace("    del f", "    f.itself = f\n    del f"))
