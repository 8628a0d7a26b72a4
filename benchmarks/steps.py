"""How long a training step takes in haema and in its peers, in turn on the same machine.

    python -m benchmarks.steps [--workload NAME ...] [--peer NAME ...] [--threads N] [--rounds N]
                               [--python MODULE=INTERPRETER ...]

Each peer is a process of its own, started once; then they are asked in turn, round after round, so that a change in
the machine's speed meets all of them. Printed are medians and the ratios of medians (peer / haema: how many times
faster haema is). A peer whose package is not installed is named and left out; ``--python torch=/venv/bin/python``
says which interpreter has it. For every peer alike glibc is told to keep freed memory, which spares page faults.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.workloads import WORKLOADS

PEERS = ("haema_eager", "torch_eager", "torch_channels_last", "sklearn_mlp")
MODULES = {
    "haema_eager": "haema",
    "torch_eager": "torch",
    "torch_channels_last": "torch",
    "sklearn_mlp": "sklearn",
}
ONLY = {"torch_channels_last": "cnn", "sklearn_mlp": "mlp"}
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


class Peer:
    """A running worker."""

    def __init__(self, name: str, workload: str, threads: int, interpreter: str) -> None:
        self.name = name
        self.times: list[float] = []
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.process = subprocess.Popen(
            [interpreter, "-m", "benchmarks.worker", name, workload, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **MEMORY, **counts},
        )
        ready, _, self.version = self._answer().partition(" ")
        if ready != "ready":
            raise RuntimeError(f"{name} did not start on {workload}")

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def measure(self) -> None:
        """Ask for one measurement."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.times.append(float(self._answer()))

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def processor() -> str:
    """What the machine calls its CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def installed(name: str, interpreter: str) -> bool:
    """Whether the peer's package can be imported there."""
    code = f"import {MODULES[name]}"
    return subprocess.run([interpreter, "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def compare(workload: str, peers: list[str], options: Any, interpreters: dict[str, str]) -> None:
    """Time one workload in all peers and print a line for each."""
    running = [
        Peer(p, workload, options.threads, interpreters.get(MODULES[p], sys.executable))
        for p in peers
        if workload.startswith(ONLY.get(p, ""))
    ]
    for _ in range(options.rounds):
        for peer in running:
            peer.measure()
    print(f"\n{WORKLOADS[workload].name}")
    base = statistics.median(running[0].times)
    for peer in running:
        peer.stop()
        median = statistics.median(peer.times)
        spread = (max(peer.times) - min(peer.times)) / median
        print(
            f"  {peer.name:22s} {median * 1e6:10.1f} us   {median / base:6.2f}x   spread {spread:4.0%}   {peer.version}"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", nargs="+", default=[], metavar="MODULE=INTERPRETER")
    options = parser.parse_args()
    interpreters = dict(pair.split("=", 1) for pair in options.python)
    present = []
    for name in options.peer:
        if installed(name, interpreters.get(MODULES[name], sys.executable)):
            present.append(name)
        else:
            print(f"{name}: {MODULES[name]} is not installed, left out")
    print(f"{processor()}, {options.threads} threads, {options.rounds} rounds")
    for workload in options.workload:
        compare(workload, present, options, interpreters)


if __name__ == "__main__":
    main()
