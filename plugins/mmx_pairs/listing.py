"""The files of a folder and its subfolders, in an order that does not depend on the file system."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any, cast

from mmx.errors import DataError
from mmx_pairs.local import inside
from mmx_storage.urls import shown


def is_local(folder: str) -> bool:
    """Say whether a path or URL is one of this machine's file system."""
    return "://" not in folder or folder.lower().startswith("file://")


def local_path(folder: str) -> str:
    """Return a local folder's path without links."""
    path = folder[len("file://") :] if folder.lower().startswith("file://") else folder
    return os.path.realpath(path)


def files_of(folder: str) -> Iterator[tuple[str, bool]]:
    """Yield the files of a local folder, relative to it, and whether each can be read at all.

    What cannot be read is a link to a folder outside. Links to folders inside are passed over: their files are found
    where they are. Names that start with a dot are hidden files and are passed over too.

    Args:
        folder: the folder, itself without links.

    Raises:
        DataError: a folder cannot be listed.
    """
    waiting = [""]
    while waiting:
        below = waiting.pop()
        subfolders: list[str] = []
        for entry in _entries(folder, below):
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(f"{name}/")
            elif not os.path.isdir(entry.path):
                yield name, True
            elif not inside(folder, os.path.realpath(entry.path)):
                yield name, False
        waiting += reversed(subfolders)


def objects_of(url: str, patience: float) -> Iterator[str]:
    """Yield the files at a URL, relative to it.

    Args:
        url: the folder.
        patience: seconds that listing it may take.

    Raises:
        DataError: they cannot be listed, or not in that time.
    """
    from mmx_storage.background import background, fetched

    try:
        base, found = fetched(_listed(url, patience), background())
    except _TooSlowError:
        raise DataError(
            f"folder {shown(url)} cannot be listed in {patience:g} s: check the address and the network, or raise "
            "data.train.remote.patience"
        ) from None
    except Exception as error:  # each file system raises kinds of its own
        reason = f"{type(error).__name__}: {error}".replace(url, shown(url))
        raise DataError(f"folder {shown(url)} cannot be listed: {reason}") from None
    base = base.rstrip("/") + "/"
    for path in sorted(str(one) for one in found):
        name = path.removeprefix(base)
        if not any(part.startswith(".") for part in name.split("/")):
            yield name


class _TooSlowError(Exception):
    """A folder was not listed in time. File systems may have raised a TimeoutError of their own."""


async def _listed(url: str, patience: float) -> tuple[str, list[Any]]:
    """Return what ``_found`` does, from a thread that no process waits for: it may hang for ever."""
    task = asyncio.get_running_loop().run_in_executor(None, _found, url)
    done, _ = await asyncio.wait([task], timeout=patience)
    if not done:
        raise _TooSlowError
    return task.result()


def _found(url: str) -> tuple[str, list[Any]]:
    """Return how the file system calls a folder, and all files in it."""
    from fsspec import AbstractFileSystem
    from fsspec.core import url_to_fs

    system, base = cast(tuple[AbstractFileSystem, str], url_to_fs(url))
    return base, cast(list[Any], system.find(base))


def _entries(folder: str, below: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(folder, below)) as entries:
            return sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        where = os.path.join(folder, below).rstrip("/")
        raise DataError(f"the folder {where} cannot be listed: {error.strerror or error}") from None
