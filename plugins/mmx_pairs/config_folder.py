"""Options of the dataset ``folder``."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from typing_extensions import override

from mmx.config import StoredConfig
from mmx_storage.urls import expand_all, shown

PICTURES: Final = ("jpg", "jpeg", "png", "webp", "gif")
"""Extensions of picture files, in any case."""
_LOOKED_AT: Final = 200


class FolderConfig(StoredConfig):
    """Options of the dataset ``folder``: files KEY.jpg and KEY.txt (say), where KEY is a path within the folder."""

    folder: Annotated[str, Field(min_length=1, examples=["data/pairs"])]
    """Path or URL of the folder; its subfolders are read too. Links that lead out of it are not followed."""
    caption: Annotated[str, StringConstraints(pattern=r"^(txt|json:.+)$")] = "txt"
    """Where captions are: "txt" is the file KEY.txt, and "json:caption" the field of that name in KEY.json, a text or a
    list of texts. Numbers in KEY.json can be filtered on either way."""
    lines: bool = False
    """Whether each line of KEY.txt is a caption; all of it is one if not."""

    @field_validator("folder")
    @classmethod
    def _can_be_read(cls, folder: str) -> str:
        if expand_all([folder]) != [folder]:
            raise ValueError("is one folder; braces are not read here")
        if folder.lower().startswith(("http://", "https://")):
            raise ValueError(f"'{shown(folder)}': folders at http cannot be listed; use a table of URLs, or shards")
        return folder

    @model_validator(mode="after")
    def _lines_are_of_texts(self) -> Self:
        if self.lines and self.caption != "txt":
            raise ValueError('lines = true goes with caption = "txt"; a field of JSON can be a list of texts')
        return self

    @override
    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        """Recognise a local folder that has a picture among its first files, or those of its first folder.

        Also a URL that can be listed and does not name a file by its extension.
        """
        found = _has_pictures(path) if os.path.isdir(path) else _may_be_folder(path)
        return cls(name=name, folder=path) if found else None

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Write a small folder with one picture that cannot be decoded, and return options that read it."""
        from mmx_pairs.example import write_folder

        write_folder(folder)
        return cls(name=name, folder=str(folder))

    @override
    def absent(self) -> str:
        """Say that a local folder is not there; others are listed when they are read."""
        if "://" in self.folder or os.path.isdir(self.folder):
            return ""
        looked = "" if os.path.isabs(self.folder) else f" (looked in {Path.cwd()})"
        return f"{self.folder} is no folder{looked}; name one with pictures and their captions"


def _may_be_folder(path: str) -> bool:
    scheme, _, rest = path.partition("://")
    listed = scheme.lower() not in ("http", "https", "file")
    return bool(rest) and listed and not set("{}") & set(path) and "." not in rest.rstrip("/").rpartition("/")[2]


def _has_pictures(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            first = sorted(islice(entries, _LOOKED_AT), key=lambda entry: entry.name)
        for entry in first:
            if entry.is_dir(follow_symlinks=False):
                with os.scandir(entry.path) as inner:
                    first += islice(inner, _LOOKED_AT)
                break
    except OSError:
        return False
    return any(entry.name.lower().endswith(tuple(f".{name}" for name in PICTURES)) for entry in first)
