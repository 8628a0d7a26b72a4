"""Peers as processes: which there are, which of them can run, and how they are asked."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

PEERS = (
    "haema_eager",
    "haema_compiled",
    "haema_loop",
    "torch_eager",
    "torch_channels_last",
    "torch_fused",
    "torch_compile",
    "jax_jit",
    "jax_scan",
    "sklearn_mlp",
)
BF16 = ("haema_bf16", "torch_bf16")
"""Peers whose products are of bfloat16, which are run where they are asked for, their speed beside each other's."""
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""glibc is told to keep freed memory, for every peer alike."""


class NoStartError(Exception):
    """A peer could not be built; the message says why."""


def module(name: str) -> Any:
    """The module of a peer, which imports the peer's package only when it is built."""
    return importlib.import_module(f"benchmarks.peers.{name}")


def takes(name: str, workload: Workload) -> bool:
    """Whether a peer can do a workload."""
    asked = getattr(module(name), "takes", None)
    return asked is None or asked(workload)


class Peer:
    """A running worker.

    Args:
        name: One of ``PEERS`` or ``BF16``.
        workload: A key of ``WORKLOADS``.
        options: Those of ``parser``.
        more: More arguments of the worker.

    Raises:
        NoStartError: the peer cannot be built or run.
    """

    def __init__(self, name: str, workload: str, options: argparse.Namespace, *more: str) -> None:
        self.name = name
        self.times: list[float] = []
        self.peak = 0
        threads = str(options.threads)
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        self.process = subprocess.Popen(
            [interpreter(name, options), "-m", "benchmarks.worker", name, workload, threads, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **MEMORY, **counts},
        )
        ready, _, self.version = self.answer().partition(" ")
        if ready != "ready":
            self.stop()
            raise NoStartError(self.version)

    def answer(self) -> str:
        """The next line that the worker says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise NoStartError(f"ended with code {self.process.wait()}")
        return line

    def ask(self, question: str) -> str:
        """The answer to a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self.answer()

    def measure(self) -> None:
        """Ask for one measurement."""
        self.times.append(float(self.ask("time")))

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def interpreter(name: str, options: argparse.Namespace) -> str:
    """The Python that has the peer's package, by the option ``--python``."""
    return dict(pair.split("=", 1) for pair in options.python).get(module(name).MODULE, sys.executable)


def installed(options: argparse.Namespace) -> list[str]:
    """Those of the peers asked for whose package can be imported; the others are named."""
    present = []
    for name in options.peer:
        package = module(name).MODULE
        code = f"import {package}"
        if subprocess.run([interpreter(name, options), "-c", code], stderr=subprocess.DEVNULL).returncode == 0:
            present.append(name)
        else:
            print(f"{name}: {package} is not installed, left out")
    return present


def started(names: list[str], workload: str, options: argparse.Namespace, *more: str) -> list[Peer]:
    """Workers of the peers that take the workload; one that cannot run is named and left out."""
    running = []
    for name in names:
        if takes(name, WORKLOADS[workload]):
            try:
                running.append(Peer(name, workload, options, *more))
            except NoStartError as error:
                print(f"  {name}: left out, {error}", flush=True)
    return running


def processor() -> str:
    """What the machine calls its CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def processors() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that all programs here have in common."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    made.add_argument("--peer", nargs="+", choices=(*PEERS, *BF16), default=list(PEERS))
    made.add_argument("--threads", type=int, default=processors())
    made.add_argument("--python", nargs="+", default=[], metavar="MODULE=INTERPRETER")
    return made
