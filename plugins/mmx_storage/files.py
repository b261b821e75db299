"""Files at paths and URLs, read by position."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, final

from mmx.config import RemoteTable
from mmx_storage.local import Local
from mmx_storage.urls import scheme_of, shown

if TYPE_CHECKING:
    from mmx_storage.remote import Remote

_AS_DEFAULT: Final = RemoteTable()
_SMALL: Final = 2**30


@final
class Files:
    """Reads files by their place in a list of paths and URLs, opened when they are first read.

    What is open, under way or known of them is neither pickled nor used by a forked process. What is not on this
    machine is read in blocks, which are kept in the folder that ``remote`` names.
    """

    def __init__(self, urls: Sequence[str], remote: RemoteTable = _AS_DEFAULT) -> None:
        self.urls = urls
        self._options = remote
        self._local = Local()
        self._process = os.getpid()
        self._remote: Remote | None = None

    def __getstate__(self) -> tuple[Sequence[str], RemoteTable]:
        return self.urls, self._options

    def __setstate__(self, state: tuple[Sequence[str], RemoteTable]) -> None:
        self.__init__(*state)

    @property
    def retries(self) -> int:
        """Requests that this process made again, because they failed."""
        return 0 if self._remote is None or self._process != os.getpid() else self._remote.retries

    def read(self, file: int, offset: int, size: int) -> bytes:
        """Return bytes of a file, fewer only if it ends before.

        Raises:
            DataError: they cannot be read; :mod:`mmx_storage.failures` has the kinds.
        """
        url = self.urls[file]
        if "://" not in url:
            return self._local.read(url, offset, size)
        match scheme_of(url):
            case "file":
                return self._local.read(_path(url), offset, size)
            case "memory":
                return _from_memory(url, offset, size)
            case _:
                return self._away().read(file, offset, size)

    def size(self, file: int) -> int:
        """Return a file's size in bytes.

        Raises:
            DataError: it is not there, or cannot be asked for.
        """
        url = self.urls[file]
        match scheme_of(url):
            case "file":
                return self._local.size(_path(url))
            case "memory":
                return len(_from_memory(url, 0, None))
            case _:
                return self._away().size(file)

    def ahead(self, spans: Iterable[tuple[int, int, int]]) -> None:
        """Begin to fetch what will be read soon, and return at once. Nothing is done for files of this machine.

        Args:
            spans: file, offset and size of each read.
        """
        away = [span for span in spans if scheme_of(self.urls[span[0]]) not in ("file", "memory")]
        if away:
            self._away().ahead(away)

    def check(self, file: int) -> None:
        """Check that a file is there and can be opened.

        Raises:
            DataError: it is not, or cannot.
        """
        self.size(file)

    def _away(self) -> Remote:
        if self._remote is None or self._process != os.getpid():
            from mmx_storage.remote import Remote

            self._remote, self._process = Remote(self.urls, self._options), os.getpid()
        return self._remote


def fetch(url: str, remote: RemoteTable = _AS_DEFAULT, most: int = _SMALL) -> bytes:
    """Return all of a small file.

    Args:
        url: its path or URL.
        remote: how it is read if it is at a URL.
        most: bytes that it may have.

    Raises:
        LargeError: it has more.
        DataError: it cannot be read.
    """
    from mmx_storage.failures import LargeError

    files = Files((url,), remote)
    size = files.size(0)
    if size > most:
        raise LargeError(f"{shown(url)} has {size} bytes; expected {most} at most")
    return files.read(0, 0, size)


def _path(url: str) -> str:
    return url.partition("://")[2] if "://" in url else url


def _from_memory(url: str, offset: int, size: int | None) -> bytes:
    from fsspec.implementations.memory import MemoryFileSystem

    from mmx_storage.failures import MissingError

    stored = MemoryFileSystem.store.get(MemoryFileSystem._strip_protocol(url))
    if stored is None:
        raise MissingError(f"{url} does not exist (memory:// is of this process alone)")
    with stored.getbuffer() as data:
        return bytes(data[offset:] if size is None else data[offset : offset + size])
