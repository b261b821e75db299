"""The bytes of one table, local or at a URL."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Final, final

from typing_extensions import override

from mmx.errors import DataError
from mmx_storage.files import Files
from mmx_storage.urls import scheme_of, shown

BLOCK: Final = 2**22
"""Bytes that are read at a time."""


@final
class Source:
    """Reads one of some files by offset. Those that are open are bounded in number, not pickled, and not shared with a
    forked process. What the file was is pickled: another process that finds another in its place says so."""

    def __init__(self, files: Files, number: int = 0, before: tuple[int, int] | None = None) -> None:
        """Take a file by its place among those that are opened together.

        Args:
            files: all of them.
            number: which one it is.
            before: the size and the time of its last change that it must have, if it was looked at before.
        """
        self._files, self._number, self._before = files, number, before
        self._checked = False

    def __getstate__(self) -> tuple[Files, int, tuple[int, int] | None]:
        return self._files, self._number, self._before

    def __setstate__(self, state: tuple[Files, int, tuple[int, int] | None]) -> None:
        self.__init__(*state)

    @property
    def name(self) -> str:
        """How the file is called in messages."""
        return shown(self._files.urls[self._number])

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, fewer if the file ends before.

        Raises:
            DataError: the file cannot be opened or read, or is another one than before.
        """
        self._check()
        return self._files.read(self._number, offset, size)

    def size(self) -> int:
        """Return the number of bytes.

        Raises:
            DataError: the file is not there, does not answer, or is another one than before.
        """
        self._check()
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

    def _check(self) -> None:
        """Look at the file before this process reads it."""
        if self._checked:
            return
        now = (self._files.size(self._number), _changed_at(self._files.urls[self._number]))
        if self._before not in (None, now):
            raise DataError(
                f"table {self.name} was changed after its rows were counted; data must not change while it is read: "
                "start again with what is there now"
            )
        self._before, self._checked = now, True


def _changed_at(url: str) -> int:
    """Return when a file of this machine was changed last, in nanoseconds; 0 for others."""
    if scheme_of(url) != "file":
        return 0
    try:
        return os.stat(os.path.expanduser(url.partition("://")[2] if "://" in url else url)).st_mtime_ns
    except OSError:  # it is open, and has just lost its name
        return 0


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
