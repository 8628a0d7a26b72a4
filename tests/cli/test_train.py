"""haema train: what it reports and writes."""

import json

import numpy as np
import pytest
from PIL import Image

import haema as hm
from cli.conftest import Result, flowers, houses, process
from haema import io
from haema.data import write_idx
from haema.dtypes import PRECISIONS

SMALL = ["--model", "linear", "--epochs", "2"]


def test_digits_from_start_to_end(tmp_path):
    done = process(["train", "digits", "--epochs", "8", "--json"], tmp_path)
    r = Result(done.returncode, done.stdout, done.stderr)
    assert r.status == 0, r.err
    assert len(r.out.splitlines()) == 1
    found = r.json
    assert found["task"] == "classification"
    assert found["metric"] == "accuracy"
    assert found["value"] > 0.93
    assert found["rows"] == 359
    assert found["part"] == "test"
    assert found["seconds"] > 0
    assert found["trivial"]["accuracy"] < 0.15
    assert found["rows_by_part"] == {"training": 1258, "validation": 180, "test": 359}
    assert found["parameters"] == 65 * 256 + 257 * 128 + 129 * 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits-curves.png", "digits-report.txt", "digits.haema"]
    with Image.open(tmp_path / "digits-curves.png") as picture:
        assert picture.size[0] > 800
    report = (tmp_path / "digits-report.txt").read_text()
    assert "Confusion matrix" in report
    assert "haema train digits --epochs 8" in report
    assert "epoch 8/8" in r.err


def test_a_report_for_people_goes_to_standard_output(cli):
    r = cli("train", "digits", "--model", "linear", "--epochs", "1")
    assert r.status == 0
    for part in ("test rows", "always", "Confusion matrix", "digits.haema", "digits-curves.png", "digits-report.txt"):
        assert part in r.out
    assert "epoch 1/1" in r.err
    assert "epoch 1/1" not in r.out


def test_the_model_takes_data_as_it_comes(trained):
    model = hm.load(trained / "digits.haema")
    x, y = hm.data.digits()
    found = hm.Trainer(model).predict(x)
    assert (found == y.astype(str)).mean() > 0.85


def test_equal_runs_make_equal_files(cli, tmp_path):
    for name in ("a", "b"):
        assert cli("train", "digits", *SMALL, "--out", f"{name}.haema").status == 0
    assert (tmp_path / "a.haema").read_bytes() == (tmp_path / "b.haema").read_bytes()
    assert cli("train", "digits", *SMALL, "--seed", "5", "--out", "c.haema").status == 0
    assert (tmp_path / "a.haema").read_bytes() != (tmp_path / "c.haema").read_bytes()


def test_table_of_classes(cli, tmp_path):
    (tmp_path / "flowers.csv").write_text(flowers())
    r = cli("train", "flowers.csv", "--target", "species", "--model", "mlp", "--epochs", "30", "--json")
    assert r.status == 0, r.err
    assert r.json["value"] > 0.9
    assert r.json["classes"] == ["lilia", "rosa", "viola"]
    assert r.json["model"] == "flowers.haema"


def test_table_of_numbers(cli, tmp_path):
    (tmp_path / "houses.csv").write_text(houses(200))
    r = cli("train", "houses.csv", "--target", "price", "--model", "linear", "--lr", "0.05", "--json")
    assert r.status == 0, r.err
    assert r.json["task"] == "regression"
    assert r.json["metric"] == "r2"
    assert r.json["value"] > 0.9
    assert r.json["trivial"]["r2"] < 0.1
    assert r.json["metrics"]["rmse"] < r.json["trivial"]["rmse"]


