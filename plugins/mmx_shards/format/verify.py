"""Whether shards are whole, and still what they were when they were indexed: all of them are read again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from mmx.errors import DataError
from mmx_shards.format.buffered import Buffered
from mmx_shards.format.index import Index, missing
from mmx_shards.format.roles import LARGEST, Extensions
from mmx_shards.format.rows import Facts, Rows, check_of
from mmx_shards.format.spread import each
from mmx_shards.format.survey import UNDECODABLE, Findings, Survey, survey
from mmx_shards.format.tar import DamagedShardError, Read
from mmx_storage.failures import MissingError
from mmx_storage.files import Files
from mmx_storage.urls import shown

_PIECE: Final = 2**22


@final
@dataclass
class Report:
    """What became of one shard."""

    name: str
    samples: int = 0
    wrong: list[str] = field(default_factory=list[str])
    """What is wrong with it; empty if nothing is."""
    findings: Findings = field(default_factory=Findings)
    """Samples that cannot be used; they could not when the shard was indexed, either."""


Tell = Callable[[Report], None]
"""Is told of each shard that is done, in order."""


def verify(
    files: Files, extensions: Extensions, index: Index | None, workers: int, decoded: bool, tell: Tell
) -> Sequence[Report]:
    """Read all shards and compare them with their index; without one, look for what shows by itself.

    Args:
        files: the shards.
        extensions: which members are pictures and captions; with an index, those it was made with.
        index: of the shards.
        workers: processes.
        decoded: decode every picture, too.
        tell: is told of each shard.

    Returns:
        What became of each shard, and then of those that the index has and that are gone.

    Raises:
        DataError: the index is damaged.
    """
    reports: list[Report] = []
    with closing(each(_Work(files, extensions, index, decoded), len(files.urls), workers)) as found:
        for report in found:
            reports.append(report)
            tell(report)
    return [*reports, *_lost(files, index)]


def _lost(files: Files, index: Index | None) -> Iterator[Report]:
    """Yield the shards of the index that were not asked for, where they do not exist."""
    others = Files([] if index is None else index.others(files.urls))
    for other, url in enumerate(others.urls):
        try:
            others.check(other)
        except MissingError:
            yield Report(shown(url), wrong=["is in the index, but does not exist"])


@final
@dataclass(frozen=True)
class _Work:
    """Reads one shard, in a process of its own."""

    files: Files
    extensions: Extensions
    index: Index | None
    decoded: bool

    def __call__(self, shard: int) -> Report:
        url = self.files.urls[shard]
        report = Report(shown(url))
        place = None if self.index is None else self.index.find(url)
        if self.index is not None and place is None:
            report.wrong.append(str(missing(url, self.index.where)))
        try:
            found = survey(self.files, shard, self.extensions, self.decoded)
        except DamagedShardError as error:
            report.wrong.append(str(error).removeprefix(f"shard {report.name} "))
            found = None
        except DataError as error:
            report.wrong.append(str(error))
            return report
        if found is not None:
            report.samples, report.findings = len(found.rows), found.findings
            if found.findings.counts[UNDECODABLE]:
                report.wrong.append(found.findings.named(UNDECODABLE))
        if self.index is not None and place is not None:
            _compare(report, self.files, shard, found, self.index, place)
        return report


def _compare(report: Report, files: Files, shard: int, found: Survey | None, index: Index, place: int) -> None:
    indexed = index.contents.shards[place]
    rows = slice(index.firsts[place], index.firsts[place + 1])
    if found is not None and found.sha256 == indexed.sha256:
        if not _same(found, index.rows, index.facts, rows):
            report.wrong.append("the shard is as it was, but the index is damaged: make it again")
        return
    size, sha256 = (found.size, found.sha256) if found is not None else _hashed(files, shard)
    if size != indexed.size:
        report.wrong.append(f"{size:,} bytes, not {indexed.size:,} as indexed")
    if sha256 != indexed.sha256:
        report.wrong.append("its sha256 is not the one that was indexed")
    if found is not None and len(found.rows) != indexed.samples:
        report.wrong.append(f"{len(found.rows):,} samples, not {indexed.samples:,} as indexed")
    changed, read = Findings(), Buffered(files, shard).read
    for row in range(rows.start, rows.stop):
        if not _as_indexed(read, index, row):
            changed.add("samples that changed or are gone", index.rows.key(row))
    report.wrong += [changed.named(what) for what in changed.counts]


def _same(found: Survey, rows: Rows, facts: Facts, here: slice) -> bool:
    """Say whether an index has what was found in a shard."""
    keys = [found.rows.key(row) for row in range(len(found.rows))]
    second = rows.twice[(rows.twice[:, 0] >= here.start) & (rows.twice[:, 0] < here.stop)]
    return (
        len(keys) == here.stop - here.start
        and keys == [rows.key(row) for row in range(here.start, here.stop)]
        and np.array_equal(found.rows.places, rows.places[here])
        and np.array_equal(found.rows.twice, second - np.array([here.start, 0, 0]))
        and np.array_equal(found.facts.checks, facts.checks[here])
        and np.array_equal(found.facts.sides, facts.sides[here])
        and np.array_equal(found.facts.characters, facts.characters[here])
        and all(
            np.array_equal(found.facts.numbers.get(name, np.full(len(keys), np.nan)), column[here], equal_nan=True)
            for name, column in facts.numbers.items()
        )
    )


def _as_indexed(read: Read, index: Index, row: int) -> bool:
    place = index.rows.place(row)
    digests: list[bytes | None] = []
    for part, (offset, size) in enumerate((place.image, place.caption, place.json)):
        absent = offset < 0 or size > LARGEST[part]
        digests.append(None if absent else hashlib.sha256(read(offset, size)).digest())
    return check_of(index.rows.key(row), digests) == int(index.facts.checks[row])


def _hashed(files: Files, shard: int) -> tuple[int, str]:
    """Return the size and sha256 of a shard that is not a whole tar."""
    digest, size = hashlib.sha256(), 0
    while piece := files.read(shard, size, _PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
