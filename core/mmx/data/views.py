"""From one sample to its rows: each view by its own transform, drawn from a generator of its own."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor

from mmx.data.heartbeat import NOTHING, beat
from mmx.data.order import Asked, Ticket
from mmx.data.permute import seed_of
from mmx.data.stages import stage, taken
from mmx.errors import DataError, MmxError, PluginError, RecipeError
from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.dataset import BadSampleError, Dataset, Sample
from mmx.parts.transform import ImageTransform, PixelRow, TextTransform, WordRow


@dataclass(frozen=True)
class ImageView:
    """An image view of the recipe: its transform, and the view it is made from."""

    transform: ImageTransform
    of: str | None


@dataclass(frozen=True)
class TextView:
    """A text view of the recipe."""

    transform: TextTransform
    of: str | None


@dataclass(frozen=True)
class Row:
    """One sample, ready to be stacked."""

    key: str
    images: Mapping[str, PixelRow]
    texts: Mapping[str, WordRow]
    facts: Mapping[str, int]


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
            return self._row(self.dataset.read(ticket.index), ticket.epoch)
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

    def _row(self, sample: Sample, epoch: int) -> Row:
        with stage("images"):
            images = self._images(sample, epoch)
        with stage("texts"):
            texts = self._texts(sample, epoch)
        return Row(sample.key, images, texts, sample.facts)

    def _images(self, sample: Sample, epoch: int) -> dict[str, PixelRow]:
        draw, made = torch.Generator(), dict[str, PixelRow]()
        for name, view in self.images.items():
            if sample.image is None:
                raise BadSampleError("has no picture")
            source = sample.image if view.of is None else made[view.of]
            made[name] = view.transform(source, draw.manual_seed(seed_of(self.seed, epoch, sample.key, "image", name)))
        return made

    def _texts(self, sample: Sample, epoch: int) -> dict[str, WordRow]:
        draw, made = torch.Generator(), dict[str, WordRow]()
        for name, view in self.texts.items():
            words = sample.texts if view.of is None else made[view.of]
            made[name] = view.transform(words, draw.manual_seed(seed_of(self.seed, epoch, sample.key, "text", name)))
        return made


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
        facts={name: torch.tensor([row.facts[name] for row in good]) for name in sorted(shared)},
        keys=[row.key for row in good],
    )
    return StepData(batch, bad)


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
