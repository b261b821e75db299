"""Requests to object stores, by their fsspec file systems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final, cast, final

from fsspec import AbstractFileSystem, get_filesystem_class
from fsspec.asyn import AsyncFileSystem, sync
from fsspec.config import conf
from typing_extensions import override

from mmx.errors import MissingPackageError
from mmx_storage.background import new_loop
from mmx_storage.failures import ChangedError, Failure, MissingError, UnavailableError
from mmx_storage.store import Facts, Store
from mmx_storage.urls import shown

_TAGS: Final = ("ETag", "etag", "generation", "md5Hash", "blob_id", "LastModified", "last_modified", "mtime", "updated")
_RECHECK: Final = 30.0
"""Seconds after which a file that is read is looked at again: fsspec gives no tag with the bytes."""


@final
class Systems(Store):
    """Requests of one scheme. Calls run in threads, since some packages look for credentials without asyncio."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._built: dict[str, AbstractFileSystem] = {}
        self._looked: dict[str, float] = {}
        self._loop = new_loop()

    @override
    async def facts(self, url: str, clock: asyncio.Timeout) -> Facts:
        info = cast(Mapping[str, Any], await self._call(url, "info", clock))
        size = info.get("size")
        if info.get("type") == "directory":
            raise MissingError(f"{shown(url)} is a folder; name the files in it")
        if not isinstance(size, int):
            raise UnavailableError(f"{shown(url)}: the store does not tell its size")
        self._looked[url] = monotonic()
        return Facts(size, next((f"{name} {info[name]}" for name in _TAGS if info.get(name)), ""))

    @override
    async def read(self, url: str, start: int, end: int, facts: Facts, clock: asyncio.Timeout) -> bytes:
        data = cast(bytes, await self._call(url, "cat_file", clock, start=start, end=end))
        whole = len(data) == end - start
        if not whole or monotonic() - self._looked.get(url, 0.0) > _RECHECK:
            await asyncio.get_running_loop().run_in_executor(None, self._forget, url)
            if await self.facts(url, clock) != facts:
                raise Failure(ChangedError, "its size, ETag or time is not what it was", final=True)
        if not whole:
            raise Failure(UnavailableError, "short body" if len(data) < end - start else "too long a body")
        return data

    @override
    def renew(self) -> None:
        self._built = {}

    async def _call(self, url: str, method: str, clock: asyncio.Timeout, **options: int) -> object:
        loop = asyncio.get_running_loop()
        left = max(0.01, (clock.when() or loop.time()) - loop.time())
        return await loop.run_in_executor(None, partial(self._run, url, method, left, options))

    def _run(self, url: str, method: str, limit: float, options: Mapping[str, int]) -> object:
        system, path = self._system(url)
        if isinstance(system, AsyncFileSystem):  # its coroutine is stopped at the deadline, too
            return sync(
                self._loop, cast(Callable[..., Any], getattr(system, f"_{method}")), path, timeout=limit, **options
            )
        return cast(Callable[..., object], getattr(system, method))(path, **options)

    def _forget(self, url: str) -> None:
        self._system(url)[0].invalidate_cache()

    def _system(self, url: str) -> tuple[AbstractFileSystem, str]:
        try:
            kind = cast(type[AbstractFileSystem], get_filesystem_class(self._scheme))
        except ImportError:
            raise MissingPackageError(
                f"{shown(url)}: reading {self._scheme}:// needs a package that is not installed: "
                f"pip install 'mmx[{self._scheme}]'"
            ) from None
        options = cast(dict[str, Any], kind._get_kwargs_from_urls(url))
        built = self._built  # without a lock: building may wait for credentials, and another thread for nothing
        system = built.get(repr(options))
        if system is None:
            system = built.setdefault(repr(options), self._build(kind, options))
        return system, cast(str, kind._strip_protocol(url))

    def _build(self, kind: type[AbstractFileSystem], options: dict[str, Any]) -> AbstractFileSystem:
        if issubclass(kind, AsyncFileSystem):
            options = {**options, "loop": self._loop}
        if self._scheme == "s3":  # trying again is done here, where it is counted and draws no global random numbers
            config = {**conf.get("s3", {}).get("config_kwargs", {}), "retries": {"total_max_attempts": 1}}
            options = {**options, "config_kwargs": config}
        system = kind(skip_instance_cache=True, use_listings_cache=False, **options)
        if hasattr(system, "retries"):
            setattr(system, "retries", 1)  # noqa: B010 - not an attribute of every file system
        return system
