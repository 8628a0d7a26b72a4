"""The command line in this process: quick, and with its exit status and both of its outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from haema.cli import main

ROOT = Path(__file__).parents[2]


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])

    @property
    def sentence(self):
        """The one sentence of a failure; fails where it is anything else."""
        assert self.status == 2, (self.status, self.out, self.err)
        lines = [line for line in self.err.splitlines() if not line.startswith("epoch ")]
        assert "Traceback" not in self.err
        assert self.out == ""
        assert len(lines) == 1, lines
        assert lines[0].startswith("haema: ")
        assert not lines[0].endswith(".")
        return lines[0].removeprefix("haema: ")


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd):
    """``cli("train", "digits")`` runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words):
        capfd.readouterr()
        status = main([str(w) for w in words])
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call


def flowers(rows=60, seed=0):
    """A table of three classes that are easy to tell apart, with a category and a few holes."""
    rng = np.random.default_rng(seed)
    lines = ["length,width,colour,species"]
    for i in range(rows):
        k = i % 3
        width = "" if i % 11 == 5 else f"{rng.normal(k, 0.3):.2f}"
        lines.append(
            f"{rng.normal(2 * k, 0.3):.3f},{width},{['red', 'blue', 'white'][k]},{['rosa', 'lilia', 'viola'][k]}"
        )
    return "\n".join(lines) + "\n"


def houses(rows=60, seed=0):
    """A table whose target is a sum of its numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    y = 100000 + 20000 * x[:, 0] - 5000 * x[:, 1]
    return "a,b,c,price\n" + "".join(f"{a:.4f},{b:.4f},{c:.4f},{p:.2f}\n" for (a, b, c), p in zip(x, y, strict=True))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with small models and the data they were trained on."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "flowers.csv").write_text(flowers())
    (folder / "houses.csv").write_text(houses())
    for words in (
        ["digits", "--epochs", "3", "--batch-size", "64"],
        ["flowers.csv", "--target", "species", "--model", "mlp", "--epochs", "20"],
        ["houses.csv", "--target", "price", "--epochs", "4"],
    ):
        done = process(["train", *words, "--json"], folder)
        assert done.returncode == 0, done.stderr
    return folder


def process(words, folder, **more):
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "haema", *map(str, words)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        **more,
    )


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100"}
