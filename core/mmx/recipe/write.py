"""Writing recipes as TOML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import tomli_w

from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath, dotted

WIDTH: Final = 80


def to_toml(recipe: Recipe, *, sources: bool = False) -> str:
    """Write a resolved recipe: every value, also the defaults.

    Args:
        recipe: what to write.
        sources: whether a comment says where each value came from that is not a default.
    """
    notes = {key: where for key, where in recipe.sources.items() if where != "default"} if sources else {}
    return "\n".join(_table(recipe.resolved(), (), notes)).lstrip("\n") + "\n"


def literal(value: object) -> str:
    """Write a value in one line."""
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in cast(list[object], value))}]"
    if isinstance(value, Mapping):
        pairs = cast(Mapping[str, object], value).items()
        return f"{{ {', '.join(f'{dotted((key,))} = {literal(item)}' for key, item in pairs)} }}" if pairs else "{}"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _table(table: Mapping[str, Any], path: KeyPath, notes: Mapping[str, str]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    text = [line for key, value in plain.items() for line in _pair((*path, key), value, notes)]
    if path and (plain or not table):
        text = ["", f"[{dotted(path)}]", *text]
    for key, value in table.items():
        if isinstance(value, dict):
            text += _table(cast(dict[str, Any], value), (*path, key), notes)
    return text


def _pair(path: KeyPath, value: object, notes: Mapping[str, str]) -> list[str]:
    key = dotted(path[-1:])
    note = _note(path, notes)
    line = f"{key} = {literal(value)}"
    if isinstance(value, list) and len(line) > WIDTH:
        rows = [f"    {literal(item)}," for item in cast(list[object], value)]
        return [f"{key} = [{note}", *rows, "]"]
    return [f"{line}{note}"]


def _note(path: KeyPath, notes: Mapping[str, str]) -> str:
    key = dotted(path)
    # A list of tables has a note for each value in it.
    found = dict.fromkeys(where for name, where in notes.items() if name == key or name.startswith(f"{key}["))
    return f"  # {', '.join(found)}" if found else ""
