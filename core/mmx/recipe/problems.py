"""What is wrong with a recipe, in one line each: where, which key, what was expected, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mmx.plugin.registry import Registries
from mmx.recipe.document import Document
from mmx.recipe.messages import alternatives, message, show, show_value
from mmx.recipe.schema import Recipe
from mmx.recipe.shape import keys_of, slot_at, table_at
from mmx.recipe.source import KeyPath, at, dotted, has, item

MOST: Final = 100
"""Problems of fields that are explained; a file with more is no recipe."""
TOPICS: Final = Recipe.model_fields.keys() - {"name", "seed"}
"""Tables of a recipe."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    file: str
    """The file, or ``--set``."""
    line: int
    """0 where there is none."""
    key: str
    """The full path of the key."""
    message: str
    table: str = ""
    """What ``mmx recipe schema`` is asked for, to see what is allowed here."""
    plugin: bool = False
    """Whether a plugin is to blame."""
    data: bool = False
    """Whether the data is to blame."""

    def __str__(self) -> str:
        text = self.message if self.message.startswith(f"{self.key} ") else f"{self.key}: {self.message}"
        if self.file == "--set":
            return f"--set {text}"
        return f"{self.file}{f':{self.line}' if self.line else ''}: {text}"


def problem(
    document: Document, path: KeyPath, text: str, *, table: str = "", plugin: bool = False, data: bool = False
) -> Problem:
    """Describe a problem at a key."""
    table = table or str(path[0]) * (path[0] in TOPICS)
    origin = document.origin(path)
    return Problem(origin.label, origin.line, dotted(path), text, table, plugin, data)


def explain(error: ValidationError, document: Document, registries: Registries) -> list[Problem]:
    """Turn what pydantic found into problems; alternatives of one value become one problem."""
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path = _locate(details["loc"], document.values, details["type"])
        found.setdefault(path, []).append(details)
    problems = [_explain(path, found[path], document, registries) for path in list(found)[:MOST]]
    more = [Problem(document.label, 0, "...", f"{len(found) - MOST:,} more problems")] if len(found) > MOST else []
    return problems + more


def report(problems: Sequence[Problem], label: str) -> str:
    """Write problems in the order of the file, and the command that helps."""
    ordered = sorted(problems, key=lambda item: (item.file != label, item.file, item.line or 10**9))
    tables = list(dict.fromkeys(item.table for item in ordered if item.table and not item.plugin))
    blame = all(item.plugin for item in ordered)
    helps = "mmx plugins" if blame else " ".join(["mmx recipe schema", *tables[:4]])
    count = f"more than {MOST}" if len(ordered) > MOST else len(ordered)
    head = [f"{label}: {count} problems"] if len(ordered) > 1 else []
    return "\n".join([*head, *(str(item) for item in ordered), f"help: {helps}"])


def _explain(path: KeyPath, errors: list[ErrorDetails], document: Document, registries: Registries) -> Problem:
    text = alternatives([message(details) for details in errors], errors[0]["input"])
    kind = errors[0]["type"]
    if kind == "extra_forbidden":
        text = unknown(path, document.values, registries)
    elif kind == "missing":
        text = _missing(path, document.values, registries)
    elif errors[0]["loc"][-1] == "[key]":
        text = "a name is up to 64 letters, digits, '_' and '-', and starts with a letter"
    elif kind == "string_pattern_mismatch" and (help := _help(path, document.values, registries)):
        text = f"is not allowed to be {show_value(errors[0]['input'])}: {help}"
    return problem(document, path, text, table=topic(path, document.values, registries), plugin=kind == "part_plugin")


def _locate(loc: Sequence[str | int], values: object, kind: str) -> KeyPath:
    """Keep those steps of pydantic's location that are keys; it also names alternatives of a type and the like."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        new = kind == "missing" and index == len(loc) - 1 and isinstance(values, dict)
        if new or has(values, step):
            path.append(step)
            values = item(values, step)
    return tuple(path)


def unknown(path: KeyPath, values: dict[str, Any], registries: Registries) -> str:
    """Say that there is no such key in a recipe of these values, and which there are."""
    table = table_at(path[:-1], values, registries)
    keys = keys_of(table, path[:-1]) if table else []
    close = difflib.get_close_matches(str(path[-1]), keys, n=1)
    elsewhere = _elsewhere(path, values, registries)
    if elsewhere and not close:
        return f"unknown key (known: {', '.join(keys)}); {elsewhere}"
    return f"unknown key; did you mean '{close[0]}'?" if close else f"unknown key (known: {', '.join(keys)})"


def _elsewhere(path: KeyPath, values: dict[str, Any], registries: Registries) -> str:
    """Say where an option of this name is: in a part inside of this one, or in another part of the kind."""
    table = table_at(path[:-1], values, registries)
    for name in table.model_fields if table else ():
        inner = (*path[:-1], name)
        inside = table_at(inner, values, registries) if slot_at(inner, values, registries) else None
        if inside and path[-1] in inside.model_fields:
            return f"it is an option of [{dotted(inner)}]: write it there, or --set {dotted((*inner, path[-1]))}=..."
    slot = slot_at(path[:-1], values, registries)
    if slot is None or slot.kind != "engine":  # the one kind whose parts do the same work in other ways
        return ""
    own = at(values, (*path[:-1], slot.key))
    having = [entry.name for entry in registries[slot.kind] if path[-1] in entry.config.model_fields]
    names = [name for name in having if name != own]
    key = dotted((*path[:-1], slot.key))
    return f"it is an option of the {slot.kind} '{names[0]}': set {key} = \"{names[0]}\"" if names else ""


def _missing(path: KeyPath, values: dict[str, Any], registries: Registries) -> str:
    if isinstance(at(values, path), list):
        return "should have more items"
    slot = slot_at(path[:-1], values, registries)
    if slot and path[-1] == slot.key:
        known = ", ".join(registries[slot.kind].names()) or "none"
        return f"is missing: it names the {slot.kind} (known: {known})"
    help = _help(path, values, registries)
    return f"is missing: {help}" if help else "is missing"


def _help(path: KeyPath, values: dict[str, Any], registries: Registries) -> str:
    table = table_at(path[:-1], values, registries)
    field = table.model_fields.get(str(path[-1])) if table else None
    return show(field.description or "") if field else ""


def topic(path: KeyPath, values: dict[str, Any], registries: Registries) -> str:
    """Return the table to ask ``mmx recipe schema`` for: a part's own where it is known, else the one in the recipe."""
    for length in range(len(path) - 1, 0, -1):
        slot = slot_at(path[:length], values, registries)
        if slot:
            name = at(values, (*path[:length], slot.key)) or slot.default
            known = isinstance(name, str) and name in registries[slot.kind]
            return f"{slot.kind}.{name}" if known else slot.kind
    return ""
