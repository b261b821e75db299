"""The index of a dataset's shards: every sample's key and where its picture and caption are."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Final, Protocol

from mmx.errors import DataError
from mmx.shards.tar import Member, members
from mmx.storage.files import Files
from mmx.storage.urls import shown

_PARTS: Final = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")
"""A member's key ends at the first dot of its file name, as in webdataset."""
_MISSING: Final = (-1, 0)


class Extensions(Protocol):
    """Which members of a tar are pictures and captions."""

    @property
    def image(self) -> tuple[str, ...]:
        """Extensions of pictures."""
        ...

    @property
    def caption(self) -> str:
        """Extension of captions, with a field of its JSON behind a colon."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a sample is: its shard, and offset and size of its picture and caption (an offset of -1: it has none)."""

    shard: int
    image: tuple[int, int]
    caption: tuple[int, int]


@dataclass(frozen=True)
class Index:
    """All samples in the order of shards and of their first members. Numbers are packed: there may be many millions."""

    keys: list[str] = field(default_factory=list[str])
    numbers: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, sample: int) -> Place:
        shard, *places = self.numbers[5 * sample : 5 * sample + 5]
        return Place(shard, (places[0], places[1]), (places[2], places[3]))

    def add(self, key: str, place: Place) -> None:
        """Append a sample."""
        self.keys.append(key)
        self.numbers.extend((place.shard, *place.image, *place.caption))


def scan(files: Files, config: Extensions) -> Index:
    """Read the headers of all shards.

    Raises:
        DataError: a shard cannot be read, a sample has two pictures or captions, or none has a picture and a caption.
    """
    index, seen, whole = Index(), Counter[str](), 0
    caption = caption_extension(config)
    for shard, name in enumerate(_names(files.urls)):
        found = _samples(
            members(partial(files.read, shard), shown(files.urls[shard])), config.image, caption, seen, name
        )
        for key, (image, text) in found.items():
            index.add(f"{name}/{key}", Place(shard, image or _MISSING, text or _MISSING))
            whole += image is not None and text is not None
    if not whole:
        have = " ".join(f".{extension} ({count})" for extension, count in seen.most_common(20)) or "no members at all"
        raise DataError(
            f"{len(files.urls)} shards, the first {shown(files.urls[0])}: no sample has a picture and a caption; "
            f"found extensions: {have}; wanted one of {' '.join(f'.{name}' for name in config.image)} and .{caption}; "
            "name what is there in the dataset's image and caption"
        )
    return index


def caption_extension(config: Extensions) -> str:
    """Return the extension of captions, without the field."""
    return config.caption.partition(":")[0]


Span = tuple[int, int]


def _samples(
    found: Iterable[Member], images: Sequence[str], caption: str, seen: Counter[str], shard: str
) -> dict[str, tuple[Span | None, Span | None]]:
    samples: dict[str, tuple[Span | None, Span | None]] = {}
    for member in found:
        parts = _PARTS.fullmatch(member.name)
        if parts is None:
            continue
        key, extension = parts[1], parts[2].lower()
        seen[extension] += 1
        if extension not in images and extension != caption:
            continue
        image, text = samples.get(key, (None, None))
        if (text if extension == caption else image) is not None:
            raise DataError(
                f"shard {shard} has a second {'caption' if extension == caption else 'picture'} for '{key}': "
                f"{member.name}; keys must be unique within a shard, with one extension for each"
            )
        span = (member.offset, member.size)
        samples[key] = (image, span) if extension == caption else (span, text)
    return samples


def _names(urls: Sequence[str]) -> list[str]:
    """Return a name for each shard: its file name, or all of its URL where file names repeat."""
    names = [PurePosixPath(shown(url)).name.removesuffix(".tar") for url in urls]
    return names if len(set(names)) == len(names) else [shown(url) for url in urls]
