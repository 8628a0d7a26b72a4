"""haema inspect MODEL --images DATA --out FOLDER."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import haema as hm
from haema import nn
from haema.cli import pictures
from haema.cli.pictures import PICTURES
from haema.data.idx import write_idx


@pytest.fixture
def models(cli, trained, tmp_path):
    for path in trained.iterdir():
        shutil.copy(path, tmp_path)
    return cli


def listing(folder="."):
    return sorted(os.listdir(folder))


def check(result, folder, names):
    """The pictures are there, can be decoded, and are named in the output with what to look at."""
    assert result.status == 0, result.err
    assert listing(folder) == sorted(names)
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == [os.path.join(folder, n) for n in PICTURES if n in names]
    assert all(line.endswith(PICTURES[os.path.basename(line.split()[0])]) for line in lines)
    for name in names:
        with Image.open(os.path.join(folder, name)) as picture:
            picture.load()
            assert min(picture.size) > 300


@pytest.fixture
def only(monkeypatch):
    """``only("filters.png", ...)`` leaves the other pictures out, for drawing takes its time."""

    def leave(*names):
        monkeypatch.setattr(pictures, "_DRAWN", {name: pictures._DRAWN[name] for name in names})

    return leave


def test_digits(models, only):
    before = Path("digits.haema").read_bytes()
    r = models("inspect", "digits.haema", "--images", "digits", "--out", "inside")
    check(r, "inside", PICTURES)
    assert "of its rows the 359 that were held out are used" in r.err
    assert Path("digits.haema").read_bytes() == before
    only("features.png", "saliency.png")
    check(models("inspect", "digits.haema", "--images", "digits", "--out", "again/"), "again/", pictures._DRAWN)
    for name in pictures._DRAWN:
        assert Path("again", name).read_bytes() == Path("inside", name).read_bytes()


@pytest.fixture
def photos(tmp_path):
    """Class folders with colour images, of which one is of another size."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            pixels = rng.integers(0, 128, (12, 9, 3)) + 100 * k
            if i == 4:
                pixels = np.repeat(pixels, 2, axis=0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def network(*layers, channels=3):
    hm.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), *layers)


def test_class_folders_and_a_single_image_with_a_model_of_ones_own(cli, photos):
    first = nn.Standardize([100.0] * 3, [50.0] * 3)
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(16, 2)]
    hm.save(nn.Sequential(first, *network(*head)), "own.haema")
    r = cli("inspect", "own.haema", "--images", "photos", "--out", "all")
    check(r, "all", PICTURES)
    assert "2 of 10 images were resized" in r.err
    os.mkdir("one")
    for name in ("gradients.png", "notes.txt"):  # one of a look before, and one of somebody
        Path("one", name).touch()
    r = cli("inspect", "own.haema", "--images", "photos/cat/1.png", "--out", "one")
    assert "no labels, without which there is no loss: no gradients.png" in r.err
    assert "no labels to compare with: no confusion.png" in r.err
    os.unlink("one/notes.txt")
    check(r, "one", ["filters.png", "features.png", "activations.png", "saliency.png"])


@pytest.mark.parametrize(
    ("last", "outputs"),
    [([], 2), ([nn.Sigmoid()], 1), ([], 1), ([nn.LogSoftmax(1)], 2), ([nn.Softmax(1)], 2)],
)
def test_two_classes_told_by_heads_of_all_kinds(cli, only, last, outputs):
    rng = np.random.default_rng(0)
    np.savez("four.npz", x=rng.normal(size=(6, 4, 7, 5)).astype(np.float32), y=[0, 1, 1, 0, 1, 0])
    model = network(nn.Flatten(), nn.Linear(60, outputs), *last, channels=4)
    hm.save(model, "own.haema")
    only("gradients.png", "confusion.png")
    r = cli("inspect", "own.haema", "--images", "four.npz", "--out", "o")
    check(r, "o", pictures._DRAWN)
    subject = pictures._subject("own.haema", "four.npz")
    np.testing.assert_allclose(subject.p.sum(axis=1), 1, rtol=1e-5)
    y = hm.tensor(subject.data.y)
    own = pictures._loss(subject)(subject.model.eval()(subject.x(np.arange(6))), y).item()
    assert own == pytest.approx(-np.log(subject.p[np.arange(6), subject.data.y]).mean(), rel=1e-4)


