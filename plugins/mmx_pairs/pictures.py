"""Pictures by what a table says of them: bytes, paths within a folder, or URLs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final, cast, final
from urllib.parse import unquote, urlsplit

from mmx.config import RemoteTable
from mmx.parts.dataset import BadSampleError
from mmx_pairs.ahead import Ahead
from mmx_pairs.listing import is_local, local_path
from mmx_pairs.local import LARGEST, inside, read_inside
from mmx_storage.failures import (
    ChangedError,
    DeniedError,
    LargeError,
    MissingError,
    UnavailableError,
    UnreachableError,
)
from mmx_storage.urls import SCHEMES, is_malformed, shown

_DEAD: Final = (DeniedError, UnavailableError, UnreachableError, ChangedError)
_BAD: Final = (MissingError, LargeError)
_SHOWN: Final = 200
"""Characters of a path or URL."""
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


@final
class Pictures:
    """Reads pictures. Tables come from anywhere, so paths stay inside one folder, and URLs have schemes that only read."""

    def __init__(self, root: str, remote: RemoteTable, cache: str | None = None, skip: bool | None = None) -> None:
        """Take the folder or URL that paths are relative to.

        Args:
            root: the folder or URL.
            remote: how URLs are read.
            cache: a folder besides, whose absolute paths are read.
            skip: whether a URL that refuses, does not answer or changes costs its sample alone; None where that is no
                option.
        """
        self.local = is_local(root)
        self.root = local_path(root) if self.local else root.rstrip("/")
        self._cache = None if cache is None else local_path(cache)
        self._skip = skip
        self._ahead = Ahead(remote, bool(skip))
        self._bad = (*_BAD, *_DEAD) if skip else _BAD

    def read(self, cell: object, key: str) -> bytes:
        """Return the picture file that a cell of a table holds or names.

        Raises:
            BadSampleError: it names none, or one that is not there or must not be read.
            DataError: the disk or the network fails.
        """
        if isinstance(cell, Mapping):
            cell = _held(cast(Mapping[str, object], cell))
        if isinstance(cell, bytes):
            return _bounded(cell, key, "picture", LARGEST)
        if cell is None or cell == "":
            raise BadSampleError(f"{key}: has no picture")
        if not isinstance(cell, str):
            raise BadSampleError(f"{key}: the picture is neither bytes nor a path or URL, but a {type(cell).__name__}")
        why = _refusal(cell)
        if why:
            raise BadSampleError(f"{key}: the picture {brief(cell)} {why}")
        if _SCHEME.match(cell) and not is_local(cell):
            return self._fetched(cell, key, "picture", LARGEST)
        return self.file(self._path(cell, key), key)

    def file(self, name: str, key: str, what: str = "picture", largest: int = LARGEST) -> bytes:
        """Return a file by its path within the folder.

        Raises:
            BadSampleError: it is not there, outside the folder, or too large.
            DataError: the disk or the network fails.
        """
        if not self.local:
            return self._fetched(f"{self.root}/{name}", key, what, largest)
        folder = self._cache if self._cache is not None and inside(self._cache, name) else self.root
        return read_inside(folder, name, key, what, largest)

    def begin(self, cells: Iterable[object]) -> None:
        """Begin to fetch those pictures that are at URLs; reading them later is quicker."""
        self._ahead.begin(url for cell in cells if (url := self._url(cell)) is not None)

    def forget(self, cell: object) -> None:
        """Let go of a picture that was begun and will not be read."""
        url = self._url(cell)
        if url is not None:
            self._ahead.forget(url)

    def _url(self, cell: object) -> str | None:
        if not isinstance(cell, str) or not cell or _refusal(cell):
            return None
        if _SCHEME.match(cell):
            return None if is_local(cell) else cell
        return None if self.local or _leaves(cell) else f"{self.root}/{cell}"

    def _path(self, cell: str, key: str) -> str:
        """Return the path within the folder that a path or file:// URL of a table means."""
        is_url = bool(_SCHEME.match(cell))
        if self.local:
            return unquote(urlsplit(cell).path) if is_url else cell
        if is_url or _leaves(cell):
            raise BadSampleError(f"{key}: the picture {brief(cell)} lies out of the folder {shown(self.root)}")
        return cell

    def _fetched(self, url: str, key: str, what: str, largest: int) -> bytes:
        try:
            data = self._ahead.take(url)
        except self._bad as error:
            raise BadSampleError(f"{key}: the {what} cannot be had: {error}") from None
        except _DEAD as error:
            if self._skip is None:
                raise
            raise type(error)(f'{error}; with dead_links = "skip" it is a bad sample') from None
        return _bounded(data, key, what, largest)


def brief(cell: str) -> str:
    """Return a path or URL for messages; one may hold a whole picture (``data:``)."""
    text = shown(cell)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def _held(cell: Mapping[str, object]) -> object:
    """Return the bytes of a struct {bytes, path}, or its path if it has none."""
    data = cell.get("bytes")
    return cell.get("path") if data is None else data


def _bounded(data: bytes, key: str, what: str, largest: int) -> bytes:
    if len(data) > largest:
        raise BadSampleError(f"{key}: the {what} has {len(data)} bytes, more than {largest}")
    return data


def _refusal(cell: str) -> str:
    """Say why a path or URL of a table is not read; empty if it is."""
    found = _SCHEME.match(cell)
    if found is None:
        return ""
    if "::" in cell or found[1].lower() not in SCHEMES or not cell.startswith("//", found.end()):
        return f"is not read: expected a path, or a URL that starts with {', '.join(f'{name}://' for name in SCHEMES)}"
    return "is no valid URL" if is_malformed(cell) else ""


def _leaves(path: str) -> bool:
    """Say whether a path at a URL leads out of its folder."""
    normal = posixpath.normpath(path)
    return normal.startswith(("../", "/")) or normal in ("..", ".")
