"""Putting the rows of many shards into one file, without holding them in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, final

import numpy as np
from numpy.typing import NDArray

from mmx.errors import DataError
from mmx_shards.format.index import NUMBER
from mmx_shards.format.mapped import KINDS, Mapped, fits, mapped

Piece = tuple[Path, "Sizes"]
"""The rows of one shard in a safetensors file, and how many they are."""
_ALIGNED: Final = 8


@final
@dataclass(frozen=True)
class Sizes:
    """How long the arrays of rows are."""

    samples: int = 0
    key_bytes: int = 0
    twice: int = 0


@final
@dataclass(frozen=True)
class _Array:
    """One array of the file: its rows, the sides of each, and where the next ones go."""

    name: str
    kind: str
    per: str
    """The field of ``Sizes`` that says how many rows there are."""
    sides: tuple[int, ...] = ()

    def bytes_for(self, rows: int) -> int:
        return rows * int(np.prod(self.sides, dtype=np.int64)) * KINDS[self.kind].itemsize


_ARRAYS: Final = (
    _Array("places", "I64", "samples", (6,)),
    _Array("ends", "I64", "samples"),
    _Array("checks", "U64", "samples"),
    _Array("twice", "I64", "twice", (3,)),
)
_SMALL: Final = (
    _Array("sides", "I32", "samples", (2,)),
    _Array("characters", "I32", "samples"),
    _Array("keys", "U8", "key_bytes"),
)


def write_index(path: Path, metadata: Mapping[str, str], numbers: Sequence[str], pieces: Sequence[Piece]) -> None:
    """Write an index in the safetensors format.

    Args:
        path: the file, which is written to the disk before this returns.
        metadata: of the file.
        numbers: names of the arrays of numbers; a shard that has one not gets NaN.
        pieces: the rows of all shards, in order.

    Raises:
        DataError: the metadata is too large.
    """
    # The widest first, so that each one is aligned.
    arrays = [*_ARRAYS, *(_Array(NUMBER + name, "F64", "samples") for name in numbers), *_SMALL]
    totals = {name: sum(getattr(sizes, name) for _, sizes in pieces) for name in ("samples", "key_bytes", "twice")}
    header, starts = _header(metadata, arrays, totals)
    if not fits(header[_ALIGNED:]):
        raise DataError(
            f"the names of {len(pieces):,} shards are too long for one index, or have too many commas: make several "
            "indices, each of some of the shards, or give the shards shorter names"
        )
    with path.open("wb") as file:
        file.write(header)
        positions = {name: len(header) + start for name, start in starts.items()}
        done = dict.fromkeys(totals, 0)
        for place, sizes in pieces:
            for array, data in _rows(mapped(place), arrays, sizes, done):
                _put(file, positions, array.name, data)
            done = {name: count + getattr(sizes, name) for name, count in done.items()}
        file.flush()
        os.fsync(file.fileno())


def _header(
    metadata: Mapping[str, str], arrays: Sequence[_Array], totals: Mapping[str, int]
) -> tuple[bytes, dict[str, int]]:
    entries: dict[str, Any] = {"__metadata__": metadata}
    starts, end = dict[str, int](), 0
    for array in arrays:
        rows = totals[array.per]
        starts[array.name], end = end, end + array.bytes_for(rows)
        entries[array.name] = {
            "dtype": array.kind,
            "shape": [rows, *array.sides],
            "data_offsets": [starts[array.name], end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text, starts


def _rows(
    piece: Mapped, arrays: Sequence[_Array], sizes: Sizes, done: Mapping[str, int]
) -> Iterator[tuple[_Array, NDArray[Any]]]:
    there = set(piece.names())
    for array in arrays:
        rows = getattr(sizes, array.per)
        if array.name in there:
            data = piece.array(array.name, array.kind, rows, *array.sides)
        else:
            data = np.full(rows, np.nan)
        if array.name == "ends":
            data = data + done["key_bytes"]
        elif array.name == "twice":
            data = data + np.array([done["samples"], 0, 0])
        yield array, data


def _put(file: BinaryIO, positions: dict[str, int], name: str, data: NDArray[Any]) -> None:
    file.seek(positions[name])
    positions[name] += file.write(data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes())
