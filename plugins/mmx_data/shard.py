"""Writing one tar shard: always the same bytes for the same samples, and in its place only when it is whole."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast, final

from mmx.data.stored import StoredDataset
from mmx.data.views import Skipped
from mmx.errors import DataError
from mmx.parts.dataset import Raw
from mmx_data.keys import safe
from mmx_data.picture import Recode, Stored, recoded
from mmx_data.pool import Tick
from mmx_data.reading import Unread, samples


@dataclass(frozen=True)
class ShardTask:
    """One shard that is to be written."""

    path: Path
    indices: Sequence[int]
    renamed: Mapping[int, str]
    """Keys of those that do not keep their own."""
    how: Recode
    largest: int
    """Pixels of the largest picture that is decoded."""


@dataclass(frozen=True)
class ShardDone:
    """What came of it."""

    written: int
    bytes: int
    sha256: str
    several: int
    """Samples with more than one caption."""
    bad: Sequence[Skipped]


def write_shard(dataset: StoredDataset, task: ShardTask, tick: Tick) -> ShardDone:
    """Write a shard beside its place, wait until it is on the disk, and rename it.

    Raises:
        DataError: it cannot be written; the message names the file.
    """
    aside = task.path.with_name(f".{task.path.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "wb") as file:
            done = _written(dataset, task, cast(BinaryIO, _Summed(file)), tick)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, task.path)
    except OSError as error:
        raise DataError(
            f"{task.path} cannot be written: {error.strerror or error}; mend this (is the disk full?), then give the "
            "same command again: what is done is kept"
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return done


@final
class _Summed:
    """A file that is written once through, and its length and sha256."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.sha256 = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self.sha256.update(data)
        return self.file.write(data)


def _written(dataset: StoredDataset, task: ShardTask, file: BinaryIO, tick: Tick) -> ShardDone:
    from webdataset.writer import TarWriter

    def make(index: int, raw: Raw) -> tuple[dict[str, Any], int]:
        key = task.renamed.get(index) or safe(raw.key)
        stored = recoded(raw.image, raw.key, task.how, task.largest)
        return members(key, raw, stored), len(raw.texts)

    written, several, bad = 0, 0, list[Skipped]()
    tar = TarWriter(file, encoder=False, mtime=0, compress=False)
    for found in samples(dataset, task.indices, make):
        if isinstance(found, Unread):
            bad.append(found.bad)
        else:
            tar.write(found[0])
            written += 1
            several += found[1] > 1
        tick(1)
    tar.close()
    summed = cast(_Summed, file)
    return ShardDone(written, summed.size, summed.sha256.hexdigest(), several, bad)


def members(key: str, raw: Raw, picture: Stored) -> dict[str, Any]:
    """Return what webdataset writes of a sample: ``KEY.EXT``, ``KEY.txt`` and ``KEY.json``.

    The JSON has what is stored with the sample, and under the names that img2dataset gives them: ``width`` and
    ``height`` as written, ``original_width`` and ``original_height`` where those were others, and ``key`` where the
    dataset had another one. ``captions`` are all of them.
    """
    if raw.more or raw.roles:
        raise DataError(f"{raw.key}: has several pictures or captions with roles, which shards cannot hold")
    fields: dict[str, Any] = {**raw.facts, **raw.fields}
    first, *others = raw.texts
    if others or "captions" not in fields:
        fields["captions"] = [first, *others]
    if key != raw.key:
        fields.setdefault("key", raw.key)
    fields |= {"width": picture.width, "height": picture.height}
    if picture.before is not None:
        fields.setdefault("original_width", picture.before[0])
        fields.setdefault("original_height", picture.before[1])
    text = json.dumps(_plain(fields), ensure_ascii=False, allow_nan=False)
    return {"__key__": key, picture.extension: picture.data, "txt": _utf8(first), "json": _utf8(text)}


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; what it cannot is written as text, numbers that are none as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Sequence[Any], value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)
