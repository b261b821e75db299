"""Requests to web servers."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from mmx.errors import DataError, MissingPackageError

try:
    import aiohttp
except ImportError:
    raise MissingPackageError(
        "reading http:// and https:// needs the package aiohttp, which is not installed: pip install 'mmx[http]'"
    ) from None

from mmx_storage.failures import ChangedError, Failure, LargeError, UnavailableError, UnreachableError, of_status
from mmx_storage.store import Facts, RangeIgnoredError, Store
from mmx_storage.urls import shown

_PLAIN: Final = {"Accept-Encoding": "identity"}
_TAGS: Final = ("ETag", "Last-Modified")
_CONDITIONS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_NO_HEAD: Final = (400, 401, 403, 405, 501)
"""Answers to HEAD of servers that would answer to GET; signed URLs are often for one method only."""
_STEADY: Final = 2**18
"""Bytes of a body after which its deadline is moved on, so that a slow link that many requests share is no outage."""
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")


@final
class Http(Store):
    """Requests of http and https, on connections that are kept open. Cookies are neither kept nor sent."""

    def __init__(self) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_check_redirect)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trust_env=True,
            auto_decompress=False,
            trace_configs=[tracing],
        )

    @override
    async def facts(self, url: str, clock: asyncio.Timeout) -> Facts:
        async with self._session.head(url, headers=_PLAIN, allow_redirects=True) as answer:
            # Some servers say 0 of what they would send in chunks.
            if answer.status == 200 and answer.content_length:
                return Facts(answer.content_length, _tag(answer))
            if answer.status not in (200, *_NO_HEAD):
                raise _failure(answer)
        async with self._session.get(url, headers={**_PLAIN, "Range": "bytes=0-0"}) as answer:
            size = _total(answer)
            if answer.status == 416 and size == 0:
                return Facts(0, _tag(answer))
            if answer.status not in (200, 206):
                raise _failure(answer)
            size = size if answer.status == 206 else answer.content_length
            answer.close()  # the body may be the whole file
            if size is None:
                raise DataError(
                    f"{shown(url)}: the server does not tell its size (no Content-Length); "
                    "download it, or use a server that does"
                )
            return Facts(size, _tag(answer))

    @override
    async def read(self, url: str, start: int, end: int, facts: Facts, clock: asyncio.Timeout) -> bytes:
        limit = _left(clock)
        headers = {**_PLAIN, "Range": f"bytes={start}-{end - 1}"}
        async with self._session.get(url, headers=headers) as answer:
            _check(answer, facts)
            if answer.status == 200 and (start, end) != (0, facts.size):
                answer.close()
                raise RangeIgnoredError
            _check_range(answer, start, end)
            data = b"".join([part async for part in _parts(answer, end - start, _STEADY, clock, limit)])
            if await answer.content.read(1):
                answer.close()
                raise Failure(UnavailableError, "more bytes than asked for")
            return data

    @override
    async def whole(self, url: str, piece: int, facts: Facts, clock: asyncio.Timeout) -> AsyncIterator[bytes]:
        limit = _left(clock)
        async with self._session.get(url, headers=_PLAIN) as answer:
            _check(answer, facts)
            async for part in _parts(answer, facts.size, piece, clock, limit):
                yield part

    async def all_of(self, url: str, most: int, tag: str, clock: asyncio.Timeout) -> tuple[bytes, str] | None:
        """Return all of a file and its tag, empty if it must not be kept; None if the tag is still that of what is kept.

        Args:
            url: the file.
            most: bytes that it may have.
            tag: that of what is kept, empty if nothing is.
            clock: the request's deadline, moved on while bytes come.

        Raises:
            LargeError: it has more bytes.
        """
        limit, (name, _, value) = _left(clock), tag.partition(" ")
        headers = {**_PLAIN, _CONDITIONS[name]: value} if tag else _PLAIN
        async with self._session.get(url, headers=headers) as answer:
            if answer.status == 304 and tag:
                return None
            if answer.status != 200:
                raise _failure(answer)
            data = await _bounded(answer, most, clock, limit)
            if data is None:
                answer.close()
                raise LargeError(f"{shown(url)} has more than {most} bytes")
            ends = answer.content_length is not None or "Transfer-Encoding" in answer.headers
            tag = _tag(answer)
            return data, tag if ends and tag.isascii() else ""


def _left(clock: asyncio.Timeout) -> float:
    """Return the seconds until a deadline."""
    return (clock.when() or math.inf) - asyncio.get_running_loop().time()


async def _parts(
    answer: aiohttp.ClientResponse, size: int, piece: int, clock: asyncio.Timeout, limit: float
) -> AsyncIterator[bytes]:
    """Yield so many bytes of a body in pieces, each of which may take ``limit`` seconds."""
    for start in range(0, size, piece):
        data = await answer.content.readexactly(min(piece, size - start))
        clock.reschedule(asyncio.get_running_loop().time() + limit)
        yield data


async def _bounded(answer: aiohttp.ClientResponse, most: int, clock: asyncio.Timeout, limit: float) -> bytes | None:
    """Return a body, whose length need not be known, None if it has more bytes than ``most``."""
    data = bytearray()
    while max(len(data), answer.content_length or 0) <= most:
        try:
            data += await answer.content.readexactly(_STEADY)
        except asyncio.IncompleteReadError as end:  # of the file: aiohttp calls a body that was cut something else
            data += end.partial
            return bytes(data) if len(data) <= most else None
        clock.reschedule(asyncio.get_running_loop().time() + limit)
    return None


def _check(answer: aiohttp.ClientResponse, facts: Facts) -> None:
    """Check that an answer is a success, and of the same file as before."""
    if answer.status == 416:
        raise Failure(ChangedError, "the end of it is not there any more", final=True)
    if answer.status not in (200, 206):
        raise _failure(answer)
    name, _, before = facts.tag.partition(" ")
    now = answer.headers.get(name) or before
    if now != before:
        raise Failure(ChangedError, f"its {name} was {before} and is {now}", final=True)
    size = answer.content_length if answer.status == 200 else _total(answer)
    if size is not None and size != facts.size:
        raise Failure(ChangedError, f"its size was {facts.size} bytes and is {size}", final=True)


def _check_range(answer: aiohttp.ClientResponse, start: int, end: int) -> None:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status == 206 and found and found[1] and (int(found[1]), int(found[2]) + 1) != (start, end):
        raise Failure(UnavailableError, "bytes of another range")
    if answer.content_length is not None and answer.content_length != end - start:
        raise Failure(UnavailableError, "short body" if answer.content_length < end - start else "too long a body")


def _failure(answer: aiohttp.ClientResponse) -> Failure:
    return of_status(answer.status, answer.headers.get("Retry-After"))


def _tag(answer: aiohttp.ClientResponse) -> str:
    return next((f"{name} {answer.headers[name]}" for name in _TAGS if answer.headers.get(name)), "")


def _total(answer: aiohttp.ClientResponse) -> int | None:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(found[3]) if found else None


async def _check_redirect(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    """Refuse to leave the web, or to go from https to http. Credentials for another host are dropped by aiohttp."""
    answer = params.response
    target = urlsplit(answer.headers.get("Location", "")).scheme.lower()
    if target not in ("", "https", answer.url.scheme):
        answer.close()
        raise Failure(UnreachableError, f"it redirects to {target}://, which is refused", final=True)
