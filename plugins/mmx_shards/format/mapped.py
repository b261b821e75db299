"""A safetensors file by memory map, with every claim of its header checked."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from mmx.errors import DataError

LARGEST_HEADER: Final = 2**26
"""Bytes. The header of an index of the most shards, with names of 200 characters, has 37 MiB."""
MOST_COMMAS: Final = 600_000
"""Of a header, or of a JSON text in it: what is read of it takes a hundred times its bytes where all of it is commas. The
index of the most shards has 400,000, and those of their names."""
KINDS: Final[Mapping[str, np.dtype[Any]]] = {
    name: np.dtype(kind).newbyteorder("<")
    for name, kind in (("U8", "u1"), ("I32", "i4"), ("I64", "i8"), ("U64", "u8"), ("F64", "f8"))
}


@final
@dataclass(frozen=True)
class Mapped:
    """The arrays of a safetensors file, which share its pages."""

    metadata: Mapping[str, Any]
    identity: str
    """The sha256 of the header."""
    where: str
    """Names the file in messages."""
    _data: memoryview
    _header: Mapping[str, Any]

    def array(self, name: str, kind: str, *shape: int | None) -> NDArray[Any]:
        """Return an array.

        Args:
            name: the array's name.
            kind: one of ``KINDS``.
            shape: its sides; None where any is right.

        Raises:
            DataError: there is no such array, or its bytes are not where its header says.
        """
        entry = self._header.get(name)
        if not isinstance(entry, dict):
            raise damaged(self.where, f"has no array '{name}'")
        facts = cast(dict[str, Any], entry)
        sides, span = _counts(facts.get("shape")), _counts(facts.get("data_offsets"))
        if sides is None or span is None or len(span) != 2 or facts.get("dtype") != kind:
            raise damaged(self.where, f"the array '{name}' is not {kind}, or without a shape and place")
        fits = len(sides) == len(shape) and all(want in (None, side) for side, want in zip(sides, shape, strict=False))
        size = KINDS[kind].itemsize
        for side in sides:
            size *= side
        if not fits or not 0 <= span[0] <= span[1] <= len(self._data) or span[1] - span[0] != size:
            raise damaged(self.where, f"the array '{name}' {sides} is not what its bytes {span} can hold")
        return np.frombuffer(self._data[span[0] : span[1]], KINDS[kind]).reshape(sides)

    def names(self) -> list[str]:
        """Return the names of all arrays."""
        return [name for name in self._header if name != "__metadata__"]


def mapped(path: Path) -> Mapped:
    """Map a file.

    Raises:
        DataError: there is none, or it is not whole.
    """
    try:
        with path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(f"there is no index at {path}; mmx data index makes it") from None
    except (OSError, ValueError) as error:  # ValueError: the file is empty
        raise damaged(str(path), f"cannot be read: {error}") from None
    return opened(memoryview(pages), str(path))


def opened(data: memoryview, where: str) -> Mapped:
    """Open the bytes of a file; ``where`` names it in messages.

    Raises:
        DataError: they are not a safetensors file.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, LARGEST_HEADER):
        raise damaged(where, "is cut short, or not a safetensors file")
    text = bytes(data[8 : 8 + length])
    if not fits(text):
        raise damaged(where, "its header has more in it than any index")
    header = _object(text, where)
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict):
        raise damaged(where, "has no metadata")
    return Mapped(cast(dict[str, Any], metadata), hashlib.sha256(text).hexdigest(), where, data[8 + length :], header)


def fits(header: bytes) -> bool:
    """Say whether a header is small enough to be read."""
    return len(header) <= LARGEST_HEADER and header.count(b",") <= MOST_COMMAS


def damaged(where: str, what: str) -> DataError:
    """Return an error that says what is wrong with an index."""
    return DataError(f"index {where}: {what}; make it again with mmx data index")


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged(where, "its header is not JSON") from None
    if not isinstance(found, dict):
        raise damaged(where, "its header is not an object")
    return cast(dict[str, Any], found)


def _counts(value: object) -> list[int] | None:
    """Return a short list of counts, None if it is something else."""
    if not isinstance(value, list):
        return None
    items = cast(list[Any], value)
    good = len(items) <= 4 and all(type(item) is int and 0 <= item < 2**62 for item in items)
    return cast(list[int], items) if good else None
