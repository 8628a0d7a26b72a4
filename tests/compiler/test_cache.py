"""Programs kept on disk: another process finds them, and nothing that is not sound is ever run."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from haema.compiler import cache

PROGRAM = """
import sys
import haema as hm
from haema import nn, optim
hm.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
optimizer = optim.Adam(model.parameters(), lr=0.1)
optimizer.init_state()

def step(x):
    optimizer.zero_grad()
    loss = (model(x) ** 2).mean() + hm.tensor([float(k) for k in range(40)]).sum()
    loss.backward()
    optimizer.step()
    return loss.detach()

g = hm.compile(step)
x = hm.rand(3, 4)
losses = [g(x).item() for _ in range(3)]
print("cached" if g._last.cached else "compiled", *map(float.hex, losses))
"""


def command(folder: Path, program: str = PROGRAM, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {cache.VARIABLE: str(folder)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out.split()


def run(folder: Path, program: str = PROGRAM, **variables: str) -> list[str]:
    """What a process says: whether its program was cached, and its losses."""
    return said(command(folder, program, **variables))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.program"))


def test_a_second_process_finds_the_program(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "programs"
    first, second = run(folder), run(folder)
    assert (first[0], second[0]) == ("compiled", "cached")
    assert first[1:] == second[1:]
    (entry,) = entries(folder)
    assert list(folder.iterdir()) == [entry], "no temporary file is left"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_a_corrupt_entry_is_compiled_again(tmp_path: Path) -> None:
    expected = run(tmp_path)[1:]
    (entry,) = entries(tmp_path)
    good = entry.read_bytes()
    flipped = [good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :] for k in (0, 45, len(good) - 1)]
    for bad in (b"", good[:33], good[:-1], good + b"x", *flipped):
        entry.write_bytes(bad)
        assert run(tmp_path) == ["compiled", *expected]
        assert entry.read_bytes()[32:] == good[32:], "it is replaced by a sound one"
    assert run(tmp_path) == ["cached", *expected]


def test_an_entry_with_a_right_checksum_and_nonsense_inside(tmp_path: Path) -> None:
    """Only the user can have written it, and still it must not end the process."""
    import hashlib

    expected = run(tmp_path)[1:]
    (entry,) = entries(tmp_path)
    for body in (b"", b"\xff" * 8, (2).to_bytes(8, "little") + b"{}", (4).to_bytes(8, "little") + b"nope"):
        entry.write_bytes(hashlib.blake2b(body, digest_size=32).digest() + body)
        assert run(tmp_path) == ["compiled", *expected]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no such rights here")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_what_others_may_write_is_not_used(tmp_path: Path, mode: int) -> None:
    """Whoever can write an entry can run code as the user."""
    folder = tmp_path / "programs"
    folder.mkdir()
    folder.chmod(mode)
    assert run(folder)[0] == run(folder)[0] == "compiled"
    assert not entries(folder)
    folder.chmod(0o700)
    run(folder)
    (entry,) = entries(folder)
    entry.chmod(0o600 | mode & 0o077)
    assert run(folder)[0] == "compiled"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no such rights here")
def test_a_link_to_a_place_of_others(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    real.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(real)
    assert run(link)[0] == "compiled"
    assert not entries(real)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert run(file)[0] == "compiled"
    assert run(file / "below")[0] == "compiled"
    assert run(tmp_path / ("n" * 300))[0] == "compiled"


@pytest.mark.skipif(getattr(os, "getuid", lambda: 0)() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert run(tmp_path)[0] == run(tmp_path)[0] == "compiled"
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_folder_with_entries(tmp_path: Path) -> None:
    """They are used; that nothing can be written is no error."""
    expected = run(tmp_path)[1:]
    tmp_path.chmod(0o500)
    try:
        assert run(tmp_path) == ["cached", *expected]
    finally:
        tmp_path.chmod(0o700)


def test_processes_at_once(tmp_path: Path) -> None:
    found = [said(p) for p in [command(tmp_path) for _ in range(4)]]
    assert len({tuple(f[1:]) for f in found}) == 1
    assert [p.suffix for p in tmp_path.iterdir()] == [".program"]
    assert run(tmp_path)[0] == "cached"


def test_each_cpu_has_its_own_entry(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == "compiled"
    assert run(tmp_path, HAEMA_TARGET_CPU="x86-64")[0] == "compiled"
    assert run(tmp_path, HAEMA_TARGET_CPU="x86-64")[0] == "cached"
    assert run(tmp_path)[0] == "cached"
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr=0.1", "lr=0.1, eps=1e-3"),
        ("range(40)", "range(1, 41)"),
        ("nn.ReLU()", "nn.Tanh()"),
        ("hm.rand(3, 4)", "hm.rand(2, 4)"),
        (" ** 2", " ** 4"),
        (".mean()", ".sum()"),
    ],
)
def test_another_program_has_another_entry(tmp_path: Path, old: str, new: str) -> None:
    assert old in PROGRAM
    first = run(tmp_path)
    other = PROGRAM.replace(old, new)
    found = run(tmp_path, other)
    fresh = run(tmp_path / "fresh", other)
    assert found[1:] == fresh[1:] != first[1:]


def test_parameters_of_views_are_part_of_the_name(tmp_path: Path) -> None:
    """Pairs of programs that differ in one number only."""
    code = """
import haema as hm
import haema.nn.functional as F
x = hm.arange(24.0).reshape(2, 3, 4)
y = x.permute(2, 0, 1).contiguous().permute(1, 2, 0)
pairs = [
    (lambda: F.pad(x, (1, 0), value=0.0) / 1, lambda: F.pad(x, (1, 0), value=-0.0) / 1),
    (lambda: F.pad(x, (1, 0), value=0.1), lambda: F.pad(x, (1, 0), value=0.1000000001)),
    (lambda: x * 3.0, lambda: x * 3.0000002),
    (lambda: x[:, 1:2], lambda: x[:, 2:3]),
    (lambda: x.sum(0), lambda: x.sum(1)[:, :3]),
    (lambda: x.argmax(0), lambda: x.argmin(0)),
    (lambda: x * 2, lambda: y * 2),
    (lambda: (x + 1, x + 2), lambda: (x + 2, x + 1)),
    (lambda: 1 / (x * 0.0), lambda: 1 / (x * -0.0)),
]
for a, b in pairs:
    for f in (a, b, a):
        found, expected = hm.compile(f)(), f()
        assert repr([t.tolist() for t in found]) == repr([t.tolist() for t in expected]), (found, expected)
print("cached fine")
"""
    assert run(tmp_path, code) == run(tmp_path, code) == ["cached", "fine"]


def test_old_entries_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(cache, "LARGEST", 2500)
    cache.folder.cache_clear()
    try:
        for k in range(4):
            cache.save(f"k{k}", {"table": [], "arena": k, "parallel": False}, b"c" * 5, bytes(800))
            os.utime(tmp_path / f"k{k}.program", (k, k))
        assert [p.stem for p in entries(tmp_path)] == ["k2", "k3"]
        found = cache.load("k3")
        assert found is not None
        header, constants, code = found
        assert (header["arena"], constants, code) == (3, b"c" * 5, bytes(800))
        assert cache.load("k0") is None
        assert cache.load("k2") is not None
        assert entries(tmp_path)[0].stat().st_mtime > 1000, "an entry that is used is young again"
    finally:
        cache.folder.cache_clear()
