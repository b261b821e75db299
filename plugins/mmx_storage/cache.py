"""Blocks of remote files kept on this machine, shared by any number of processes, checked whenever they are read."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final, final

from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx_storage.room import NEW, CacheSpace

BLOCK: Final = 4 * 2**20
"""Bytes of a block; only the last one of a file is shorter."""
_PIECE: Final = 2**16
"""Bytes that have a checksum of their own, so that a small read need not check its whole block."""
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
        self._room = CacheSpace(str(self._folder), limit)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the folder {folder}, where remote data is kept, cannot be made: {error.strerror}; name another in "
                "data.train.remote.cache, or set data.train.remote.cache_gb = 0"
            ) from None

    @classmethod
    def of(cls, remote: RemoteTable) -> Cache | None:
        """Return the cache that a recipe asks for, None if it keeps nothing. A process has one of each folder and limit.

        Raises:
            DataError: its folder cannot be made.
        """
        if not remote.cache_gb:
            return None
        folder = Path("~/.cache/mmx") if remote.cache is None else Path(remote.cache)
        place = (folder.expanduser().absolute(), int(remote.cache_gb * 1e9))
        return _CACHES.get(place) or _CACHES.setdefault(place, cls(*place))

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
        if start >= end:
            return b""
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

    def all_of(self, name: str, block: int) -> bytes | None:
        """Return all of a block whose length is not known, None if it is not there. One that is damaged is deleted."""
        try:
            stored = os.stat(self._path(name, block)).st_size
        except OSError:
            return None
        length = stored - 4 * -(-stored // (_PIECE + 4))
        return self.read(name, block, length, 0, length)

    def store(self, name: str, block: int, data: bytes) -> bool:
        """Keep a block; say whether that worked. A full disk is no reason to stop: the data itself is there."""
        try:
            number, new = self._begin(name)
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
        self._room.take(_stored(len(data)))
        return True

    def _begin(self, name: str) -> tuple[int, str]:
        """Open a new file in a file's folder, which another process may delete until there is one in it."""
        folder = self._folder / name
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            return tempfile.mkstemp(prefix=NEW, dir=folder)
        except FileNotFoundError:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            return tempfile.mkstemp(prefix=NEW, dir=folder)

    def _path(self, name: str, block: int) -> str:
        return f"{self._folder}/{name}/{block}"


_CACHES: Final[dict[tuple[Path, int], Cache]] = {}
os.register_at_fork(after_in_child=_CACHES.clear)  # a lock of one may be held by a thread that is not there


def named(*facts: object) -> str:
    """Return the name of a file's folder, which tells nothing of its URL."""
    return sha256("\n".join(map(str, facts)).encode(errors="surrogatepass")).hexdigest()


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
