"""haema evaluate, predict and inspect."""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image

import haema as hm
from cli.conftest import flowers
from haema.io import save_checkpoint


@pytest.fixture
def models(cli, trained, tmp_path):
    for path in trained.iterdir():
        shutil.copy(path, tmp_path)
    return cli


def test_evaluate_all_and_test_rows(models):
    whole = models("evaluate", "digits.haema", "digits", "--json")
    assert whole.json["rows"] == 1797
    assert "trained on these very rows" in whole.err
    test = models("evaluate", "digits.haema", "digits", "--part", "test", "--json")
    assert test.json["rows"] == 359
    assert test.json["part"] == "test"
    saved = hm.load("digits.haema").meta["card"]["scores"]["accuracy"]
    assert test.json["value"] == saved


def test_evaluate_new_rows(models, tmp_path):
    (tmp_path / "new.csv").write_text(flowers(30, seed=1))
    r = models("evaluate", "flowers.haema", "new.csv", "--json")
    assert r.json["metric"] == "accuracy"
    assert r.json["value"] > 0.8
    assert "very rows" not in r.err
    (tmp_path / "renamed.csv").write_text(flowers(30, seed=1).replace("species", "kind"))
    assert (
        models("evaluate", "flowers.haema", "renamed.csv", "--target", "kind", "--json").json["value"]
        == r.json["value"]
    )


def test_evaluate_for_people(models):
    r = models("evaluate", "houses.haema", "houses.csv")
    assert "R2" in r.out
    assert "always the mean" in r.out


def test_predict_keeps_the_cells_as_they_stand(models, tmp_path):
    text = 'length,width,colour,species\n1.50,"NA","a, ""b""",\n007,,blue,x\n'
    (tmp_path / "raw.csv").write_text(text)
    r = models("predict", "flowers.haema", "raw.csv")
    assert r.status == 0, r.err
    rows = list(csv.reader(io.StringIO(r.out)))
    assert rows[0][:5] == ["length", "width", "colour", "species", "prediction"]
    assert rows[0][5:] == ["p(lilia)", "p(rosa)", "p(viola)"]
    assert rows[1][:4] == ["1.50", "NA", 'a, "b"', ""]
    assert rows[2][:4] == ["007", "", "blue", "x"]
    for row in rows[1:]:
        p = np.array(row[5:], float)
        assert p.sum() == pytest.approx(1, abs=1e-5)
        assert row[4] == ["lilia", "rosa", "viola"][p.argmax()]


def test_predict_needs_neither_target_nor_known_categories(models, tmp_path):
    (tmp_path / "new.csv").write_text("colour,extra,width,length\ngreen,1,0.1,0.2\n\nred,2,1,2\n")
    r = models("predict", "flowers.haema", "new.csv", "--out", "p.csv")
    assert r.status == 0, r.err
    assert r.out == ""
    rows = list(csv.reader(io.StringIO((tmp_path / "p.csv").read_text())))
    assert rows[0][:5] == ["colour", "extra", "width", "length", "prediction"]
    assert [row[:4] for row in rows[1:]] == [["green", "1", "0.1", "0.2"], ["red", "2", "1", "2"]]


def test_predict_numbers(models):
    r = models("predict", "houses.haema", "houses.csv")
    rows = list(csv.reader(io.StringIO(r.out)))
    assert rows[0] == ["a", "b", "c", "price", "prediction"]
    assert len(rows) == 61
    assert 0 < float(rows[1][4]) < 1e6


def test_predict_digits_and_images_of_another_size(models, tmp_path):
    r = models("predict", "digits.haema", "digits")
    lines = r.out.splitlines()
    assert lines[0].startswith("row,prediction,p(0),p(1)")
    assert len(lines) == 1798
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "big.png")
    r = models("predict", "digits.haema", "big.png")
    assert r.out.splitlines()[1].startswith("big.png,")


def test_inspect_model(models):
    r = models("inspect", "digits.haema")
    assert r.status == 0, r.err
    for part in (
        "50,826",
        "Linear",
        "(1, 256)",
        "Standardize",
        "accuracy",
        "10: 0, 1, 2",
        "lr 0.003",
        "3 epochs",
        "bytes",
    ):
        assert part in r.out
    table = models("inspect", "flowers.haema").out
    assert "PrepareTable" in table
    assert "target species" in table
    assert "TableColumns" in models("inspect", "houses.haema").out


def test_inspect_other_files(models):
    hm.save({"w": hm.zeros(2, 3)}, "state.haema")
    assert "(2, 3)" in models("inspect", "state.haema").out
    hm.save(hm.nn.Linear(2, 3), "plain.haema")
    assert "Linear" in models("inspect", "plain.haema").out
    save_checkpoint({"epoch": 3}, "run.checkpoint")
    assert "epoch      3" in models("inspect", "run.checkpoint").out