def test_a_regression_has_no_confusion_matrix(cli, only):
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype(np.uint8)
    np.savez("r.npz", x=x, y=x.mean((1, 2)) / 7)
    hm.save(nn.Sequential(nn.Standardize([128.0], [70.0]), nn.Flatten(), nn.Linear(36, 1)), "r.haema")
    only("gradients.png", "confusion.png", "saliency.png")
    r = cli("inspect", "r.haema", "--images", "r.npz", "--out", "o")
    assert "predicts numbers and no classes: no confusion.png" in r.err
    check(r, "o", ["gradients.png", "saliency.png"])


def test_of_many_rows_some_are_used(models, only, monkeypatch):
    monkeypatch.setattr(pictures, "MOST", 100)
    only("confusion.png")
    r = models("inspect", "digits.haema", "--images", "digits", "--out", "o")
    assert "of 359 rows 100 are used, evenly spread" in r.err
    check(r, "o", ["confusion.png"])
    subject = pictures._subject("digits.haema", "digits")
    assert subject.p.shape == (100, 10)
    assert len(np.unique(subject.rows)) == 100
    original = hm.data.load("digits")
    np.testing.assert_array_equal(subject.data.x, original.x[subject.rows])
    np.testing.assert_array_equal(subject.data.y, original.y[subject.rows])


def test_idx_without_labels(models):
    os.mkdir("idx")
    write_idx("idx/train-images-idx3-ubyte", np.random.default_rng(0).integers(0, 17, (9, 8, 8)).astype(np.uint8))
    r = models("inspect", "digits.haema", "--images", "idx", "--out", "o")
    check(r, "o", ["filters.png", "features.png", "activations.png", "saliency.png"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["flowers.haema", "--images", "digits", "--out", "o"], "flowers.haema was trained on a table, and --images"),
        (
            ["digits.haema", "--images", "flowers.csv", "--out", "o"],
            "holds a table, and the model was trained on images",
        ),
        (
            ["digits.haema", "--images", "big.npz", "--out", "o"],
            "inputs of shape 1 x 9 x 9, and the model takes 1 x 8 x 8",
        ),
        (["digits.haema", "--images", "digits"], "--out FOLDER, the place for the pictures, is missing"),
        (["digits.haema", "--out", "o"], "--images DATA, what to draw them of, is missing"),
        (["digits.haema", "--images", "digits", "--out", ""], "--out is '', where the name of a folder"),
        (["digits.haema", "--images", "digits", "--out", "flowers.csv"], "--out is flowers.csv, which is a file"),
        (["digits.haema", "--images", "digits", "--out", "no/o"], "there is no folder"),
        (["digits.haema", "--images", "digits", "--out", "flowers.csv/o"], "cannot make the folder flowers.csv/o"),
        (["digits.haema", "--images", "photos", "--out", "photos/o"], "which is in the folder of the images"),
        (["digits.haema", "--images", "photos", "--out", "o"], "photos/cat is no class of the model"),
        (["digits.haema", "--images", "nothing", "--out", "o"], "there is no file or folder nothing"),
        (["nothing.haema", "--images", "digits", "--out", "o"], "nothing.haema"),
        (["state.haema", "--images", "digits", "--out", "o"], "holds tensors and no network"),
        (["own.haema", "--images", "digits", "--out", "o"], "own.haema does not take digits"),
        (["few.haema", "--images", "digits", "--out", "o"], "digits has 10 classes, and few.haema tells 3 apart"),
        (["own.haema", "--images", "flat.npz", "--out", "o"], "arrays of shape 4, where images are right"),
    ],
)
def test_bad_input(models, photos, words, sentence):
    np.savez("big.npz", x=np.zeros((4, 9, 9), np.uint8), y=[0, 1, 2, 3])
    np.savez("flat.npz", x=np.zeros((4, 4), np.float32), y=[0, 1, 0, 1])
    hm.save({"w": hm.ones(2, 3)}, "state.haema")
    hm.save(network(nn.Flatten(), nn.Linear(8, 2)), "own.haema")
    hm.save(nn.Sequential(nn.Standardize([5.0], [4.0]), nn.Flatten(), nn.Linear(64, 3)), "few.haema")
    before = listing()
    assert sentence in models("inspect", *words).sentence
    assert listing() == before


