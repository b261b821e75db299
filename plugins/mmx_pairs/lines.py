"""Where the records of a text table are: offsets of their first bytes and their lines, packed, read by offset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmx_pairs.source import Source

LONGEST: Final = 2**24
"""Bytes of the longest record. What is longer is a quote that was never closed, or no table."""
_TOGETHER: Final = 8192


@dataclass(frozen=True)
class Records:
    """Where each record begins; it ends before the next."""

    starts: np.ndarray
    """Offsets, and the file's size as the last."""
    lines: np.ndarray
    """Numbers of the records' first lines, from 1."""

    def __len__(self) -> int:
        return len(self.lines)

    def read(self, source: Source, number: int) -> bytes:
        """Return the bytes of a record.

        Raises:
            IndexError: there is no such record.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        start, end = int(self.starts[number]), int(self.starts[number + 1])
        return source.read(start, end - start)

    def scan(self, source: Source) -> Iterator[bytes]:
        """Yield the bytes of all records, read many at a time."""
        for first in range(0, len(self), _TOGETHER):
            starts = self.starts[first : first + _TOGETHER + 1].tolist()
            for before, after, data in _pieces(source, starts):
                yield data[before:after]


def newlines(data: bytes) -> np.ndarray:
    """Return the offsets of the line breaks."""
    return np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))


def _pieces(source: Source, starts: list[int]) -> Iterator[tuple[int, int, bytes]]:
    first = 0
    while first < len(starts) - 1:
        last = first + 1
        while last < len(starts) - 1 and starts[last + 1] - starts[first] <= LONGEST:
            last += 1
        data = source.read(starts[first], starts[last] - starts[first])
        for one in range(first, last):
            yield starts[one] - starts[first], starts[one + 1] - starts[first], data
        first = last
