"""Options that keep their contract, and variations of them that do not; the part that has them is always the same."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

from broken.datasets import Stripes
from broken.table import Broken, Twin
from mmx.config import DatasetConfig, Table


class PlaceTable(Table):
    folder_name: str = "pictures"
    """The folder of the pictures."""
    folder_share: float = 1.0
    """Share of it that is used."""


class GoodConfig(DatasetConfig):
    stripe_width: int = 3
    """Pixels of a stripe."""
    stripe_place: PlaceTable = PlaceTable()
    """Where stripes come from."""
    stripe_names: Annotated[tuple[str, ...], Field(strict=False)] = ("even", "odd")
    """What stripes are called."""
    stripe_limit: float | None = None
    """Share of the stripes that is drawn; all if not given."""


class Optioned(Stripes):
    """The twin: reads every option, one of them where it is used."""

    def __init__(self, config: GoodConfig) -> None:
        self.stripe = config.stripe_width
        self.place = config.stripe_place.folder_name, config.stripe_place.folder_share
        self.config = config

    def called(self) -> tuple[tuple[str, ...], float | None]:
        return self.config.stripe_names, self.config.stripe_limit


class IgnoresUnknown(GoodConfig):
    model_config = ConfigDict(extra="ignore")


class LooseTable(BaseModel):
    folder_name: str = "pictures"
    """The folder of the pictures."""
    folder_share: float = 1.0
    """Share of it that is used."""


class LooseInside(GoodConfig):
    stripe_place: LooseTable = LooseTable()  # pyright: ignore[reportIncompatibleVariableOverride]
    """Where stripes come from."""


class DropsUnknown(GoodConfig):
    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if name in cls.model_fields}


class Converts(GoodConfig):
    model_config = ConfigDict(strict=False)


class TakesAnything(GoodConfig):
    stripe_limit: Any = None
    """Share of the stripes that is drawn."""


class NoHelp(GoodConfig):
    stripe_width: int = 4


class NoHelpInside(GoodConfig):
    class Place(PlaceTable):
        folder_name: str = "pictures"

    stripe_place: Place = Place()  # pyright: ignore[reportIncompatibleVariableOverride]
    """Where stripes come from."""


class Misspelt(GoodConfig):
    picture_mean: float = 0.5
    """Mean of the pixels (the part looks for another name)."""


class CheckedAlone(GoodConfig):
    stripe_first: int = 0
    """The first stripe; it is checked, and then used by nobody."""
    stripe_last: int = 9
    """The last stripe."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.stripe_first > self.stripe_last:
            raise ValueError("the first is behind the last")
        return self


class WrongDefault(GoodConfig):
    stripe_limit: float | None = "all"  # pyright: ignore[reportAssignmentType]
    """Share of the stripes that is drawn."""


class Rounds(GoodConfig):
    @model_validator(mode="after")
    def _even(self) -> Self:
        object.__setattr__(self, "stripe_width", self.stripe_width + 1)
        return self


class Changeable(GoodConfig):
    model_config = ConfigDict(frozen=False)


class Settable(GoodConfig):
    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)[name] = value


class TinyOfOther(GoodConfig):
    @override
    def tiny(self) -> Any:
        return GoodConfig(name=self.name)


class ShrinksForever(GoodConfig):
    @override
    def tiny(self) -> Self:
        return self.model_copy(update={"stripe_width": self.stripe_width + 1})


class OtherName(GoodConfig):
    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        return cls(name="example")


def _broken(check: str, *configs: type[GoodConfig]) -> Iterator[Broken]:
    return (Broken("dataset", config.__name__, f"{__name__}:Optioned", config, check) for config in configs)


OPTIONED = Twin("dataset", "Optioned", f"{__name__}:Optioned", GoodConfig)
OPTIONS = tuple(
    itertools.chain(
        _broken("unknown keys", IgnoresUnknown, LooseInside, DropsUnknown),
        _broken("wrong types", Converts, TakesAnything),
        _broken("help", NoHelp, NoHelpInside),
        _broken("options read", Misspelt, CheckedAlone),
        _broken("round trip", WrongDefault, Rounds),
        _broken("frozen", Changeable, Settable),
        _broken("examples", TinyOfOther, ShrinksForever, OtherName),
    )
)
