"""Whatever is wrong: one sentence that names it, exit status 2, nothing half-written."""

import os
import resource
import shutil
import struct
import sys

import numpy as np
import pytest

import haema as hm
from cli.conftest import environment, flowers, process
from haema.cli import guard


@pytest.fixture
def models(cli, trained, tmp_path):
    for path in trained.iterdir():
        if path.suffix in (".haema", ".csv"):
            shutil.copy(path, tmp_path)
    return cli


BAD_OPTIONS = [
    (["train", "digits", "--epochs", "0"], "--epochs is 0"),
    (["train", "digits", "--epochs", "-3"], "--epochs is -3"),
    (["train", "digits", "--epochs", "many"], "--epochs is 'many', where a whole number is right"),
    (["train", "digits", "--epochs=1.5"], "--epochs is '1.5', where a whole number is right"),
    (["train", "digits", "--epochs", "99999999999999999999"], "--epochs is 9999"),
    (["train", "digits", "--lr", "0"], "--lr is 0"),
    (["train", "digits", "--lr", "nan"], "--lr is nan"),
    (["train", "digits", "--lr", "fast"], "--lr is 'fast', where a number is right"),
    (["train", "digits", "--batch-size", "0"], "--batch-size is 0"),
    (["train", "digits", "--seed", "-1"], "--seed is -1"),
    (["train", "digits", "--validation", "1.5"], "--validation is 1.5"),
    (["train", "digits", "--time-limit", "0"], "--time-limit is 0"),
    (["train", "digits", "--model", "renset"], "--model is 'renset'"),
    (["train", "digits", "--recipe", "bets"], "--recipe is 'bets'"),
    (["train", "digits", "--recipe", "best"], "recipe 'best' is for convolutional networks"),
    (["train", "digits", "--precision", "bf61"], "--precision is 'bf61'"),
    (["train", "digits", "--precision", "bf16", "--eager"], "leave one of them out"),
    (["train", "digits", "--task", "clustering"], "--task is 'clustering'"),
    (["train", "digits", "--out", ""], "--out is ''"),
    (["train", "digits", "--out", "folder/"], "--out is 'folder/'"),
    (["train", "digits", "--out", "."], "which is a folder"),
    (["train", "digits", "--out", "x.png"], "x.haema is right"),
    (["train", "digits", "--out", "none/x.haema"], "there is no folder none"),
    (["train", "digits", "--out", "/proc/x.haema"], "/proc/x."),
    (["train", "digits", "--target", "y"], "leave it out"),
    (["train", "digits", "--frobnicate"], "no such option"),
    (["train", "digits", "more"], "more"),
    (["train"], "DATA"),
    (["frobnicate"], "frobnicate"),
    (["train", "nothing.csv"], "there is no file or folder nothing.csv"),
    (["evaluate", "nothing.haema", "digits"], "there is no file nothing.haema"),
    (["evaluate", ".", "digits"], "is a folder"),
    (["inspect", "nothing.haema"], "nothing.haema"),
]


