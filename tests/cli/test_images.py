"""The commands on image files: streamed, broken, loose."""

import csv
import io
import signal
import time

import numpy as np
import pytest
from PIL import Image

import haema as hm
from cli.conftest import houses, process
from cli.test_resume import start, wait_for
from haema.data.images import NAMED
from haema.io import load_checkpoint

WORDS = ["train", "photos", "--model", "linear", "--epochs", "60", "--batch-size", "16"]


def photos(folder, count=60, side=8):
    """Two classes of grey images that are easy to tell apart."""
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 120)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(low, low + 120, (side, side), np.uint8)).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the photos and the model of a run that held them in memory."""
    folder = tmp_path_factory.mktemp("made")
    photos(folder / "photos")
    done = process(WORDS, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def model(made, tmp_path):
    (tmp_path / "photos.haema").write_bytes((made / "photos.haema").read_bytes())
    return tmp_path / "photos.haema"


def table(text):
    return list(csv.reader(io.StringIO(text)))


def test_streamed_commands_give_the_same(cli, made, tmp_path):
    (tmp_path / "photos").symlink_to(made / "photos")
    r = cli(*WORDS, "--stream")
    assert r.status == 0, r.err
    assert "stay in their files" in r.out
    assert (tmp_path / "photos.haema").read_bytes() == (made / "photos.haema").read_bytes()
    for words in (
        ["evaluate", "photos.haema", "photos", "--part", "test", "--json"],
        ["predict", "photos.haema", "photos"],
    ):
        held, streamed = cli(*words, "--no-stream"), cli(*words, "--stream")
        assert held.status == streamed.status == 0, streamed.err
        if words[0] == "predict":
            assert held.out == streamed.out
            assert len(table(held.out)) == 121
        else:
            assert held.json["metrics"] == streamed.json["metrics"]
            assert held.json["value"] > 0.9


def test_a_killed_streamed_run_ends_with_the_same_bytes(made, tmp_path):
    (tmp_path / "photos").symlink_to(made / "photos")
    words = [*WORDS, "--stream"]
    p = start(tmp_path, *words)
    wait_for(tmp_path / "photos.checkpoint")
    while load_checkpoint(tmp_path / "photos.checkpoint")["epoch"] < 1:
        time.sleep(0.005)
    p.send_signal(signal.SIGKILL)
    p.communicate()  # ends only when no worker holds on to the pipes any more
    assert 1 <= load_checkpoint(tmp_path / "photos.checkpoint")["epoch"] < 60
    done = process([*words, "--resume"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photos.haema").read_bytes() == (made / "photos.haema").read_bytes()


def test_broken_images_are_named_or_left_out(cli, tmp_path):
    photos(tmp_path / "photos", count=12)
    for i in (3, 7):
        (tmp_path / "photos" / "dark" / f"{i}.png").write_bytes(b"")
    words = ["train", "photos", "--model", "linear", "--epochs", "1"]
    said = cli(*words).sentence
    assert "2 of 24 images cannot be read: photos/dark/3.png (an empty file), photos/dark/7.png (an empty" in said
    assert "--skip-broken" in said
    assert not (tmp_path / "photos.haema").exists()
    r = cli(*words, "--skip-broken", "--json")
    assert r.status == 0, r.err
    assert sum(r.json["rows_by_part"].values()) == 22
    assert "2 of 24 images cannot be read and were left out: photos/dark/3.png" in r.err
    for command in ("evaluate", "predict"):
        assert "photos/dark/7.png" in cli(command, "photos.haema", "photos").sentence
        r = cli(command, "photos.haema", "photos", "--skip-broken")
        assert r.status == 0, r.err
        assert "2 of 24 images cannot be read and were left out" in r.err
    assert len(table(r.out)) == 23


@pytest.mark.usefixtures("model")
def test_predict_loose_images(cli, tmp_path):
    Image.new("L", (8, 8), 30).save(tmp_path / "night.png")
    Image.new("RGB", (50, 90), (220, 220, 220)).save(tmp_path / "day.jpg")
    photos(tmp_path / "more", count=2)
    r = cli("predict", "photos.haema", "night.png", "day.jpg", "more")
    assert r.status == 0, r.err
    rows = table(r.out)
    assert rows[0] == ["file", "prediction", "p(dark)", "p(light)"]
    assert [row[:2] for row in rows[1:]] == [
        ["night.png", "dark"],
        ["day.jpg", "light"],
        ["more/dark/0.png", "dark"],
        ["more/dark/1.png", "dark"],
        ["more/light/0.png", "light"],
        ["more/light/1.png", "light"],
    ]
    for row in rows[1:]:
        assert float(row[2]) + float(row[3]) == pytest.approx(1, abs=1e-5)
    assert cli("predict", "photos.haema", "night.png", "day.jpg", "more", "--out", "p.csv").status == 0
    assert table((tmp_path / "p.csv").read_text()) == rows
    alone = table(cli("predict", "photos.haema", "day.jpg").out)
    assert [row[:2] for row in alone] == [row[:2] for row in (rows[0], rows[2])]
    # a sum may be taken in another order for another number of images
    assert [float(p) for p in alone[1][2:]] == pytest.approx([float(p) for p in rows[2][2:]], abs=1e-5)
    assert cli("predict", "photos.haema", "more/dark/1.png").out.splitlines()[1].startswith("more/dark/1.png,dark")
    # brought to the model's size and channels as the rule says
    x = hm.data.load("day.jpg", size=(8, 8), channels=1).x
    z = hm.load("photos.haema")(hm.tensor(x)).detach().numpy()[0]
    assert float(rows[2][3]) == pytest.approx(np.exp(z[1]) / np.exp(z).sum(), abs=1e-5)


@pytest.mark.usefixtures("model")
def test_predict_names_wrong_files(cli, tmp_path):
    Image.new("L", (8, 8), 30).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"text")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    assert "the image bad.png cannot be read (no PNG or JPEG)" in cli("predict", "photos.haema", "bad.png").sentence
    assert "the image bad.png cannot be" in cli("predict", "photos.haema", "good.png", "bad.png").sentence
    assert "notes.txt is no image" in cli("predict", "photos.haema", "good.png", "notes.txt").sentence
    assert "no file or folder god.png; did you mean 'good.png'" in (
        cli("predict", "photos.haema", "good.png", "god.png").sentence
    )
    assert "empty holds no PNG or JPEG" in cli("predict", "photos.haema", "good.png", "empty").sentence
    said = cli("predict", "photos.haema", *["bad.png"] * (NAMED + 2)).sentence
    assert f"none of the {NAMED + 2} images" in said or f"{NAMED + 2} of {NAMED + 2} images" in said
    assert "and 2 more" in said
    r = cli("predict", "photos.haema", "good.png", "bad.png", "--skip-broken")
    assert [row[0] for row in table(r.out)] == ["file", "good.png"]
    assert "1 of 2 images cannot be read and were left out: bad.png" in r.err
    assert "good.png, which is read and would be" in (
        cli("predict", "photos.haema", "bad.png", "good.png", "--out", "good.png").sentence
    )


def test_several_files_are_for_images(cli, tmp_path):
    Image.new("L", (8, 8), 30).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text(houses(20))
    assert cli("train", "t.csv", "--target", "price", "--model", "linear", "--epochs", "1", "--eager").status == 0
    said = cli("predict", "t.haema", "a.png", "a.png").sentence
    assert "trained on a table, for which a single DATA is right, not 2" in said
    assert "stream is for images in files, and t.csv is none" in cli("predict", "t.haema", "t.csv", "--stream").sentence


@pytest.mark.usefixtures("model")
def test_predict_a_name_that_is_not_utf8(cli, tmp_path):
    (tmp_path / "more").mkdir()
    Image.new("L", (8, 8), 30).save(tmp_path / "more" / "a.png")
    (tmp_path / "more" / "a.png").rename(tmp_path / "more" / "caf\udce9.png")
    assert table(cli("predict", "photos.haema", "more").out)[1][:2] == ["caf\\udce9.png", "dark"]
    assert cli("predict", "photos.haema", "more", "--out", "p.csv").status == 0
    assert table((tmp_path / "p.csv").read_text())[1][0] == "caf\\udce9.png"


def test_broken_images_of_the_test_part_are_named(cli, tmp_path):
    """Only those of the training part were."""
    for part in ("train", "test"):
        photos(tmp_path / "both" / part, count=12)
        (tmp_path / "both" / part / "dark" / "3.png").write_bytes(b"")
    r = cli("train", "both", "--model", "linear", "--epochs", "1", "--skip-broken")
    assert r.status == 0, r.err
    for text in (r.out, (tmp_path / "both-report.txt").read_text()):
        words = " ".join(text.split())
        assert "note 1 of 24 images cannot be read and were left out: both/train/dark/3.png" in words
        assert "of the test part, 1 of 24 images cannot be read and were left out: both/test/dark/3.png" in words
    for command in (["evaluate"], ["evaluate", "--part", "test"], ["predict"]):
        r = cli(*command[:1], "both.haema", "both", *command[1:], "--skip-broken")
        assert "left out: both/test/dark/3.png" in r.err
        assert "both/train" not in r.err


def test_a_run_that_fails_in_its_first_step_leaves_nothing(cli, tmp_path):
    """It left the checkpoint of its beginning, which fails in the same way."""
    photos(tmp_path / "photos", count=8)
    r = cli("train", "photos", "--model", "fast", "--batch-size", "1", "--epochs", "1", "--eager")
    assert "more than one value per channel" in r.sentence
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]