def test_a_folder_that_is_not_writable(models, monkeypatch):
    os.mkdir("locked")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser's answer is always yes
    r = models("inspect", "digits.haema", "--images", "digits", "--out", "locked")
    assert r.sentence == "cannot write into locked: the folder is not writable"


def test_a_model_without_anything_to_learn_has_no_gradients(cli, only, monkeypatch):
    """The file does not say what is frozen; a model that has no parameters has nothing either."""
    np.savez("d.npz", x=np.arange(80).reshape(5, 4, 4).astype(np.uint8), y=[0, 1, 0, 1, 0])
    hm.save(nn.Sequential(nn.Standardize([9.0], [3.0]), nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten()), "fixed.haema")
    only("filters.png", "gradients.png", "saliency.png")
    r = cli("inspect", "fixed.haema", "--images", "d.npz", "--out", "o")
    assert "no gradients.png: the model has no parameter that is learned" in r.err
    assert "no filters.png: the model has no convolution" in r.err
    check(r, "o", ["saliency.png"])


def test_a_failure_half_way_writes_nothing(models, monkeypatch):
    def fail(subject):
        raise MemoryError

    drawn = {"filters.png": pictures._DRAWN["filters.png"], "saliency.png": fail}
    monkeypatch.setattr(pictures, "_DRAWN", drawn)
    os.mkdir("old")
    Path("old/filters.png").write_text("an older one")
    before = listing()
    for out in ("new", "old"):
        assert "not enough memory" in models("inspect", "digits.haema", "--images", "digits", "--out", out).err
    assert listing() == before
    assert listing("old") == ["filters.png"]
    assert Path("old/filters.png").read_text() == "an older one"


def test_images_that_stay_in_their_files(cli, photos, tmp_path, only):
    """The confusion matrix asked them for their least pixel, as only an array knows it."""
    net = nn.Sequential(nn.Standardize([128.0] * 3, [64.0] * 3), nn.Flatten(), nn.Linear(3 * 12 * 9, 2))
    hm.save(net, tmp_path / "net.haema")
    only("confusion.png")
    for words in ((), ("--stream",)):
        r = cli("inspect", "net.haema", "--images", "photos", "--out", f"out{len(words)}", *words)
        check(r, f"out{len(words)}", pictures._DRAWN)
    assert Path("out0", "confusion.png").read_bytes() == Path("out1", "confusion.png").read_bytes()
    (photos / "cat" / "0.png").write_bytes(b"")
    words = ["inspect", "net.haema", "--images", "photos", "--out", "out2"]
    assert "photos/cat/0.png cannot be read (an empty file)" in cli(*words).sentence
    assert listing() == ["net.haema", "out0", "out1", "photos"]
    r = cli(*words, "--skip-broken")
    check(r, "out2", pictures._DRAWN)
    assert "1 of 10 images cannot be read and were left out: photos/cat/0.png" in r.err
    assert "--skip-broken is for --images" in cli("inspect", "net.haema", "--skip-broken").sentence
    assert "--stream is for --images" in cli("inspect", "net.haema", "--no-stream").sentence