@pytest.mark.parametrize(("words", "part"), BAD_OPTIONS, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_bad_options(cli, tmp_path, words, part):
    assert part in cli(*words).sentence
    assert list(tmp_path.iterdir()) == []


BAD_TABLES = [
    ("", "is empty"),
    ("a,y\n", "no rows"),
    ("a,y\n1,x\n2\n3,z\n", "line 3 of t.csv has 1 field"),
    ("a,y\n1,x\n2,x\n3,x\n", "single value 'x'"),
    ("a,y\n1,x\n", "single value"),
    ("a,y\n,x\n,z\n,x\n", "'a'"),
    ("y\n1\n2\n", "no column beside 'y'"),
    ("a,b\n1,2\n", "no column 'y'"),
    ("a,y\n1,x\n2,\n3,z\n", "is empty on line 3"),
    ("a,y\n1,1.5\ninf,2.5\n3,3.5\n", "inf"),
    ("a,y\n1,1.5\n2,inf\n3,3.5\n", "inf"),
    ("a,a,y\n1,2,x\n", "'a'"),
]


@pytest.mark.parametrize(("text", "part"), BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_bad_tables(cli, tmp_path, text, part):
    (tmp_path / "t.csv").write_text(text)
    sentence = cli("train", "t.csv", "--target", "y").sentence
    assert part in sentence
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_target_left_out_or_misspelt(models):
    assert "--target" in models("train", "flowers.csv").sentence
    assert "did you mean 'species'" in models("train", "flowers.csv", "--target", "specis").sentence
    assert "'rosa'" in models("train", "flowers.csv", "--target", "species", "--task", "regression").sentence
    assert "is a table" in models("train", "flowers.csv", "--target", "species", "--model", "cnn").sentence
    assert (
        "is the data itself" in models("train", "flowers.csv", "--target", "species", "--out", "flowers.csv").sentence
    )


def test_bad_cells_at_prediction(models, tmp_path):
    (tmp_path / "t.csv").write_text(flowers(9).replace("length", "length", 1).replace("\n", "\nabc,1,red,rosa\n", 1))
    assert "'abc' on line 2" in models("predict", "flowers.haema", "t.csv").sentence
    (tmp_path / "t.csv").write_text("width,colour\n1,red\n")
    assert "lacks the column 'length'" in models("predict", "flowers.haema", "t.csv").sentence
    (tmp_path / "t.csv").write_text("length,width,colour,species\n1,1,red,tulip\n")
    assert "'tulip' on line 2, which is no class" in models("evaluate", "flowers.haema", "t.csv").sentence
    (tmp_path / "t.csv").write_text("length,width,colour,prediction\n1,1,red,tulip\n")
    assert "'prediction' already" in models("predict", "flowers.haema", "t.csv").sentence


def test_data_of_another_kind_or_size(models, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 5)), y=np.arange(4) % 2)
    assert (
        "x.npz has inputs of shape 5, and the model takes 1 x 8 x 8"
        in models("predict", "digits.haema", "x.npz").sentence
    )
    assert "trained on images" in models("predict", "digits.haema", "flowers.csv").sentence
    assert "is no table" in models("evaluate", "flowers.haema", "digits").sentence
    assert "trained on a table" in models("predict", "flowers.haema", "x.npz").sentence
    assert "--part is 'some'" in models("evaluate", "digits.haema", "digits", "--part", "some").sentence
    np.savez(tmp_path / "y.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.arange(4) + 8)
    assert "no class" in models("evaluate", "digits.haema", "y.npz").sentence
    np.savez(tmp_path / "z.npz", x=np.zeros((4, 8, 8), np.uint8))
    assert "no labels" in models("evaluate", "digits.haema", "z.npz").sentence
    np.savez(tmp_path / "w.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.arange(4))
    assert "is other data" in models("evaluate", "digits.haema", "w.npz", "--part", "test").sentence
    np.savez(tmp_path / "n.npz", x=np.array([[1.0, np.nan]]), y=np.array([0]))
    assert "nan" in models("train", "n.npz").sentence


def test_damaged_models(models, tmp_path):
    whole = (tmp_path / "digits.haema").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    cases = {
        "cut": whole[: len(whole) // 2],
        "flipped": bytes(flipped),
        "claims": struct.pack("<Q", 10_000_000) + whole[8:],
        "text": b"this is a text and no model",
        "empty": b"",
    }
    for name, data in cases.items():
        (tmp_path / f"{name}.haema").write_bytes(data)
        for words in (
            ["evaluate", f"{name}.haema", "digits"],
            ["predict", f"{name}.haema", "digits"],
            ["inspect", f"{name}.haema"],
        ):
            assert f"{name}.haema" in models(*words).sentence


def test_models_without_or_with_a_damaged_card(models, tmp_path):
    hm.save(hm.nn.Linear(2, 3), "plain.haema")
    assert "without a note" in models("predict", "plain.haema", "digits").sentence
    hm.save({"w": hm.zeros(2)}, "state.haema")
    assert "no network" in models("predict", "state.haema", "digits").sentence
    model = hm.load("digits.haema")
    card = dict(model.meta["card"])
    for change in (
        {"kind": "sound"},
        {"task": 5},
        {"shape": [1, 8]},
        {"shape": "abc"},
        {"classes": ["a"]},
        {"classes": None},
        {"trivial": []},
        {"trivial": [99]},
        {"seed": "x"},
        {"shares": [2]},
        {"rows": None},
        {"surplus": 1},
    ):
        hm.save(model, "bad.haema", meta={"card": card | change})
        assert "damaged note" in models("predict", "bad.haema", "digits").sentence, change
    hm.save(model, "bad.haema", meta={"card": card | {"classes": ["a", "b"], "trivial": [0]}})
    assert "10 outputs and 2 classes" in models("predict", "bad.haema", "digits").sentence
    hm.save(model, "bad.haema", meta={"card": card | {"shape": [1, 9, 9]}})
    assert "model takes 1 x 9 x 9" in models("predict", "bad.haema", "digits").sentence
    hm.save(hm.nn.Linear(3, 10), "bad.haema", meta={"card": card})
    assert "does not take digits" in models("predict", "bad.haema", "digits").sentence
    with hm.no_grad():
        for p in model.parameters():
            p.fill_(float("nan"))
    hm.save(model, "bad.haema")
    assert "gives nan for row 0" in models("predict", "bad.haema", "digits").sentence


def test_loss_that_is_no_longer_finite(cli, tmp_path):
    sentence = cli("train", "digits", "--epochs", "2", "--lr", "1e18").sentence
    assert "the loss became" in sentence
    assert "--lr" in sentence
    assert list(tmp_path.iterdir()) == []


def test_full_disk(trained, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = process(["train", "digits", "--epochs", "1", "--out", tmp_path / "m.haema"], trained, preexec_fn=limit)
    assert done.returncode == 2
    assert "cannot write" in done.stderr.splitlines()[-1]
    assert "too large" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = process(["predict", "digits.haema", "digits", "--out", tmp_path / "p.csv"], trained, preexec_fn=limit)
    assert done.returncode == 2
    assert "p.csv" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_predictions_overwrite_nothing_that_is_read(models, tmp_path):
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for out in ("flowers.haema", "flowers.csv", "./flowers.csv"):
        sentence = models("predict", "flowers.haema", "flowers.csv", "--out", out).sentence
        assert f"--out is {out}, which is read and would be overwritten" in sentence
    words = ("predict", "flowers.haema", "flowers.csv", "--out")
    assert "there is no folder none" in models(*words, "none/p.csv").sentence
    assert "--out is ''" in models(*words, "").sentence
    assert "--out is '.'" in models(*words, ".").sentence
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_full_device(models):
    assert (
        "cannot write /dev/full: no space left"
        in models("predict", "digits.haema", "digits", "--out", "/dev/full").sentence
    )


@pytest.mark.parametrize("words", [["predict", "digits.haema", "digits"], ["inspect", "digits.haema"], ["--help"]])
def test_full_or_closed_output(trained, words):
    import subprocess

    command = [sys.executable, "-m", "haema", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=trained, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("haema: cannot write ")
    assert len(done.stderr.splitlines()) == 1
    with subprocess.Popen(command, cwd=trained, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.close()
        err = p.stderr.read()
    assert err == b""
    assert p.returncode == 141


def test_a_terminal_without_the_letters(trained, tmp_path, monkeypatch):
    """The output was a failure of encoding where standard output is not UTF-8."""
    import json

    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    table = tmp_path / "\u00e4.csv"
    table.write_text("note," + flowers(30).replace("\n", "\n\ud45c,").removesuffix("\ud45c,"), encoding="utf-8")
    done = process(["predict", "flowers.haema", table], trained)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("\ud45c,")
    done = process(["evaluate", "flowers.haema", table, "--json"], trained)
    assert json.loads(done.stdout)["data"] == str(table)


def test_a_name_that_is_no_text(tmp_path):
    name = os.fsdecode(b"\xff.csv")
    (tmp_path / name).write_text(flowers(30))
    done = process(["train", name, "--target", "species", "--model", "linear", "--epochs", "1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {p.suffix for p in tmp_path.iterdir()} == {".csv", ".haema", ".png", ".txt"}


def test_not_enough_memory_and_other_failures(monkeypatch, capsys):
    for error, status, part in (
        (MemoryError(), 2, "not enough memory"),
        (RecursionError(), 2, "too deep"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 2, "no space left on device; make room"),
        (PermissionError(13, "Permission denied", "x.csv"), 2, "cannot open x.csv: permission denied"),
        (OSError(13, "Permission denied", b"x.csv"), 2, "cannot open x.csv"),
        (ZeroDivisionError("division"), 1, "a mistake in haema itself: ZeroDivisionError"),
        (hm.ShapeError("matmul: (2, 3) and (4, 5)"), 2, "matmul: (2, 3)"),
        (BrokenPipeError(), 141, ""),
    ):

        def fail(argv, error=error):
            raise error

        monkeypatch.setattr(guard, "_command", fail)
        assert guard.run([]) == status
        err = capsys.readouterr().err
        assert part in err
        assert len(err.splitlines()) == (1 if part else 0)


def test_a_bug_shows_its_traceback_on_request(monkeypatch, capsys):
    monkeypatch.setattr(guard, "_command", lambda argv: 1 / 0)
    monkeypatch.setenv("HAEMA_TRACEBACK", "1")
    assert guard.run([]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_sentences_cannot_steer_the_terminal(capsys):
    guard.say("file \x1b[31mred\nline\tx")
    assert capsys.readouterr().err == "haema: file ?[31mred line x\n"
