"""Filters: which samples of a dataset are used, known before the first of them is read."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np
from jaxtyping import Bool, Float64
from typing_extensions import override

from mmx.config import KeepTable
from mmx.data.stored import StoredDataset
from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import Classes, Dataset, Raw, Sample

Columns = Mapping[str, Float64[np.ndarray, " samples"]]
Test = tuple[str, Bool[np.ndarray, " samples"]]
"""The option, and which samples fail it."""


class Kept(Dataset, ABC):
    """The samples of a dataset that pass its filters, in their order.

    ``left_out`` counts the others, each by the first option that it fails. What cannot be measured passes, so that the
    sample is read, and named and counted as a bad one; but a number that is not stored with a sample fails.

    Raises:
        RecipeError: the dataset has no such number.
        DataError: no sample is left.
    """

    def __init__(self, dataset: Dataset, keep: KeepTable) -> None:
        self._dataset = dataset
        passing = np.ones(len(dataset), bool)
        self.left_out: dict[str, int] = {}
        for option, fails in _tests(_columns(dataset, keep), keep):
            self.left_out[option] = int((passing & fails).sum())
            passing &= ~fails
        self._indices = np.flatnonzero(passing)
        if not self._indices.size:
            counts = ", ".join(f"{option}: {count:,}" for option, count in self.left_out.items() if count)
            raise DataError(f"keep leaves none of the {len(dataset):,} samples ({counts})")

    @override
    def __len__(self) -> int:
        return self._indices.size

    @override
    def key(self, index: int) -> str:
        return self._dataset.key(self._inner(index))

    @override
    def classes(self) -> Classes | None:
        return self._dataset.classes()

    @override
    def runs(self) -> Sequence[int]:
        ends = np.searchsorted(self._indices, np.cumsum(self._dataset.runs()))
        sizes = np.diff(ends, prepend=0)
        return sizes[sizes > 0].tolist()

    @override
    def columns(self, names: Sequence[str]) -> Columns:
        return {name: column[self._indices] for name, column in self._dataset.columns(names).items()}

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        self._dataset.ahead(self._indices[np.asarray(indices, np.int64)].tolist())

    @override
    def notes(self) -> Sequence[str]:
        return self._dataset.notes()

    def _inner(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return int(self._indices[index])


@final
class _KeptSamples(Kept):
    @override
    def read(self, index: int) -> Sample:
        return self._dataset.read(self._inner(index))


@final
class _KeptFiles(Kept, StoredDataset):
    def __init__(self, dataset: StoredDataset, keep: KeepTable) -> None:
        super().__init__(dataset, keep)
        self._files = dataset
        self._largest, self._draft = dataset._largest, dataset._draft

    @override
    def raw(self, index: int) -> Raw:
        return self._files.raw(self._inner(index))


def kept(dataset: Dataset, keep: KeepTable | None) -> Dataset:
    """Return a dataset with its filters, itself if there are none. One that stores files remains one.

    Raises:
        RecipeError: the dataset has no such number.
        DataError: no sample is left.
    """
    if keep is None:
        return dataset
    return _KeptFiles(dataset, keep) if isinstance(dataset, StoredDataset) else _KeptSamples(dataset, keep)


def dropped(dataset: Dataset) -> Mapping[str, int]:
    """Return how many samples each filter of a dataset left out, by its option."""
    return dataset.left_out if isinstance(dataset, Kept) else {}


def _columns(dataset: Dataset, keep: KeepTable) -> Columns:
    sides = () if keep.min_side is None and keep.max_aspect is None else ("width", "height")
    length = () if keep.min_characters is None and keep.max_characters is None else ("characters",)
    try:
        return dataset.columns([*sides, *length, *keep.fields])
    except RecipeError as error:
        raise RecipeError(f"keep: {error}") from error


def _tests(columns: Columns, keep: KeepTable) -> Iterator[Test]:
    """Yield each option; comparisons with NaN are false, so what is not known fails none but ``fields``."""
    if keep.min_side is not None:
        yield "min_side", np.minimum(columns["width"], columns["height"]) < keep.min_side
    if keep.max_aspect is not None:
        width, height = columns["width"], columns["height"]
        yield "max_aspect", np.maximum(width, height) > keep.max_aspect * np.minimum(width, height)
    if keep.min_characters is not None:
        yield "min_characters", columns["characters"] < keep.min_characters
    if keep.max_characters is not None:
        yield "max_characters", columns["characters"] > keep.max_characters
    for name, bounds in keep.fields.items():
        column = columns[name]
        low = -np.inf if bounds.min is None else bounds.min
        high = np.inf if bounds.max is None else bounds.max
        yield f"fields.{name}", ~((column >= low) & (column <= high))
