"""Options of the dataset ``shards``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator
from typing_extensions import override

from mmx.config import StoredConfig
from mmx.errors import DataError
from mmx.storage.files import Files
from mmx.storage.urls import expand_all

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

    @field_validator("urls")
    @classmethod
    def _can_be_expanded(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        expand_all(urls)
        return urls

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
        """Say that the first shard cannot be opened; the others are opened when they are read."""
        first = Files(expand_all(self.urls)[:1])
        try:
            first[0].close()
        except DataError as error:
            return str(error)
        return ""
