"""What the members of a shard are to its samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from mmx_storage.urls import shown

IMAGE, CAPTION, JSON = range(3)
PARTS: Final = ("picture", "caption", "JSON")
"""Names of the parts of a sample, for messages."""
LARGEST: Final = (2**28, 2**20, 2**20)
"""Bytes of each part, at most; a larger picture or caption is a bad sample, and larger JSON is not read."""
_NAME: Final = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""A member's key ends at the first dot of its file name, as in webdataset."""
PASSED_OVER: Final = "passed over, since a key ends at the first dot of a name"
"""What is said of members whose names have more dots."""
_META: Final = re.compile(r"__[^/]*__(?:/|$)")
"""Members that webdataset keeps for itself."""


@dataclass(frozen=True)
class Extensions:
    """Which members of a tar are pictures and captions: extensions in lower case, without the first dot."""

    image: tuple[str, ...] = ("jpg", "jpeg", "png", "webp", "gif")
    caption: str = "txt"
    """Extension of captions, with a field of its JSON behind a colon."""

    @property
    def caption_extension(self) -> str:
        """The extension of captions, without the field."""
        return self.caption.partition(":")[0]

    def part(self, extension: str) -> int | None:
        """Return what a member with this extension is, None if it is not used. JSON that holds captions is a caption."""
        if extension == self.caption_extension:
            return CAPTION
        if extension in self.image:
            return IMAGE
        return JSON if extension == "json" else None

    def hides(self, extension: str) -> bool:
        """Say whether a member is not used, though its name ends like a picture or a caption: ``a.5.jpg`` is .5.jpg of a."""
        last = extension.rpartition(".")[2]
        return last != extension and self.part(extension) is None and self.part(last) in (IMAGE, CAPTION)

    def wanted(self, part: int) -> str:
        """Return the extensions of a part, for messages."""
        names = self.image if part == IMAGE else (self.caption_extension,)
        return " ".join(f".{name}" for name in names)


def split(name: str) -> tuple[str, str] | None:
    """Return a member's key and extension, None if it belongs to no sample."""
    found = _NAME.fullmatch(name)
    return None if found is None or _META.match(name) else (found[1], found[2].lower())


def names_of(urls: Sequence[str]) -> list[str]:
    """Return a name for each shard: its file name, or all of its URL where file names repeat."""
    names = [PurePosixPath(shown(url)).name.removesuffix(".tar") for url in urls]
    return names if len(set(names)) == len(names) else [shown(url) for url in urls]
