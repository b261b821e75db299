"""From one sample to its rows: each view by its own transform, drawn from a generator of its own."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, final

import torch
from torch import Tensor

from mmx.data.heartbeat import NOTHING, beat
from mmx.data.mixture import Mixture, source_of
from mmx.data.order import Asked, Ticket
from mmx.data.permute import seed_of
from mmx.data.seconds import second_captions
from mmx.data.stages import stage, taken
from mmx.errors import DataError, MmxError, PluginError, RecipeError
from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.dataset import BadSampleError, Dataset, Fact, Sample
from mmx.parts.transform import ImageTransform, PairedTextTransform, PixelRow, TextTransform, WordRow


@dataclass(frozen=True)
class ImageView:
    """An image view of the recipe: its transform, and the view it is made from."""

    transform: ImageTransform
    of: str | None
    sources: Sequence[str] | None = None
    """The sources whose samples have it; None if all have."""
    picture: int = 0
    """Which of a sample's pictures it is made from."""


@dataclass(frozen=True)
class TextView:
    """A text view of the recipe."""

    transform: TextTransform
    of: str | None
    sources: Sequence[str] | None = None
    """As in :class:`ImageView`."""
    role: str | None = None
    """The role of the captions that it is made from; those without one if None."""


_View = TypeVar("_View", ImageView, TextView)


@dataclass(frozen=True)
class Row:
    """One sample, ready to be stacked."""

    key: str
    images: Mapping[str, PixelRow]
    texts: Mapping[str, WordRow]
    facts: Mapping[str, Fact]
    captions: Sequence[str] = ()
    """The sample's, as they were read."""


@dataclass(frozen=True)
class Skipped:
    """A sample that was skipped, and why."""

    key: str
    reason: str
    counts: bool = True
    """Whether it could have been used, but ranks would have had unequal rows: skipped, and no reason to stop the run."""


@dataclass(frozen=True)
class StepData:
    """The samples of one step, on their way from a data worker."""

    batch: Batch
    bad: Sequence[Skipped]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """What each stage of reading it took, in the process that read it."""

    def pin_memory(self) -> "StepData":
        """Pin the batch (the data loader calls this where there is a GPU)."""
        return replace(self, batch=self.batch.pin_memory())


@final
class Reader:
    """Reads tickets and turns them into rows; picklable, runs in data workers."""

    def __init__(
        self, dataset: Dataset, images: Mapping[str, ImageView], texts: Mapping[str, TextView], seed: int
    ) -> None:
        self.dataset = dataset
        self.images = images
        self.texts = texts
        self.seed = seed

    def step(self, asked: Asked) -> StepData:
        """Read and stack the samples of one step."""
        taken()
        with stage("read"):
            self.dataset.ahead([*(ticket.index for ticket in asked.tickets), *asked.ahead])
        rows = [self[ticket] for ticket in asked.tickets]
        beat(NOTHING)
        with stage("collate"):
            loaded = collate(rows)
        return replace(loaded, seconds=taken())

    def __getitem__(self, ticket: Ticket) -> Row | Skipped:
        """Read one sample; one that cannot be used comes back by name, with the reason.

        Raises:
            PluginError: the dataset or a transform fails with an error that is not meant for users.
        """
        beat(ticket.index)
        key = self.dataset.key(ticket.index)
        try:
            return self._row(key, ticket)
        except BadSampleError as error:
            return Skipped(key, str(error).removeprefix(f"{key}: "))
        except MmxError:
            raise
        except MemoryError as error:
            raise DataError(f"memory ran out at the sample {key}: lower data.workers or data.batch") from error
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise PluginError(
                f"the dataset or a transform fails on the sample {key}: {type(error).__name__}: {error} "
                f"({place.filename}:{place.lineno}); one that cannot be used should raise BadSampleError"
            ) from error

    def __len__(self) -> int:
        return len(self.dataset)

    def _row(self, key: str, ticket: Ticket) -> Row:
        images, texts = self._of(key, self.images), self._of(key, self.texts)
        read = self.dataset.read if images else self.dataset.read_texts
        sample = read(ticket.index)
        with stage("images"):
            pixels = self._images(sample, ticket.epoch, images)
        with stage("texts"):
            words = self._texts(sample, ticket, texts)
        return Row(sample.key, pixels, words, _facts(sample, words), sample.texts)

    def _of(self, key: str, views: Mapping[str, _View]) -> Mapping[str, _View]:
        """Return the views that a sample's source has."""
        if not isinstance(self.dataset, Mixture):
            return views
        source = source_of(key)
        return {name: view for name, view in views.items() if view.sources is None or source in view.sources}

    def _images(self, sample: Sample, epoch: int, views: Mapping[str, ImageView]) -> dict[str, PixelRow]:
        draw, made = torch.Generator(), dict[str, PixelRow]()
        for name, view in views.items():
            source = sample.picture(view.picture) if view.of is None else made[view.of]
            made[name] = view.transform(source, draw.manual_seed(seed_of(self.seed, epoch, sample.key, "image", name)))
        return made

    def _texts(self, sample: Sample, ticket: Ticket, views: Mapping[str, TextView]) -> dict[str, WordRow]:
        draw, made, epoch = torch.Generator(), dict[str, WordRow](), ticket.epoch
        for name, view in views.items():
            source = _captions(sample, view.role) if view.of is None else made[view.of]
            transform = view.transform
            draw.manual_seed(seed_of(self.seed, epoch, sample.key, "text", name))
            if isinstance(transform, PairedTextTransform) and transform.wants(draw):
                seed = seed_of(self.seed, epoch, sample.key, "second", name)
                among = self._beside(sample.key)
                second = second_captions(self.dataset, among, ticket.index, sample, view.role, seed)
                made[name] = transform.paired(source, second, draw)
            else:
                made[name] = transform(source, draw)
        return made

    def _beside(self, key: str) -> range:
        """Return the samples of a sample's source."""
        return self.dataset.span(source_of(key)) if isinstance(self.dataset, Mixture) else range(len(self.dataset))


