"""Several datasets as one, each sample's key under the name of its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import final

import numpy as np
from jaxtyping import Float64
from typing_extensions import override

from mmx.data.keep import dropped
from mmx.parts.dataset import BadSampleError, Dataset, Sample


@final
class Mixture(Dataset):
    """The samples of all sources, one source after the other. How they are mixed is the order's business."""

    def __init__(self, sources: Mapping[str, Dataset]) -> None:
        self.sources = sources
        self._names, self._datasets = list(sources), list(sources.values())
        self._starts = np.cumsum([0, *map(len, self._datasets)])

    @override
    def __len__(self) -> int:
        return int(self._starts[-1])

    @override
    def key(self, index: int) -> str:
        name, dataset, inner = self._find(index)
        return f"{name}/{dataset.key(inner)}"

    @override
    def read(self, index: int) -> Sample:
        name, dataset, inner = self._find(index)
        return self._named(name, dataset, inner, dataset.read)

    def _named(self, name: str, dataset: Dataset, inner: int, read: Callable[[int], Sample]) -> Sample:
        try:
            sample = read(inner)
        except BadSampleError as error:
            raise BadSampleError(str(error).removeprefix(f"{dataset.key(inner)}: ")) from error
        return replace(sample, key=f"{name}/{sample.key}")

    @override
    def runs(self) -> Sequence[int]:
        return [run for dataset in self._datasets for run in dataset.runs()]

    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Float64[np.ndarray, " samples"]]:
        found = [dataset.columns(names) for dataset in self._datasets]
        return {name: np.concatenate([one[name] for one in found]) for name in names}

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        found = np.asarray(indices, np.int64)
        places = np.searchsorted(self._starts, found, side="right") - 1
        for place, dataset in enumerate(self._datasets):
            dataset.ahead((found[places == place] - self._starts[place]).tolist())

    @override
    def notes(self) -> Sequence[str]:
        return [f"{name}: {note}" for name, dataset in self.sources.items() for note in dataset.notes()]

    @override
    def read_texts(self, index: int) -> Sample:
        name, dataset, inner = self._find(index)
        return self._named(name, dataset, inner, dataset.read_texts)

    def span(self, name: str) -> range:
        """Return the indices of a source's samples."""
        start = int(self._starts[self._names.index(name)])
        return range(start, start + len(self.sources[name]))

    def _find(self, index: int) -> tuple[str, Dataset, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._names[place], self._datasets[place], index - int(self._starts[place])


def source_of(key: str) -> str:
    """Return the source that a mixture's sample is of; names of sources have no slash."""
    return key.partition("/")[0]


def sizes(dataset: Dataset) -> list[int]:
    """Return the number of samples of each source, of the dataset itself if it is no mixture."""
    return [len(one) for one in dataset.sources.values()] if isinstance(dataset, Mixture) else [len(dataset)]


def left_out(dataset: Dataset) -> dict[str, int]:
    """Return how many samples each filter left out, by its key in the recipe after ``data.``."""
    if isinstance(dataset, Mixture):
        named = {f"sources.{name}": one for name, one in dataset.sources.items()}
    else:
        named = {"train": dataset}
    return {f"{key}.keep.{option}": count for key, one in named.items() for option, count in dropped(one).items()}
