"""Samples as packed numbers: there may be billions of them, so none has objects of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from mmx.errors import DataError
from mmx_shards.format.roles import CAPTION, IMAGE, JSON

Span = tuple[int, int]
"""Offset and size of a member."""
MISSING: Final[Span] = (-1, 0)
_LONGEST_KEY: Final = 2**20


@dataclass(frozen=True)
class Place:
    """Where the parts of a sample are in its shard; an offset of -1 where it has none."""

    image: Span
    caption: Span
    json: Span


@final
@dataclass(frozen=True)
class Rows:
    """Keys and places of samples, in the order of shards and of their first members."""

    keys: NDArray[np.uint8]
    """All keys in UTF-8, one behind the other."""
    ends: NDArray[np.int64]
    """Where each key ends. [samples]"""
    places: NDArray[np.int64]
    """Offset and size of picture, caption and JSON. [samples 6]"""
    twice: NDArray[np.int64]
    """Samples that have a part twice, in order: sample, part, offset of the second one. [any 3]"""

    def __len__(self) -> int:
        return len(self.ends)

    def key(self, row: int) -> str:
        """Return a key.

        Raises:
            DataError: the rows are damaged.
        """
        start, end = int(self.ends[row - 1]) if row else 0, int(self.ends[row])
        if not 0 <= start <= end <= len(self.keys) or end - start > _LONGEST_KEY:
            raise DataError(f"the key of sample {row} is not where it should be: the index is damaged")
        return self.keys[start:end].tobytes().decode("utf-8", "replace")

    def place(self, row: int) -> Place:
        """Return where a sample is.

        Raises:
            DataError: the rows are damaged.
        """
        numbers: list[int] = self.places[row].tolist()
        if min(numbers) < -1 or min(numbers[1::2]) < 0:
            raise DataError(f"the place of sample {row} is {numbers}: the index is damaged")
        return Place((numbers[0], numbers[1]), (numbers[2], numbers[3]), (numbers[4], numbers[5]))

    def again(self, row: int) -> tuple[int, int] | None:
        """Return the part that a sample has twice, and the offset of the second one; None if it has none twice."""
        if not len(self.twice):
            return None
        at = int(np.searchsorted(self.twice[:, 0], row))
        if at == len(self.twice) or self.twice[at, 0] != row:
            return None
        part, offset = int(self.twice[at, 1]), int(self.twice[at, 2])
        if part not in (IMAGE, CAPTION, JSON):
            raise DataError(f"sample {row} has a part {part} twice: the index is damaged")
        return part, offset


@final
@dataclass(frozen=True)
class Facts:
    """What the bytes of samples say, in the order of their rows."""

    checks: NDArray[np.uint64]
    """What ``check_of`` makes of them. [samples]"""
    sides: NDArray[np.int32]
    """Width and height by the picture's header, 0 if it cannot be read. [samples 2]"""
    characters: NDArray[np.int32]
    """Of the longest caption; -1 if there is none that can be used. [samples]"""
    numbers: Mapping[str, NDArray[np.float64]]
    """Numbers of the JSON by name, NaN where a sample has none. [samples]"""


def check_of(key: str, digests: Sequence[bytes | None]) -> int:
    """Return 64 bits that depend on a sample's key and on the sha256 of each of its parts, None for one it lacks."""
    data = b"".join(digest or bytes(32) for digest in digests)
    return int.from_bytes(hashlib.sha256(key.encode() + b"\0" + data).digest()[:8], "big")


@final
@dataclass
class Gathered:
    """Samples of one shard, while its members are met one by one."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    places: list[list[int]] = field(default_factory=list[list[int]])
    twice: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    def add(self, key: str, part: int, span: Span) -> int | None:
        """Take note of a sample's part; return the sample's row, None if it has this part already."""
        row = self.rows.setdefault(key, len(self.rows))
        if row == len(self.places):
            self.places.append([*MISSING] * 3)
        place = self.places[row]
        if place[2 * part] >= 0:
            self.twice.append((row, part, span[0]))
            return None
        place[2 * part : 2 * part + 2] = span
        return row

    def packed(self) -> Rows:
        """Return the samples that have a picture or a caption: JSON alone makes none."""
        used = [row for row, place in enumerate(self.places) if place[2 * IMAGE] >= 0 or place[2 * CAPTION] >= 0]
        new = {row: at for at, row in enumerate(used)}
        names = list(self.rows)
        keys = [names[row].encode() for row in used]
        return Rows(
            np.frombuffer(b"".join(keys), np.uint8),
            np.fromiter(accumulate(map(len, keys)), np.int64, len(keys)),
            np.array([self.places[row] for row in used], np.int64).reshape(-1, 6),
            np.array(sorted((new[row], *rest) for row, *rest in self.twice if row in new), np.int64).reshape(-1, 3),
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several shards as one."""
    bytes_before = accumulate((len(part.keys) for part in parts), initial=0)
    rows_before = accumulate((len(part) for part in parts), initial=0)
    return Rows(
        _all([part.keys for part in parts], np.uint8),
        _all([part.ends + before for part, before in zip(parts, bytes_before, strict=False)], np.int64),
        _all([part.places for part in parts], np.int64, 6),
        _all(
            [part.twice + np.array([before, 0, 0]) for part, before in zip(parts, rows_before, strict=False)],
            np.int64,
            3,
        ),
    )


def _all(arrays: Sequence[NDArray[Any]], kind: type[np.generic], *width: int) -> NDArray[Any]:
    return np.concatenate([np.empty((0, *width), kind), *arrays])
