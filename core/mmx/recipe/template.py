"""A new recipe from chosen parts, with every option as a comment."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from mmx.errors import RecipeError
from mmx.plugin.kinds import KINDS
from mmx.plugin.registry import Registries
from mmx.recipe.describe import Option, options
from mmx.recipe.schema import CheckpointTable, DataTable, PreprocessTable, TrainTable
from mmx.recipe.shape import slot_at
from mmx.recipe.source import dotted, quote

PLACES: Final[Mapping[str, str]] = {kind.name: kind.place("{}") for kind in KINDS.values() if kind.table}
"""The table that a part of each kind is written to; ``{}`` is the part's name."""
FREE: Final = tuple(kind for kind in PLACES if not KINDS[kind].needed)
"""Kinds that a recipe can do without."""
HIDDEN: Final = ("schedule", "groups")
"""Tables of an optimizer, which are not options of one line."""


def template(chosen: Mapping[str, Sequence[str]], registries: Registries) -> str:
    """Write a recipe.

    Args:
        chosen: names of parts by kind; the first registered one is taken of a kind that is needed and not given.
        registries: the parts there are.

    Raises:
        PluginError: there is no part of a chosen name.
        RecipeError: there is no part of a kind that is needed.
    """
    parts = {kind: _parts(kind, PLACES[kind], chosen.get(kind, ()), registries) for kind in PLACES}
    tables = [
        *(parts[kind] for kind in ("image_encoder", "text_encoder", "fusion", "tokenizer")),
        _table("preprocess", PreprocessTable, {"size": "64"}),
        parts["loss"],
        _table("data", DataTable, {"batch": "64"}, hidden=("train", "images", "texts")),
        *(parts[kind] for kind in ("dataset", "image_transform", "text_transform")),
        *(parts[kind] for kind in ("optimizer", "schedule")),
        _table("train", TrainTable, {"steps": "1000"}),
        _table("checkpoint", CheckpointTable, {}),
        *(parts[kind] for kind in FREE),
    ]
    return "\n".join(line for table in tables for line in table).lstrip("\n") + "\n"


def _parts(kind: str, place: str, names: Sequence[str], registries: Registries) -> list[str]:
    known = [entry.name for entry in registries[kind]]
    if not names and kind not in FREE:
        if not known:
            raise RecipeError(f"no {kind} is installed\nhelp: mmx plugins")
        slot = slot_at(tuple(place.split(".")), {}, registries)
        names = [slot.default] if slot is not None and slot.default in known else known[:1]
    text: list[str] = []
    for name in names:
        entry = registries[kind][name]
        key = KINDS[kind].key
        others = [quote(other) for other in known if other != name]
        note = f"  # or {', '.join(others)}" if others else ""
        about, *rows = _table(
            place.format(dotted((name,))), entry.config, {key: quote(name) + note}, key=key, hidden=HIDDEN
        )
        text += [about, *_comment(entry.summary), *rows]
    return text


def _table(
    path: str, table: type[BaseModel], given: Mapping[str, str], *, key: str = "name", hidden: Sequence[str] = ()
) -> list[str]:
    rows = [row for row in options(table, key) if row.key not in hidden]
    lines = [line for row in rows for line in _row(row, given.get(row.key, ""))]
    return ["", f"[{path}]", *lines]


def _row(row: Option, value: str) -> Iterator[str]:
    if value and row.key in {kind.key for kind in KINDS.values()}:
        yield f"{row.key} = {value}"
        return
    yield from _comment(row.help)
    if value:
        yield f"{row.key} = {value}"
    elif row.needed:
        yield f"# {row.key} = ...  # NEEDED: {row.type}"
    else:
        yield f"# {row.key} = {row.default}" if row.default else f"# {row.key} = ...  # {row.type}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")
