"""A disk that is full, read-only or forbidden: a message that helps, and nothing lost."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError


def save(store: Store, step: int, numbers: int = 1000) -> Path:
    return store.save(step, {"model": {"weight": torch.full((numbers,), float(step))}}, {"step": step})


def newest_step(run: Path) -> int:
    loaded = Store(run).latest(pytest.fail)
    assert loaded is not None
    assert bool((loaded.tensors["model"]["weight"] == loaded.manifest.step).all())
    return loaded.manifest.step


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"a small disk needs mount: {error}")
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    store = Store(small_disk, keep_last=2)
    save(store, 1)
    save(store, 2)
    with pytest.raises(CheckpointError) as caught:
        save(store, 3, numbers=300_000)
    message = str(caught.value)
    assert "No space left on device" in message and str(small_disk / "checkpoints") in message
    assert "it needs 1,200," in message and "are free" in message
    assert "step-00000002" in message and "free space" in message and f"mmx run --resume {small_disk}" in message
    assert sorted(path.name for path in store.folder.iterdir()) == ["step-00000001", "step-00000002"]
    assert newest_step(small_disk) == 2
    save(store, 3)
    assert newest_step(small_disk) == 3


def test_a_disk_that_fills_up_keeps_two_good_ones(small_disk: Path) -> None:
    store, saved = Store(small_disk, keep_last=50), 0
    with pytest.raises(CheckpointError, match="No space"):
        for step in range(1, 100):
            save(store, step, numbers=20_000)
            saved = step
    assert 5 < saved < 20
    assert newest_step(small_disk) == saved


def test_a_read_only_disk(small_disk: Path) -> None:
    save(Store(small_disk), 1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CheckpointError, match=r"Read-only file system[^$]*step-00000001[^$]*writable"):
        save(Store(small_disk), 2)
    assert newest_step(small_disk) == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free space on this disk"),
        (errno.EDQUOT, "your quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "the right to write"),
        (errno.EIO, "the disk has an error"),
        (errno.ENAMETOOLONG, "mend this"),
    ],
)
def test_each_failure_has_its_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    store = Store(tmp_path)
    save(store, 1)
    real = os.open

    def failing(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(CheckpointError, match=advice) as caught:
        save(store, 2)
    assert os.strerror(code) in str(caught.value) and "step-00000001" in str(caught.value)
    monkeypatch.undo()
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001"]
    assert newest_step(tmp_path) == 1


def test_a_first_save_that_fails_says_that_there_is_none_yet(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no good checkpoint"):
        save(Store(tmp_path / "gone"), 1)


def test_a_disk_that_reads_back_something_else_is_noticed_and_nothing_older_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, keep_last=1)
    save(store, 1)
    real = os.write

    def lying(handle: int, data: bytes) -> int:
        return real(handle, bytes(data).replace(b'"step": 2', b'"step": 3'))

    monkeypatch.setattr(os, "write", lying)
    with pytest.raises(CheckpointError, match=r"reads back wrong[^$]*step-00000001"):
        save(store, 2)
    monkeypatch.undo()
    said: list[str] = []
    loaded = Store(tmp_path).latest(said.append)
    assert loaded is not None and loaded.manifest.step == 1 and "step-00000002" in said[0]


def test_checkpoints_that_cannot_be_listed_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(CheckpointError, match="cannot list"):
        Store(tmp_path).latest(pytest.fail)
