"""The values that pass between parts.

Letters, here and in every shape of the project: ``b`` rows on this rank, ``B`` rows over all data-parallel ranks,
``n`` tokens, ``t`` text positions, ``w`` an encoder's width, ``d`` the shared width, ``q`` queries, ``h w`` pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

_Rows = TypeVar("_Rows", bound="Rows")


class Rows:
    """Dataclasses whose tensors all have one row per sample; sliced and moved together."""

    def select(self: _Rows, rows: slice) -> _Rows:
        """Return the given rows."""
        return replace(self, **{name: value[rows] for name, value in _tensors(self).items()})  # pyright: ignore

    def to(self: _Rows, device: torch.device) -> _Rows:
        """Return a copy on a device; the transfer may overlap with computing."""
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in _tensors(self).items()})  # pyright: ignore

    def pin(self: _Rows) -> _Rows:
        """Return a copy in pinned memory."""
        return replace(self, **{name: value.pin_memory() for name, value in _tensors(self).items()})  # pyright: ignore


def _tensors(rows: Rows) -> dict[str, Tensor]:
    named = {item.name: getattr(rows, item.name) for item in fields(rows)}  # pyright: ignore
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class Pixels(Rows):
    """One image view of a batch. Pixels are 0 to 255; the model normalises them."""

    pixels: Shaped[Tensor, "b 3 h w"]
    hidden: Bool[Tensor, "b n"] | None = None
    """Patches that the encoder must not see (masked image modelling)."""
    labels: Int[Tensor, "b n"] | None = None
    """Target of each hidden patch, -100 elsewhere."""

    def __len__(self) -> int:
        return self.pixels.shape[0]


@dataclass(frozen=True)
class Words(Rows):
    """One text view of a batch."""

    ids: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    """True where there is a token, False on padding."""
    labels: Int[Tensor, "b t"] | None = None
    """Target of each masked or predicted position, -100 elsewhere."""

    def __len__(self) -> int:
        return self.ids.shape[0]


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of one view."""

    pooled: Float[Tensor, "b w"]
    tokens: Float[Tensor, "b n w"] | None = None
    """One for each patch or text position; None where the tower has none."""
    mask: Bool[Tensor, "b n"] | None = None
    """True where ``tokens`` are real; None if all are."""
    layers: tuple[Tensor, ...] = ()
    """Hidden states by layer, where they were asked for."""


@dataclass(frozen=True)
class Joint:
    """What a fusion makes of an image and a text together."""

    pooled: Float[Tensor, "b w"]
    image: Float[Tensor, "b n w"] | None = None
    text: Float[Tensor, "b t w"] | None = None


@dataclass(frozen=True)
class Batch:
    """The rows of one step on this rank: named image and text views, and facts about each row.

    Views of paired data have the same rows in the same order. Unimodal data are views with rows of their own.
    """

    images: Mapping[str, Pixels]
    texts: Mapping[str, Words]
    """Views by their names in the recipe."""
    facts: Mapping[str, Shaped[Tensor, "b ..."]] = field(default_factory=dict[str, Tensor])
    """Numbers or vectors of each row, such as ``group``: rows of one group show the same thing and are not negatives."""
    keys: Sequence[str] = ()
    step: int = 0

    def has(self, images: Sequence[str], texts: Sequence[str]) -> bool:
        """Say whether the batch has these views."""
        return all(view in self.images for view in images) and all(view in self.texts for view in texts)

    def chunk(self, count: int) -> "list[Batch]":
        """Split into micro-batches, each view by its own number of rows.

        Raises:
            ValueError: a view has fewer rows than there would be micro-batches.
        """
        if count == 1:
            return [self]
        return [self._cut(lambda rows, index=index: _bounds(rows, index, count)) for index in range(count)]

    def select(self, rows: slice) -> "Batch":
        """Return the given rows of every view."""
        return self._cut(lambda _: rows)

    def _cut(self, rows: Callable[[int], slice]) -> "Batch":
        """Return some rows: of each view those that are said for its number of rows."""
        return Batch(
            images={name: view.select(rows(len(view))) for name, view in self.images.items()},
            texts={name: view.select(rows(len(view))) for name, view in self.texts.items()},
            facts={name: value[rows(len(value))] for name, value in self.facts.items()},
            keys=self.keys[rows(len(self.keys))] if self.keys else (),
            step=self.step,
        )

    def to(self, device: torch.device) -> "Batch":
        """Return a copy on a device."""
        return replace(
            self,
            images={name: view.to(device) for name, view in self.images.items()},
            texts={name: view.to(device) for name, view in self.texts.items()},
            facts={name: value.to(device, non_blocking=True) for name, value in self.facts.items()},
        )

    def pin_memory(self) -> "Batch":
        """Return a copy in pinned memory (the data loader calls this where there is a GPU)."""
        return replace(
            self,
            images={name: view.pin() for name, view in self.images.items()},
            texts={name: view.pin() for name, view in self.texts.items()},
            facts={name: value.pin_memory() for name, value in self.facts.items()},
        )


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the rows of several batches, which have the same views, as one. Facts that not every one has are left out."""
    first = batches[0]
    shared = set[str].intersection(*(set(batch.facts) for batch in batches))
    return Batch(
        images={name: _stacked([batch.images[name] for batch in batches]) for name in first.images},
        texts={name: _stacked([batch.texts[name] for batch in batches]) for name in first.texts},
        facts={name: torch.cat([batch.facts[name] for batch in batches]) for name in sorted(shared)},
        keys=[key for batch in batches for key in batch.keys],
        step=first.step,
    )


def _stacked(views: Sequence[_Rows]) -> _Rows:
    named = [_tensors(view) for view in views]
    return replace(views[0], **{name: torch.cat([view[name] for view in named]) for name in named[0]})  # pyright: ignore


def _bounds(rows: int, index: int, count: int) -> slice:
    if rows < count:
        raise ValueError(
            f"{rows} rows cannot be split into {count} micro-batches; raise data.batch or lower train.micro_batches"
        )
    return slice(rows * index // count, rows * (index + 1) // count)
