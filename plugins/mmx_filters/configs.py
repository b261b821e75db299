"""Options of the filters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field
from typing_extensions import override

from mmx.config import PartConfig

Count = Annotated[int, Field(gt=0)]


class SideConfig(PartConfig):
    """Options of the filter ``side``."""

    min: Count | None = None
    """Pixels of a picture's shorter side, at least."""
    max: Count | None = None
    """Pixels of a picture's shorter side, at most."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that some pictures meet."""
        return cls(name=name, min=100)


class AspectConfig(PartConfig):
    """Options of the filter ``aspect``."""

    max: Annotated[float, Field(ge=1)] = 3.0
    """A picture's longer side over its shorter one, at most."""


class CharactersConfig(PartConfig):
    """Options of the filter ``characters``."""

    min: Count | None = None
    """Characters of a sample's longest caption, at least."""
    max: Count | None = None
    """Characters of a sample's longest caption, at most."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that some captions meet."""
        return cls(name=name, min=10)


class NumberConfig(PartConfig):
    """Options of the filter ``number``. A sample without the number is left out."""

    field: Annotated[str, Field(min_length=1, examples=["similarity"])]
    """Name of the number."""
    min: float | None = None
    """At least this."""
    max: float | None = None
    """At most this."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that some samples meet."""
        return cls(name=name, field="similarity", min=0.3)


class WordsConfig(PartConfig):
    """Options of the filter ``words``. A sample stays if one of its captions passes."""

    min: Count | None = None
    """Words of a caption, at least; what white space parts is a word."""
    max: Count | None = None
    """Words of a caption, at most."""
    without: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Phrases that a caption must not have, in any case, such as "stock photo"."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that some captions pass."""
        return cls(name=name, min=3, without=("stock photo",))
