"""The pages of ``mmx recipe schema`` and ``mmx plugins show``."""

from __future__ import annotations

import difflib
import inspect
import textwrap
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import BaseModel

from mmx.config import GroupTable, WeightsTable
from mmx.errors import RecipeError
from mmx.plugin.kinds import KINDS, Entry
from mmx.plugin.registry import Registries
from mmx.recipe.describe import Option, a, options, write
from mmx.recipe.docstrings import about
from mmx.recipe.schema import (
    CheckpointTable,
    DataTable,
    MixTable,
    PreprocessTable,
    Recipe,
    TeacherTable,
    TrainTable,
    TurnTable,
)
from mmx.recipe.source import dotted, quote

TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "preprocess": PreprocessTable,
    "weights": WeightsTable,
    "teachers": TeacherTable,
    "data": DataTable,
    "data.mix": MixTable,
    "data.turns": TurnTable,
    "optim.groups": GroupTable,
    "train": TrainTable,
    "checkpoint": CheckpointTable,
}
KIND_OF: Final[Mapping[str, str]] = {
    kind.table: kind.name for kind in KINDS.values() if kind.table not in ("", kind.name)
}
"""The kind of part that belongs in a table."""


def kind_of(word: str, kinds: Collection[str] = KINDS) -> str:
    """Return a kind, of those there are, by its name or by that of its table.

    Raises:
        RecipeError: there is none.
    """
    kind = KIND_OF.get(word, word)
    if kind in kinds:
        return kind
    close = difflib.get_close_matches(word, kinds, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise RecipeError(f"there is no kind of part '{word}'{hint} (kinds: {', '.join(kinds)})\nhelp: mmx plugins")


def page(topic: str, registries: Registries) -> str:
    """Describe a table (``optim``), the parts of a kind (``losses``), or one part (``losses.clip``).

    Raises:
        RecipeError: there is no such topic.
    """
    if topic in TABLES:
        title = f"{topic}.NAME" if topic in ("teachers", "data.turns", "optim.groups") else topic
        return _titled(title, TABLES[topic].__doc__ or "", options(TABLES[topic]))
    for length in range(len(topic), 0, -1):
        table, rest = topic[:length], topic[length + 1 :]
        kind = KIND_OF.get(table, table)
        if kind in registries.kinds and topic[length : length + 1] in ("", "."):
            return part_page(registries[kind][rest]) if rest in registries[kind] else _kind_page(kind, registries)
    known = [*TABLES, *KIND_OF, *registries.kinds]
    close = difflib.get_close_matches(topic, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise RecipeError(f"a recipe has no table '{topic}'{hint}\nhelp: mmx recipe schema")


def overview() -> str:
    """Describe the tables of a recipe."""
    about = "Recipes that this one is put over: files next to it, or names of recipes of mmx."
    rows = write([Option("extends", "text or list of text", about, "", needed=False), *options(Recipe)])
    return f"{rows}\n\nmmx recipe schema TABLE shows the keys of a table; mmx recipe schema --json is for editors"


def part_page(entry: Entry) -> str:
    """Describe a part: what it does, its options, where it is defined, and a table to paste."""
    rows = [row for row in options(entry.config) if row.key != "name"]
    found = about(entry)
    lines = [
        *(f"{entry.kind} {entry.name}", *textwrap.wrap(" ".join(entry.summary.split()), 80), ""),
        *([*wrapped(found.text), ""] if found.text else []),
        *([write(rows) or "no options", ""] if entry.row.config else []),
        f"from {entry.owner}",
        f"part in {found.place}",
        *([f"options in {_place(entry)}"] if entry.row.config else []),
        *(["", snippet(entry)] if entry.row.table else []),
    ]
    return "\n".join(lines)


def part_plain(entry: Entry) -> dict[str, Any]:
    """Return the same as plain values."""
    rows = [{**asdict(row), "default": _value(row.default)} for row in options(entry.config) if row.key != "name"]
    found = about(entry)
    where = {"owner": entry.owner, "part": entry.part, "place": found.place, "config": _place(entry)}
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "about": found.text,
        **where,
        "options": rows,
    }


def wrapped(text: str) -> list[str]:
    """Wrap a docstring's paragraphs that are too wide; what is indented, formulas among it, stays as it is."""
    lines: list[str] = []
    for block in text.split("\n\n"):
        rows = block.splitlines()
        flat = not any(row.startswith((" ", "- ", "* ")) for row in rows)
        lines += [*(textwrap.wrap(block, 80) if flat and max(map(len, rows), default=0) > 80 else rows), ""]
    return lines[:-1]


def _value(default: str) -> object:
    """Return a default, written as TOML, as the value it means; None where there is none."""
    return tomllib.loads(f"value = {default}")["value"] if default else None


def snippet(entry: Entry) -> str:
    """Write a table for a recipe; options that have a default are comments."""
    if entry.kind == "weights":  # a format is found by itself; its name is written where a folder is of several
        return f'[weights]\nfrom = "{entry.name}:FOLDER"  # or "FOLDER", where it is of no other format as well'
    lines = [f"[{entry.row.place(dotted((entry.name,)))}]", f"{entry.row.key} = {quote(entry.name)}"]
    if entry.kind in ("loss", "evaluator"):
        lines.insert(0, f"# one more {entry.kind}; under the name of one that the recipe has, it takes its place")
    for row in options(entry.config):
        if row.needed and row.key != "name":
            lines.append(f"# {row.key} = ...  # needed: {row.type}")
        elif row.default:
            lines.append(f"# {row.key} = {row.default}")
        elif row.key != "name":
            lines.append(f"# {row.key} = ...  # optional: {row.type}")
    return "\n".join(lines)


def _kind_page(kind: str, registries: Registries) -> str:
    row = registries.row(kind)
    where = f"[{row.place('NAME')}]  {a(kind)}" if row.table else f"{a(kind)}: {row.about}"
    text = [f"{where}; its key {row.key} says which:" if row.config else where]
    for entry in registries[kind]:
        text += textwrap.wrap(f"{entry.name}: {entry.summary}", 80, initial_indent="  ", subsequent_indent="      ")
    if len(text) == 1:
        text.append("  none is installed")
    common = [option for option in options(row.options()) if option.key != "name"] if row.config else []
    text += ["", "each has these options:", write(common)] if common else []
    how = f"mmx recipe schema {kind}.NAME shows the options of one" if row.config else f"mmx plugins show {kind} NAME"
    return "\n".join([*text, "", how])


def _titled(title: str, about: str, rows: list[Option]) -> str:
    text = textwrap.wrap(" ".join(about.split()), 80)
    return "\n".join([f"[{title}]" if " " not in title else title, *text, "", write(rows) or "no options"])


def _place(entry: Entry) -> str:
    try:
        return f"{inspect.getsourcefile(entry.config)}:{inspect.getsourcelines(entry.config)[1]}"
    except (OSError, TypeError):
        return f"{entry.config.__module__}.{entry.config.__qualname__}"
