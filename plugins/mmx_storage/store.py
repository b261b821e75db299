"""What a kind of store must do: one request at a time, without trying again."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What is known of a remote file before it is read."""

    size: int
    """Bytes."""
    tag: str
    """A name and a value that differ when the content does, such as an ETag; empty if the server has none."""


class RangeIgnoredError(Exception):
    """The server gives whole files only."""


class Store(ABC):
    """Makes requests, on the loop of the background. They raise whatever they fail with; the caller sets the deadline."""

    @abstractmethod
    async def facts(self, url: str, clock: asyncio.Timeout) -> Facts:
        """Return size and tag of a file.

        Raises:
            DataError: the server does not tell the size, or a package is missing.
        """

    @abstractmethod
    async def read(self, url: str, start: int, end: int, facts: Facts, clock: asyncio.Timeout) -> bytes:
        """Return the bytes from start to end, all of them.

        The deadline is moved on while bytes come, where that can be seen.

        Raises:
            RangeIgnoredError: see ``whole``.
        """

    def whole(self, url: str, piece: int, facts: Facts, clock: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Yield all of a file, from its start, in pieces; for servers that ignore ranges.

        Args:
            url: the file.
            piece: bytes of a piece, but for the last.
            facts: what is known of the file.
            clock: the request's deadline, moved on after each piece, which may take as long as the first.
        """
        raise RangeIgnoredError

    def renew(self) -> None:  # noqa: B027 - most hold no credentials
        """Forget credentials, so that the next request looks for them afresh."""
