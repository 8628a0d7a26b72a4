"""History: reading, writing, drawing, and what the curves say."""

import math
import struct

import matplotlib
import numpy as np
import pytest
from train.problems import blobs, net

from haema import InputError
from haema.train import EarlyStopping, History, Trainer


def history(loss, val_loss=None, chance=0.0, **more):
    h = History({"lr": 0.1}, [m for m in more if not m.startswith("val_")])
    h.chance = chance
    columns = {"loss": loss, **({} if val_loss is None else {"val_loss": val_loss}), **more}
    for row in zip(*columns.values(), strict=True):
        h.append(dict(zip(columns, row, strict=True)))
    return h


FALLING = [2.0, 1.5, 1.2, 1.0, 0.9, 0.85]


def test_reading():
    h = history(FALLING, [2.1, 1.4, 1.6, 1.3, 1.35, 1.3], accuracy=[0.1, 0.5, 0.7, 0.8, 0.9, 0.9])
    assert len(h) == h.epochs == 6
    assert "loss" in h
    assert list(h) == ["loss", "val_loss", "accuracy"]
    assert h.best_epoch() == 4  # the first of equals
    assert h.best_epoch("accuracy") == 5
    assert h.last() == {"loss": 0.85, "val_loss": 1.3, "accuracy": 0.9}
    assert repr(h) == "<History of 6 epochs: loss, val_loss, accuracy>"
    lines = str(h).splitlines()
    assert lines[0].split() == ["epoch", "loss", "val_loss", "accuracy"]
    assert lines[4].split() == ["4", "*", "1", "1.3", "0.8"]
    assert lines[-1] == "* best val_loss"
    h.stopped = "enough"
    assert str(h).endswith("stopped: enough")
    with pytest.raises(InputError, match="has no 'los'; did you mean 'loss'"):
        h["los"]


def test_an_empty_one():
    h = History()
    assert (len(h), h.last()) == (0, {})
    assert h.best_epoch("loss") == 0 if "loss" in h else True
    assert str(h) == "History: no epoch was finished"
    assert repr(h) == "<History of 0 epochs: no values>"
    with pytest.raises(InputError, match="nothing to draw"):
        h.plot("a.png")


def test_a_long_one_is_printed_in_part():
    n = 100
    h = history([1 / e for e in range(1, n + 1)])
    lines = str(h).splitlines()
    assert len(lines) <= 14
    assert lines[1].split()[0] == "1"
    assert lines[-2].split()[:2] == ["100", "*"]


def test_values_that_come_late_or_are_missing():
    h = History()
    h.append({"loss": 1})
    h.append({"loss": 2, "extra": 3})
    h.append({"extra": 4})
    assert math.isnan(h["extra"][0])
    assert math.isnan(h["loss"][2])
    assert h.best_epoch("loss") == 1


def test_tables(tmp_path):
    h = history(FALLING, FALLING)
    h.to_csv(tmp_path / "h.csv")
    lines = (tmp_path / "h.csv").read_text().splitlines()
    assert lines[:2] == ["epoch,loss,val_loss", "1,2.0,2.0"]
    frame = h.to_frame()
    assert frame.index.name == "epoch"
    assert frame.loc[6, "loss"] == 0.85
    again = History.from_json(h.to_json())
    assert again.to_json() == h.to_json()


@pytest.mark.parametrize("epochs", [1, 5, 60])
def test_the_picture_is_a_png_with_a_size(tmp_path, epochs):
    path = tmp_path / "curves.png"
    backend = matplotlib.rcParams["backend"]
    x = np.arange(1, epochs + 1)
    h = history(1 / x, 1 / x + 0.1, accuracy=1 - 1 / x, val_accuracy=0.9 - 0.9 / x)
    h.plot(path, title="Digits")
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (1620, 585)
    assert matplotlib.rcParams["backend"] == backend
    first = path.read_bytes()
    h.plot(path, title="Digits")
    assert path.read_bytes() == first


