"""What can go wrong with one file, as five errors that ask for different things, and what one failed request was."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from time import time
from typing import Final, final

from mmx.errors import DataError


class MissingError(DataError):
    """There is no such file."""


class DeniedError(DataError):
    """Access was refused: no credentials, wrong ones, or expired ones."""


class UnavailableError(DataError):
    """The server was reached, and failed until patience ran out."""


class UnreachableError(DataError):
    """No server could be talked to: its name, the connection, or TLS."""


class ChangedError(DataError):
    """The file is not the one it was when it was first looked at."""


class LargeError(DataError):
    """The file has more bytes than are read."""


@final
class Failure(Exception):
    """One request that failed.

    Args:
        kind: what it would be called if nothing helped.
        reason: a few words, without any part of the URL.
        wait: seconds that the server asks to wait.
        final: whether it would fail in the same way again.
    """

    def __init__(self, kind: type[DataError], reason: str, wait: float = 0.0, final: bool = False) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.wait, self.final = kind, reason, wait, final


_GONE: Final = (404, 410)
_TRY_AGAIN: Final = (408, 425, 429)
_NO_WAY: Final = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
_UNCONNECTED: Final = ("ClientConnectorError", "EndpointConnectionError", "ConnectError", "ConnectTimeoutError")
_CREDENTIALS: Final = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "RefreshError")
_CUT: Final = ("ClientPayloadError", "IncompleteReadError", "IncompleteRead", "RemoteProtocolError")
_GARBLED: Final = ("BadHttpMessage", "InvalidHeader", "BadStatusLine")
"""What aiohttp found wrong in an answer that is not HTTP; it gives it the status 400, which no server sent."""
_NAMELESS: Final = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_HOPELESS: Final = (TypeError, ValueError, LookupError, AttributeError, NotImplementedError)


def of_status(status: int, retry_after: str | None = None) -> Failure:
    """Return what an HTTP status other than success means."""
    reason = f"HTTP {status}"
    if status in _GONE:
        return Failure(MissingError, reason, final=True)
    if status in _TRY_AGAIN or status >= 500:
        return Failure(UnavailableError, reason, _seconds(retry_after))
    return Failure(DeniedError, reason)


def of_error(error: Exception) -> Failure:
    """Return what an exception of aiohttp or of an fsspec file system means.

    The status that the server gave is looked for first, in the whole chain: fsspec calls a 503 FileNotFoundError.
    """
    chain = list(_chain(error))
    names = [name for link in chain for name in _names(link)]
    if _any(_CUT, names) or _any(_GARBLED, names):
        return Failure(UnavailableError, "short body" if _any(_CUT, names) else "a garbled answer")
    for link in chain:
        status = _status(link)
        if status is not None and status >= 400 and not _is_expiry(link):
            return of_status(status)
    for link in chain:
        failure = _of_link(link)
        if failure is not None:
            return failure
    return Failure(UnavailableError, type(error).__name__, final=isinstance(error, _HOPELESS))


def is_unknown_host(error: Exception) -> bool:
    """Say whether DNS answered that there is no such host, as it also does where a machine's own network is down."""
    return any(isinstance(link, socket.gaierror) and link.errno in _NAMELESS for link in _chain(error))


def _is_of_host(error: BaseException) -> bool:
    """Say whether a host has a name that DNS cannot be asked for."""
    return type(error) is UnicodeError or getattr(error, "encoding", "") == "idna"


def _of_link(error: BaseException) -> Failure | None:
    names = _names(error)
    if "RedirectClientError" in names or "TooManyRedirects" in names:
        return Failure(UnavailableError, "it redirects in a loop, or to what is no URL", final=True)
    if "InvalidURL" in names or _is_of_host(error):
        return Failure(MissingError, "that is no valid URL", final=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(UnreachableError, "its TLS certificate is not trusted", final=True)
    if isinstance(error, ssl.SSLError):
        return Failure(UnreachableError, "TLS fails")
    if isinstance(error, socket.gaierror):
        return Failure(UnreachableError, "DNS does not know the host")
    if isinstance(error, TimeoutError):
        return Failure(UnavailableError, "no answer in time")
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return Failure(MissingError, "no such file", final=True)
    if isinstance(error, PermissionError) or _is_expiry(error) or _any(_CREDENTIALS, names):
        return Failure(DeniedError, "no valid credentials")
    if (isinstance(error, OSError) and error.errno in _NO_WAY) or _any(_UNCONNECTED, names):
        return None if error.__cause__ is not None else Failure(UnreachableError, "connection refused")
    if isinstance(error, ConnectionError) or "ServerDisconnectedError" in names:
        return Failure(UnavailableError, "connection reset")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _names(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def _any(wanted: tuple[str, ...], names: list[str]) -> bool:
    return any(name in wanted for name in names)


def _status(error: object) -> int | None:
    """Return the HTTP status in an error of aiohttp, gcsfs, Azure, httpx or botocore."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        return _number(answer.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    # gcsfs calls it a code, which is something else in others: aiohttp has code 400 for a body that was cut.
    named = "code" if type(error).__name__ == "HttpError" else "status"
    for holder, name in ((error, named), (error, "status_code"), (answer, "status_code")):
        found = _number(getattr(holder, name, None))
        if found is not None:
            return found
    return None


def _number(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None


def _is_expiry(error: object) -> bool:
    """Say whether S3 says that a token has expired, which it does with status 400."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return code in ("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed")


def _seconds(retry_after: str | None) -> float:
    """Return the seconds of a Retry-After header, which has seconds or a date; 0 if it cannot be understood."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after) if retry_after.isdigit() else _until(retry_after))
    except (ValueError, OverflowError):
        return 0.0


def _until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time()


def of_local(error: OSError, name: str) -> DataError:
    """Return what an error of this machine's file system means."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        looked = "" if os.path.isabs(name) else f" (looked in {os.getcwd()})"
        return MissingError(f"{name} does not exist{looked}")
    if isinstance(error, PermissionError):
        return DeniedError(f"{name} cannot be read: {error.strerror}; check its permissions")
    return DataError(f"{name} cannot be read: {error.strerror or type(error).__name__}")
