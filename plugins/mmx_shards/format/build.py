"""Making an index: every shard is read once, on all cores, and what was found is put together on disk."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from mmx.errors import DataError
from mmx_shards.format.find import check_names
from mmx_shards.format.index import CONTENTS, MOST_NUMBERS, NUMBER, Contents, Shard, relative
from mmx_shards.format.roles import CAPTION, IMAGE, Extensions
from mmx_shards.format.scan import useless
from mmx_shards.format.spread import each
from mmx_shards.format.survey import Findings, Survey, survey
from mmx_shards.format.tar import DamagedShardError
from mmx_shards.format.write import Sizes, write_index
from mmx_storage.files import Files
from mmx_storage.urls import shown

Tell = Callable[["Part"], None]
"""Is told of each shard that is done, in order."""


@dataclass(frozen=True)
class Part:
    """What was found in one shard; its rows are in a file of their own."""

    name: str
    damage: str = ""
    """What is wrong with it as a whole."""
    size: int = 0
    sha256: str = ""
    sizes: Sizes = field(default_factory=Sizes)
    whole: int = 0
    """Samples that have a picture and a caption."""
    usable: int = 0
    """Those whose picture has a header and whose caption can be read."""
    findings: Findings = field(default_factory=Findings)
    extensions: Counter[str] = field(default_factory=Counter[str])
    numbers: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True)
class Built:
    """An index that was made."""

    path: Path
    parts: Sequence[Part]
    numbers: Sequence[str]
    """Names of the numbers that it has."""
    left_out: Sequence[str]
    """Names of numbers beyond the limit."""

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(part.sizes.samples for part in self.parts)


def build(
    files: Files, extensions: Extensions, to: Path, workers: int, skip_damaged: bool = False, tell: Tell | None = None
) -> Built:
    """Read all shards and write their index, which appears whole or not at all.

    Args:
        files: the shards.
        extensions: which members are pictures and captions.
        to: the file to write.
        workers: processes.
        skip_damaged: leave out shards that are cut short or damaged, instead of refusing them.
        tell: is told of each shard.

    Raises:
        RecipeError: two shards have one name.
        DataError: a shard cannot be read, or is damaged; no sample can be used; the file cannot be written.
    """
    names = [relative(url, to) for url in files.urls]
    check_names(names)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mmx-index-", dir=to.parent) as aside:
            return _build(files, names, extensions, to, workers, skip_damaged, tell, Path(aside))
    except OSError as error:
        raise DataError(f"the index {to} cannot be written: {error.strerror}; name another file with --to") from None


def _build(
    files: Files,
    names: Sequence[str],
    extensions: Extensions,
    to: Path,
    workers: int,
    skip: bool,
    tell: Tell | None,
    aside: Path,
) -> Built:
    parts: list[Part] = []
    with closing(each(_Work(files, extensions, aside), len(files.urls), workers)) as found:
        for part in found:
            parts.append(part)
            if tell is not None:
                tell(part)
    bad = [part.damage for part in parts if part.damage]
    if bad and not skip:
        raise DataError("\n".join([*bad, f"no index was written; {_advice(len(bad), len(parts))}"]))
    used = [number for number, part in enumerate(parts) if not part.damage]
    if not sum(part.whole for part in parts):
        raise DataError(useless(files.urls, extensions, sum((part.extensions for part in parts), Counter[str]())))
    if not sum(part.usable for part in parts):
        raise DataError(_unusable(parts, extensions))
    counted = sum((part.numbers for part in parts), Counter[str]())
    ranked = sorted(counted, key=lambda name: (-counted[name], name))
    numbers = sorted(ranked[:MOST_NUMBERS])
    contents = Contents(
        image=extensions.image,
        caption=extensions.caption,
        shards=tuple(_shard(names[number], parts[number]) for number in used),
    )
    pieces = [(aside / str(number), parts[number].sizes) for number in used]
    write_index(aside / "index", {CONTENTS: contents.model_dump_json()}, numbers, pieces)
    os.replace(aside / "index", to)
    return Built(to, parts, numbers, ranked[MOST_NUMBERS:])


def _unusable(parts: Sequence[Part], extensions: Extensions) -> str:
    findings = next(part.findings for part in parts if part.whole)
    what = findings.counts.most_common(1)[0][0]
    return (
        f"no sample can be used: {findings.named(what)}; no index was written. It was to be of .{extensions.caption} "
        f"captions and {extensions.wanted(IMAGE)} pictures: if that is not what the shards have, say it with --caption and "
        "--image"
    )


def _shard(name: str, part: Part) -> Shard:
    return Shard(name=name, size=part.size, sha256=part.sha256, samples=part.sizes.samples)


def _advice(bad: int, shards: int) -> str:
    return f"get the {bad} of {shards} shards again, or leave them out of the index with --skip-damaged"


@final
@dataclass(frozen=True)
class _Work:
    """Reads one shard, in a process of its own."""

    files: Files
    extensions: Extensions
    aside: Path

    def __call__(self, shard: int) -> Part:
        name = shown(self.files.urls[shard])
        try:
            found = survey(self.files, shard, self.extensions)
        except DamagedShardError as error:
            return Part(name, damage=str(error))
        _save(self.aside / str(shard), found)
        places, facts = found.rows.places, found.facts
        whole = (places[:, 2 * IMAGE] >= 0) & (places[:, 2 * CAPTION] >= 0)
        usable = whole & (facts.sides > 0).all(1) & (facts.characters >= 0)
        sizes = Sizes(len(found.rows), len(found.rows.keys), len(found.rows.twice))
        numbers = Counter({name: int((column == column).sum()) for name, column in facts.numbers.items()})
        return Part(
            name,
            "",
            found.size,
            found.sha256,
            sizes,
            int(whole.sum()),
            int(usable.sum()),
            found.findings,
            found.extensions,
            numbers,
        )


def _save(path: Path, found: Survey) -> None:
    from safetensors.numpy import save_file

    rows, facts = found.rows, found.facts
    arrays = {"keys": rows.keys, "ends": rows.ends, "places": rows.places, "twice": rows.twice}
    arrays |= {"checks": facts.checks, "sides": facts.sides, "characters": facts.characters}
    save_file({**arrays, **{NUMBER + name: column for name, column in facts.numbers.items()}}, path)
