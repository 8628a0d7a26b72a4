"""Whether all peers do the same: from the same weights, with dropout switched off, the same losses over five steps.

    python -m benchmarks.agree [--workload NAME ...] [--peer NAME ...] [--threads N] [--python MODULE=INTERPRETER ...]

Printed is a line per peer: the losses of five steps one by one (of a prediction the sum of the absolute outputs), and
the fifth of five steps at once, which peers with whole loops compute otherwise. A difference of more than 1e-3,
relative, from the median of the peers in float32 is marked, and the program ends with code 1; with products of
bfloat16, of more than 3e-2.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks.running import BF16, installed, parser, started
from benchmarks.workloads import WORKLOADS

TOLERANCE, NARROW = 1e-3, 3e-2


def main() -> None:
    """The command line."""
    options = parser(__doc__).parse_args()
    present = installed(options)
    differ = False
    for workload in options.workload:
        print(f"\n{WORKLOADS[workload].name}", flush=True)
        names = [p for p in present if WORKLOADS[workload].training or p != "sklearn_mlp"]  # gives probabilities
        found: dict[str, list[float]] = {}
        for peer in started(names, workload, options, "losses"):
            found[peer.name] = [*map(float, peer.answer().split())]
            peer.stop()
        if not found:
            continue
        exact = [losses for name, losses in found.items() if name not in BF16] or [*found.values()]
        expected = [statistics.median(column) for column in zip(*exact, strict=True)]
        expected[-1:] = expected[-2:-1]
        print(f"  {'step':20}{1:11}{2:11}{3:11}{4:11}{5:11}   5 at once")
        for name, losses in found.items():
            tolerance = NARROW if name in BF16 else TOLERANCE
            wrong = any(abs(a - b) > tolerance * abs(b) for a, b in zip(losses, expected, strict=True))
            differ |= wrong
            print(f"  {name:20}{''.join(f'{x:11.6f}' for x in losses)}{'   DIFFERS' * wrong}", flush=True)
    sys.exit(differ)


if __name__ == "__main__":
    main()
