"""Disks, locks, shared memory and files."""

import errno
import fcntl
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from machines import one
from mmx_doctor import machine
from mmx_doctor.finding import GIB, Finding


def test_where_runs_go() -> None:
    assert one("machine", "file locks") == Finding("machine", "file locks", "work in this folder")
    Path("runs").mkdir()
    assert one("machine", "file locks").value == "work in ./runs"


@pytest.mark.parametrize(("free", "state"), [(6 * GIB, "ok"), (GIB // 2, "note")])
def test_little_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr(machine, "SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free, total=8 * GIB))
    disk, shared = one("machine", "disk"), one("machine", "shared memory")
    assert (disk.state, shared.state) == (state, state)
    assert ("--out" in disk.advice, "--shm-size" in shared.advice) == (state == "note", state == "note")


def test_a_disk_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    locks = one("machine", "file locks")
    assert (locks.state, locks.value) == ("problem", "do not work in this folder: No locks available")
    assert "--out" in locks.advice


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    locks = one("machine", "file locks")
    assert (locks.state, locks.value) == ("problem", "cannot write in this folder: Read-only file system")


def test_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    assert one("machine", "open files") == Finding(
        "machine", "open files", "256 at most", "note", "workers need some: ulimit -n 1024"
    )
