"""How long a training step, or one prediction, takes in haema and in its peers, in turn on the same machine.

    python -m benchmarks.steps [--workload NAME ...] [--peer NAME ...] [--threads N] [--rounds N]
                               [--python MODULE=INTERPRETER ...] [--busy N] [--json FILE]

Each peer is a process of its own, started once; then they are asked in turn, round after round, so that a change in
the machine's speed meets all of them. Printed are medians, their spread (largest minus smallest over median), the
most memory that the process ever had, libraries and compiling included, and, for haema, ratios of medians: how many
times faster it is than PyTorch as it comes, and than the fastest of the peers. A peer whose package is not installed,
or which cannot run, is named and left out; ``--python torch=/venv/bin/python`` says which interpreter has it. For
every peer alike glibc is told to keep freed memory, which spares page faults. With ``--busy 2`` two other programs
compute all the while, as on a computer that is in use.

haema_bf16 and torch_bf16, whose products are of bfloat16, run where ``--peer`` names them; the fastest of the peers is
then sought among those of the same precision.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.running import BF16, installed, parser, processor, started
from benchmarks.workloads import WORKLOADS

BUSY = 0.5
"""Programs that run on average, above which times are in doubt."""

Row = dict[str, Any]
"""The results of one peer in one workload."""


def ratios(rows: list[Row]) -> None:
    """Add to haema's rows how many times faster it is than PyTorch eager and than the fastest peer."""
    others = {row["peer"]: row["seconds"] for row in rows if not row["peer"].startswith("haema")}
    for row in rows:
        own = row["peer"].startswith("haema")
        base = others.get("torch_eager")
        alike = [seconds for peer, seconds in others.items() if (peer in BF16) == (row["peer"] in BF16)]
        row["x PyTorch eager"] = base / row["seconds"] if own and base else None
        row["x best peer"] = min(alike) / row["seconds"] if own and alike else None


def compare(workload: str, peers: list[str], options: argparse.Namespace) -> list[Row]:
    """Time one workload in all peers."""
    running = started(peers, workload, options)
    for _ in range(options.rounds):
        for peer in running:
            peer.measure()
    rows: list[Row] = []
    for peer in running:
        memory = int(peer.ask("memory"))
        peer.stop()
        row = {"peer": peer.name, "version": peer.version, "seconds": statistics.median(peer.times)}
        rows.append({**row, "times": peer.times, "peak_bytes": memory})
    ratios(rows)
    return rows


def show(rows: list[Row]) -> None:
    """Print a line for each peer."""
    print(f"  {'':20}{'median':>13}{'spread':>8}{'memory':>10}{'x PyTorch eager':>17}{'x best peer':>13}")
    for row in rows:
        spread = (max(row["times"]) - min(row["times"])) / row["seconds"]
        eager, best = ("" if row[k] is None else f"{row[k]:.2f}" for k in ("x PyTorch eager", "x best peer"))
        print(
            f"  {row['peer']:20}{row['seconds'] * 1e6:10.1f} us{spread:8.0%}{row['peak_bytes'] / 2**20:6.0f} MiB"
            f"{eager:>17}{best:>13}   {row['version']}",
            flush=True,
        )


@contextlib.contextmanager
def busy(n: int) -> Iterator[None]:
    """``n`` programs that compute."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main() -> None:
    """The command line."""
    options_of = parser(__doc__)
    options_of.add_argument(
        "--busy", type=int, default=0, metavar="N", help="other programs that compute all the while"
    )
    options_of.add_argument("--rounds", type=int, default=5)
    options_of.add_argument("--json", metavar="FILE", help="write all times and what they were measured on")
    options = options_of.parse_args()
    load = os.getloadavg()[0]  # before anything runs
    machine = {"processor": processor(), "system": platform.platform(), "threads": options.threads, "load": load}
    machine["busy"] = options.busy
    print(f"{machine['processor']}, {options.threads} threads, {options.rounds} rounds, {machine['system']}")
    if options.busy:
        print(f"beside {options.busy} programs that compute")
    if load > BUSY:
        print(f"other programs are running (load {load:.1f}): threads that wait for each other then take much longer")
    present = installed(options)
    results: dict[str, Any] = {"machine": machine, "rounds": options.rounds, "workloads": {}}
    for workload in options.workload:
        print(f"\n{WORKLOADS[workload].name}", flush=True)
        with busy(options.busy):
            rows = compare(workload, present, options)
        show(rows)
        results["workloads"][workload] = {"name": WORKLOADS[workload].name, "peers": rows}
        if options.json:  # after each workload, so that what is measured is not lost
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
