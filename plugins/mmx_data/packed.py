"""What was packed, and the lines of a recipe that read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmx.config import RemoteTable
from mmx.data.views import Skipped
from mmx.errors import MmxError
from mmx.plugin.registry import Registries
from mmx.recipe.source import quote
from mmx_data.keys import Keys
from mmx_data.plan import number
from mmx_data.progress import Progress
from mmx_data.shard import ShardDone
from mmx_data.source import find
from mmx_shards.format.build import build
from mmx_shards.format.index import beside
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files


@dataclass(frozen=True)
class Packed:
    """What was written."""

    folder: Path
    parts: Mapping[str, Sequence[ShardDone]]
    """Shards, in order, by the pattern of their names."""
    keys: Keys
    before: int
    """Shards that were done when the command began."""
    left_out: Mapping[str, int]
    """Samples that filters left out, by option."""

    @property
    def shards(self) -> list[ShardDone]:
        """All shards."""
        return [shard for shards in self.parts.values() for shard in shards]

    @property
    def written(self) -> int:
        """Samples in shards."""
        return sum(shard.written for shard in self.shards)

    @property
    def bad(self) -> list[Skipped]:
        """Samples that were skipped."""
        return [bad for shard in self.shards for bad in shard.bad]

    @property
    def caption(self) -> str:
        """What holds the captions: all of them where a sample has several."""
        return "json:captions" if any(shard.several for shard in self.shards) else "txt"

    @property
    def files(self) -> list[str]:
        """The paths of all shards."""
        return [
            str(self.folder / pattern.replace("{}", number(place)))
            for pattern, shards in self.parts.items()
            for place in range(len(shards))
        ]

    def urls(self, pattern: str) -> str:
        """Return the shards of a name as one pattern with braces."""
        count = len(self.parts[pattern])
        numbers = f"{{{number(0)}..{number(count - 1)}}}" if count > 1 else number(0)
        return str(self.folder / pattern.replace("{}", numbers))


def table(found: Packed, pattern: str, registries: Registries) -> str:
    """Return the table ``[data.train]`` that reads the shards of a name."""
    urls = found.urls(pattern)
    try:
        return find(urls, registries, sets=[] if found.caption == "txt" else [f"caption={found.caption}"]).table()
    except MmxError:  # no dataset of shards is installed, or it has other options
        return f"[data.train]\nurls = [{quote(urls)}]"


def index(found: Packed, workers: int, progress: Progress) -> Path:
    """Make the index of the shards, where it is not there yet.

    Raises:
        DataError: it cannot be written.
    """
    to = Path(beside(found.files[0]))
    if found.before < len(found.shards) or not to.exists():
        progress.start("index", found.written)
        files = Files(found.files, RemoteTable(cache_gb=0))
        build(
            files, Extensions(caption=found.caption), to, workers, tell=lambda part: progress.tick(part.sizes.samples)
        )
    return to


def plain(found: Packed, index: Path, tables: Mapping[str, str]) -> dict[str, Any]:
    """Return it as JSON can hold it."""
    return {
        "out": str(found.folder),
        "index": str(index),
        "left_out": found.left_out,
        "read": found.written + len(found.bad),
        "written": found.written,
        "skipped": [{"key": bad.key, "reason": bad.reason} for bad in found.bad],
        "done_before": found.before,
        "keys_changed": found.keys.changed,
        "parts": [
            {
                "shards": found.urls(pattern) if shards else "",
                "count": len(shards),
                "written": sum(shard.written for shard in shards),
                "bytes": sum(shard.bytes for shard in shards),
                "recipe": tables.get(pattern, ""),
            }
            for pattern, shards in found.parts.items()
        ],
    }
