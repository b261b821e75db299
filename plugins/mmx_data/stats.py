"""Counts over every sample of a dataset."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import numpy as np

from mmx.data.keep import dropped
from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx_data.pool import Tick, each
from mmx_data.progress import Progress
from mmx_data.reading import Unread
from mmx_data.seen import ALONE, CHUNK, LookTask, Seen, look
from mmx_data.source import Source

SIDES: Final = (1, 32, 64, 128, 224, 256, 384, 512, 768, 1024, 1536, 2048, 4096)
ASPECTS: Final = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
CHARACTERS: Final = (1, 10, 20, 40, 80, 160, 320, 640, 1280)
"""Where the bins of histograms begin; the last ones have no end."""
MARKED: Final = ("keys", "pictures", "captions")
"""What duplicates are looked for of."""
_SHOWN: Final = 3


@dataclass
class Tally:
    """What is counted; several can be added up."""

    samples: int = 0
    good: int = 0
    bytes: int = 0
    captions: int = 0
    formats: Counter[str] = field(default_factory=Counter[str])
    shorter: Counter[int] = field(default_factory=Counter[int])
    longer: Counter[int] = field(default_factory=Counter[int])
    aspect: Counter[int] = field(default_factory=Counter[int])
    characters: Counter[int] = field(default_factory=Counter[int])
    per_picture: Counter[int] = field(default_factory=Counter[int])
    """Samples by the number of their captions."""
    bad: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """The first sample for each reason: its index and key."""

    def see(self, one: Seen | Unread) -> None:
        """Count a sample."""
        self.samples += 1
        if isinstance(one, Unread):
            reason = kind_of(one.bad.reason)
            self.bad[reason] += 1
            self.examples.setdefault(reason, (one.index, one.bad.key))
            return
        sides = sorted((one.width, one.height))
        self.good += 1
        self.bytes += one.bytes
        self.captions += len(one.texts)
        self.formats[one.format] += 1
        self.shorter[_bin(SIDES, sides[0])] += 1
        self.longer[_bin(SIDES, sides[1])] += 1
        self.aspect[_bin(ASPECTS, sides[1] / sides[0])] += 1
        self.characters.update(_bin(CHARACTERS, len(text)) for text in one.texts)
        self.per_picture[len(one.texts)] += 1

    def add(self, other: Tally) -> None:
        """Add up."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                cast("Counter[object]", getattr(self, name)).update(cast("Counter[object]", value))
            elif isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for reason, example in other.examples.items():
            self.examples[reason] = min(example, self.examples.get(reason, example))


@dataclass(frozen=True)
class Repeated:
    """How much there is more than once."""

    extra: int
    """Those that would go if one of each were kept."""
    examples: Sequence[tuple[str, str]]
    """Keys of two samples that have the same."""


@dataclass(frozen=True)
class Statistics:
    """What all samples come to."""

    dataset: str
    left_out: Mapping[str, int]
    """Samples that filters leave out, by option; all else is of the others."""
    runs: int
    tally: Tally
    repeated: Mapping[str, Repeated]
    """Of ``MARKED``. The first captions are compared, and pictures by sha256, 64 bits of each."""


@dataclass(frozen=True)
class _Part:
    tally: Tally
    marks: np.ndarray
    """Rows of those that can be used: index, and marks of key, picture and first caption."""


def statistics(source: Source, dataset: StoredDataset, workers: int, progress: Progress) -> Statistics:
    """Read and decode every sample, on all cores.

    Raises:
        DataError: there are none, or the data cannot be read.
    """
    count = len(dataset)
    if not count:
        raise DataError(f"{source.path}: there are no samples")
    tasks = [LookTask(range(at, min(at + CHUNK, count)), source.largest) for at in range(0, count, CHUNK)]
    progress.start("samples", count)
    tally, rows = Tally(), list[np.ndarray]()
    for _, part in each(dataset, _part, tasks, workers, progress.tick, ALONE):
        tally.add(part.tally)
        rows.append(part.marks)
    marks = np.concatenate(rows)
    marks = marks[np.argsort(marks[:, 0])]
    repeated = {name: _repeated(dataset, marks[:, 0], marks[:, at + 1]) for at, name in enumerate(MARKED)}
    return Statistics(source.config.name, dropped(dataset), len(dataset.runs()), tally, repeated)


def kind_of(reason: str) -> str:
    """Return a reason without numbers, bytes and places, so that equal ones are counted together."""
    placeless = re.sub(r"( \([^()]*\))+$", "", reason)
    # The numbers of UTF-8 and UTF-16 are names.
    return re.sub(r"(?<!UTF-)(?<!UTF-1)\d+", "N", re.sub(r"""\bb(['"]).*\1""", "...", placeless))


def _part(dataset: StoredDataset, task: LookTask, tick: Tick) -> _Part:
    tally, rows = Tally(), list[tuple[int, ...]]()
    for one in look(dataset, task, tick):
        tally.see(one)
        if isinstance(one, Seen):
            rows.append((one.index, _mark(_sha256(one.key)), _mark(one.sha256), _mark(_sha256(one.texts[0]))))
    return _Part(tally, np.array(rows, dtype=np.uint64).reshape(-1, 1 + len(MARKED)))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _mark(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def _bin(edges: Sequence[float], value: float) -> int:
    return max(0, bisect_right(edges, value) - 1)


def _repeated(dataset: StoredDataset, indices: np.ndarray, marks: np.ndarray) -> Repeated:
    order = np.argsort(marks, kind="stable")
    same = np.flatnonzero(marks[order][1:] == marks[order][:-1])
    pairs = [(int(indices[order[at]]), int(indices[order[at + 1]])) for at in same[:_SHOWN]]
    return Repeated(len(same), [(dataset.key(one), dataset.key(other)) for one, other in pairs])


def plain(found: Statistics) -> dict[str, Any]:
    """Return it as JSON can hold it; a histogram is a list of where a bin begins and of what is in it."""
    tally = found.tally
    bins = {"shorter": SIDES, "longer": SIDES, "aspect": ASPECTS, "characters": CHARACTERS}
    return {
        "dataset": found.dataset,
        "left_out": found.left_out,
        "runs": found.runs,
        "samples": tally.samples,
        "good": tally.good,
        "bytes": tally.bytes,
        "captions": tally.captions,
        "formats": dict(tally.formats.most_common()),
        **{name: [[edge, getattr(tally, name)[at]] for at, edge in enumerate(edges)] for name, edges in bins.items()},
        "captions_per_picture": {str(count): tally.per_picture[count] for count in sorted(tally.per_picture)},
        "repeated": {name: asdict(repeated) for name, repeated in found.repeated.items()},
        "bad": [
            {"reason": reason, "samples": count, "first": tally.examples[reason][1]}
            for reason, count in tally.bad.most_common()
        ],
    }
