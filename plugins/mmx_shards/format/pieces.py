"""A shard's bytes from first to last, read once."""

from __future__ import annotations

import hashlib
from typing import Final, final

from mmx_storage.files import Files

PIECE: Final = 2**22
"""Bytes that are read at once."""


@final
class Pieces:
    """Reads a shard in large pieces and hashes them. What is asked for may lie ahead, but never behind."""

    def __init__(self, files: Files, shard: int) -> None:
        self._files, self._shard = files, shard
        self._hash = hashlib.sha256()
        self._start, self._piece, self._ended = 0, b"", False

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, fewer if the shard ends before. The next ones may not start before these.

        Raises:
            DataError: the shard cannot be read.
        """
        if offset + size <= self._end():  # most are small
            return self._piece[offset - self._start : offset - self._start + size]
        while self._end() <= offset and not self._ended:
            self._drop(self._end())
            self._next()
        self._drop(offset)
        while self._end() < offset + size and not self._ended:
            self._next()
        start = offset - self._start
        return self._piece[start : start + size]

    def finish(self, end: int) -> tuple[int, str, bool]:
        """Read what is left; return the shard's size, its sha256, and whether a byte behind ``end`` is not 0."""
        more = False
        self._drop(end)
        while True:
            behind = self._piece[max(0, end - self._start) :]
            more = more or behind.count(0) < len(behind)
            if self._ended:
                return self._end(), self._hash.hexdigest(), more
            self._drop(self._end())
            self._next()

    def _end(self) -> int:
        return self._start + len(self._piece)

    def _drop(self, offset: int) -> None:
        """Forget what lies before, but not a little at a time: that would copy the piece again and again."""
        gone = min(offset, self._end()) - self._start
        if gone == len(self._piece) or gone >= PIECE:
            self._start, self._piece = self._start + gone, self._piece[gone:]

    def _next(self) -> None:
        piece = self._files.read(self._shard, self._end(), PIECE)
        self._hash.update(piece)
        self._ended = len(piece) < PIECE
        self._piece += piece
