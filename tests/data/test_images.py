"""Folders of images, and what can be wrong with them."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from haema import data
from haema.data.images import LONGEST_SIDE, list_images, read_images
from haema.errors import InputError

RNG = np.random.default_rng(0)


def save(path, height=6, width=5, mode="RGB", value=None, **options):
    """A PNG or JPEG of noise, or of one value; returns its pixels (H, W) or (H, W, C)."""
    shape = (height, width) if mode in ("L", "1") else (height, width, {"RGB": 3, "RGBA": 4, "LA": 2}[mode])
    pixels = RNG.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    path.parent.mkdir(exist_ok=True, parents=True)
    if mode == "1":
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
        Image.fromarray(pixels).convert("1").save(path)
    else:
        Image.fromarray(pixels).save(path, **options)
    return pixels


def test_a_folder_of_class_folders(tmp_path):
    cat = save(tmp_path / "cat" / "1.png")
    dog = [save(tmp_path / "dog" / f"{i}.PNG") for i in (1, 2)]
    save(tmp_path / "dog" / ".hidden.png", 9, 9)
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / ".git").mkdir()
    d = data.load(tmp_path)
    assert (d.kind, d.x.shape, d.x.dtype) == ("images", (3, 3, 6, 5), np.uint8)
    assert (d.classes, d.y.tolist(), d.task, d.notes) == (["cat", "dog"], [0, 1, 1], "classification", ())
    assert d.names == ("cat/1.png", "dog/1.PNG", "dog/2.PNG")
    for image, pixels in zip(d.x, [cat, *dog], strict=True):
        np.testing.assert_array_equal(image, np.moveaxis(pixels, 2, 0))


def test_jpeg(tmp_path):
    save(tmp_path / "a" / "1.jpg", value=200)
    save(tmp_path / "b" / "1.jpeg", value=10)
    np.testing.assert_allclose(data.load(tmp_path).x[:, 0, 0, 0].astype(int), [200, 10], atol=3)


def test_grey_stays_one_channel(tmp_path):
    one = save(tmp_path / "a" / "1.png", mode="L")
    two = save(tmp_path / "b" / "1.png", mode="1")
    three = save(tmp_path / "b" / "2.png", mode="LA")
    d = data.load(tmp_path)
    assert d.x.shape == (3, 1, 6, 5)
    np.testing.assert_array_equal(d.x[:, 0], [one, two, three[..., 0]])


def test_grey_among_colours_becomes_rgb(tmp_path):
    grey = save(tmp_path / "a" / "1.png", mode="L")
    clear = save(tmp_path / "b" / "1.png", mode="RGBA")
    d = data.load(tmp_path)
    assert d.notes == ("1 of 2 images are grey and were given three equal channels",)
    np.testing.assert_array_equal(d.x[0], [grey] * 3)
    np.testing.assert_array_equal(d.x[1], np.moveaxis(clear[..., :3], 2, 0))
    assert data.load(tmp_path, channels=1).x.shape == (2, 1, 6, 5)


def test_a_palette_is_colour(tmp_path):
    rgb = Image.fromarray(RNG.integers(0, 256, (6, 5, 3), np.uint8)).convert("P")
    (tmp_path / "a").mkdir()
    rgb.save(tmp_path / "a" / "1.png")
    np.testing.assert_array_equal(
        read_images([tmp_path / "a" / "1.png"])[0][0], np.moveaxis(np.asarray(rgb.convert("RGB")), 2, 0)
    )


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path):
    wide = RNG.integers(0, 2**16, (6, 5)).astype(np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    np.testing.assert_array_equal(data.load(tmp_path).x[0, 0], wide >> 8)


def test_other_sizes_become_the_most_common_one(tmp_path):
    for i in range(3):
        save(tmp_path / "a" / f"{i}.png", 4, 6, value=100)
    save(tmp_path / "b" / "0.png", 20, 10, value=50)
    save(tmp_path / "b" / "1.png", 20, 10, value=50)
    d = data.load(tmp_path)
    assert d.x.shape == (5, 3, 4, 6)
    assert d.x[:, 0, 0, 0].tolist() == [100, 100, 100, 50, 50]
    assert d.notes == ("2 of 5 images were resized to 4 x 6 pixels",)
    assert data.load(tmp_path, size=(8, 9)).x.shape == (5, 3, 8, 9)


def test_of_equally_common_sizes_the_larger_wins(tmp_path):
    save(tmp_path / "a" / "0.png", 4, 6)
    save(tmp_path / "b" / "0.png", 5, 6)
    assert data.load(tmp_path).x.shape == (2, 3, 5, 6)


def test_large_images_are_made_smaller_unless_a_size_is_given(tmp_path):
    save(tmp_path / "a" / "0.png", 300, 600, mode="L")
    save(tmp_path / "b" / "0.png", 300, 600, mode="L")
    d = data.load(tmp_path)
    assert d.x.shape == (2, 1, LONGEST_SIDE // 2, LONGEST_SIDE)
    assert d.notes == (f"2 of 2 images were resized to {LONGEST_SIDE // 2} x {LONGEST_SIDE} pixels",)
    assert data.load(tmp_path, size=(300, 600)).x.shape == (2, 1, 300, 600)


def test_shrinking_averages(tmp_path):
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_allclose(data.load(tmp_path, size=(8, 8)).x.astype(int), 127, atol=3)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_photo_is_turned_upright(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: the top is on the right
    left_dark = np.repeat([[0] * 8 + [250] * 8], 8, axis=0).astype(np.uint8)
    for folder in "ab":
        (tmp_path / folder).mkdir()
        Image.fromarray(left_dark).save(tmp_path / folder / f"1.{ending}", exif=exif)
    d = data.load(tmp_path)
    assert d.x.shape == (2, 1, 16, 8)
    assert d.x[0, 0, 2].max() < 20
    assert d.x[0, 0, -2].min() > 230


def test_more_images_than_one_portion(tmp_path):
    save(tmp_path / "1.png")
    paths = [tmp_path / "1.png"] * 1100
    assert read_images(paths)[0].shape == (1100, 3, 6, 5)
    save(tmp_path / "2.png", 9, 9)
    x, _, notes = read_images([*paths, tmp_path / "2.png"])
    assert x.shape == (1101, 3, 6, 5)
    assert notes == ["1 of 1101 images were resized to 6 x 5 pixels"]


def test_images_without_classes_and_single_images(tmp_path):
    save(tmp_path / "b.png")
    save(tmp_path / "a.png")
    d = data.load(tmp_path)
    assert (d.x.shape, d.y, d.classes, d.task, d.names) == ((2, 3, 6, 5), None, None, None, ("a.png", "b.png"))
    one = data.load(tmp_path / "a.png", size=(3, 3), channels=1)
    assert (one.x.shape, one.y, one.names) == ((1, 1, 3, 3), None, (str(tmp_path / "a.png"),))


def test_a_train_and_a_test_folder(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            for i in range(n):
                save(tmp_path / part / name / f"{i}.png", 6 if part == "train" else 9, 5)
    d = data.load(tmp_path)
    assert (d.x.shape, d.source, d.classes) == ((6, 3, 6, 5), str(tmp_path), ["cat", "dog"])
    assert (d.test.x.shape, d.test.y.tolist(), d.test.classes) == ((4, 3, 6, 5), [0, 0, 1, 1], ["cat", "dog"])


def test_the_classes_of_a_model_are_kept(tmp_path):
    save(tmp_path / "dog" / "1.png")
    assert data.load(tmp_path, classes=["cat", "dog"]).y.tolist() == [1]
    with pytest.raises(InputError, match=r"the folder .*dog is no class of the model; there are 'cat', 'horse'"):
        data.load(tmp_path, classes=["cat", "horse"])


def test_labels_can_be_left_alone(tmp_path):
    save(tmp_path / "any" / "1.png")
    d = data.load(tmp_path, labels=False)
    assert (d.y, d.names) == (None, ("any/1.png",))


def test_names_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no PNG or JPEG images and no class folders of them"):
        data.load(tmp_path)


def test_names_an_empty_class_folder(tmp_path):
    save(tmp_path / "cat" / "1.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match=r"the class folder .*dog is empty; put the class's images into it"):
        data.load(tmp_path)
    (tmp_path / "dog" / "rex.gif").write_bytes(b"")
    with pytest.raises(InputError, match=r"the class folder .*dog holds no PNG or JPEG images \(but rex.gif\)"):
        data.load(tmp_path)


def test_names_an_image_beside_class_folders(tmp_path):
    save(tmp_path / "cat" / "1.png")
    save(tmp_path / "stray.png")
    with pytest.raises(InputError, match=r"holds the image stray.png beside class folders such as cat; move it"):
        list_images(tmp_path)


def test_names_a_single_class(tmp_path):
    save(tmp_path / "cat" / "1.png")
    with pytest.raises(InputError, match=r"holds the single class folder cat, where two or more classes are needed"):
        data.load(tmp_path)


def huge_png():
    chunk = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    body = b"IHDR" + chunk
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(chunk)) + body + struct.pack(">I", zlib.crc32(body))


def large_png(side):
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def png():
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (30, 30, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", png()[:40], png()[:500], b"GIF89a" + bytes(30), huge_png()],
    ids=["empty", "text", "no header", "truncated", "gif", "bomb"],
)
def test_names_a_broken_image(tmp_path, content):
    save(tmp_path / "a" / "1.png", 30, 30)
    save(tmp_path / "b" / "1.png", 30, 30)
    (tmp_path / "b" / "2.png").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"the image .*b/2\.png cannot be read \(.+\); replace or remove it"):
            data.load(tmp_path)


def test_names_a_broken_jpeg(tmp_path):
    save(tmp_path / "a.jpg", 60, 60)
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"the image .*a\.jpg cannot be read \(.*truncated.*\)"):
        data.load(tmp_path)


def test_names_an_image_of_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    (tmp_path / "a.png").write_bytes(large_png(64))
    with pytest.raises(InputError, match=r"a\.png cannot be read \(64 x 64 pixels, where 3,000 are the most\)"):
        data.load(tmp_path)


def test_names_an_image_that_went_away(tmp_path):
    with pytest.raises(InputError, match=r"the image .*a\.png cannot be read \(there is no such file\)"):
        read_images([tmp_path / "a.png"])


def test_names_a_size_or_channels_that_make_no_sense(tmp_path):
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"the images' size is \(0, 5\); a height and a width"):
        data.load(tmp_path, size=(0, 5))
    with pytest.raises(InputError, match=r"number of channels is 2; 1 \(grey\) or 3 \(colour\) is right"):
        data.load(tmp_path, channels=2)


def test_names_a_target_that_images_do_not_take(tmp_path):
    save(tmp_path / "a" / "1.png")
    with pytest.raises(InputError, match="target is 'y', but images have the classes of their folders; leave it out"):
        data.load(tmp_path, "y")
    with pytest.raises(InputError, match="target is 'y', but an image has no columns; leave it out"):
        data.load(tmp_path / "a" / "1.png", "y")
