"""Blocks of remote files kept on this machine, shared by any number of processes, checked whenever they are read."""

from __future__ import annotations

import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final, final

from mmx.config import RemoteTable
from mmx.errors import DataError

BLOCK: Final = 4 * 2**20
"""Bytes of a block; only the last one of a file is shorter."""
_PIECE: Final = 2**16
"""Bytes that have a checksum of their own, so that a small read need not check its whole block."""
_OURS: Final = re.compile(r"[0-9a-f]{64}")
_NEW: Final = "new-"
_ABANDONED: Final = 3600.0
_FRESH: Final = 60.0
"""Seconds within which a block's time of last use is not written again."""


@final
class Cache:
    """A folder of blocks, each a file: its bytes, then the CRC-32 of each piece.

    A block is written under another name and renamed, so a process that is killed leaves no half of one. When the
    folder is larger than its limit, what was not used for longest is deleted.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.limit = limit
        self._folder = folder / "blocks"
        self._unchecked = limit
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the folder {folder}, where remote data is kept, cannot be made: {error.strerror}; name another in "
                "data.train.remote.cache, or set data.train.remote.cache_gb = 0"
            ) from None

    @classmethod
    def of(cls, remote: RemoteTable) -> Cache | None:
        """Return the cache that a recipe asks for, None if it keeps nothing.

        Raises:
            DataError: its folder cannot be made.
        """
        if not remote.cache_gb:
            return None
        folder = Path("~/.cache/mmx") if remote.cache is None else Path(remote.cache)
        return cls(folder.expanduser(), int(remote.cache_gb * 1e9))

    def holds(self, name: str, block: int, length: int) -> bool:
        """Say whether a block is there, without checking its bytes."""
        try:
            return os.stat(self._path(name, block)).st_size == _stored(length)
        except OSError:
            return False

    def read(self, name: str, block: int, length: int, start: int, end: int) -> bytes | None:
        """Return bytes of a block, None if it is not there. One that is damaged is deleted.

        Args:
            name: the file, as ``named`` has it.
            block: which of its blocks.
            length: bytes that the block must have.
            start: first byte that is wanted, from the block's start.
            end: byte after the last one.
        """
        path = self._path(name, block)
        try:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = _checked(number, length, start, end)
            if data is not None and time() - os.fstat(number).st_mtime > _FRESH:
                os.utime(number)
        except OSError:
            data = None
        finally:
            os.close(number)
        if data is None:
            with suppress(OSError):
                os.unlink(path)
        return data

    def store(self, name: str, block: int, data: bytes) -> bool:
        """Keep a block; say whether that worked. A full disk is no reason to stop: the data itself is there."""
        try:
            os.makedirs(self._folder / name, mode=0o700, exist_ok=True)
            number, new = tempfile.mkstemp(prefix=_NEW, dir=self._folder / name)
        except OSError:
            return False
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                file.write(_sums(data))
            os.rename(new, self._path(name, block))
        except OSError:
            with suppress(OSError):
                os.unlink(new)
            return False
        self._make_room(_stored(len(data)))
        return True

    def _path(self, name: str, block: int) -> str:
        return f"{self._folder}/{name}/{block}"

    def _make_room(self, added: int) -> None:
        """Delete what was not used for longest. The folder is looked through now and then only if it may be large."""
        self._unchecked += added
        if self._unchecked < self.limit / 128:
            return
        self._unchecked = 0
        found = sorted(self._files())
        total = sum(size for _, size, _ in found)
        if total <= self.limit:
            return
        for _, size, path in found:
            with suppress(OSError):  # another process was faster
                os.unlink(path)
            total -= size
            if total <= self.limit * 7 / 8:
                return

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield time of last use, size and path of each block; what dead processes began to write is oldest of all."""
        for folder in _entries(str(self._folder)):
            if not _OURS.fullmatch(folder.name):
                continue
            for entry in _entries(folder.path):
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    began = entry.name.startswith(_NEW)
                    if entry.name.isdigit() or (began and time() - facts.st_mtime > _ABANDONED):
                        yield 0.0 if began else facts.st_mtime, facts.st_size, entry.path


def named(*facts: object) -> str:
    """Return the name of a file's folder, which tells nothing of its URL."""
    return sha256("\n".join(map(str, facts)).encode()).hexdigest()


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _stored(length: int) -> int:
    return length + 4 * -(-length // _PIECE)


def _sums(data: bytes) -> bytes:
    view = memoryview(data)
    sums = [zlib.crc32(view[start : start + _PIECE]) for start in range(0, len(data), _PIECE)]
    return struct.pack(f"<{len(sums)}I", *sums)


def _checked(number: int, length: int, start: int, end: int) -> bytes | None:
    """Return the bytes from start to end, None if one of their pieces is not what was written."""
    if os.fstat(number).st_size != _stored(length):
        return None
    first, last = start // _PIECE, -(-end // _PIECE)
    low = first * _PIECE
    data = os.pread(number, min(last * _PIECE, length) - low, low)
    if _sums(data) != os.pread(number, 4 * (last - first), length + 4 * first):
        return None
    return data[start - low : end - low]
