"""What was fetched and may be wanted again: on disk if there is a cache, in memory if not, or if the disk is full."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from mmx_storage.cache import BLOCK, Cache

_HELD: Final = 256 * 2**20
"""Bytes kept in memory at most."""


@dataclass(frozen=True)
class Part:
    """Bytes that are asked for in one request."""

    file: int
    start: int
    end: int

    def of(self, data: bytes, offset: int, size: int) -> bytes:
        """Return those of its bytes that are between two places of the file."""
        return data[max(0, offset - self.start) : max(0, offset + size - self.start)]


@final
class Kept:
    """Parts that were fetched. ``name`` is that of their file in the cache."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._held: OrderedDict[Part, bytes] = OrderedDict()

    def parts(self, file: int, offset: int, size: int, length: int) -> Iterator[Part]:
        """Yield what to ask for: whole blocks if there is a cache, else nothing but what is wanted.

        Args:
            file: which file.
            offset: first byte that is wanted.
            size: bytes that are wanted.
            length: bytes of the file.
        """
        end = min(offset + size, length)
        first = offset if self._cache is None else offset - offset % BLOCK
        limit = end if self._cache is None else length
        for start in range(first, end, BLOCK):
            yield Part(file, start, min(start + BLOCK, limit))

    def has(self, part: Part, name: str) -> bool:
        """Say whether a part is kept, without reading it."""
        if part in self._held:
            return True
        return self._cache is not None and self._cache.holds(name, part.start // BLOCK, part.end - part.start)

    def read(self, part: Part, name: str, offset: int, size: int) -> bytes | None:
        """Return those bytes of a part that are wanted, None if it is not on disk. Any thread may call it."""
        if self._cache is None:
            return None
        start, end = max(0, offset - part.start), min(part.end, offset + size) - part.start
        return self._cache.read(name, part.start // BLOCK, part.end - part.start, start, end)

    async def get(self, part: Part, name: str) -> bytes | None:
        """Return a part, None if it is not kept."""
        if part in self._held or self._cache is None:
            return self._held.get(part)
        whole = (part, name, part.start, part.end - part.start)
        return await asyncio.get_running_loop().run_in_executor(None, self.read, *whole)

    async def put(self, part: Part, name: str, data: bytes) -> None:
        """Keep a part."""
        if self._cache is not None:
            stored = (name, part.start // BLOCK, data)
            if await asyncio.get_running_loop().run_in_executor(None, self._cache.store, *stored):
                return
        self._held[part] = data
        while sum(map(len, self._held.values())) > _HELD:
            self._held.popitem(last=False)

    async def put_from(self, file: int, name: str, start: int, data: bytes) -> None:
        """Keep a block of a file that is read from its start; without a cache, blocks are not what is asked for."""
        if self._cache is not None:
            await self.put(Part(file, start, start + len(data)), name, data)

    def fits(self, length: int) -> bool:
        """Say whether a file is worth being read to its end because all of it can be kept."""
        return self._cache is not None and length <= self._cache.limit

    def given(self, parts: Sequence[Part]) -> None:
        """Take note that parts were read: ranges that were asked for exactly are not read again soon."""
        if self._cache is None:
            for part in parts:
                self._held.pop(part, None)
