"""Files that are whole or not there: written aside, synced, then renamed. Never imports torch."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 24

Bytes = bytes | memoryview


@dataclass(frozen=True)
class Written:
    """What was written to a file."""

    sha256: str
    size: int


def write_all(handle: int, data: Bytes) -> None:
    """Write every byte to an open file."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left[:_CHUNK]) :]


def write_new(path: Path, pieces: Iterable[Bytes]) -> Written:
    """Write a file that must not exist yet, piece by piece, and wait until it is on the disk.

    A piece is let go before the next one is asked for.
    """
    digest, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with ThreadPoolExecutor(1, "sha256") as beside:  # a thread is started for long pieces only
            for piece in pieces:
                size += len(piece)
                for start in range(0, len(piece), _CHUNK):
                    part = memoryview(piece)[start : start + _CHUNK]
                    if len(part) < _CHUNK:
                        digest.update(part)
                        write_all(handle, part)
                    else:
                        summed = beside.submit(digest.update, part)
                        write_all(handle, part)
                        summed.result()
                    del part
                del piece
        os.fsync(handle)
    finally:
        os.close(handle)
    return Written(digest.hexdigest(), size)


def replace(path: Path, pieces: Iterable[Bytes]) -> Written:
    """Replace a file by one with new content. At every moment either the old or the new one is there, whole."""
    aside = path.with_name(f".{path.name}.tmp")
    aside.unlink(missing_ok=True)
    try:
        written = write_new(aside, pieces)
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return written


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, new or in place of an old one, whole or not at all."""
    replace(path, [data])


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder (new, renamed, removed) are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems have no such operation for folders; they keep names safe in their own way.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def open_regular(path: Path) -> int:
    """Open a file for reading; a link, a pipe or a device is an OSError, and never waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def remove_tree(path: Path) -> None:
    """Remove a folder of files as far as that is possible. What cannot be removed now is left for the next time."""
    with suppress(OSError):
        for name in os.listdir(path):
            with suppress(OSError):
                os.unlink(path / name)
        os.rmdir(path)
