"""Read files of a local folder, and nothing outside it, whatever links there are."""

from __future__ import annotations

import os
import stat
from typing import Final

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError

LARGEST: Final = 2**28
"""Bytes of the largest picture file that is read."""
_ABSENT: Final = (FileNotFoundError, NotADirectoryError)
_DENIED: Final = (PermissionError,)


def read_inside(folder: str, name: str, key: str, what: str, largest: int = LARGEST) -> bytes:
    """Return a file of a folder. Links are followed as long as they stay inside the folder.

    Args:
        folder: the folder, itself without links.
        name: the file's path, relative to the folder or absolute.
        key: names the sample in errors.
        what: names the file in errors, such as "picture".
        largest: bytes of the largest file that is read.

    Raises:
        BadSampleError: it is not there, is outside the folder, no regular file, or too large.
        DataError: the folder itself is gone, or the disk fails.
    """
    if "\0" in name:
        raise BadSampleError(f"{key}: the path of the {what} has a NUL character")
    path = os.path.join(folder, name)
    try:
        real = os.path.realpath(path)
        if not inside(folder, real):
            leads = "is a link that leads" if inside(folder, os.path.normpath(path)) else "lies"
            raise BadSampleError(f"{key}: the {what} {name} {leads} out of the folder {folder}; that is not followed")
        return _read(real, name, key, what, largest)
    except _ABSENT:
        if not os.path.isdir(folder):
            raise DataError(f"the folder {folder} is gone; connect its disk again, then resume the run") from None
        link = " is a link to nothing" if os.path.islink(path) else " does not exist"
        raise BadSampleError(f"{key}: the {what} {name}{link} (looked in {folder})") from None
    except _DENIED:
        raise BadSampleError(f"{key}: the {what} {name} may not be read by this user") from None
    except OSError as error:
        raise DataError(f"{key}: the {what} {name} in {folder} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadSampleError(f"{key}: the path of the {what} cannot be used: {error}") from None


def inside(folder: str, path: str) -> bool:
    """Say whether a path without links is a folder or within it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _read(path: str, name: str, key: str, what: str, largest: int) -> bytes:
    # Without waiting: a fifo would keep the run from going on. Without links: it might be replaced just now.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise BadSampleError(f"{key}: the {what} {name} is no regular file")
        if status.st_size > largest:
            raise BadSampleError(f"{key}: the {what} has {status.st_size} bytes, more than {largest}")
        return file.read(largest + 1)
