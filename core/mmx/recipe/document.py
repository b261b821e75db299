"""Recipes before they are checked: plain values, and where each came from. ``extends`` is followed here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final, cast

from mmx.errors import RecipeError
from mmx.plugin.kinds import KINDS
from mmx.recipe.bundled import bundled, label
from mmx.recipe.source import KeyPath, dotted, lines, parse, read_text

INSTEAD: Final[Mapping[KeyPath, str]] = {
    ("train", "steps"): "epochs",
    ("train", "epochs"): "steps",
    ("data", "train"): "sources",
    ("data", "sources"): "train",
}
"""Keys that stand for each other: whoever sets one over a recipe that has the other replaces it."""
_KEYS: Final[Mapping[str, str]] = {kind.table: kind.key for kind in KINDS.values() if kind.table}


@dataclass(frozen=True)
class Origin:
    """Where a value was written: a line of a file, or an option of the command line."""

    label: str
    """The file, or ``--set``."""
    line: int = 0
    """0 where there is none."""

    def __str__(self) -> str:
        return f"{self.label}:{self.line}" if self.line else self.label


@dataclass(frozen=True)
class Document:
    """Values as written, and the origin of every key and table by its path."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[KeyPath, Origin] = field(default_factory=dict[KeyPath, Origin])
    label: str = "recipe"

    def origin(self, path: KeyPath) -> Origin:
        """Return where a key was written, or something below it, or else the table it is missing from."""
        if path not in self.origins:
            for known, origin in self.origins.items():
                if known[: len(path)] == path:
                    return origin
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return Origin(self.label)


def read_document(path: Path, above: tuple[Path, ...] = ()) -> Document:
    """Read a recipe and all that it extends.

    Raises:
        RecipeError: a file cannot be read or parsed, or extends itself.
    """
    name = label(path)
    text = read_text(path, name)
    values = parse(text, name)
    own = Document(values, {key: Origin(name, line) for key, line in lines(text).items()}, name)
    refuse_dates(own)
    found = Document(label=name)
    for parent in _parents(own, path, (*above, path.resolve())):
        parent.values.pop("name", None)  # A recipe's name is its own.
        found = merge(found, parent)
    return merge(found, own)


def merge(under: Document, over: Document) -> Document:
    """Put one document over another: tables key by key, anything else as a whole, and a part that changes as well.

    ``false`` over a table leaves it out, such as a loss that is not wanted.
    """
    replaced: set[KeyPath] = set()
    values = _merge(under.values, over.values, (), replaced)
    kept = {path: origin for path, origin in under.origins.items() if not _within(path, replaced)}
    return Document(values, {**kept, **over.origins}, over.label)


def forget(path: KeyPath, document: Document) -> None:
    """Drop the origins of a key and of all below it."""
    for known in [known for known in document.origins if known[: len(path)] == path]:
        del document.origins[known]


def part_key(path: KeyPath) -> str:
    """Return the key that names the part in a table."""
    return _KEYS.get(".".join(map(str, path)), "name")


def _merge(under: dict[str, Any], over: dict[str, Any], path: KeyPath, replaced: set[KeyPath]) -> dict[str, Any]:
    key = part_key(path)
    if path and key in under and key in over and under[key] != over[key]:
        replaced.add(path)
        return over
    stale = {(*path, other) for name in over if (other := INSTEAD.get((*path, name))) and other not in over}
    replaced |= stale
    merged = {name: value for name, value in under.items() if (*path, name) not in stale}
    for name, value in over.items():
        known = merged.get(name)
        if isinstance(known, dict) and value is False:  # an inherited table that is left out
            replaced.add((*path, name))
            del merged[name]
        elif isinstance(known, dict) and isinstance(value, dict):
            merged[name] = _merge(cast(dict[str, Any], known), cast(dict[str, Any], value), (*path, name), replaced)
        else:
            replaced.add((*path, name))
            merged[name] = value
    return merged


def _within(path: KeyPath, replaced: set[KeyPath]) -> bool:
    return any(path[:length] in replaced for length in range(1, len(path) + 1))


def _parents(own: Document, path: Path, above: tuple[Path, ...]) -> list[Document]:
    names = own.values.pop("extends", [])
    at = own.origin(("extends",))
    listed = cast(list[object], names if isinstance(names, list) else [names])
    found: list[Document] = []
    for name in listed:
        if not isinstance(name, str) or not name:
            raise RecipeError(f"{at}: extends: should be a file name or a list of file names, not {name!r}")
        inside = bundled().get(name)
        parent = inside if inside else Path(os.path.normpath(path.parent / name))
        if parent.resolve() in above:
            chain = " extends ".join(file.name for file in (*above[above.index(parent.resolve()) :], parent))
            raise RecipeError(f"{at}: extends: recipes extend each other in a circle: {chain}")
        try:
            found.append(read_document(parent, above))
        except RecipeError as error:
            raise RecipeError(f"{error}\n  extended by {at}") from error
    return found


def refuse_dates(document: Document) -> None:
    """Refuse dates, which no option is and JSON cannot hold.

    Raises:
        RecipeError: there is one.
    """
    for path, value in walk(document.values):
        if isinstance(value, (date, datetime, time)):
            raise RecipeError(f"{document.origin(path)}: {dotted(path)}: is a date; write it in quotes if it is a text")


def walk(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Yield every value that is neither a table nor a list, with its path."""
    if isinstance(value, Mapping):
        for key, item in cast(Mapping[str, object], value).items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast(list[object], value)):
            yield from walk(item, (*path, index))
    else:
        yield path, value
