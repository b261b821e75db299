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
        held = _held(entry, self.config)
        if self.pictured and entry.picture is None:
            raise BadSampleError(f"{key}: has no picture ({' '.join(f'.{name}' for name in PICTURES)})")
        if self.captioned and held is None:
            raise BadSampleError(f"{key}: has no caption (.{self.config.caption.partition(':')[0]})")
        try:
            texts = self._texts(path, held, key) if self.captioned else ()
        except BadSampleError:
            self.pictures.forget(f"{path}.{entry.picture}")
            raise
        image = self.pictures.file(f"{path}.{entry.picture}", key) if self.pictured else b""
        return Raw(key, image, texts, self._fields(path, entry, key))

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        """Begin to fetch pictures at URLs."""
        chosen = (self.entries[index] for index in indices)
        if self.pictured:
            self.pictures.begin(f"{path}.{entry.picture}" for path, entry in chosen if _whole(entry, self.config))

    def _texts(self, path: str, held: str | None, key: str) -> tuple[str, ...]:
        data = self.pictures.file(f"{path}.{held}", key, "caption", LARGEST_CAPTION)
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
    caption, wanted = config.caption.partition(":")[0], config.modalities()
    used = sorted(
        (key, entry)
        for key, entry in found.items()
        if entry.outside or (entry.picture and "image" in wanted) or (_held(entry, config) and "text" in wanted)
    )
    if not any(_whole(entry, config) for _, entry in used):
        parts = {"image": f"one of {' '.join(f'.{name}' for name in PICTURES)}", "text": f".{caption}"}
        lacks = {"image": "a picture", "text": "a caption"}
        have = " ".join(f".{extension} ({count})" for extension, count in seen.most_common(20)) or "no files at all"
        raise DataError(
            f"folder {shown(config.folder)}: no sample has {' and '.join(lacks[part] for part in wanted)}; found "
            f"extensions: {have}; wanted {' and '.join(parts[part] for part in wanted)}; name what is there in the "
            'dataset\'s caption, or say with samples = "images" or "texts" that there is nothing else'
        )
    return used


def _held(entry: Entry, config: FolderConfig) -> str | None:
    """Return the ending of the file that holds a sample's caption."""
    return entry.text if config.caption.partition(":")[0] == "txt" else entry.json


def _whole(entry: Entry, config: FolderConfig) -> bool:
    """Say whether a sample has the files that are wanted of it."""
    parts = {"image": entry.picture, "text": _held(entry, config)}
    return not entry.outside and all(parts[part] is not None for part in config.modalities())


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
