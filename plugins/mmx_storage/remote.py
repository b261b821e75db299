"""Reading remote files: in blocks that are kept, or in exact ranges; each of them asked for once, many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, final
from uuid import uuid4

from mmx.config import RemoteTable
from mmx_storage.background import background, fetched
from mmx_storage.cache import BLOCK, Cache, named
from mmx_storage.kept import Kept, Part
from mmx_storage.retrying import Persistence
from mmx_storage.store import Facts, RangeIgnoredError, Store
from mmx_storage.urls import scheme_of

_HERE: Final = uuid4().hex
"""Stands for the content of files that have neither ETag nor time: what is kept of them is for this process alone."""


@final
class Remote:
    """Reads files at URLs. What it keeps track of is touched on the background's loop alone, so that it needs no locks."""

    def __init__(self, urls: Sequence[str], remote: RemoteTable) -> None:
        self._urls = urls
        self._kept = Kept(Cache.of(remote))
        self._background = background()
        self._persistence = Persistence(remote, self._background.slots)
        self._facts: dict[int, Facts] = {}
        self._names: dict[int, str] = {}
        self._asked: dict[int, asyncio.Task[Facts]] = {}
        self._underway: dict[Part, asyncio.Task[bytes]] = {}
        self._whole: dict[int, asyncio.Lock] = {}

    @property
    def retries(self) -> int:
        """Requests that were made again."""
        return self._persistence.retries

    def read(self, file: int, offset: int, size: int) -> bytes:
        """Return bytes of a file, fewer only at its end.

        Raises:
            DataError: they cannot be had.
        """
        kept = self._read_kept(file, offset, size)
        if kept is not None:
            return kept
        return fetched(self._read(file, offset, size), self._background)

    def size(self, file: int) -> int:
        """Return a file's size.

        Raises:
            DataError: it cannot be had.
        """
        facts = self._facts.get(file)
        if facts is None:
            facts = fetched(self._look(file), self._background)
        return facts.size

    def ahead(self, spans: Iterable[tuple[int, int, int]]) -> None:
        """Begin to fetch what will be read; what fails is asked for again when it is read."""
        asyncio.run_coroutine_threadsafe(self._ahead(list(spans)), self._background.loop)

    def _read_kept(self, file: int, offset: int, size: int) -> bytes | None:
        """Return what is on disk, without going to the other thread; None if any of it is not."""
        facts, found = self._facts.get(file), list[bytes]()
        if facts is None:
            return None
        for part in self._kept.parts(file, offset, size, facts.size):
            data = self._kept.read(part, self._names[file], offset, size)
            if data is None:
                return None
            found.append(data)
        return b"".join(found)

    async def _ahead(self, spans: Sequence[tuple[int, int, int]]) -> None:
        await asyncio.gather(*(self._fetch_ahead(*span) for span in spans), return_exceptions=True)

    async def _fetch_ahead(self, file: int, offset: int, size: int) -> None:
        facts = await self._look(file)
        for part in self._kept.parts(file, offset, size, facts.size):
            if not self._kept.has(part, self._names[file]):
                self._bring(part)

    async def _read(self, file: int, offset: int, size: int) -> bytes:
        facts = await self._look(file)
        parts = list(self._kept.parts(file, offset, size, facts.size))
        found = await asyncio.gather(*(asyncio.shield(self._bring(part)) for part in parts))
        self._kept.given(parts)
        return b"".join(part.of(data, offset, size) for part, data in zip(parts, found, strict=True))

    async def _look(self, file: int) -> Facts:
        """Return size and tag of a file, asked for once at a time."""
        task = self._asked.get(file)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._asked[file] = asyncio.get_running_loop().create_task(self._ask(file))
        return await asyncio.shield(task)

    async def _ask(self, file: int) -> Facts:
        url, store = self._urls[file], self._store(file)
        facts = await self._persistence.get(url, store, lambda clock: store.facts(url, clock))
        self._names[file] = named(url, facts.size, facts.tag or _HERE)
        self._facts[file] = facts
        return facts

    def _bring(self, part: Part) -> asyncio.Task[bytes]:
        """Return the task that fetches a part: the one that is under way, if there is one."""
        task = self._underway.get(part)
        if task is None:
            task = self._underway[part] = asyncio.get_running_loop().create_task(self._fetch(part))
            task.add_done_callback(lambda _: self._underway.pop(part))
        return task

    async def _fetch(self, part: Part) -> bytes:
        file, name = part.file, self._names[part.file]
        found = await self._kept.get(part, name)
        if found is not None:
            return found
        if file not in self._whole:
            url, store, facts = self._urls[file], self._store(file), self._facts[file]
            try:
                data = await self._persistence.get(
                    url, store, lambda clock: store.read(url, part.start, part.end, facts, clock)
                )
            except RangeIgnoredError:
                self._whole.setdefault(file, asyncio.Lock())
            else:
                await self._kept.put(part, name, data)
                return data
        async with self._whole[file]:
            found = await self._kept.get(part, name)  # by whoever had the lock before
            return await self._fetch_whole(part) if found is None else found

    async def _fetch_whole(self, wanted: Part) -> bytes:
        """Read a file from its start, since its server does nothing else, and keep all its blocks."""
        file, name = wanted.file, self._names[wanted.file]
        url, store, facts = self._urls[file], self._store(file), self._facts[file]

        async def request(clock: asyncio.Timeout) -> bytes:
            start, found = 0, bytearray()
            async for data in store.whole(url, BLOCK, facts, clock):
                found += Part(file, start, start + len(data)).of(data, wanted.start, wanted.end - wanted.start)
                await self._kept.put_from(file, name, start, data)
                start += len(data)
                if start >= wanted.end and not self._kept.fits(facts.size):
                    break
            return bytes(found)

        return await self._persistence.get(url, store, request)

    def _store(self, file: int) -> Store:
        scheme = scheme_of(self._urls[file])
        stores = self._background.stores
        if scheme not in stores:
            stores[scheme] = _new_store(scheme)
        return stores[scheme]


def _new_store(scheme: str) -> Store:
    if scheme in ("http", "https"):
        from mmx_storage.http import Http

        return Http()
    from mmx_storage.systems import Systems

    return Systems(scheme)
