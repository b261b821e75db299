"""What a broken part, and its unbroken twin, is listed as."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmx.config import PartConfig


@dataclass(frozen=True)
class Broken:
    """A part with one thing wrong, and the check that must catch it."""

    kind: str
    name: str
    part: str
    """``module:Class``."""
    config: type[PartConfig]
    caught_by: str
    """The name of the check."""


@dataclass(frozen=True)
class Twin:
    """The unbroken part that broken ones are variations of: it passes every check."""

    kind: str
    name: str
    part: str
    config: type[PartConfig]


def broken(kind: str, config: type[PartConfig], caught: Mapping[str, tuple[type, ...]]) -> Iterator[Broken]:
    """Yield a row for each class, given by the check that catches it."""
    for check, parts in caught.items():
        for part in parts:
            yield Broken(kind, part.__name__, f"{part.__module__}:{part.__name__}", config, check)


def twins(kind: str, config: type[PartConfig], *parts: type) -> Iterator[Twin]:
    """Yield a row for each class."""
    return (Twin(kind, part.__name__, f"{part.__module__}:{part.__name__}", config) for part in parts)
