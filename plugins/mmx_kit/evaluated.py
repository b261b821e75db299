"""Datasets made of another one, for evaluators: some of its samples in some order, or one of them spoilt."""

from collections.abc import Sequence
from typing import final

from typing_extensions import override

from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample


@final
class Only(Dataset):
    """Some samples of a dataset, in a given order."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    @override
    def __len__(self) -> int:
        return len(self.indices)

    @override
    def key(self, index: int) -> str:
        return self.dataset.key(self.indices[index])

    @override
    def read(self, index: int) -> Sample:
        return self.dataset.read(self.indices[index])

    @override
    def classes(self) -> Classes | None:
        return self.dataset.classes()


@final
class Spoilt(Dataset):
    """A dataset of which one sample cannot be read."""

    def __init__(self, dataset: Dataset, place: int) -> None:
        self.dataset = dataset
        self.place = place

    @override
    def __len__(self) -> int:
        return len(self.dataset)

    @override
    def key(self, index: int) -> str:
        return self.dataset.key(index)

    @override
    def read(self, index: int) -> Sample:
        if index == self.place:
            raise BadSampleError(f"{self.key(index)}: spoilt on purpose")
        return self.dataset.read(index)

    @override
    def classes(self) -> Classes | None:
        return self.dataset.classes()
