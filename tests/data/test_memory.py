"""How much memory is free, as the machine and its container say."""

import pytest

from haema.data import memory

GIB = 1 << 30
MACHINE = {"/proc/meminfo": "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\n"}
V2 = {"/sys/fs/cgroup/memory.max": f"{4 * GIB}\n", "/sys/fs/cgroup/memory.current": f"{GIB}\n"}
V1 = {
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": f"{4 * GIB}\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, 8 * GIB),
        (MACHINE | V2, 3 * GIB),
        (MACHINE | V2 | {"/sys/fs/cgroup/memory.max": "max\n"}, 8 * GIB),
        (MACHINE | V1, 0),
    ],
    ids=["no container", "version 2", "no limit", "version 1, used up"],
)
def test_the_smaller_of_what_both_leave(monkeypatch, files, expected):
    monkeypatch.setattr(memory, "_text", lambda path: files.get(path, ""))
    assert memory.available_memory() == expected


def test_where_nothing_says(monkeypatch):
    monkeypatch.setattr(memory, "_text", lambda path: "")
    assert 0 < memory.available_memory() < 1 << 50


def test_here():
    assert memory.available_memory() > 1 << 20
