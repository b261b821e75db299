"""Keeping a folder of blocks below its limit: what was not used for longest is deleted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from time import time
from typing import Final, final

NEW: Final = "new-"
"""What the name of a block begins with while it is written."""
_OURS: Final = re.compile(r"[0-9a-f]{64}")
_ABANDONED: Final = 3600.0
_PAGE: Final = 2**12
"""Bytes that file systems give to a file at a time."""
_SECTOR: Final = 512
"""Bytes of what ``st_blocks`` counts."""


@final
class CacheSpace:
    """Deletes from a folder of folders of blocks, which other processes write to and delete from as well.

    The folder is looked through now and then only: at first, and after a 128th of the limit was added.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._unchecked = limit
        self._counting = Lock()

    def take(self, length: int) -> None:
        """Count a file of so many bytes that was written, and delete others if the folder may have become too large."""
        with self._counting:
            self._unchecked += -(-length // _PAGE) * _PAGE
            if self._unchecked < self._limit / 128:
                return
            self._unchecked = 0
        found = sorted(self._files())
        total = sum(size for _, size, _ in found)
        if total <= self._limit:
            return
        for _, size, path in found:
            with suppress(OSError):  # another process was faster
                os.unlink(path)
            _delete_if_empty(os.path.dirname(path))
            total -= size
            if total <= self._limit * 7 / 8:
                return

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield time of last use, size and path of each block; what dead processes began to write is oldest of all.

        The size is what the block takes of the disk, with its share of its folder.
        """
        for folder in _entries(self._folder):
            if not _OURS.fullmatch(folder.name):
                continue
            entries = _entries(folder.path)
            if not entries:
                _delete_if_empty(folder.path)
            for entry in entries:
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    began = entry.name.startswith(NEW)
                    if entry.name.isdigit() or (began and time() - facts.st_mtime > _ABANDONED):
                        size = _taken(facts) + _taken(folder.stat(follow_symlinks=False)) // len(entries)
                        yield 0.0 if began else facts.st_mtime, size, entry.path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _delete_if_empty(folder: str) -> None:
    with suppress(OSError):  # it has blocks, or is gone
        os.rmdir(folder)


def _taken(facts: os.stat_result) -> int:
    """Return the bytes that a file or folder takes of the disk; some file systems count those of a new one late."""
    return max(facts.st_size, facts.st_blocks * _SECTOR)
