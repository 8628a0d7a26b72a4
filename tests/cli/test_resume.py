"""Runs that are killed or interrupted, and gone on with."""

import random
import signal
import subprocess
import sys
import time

import pytest

from cli.conftest import environment, houses, process
from haema.io import load_checkpoint, save_checkpoint

WORDS = ["train", "digits", "--model", "linear", "--epochs", "12"]


def start(folder, *words):
    command = [sys.executable, "-m", "haema", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The model file of a run that was never killed, and how long it took after its first checkpoint."""
    folder = tmp_path_factory.mktemp("reference")
    p = start(folder, *WORDS)
    wait_for(folder / "digits.checkpoint")
    begin = time.monotonic()
    p.communicate()
    return (folder / "digits.haema").read_bytes(), time.monotonic() - begin


@pytest.mark.parametrize("seed", range(4))
def test_killed_runs_end_with_the_same_bytes(reference, tmp_path, seed):
    """Killed up to three times, at random moments from the first checkpoint to the last file."""
    expected, seconds = reference
    rng = random.Random(seed)
    words = list(WORDS)
    for _ in range(3):
        p = start(tmp_path, *words)
        wait_for(tmp_path / "digits.checkpoint")
        time.sleep(rng.uniform(0, seconds) if seed else seconds * 0.8)
        p.send_signal(signal.SIGKILL)
        p.communicate()
        if not (tmp_path / "digits.checkpoint").exists():
            break
        words = [*WORDS, "--resume"]
    else:
        done = process(words, tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "digits.haema").read_bytes() == expected
    assert not (tmp_path / "digits.checkpoint").exists()


def test_killed_run_on_a_table(tmp_path):
    """The networks for tables keep more than weights: folds, best epochs, which of them still learn."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "houses.csv").write_text(houses(40))
    words = ["train", "houses.csv", "--target", "price", "--epochs", "8"]
    assert process(words, tmp_path / "a").returncode == 0
    p = start(tmp_path / "b", *words)
    wait_for(tmp_path / "b" / "houses.checkpoint")
    time.sleep(0.2)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    done = process([*words, "--resume"], tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "houses.haema").read_bytes() == (tmp_path / "b" / "houses.haema").read_bytes()


def test_ctrl_c_says_how_to_go_on(reference, tmp_path):
    p = start(tmp_path, *WORDS)
    wait_for(tmp_path / "digits.checkpoint")
    time.sleep(0.1)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate()
    assert p.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("haema: interrupted")
    assert last.endswith("haema train digits --model linear --epochs 12 --resume")
    assert [p.name for p in tmp_path.iterdir()] == ["digits.checkpoint"]
    done = process(last.partition("go on with: haema ")[2].split(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "digits.haema").read_bytes() == reference[0]


@pytest.fixture
def unfinished(tmp_path):
    """A folder with the checkpoint of a run that was killed."""
    p = start(tmp_path, *WORDS)
    wait_for(tmp_path / "digits.checkpoint")
    p.send_signal(signal.SIGKILL)
    p.communicate()
    return tmp_path


def test_other_settings_are_refused(cli, unfinished, monkeypatch):
    monkeypatch.setenv("HAEMA_EAGER", "0")
    for words, part in (
        (["--epochs", "7"], "--epochs 12, and now it is 7"),
        (["--seed", "3"], "--seed 0, and now it is 3"),
        (["--lr", "0.1"], "--lr 0.003, and now it is 0.1"),
        (["--batch-size", "16"], "--batch-size 32, and now it is 16"),
        (["--validation", "0.2"], "--validation 0.1, and now it is 0.2"),
        (["--model", "mlp"], "--model linear, and now it is mlp"),
        (["--precision", "bf16"], "--precision float32, and now it is bf16"),
        (["--time-limit", "9"], "--time-limit left out, and now it is 9"),
    ):
        assert part in cli(*WORDS, *words, "--resume").sentence
    assert (unfinished / "digits.checkpoint").exists()


def test_products_are_as_they_were(cli, tmp_path):
    """The precision need not be named again: what is right by default may differ on another computer."""
    p = start(tmp_path, *WORDS, "--precision", "bf16")
    wait_for(tmp_path / "digits.checkpoint")
    p.send_signal(signal.SIGKILL)
    p.communicate()
    assert "--precision bf16, and now it is float32" in cli(*WORDS, "--precision", "float32", "--resume").sentence
    assert "and --eager is for none" in cli(*WORDS, "--eager", "--resume").sentence
    assert cli(*WORDS, "--resume").status == 0
    assert "--precision bf16" in (tmp_path / "digits-report.txt").read_text()


def test_other_data_is_refused(cli, unfinished):
    rows = "".join(f"{i},{i % 10}\n" for i in range(300))
    (unfinished / "t.csv").write_text("a,y\n" + rows)
    words = [
        "t.csv",
        "--target",
        "y",
        "--model",
        "linear",
        "--epochs",
        "12",
        "--lr",
        "0.003",
        "--out",
        "digits",
        "--resume",
    ]
    assert "digits.checkpoint belongs to a run with" in cli("train", *words).sentence
    assert cli("train", "t.csv", "--target", "y", "--epochs", "2", "--out", "t").status == 0


def test_a_new_run_replaces_the_checkpoint_and_says_so(cli, unfinished):
    r = cli(*WORDS)
    assert r.status == 0
    assert "digits.checkpoint of an unfinished run is replaced" in r.err
    assert "is finished" in cli(*WORDS, "--resume").sentence


def test_damaged_checkpoints(cli, unfinished):
    path = unfinished / "digits.checkpoint"
    whole = path.read_bytes()
    for data in (whole[:1000], whole[:-1], b"", b"text"):
        path.write_bytes(data)
        assert "digits.checkpoint" in cli(*WORDS, "--resume").sentence
    save_checkpoint({"epoch": 3}, path)
    assert "is no checkpoint of `haema train`" in cli(*WORDS, "--resume").sentence
    path.write_bytes(whole)
    state = load_checkpoint(path)
    for key in ("model", "optimizer", "callbacks", "epoch", "generators", "history"):
        save_checkpoint({k: v for k, v in state.items() if k != key}, path)
        assert "digits.checkpoint" in cli(*WORDS, "--resume").sentence


def test_leftovers_of_a_kill_are_removed(cli, tmp_path):
    (tmp_path / ".digits.haema.0123abcd.tmp").write_text("half")
    (tmp_path / ".digits.haema.notes.tmp").write_text("mine")
    assert cli("train", "digits", "--model", "linear", "--epochs", "1").status == 0
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [".digits.haema.notes.tmp"]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(cli, tmp_path):
    first = cli(*WORDS, "--resume")
    assert first.status == 0
    assert "there is no checkpoint" in first.err
    assert "begins at its beginning" in first.err
    again = cli(*WORDS, "--resume")
    assert again.status == 2
    assert "is finished; leave out --resume to begin anew" in again.sentence
