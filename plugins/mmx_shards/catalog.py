"""Where the samples of the dataset are: by an index, or by a look at every header."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, final

import numpy as np

from mmx.errors import DataError
from mmx_shards.configs import ShardsConfig
from mmx_shards.format.find import check_names
from mmx_shards.format.index import Index, beside, is_away, missing, open_index
from mmx_shards.format.roles import PASSED_OVER, names_of
from mmx_shards.format.rows import Facts, Rows
from mmx_shards.format.scan import Scan
from mmx_storage.failures import DeniedError, MissingError
from mmx_storage.files import Files
from mmx_storage.urls import shown

_NAMED: Final = 5


@final
class Catalog:
    """The samples of the dataset's shards, in their order; numbers and packed keys, no objects for each."""

    def __init__(self, config: ShardsConfig, files: Files) -> None:
        """Open the index, or read the headers of all shards.

        Raises:
            RecipeError: two shards have one name.
            DataError: a shard or the index cannot be read, or the one does not belong to the other.
        """
        self._names = names_of(files.urls)
        check_names(self._names)
        self.index, why = _index(config, files)
        self.shards: Sequence[int] = range(len(files.urls))
        """The place of each shard in the index."""
        if self.index is None:
            scan = Scan(files, config.extensions)
            self._scanned, counts = scan.rows, scan.counts
            self._firsts = list(accumulate(counts, initial=0))
            self.notes = tuple(_unproved(config, scan, why))
        else:
            self._scanned = None
            self.shards = _places(self.index, files)
            self._firsts = [self.index.firsts[shard] for shard in self.shards]
            counts = [self.index.contents.shards[shard].samples for shard in self.shards]
            self.notes = ()
        self.counts = counts
        """Samples of each shard."""
        self._starts = np.array([0, *accumulate(counts)], np.int64)

    notes: Sequence[str]
    """What cannot be known of the shards."""

    @property
    def rows(self) -> Rows:
        """Rows of all samples, and of more where the index has more."""
        if self._scanned is not None:
            return self._scanned
        assert self.index is not None  # one of them there is
        return self.index.rows

    @property
    def facts(self) -> Facts | None:
        """What the index says of them."""
        return None if self.index is None else self.index.facts

    def __len__(self) -> int:
        return int(self._starts[-1])

    def locate(self, sample: int) -> tuple[int, int]:
        """Return a sample's shard and row.

        Raises:
            IndexError: there is no such sample.
        """
        if not 0 <= sample < len(self):
            raise IndexError(f"no sample {sample}: there are {len(self)}")
        shard = int(np.searchsorted(self._starts, sample, "right")) - 1
        return shard, self._firsts[shard] + sample - int(self._starts[shard])

    def key(self, sample: int) -> str:
        """Return a sample's key."""
        shard, row = self.locate(sample)
        return f"{self._names[shard]}/{self.rows.key(row)}"

    def spans(self) -> Sequence[slice]:
        """Return the rows of each shard."""
        return [slice(first, first + count) for first, count in zip(self._firsts, self.counts, strict=False)]


def _index(config: ShardsConfig, files: Files) -> tuple[Index | None, str]:
    """Return the index, or why there is none."""
    if config.index == "none":
        return None, 'index = "none"'
    where = config.index or beside(files.urls[0])
    try:
        if config.index is None:
            Files([where], config.remote).check(0)
    except (MissingError, DeniedError):  # S3 denies what is not there to whoever may not list
        return None, f"there is none at {shown(where)}"
    found = open_index(where, config.remote)
    if (found.contents.image, found.contents.caption) != (config.image, config.caption):
        raise DataError(
            f"the index {shown(where)} is of .{found.contents.caption} captions and {' '.join(found.contents.image)} "
            f"pictures, not of .{config.caption} and {' '.join(config.image)}: name in the dataset's caption and image what "
            f"it is of, or, if the shards have the others, make another: {_command(config)}"
        )
    return found, ""


def _places(index: Index, files: Files) -> Sequence[int]:
    places = [index.find(url) for url in files.urls]
    for shard, (url, place) in enumerate(zip(files.urls, places, strict=True)):
        if place is None:
            files.check(shard)  # one that does not exist is no new one
            raise missing(url, index.where)
    return [place for place in places if place is not None]


def _unproved(config: ShardsConfig, scan: Scan, why: str) -> Sequence[str]:
    notes = [
        f"the shards have no index ({why}): that they are whole and unchanged cannot be proved, and filters read every "
        f"sample. This makes one: {_command(config)}"
    ]
    if scan.unmarked:
        more = f" and {len(scan.unmarked) - _NAMED} more" if len(scan.unmarked) > _NAMED else ""
        notes.append(f"without a tar's end mark, so maybe cut short: {', '.join(scan.unmarked[:_NAMED])}{more}")
    if scan.hidden:
        notes.append(f"{scan.hidden} members such as {scan.first_hidden!r} are {PASSED_OVER}")
    return notes


def _command(config: ShardsConfig) -> str:
    """Return the command that makes the index."""
    options: list[str] = []
    if config.image != ShardsConfig.model_fields["image"].default:
        options += ["--image", ",".join(config.image)]
    if config.caption != ShardsConfig.model_fields["caption"].default:
        options += ["--caption", config.caption]
    if config.index not in (None, "none"):
        options += ["--to", str(config.index)]
    elif is_away(config.urls[0]):
        options += ["--to", "mmx-index.safetensors"]
    return shlex.join(["mmx", "data", "index", *map(shown, config.urls), *options])
