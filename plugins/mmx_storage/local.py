"""Files of this machine, read by position."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from typing import Final, final

from mmx.errors import DataError
from mmx_storage.failures import of_local

_OPEN: Final = 128
_LARGE: Final = 2**24


@final
class _Opened:
    """A file, closed when nobody reads it any more: another thread may still, when it makes room for others."""

    __slots__ = ("number",)

    def __init__(self, path: str) -> None:
        self.number = -1
        # Opening a pipe would wait for whoever writes into it.
        self.number = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


@final
class Local:
    """Opens files when they are first read, a bounded number of them. They have no position, so a fork may share them."""

    def __init__(self) -> None:
        self._opened: OrderedDict[str, _Opened] = OrderedDict()

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Return bytes of a file, fewer only at its end.

        Raises:
            DataError: it cannot be opened or read.
        """
        opened = self._open(path)
        try:
            if size > _LARGE:  # memory is taken before anything is read
                size = min(size, max(0, os.fstat(opened.number).st_size - offset))
            data = os.pread(opened.number, size, offset)
            while 0 < len(data) < size:  # some file systems give less than was asked for
                more = os.pread(opened.number, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise of_local(error, path) from None
        return data

    def size(self, path: str) -> int:
        """Return a file's size in bytes.

        Raises:
            DataError: it cannot be opened.
        """
        return os.fstat(self._open(path).number).st_size

    def _open(self, path: str) -> _Opened:
        opened = self._opened.get(path)
        if opened is None:
            opened = self._opened[path] = _open(path)
            if len(self._opened) > _OPEN:
                self._opened.popitem(last=False)
        return opened


def _open(path: str) -> _Opened:
    try:
        opened = _Opened(path)
        mode = os.fstat(opened.number).st_mode
    except OSError as error:
        raise of_local(error, path) from None
    except ValueError as error:  # a name with a NUL
        raise DataError(f"{path!r} cannot be read: {error}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a folder; name the shards in it, as data/{{00000..00999}}.tar")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is not a regular file")
    return opened
