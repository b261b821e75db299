"""Fetch pictures before they are asked for, a bounded number at a time."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from mmx.config import RemoteTable
from mmx_pairs.local import LARGEST
from mmx_storage.files import fetch
from mmx_storage.urls import scheme_of

_THREADS: Final = 16
_WAITING: Final = 512
"""Pictures that are fetched, or wait to be, at most."""
_HELD: Final = 2**28
"""Bytes that are held before another picture is begun, at most."""


@dataclass
class _Fetch:
    url: str
    begun: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    data: bytes = b""
    error: Exception | None = None
    wanted: bool = True


@final
class Ahead:
    """Fetches URLs in threads of its own. They are neither pickled nor shared with a forked process."""

    def __init__(self, remote: RemoteTable, skip: bool = False) -> None:
        """Take how URLs are read, and whether one that is dead costs its sample alone, so that it need not be certain."""
        self.remote, self.skip = remote, skip
        self._reset()

    def __getstate__(self) -> tuple[RemoteTable, bool]:
        return self.remote, self.skip

    def __setstate__(self, state: tuple[RemoteTable, bool]) -> None:
        self.__init__(*state)

    def begin(self, urls: Iterable[str]) -> None:
        """Take note of URLs to fetch; those beyond the bound are fetched when they are asked for."""
        self._own()
        with self._change:
            for url in urls:
                if url not in self._fetches and self._room():
                    self._fetches[url] = _Fetch(url)
            self._start()
            self._change.notify_all()

    def take(self, url: str) -> bytes:
        """Return what is at a URL, and forget it.

        Raises:
            LargeError: it is too large.
            MissingError: there is nothing.
            DataError: it cannot be fetched.
        """
        self._own()
        with self._change:
            fetch = self._fetches.pop(url, None)
            begun = fetch is not None and fetch.begun
        if fetch is None or not begun:  # here, not behind all that waits
            return _get(url, self.remote, self.skip)
        fetch.done.wait()
        with self._change:
            self._held -= len(fetch.data)
            self._change.notify_all()
        if fetch.error is not None:
            raise fetch.error
        return fetch.data

    def forget(self, url: str) -> None:
        """Let go of a URL that will not be asked for."""
        self._own()
        with self._change:
            fetch = self._fetches.pop(url, None)
            if fetch is not None:
                fetch.wanted = False
                self._held -= len(fetch.data) if fetch.done.is_set() else 0
                self._change.notify_all()

    def _own(self) -> None:
        if self._process != os.getpid():
            self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._change = threading.Condition()
        self._fetches: OrderedDict[str, _Fetch] = OrderedDict()
        self._threads = 0
        self._held = 0

    def _room(self) -> bool:
        """Make room for one more: what was begun longest ago and never asked for goes."""
        if len(self._fetches) < _WAITING:
            return True
        oldest = next(iter(self._fetches.values()))
        if not oldest.done.is_set():
            return False
        del self._fetches[oldest.url]
        self._held -= len(oldest.data)
        return True

    def _start(self) -> None:
        while self._threads < min(_THREADS, len(self._fetches)):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True, name="mmx-pictures").start()

    def _work(self) -> None:
        while True:
            fetch = self._next()
            try:
                fetch.data = _get(fetch.url, self.remote, self.skip)
            except Exception as error:  # it is raised where the picture is asked for
                fetch.error = error
            with self._change:
                self._held += len(fetch.data) if fetch.wanted else 0
                fetch.done.set()

    def _next(self) -> _Fetch:
        with self._change:
            while True:
                waiting = (fetch for fetch in self._fetches.values() if not fetch.begun)
                fetch = next(waiting, None) if self._held < _HELD else None
                if fetch is not None:
                    fetch.begun = True
                    return fetch
                self._change.wait()


def _get(url: str, remote: RemoteTable, skip: bool) -> bytes:
    if scheme_of(url) not in ("http", "https"):
        return fetch(url, remote, LARGEST)
    from mmx_storage import once

    return once.get(url, remote, LARGEST, skip)
