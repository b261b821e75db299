"""Small parts of a shard, one after the other, without a request for each."""

from __future__ import annotations

from typing import Final, final

from mmx_shards.format.index import is_away
from mmx_storage.files import Files

_FAR: Final = 2**18
"""Bytes that are passed over by a seek; fewer are read through, which takes less than the next request."""
_AHEAD: Final = 2**19
"""Bytes that are read at once among small members."""
_LITTLE: Final = 2**14
"""The same behind a seek: the small members beside a large one, with their headers."""


@final
class Buffered:
    """Reads a shard at a URL through a buffer, and one of this machine as it is asked to."""

    def __init__(self, files: Files, shard: int) -> None:
        self._files, self._shard, self._away = files, shard, is_away(files.urls[shard])
        self._data, self._start, self._ended, self._last = b"", 0, False, 0

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes, fewer if the shard ends before.

        Raises:
            DataError: the shard cannot be read.
        """
        if not self._away:
            return self._files.read(self._shard, offset, size)
        passed, self._last = offset - self._last, offset + size
        held = self._start <= offset and (self._ended or offset + size <= self._start + len(self._data))
        if not held:
            self._fetch(offset, max(size, _AHEAD if 0 <= passed <= _FAR else _LITTLE))
        start = offset - self._start
        return self._data[start : start + size]

    def _fetch(self, offset: int, size: int) -> None:
        self._data = self._files.read(self._shard, offset, size)
        self._start, self._ended = offset, len(self._data) < size
