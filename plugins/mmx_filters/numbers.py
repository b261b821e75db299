"""Filters by numbers. Comparisons with NaN are false, so what cannot be measured stays, to be counted as bad."""

from typing import final

import numpy as np
from jaxtyping import Bool
from typing_extensions import override

from mmx.parts.filter import Columns, NumberFilter
from mmx_filters.configs import AspectConfig, CharactersConfig, NumberConfig, SideConfig


@final
class Side(NumberFilter):
    """The shorter side of the picture, in pixels."""

    numbers = ("width", "height")

    def __init__(self, config: SideConfig) -> None:
        self.low, self.high = config.min or 0, config.max or np.inf

    @override
    def stay(self, columns: Columns) -> Bool[np.ndarray, " samples"]:
        side = np.minimum(columns["width"], columns["height"])
        return ~((side < self.low) | (side > self.high))


@final
class Aspect(NumberFilter):
    """The longer side of the picture over the shorter one."""

    numbers = ("width", "height")

    def __init__(self, config: AspectConfig) -> None:
        self.most = config.max

    @override
    def stay(self, columns: Columns) -> Bool[np.ndarray, " samples"]:
        width, height = columns["width"], columns["height"]
        return ~(np.maximum(width, height) > self.most * np.minimum(width, height))


@final
class Characters(NumberFilter):
    """The length of the longest caption."""

    numbers = ("characters",)

    def __init__(self, config: CharactersConfig) -> None:
        self.low, self.high = config.min or 0, config.max or np.inf

    @override
    def stay(self, columns: Columns) -> Bool[np.ndarray, " samples"]:
        length = columns["characters"]
        return ~((length < self.low) | (length > self.high))


@final
class Number(NumberFilter):
    """A number that is stored with samples; those without it are left out."""

    def __init__(self, config: NumberConfig) -> None:
        self.field, self.numbers = config.field, (config.field,)
        self.low = -np.inf if config.min is None else config.min
        self.high = np.inf if config.max is None else config.max

    @override
    def stay(self, columns: Columns) -> Bool[np.ndarray, " samples"]:
        found = columns[self.field]
        return (found >= self.low) & (found <= self.high)
