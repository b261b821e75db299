"""Rows of one table, and which of its columns hold pictures and captions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mmx.errors import DataError, RecipeError
from mmx.recipe.source import quote
from mmx_pairs.config_rows import RowsConfig

_IMAGE: Final = ("image", "img", "image_path", "filepath", "file_path", "file_name", "filename", "path", "file", "url")
_CAPTION: Final = ("caption", "captions", "text", "texts", "title")
_SEPARATORS: Final = ("\t", ";", ",", "|")
_HUGE: Final = 2**1023
"""Numbers from here on are not taken from samples, whatever they are stored in: some floats cannot hold."""

Row = Mapping[str, Any]


class Rows(ABC):
    """Rows by number, from 0. May be pickled; files are opened when they are first read."""

    name: str
    """Names the table in messages."""

    @cached_property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """Names of the columns."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def row(self, number: int) -> Row:
        """Read one row.

        Raises:
            BadSampleError: it cannot be used; the message says why, and names its line where there are lines.
            DataError: the table cannot be read.
        """

    @abstractmethod
    def scan(self, columns: Sequence[str]) -> Iterator[Row | None]:
        """Yield some columns of all rows in order, None for one that cannot be used.

        Raises:
            DataError: the table cannot be read.
        """

    def may_have(self, column: str) -> bool:
        """Say whether a row may have a column."""
        return column in self.columns

    def runs(self) -> Sequence[int]:
        """Return the numbers of rows that are read together, in order."""
        return (len(self),)

    def value(self, cell: object) -> object:
        """Return what a cell means, such as the number in a table that holds texts only."""
        return cell

    def place(self, number: int) -> str:
        """Say where a row is."""
        return f"row {number} of {self.name}"


@dataclass(frozen=True)
class Columns:
    """Which columns hold what."""

    images: Sequence[str]
    """Of a sample's pictures in their order; none where they are not read."""
    caption: str | None
    """None where captions that have no role are not read."""
    roles: Mapping[str, str]
    facts: Sequence[str]
    key: str | None

    @property
    def apart(self) -> set[str]:
        """Those that are no fields of a sample: pictures and captions."""
        return {*self.images, *self.roles.values(), *([self.caption] if self.caption is not None else [])}


def chosen(columns: Sequence[str], config: RowsConfig, table: str) -> Columns:
    """Return the columns that the options name, or those that are named as such columns are.

    Raises:
        DataError: an option names none of the columns, or none or several could be meant.
    """
    images, caption, roles = list[str](), None, dict[str, str]()
    if "image" in config.modalities():
        images = [config.image or _guessed(columns, _IMAGE, "image", "pictures", table), *config.more_images]
    if "text" in config.modalities():
        roles, caption = config.roles, config.caption
        if caption is None and not roles:
            caption = _guessed(columns, _CAPTION, "caption", "captions", table)
    found = Columns(images, caption, roles, tuple(config.facts), config.key)
    for option, name in _named(found):
        if columns.count(name) > 1:
            raise DataError(f"{table} has two columns '{name}'; name them differently")
        if name not in columns:
            raise DataError(f"{table} has no column '{name}', which {option} names (it has: {_listed(columns)})")
    return found


def _named(columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the options that name columns, and the names."""
    yield from zip(("image", *["more_images"] * len(columns.images)), columns.images, strict=False)
    yield from (("caption", columns.caption),) if columns.caption is not None else ()
    yield from ((f"roles.{role}", name) for role, name in columns.roles.items())
    yield from (("facts", name) for name in columns.facts)
    yield from (("key", columns.key),) if columns.key is not None else ()


def number_of(value: object) -> float | None:
    """Return a value as a number, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _HUGE else None


def no_number(name: str, numbers: Sequence[str]) -> RecipeError:
    """Return the error that no row has a number of this name."""
    return RecipeError(f"no sample has the number '{name}' (numbers there are: {', '.join(sorted(numbers)) or 'none'})")


def _guessed(columns: Sequence[str], names: Sequence[str], option: str, what: str, table: str) -> str:
    fitting = [column for column in columns if column.strip().lower() in names]
    if len(fitting) == 1:
        return fitting[0]
    why = f"which of {_listed(fitting)}" if fitting else "which column"
    separator = next((mark for mark in _SEPARATORS if mark in columns[0]), None) if len(columns) == 1 else None
    if separator is not None:
        raise DataError(
            f"{table} has one column only, {_listed(columns)}: set separator to what is between its columns, such as "
            f"{quote(separator)}"
        )
    raise DataError(
        f"{table}: {why} holds the {what} is not clear; set {option} to one of its columns: {_listed(columns)}"
    )


def _listed(columns: Sequence[str]) -> str:
    shown = [f"'{column[:60]}'" for column in columns[:30]]
    return ", ".join(shown) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "") or "none"
