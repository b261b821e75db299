"""The index of a set of shards: every sample's key, place and checksum, so that none has to be looked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Final, Literal, final

from pydantic import Field, ValidationError

from mmx.config import RemoteTable, Table
from mmx.errors import DataError
from mmx_shards.format.mapped import MOST_COMMAS, Mapped, damaged, mapped, opened
from mmx_shards.format.roles import Extensions
from mmx_shards.format.rows import Facts, Rows
from mmx_storage.files import fetch
from mmx_storage.urls import MOST, scheme_of, shown

NAME: Final = "mmx-index.safetensors"
"""An index's name, beside its shards."""
CONTENTS: Final = "mmx_index"
"""The key of the metadata."""
NUMBER: Final = "number:"
"""Starts the names of arrays of numbers."""
MOST_NUMBERS: Final = 64
_FAULTS: Final = 100
"""Of which the first is shown: each takes a kilobyte to be told."""
Count = Annotated[int, Field(ge=0, lt=2**62)]


class Shard(Table):
    """One shard as it was when it was indexed."""

    name: str
    """Its place, relative to the index's folder, or its URL."""
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: Count


class Contents(Table):
    """What an index is of."""

    version: Literal[1] = 1
    image: Annotated[tuple[str, ...], Field(fail_fast=True)]
    caption: str
    shards: Annotated[tuple[Shard, ...], Field(max_length=MOST, fail_fast=True)]


@final
class Index:
    """An open index. A pickle holds where it is, and opens the same one again."""

    def __init__(self, arrays: Mapped, where: str, remote: RemoteTable) -> None:
        """Check it; the arrays stay where they are.

        Raises:
            DataError: it is damaged.
        """
        self.where, self.contents, self._remote, self._identity = where, _contents(arrays), remote, arrays.identity
        samples = sum(shard.samples for shard in self.contents.shards)
        self.firsts = list(accumulate((shard.samples for shard in self.contents.shards), initial=0))
        """The first row of each shard, and the number of rows."""
        self.rows = Rows(
            arrays.array("keys", "U8", None),
            arrays.array("ends", "I64", samples),
            arrays.array("places", "I64", samples, 6),
            arrays.array("twice", "I64", None, 3),
        )
        names = [name.removeprefix(NUMBER) for name in arrays.names() if name.startswith(NUMBER)]
        if len(names) > MOST_NUMBERS:
            raise damaged(arrays.where, f"has numbers of {len(names)} names, more than {MOST_NUMBERS}")
        self.facts = Facts(
            arrays.array("checks", "U64", samples),
            arrays.array("sides", "I32", samples, 2),
            arrays.array("characters", "I32", samples),
            {name: arrays.array(NUMBER + name, "F64", samples) for name in sorted(names)},
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.where, self._remote, self._identity)

    def find(self, url: str) -> int | None:
        """Return which of its shards a path or URL is, None if it has it not."""
        return self._places.get(place_of(url))

    def others(self, urls: Sequence[str]) -> list[str]:
        """Return paths and URLs of the shards that are not among these."""
        known = set(map(place_of, urls))
        return [place for place in self._places if place not in known]

    @property
    def extensions(self) -> Extensions:
        """What it takes for pictures and captions."""
        return Extensions(self.contents.image, self.contents.caption)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        folder = folder_of(self.where)
        return {_joined(folder, shard.name): number for number, shard in enumerate(self.contents.shards)}


def open_index(where: str, remote: RemoteTable) -> Index:
    """Open an index by memory map, or fetch it whole from a URL.

    Raises:
        DataError: it is not there, or damaged.
    """
    if is_away(where):
        return Index(opened(memoryview(fetch(where, remote)), shown(where)), where, remote)
    return Index(mapped(Path(place_of(where))), where, remote)


def beside(url: str) -> str:
    """Return where the index of shards is that has its usual name."""
    head, slash, _ = url.partition("?")[0].rpartition("/")
    return head + slash + NAME


def place_of(url: str) -> str:
    """Return what a shard is known by: its absolute path, or its URL without user, password and query."""
    return shown(url) if is_away(url) else os.path.abspath(_local(url))


def folder_of(where: str) -> str:
    """Return the folder of an index."""
    return shown(where).rpartition("/")[0] if is_away(where) else os.path.dirname(place_of(where))


def relative(url: str, index: Path) -> str:
    """Return a shard's name in an index."""
    return shown(url) if is_away(url) else os.path.relpath(_local(url), index.parent)


def is_away(url: str) -> bool:
    """Say whether it is a URL of something that is not on this machine's disks."""
    return scheme_of(url) != "file"


def _local(url: str) -> str:
    return os.path.expanduser(url.partition("://")[2] if "://" in url else url)


def missing(url: str, where: str) -> DataError:
    """Return an error for a shard that an index does not have."""
    return DataError(
        f"shard {shown(url)} is not in the index {shown(where)}: it is new, or was damaged and left out. Either run mmx "
        "data index again with all shards, or take it out of urls"
    )


def _joined(folder: str, name: str) -> str:
    if "://" in name:
        return name
    return f"{folder}/{name}" if "://" in folder else os.path.normpath(os.path.join(folder, name))


def _contents(arrays: Mapped) -> Contents:
    text = arrays.metadata.get(CONTENTS)
    if not isinstance(text, str):
        raise damaged(arrays.where, "is not an index of shards")
    if text.count(",") > MOST_COMMAS:  # they may be escaped in the header
        raise damaged(arrays.where, "has more in it than any index")
    try:
        return Contents.model_validate_json(text)
    except ValidationError as error:
        if error.error_count() > _FAULTS:
            raise damaged(arrays.where, f"has {error.error_count():,} faults") from None
        first = error.errors()[0]
        raise damaged(arrays.where, f"its {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _again(where: str, remote: RemoteTable, identity: str) -> Index:
    index = open_index(where, remote)
    if index._identity != identity:
        raise DataError(f"the index {shown(where)} changed since the dataset was opened; start again")
    return index
