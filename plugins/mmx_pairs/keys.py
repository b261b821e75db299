"""Keys of very many samples, packed."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from typing import final

import numpy as np


@final
class Keys:
    """A list of texts that can only grow."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])
        self._hashes = array("Q")

    def add(self, key: str) -> None:
        """Append a key."""
        data = key.encode("utf-8", "backslashreplace")
        self._text += data
        self._ends.append(len(self._text))
        self._hashes.append(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big"))

    def __len__(self) -> int:
        return len(self._hashes)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._text[self._ends[index] : self._ends[index + 1]].decode()

    def twice(self) -> tuple[int, int] | None:
        """Return the first two places that have the same key, None if all differ."""
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        found = sorted(self._equal(order, same))
        return found[0] if found else None

    def _equal(self, order: np.ndarray, same: np.ndarray) -> Iterator[tuple[int, int]]:
        for place in same.tolist()[:1000]:
            first, second = int(order[place]), int(order[place + 1])
            if self[first] == self[second]:
                yield first, second