@pytest.mark.parametrize("title", ["\ud45c.csv: mlp", "a$\\frac{x$.csv", "\udcff.csv"])
def test_any_name_of_a_file_can_stand_above_the_picture(tmp_path, title):
    """No font with its letters, no mathematics, no bytes that are no text stop the picture or add a warning."""
    history([1, 0.5], [1, 0.6]).plot(tmp_path / "curves.png", title=title)
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_other_pictures(tmp_path):
    h = history(FALLING)
    h.plot(tmp_path / "curves.svg")
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()
    h.plot(tmp_path / "curves.pdf")
    assert (tmp_path / "curves.pdf").read_bytes()[:4] == b"%PDF"
    with pytest.raises(InputError, match=r"\.jpg came, where .png"):
        h.plot(tmp_path / "curves.jpg")


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ({"loss": [2, 1, 0.5, 0.2, 0.1, 0.05], "val_loss": [2, 1.1, 0.8, 0.9, 1.1, 1.4]}, "overfitting"),
        ({"loss": [2, 1, 0.5, 0.2, 0.1, 0.1], "val_loss": [2, 1.1, 0.8, 0.7, 0.6, 0.6]}, "overfitting"),
        ({"loss": [2, 1.9, 1.8, 1.8, 1.8, 1.8], "val_loss": [2, 1.9, 1.85, 1.82, 1.82, 1.82]}, "underfitting"),
        ({"loss": [1, 0.8, 0.64, 0.51, 0.41, 0.33], "val_loss": [1, 0.8, 0.64, 0.51, 0.41, 0.33]}, "underfitting"),
        ({"loss": [2, 1, 0.5, 0.3, 0.25, 0.25], "val_loss": [2, 1, 0.55, 0.35, 0.3, 0.3]}, "fine"),
        ({"loss": [2, 1], "val_loss": [2, 1]}, "unknown"),
        ({"loss": FALLING}, "unknown"),
    ],
)
def test_diagnosis_from_losses(curves, verdict):
    found = history(**curves).diagnosis()
    assert found.verdict == verdict, found
    assert str(found).startswith(f"{verdict}: ")


def test_diagnosis_from_a_metric():
    flat = [1.0, 0.95, 0.94, 0.94, 0.94]
    low = [0.3, 0.35, 0.36, 0.36, 0.36]
    assert history(flat, flat, 0.3, accuracy=low, val_accuracy=low).diagnosis().verdict == "underfitting"
    high = [0.5, 0.8, 0.95, 0.97, 0.98]
    lower = [0.5, 0.75, 0.8, 0.8, 0.8]
    assert history(flat, flat, 0.3, accuracy=high, val_accuracy=lower).diagnosis().verdict == "overfitting"
    assert history(flat, flat, 0.3, accuracy=high, val_accuracy=high).diagnosis().verdict == "fine"


def test_underfitting_and_overfitting_are_told_apart_in_real_runs():
    rng = np.random.default_rng(0)
    x, y = blobs(120)
    crawl = Trainer(net(), "cross_entropy", "sgd", lr=1e-4, seed=0).fit(x, y, 8, validation=0.3, progress=False)
    assert crawl.diagnosis().verdict == "underfitting"
    good = Trainer(net(), lr=0.03, seed=0).fit(x, y, 25, validation=0.3, progress=False)
    assert good.diagnosis().verdict == "fine"
    noise = rng.normal(size=(60, 20)).astype(np.float32), rng.integers(0, 3, 60)  # nothing to be learned
    by_heart = Trainer(net(20, 64), lr=0.01, seed=0).fit(*noise, 40, validation=0.3, progress=False)
    assert by_heart.diagnosis().verdict == "overfitting"


def test_hyperparameters_are_in_one_place_and_saved_with_the_model(tmp_path):
    from haema import io

    x, y = blobs()
    model = net()
    trainer = Trainer(model, "cross_entropy", "sgd", lr=0.1, seed=4, clip_norm=2.0)
    h = trainer.fit(x, y, 2, 16, validation=0.25, callbacks=[EarlyStopping(patience=7)], progress=False)
    found = trainer.hyperparameters
    assert found is h.hyperparameters
    expected = {"epochs": 2, "batch_size": 16, "validation": 0.25, "seed": 4, "clip_norm": 2.0, "loss": "cross_entropy"}
    assert {k: found[k] for k in expected} == expected
    assert found["optimizer"]["name"] == "SGD"
    assert found["optimizer"]["lr"] == 0.1
    assert found["callbacks"]["EarlyStopping"]["patience"] == 7
    io.save(model, tmp_path / "model.safetensors")
    assert io.load(tmp_path / "model.safetensors").meta["hyperparameters"] == found