def collate(rows: Sequence[Row | Skipped]) -> StepData:
    """Stack the good rows of one step. Facts that not every row has are left out."""
    good = [row for row in rows if isinstance(row, Row)]
    bad = [row for row in rows if isinstance(row, Skipped)]
    if not good:
        return StepData(Batch({}, {}), bad)
    shared = set[str].intersection(*(set(row.facts) for row in good))
    batch = Batch(
        images={view: _pixels([row.images[view] for row in good]) for view in good[0].images},
        texts={view: _words([row.texts[view] for row in good]) for view in good[0].texts},
        facts={name: _fact(name, good) for name in sorted(shared)},
        keys=[row.key for row in good],
    )
    return StepData(batch, bad)


def _facts(sample: Sample, words: Mapping[str, WordRow]) -> Mapping[str, Fact]:
    """Return the facts of a sample, with those that its text views give."""
    found = dict(sample.facts)
    for view, row in words.items():
        twice = found.keys() & row.facts.keys()
        if twice:
            raise RecipeError(
                f"data.texts.{view} gives the fact '{min(twice)}', which samples have already; name it differently"
            )
        found |= row.facts
    return found


def _captions(sample: Sample, role: str | None) -> tuple[str, ...]:
    found = sample.captions(role)
    if role is not None and not found:
        known = ", ".join(sorted(sample.roles)) or "none"
        raise BadSampleError(f"has no caption of the role '{role}' (roles it has: {known})")
    return found


def _fact(name: str, rows: Sequence[Row]) -> Tensor:
    """Stack a fact. Its type must not depend on which samples are in the batch: other ranks have others."""
    values = [row.facts[name] for row in rows]
    kinds = {(type(value).__name__, len(value) if isinstance(value, tuple) else 0) for value in values}
    if len(kinds) > 1 or not kinds <= {("int", 0), ("float", 0), *(kind for kind in kinds if kind[0] == "tuple")}:
        found = ", ".join(sorted(f"{kind} of {length}" if kind == "tuple" else kind for kind, length in kinds))
        raise PluginError(
            f"the fact '{name}' of samples from {rows[0].key} on is {found}: the dataset should give an int, a float, or a "
            "tuple of floats of one length, the same for all samples"
        )
    return torch.tensor(values, dtype=torch.int64 if isinstance(values[0], int) else torch.float32)


def _pixels(rows: Sequence[PixelRow]) -> Pixels:
    return Pixels(
        torch.stack([row.pixels for row in rows]),
        _stacked([row.hidden for row in rows]),
        _stacked([row.labels for row in rows]),
    )


def _words(rows: Sequence[WordRow]) -> Words:
    return Words(
        torch.stack([row.ids for row in rows]),
        torch.stack([row.mask for row in rows]),
        _stacked([row.labels for row in rows]),
    )


def _stacked(values: Sequence[Tensor | None]) -> Tensor | None:
    present = [value for value in values if value is not None]
    return torch.stack(present) if present else None


def needed(wanted: set[str], of: Mapping[str, str | None], table: str) -> list[str]:
    """Return the wanted views and those they are made from, sources first.

    Raises:
        RecipeError: a loss reads a view that the recipe does not declare.
    """
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in of:
            known = ", ".join(of) or "none"
            raise RecipeError(f"a loss reads the view '{name}', but there is no [{table}.{name}] (there: {known})")
        source = of[name]
        if source is not None:
            visit(source)
        if name not in ordered:
            ordered.append(name)

    for name in sorted(wanted):
        visit(name)
    return ordered
