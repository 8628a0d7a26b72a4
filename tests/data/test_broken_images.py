"""Image files with something odd or wrong about them: what is read, what is named, what is skipped."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from haema import data
from haema.data import decoder, decoding
from haema.data.decoder import Broken, pixels
from haema.data.images import NAMED, read_images
from haema.errors import InputError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (16, 12, 3), np.uint8)


def encoded(form="PNG", image=None, **options):
    buffer = io.BytesIO()
    (Image.fromarray(NOISE) if image is None else image).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


BOMB = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
BROKEN = {
    "empty": (b"", "an empty file"),
    "text": (b"not an image", "no PNG or JPEG"),
    "gif": (encoded("GIF"), "no PNG or JPEG"),
    "cut jpeg": (encoded("JPEG", quality=100)[:-200], "truncated"),
    "cut png": (encoded()[:-200], "."),
    "no header": (encoded()[:20], "."),
    "bomb": (BOMB, "."),
}


@pytest.fixture
def folder(tmp_path):
    """Two classes of four images each."""
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"{i}.png").write_bytes(encoded())
    return tmp_path


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", ["cat/0.png", "dog/2.png"])  # the first of all, and one on the way
def test_one_broken_image_is_named_or_skipped(folder, place, content, reason):
    (folder / place).write_bytes(content)
    with pytest.raises(InputError, match=rf"the image .*{place} cannot be read \(.*{reason}.*\); replace or remove it"):
        data.load(folder)
    d = data.load(folder, skip_broken=True)
    assert d.x.shape == (7, 3, 16, 12)
    assert place not in d.names
    assert d.y.tolist() == [0 if name.startswith("cat") else 1 for name in d.names]
    (note,) = d.notes
    assert note.startswith(f"1 of 8 images cannot be read and were left out: {folder}/{place} (")
    np.testing.assert_array_equal(d.x, [np.moveaxis(NOISE, 2, 0)] * 7)


@pytest.mark.parametrize("stream", [False, True])
def test_all_broken_images_are_named_at_once(folder, stream):
    (folder / "cat" / "1.png").write_bytes(encoded()[:-200])  # found when it is decoded
    (folder / "dog" / "0.png").write_bytes(b"")  # found when it is opened
    (folder / "dog" / "3.png").write_bytes(encoded("PNG", Image.new("RGB", (9, 9))))  # so that heads come first
    with pytest.raises(InputError, match=r"2 of 8 images cannot be read: .*cat/1\.png \(.+\), .*dog/0\.png \(an empty"):
        data.load(folder, stream=stream)
    d = data.load(folder, stream=stream, skip_broken=True)
    assert d.names == ("cat/0.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png", "dog/3.png")
    assert d.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert "2 of 8 images cannot be read and were left out" in " ".join(d.notes)
    x = np.asarray(d.x)
    np.testing.assert_array_equal(x[:5], [np.moveaxis(NOISE, 2, 0)] * 5)
    assert x[5].max() == 0


def test_no_more_than_some_are_named(folder):
    for i in range(NAMED + 3):
        (folder / "cat" / f"b{i:02}.png").write_bytes(b"")
    with pytest.raises(InputError, match=rf"{NAMED + 3} of {8 + NAMED + 3} .*b{NAMED - 1:02}\.png .* and 3 more;") as e:
        data.load(folder)
    assert f"b{NAMED:02}" not in str(e.value)


def test_nothing_is_left(folder):
    for i in range(4):
        (folder / "cat" / f"{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"no image of the class folder .*cat can be read"):
        data.load(folder, skip_broken=True)
    for i in range(4):
        (folder / "dog" / f"{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 8 images can be read"):
        data.load(folder, skip_broken=True)


def test_links(folder):
    (folder / "cat" / "link.png").symlink_to(folder / "dog" / "0.png")
    (folder / "bird").symlink_to(folder / "dog")
    d = data.load(folder)
    assert d.classes == ["bird", "cat", "dog"]
    assert (d.names[0], d.names[8]) == ("bird/0.png", "cat/link.png")
    (folder / "dog" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match=r"2 of 15 images .*bird/gone\.png \(a link to nothing\), .*dog/gone\.png"):
        data.load(folder)


def test_what_is_no_regular_file_is_passed_over(folder):
    os.mkfifo(folder / "cat" / "pipe.png")  # reading it would wait for ever
    (folder / "dog" / "alias.png").symlink_to(folder / "cat" / "pipe.png")
    (folder / "dog" / "folder.png").mkdir()
    assert len(data.load(folder)) == 8


def test_an_image_that_may_not_be_read(folder, monkeypatch):
    def denied(path, *args, **options):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("haema.data.decoder.open", denied, raising=False)
    with pytest.raises(Broken, match=r"^Permission denied$"):
        pixels(str(folder / "cat" / "0.png"), (16, 12), 3)


def test_a_folder_that_may_not_be_listed(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match=r"the folder .* cannot be listed \(Permission denied\)"):
        data.images.list_images(folder)


def test_names_that_are_not_utf8(folder):
    odd = os.fsencode(folder / "cat") + b"/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write(encoded())
    d = data.load(folder)
    assert [os.fsencode(name) for name in d.names][4] == b"cat/caf\xe9.png"
    with open(odd, "wb"):
        pass
    with pytest.raises(InputError, match=r"caf\udce9\.png cannot be read \(an empty file\)"):
        data.load(folder)
    os.mkdir(os.fsencode(folder) + b"/\xff")
    with open(os.fsencode(folder) + b"/\xff/1.png", "wb") as file:
        file.write(encoded())
    with pytest.raises(InputError, match=r"the class folder '\\udcff' in .* has a name that is no text; rename it"):
        data.load(folder)


def read(tmp_path, content, name="a.png", **options):
    (tmp_path / name).write_bytes(content)
    return data.load(tmp_path / name, **options).x[0]


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, full magenta and yellow
    red = read(tmp_path, encoded("JPEG", image), "a.jpg")
    np.testing.assert_allclose(red[:, 4, 4].astype(int), [255, 0, 0], atol=6)


def test_a_jpeg_called_png(tmp_path):
    x = read(tmp_path, encoded("JPEG", Image.new("RGB", (8, 8), (200, 10, 10))))
    np.testing.assert_allclose(x[:, 4, 4].astype(int), [200, 10, 10], atol=6)


def test_transparent_palette(tmp_path):
    image = Image.fromarray(NOISE).quantize(8)
    image.info["transparency"] = 0
    x = read(tmp_path, encoded("PNG", image))
    np.testing.assert_array_equal(x, np.moveaxis(np.asarray(image.convert("RGB")), 2, 0))


def test_of_an_animation_the_first_picture(tmp_path):
    first, second = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8), (0, 250, 0))
    x = read(tmp_path, encoded("PNG", first, save_all=True, append_images=[second]))
    assert x[:, 3, 3].tolist() == [250, 0, 0]


def test_sixteen_bit_grey_among_colours(tmp_path):
    wide = RNG.integers(0, 2**16, (6, 5)).astype(np.uint16)
    x = read(tmp_path, encoded("PNG", Image.fromarray(wide)), channels=3)
    np.testing.assert_array_equal(x, [wide >> 8] * 3)


def test_damaged_metadata_around_a_good_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded("JPEG", exif=exif.tobytes()[:12] + b"\xff\xff\xff\xff")
    assert read(tmp_path, content, "a.jpg").shape == (3, 16, 12)


def test_a_large_jpeg_is_decoded_smaller_first(tmp_path):
    """About what decoding all of it and then resizing gives, also where the photo has to be turned."""
    smooth = Image.fromarray(RNG.integers(0, 256, (6, 9, 3), np.uint8)).resize((900, 600), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded("JPEG", smooth, exif=exif, quality=95)
    x = read(tmp_path, content, "a.jpg", size=(60, 40))
    whole = Image.open(io.BytesIO(content)).transpose(Image.Transpose.ROTATE_270)
    expected = np.moveaxis(np.asarray(whole.resize((40, 60), Image.Resampling.BILINEAR)), 2, 0)
    assert np.abs(x.astype(int) - expected).max() <= 6


@pytest.mark.parametrize("patience", [0.0, 1e9])
def test_workers_and_this_process_give_the_same(folder, monkeypatch, patience):
    monkeypatch.setattr(decoding, "PATIENCE", patience)
    (folder / "cat" / "1.png").write_bytes(b"")
    paths = [folder / name / f"{i}.png" for name in ("cat", "dog") for i in range(4)] * 40
    x, kept, notes = read_images(paths, skip_broken=True)
    assert len(x) == len(kept) == 280
    assert notes[0].startswith("40 of 320 images cannot be read")
    np.testing.assert_array_equal(x, [np.moveaxis(NOISE, 2, 0)] * 280)


def test_workers_that_die_or_cannot_start(folder, monkeypatch):
    monkeypatch.setattr(decoding, "PATIENCE", 0.0)
    paths = [str(folder / "cat" / "0.png")] * 600
    decoders = decoding.Decoders()
    count = 0
    for portion in decoders.decode(paths, (16, 12), 3, ahead=1):
        count += len(portion.x)
        for worker in decoders._started._workers if decoders._started else ():
            worker._process.kill()
        np.testing.assert_array_equal(portion.x, [NOISE] * len(portion.x))
    assert count == 600
    monkeypatch.setattr(decoding.sys, "executable", "/nowhere/python")
    assert sum(len(p.x) for p in decoding.Decoders().decode(paths, (16, 12), 3)) == 600


def test_workers_keep_to_the_settings_of_pillow(folder, monkeypatch):
    monkeypatch.setattr(decoding, "PATIENCE", 0.0)
    paths = [str(folder / "cat" / "0.png")] * 300
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16 * 12 - 1)
    first, *others = decoding.Decoders().decode(paths, (16, 12), 3)
    assert len(first.broken) == 128
    assert [len(p.broken) for p in others] == [128, 44]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert not any(p.broken for p in decoding.Decoders().decode(paths, (16, 12), 3))


def test_the_program_ends_with_its_input():
    words = [sys.executable, decoder.__file__, json.dumps(decoder.settings())]
    request = json.dumps({"paths": ["/nowhere/a.png"], "size": [1, 2], "channels": 1, "exact": False}).encode()
    done = subprocess.run(words, input=request + b"\n", capture_output=True, timeout=60)
    assert done.stdout == b'{"broken": {"0": "there is no such file"}}\n\0\0'
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_for_image_files_only(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"stream is for images in files, and .*t\.csv is none; leave it out"):
        data.load(tmp_path / "t.csv", stream=True)
    with pytest.raises(InputError, match="skip_broken is for image files, and digits is none"):
        data.load("digits", skip_broken=True)


def test_workers_end_with_what_started_them(folder, monkeypatch):
    monkeypatch.setattr(decoding, "PATIENCE", 0.0)
    decoders = decoding.Decoders()
    assert len(list(decoders.decode([str(folder / "cat" / "0.png")] * 300, (16, 12), 3))) == 3
    processes = [worker._process for worker in decoders._started._workers]
    assert all(p.poll() is None for p in processes)
    decoding._close(decoders._started._threads, decoders._started._workers, -1)  # as a fork would
    assert all(p.poll() is None for p in processes)
    del decoders
    assert all(p.poll() is not None for p in processes)
