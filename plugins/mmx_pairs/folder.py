"""The dataset ``folder``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

from typing_extensions import override

from mmx.data.captions import LARGEST as LARGEST_CAPTION
from mmx.data.captions import kept, text_from, texts_from
from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError, Raw
from mmx_pairs.config_folder import PICTURES, FolderConfig
from mmx_pairs.listing import files_of, is_local, local_path, objects_of
from mmx_pairs.pictures import Pictures
from mmx_shards.format.fields import fields_of
from mmx_storage.urls import shown

_KINDS: Final = {**dict.fromkeys(PICTURES, "picture"), "txt": "text", "json": "JSON"}


@dataclass
class Entry:
    """Extensions of a sample's files as they are written; None where there is no such file."""

    picture: str | None = None
    text: str | None = None
    json: str | None = None
    outside: bool = False
    """Whether it is a folder that is a link out of the dataset's folder, and no sample."""


@final
class Folder(StoredDataset):
    """Picture files with captions beside them, sorted by path. The folder is listed once, when first needed."""

    def __init__(self, config: FolderConfig) -> None:
        super().__init__(config)
        self.config = config
        self.pictures = Pictures(config.folder, config.remote)

    @cached_property
    def entries(self) -> list[tuple[str, Entry]]:
        """All samples and their keys.

        Raises:
            DataError: the folder cannot be listed, two files are one sample's picture, or no sample is whole.
        """
        return _entries(self.config)

    @override
    def __len__(self) -> int:
        return len(self.entries)

    @override
    def key(self, index: int) -> str:
        return _printable(self.entries[index][0])

    @override
    def raw(self, index: int) -> Raw:
        path, entry = self.entries[index]
        key = _printable(path)
        if entry.outside:
            raise BadSampleError(f"{key}: is a link that leads out of the folder {shown(self.config.folder)}")
        held = self._held(entry)
        if entry.picture is None:
            raise BadSampleError(f"{key}: has no picture ({' '.join(f'.{name}' for name in PICTURES)})")
        if held is None:
            raise BadSampleError(f"{key}: has no caption (.{self.config.caption.partition(':')[0]})")
        try:
            texts = self._texts(self.pictures.file(f"{path}.{held}", key, "caption", LARGEST_CAPTION), key)
        except BadSampleError:
            self.pictures.forget(f"{path}.{entry.picture}")
            raise
        return Raw(key, self.pictures.file(f"{path}.{entry.picture}", key), texts, self._fields(path, entry, key))

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        """Begin to fetch pictures at URLs."""
        chosen = (self.entries[index] for index in indices)
        self.pictures.begin(f"{path}.{entry.picture}" for path, entry in chosen if self._usable(entry))

    def _usable(self, entry: Entry) -> bool:
        return entry.picture is not None and self._held(entry) is not None and not entry.outside

    def _held(self, entry: Entry) -> str | None:
        """Return the ending of the file that holds a sample's caption."""
        return entry.text if self.config.caption.partition(":")[0] == "txt" else entry.json

    def _texts(self, data: bytes, key: str) -> tuple[str, ...]:
        if self.config.lines:
            return kept(text_from(data, key).split("\n"), key)
        return texts_from(data, key, self.config.caption)

    def _fields(self, path: str, entry: Entry, key: str) -> Mapping[str, Any]:
        if entry.json is None:
            return {}
        data = self.pictures.file(f"{path}.{entry.json}", key, "JSON", LARGEST_CAPTION)
        return fields_of(data)


def _entries(config: FolderConfig) -> list[tuple[str, Entry]]:
    found: dict[str, Entry] = {}
    seen = Counter[str]()
    for name, readable in _files(config):
        if not readable:
            found[name] = Entry(outside=True)
            continue
        key, dot, extension = name.rpartition(".")
        kind = _KINDS.get(extension.lower(), "") if dot and not key.endswith("/") else ""
        seen[extension.lower() if dot else "no extension"] += 1
        if kind:
            _add(found.setdefault(key, Entry()), kind, extension, _printable(name))
    caption = config.caption.partition(":")[0]
    used = sorted(
        (key, entry)
        for key, entry in found.items()
        if entry.picture or entry.outside or (entry.text if caption == "txt" else entry.json)
    )
    if not any(entry.picture and (entry.text if caption == "txt" else entry.json) for _, entry in used):
        have = " ".join(f".{extension} ({count})" for extension, count in seen.most_common(20)) or "no files at all"
        raise DataError(
            f"folder {shown(config.folder)}: no sample has a picture and a caption; found extensions: {have}; wanted "
            f"one of {' '.join(f'.{name}' for name in PICTURES)} and .{caption}; name what is there in the dataset's caption"
        )
    return used


def _files(config: FolderConfig) -> Iterator[tuple[str, bool]]:
    if is_local(config.folder):
        return files_of(local_path(config.folder))
    return ((name, True) for name in objects_of(config.folder, config.remote.patience))


def _add(entry: Entry, kind: str, extension: str, name: str) -> None:
    attribute = kind.lower()
    if getattr(entry, attribute) is not None:
        raise DataError(
            f"{name} is a second {kind} of one sample (the other ends in .{getattr(entry, attribute)}); files of one "
            "name without their extension are one sample's, so each must have one"
        )
    setattr(entry, attribute, extension)


def _printable(path: str) -> str:
    """Return a path in which bytes that are no UTF-8 are written out."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()
