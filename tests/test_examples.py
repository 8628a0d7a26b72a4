"""Every program in examples/ runs, says what it promises, and writes only where it is told to."""

import runpy
import sys
from pathlib import Path

import pytest

import haema as hm

EXAMPLES = Path(__file__).parent.parent / "examples"

# what each program writes, and texts that must be among what it prints
PROMISES = {
    "xor": ([], ["OR: 4 of 4 right", "XOR: 2 of 4 right", " 1    1   -0.5    0", "0 XOR 1: 0.99", "1 XOR 1: 0.0"]),
    "digits": (["digits.png", "digits.safetensors"], ["* best val_loss", "'accuracy': 0.9"]),
    "table": (["bicycles.csv", "bicycles.safetensors"], ["7 numbers and 2 categories", "R2 0.9", "Nobody aluminium"]),
    "own_layer": (["spirals.safetensors"], ["RadialBasis", "epoch 60: loss 0.0", "'loss': 'hinge'"]),
    "convolution": (["convolution.png"], ["     4    3    4\n     2    4    3\n     2    3    4", "% of 359 digits"]),
    "vanishing_gradient": (["vanishing_gradient.png"], ["sigmoid, Xavier", "ReLU, He"]),
    "optimizers": (["optimizers.png"], ["saddle", "ravine", "Adam"]),
}


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize("name", PROMISES)
def test_an_example(name, tmp_path, monkeypatch, capsys):
    files, texts = PROMISES[name]
    away = tmp_path / "elsewhere"
    out = tmp_path / "out"
    away.mkdir()
    out.mkdir()
    monkeypatch.chdir(away)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", str(out)])
    state = hm.get_rng_state()
    try:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    finally:
        hm.set_rng_state(state)
    printed = capsys.readouterr().out
    for text in texts:
        assert text in printed
    assert sorted(p.name for p in out.iterdir()) == files
    assert all(p.stat().st_size > 1000 for p in out.iterdir())
    assert not list(away.iterdir())


def test_the_first_example_is_short():
    code = (EXAMPLES / "digits.py").read_text().split('"""')[2].splitlines()
    assert len([line for line in code if line.strip()]) <= 15
