"""The samples of shards that have no index: the headers of all of them are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import final

from mmx.errors import DataError
from mmx_shards.format.buffered import Buffered
from mmx_shards.format.roles import CAPTION, IMAGE, Extensions, split
from mmx_shards.format.rows import Gathered, Rows, joined
from mmx_shards.format.tar import DamagedShardError, Walk
from mmx_storage.files import Files
from mmx_storage.urls import shown


@final
class Scan:
    """Headers of shards, read one after the other."""

    def __init__(self, files: Files, extensions: Extensions) -> None:
        """Read them.

        Raises:
            DataError: a shard cannot be read, or no sample has a picture and a caption.
        """
        self.unmarked: list[str] = []
        """Shards without a tar's end mark: they may have been cut between two members."""
        self.hidden, self.first_hidden = 0, ""
        """Members that look like a part of a sample but for the dots in their names, and the first of them."""
        self._seen, self._extensions = Counter[str](), extensions
        parts = [self._shard(files, shard) for shard in range(len(files.urls))]
        self.counts: Sequence[int] = [len(part) for part in parts]
        """Samples of each shard."""
        self.rows: Rows = joined(parts)
        _refuse_useless(self.rows, files.urls, extensions, self._seen)

    def _shard(self, files: Files, shard: int) -> Rows:
        name = shown(files.urls[shard])
        walk, found = Walk(Buffered(files, shard).read, name), Gathered()
        for member in walk:
            parts = split(member.name)
            if parts is None:
                continue
            key, extension = parts
            self._seen[extension] += 1
            part = self._extensions.part(extension)
            if part is not None:
                found.add(key, part, (member.offset, member.size))
            elif self._extensions.hides(extension):
                self.hidden += 1
                self.first_hidden = self.first_hidden or member.name
        size = files.size(shard)
        if walk.end > size:
            raise DamagedShardError(
                f"shard {name} is cut short: its last member ends at byte {walk.end}, the shard at {size}; build or "
                "download it again, or leave it out"
            )
        if not walk.marked:
            self.unmarked.append(name)
        return found.packed()


def _refuse_useless(rows: Rows, urls: Sequence[str], extensions: Extensions, seen: Counter[str]) -> None:
    whole = (rows.places[:, 2 * IMAGE] >= 0) & (rows.places[:, 2 * CAPTION] >= 0)
    if not whole.any():
        raise DataError(useless(urls, extensions, seen))


def useless(urls: Sequence[str], extensions: Extensions, seen: Counter[str]) -> str:
    """Say that no sample can be used, and which extensions there are."""
    have = " ".join(f".{extension} ({count})" for extension, count in seen.most_common(20)) or "no members at all"
    return (
        f"{len(urls)} shards, the first {shown(urls[0])}: no sample has a picture and a caption; "
        f"found extensions: {have}; wanted one of {extensions.wanted(IMAGE)} and {extensions.wanted(CAPTION)}; "
        "name what is there in the dataset's image and caption"
    )
