"""Mangled files of every kind: whatever comes, no traceback and no status but 0 and 2."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from cli.conftest import flowers
from haema.data import write_idx


def mangled(data, rng):
    """A file's bytes with something wrong."""
    b = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(6)
        at = rng.randrange(len(b)) if b else 0
        if kind == 0:
            del b[at:]
        elif kind == 1 and b:
            b[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            b[at:at] = rng.randbytes(rng.randint(1, 20))
        elif kind == 3:
            del b[at : at + rng.randint(1, 30)]
        elif kind == 4 and len(b) > 4:
            b[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 20]))
        elif kind == 5:
            b[at:at] = rng.choice(
                [b"nan", b"inf", b",", b"\n", b'"', b"\x00", b"1e999", b"\xff", b"=1+1", b";", "é".encode()]
            )
    return bytes(b)


def check(result):
    assert result.status in (0, 2), (result.status, result.err)
    assert "Traceback" not in result.err
    if result.status == 2:
        lines = [line for line in result.err.splitlines() if not line.startswith("epoch ")]
        assert len([line for line in lines if line.startswith("haema: ")]) >= 1, lines
        assert len(lines[-1]) < 1000


@pytest.mark.parametrize("seed", range(25))
def test_tables(cli, tmp_path, trained, seed):
    rng = random.Random(seed)
    (tmp_path / "t.csv").write_bytes(mangled(flowers(30).encode(), rng))
    check(cli("train", "t.csv", "--target", "species", "--epochs", "1"))
    check(cli("predict", trained / "flowers.haema", "t.csv"))
    check(cli("evaluate", trained / "flowers.haema", "t.csv", "--json"))


@pytest.mark.parametrize("seed", range(25))
def test_models(cli, tmp_path, trained, seed):
    rng = random.Random(seed)
    (tmp_path / "m.haema").write_bytes(mangled((trained / "flowers.haema").read_bytes(), rng))
    check(cli("predict", "m.haema", trained / "flowers.csv"))
    check(cli("inspect", "m.haema"))


@pytest.mark.parametrize("seed", range(15))
def test_idx_and_npz(cli, tmp_path, seed):
    rng = random.Random(seed)
    x, y = (
        np.random.default_rng(seed).integers(0, 255, (20, 5, 5)).astype(np.uint8),
        (np.arange(20) % 2).astype(np.uint8),
    )
    (tmp_path / "idx").mkdir()
    for name, a in (("images-idx3", x), ("labels-idx1", y)):
        path = tmp_path / "idx" / f"train-{name}-ubyte"
        write_idx(path, a)
        path.write_bytes(mangled(path.read_bytes(), rng))
    check(cli("train", "idx", "--epochs", "1"))
    buffer = io.BytesIO()
    [np.savez, np.savez_compressed][seed % 2](buffer, x=x, y=y)
    (tmp_path / "t.npz").write_bytes(mangled(buffer.getvalue(), rng))
    check(cli("train", "t.npz", "--epochs", "1"))


@pytest.mark.parametrize("seed", range(15))
def test_images(cli, tmp_path, trained, seed):
    rng = random.Random(seed)
    for name in ("a", "b"):
        (tmp_path / "f" / name).mkdir(parents=True)
        for i in range(3):
            buffer = io.BytesIO()
            form = rng.choice(["PNG", "JPEG"])
            pixels = np.random.default_rng(i).integers(0, 255, (6, 7, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(buffer, form)
            data = buffer.getvalue()
            path = tmp_path / "f" / name / f"{i}.{'png' if form == 'PNG' else 'jpg'}"
            path.write_bytes(mangled(data, rng) if i == 1 else data)
    check(cli("train", "f", "--epochs", "1", "--model", "mlp"))
    check(cli("predict", trained / "digits.haema", "f/a"))
