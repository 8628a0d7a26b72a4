"""Record PyTorch's answers: ``python -m tests.parity.record [topic ...]``, in an environment with PyTorch."""

from __future__ import annotations

import sys

import numpy as np

from tests.parity.harness import EXPECTED, cases_of, run, save, topics

LIMIT = 300_000  # bytes per topic: recordings live in the repository


def main(wanted: list[str]) -> None:
    """Write ``expected/<topic>.npz`` for each topic.

    Raises:
        SystemExit: a topic does not exist, or its recording is too large.
    """
    import torch

    torch.set_num_threads(1)
    known = topics()
    for topic in wanted or known:
        if topic not in known:
            raise SystemExit(f"there is no topic {topic}; there are {', '.join(known)}")
        results: dict[str, np.ndarray] = {}
        for c in cases_of(topic).values():
            results.update(run(c, torch))
        EXPECTED.mkdir(exist_ok=True)
        path = EXPECTED / f"{topic}.npz"
        save(path, results)
        size = path.stat().st_size
        print(f"{topic}: {len(cases_of(topic))} cases, {len(results)} results, {size / 1000:.0f} kB")
        if size > LIMIT:
            path.unlink()
            raise SystemExit(f"{topic}: {size} bytes are more than {LIMIT}; use smaller shapes")


if __name__ == "__main__":
    main(sys.argv[1:])
