"""What may be written in a table: key, type, default and help, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import BaseModel

from mmx.recipe.write import literal

WORDS: Final[Mapping[str, str]] = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "array": "list",
    "object": "table",
    "null": "",
}
NUMBERS: Final = {"exclusiveMinimum": "> {}", "minimum": ">= {}", "exclusiveMaximum": "< {}", "maximum": "<= {}"}
LISTS: Final = {"minItems": "at least {}", "maxItems": "at most {}"}


@dataclass(frozen=True)
class Option:
    """One key of a table."""

    key: str
    type: str
    help: str
    default: str
    """As TOML; empty if there is none."""
    needed: bool
    example: str = ""
    """As TOML; empty if there is none."""


def options(table: type[BaseModel], key: str = "name") -> list[Option]:
    """Return the keys of a table, those that must be given first.

    Args:
        table: the class that checks it.
        key: the key that names the part, which is written instead of ``name``.
    """
    schema = table.model_json_schema()
    needed = set(cast(Sequence[str], schema.get("required", ())))
    found = [
        _option(key if name == "name" else name, field, schema, name in needed)
        for name, field in cast(Mapping[str, dict[str, Any]], schema.get("properties", {})).items()
    ]
    return sorted(found, key=lambda option: not option.needed)


def write(rows: Iterable[Option], width: int = 80) -> str:
    """Write options one below the other, as TOML comments would be read."""
    text: list[str] = []
    for row in rows:
        state = "needed" if row.needed else f"default {row.default}" if row.default else "optional"
        text.append(textwrap.shorten(f"{row.key}: {row.type}; {state}", 10 * width))
        text += textwrap.wrap(row.help, width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(text)


def type_words(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON Schema allows."""
    field = _follow(field, schema)
    if "x-mmx-kind" in field:
        return f"table of {a(field['x-mmx-kind'])}"
    if "const" in field:
        return literal(field["const"])
    if "enum" in field:
        return " | ".join(literal(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(filter(None, (type_words(one, schema) for one in field["anyOf"])))
    words = WORDS.get(str(field.get("type", "")), "any value")
    limits = " and ".join(text.format(literal(field[key])) for key, text in NUMBERS.items() if key in field)
    if words == "list":
        return _list(field, schema)
    if words == "table" and ("patternProperties" in field or isinstance(field.get("additionalProperties"), dict)):
        return "tables by name" if "patternProperties" in field else "table with keys of its own"
    return f"{words} {limits}".strip()


def a(kind: str) -> str:
    """Put the article before a kind."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _list(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "prefixItems" in field:
        kinds = list(dict.fromkeys(type_words(one, schema) for one in field["prefixItems"]))
        return f"list of {len(field['prefixItems'])}: {', '.join(kinds)}"
    items = type_words(field["items"], schema) if field.get("items") else "any value"
    limits = " and ".join(text.format(field[key]) for key, text in LISTS.items() if key in field)
    return f"list{' of' if limits else ''} {limits}: {items}".replace("list :", "list of")


def _option(key: str, field: Mapping[str, Any], schema: Mapping[str, Any], needed: bool) -> Option:
    field = _follow(field, schema)
    default = field.get("default")
    written = "" if default is None or isinstance(default, dict) else literal(default)
    help = " ".join(str(field.get("description", "")).replace("``", "").split())
    example = next((literal(value) for value in field.get("examples", ())), "")
    return Option(key, type_words(field, schema), help, written, needed, example)


def _follow(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref")
    if not isinstance(reference, str):
        return field
    return {**schema["$defs"][reference.rpartition("/")[2]], **{k: v for k, v in field.items() if k != "$ref"}}
