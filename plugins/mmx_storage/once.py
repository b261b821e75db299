"""All of a file of the web in one request, which needs no size, and asks for the bytes only if those kept are others."""

from __future__ import annotations

import asyncio
from typing import Final

from mmx.config import RemoteTable
from mmx_storage.background import Background, background, fetched
from mmx_storage.cache import Cache, named
from mmx_storage.failures import Failure, UnreachableError, is_unknown_host
from mmx_storage.http import Http
from mmx_storage.retrying import Persistence
from mmx_storage.urls import scheme_of

_SHARED: Final = 2
"""Hexadecimal digits that files of one folder of the cache share: one folder for each would be as large as they are."""


def get(url: str, remote: RemoteTable, most: int, unknown_host_is_final: bool) -> bytes:
    """Return all of a file.

    Args:
        url: where it is, http or https.
        remote: how it is asked for and where it is kept.
        most: bytes that it may have.
        unknown_host_is_final: whether a host that DNS does not know is not asked for again, though a network may be
            down for a while.

    Raises:
        LargeError: it has more bytes.
        DataError: it cannot be read.
    """
    cache, (name, block) = Cache.of(remote), _place(url)
    kept = None if cache is None else cache.all_of(name, block)
    before, _, data = (kept or b"").partition(b"\n")
    here = background()
    answer = fetched(_ask(url, remote, most, unknown_host_is_final, before.decode("ascii"), here), here)
    if answer is None:
        return data
    data, tag = answer
    if cache is not None and tag and len(data) <= cache.limit:
        cache.store(name, block, b"%b\n%b" % (tag.encode("ascii"), data))
    return data


def _place(url: str) -> tuple[str, int]:
    """Return the folder of the cache and the number in it of a file."""
    number = named(url)
    return named("at once", number[:_SHARED]), int(number, 16)


async def _ask(
    url: str, remote: RemoteTable, most: int, unknown_host_is_final: bool, tag: str, here: Background
) -> tuple[bytes, str] | None:
    scheme = scheme_of(url)
    store = here.stores.get(scheme)
    if not isinstance(store, Http):
        store = here.stores[scheme] = Http()
    web = store

    async def request(clock: asyncio.Timeout) -> tuple[bytes, str] | None:
        try:
            return await web.all_of(url, most, tag, clock)
        except OSError as error:
            if unknown_host_is_final and is_unknown_host(error):
                raise Failure(UnreachableError, "DNS does not know the host", final=True) from None
            raise

    return await Persistence(remote, here.slots).get(url, store, request)
