"""Making requests again: until they succeed, cannot succeed, or patience runs out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import SystemRandom
from time import monotonic
from typing import Final, TypeVar, final

from mmx.config import RemoteTable
from mmx.errors import DataError, MmxError
from mmx_storage.failures import (
    ChangedError,
    DeniedError,
    Failure,
    MissingError,
    UnavailableError,
    UnreachableError,
    of_error,
)
from mmx_storage.store import RangeIgnoredError, Store
from mmx_storage.urls import shown

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 30.0
_LAST_REQUEST: Final = 5.0
"""Seconds that a request made when patience has just run out may still take."""
_PATIENCE: Final = "or raise data.train.remote.patience"
_ADVICE: Final[dict[type[DataError], str]] = {
    MissingError: "check the URL",
    DeniedError: "check or renew the credentials, and whether they allow to read it",
    UnavailableError: f"the server or the network fails: try again later, {_PATIENCE}",
    UnreachableError: f"check the address and the network, {_PATIENCE}",
    ChangedError: "data must not change while it is read: start again with what is there now",
}
_RANDOM: Final = SystemRandom()
T = TypeVar("T")


@final
class Persistence:
    """Makes the requests of one reader, so many at once as the process may, and counts those made again."""

    def __init__(self, remote: RemoteTable, slots: asyncio.Semaphore) -> None:
        self._remote = remote
        self._slots = slots
        self.retries = 0

    async def get(self, url: str, store: Store, request: Callable[[asyncio.Timeout], Awaitable[T]]) -> T:
        """Return what a request gives.

        Raises:
            DataError: it failed until patience ran out, or in a way that trying again does not change.
        """
        attempts = _Attempts(url, self._remote)
        while True:
            try:
                async with self._slots, asyncio.timeout(attempts.limit()) as clock:
                    return await request(clock)
            except (MmxError, RangeIgnoredError):
                raise
            except Exception as error:
                failure = error if isinstance(error, Failure) else of_error(error)
            wait = attempts.wait_after(failure)
            if failure.kind is DeniedError:
                store.renew()
            await asyncio.sleep(wait)
            self.retries += 1


@final
class _Attempts:
    """The failures of one request so far."""

    def __init__(self, url: str, remote: RemoteTable) -> None:
        self._url, self._remote = url, remote
        self._reasons = Counter[str]()
        self._since: float | None = None
        self._denied = 0

    def limit(self) -> float:
        """Return the seconds that the next attempt may take."""
        return min(self._remote.timeout, max(self._left(), _LAST_REQUEST))

    def wait_after(self, failure: Failure) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            DataError: there is to be none.
        """
        self._since = monotonic() if self._since is None else self._since
        self._reasons[failure.reason] += 1
        self._denied += failure.kind is DeniedError
        if failure.final or self._denied > 1 or self._left() <= 0:
            raise self._error(failure) from None
        steps = self._reasons.total() - 1
        longest = min(_LONGEST_WAIT, self._remote.timeout)  # so that a hang costs at most twice the timeout
        wait = min(longest, _FIRST_WAIT * 2 ** min(steps, 16)) * _RANDOM.uniform(0.5, 1)
        return min(max(wait, failure.wait), self._left())

    def _left(self) -> float:
        passed = 0.0 if self._since is None else monotonic() - self._since
        return self._remote.patience - passed

    def _error(self, failure: Failure) -> DataError:
        name = shown(self._url)
        if failure.kind is MissingError:
            return MissingError(f"{name} does not exist ({failure.reason}); {_ADVICE[MissingError]}")
        if failure.kind is ChangedError:
            return ChangedError(f"{name} was changed: {failure.reason}; {_ADVICE[ChangedError]}")
        passed = self._remote.patience - self._left()
        what = ", ".join(f"{reason} ({count}x)" for reason, count in self._reasons.most_common())
        return failure.kind(f"{name} cannot be read: {what} in {passed:.1f} s; {_ADVICE[failure.kind]}")
