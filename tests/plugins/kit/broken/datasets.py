"""A dataset that keeps its contract, and variations of it that do not."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import DatasetConfig
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample


class StripesConfig(DatasetConfig):
    stripe_width: int = 3
    """Pixels of a stripe."""


class Stripes(Dataset):
    """The twin: ten drawings of stripes; one cannot be used."""

    def __init__(self, config: StripesConfig) -> None:
        self.stripe = config.stripe_width

    @override
    def __len__(self) -> int:
        return 10

    @override
    def key(self, index: int) -> str:
        return f"stripes-{index}"

    @override
    def read(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index == 4:
            raise BadSampleError(f"{self.key(index)}: is torn")
        label = index % 2
        return Sample(self.key(index), self.draw(index), (f"stripes number {index}", "stripes"), {"label": label})

    def draw(self, index: int) -> Image.Image:
        across = np.arange(20) // self.stripe % (index + 2) * 20
        return Image.fromarray(np.broadcast_to(across[:, None, None], (20, 24, 3)).astype(np.uint8))

    @override
    def classes(self) -> Classes:
        return Classes(("even", "odd"), ("a {}",), {"first": (0,)})


class TwiceKeyed(Stripes):
    @override
    def key(self, index: int) -> str:
        return f"stripes-{index % 9}"


class OtherKey(Stripes):
    @override
    def read(self, index: int) -> Sample:
        sample = super().read(index)
        return Sample(sample.key.upper(), sample.image, sample.texts, sample.facts)


class Endless(Stripes):
    """Filters by drawing again, as from an infinite sampler."""

    @override
    def read(self, index: int) -> Sample:
        return super().read(index % 4)


class Exhausted(Stripes):
    """Reads from an iterator, and is at its end after one pass."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.left = 10

    @override
    def read(self, index: int) -> Sample:
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return super().read(index)


class ListOfTexts(Stripes):
    @override
    def read(self, index: int) -> Sample:
        sample = super().read(index)
        texts: Any = list(sample.texts)
        return Sample(sample.key, sample.image, texts, sample.facts)


class UnlikeFacts(Stripes):
    @override
    def read(self, index: int) -> Sample:
        sample = super().read(index)
        facts: Any = {"label": sample.facts["label"], "weight": 0.5 if index % 2 else 1}
        return Sample(sample.key, sample.image, sample.texts, facts)


class ArrayPictures(Stripes):
    @override
    def draw(self, index: int) -> Any:
        return np.asarray(super().draw(index))


class AllBad(Stripes):
    @override
    def read(self, index: int) -> Sample:
        raise BadSampleError(f"{self.key(index)}: cannot be used")


class GlobalNoise(Stripes):
    """Augments by numpy's global generator, which is the same in every worker and epoch."""

    @override
    def draw(self, index: int) -> Image.Image:
        return super().draw(index).rotate(int(np.random.randint(360)))


class Counting(Stripes):
    """Cycles through augmentations, by the number of reads so far."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.count = 0

    @override
    def draw(self, index: int) -> Image.Image:
        self.count += 1
        return super().draw(index).rotate(90 * self.count)


class Keeping(Stripes):
    """Keeps its pictures, and hands out the ones it keeps."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.kept: dict[int, Image.Image] = {}

    @override
    def draw(self, index: int) -> Image.Image:
        return self.kept.setdefault(index, super().draw(index))


class KeepingSamples(Stripes):
    """Reads everything at the start."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.samples = {index: super(KeepingSamples, self).read(index) for index in range(10) if index != 4}

    @override
    def read(self, index: int) -> Sample:
        return self.samples[index] if index in self.samples else super().read(index)


class LabelsFromOne(Stripes):
    @override
    def read(self, index: int) -> Sample:
        sample = super().read(index)
        label: Any = sample.facts["label"]
        return Sample(sample.key, sample.image, sample.texts, {"label": label + 1})


class NoPlaceForName(Stripes):
    @override
    def classes(self) -> Classes:
        return Classes(("even", "odd"), ("a picture",))


class RunsTooShort(Stripes):
    @override
    def runs(self) -> Sequence[int]:
        return (5, 4)


class ShortColumns(Stripes):
    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {name: column[1:] for name, column in super().columns(names).items()}


class BytesForCharacters(Stripes):
    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {name: 2 * column for name, column in super().columns(names).items()}


class ChangedByFetching(Stripes):
    @override
    def ahead(self, indices: Sequence[int]) -> None:
        self.stripe += 1


def _broken(check: str, *parts: type[Stripes]) -> Iterator[Broken]:
    return (Broken("dataset", part.__name__, f"{__name__}:{part.__name__}", StripesConfig, check) for part in parts)


DATASET = Twin("dataset", "Stripes", f"{__name__}:Stripes", StripesConfig)
DATASETS = tuple(
    itertools.chain(
        _broken("length and keys", TwiceKeyed, OtherKey),
        _broken("end", Endless, Exhausted),
        _broken("samples", ListOfTexts, UnlikeFacts, ArrayPictures, AllBad),
        _broken("same again", GlobalNoise, Counting),
        _broken("fresh pictures", Keeping, KeepingSamples),
        _broken("classes", LabelsFromOne, NoPlaceForName),
        _broken("runs and columns", RunsTooShort, ShortColumns, BytesForCharacters, ChangedByFetching),
        _broken("global state", GlobalNoise),
    )
)
