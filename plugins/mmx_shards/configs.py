"""Options of the dataset ``shards``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator
from typing_extensions import override

from mmx.config import StoredConfig
from mmx.errors import DataError
from mmx_shards.format.find import is_tars, tars_in
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files
from mmx_storage.urls import expand_all

Extension = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]+$")]


class ShardsConfig(StoredConfig):
    """Options of the dataset ``shards``: tars whose members KEY.jpg and KEY.txt (say) make the sample KEY."""

    urls: Annotated[tuple[str, ...], Field(strict=False, min_length=1, examples=[["data/{00000..00999}.tar"]])]
    """Paths or URLs of the shards. Braces stand for several: ``train-{000..127}.tar``, ``{cc3m,cc12m}/000.tar``."""
    image: Annotated[tuple[Extension, ...], Field(strict=False, min_length=1)] = ("jpg", "jpeg", "png", "webp", "gif")
    """Extensions of pictures, in lower case and without the first dot."""
    caption: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]+(:.+)?$")] = "txt"
    """Extension of captions, such as "txt"; with a field behind a colon, such as "json:caption", members are JSON
    objects, and the field is a text or a list of texts."""
    index: str | None = None
    """Path or URL of the shards' index, which ``mmx data index`` makes. If not given, ``mmx-index.safetensors`` beside
    the first shard is taken if there is one; "none" takes none."""

    @property
    def extensions(self) -> Extensions:
        """Which members are pictures and captions."""
        return Extensions(self.image, self.caption)

    @field_validator("urls")
    @classmethod
    def _can_be_expanded(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        expand_all(urls)
        return urls

    @field_validator("index")
    @classmethod
    def _can_be_read(cls, index: str | None) -> str | None:
        if index is not None:
            _one(index)
        return index

    @override
    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        """Return options that read tars: a path or URL, with or without braces, or a folder of them."""
        urls: Sequence[str] = tars_in(path) if os.path.isdir(path) else [path] if is_tars(path) else ()
        return cls(name=name, urls=tuple(urls)) if urls else None

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Write two small shards, with one sample that cannot be decoded, and return options that read them."""
        from mmx_shards.example import write_shard

        for shard in range(2):
            write_shard(folder / f"{shard:05d}.tar", shard)
        return cls(name=name, urls=(str(folder / "{00000..00001}.tar"),))

    @override
    def absent(self) -> str:
        """Say that the index or the first shard cannot be opened; the others are opened when they are read."""
        urls = expand_all(self.urls)[:1]
        named = self.index not in (None, "none")
        files = Files([str(self.index), *urls] if named else urls, self.remote)
        try:
            for file in range(len(files.urls)):
                files.check(file)
        except DataError as error:
            return str(error)
        return ""


def _one(url: str) -> None:
    if len(expand_all([url])) != 1:
        raise ValueError("names several files; an index is one")