def test_folder_of_images_and_cnn(cli, tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(level - 30, level + 30, (12, 10, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    r = cli("train", "photos", "--epochs", "40", "--json")
    assert r.status == 0, r.err
    assert r.json["value"] == 1.0
    assert r.json["classes"] == ["dark", "light"]
    r = cli("predict", "photos.haema", "photos/light")
    rows = r.out.splitlines()
    assert rows[0] == "file,prediction,p(dark),p(light)"
    assert rows[1].startswith("0.png,light,")


def test_named_network_and_best_recipe(cli, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.integers(0, 60, (60, 1, 12, 12)) + 150 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "shades.npz", x=x, y=y)
    r = cli("train", "shades.npz", "--model", "lenet5", "--recipe", "best", "--epochs", "30")
    assert r.status == 0, r.err
    assert "lenet5" in r.out
    assert "recipe best" in r.out
    assert "recipe best" in cli("inspect", "shades.haema").out
    assert cli("evaluate", "shades.haema", "shades.npz", "--json").json["value"] == 1.0


def test_products_of_bfloat16(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HAEMA_EAGER", "0")
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = (rng.integers(0, 60, (80, 3, 12, 12)) + 150 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "shades.npz", x=x, y=y)
    found = [cli("train", "shades.npz", "--epochs", "8", "--out", f"{p}.haema", "--precision", p) for p in PRECISIONS]
    assert [r.status for r in found] == [0, 0], found[1].err
    assert ["products of bfloat16" in r.out for r in found] == [False, True]
    assert "precision bf16" in cli("inspect", "bf16.haema").out
    assert "--precision bf16" in (tmp_path / "bf16-report.txt").read_text()
    assert cli("evaluate", "bf16.haema", "shades.npz", "--json").json["value"] == 1.0
    one, other = (io.load(tmp_path / f"{p}.haema").state_dict() for p in PRECISIONS)
    assert any((one[k].numpy() != other[k].numpy()).any() for k in one)
    monkeypatch.setenv("HAEMA_EAGER", "1")
    for words in (("--precision", "bf16"), ("--precision", "bf16", "--eager")):
        wish = words[2] if len(words) > 2 else "HAEMA_EAGER=1"
        assert f"bf16 is for compiled steps, and {wish} is for none" in cli("train", "shades.npz", *words).sentence


def test_folder_of_idx_files_with_its_own_test_part(cli, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "idx").mkdir()
    for part, n in (("train", 60), ("t10k", 20)):
        y = np.arange(n) % 2
        x = (rng.integers(0, 60, (n, 6, 6)) + 150 * y[:, None, None]).astype(np.uint8)
        write_idx(tmp_path / "idx" / f"{part}-images-idx3-ubyte", x)
        write_idx(tmp_path / "idx" / f"{part}-labels-idx1-ubyte", y.astype(np.uint8))
    r = cli("train", "idx", "--epochs", "5", "--json")
    assert r.status == 0, r.err
    assert r.json["rows_by_part"] == {"training": 54, "validation": 6, "test": 20}
    assert r.json["value"] == 1.0
    r = cli("evaluate", "idx.haema", "idx", "--json")
    assert r.json["rows"] == 20
    assert "test part of its own" in r.err


def test_npz_of_several_numbers_per_row(cli, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    np.savez(tmp_path / "two.npz", x=x, y=np.stack([x[:, 0], 5 + x[:, 1]], axis=1))
    r = cli("train", "two.npz", "--epochs", "30", "--json")
    assert r.status == 0, r.err
    assert r.json["task"] == "regression"
    r = cli("predict", "two.haema", "two.npz")
    assert r.out.splitlines()[0] == "x0,x1,x2,x3,prediction 0,prediction 1"


def test_linear_model_and_options(cli):
    r = cli(
        *("train", "digits", "--model", "linear", "--epochs", "2", "--lr", "0.01", "--batch-size", "64"),
        *("--validation", "0", "--out", "some", "--json"),
    )
    assert r.status == 0, r.err
    assert r.json["parameters"] == 650
    assert r.json["rows_by_part"]["validation"] == 0
    assert r.json["model"] == "some.haema"


def test_time_limit_ends_in_time(cli):
    r = cli("train", "digits", "--model", "linear", "--epochs", "100000", "--time-limit", "1", "--json")
    assert r.status == 0, r.err
    assert 1 <= r.json["epochs"] < 50_000
    assert "limit" in r.json["stopped"]


@pytest.mark.parametrize(
    "rows",
    [
        "1,x\n2,x\n3,z\n4,x\n5,x\n",
        "1,x\n2,z\n",
        "1,1.5\n2,2.5\n3,3.7\n",
        "1,1.5\n2,2.5\n",
        "1,x\n2,y\n3,z\n4,u\n5,v\n",
    ],
)
def test_very_small_tables_work(cli, tmp_path, rows):
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    r = cli("train", "t.csv", "--target", "y", "--epochs", "2", "--json")
    assert r.status == 0, r.err
    assert r.json["rows"] >= 1


def test_nan_is_null_in_json(cli, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,1.5\n2,2.5\n3,3.7\n4,4.1\n5,5.5\n")
    r = cli("train", "t.csv", "--target", "y", "--epochs", "2", "--json")
    assert r.json["rows"] == 1
    assert r.json["value"] is None
    assert "NaN" not in r.out


def test_class_names_are_no_markup(cli, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{['[red]x', '[/b]'][i % 2]}\n" for i in range(30)))
    r = cli("train", "t.csv", "--target", "y", "--epochs", "2")
    assert r.status == 0, r.err
    assert "[red]x" in r.out
    assert "[/b]" in r.out


def test_module_and_help(trained):
    done = process(["--help"], trained)
    assert done.returncode == 0
    assert "haema train digits" in done.stdout
    for command in ("train", "evaluate", "predict", "inspect"):
        done = process([command, "--help"], trained)
        assert done.returncode == 0
        assert f"haema {command} " in done.stdout
        assert done.stderr == ""
    assert process(["--version"], trained).stdout == f"haema {hm.__version__}\n"
    assert process([], trained).returncode == 0


def test_help_does_not_import_what_it_does_not_need():
    import subprocess
    import sys

    from cli.conftest import environment

    code = (
        "import sys; from haema.cli import main; main(['--help']); "
        "bad = [m for m in ('pandas', 'matplotlib', 'PIL', 'haema.train', 'haema.optim') if m in sys.modules]; "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_json_object_is_the_last_line(trained):
    done = process(["evaluate", "digits.haema", "digits", "--json"], trained)
    assert json.loads(done.stdout)["rows"] == 1797


def test_compiled_by_default_and_eager_if_wanted(cli, monkeypatch):
    monkeypatch.setenv("HAEMA_EAGER", "0")
    made = []
    from haema.compiler import Compiled

    monkeypatch.setattr(Compiled, "__init__", lambda self, f, old=Compiled.__init__: (made.append(f), old(self, f))[1])
    words = ["train", "digits", "--model", "linear", "--epochs", "2", "--json"]
    compiled = cli(*words).json
    assert made
    made.clear()
    eager = cli(*words, "--eager").json
    assert not made
    assert compiled["metrics"] == pytest.approx(eager["metrics"], rel=0.02)
