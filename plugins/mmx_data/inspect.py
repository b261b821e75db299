"""What a dataset is, by a look at samples that are spread evenly over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

from mmx.data.keep import dropped
from mmx.data.stored import StoredDataset
from mmx.data.views import Skipped
from mmx.errors import DataError
from mmx_data.plan import spread
from mmx_data.pool import each
from mmx_data.progress import Progress
from mmx_data.reading import Unread
from mmx_data.seen import ALONE, CHUNK, LookTask, Seen, look
from mmx_data.source import Source
from mmx_data.tokens import Ruler

_EXAMPLE: Final = 40
"""Characters of a field's example."""


@dataclass(frozen=True)
class Range:
    """The smallest, the middle and the largest of some numbers."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Field:
    """What is stored under one name."""

    samples: int
    """Looked-at samples that have it."""
    kind: str
    range: Range | None
    """Of numbers."""
    example: str


@dataclass(frozen=True)
class Tokens:
    """What a tokenizer makes of the captions."""

    tokenizer: str
    context: int
    lengths: Range
    """Start and end included, before captions are cut."""
    truncated: int
    """Captions that are longer than the context."""


@dataclass(frozen=True)
class Inspection:
    """What was found. Numbers are of the samples that were looked at, but for ``samples`` and ``shards``."""

    dataset: str
    table: str
    samples: int
    left_out: Mapping[str, int]
    """Samples that filters leave out, by option; all else is of the others."""
    runs: int
    """Runs of samples that are stored together, such as shards."""
    first_key: str
    last_key: str
    looked_at: int
    bytes: int
    """Of the pictures."""
    formats: Mapping[str, int]
    shorter: Range | None
    longer: Range | None
    """Sides of pictures, in pixels."""
    captions: int
    per_picture: Range | None
    characters: Range | None
    tokens: Tokens | None
    fields: Mapping[str, Field]
    bad: Sequence[Skipped]
    notes: Sequence[str]
    shown: Sequence[Seen]
    """Samples for the page, evenly spread over those that can be used."""


def inspect(
    source: Source,
    dataset: StoredDataset,
    most: int,
    shown: int,
    measure: Ruler | None,
    workers: int,
    progress: Progress,
) -> Inspection:
    """Look at ``most`` samples at most, decode them, and sum up what they are.

    Raises:
        DataError: there are none, or the data cannot be read.
    """
    count = len(dataset)
    if not count:
        raise DataError(f"{source.path}: there are no samples")
    found = _looked(source, dataset, spread(count, most), workers, progress)
    seen = [one for one in found if isinstance(one, Seen)]
    bad = [one.bad for one in found if isinstance(one, Unread)]
    texts = [text for one in seen for text in one.texts]
    return Inspection(
        dataset=source.config.name,
        table=source.table(),
        samples=count,
        left_out=dropped(dataset),
        runs=len(dataset.runs()),
        first_key=dataset.key(0),
        last_key=dataset.key(count - 1),
        looked_at=len(found),
        bytes=sum(one.bytes for one in seen),
        formats=dict(Counter(one.format for one in seen).most_common()),
        shorter=_range([min(one.width, one.height) for one in seen]),
        longer=_range([max(one.width, one.height) for one in seen]),
        captions=len(texts),
        per_picture=_range([len(one.texts) for one in seen]),
        characters=_range([len(text) for text in texts]),
        tokens=None if measure is None or not texts else _tokens(texts, measure),
        fields=_fields(seen),
        bad=bad,
        notes=list(dataset.notes()),
        shown=[seen[at] for at in spread(len(seen), shown)] if seen and shown else [],
    )


def _looked(
    source: Source, dataset: StoredDataset, indices: Sequence[int], workers: int, progress: Progress
) -> list[Seen | Unread]:
    tasks = [LookTask(indices[start : start + CHUNK], source.largest) for start in range(0, len(indices), CHUNK)]
    progress.start("samples", len(indices))
    found = dict(each(dataset, look, tasks, workers, progress.tick, ALONE))
    return [one for place in range(len(tasks)) for one in found[place]]


def _range(numbers: Sequence[float]) -> Range | None:
    ordered = sorted(numbers)
    return Range(ordered[0], ordered[len(ordered) // 2], ordered[-1]) if ordered else None


def _tokens(texts: Sequence[str], measure: Ruler) -> Tokens:
    lengths = measure.lengths(texts)
    return Tokens(measure.name, measure.context, cast(Range, _range(lengths)), measure.cut(lengths))


def _fields(seen: Sequence[Seen]) -> dict[str, Field]:
    values: dict[str, list[Any]] = {}
    for one in seen:
        for name, value in one.fields.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: _field(found) for name, found in sorted(values.items())}


def _field(values: Sequence[Any]) -> Field:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    kind = "number" if len(numbers) == len(values) else type(values[0]).__name__
    example = str(values[0])
    example = example if len(example) <= _EXAMPLE else f"{example[: _EXAMPLE - 3]}..."
    return Field(len(values), kind, _range(numbers) if kind == "number" else None, example)


def plain(found: Inspection) -> dict[str, Any]:
    """Return it as JSON can hold it, without the samples for the page."""
    bad = [{"key": one.key, "reason": one.reason} for one in found.bad]
    return {**{name: value for name, value in asdict(found).items() if name != "shown"}, "bad": bad}
