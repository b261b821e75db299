"""Open shards, a bounded number of them, each process its own."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast, final

from mmx.errors import DataError
from mmx.storage.urls import shown

_OPEN: Final = 32


@final
class Files:
    """Opens shards when they are first read. Open files are neither pickled nor shared with a forked process."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = urls
        self._process = os.getpid()
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()

    def __getstate__(self) -> Sequence[str]:
        return self.urls

    def __setstate__(self, urls: Sequence[str]) -> None:
        self.__init__(urls)

    def __getitem__(self, shard: int) -> BinaryIO:
        """Return an open shard.

        Raises:
            DataError: it cannot be opened.
        """
        if self._process != os.getpid():  # the parent's files share their position with it
            self._open, self._process = OrderedDict(), os.getpid()
        if shard not in self._open:
            self._open[shard] = _open(self.urls[shard])
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(shard)
        return self._open[shard]

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """Return bytes of a shard, fewer if it ends before.

        Raises:
            DataError: the shard cannot be opened or read.
        """
        file = self[shard]
        try:
            file.seek(offset)
            return file.read(size)
        except Exception as error:  # each file system raises kinds of its own
            raise DataError(f"shard {shown(self.urls[shard])}: {_reason(error, self.urls[shard])}") from None


def _open(url: str) -> BinaryIO:
    from fsspec import AbstractFileSystem
    from fsspec.core import url_to_fs

    try:
        system, path = cast(tuple[AbstractFileSystem, str], url_to_fs(url))
        return cast(BinaryIO, system.open(path, "rb"))
    except FileNotFoundError:
        raise DataError(f"shard {shown(url)} does not exist or does not answer{_looked_in(url)}") from None
    except IsADirectoryError:
        raise DataError(
            f"shard {shown(url)} is a folder; name the shards in it, as data/{{00000..00999}}.tar"
        ) from None
    except Exception as error:  # each file system raises kinds of its own
        raise DataError(f"shard {shown(url)} cannot be opened: {_reason(error, url)}") from None


def _looked_in(url: str) -> str:
    """Say what a path is relative to."""
    return "" if "://" in url or Path(url).is_absolute() else f" (looked in {Path.cwd()})"


def _reason(error: Exception, url: str) -> str:
    return f"{type(error).__name__}: {error}".replace(url, shown(url))
