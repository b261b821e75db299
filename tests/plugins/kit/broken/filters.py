"""Two filters that keep their contract, and variations of them that do not."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from broken.table import broken, twins
from mmx.config import PartConfig
from mmx.parts.dataset import Sample
from mmx.parts.filter import NumberFilter, SampleFilter


class WideConfig(PartConfig):
    least_pixels: int = 200
    """Pixels of the width."""


class Wide(NumberFilter):
    """A twin: pictures that are wide enough, or of unknown width."""

    numbers = ("width",)

    def __init__(self, config: WideConfig) -> None:
        self.least = config.least_pixels

    @override
    def stay(self, columns: Mapping[str, Any]) -> Any:
        return ~(columns["width"] < self.least)


class Places(Wide):
    """Returns where those are that stay."""

    @override
    def stay(self, columns: Mapping[str, Any]) -> Any:
        return np.flatnonzero(super().stay(columns))


class Halved(Wide):
    """Works in place."""

    @override
    def stay(self, columns: Mapping[str, Any]) -> Any:
        columns["width"][:] = columns["width"] / 2
        return ~(columns["width"] < self.least / 2)


class AllWide(Wide):
    @override
    def stay(self, columns: Mapping[str, Any]) -> Any:
        return np.ones(len(columns["width"]), bool)


class ByHash(Wide):
    """Depends on which instance is asked."""

    count = itertools.count()

    def __init__(self, config: WideConfig) -> None:
        super().__init__(config)
        self.least += 50 * next(self.count)


class ShortConfig(PartConfig):
    most_characters: int = 12
    """Characters of a caption."""


class Short(SampleFilter):
    """A twin: short captions."""

    pictures = True

    def __init__(self, config: ShortConfig) -> None:
        self.most = config.most_characters

    @override
    def stays(self, sample: Sample) -> Any:
        return max(map(len, sample.texts)) <= self.most


class Excess(Short):
    """Returns a number."""

    @override
    def stays(self, sample: Sample) -> Any:
        return self.most - max(map(len, sample.texts))


class NoneShort(Short):
    @override
    def stays(self, sample: Sample) -> Any:
        return False


class Marks(Short):
    """Draws into what does not stay."""

    @override
    def stays(self, sample: Sample) -> Any:
        stays = super().stays(sample)
        if sample.image is not None and not stays:
            sample.image.paste((0, 0, 0), (0, 0, 4, 4))
        return stays


class Shared(Short):
    """Remembers what any instance has seen."""

    seen: set[str] = set()  # noqa: RUF012

    @override
    def stays(self, sample: Sample) -> Any:
        new = sample.key not in self.seen
        self.seen.add(sample.key)
        return new and super().stays(sample)


FILTER_TWINS = (*twins("filter", WideConfig, Wide), *twins("filter", ShortConfig, Short))
FILTERS = (
    *broken(
        "filter",
        WideConfig,
        {"answers": (Places,), "same answers": (ByHash,), "tells apart": (AllWide,), "leaves samples": (Halved,)},
    ),
    *broken(
        "filter",
        ShortConfig,
        {"answers": (Excess,), "same answers": (Shared,), "tells apart": (NoneShort,), "leaves samples": (Marks,)},
    ),
)
