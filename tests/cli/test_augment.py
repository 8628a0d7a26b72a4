"""haema augment: contact sheets."""

import numpy as np
import pytest
from PIL import Image

from haema.cli.augmenting import NAMES


@pytest.fixture
def picture(tmp_path):
    def make(name, size=(40, 30), mode="RGB", seed=0):
        shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)).save(path)
        return path

    return make


def sheet(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("size", "mode"), [((40, 30), "RGB"), ((8, 8), "L"), ((500, 90), "RGB"), ((1, 1), "L")])
def test_a_sheet_of_all_kinds(cli, picture, tmp_path, size, mode):
    picture("cat.png", size, mode)
    done = cli("augment", "cat.png")
    assert (done.status, done.out) == (0, ""), done.err
    assert done.err == f"haema: cat-augmented.png shows {len(NAMES)} kinds of augmentation\n"
    x = sheet("cat-augmented.png")
    assert x.shape[0] > 56 * len(NAMES)
    assert {p.name for p in tmp_path.iterdir()} == {"cat.png", "cat-augmented.png"}


def test_the_original_stands_at_the_left_and_mirrored_ones_beside_it(cli, picture):
    pixels = sheet(picture("small.png", (52, 52)))  # drawn twice as large
    cli("augment", "small.png", "--only", "flip", "--out", "s.png")
    x = sheet("s.png")
    twice = pixels.repeat(2, 0).repeat(2, 1)
    left, top = 24 + 300, 48
    cells = [x[top : top + 104, at : at + 104] for at in (left, *(left + k * 112 + 8 for k in range(1, 8)))]
    assert np.array_equal(cells[0], twice)
    flipped = [np.array_equal(c, twice[:, ::-1]) for c in cells[1:]]
    assert all(f or np.array_equal(c, twice) for f, c in zip(flipped, cells[1:], strict=True))
    assert 0 < sum(flipped) < 7


def test_a_seed_repeats_the_sheet_and_a_row_does_not_depend_on_others(cli, picture):
    picture("a.png", (40, 40))  # square, so that all rows are equally high
    for out, words in (
        ("1.png", []),
        ("2.png", []),
        ("3.png", ["--seed", "5"]),
        ("4.png", ["--only", "erasing,rotation"]),
    ):
        assert cli("augment", "a.png", "--out", out, *words).status == 0
    one, two, three, four = (sheet(f"{k}.png") for k in range(1, 5))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)
    height = (four.shape[0] - 2 * 24 - 24 - 8) // 2
    at = 48 + NAMES.index("erasing") * (height + 8)
    assert np.array_equal(four[48 + height + 8 : 48 + 2 * height + 8], one[at : at + height])


def test_a_folder_shows_several_images(cli, picture):
    for k, name in enumerate(("x/1.png", "x/2.jpg", "y/3.png")):
        picture(name, (30 + 10 * k, 40), "L" if k == 2 else "RGB", k)
    made = []
    for _ in range(2):  # the sheet of the first time is none of the folder's images
        assert cli("augment", ".", "--only", "mixup", "--only", "cutmix", "--out", "s.jpg").status == 0
        made.append(sheet("s.jpg"))
    assert np.array_equal(*made)
    assert made[0].shape[1] == 24 * 2 + 300 + 8 * 112


def test_refuses_in_one_sentence(cli, picture, tmp_path):
    picture("a.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    before = {p.name for p in tmp_path.iterdir()}
    for words, part in (
        (["none.png"], "there is no file or folder none.png"),
        (["text.png"], "the image text.png cannot be read"),
        (["empty"], "empty holds no PNG or JPEG images"),
        (["a.png", "--only", "rotatoin"], "--only is 'rotatoin'; did you mean 'rotation'?"),
        (["a.png", "--seed", "-1"], "--seed is -1; a whole number from 0 upwards is right"),
        (["a.png", "--out", "s.txt"], "--out is 's.txt', where the name of a picture ending in .png or .jpg is right"),
        (["a.png", "--out", "none/s.png"], "there is no folder"),
        (["a.png", "--out", "a.png"], "--out is a.png, which is read and would be overwritten"),
        ([], "IMAGE_OR_FOLDER"),
    ):
        assert part in cli("augment", *words).sentence
    assert {p.name for p in tmp_path.iterdir()} == before


def test_a_broken_image_is_named(cli, tmp_path):
    """The sentence advised an option of other commands."""
    (tmp_path / "bad.png").write_bytes(b"text")
    said = cli("augment", "bad.png").sentence
    assert said.endswith("the image bad.png cannot be read (no PNG or JPEG); replace or remove it")
    assert not (tmp_path / "bad-augmented.png").exists()
