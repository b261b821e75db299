"""Filters: which samples of a dataset are used, known before the first of them is read."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
from jaxtyping import Bool
from typing_extensions import override

from mmx.data.stored import StoredDataset
from mmx.errors import DataError, MmxError, PluginError, RecipeError
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Raw, Sample
from mmx.parts.filter import Columns, Filter, NumberFilter, SampleFilter

_AHEAD: Final = 64
"""Samples that are told of before they are read."""

Filters = Mapping[str, Filter]
"""By the keys that those they leave out are counted under."""


class Kept(Dataset, ABC):
    """The samples of a dataset that pass its filters, in their order.

    Filters by numbers come first, then those that read samples, each in the order of the recipe. ``left_out`` counts the
    samples that each leaves out of those that the ones before it left.

    Raises:
        RecipeError: the dataset has no number that a filter needs.
        DataError: no sample is left.
    """

    def __init__(self, dataset: Dataset, filters: Filters) -> None:
        self._dataset = dataset
        self.left_out = dict.fromkeys(filters, 0)
        passing = np.ones(len(dataset), bool)
        by_number = {key: one for key, one in filters.items() if isinstance(one, NumberFilter)}
        columns = _columns(dataset, by_number)
        for key, number in by_number.items():
            stay = _mask(key, number, columns, len(dataset))
            self.left_out[key] = int((passing & ~stay).sum())
            passing &= stay
        for key, one in filters.items():
            if isinstance(one, SampleFilter):
                self.left_out[key] = _look(key, one, dataset, passing)
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
    def read_texts(self, index: int) -> Sample:
        return self._dataset.read_texts(self._inner(index))

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
    def __init__(self, dataset: StoredDataset, filters: Filters) -> None:
        super().__init__(dataset, filters)
        self._files = dataset
        self._take(dataset)

    @override
    def raw(self, index: int) -> Raw:
        return self._files.raw(self._inner(index))


def kept(dataset: Dataset, filters: Filters) -> Dataset:
    """Return a dataset with its filters, itself if there are none. One that stores files remains one.

    Raises:
        RecipeError: the dataset has no such number.
        DataError: no sample is left.
        PluginError: a filter breaks its contract.
    """
    if not filters:
        return dataset
    return _KeptFiles(dataset, filters) if isinstance(dataset, StoredDataset) else _KeptSamples(dataset, filters)


def dropped(dataset: Dataset) -> Mapping[str, int]:
    """Return how many samples each filter of a dataset left out, by its key."""
    return dataset.left_out if isinstance(dataset, Kept) else {}


def _columns(dataset: Dataset, filters: Mapping[str, NumberFilter]) -> Columns:
    names = list(dict.fromkeys(name for one in filters.values() for name in one.numbers))
    if not names:
        return {}
    try:
        return dataset.columns(names)
    except RecipeError as error:
        raise RecipeError(f"keep: {error}") from error


def _mask(key: str, one: NumberFilter, columns: Columns, count: int) -> Bool[np.ndarray, " samples"]:
    stay = one.stay({name: columns[name] for name in one.numbers})
    if stay.dtype != bool or stay.shape != (count,):
        raise PluginError(
            f"keep.{key}: {type(one).__qualname__}.stay returned {stay.dtype} of shape {list(stay.shape)}; one bool for "
            f"each of the {count} samples was expected"
        )
    return stay


def _look(key: str, one: SampleFilter, dataset: Dataset, passing: Bool[np.ndarray, " samples"]) -> int:
    """Show a filter the samples that are left, take those out that do not stay, and return how many."""
    left, read = np.flatnonzero(passing).tolist(), dataset.read if one.pictures else dataset.read_texts
    before = len(left)
    for place, index in enumerate(left):
        if place % _AHEAD == 0:
            dataset.ahead(left[place : place + 2 * _AHEAD])
        try:
            passing[index] = one.stays(read(index))
        except BadSampleError:
            continue
        except (MmxError, MemoryError):
            raise
        except Exception as error:
            raise PluginError(
                f"keep.{key}: the filter fails on the sample {dataset.key(index)}: {type(error).__name__}: {error}"
            ) from error
    return before - int(passing.sum())
