"""Which shards a path or pattern means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from mmx.errors import RecipeError
from mmx_storage.urls import expand_all

_FIRST: Final = 16
"""Names of a folder that are looked at, in order."""


def is_tars(path: str) -> bool:
    """Say whether a path, a URL or a pattern with braces names tars."""
    try:
        return expand_all([path])[0].partition("?")[0].lower().endswith(".tar")
    except (ValueError, IndexError):
        return False


def tars_in(folder: str) -> Sequence[str]:
    """Return the tars of a folder, sorted; none if they are not among its first files."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return ()
    if not any(_is_tar(name) for name in names[:_FIRST]):
        return ()
    return [os.path.join(folder, name) for name in names if _is_tar(name)]


def shards_of(patterns: Sequence[str]) -> list[str]:
    """Return the shards that patterns with braces, paths, URLs and folders of tars name, in order.

    Raises:
        RecipeError: a pattern cannot be understood.
    """
    found: list[str] = []
    for pattern in patterns:
        try:
            found += (os.path.isdir(pattern) and tars_in(pattern)) or expand_all([pattern])
        except ValueError as error:
            raise RecipeError(str(error)) from None
    return found


def check_names(names: Sequence[str]) -> None:
    """Check that shards can be told apart by the names that samples' keys or an index have of them.

    Raises:
        RecipeError: two have one name.
    """
    first = dict[str, int]()
    for number, name in enumerate(names, 1):
        before = first.setdefault(name, number)
        if before != number:
            raise RecipeError(
                f"the shards {before} and {number} of {len(names)} are both {name}: name each shard once. URLs that differ "
                "only in their query or user are one shard to an index and to the keys of samples, which never hold these: "
                "give each shard a path of its own, or download them"
            )


def _is_tar(name: str) -> bool:
    return name.lower().endswith(".tar")
