"""``--set KEY=VALUE`` and ``--unset KEY``, applied to a document."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final, cast

from mmx.errors import RecipeError
from mmx.recipe.document import INSTEAD, Document, Origin, forget, part_key, refuse_dates
from mmx.recipe.source import MAX_DEPTH, KeyPath, dotted, has, parse

PART: Final = re.compile(r"""([A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')((?:\[\d{1,6}\])*)(?:\.(?=.)|$)""")
SET: Final = Origin("--set")


def override(document: Document, sets: Sequence[str], unset: Sequence[str]) -> Document:
    """Take keys out and put values in; later ones win. Part names go first, since they replace their whole table.

    Raises:
        RecipeError: an option is not ``KEY=VALUE``, or its key leads nowhere.
    """
    changed = Document(deepcopy(document.values), dict(document.origins), document.label)
    for text in unset:
        _remove(changed, text)
    pairs = [_split(text) for text in sets]
    for path, value in sorted(pairs, key=_turn):
        _put(changed, path, value)
    refuse_dates(changed)
    return changed


def read_key(text: str, option: str) -> KeyPath:
    """Read ``a.b[0].c``."""
    path: list[str | int] = []
    at = 0
    while at < len(text) or not text:
        match = PART.match(text, at)
        if not match or len(path) > MAX_DEPTH:
            raise RecipeError(f"{option}: {text[:80]!r} is not a key; write it like optim.lr or data.train.shards[0]")
        path += [match[1].strip("\"'"), *(int(index) for index in re.findall(r"\d+", match[2]))]
        at = match.end()
    return tuple(path)


def read_value(text: str, option: str) -> Any:
    """Read a TOML value; a bare word is a string."""
    try:
        values = parse(f"value = {text}", option)
    except RecipeError as error:
        if text[:1] in ('"', "'", "[", "{") or "\n" in text:
            forms = 'such as 3, 1e-3, true, "text", [1, 2]'
            raise RecipeError(f"{option}: {text[:80]!r} is not a TOML value, {forms}") from error
        return text
    if list(values) != ["value"]:
        raise RecipeError(f"{option}: give one value; repeat the option for more")
    return values["value"]


def _split(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError(f"--set {text[:80]}: should be KEY=VALUE, such as --set optim.lr=5e-4")
    path = read_key(key.strip(), f"--set {text[:80]}")
    if not value.strip():
        raise RecipeError(f"--set {text[:80]}: a value is missing; --unset {dotted(path)} takes the key out")
    return path, read_value(value.strip(), f"--set {dotted(path)}")


def _turn(pair: tuple[KeyPath, Any]) -> tuple[bool, int]:
    """Sort names of parts before all else, and that of a part inside of another one after the other's."""
    path, _ = pair
    return (False, len(path)) if _names_part(path) else (True, 0)


def _names_part(path: KeyPath) -> bool:
    return len(path) > 1 and path[-1] == part_key(path[:-1])


def _put(document: Document, path: KeyPath, value: Any) -> None:
    option = f"--set {dotted(path)}"
    table = _descend(document, path[:-1], option, make=True)
    key = path[-1]
    if isinstance(table, list) and not (isinstance(key, int) and key < len(table)):
        raise RecipeError(f"{option}: the list has {len(table)} items, the first is [0]")
    if isinstance(table, dict) and isinstance(key, int):
        raise RecipeError(f"{option}: {dotted(path[:-1])} is a table, not a list")
    if _names_part(path) and isinstance(table, dict) and table.get(key) not in (None, value):
        table.clear()
        forget(path[:-1], document)
    forget(path, document)
    table[key] = value  # pyright: ignore[reportArgumentType, reportCallIssue]
    document.origins[path] = SET
    other = (*path[:-1], INSTEAD.get(path, ""))
    if has(table, other[-1]) and document.origins.get(other) != SET:
        del table[other[-1]]  # pyright: ignore[reportArgumentType, reportCallIssue]
        forget(other, document)


def _remove(document: Document, text: str) -> None:
    option = f"--unset {text[:80]}"
    path = read_key(text.strip(), option)
    table = _descend(document, path[:-1], option, make=False)
    key = path[-1]
    if isinstance(table, list) and isinstance(key, int) and key < len(table):
        raise RecipeError(f"{option}: an item cannot be taken out of a list; set the list")
    if not isinstance(table, dict) or key not in table:
        keys = list(table) if isinstance(table, dict) else []
        close = difflib.get_close_matches(str(key), keys, n=1)
        hint = f"; did you mean '{dotted((*path[:-1], close[0]))}'?" if close else ""
        raise RecipeError(f"{option}: the recipe does not set this key{hint}")
    del table[key]
    forget(path, document)


def _descend(document: Document, path: KeyPath, option: str, *, make: bool) -> dict[Any, Any] | list[Any]:
    at: object = document.values
    for index, key in enumerate(path):
        if isinstance(at, dict) and isinstance(key, str):
            table = cast(dict[str, object], at)
            at = table.setdefault(key, {}) if make else table.get(key, {})
        elif isinstance(at, list) and isinstance(key, int) and key < len(cast(list[object], at)):
            at = cast(list[object], at)[key]
        else:
            raise RecipeError(f"{option}: {dotted(path[: index + 1])} does not exist: {_kind(at)}")
    if not isinstance(at, (dict, list)):
        raise RecipeError(f"{option}: {dotted(path)} is {_kind(at)}, not a table")
    return cast("dict[Any, Any] | list[Any]", at)


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(cast(list[object], value))} items"
    return "a table" if isinstance(value, dict) else f"the value {value!r}"
