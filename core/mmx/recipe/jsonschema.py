"""The JSON Schema of recipes, with the options of every registered part, for editors."""

from __future__ import annotations

from typing import Any, cast

from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe

EXTENDS = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "Recipes that this one is put over: files next to it, or names of bundled ones.",
}


def json_schema(registries: Registries) -> dict[str, Any]:
    """Return the schema. A recipe may extend another, so no key is required: what is missing only a check can tell."""
    schema = Recipe.model_json_schema()
    schema["properties"] = {"extends": EXTENDS, **schema["properties"]}
    defs = cast(dict[str, Any], schema.setdefault("$defs", {}))
    for entry in registries:
        if entry.row.config:
            defs[f"{entry.kind}.{entry.name}"] = _part(entry, entry.row.key)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_open(schema, registries)}


def _part(entry: Entry, key: str) -> dict[str, Any]:
    # References stay inside the part's own schema.
    own = f"#/$defs/{entry.kind}.{entry.name}/$defs/{{model}}"
    schema = entry.config.model_json_schema(ref_template=own)
    name = {"const": entry.name, "description": entry.summary}
    schema["properties"] = {key: name, **{k: v for k, v in schema["properties"].items() if k != "name"}}
    return {**schema, "title": f"{entry.kind} {entry.name}", "description": entry.summary}


def _open(node: Any, registries: Registries) -> Any:
    """Put the registered parts where a part belongs, and require nothing."""
    if isinstance(node, list):
        return [_open(item, registries) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    table = cast(dict[str, Any], node)
    if {"type": "null"} in table.get("anyOf", ()):  # TOML has no null: the key is left out.
        others = [one for one in table["anyOf"] if one != {"type": "null"}]
        table = {key: value for key, value in table.items() if key != "default" or value is not None}
        table = {**table, "anyOf": others} if len(others) > 1 else {**others[0], **_without(table, "anyOf")}
    if "x-mmx-kind" in table:
        kind = str(table["x-mmx-kind"])
        parts = [{"$ref": f"#/$defs/{kind}.{entry.name}"} for entry in registries[kind]]
        return {"description": table.get("description", ""), "type": "object", **({"anyOf": parts} if parts else {})}
    listed = isinstance(table.get("required"), list)
    table = _without(table, "required") if listed else table
    return {key: _open(value, registries) for key, value in table.items()}


def _without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}
