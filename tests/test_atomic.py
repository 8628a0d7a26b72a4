"""haema.atomic: the old file or the new one, never half of one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from haema.atomic import atomic_folder, atomic_write, remove_leftovers
from haema.errors import HaemaError, InputError


def test_writes_bytes_and_leaves_nothing_beside(tmp_path):
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"new")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_writes_text_as_utf8_with_the_newlines_asked_for(tmp_path):
    with atomic_write(tmp_path / "a.txt", "w", newline="") as file:
        file.write("해마\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "해마\r\n".encode()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_raises_changes_nothing(tmp_path, error):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(error), atomic_write(tmp_path / "a.bin") as file:
        file.write(b"half")
        raise error
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_keeps_the_permissions_of_an_existing_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_write(path) as file:
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_follows_the_umask(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_follows_a_symbolic_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with atomic_write(tmp_path / "pipe") as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_names_a_missing_folder(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot write .*a\.bin: there is no folder .*nowhere"),
        atomic_write(tmp_path / "nowhere" / "a.bin"),
    ):
        pass


def test_names_a_folder_in_the_way(tmp_path):
    with pytest.raises(InputError, match="it is a folder"), atomic_write(tmp_path):
        pass


def test_names_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("haema.atomic.os.open", refuse)
    with pytest.raises(InputError, match="permission denied in folder"), atomic_write(tmp_path / "a.bin"):
        pass


def test_refuses_modes_that_read_or_append(tmp_path):
    with pytest.raises(ValueError, match="mode is 'ab'"), atomic_write(tmp_path / "a.bin", "ab"):
        pass


def test_input_error_is_a_haema_error_and_a_value_error():
    assert issubclass(InputError, HaemaError)
    assert issubclass(InputError, ValueError)


def test_removes_what_a_kill_left_and_nothing_else(tmp_path):
    """A second run in a folder took away the file that the first was just writing."""
    path = tmp_path / "a.txt"
    for name in (".a.txt.0123abcd.tmp", ".a.txt.notes.tmp", ".b.txt.0123abcd.tmp"):
        (tmp_path / name).write_text("half")
    with atomic_write(path) as file:
        file.write(b"whole")
        remove_leftovers(path)
    assert path.read_bytes() == b"whole"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.txt.notes.tmp", ".b.txt.0123abcd.tmp", "a.txt"]


@pytest.mark.parametrize("error", [OSError(38, "no such locks"), None])
def test_where_there_are_no_locks_leftovers_go_all_the_same(tmp_path, monkeypatch, error):
    import sys

    if error is None:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        import fcntl

        def flock(descriptor, operation):
            raise error

        monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / ".a.txt.0123abcd.tmp").write_text("half")
    remove_leftovers(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_text_that_cannot_be_encoded_is_escaped(tmp_path):
    with atomic_write(tmp_path / "a.txt", "w") as file:
        file.write("\udcff.csv")
    assert (tmp_path / "a.txt").read_bytes() == b"\\udcff.csv"


def test_a_folder_appears_as_a_whole(tmp_path):
    with atomic_folder(tmp_path / "new") as folder:
        (Path(folder) / "a").write_text("1")
        assert not (tmp_path / "new").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / "a").read_text() == "1"


def test_a_folder_that_is_there_keeps_its_other_files(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    with atomic_folder(tmp_path) as folder:
        (Path(folder) / "a").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "new", "b": "old"}


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_as_before_if_the_block_fails(tmp_path, there):
    target = tmp_path / "f"
    if there:
        target.mkdir()
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as folder:
        (Path(folder) / "a").write_text("1")
        raise KeyboardInterrupt
    assert list(tmp_path.rglob("*")) == ([target] if there else [])


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="it is a file, where the name of a folder is right"),
        atomic_folder(tmp_path / "file"),
    ):
        pass
    with pytest.raises(InputError, match=r"there is no folder .*; make it first"), atomic_folder(tmp_path / "no" / "f"):
        pass
