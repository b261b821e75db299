"""The bytes of one table, local or at a URL."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Final, final

from typing_extensions import override

from mmx.storage.files import Files
from mmx.storage.urls import shown

BLOCK: Final = 2**22
"""Bytes that are read at a time."""


@final
class Source:
    """Reads one of some files by offset. Those that are open are bounded in number, not pickled, and not shared with a
    forked process."""

    def __init__(self, files: Files, number: int = 0) -> None:
        self._files, self._number = files, number

    @property
    def name(self) -> str:
        """How the file is called in messages."""
        return shown(self._files.urls[self._number])

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, fewer if the file ends before.

        Raises:
            DataError: the file cannot be opened or read.
        """
        return self._files.read(self._number, offset, size)

    def size(self) -> int:
        """Return the number of bytes.

        Raises:
            DataError: the file is not there, or does not answer.
        """
        return self._files.size(self._number)

    def blocks(self) -> Iterator[bytes]:
        """Yield all bytes in order.

        Raises:
            DataError: the file cannot be opened or read.
        """
        offset = 0
        while data := self.read(offset, BLOCK):
            yield data
            offset += len(data)


@final
class Opened(io.RawIOBase):
    """A file object over a source, for readers that want one."""

    def __init__(self, source: Source, size: int) -> None:
        super().__init__()
        self._source, self._size, self._at = source, size, 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    @override
    def read(self, size: int = -1) -> bytes:
        wanted = max(0, self._size - self._at) if size is None or size < 0 else size  # pyright: ignore
        data = self._source.read(self._at, wanted)
        self._at += len(data)
        return data
