"""All that one shard holds, from one reading of it."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from mmx.data.captions import texts_from
from mmx.data.decode import decode, size_of
from mmx.parts.dataset import BadSampleError
from mmx_shards.format.fields import fields_of, numbers_of
from mmx_shards.format.pieces import Pieces
from mmx_shards.format.roles import CAPTION, IMAGE, LARGEST, PARTS, PASSED_OVER, Extensions, split
from mmx_shards.format.rows import Facts, Gathered, Rows, check_of
from mmx_shards.format.tar import DamagedShardError, Member, Walk
from mmx_storage.files import Files
from mmx_storage.urls import shown

NAMED: Final = 10
"""Samples that are named for each thing that is wrong with them."""
_LONGEST: Final = 80
"""Characters of a name that are shown."""
_NUMBERS: Final = 1024
"""Names of numbers of one shard, at most."""


@final
@dataclass
class Findings:
    """What is wrong with samples: how many, and the first of them by name."""

    counts: Counter[str] = field(default_factory=Counter[str])
    names: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """What is wrong with the first, where that says more."""

    def add(self, what: str, name: str, reason: str = "") -> None:
        """Take note of a sample."""
        self.counts[what] += 1
        if reason:
            self.reasons.setdefault(what, reason)
        named = self.names.setdefault(what, [])
        if len(named) < NAMED:
            named.append(name)

    def named(self, what: str) -> str:
        """Return one thing that is wrong, with the samples that are named."""
        count, names = self.counts[what], self.names[what]
        more = f" and {count - len(names)} more" if count > len(names) else ""
        reason = f" (the first: {self.reasons[what]})" if what in self.reasons else ""
        return f"{what}: {', '.join(map(_short, names))}{more}{reason}"


@final
@dataclass(frozen=True)
class Survey:
    """One shard."""

    size: int
    sha256: str
    rows: Rows
    facts: Facts
    findings: Findings
    extensions: Counter[str]
    """Members by extension."""


def survey(files: Files, shard: int, extensions: Extensions, decoded: bool = False) -> Survey:
    """Read one shard from first to last.

    Args:
        files: all shards.
        shard: which one.
        extensions: which members are pictures and captions.
        decoded: decode every picture, too; those that cannot be are among the findings.

    Raises:
        DamagedShardError: it is cut short or damaged; the message names it.
        DataError: it cannot be read.
    """
    name = shown(files.urls[shard])
    pieces = Pieces(files, shard)
    walk, met = Walk(pieces.read, name), _Met(extensions, decoded)
    for member in walk:
        met.add(member, pieces)
    size, sha256, more = pieces.finish(walk.end)
    if walk.end > size:
        raise DamagedShardError(
            f"shard {name} is cut short: its last member ends at byte {walk.end}, the shard at {size}"
        )
    if not walk.marked:
        raise DamagedShardError(
            f"shard {name} is cut short, or whatever wrote it was stopped: at byte {size} a tar's end mark is missing"
        )
    if more:
        met.findings.add("members behind the end mark, which are not read", f"byte {walk.end}")
    rows = met.gathered.packed()
    return Survey(size, sha256, rows, met.facts(rows), met.findings, met.seen)


@final
class _Met:
    """What was met on the way through a shard."""

    def __init__(self, extensions: Extensions, decoded: bool) -> None:
        self.gathered, self.findings, self.seen = Gathered(), Findings(), Counter[str]()
        self._extensions, self._decoded = extensions, decoded
        self._digests: dict[str, list[bytes | None]] = {}
        self._sides: dict[str, tuple[int, int]] = {}
        self._characters: dict[str, int] = {}
        self._numbers: dict[str, dict[str, float]] = {}

    def add(self, member: Member, pieces: Pieces) -> None:
        """Read a member, if it is part of a sample."""
        parts = split(member.name)
        if parts is None:
            return
        key, extension = parts
        self.seen[extension] += 1
        part = self._extensions.part(extension)
        if part is None:
            if self._extensions.hides(extension):
                self.findings.add(PASSED_OVER, member.name)
            return
        if self.gathered.add(key, part, (member.offset, member.size)) is None:
            self.findings.add(f"a second {PARTS[part]}", key)
        elif member.size <= LARGEST[part]:
            data = pieces.read(member.offset, member.size)
            self._digests.setdefault(key, [None] * 3)[part] = hashlib.sha256(data).digest()
            (self._image, self._caption, self._json)[part](key, data)
        else:
            self.findings.add(f"{PARTS[part]} of more than {LARGEST[part]} bytes", key)

    def facts(self, rows: Rows) -> Facts:
        """Return what the bytes of samples say, and take note of those that lack a part or cannot be used."""
        keys = [rows.key(row) for row in range(len(rows))]
        for part in (IMAGE, CAPTION):
            for row in np.flatnonzero(rows.places[:, 2 * part] < 0).tolist():
                self.findings.add(f"no {PARTS[part]} ({self._extensions.wanted(part)})", keys[row])
        characters = np.array([self._characters.get(key, -1) for key in keys], np.int32)
        characters[rows.twice[:, 0]] = -1
        return Facts(
            np.array([check_of(key, self._digests.get(key, [None] * 3)) for key in keys], np.uint64),
            np.array([self._sides.get(key, (0, 0)) for key in keys], np.int32).reshape(-1, 2),
            characters,
            _columns(keys, self._numbers),
        )

    def _image(self, key: str, data: bytes) -> None:
        size = size_of(io.BytesIO(data))
        if size is None or max(size) >= 2**31:
            self.findings.add("a picture whose header cannot be read", key)
            return
        self._sides[key] = size
        if self._decoded:
            try:
                decode(data, key)
            except BadSampleError:
                self.findings.add(UNDECODABLE, key)

    def _caption(self, key: str, data: bytes) -> None:
        try:
            self._characters[key] = max(map(len, texts_from(data, key, self._extensions.caption)))
        except BadSampleError as error:
            self.findings.add("a caption that cannot be used", key, str(error).removeprefix(f"{key}: "))
        if self._extensions.caption_extension == "json":
            self._json(key, data)

    def _json(self, key: str, data: bytes) -> None:
        numbers = numbers_of(fields_of(data))
        if numbers:
            self._numbers[key] = numbers


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."


UNDECODABLE: Final = "a picture that cannot be decoded"


def _columns(keys: Sequence[str], numbers: dict[str, dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of each name; not those of names beyond the limit, in the order of their first samples."""
    found: dict[str, NDArray[np.float64]] = {}
    for row, key in enumerate(keys):
        for name, value in numbers.get(key, {}).items():
            if name not in found:
                if len(found) == _NUMBERS:
                    continue
                found[name] = np.full(len(keys), np.nan)
            found[name][row] = value
    return found
