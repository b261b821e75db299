"""Tensors that stay in a verified safetensors file until one of them is asked for."""

import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, cast, final

import torch
from torch import Tensor
from typing_extensions import override

from mmx.checkpoint.atomic import Written, open_regular
from mmx.checkpoint.tensors import DTYPES, RESERVED
from mmx.errors import CheckpointError

_CHUNK: Final = 1 << 24
_HEADER: Final = 100_000_000
"""Bytes that a header may have at most, as the format has it."""


@dataclass(frozen=True)
class _Entry:
    """Where a tensor lies in its file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    size: int
    checksum: int = 0
    """CRC-32 of the bytes whose sha256 was compared."""


@final
class StoredTensors(Mapping[str, Tensor]):
    """Tensors of a file, each read when it is asked for, and then compared with what was verified."""

    def __init__(self, path: Path, entries: Mapping[str, _Entry]) -> None:
        self._path = path
        self._entries = entries

    @override
    def __getitem__(self, name: str) -> Tensor:
        """Read a tensor into memory of its own.

        Raises:
            CheckpointError: the file is no longer what was verified.
        """
        entry = self._entries[name]
        data = torch.empty(entry.size, dtype=torch.uint8)
        try:
            with os.fdopen(open_regular(self._path), "rb", buffering=0) as file:
                file.seek(entry.start)
                found = _fill(file, memoryview(cast("Any", data.numpy())))
        except OSError as error:
            raise CheckpointError(f"{self._path} cannot be read any more: {error.strerror}") from error
        if found != entry.checksum:
            raise CheckpointError(f"{self._path} was changed while it was read: '{name}' is not what was verified")
        return data.view(entry.dtype).view(entry.shape) if entry.size else torch.empty(entry.shape, dtype=entry.dtype)

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    @override
    def __len__(self) -> int:
        return len(self._entries)

    def shape(self, name: str) -> torch.Size:
        """Return a tensor's shape without reading it."""
        return torch.Size(self._entries[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """Return a tensor's dtype without reading it."""
        return self._entries[name].dtype


@final
class Picked(Mapping[str, Tensor]):
    """Tensors of several mappings under one set of names; none is read before it is asked for."""

    def __init__(self, places: Mapping[str, tuple[Mapping[str, Tensor], str]]) -> None:
        self._places = places

    @override
    def __getitem__(self, name: str) -> Tensor:
        source, there = self._places[name]
        return source[there]

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._places

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    @override
    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> torch.Size:
        """Return a tensor's shape without reading it."""
        source, there = self._places[name]
        return shape_of(source, there)

    def dtype(self, name: str) -> torch.dtype:
        """Return a tensor's dtype without reading it."""
        source, there = self._places[name]
        return dtype_of(source, there)


def shape_of(tensors: Mapping[str, Tensor], name: str) -> torch.Size:
    """Return the shape of one of several tensors; what lies in a file is not read."""
    return tensors.shape(name) if isinstance(tensors, StoredTensors | Picked) else tensors[name].shape


def dtype_of(tensors: Mapping[str, Tensor], name: str) -> torch.dtype:
    """Return the dtype of one of several tensors; what lies in a file is not read."""
    return tensors.dtype(name) if isinstance(tensors, StoredTensors | Picked) else tensors[name].dtype


def joined(*parts: tuple[str, Mapping[str, Tensor]]) -> Picked:
    """Return mappings as one, with a prefix before the names of each."""
    return Picked({f"{prefix}{name}": (source, name) for prefix, source in parts for name in source})


def open_tensors(path: Path) -> tuple[Written, StoredTensors | str]:
    """Read a file once, and return its sha256 and its tensors, or why it is not a safetensors file.

    Only when the sha256 is the right one do the tensors mean anything; the caller compares it.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, size)
        digest.update(header)
        try:
            entries = _parse(header, size)
        except ValueError as error:
            return _rest(file, digest, size), f"it is not a safetensors file: {error}"
        found: dict[str, _Entry] = {}
        for name, entry in entries.items():
            found[name] = replace(entry, checksum=_sum(file, entry.size, digest))
        written = _rest(file, digest, size)
    return written, StoredTensors(path, found)


def _read_header(file: BinaryIO, size: int) -> bytes:
    first = file.read(8)
    length = int.from_bytes(first, "little")
    return first + (file.read(length) if length <= min(size - 8, _HEADER) else b"")


def _parse(header: bytes, size: int) -> dict[str, _Entry]:
    try:
        table = json.loads(header[8:])
        entries = [
            (str(name), _entry(cast("dict[str, Any]", one), len(header)))
            for name, one in cast("dict[str, Any]", table).items()
            if name != RESERVED
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its header cannot be read ({type(error).__name__})") from None
    entries.sort(key=lambda pair: (pair[1].start, pair[1].size))
    place = len(header)
    for name, entry in entries:
        if entry.start != place or entry.size != math.prod(entry.shape) * entry.dtype.itemsize:
            raise ValueError(f"'{name}' does not lie where its shape has it")
        place += entry.size
    if place != size:
        raise ValueError(f"it has {size} bytes, its tensors end at {place}")
    return dict(entries)


def _entry(one: dict[str, Any], start: int) -> _Entry:
    first, last = (int(place) for place in one["data_offsets"])
    shape = tuple(int(length) for length in one["shape"])
    if min(first, last - first, *shape, 0) < 0:
        raise ValueError("negative")
    return _Entry(DTYPES[one["dtype"]], shape, start + first, last - first)


def _sum(file: BinaryIO, size: int, digest: Any) -> int:
    checksum = 0
    while size:
        data = file.read(min(size, _CHUNK))
        if not data:
            break
        digest.update(data)
        checksum = zlib.crc32(data, checksum)
        size -= len(data)
    return checksum


def _rest(file: BinaryIO, digest: Any, size: int) -> Written:
    while data := file.read(_CHUNK):
        digest.update(data)
    return Written(digest.hexdigest(), size)


def _fill(file: Any, room: memoryview) -> int:
    place = 0
    while place < len(room):
        count = file.readinto(room[place:])
        if not count:
            break
        place += count
    return zlib.crc32(room)
