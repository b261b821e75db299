"""What one stored sample is, as inspect and stats tell it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmx.data.decode import decode
from mmx.data.formats import format_of
from mmx.data.stored import StoredDataset
from mmx.parts.dataset import Raw
from mmx_data.pool import Tick
from mmx_data.reading import Unread, samples

CHUNK: Final = 64
"""Samples that a process looks at before it tells of them."""
ALONE: Final = 1.0
"""Seconds of looking that no other process is started for."""


@dataclass(frozen=True)
class Seen:
    """A sample that can be used."""

    index: int
    key: str
    bytes: int
    sha256: bytes
    """Of the picture's file."""
    format: str
    """Pillow's name of it."""
    width: int
    height: int
    """As it is decoded: upright."""
    texts: tuple[str, ...]
    fields: Mapping[str, Any]
    """What else is stored with it, and facts."""


@dataclass(frozen=True)
class LookTask:
    """Samples that are looked at together."""

    indices: Sequence[int]
    largest: int
    """Pixels of the largest picture that is decoded."""


def look(dataset: StoredDataset, task: LookTask, tick: Tick) -> list[Seen | Unread]:
    """Read and decode samples."""

    def make(index: int, raw: Raw) -> Seen:
        picture = decode(raw.image, raw.key, task.largest)
        fields = {**raw.facts, **raw.fields}
        digest = hashlib.sha256(raw.image).digest()
        kind = format_of(raw.image[:16]) or ""
        return Seen(index, raw.key, len(raw.image), digest, kind, *picture.size, texts=raw.texts, fields=fields)

    found: list[Seen | Unread] = []
    for one in samples(dataset, task.indices, make):
        found.append(one)
        tick(1)
    return found
