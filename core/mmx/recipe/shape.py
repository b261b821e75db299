"""Which table belongs where: walks the recipe's types along a key, through the parts that it names."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from mmx.config import Slot
from mmx.plugin.registry import Registries
from mmx.recipe.document import part_key
from mmx.recipe.schema import Recipe
from mmx.recipe.source import KeyPath, item


def table_at(path: KeyPath, values: Mapping[str, Any], registries: Registries) -> type[BaseModel] | None:
    """Return the class that checks the table at a path; None where it is free, or its part is unknown."""
    return _table(_walk(path, values, registries))


def keys_of(table: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that may be written in a table."""
    keys = [field.alias or name for name, field in table.model_fields.items()]
    return [part_key(path) if key == "name" else key for key in keys]


def slot_at(path: KeyPath, values: Mapping[str, Any], registries: Registries) -> Slot | None:
    """Return the slot at a path if a part belongs there."""
    return _slot(_walk(path, values, registries, resolve=False))


def _walk(path: KeyPath, values: object, registries: Registries, *, resolve: bool = True) -> object:
    kind: object = Recipe
    for key in path:
        kind = _choose(kind, values, registries)
        kind = _inside(kind, key)
        values = item(values, key)
    return _choose(kind, values, registries) if resolve else kind


def _choose(kind: object, values: object, registries: Registries) -> object:
    """Replace a slot by the class of the part that the values name."""
    slot = _slot(kind)
    if slot is None:
        return kind
    name = item(values, slot.key) or slot.default
    registry = registries[slot.kind]
    return registry[name].config if isinstance(name, str) and name in registry else None


def _slot(kind: object) -> Slot | None:
    origin = get_origin(kind)
    if origin is Annotated:
        found = [extra for extra in get_args(kind)[1:] if isinstance(extra, Slot)]
        return found[0] if found else _slot(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return next((slot for slot in map(_slot, get_args(kind)) if slot), None)
    return None


def _inside(kind: object, key: str | int) -> object:
    table = _table(kind)
    if table:
        field = table.model_fields.get(str(key))
        return field.rebuild_annotation() if field else None
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _inside(args[0], key)
    if origin in (Union, types.UnionType):
        return next((found for found in (_inside(arg, key) for arg in args) if found), None)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:
        return args[1]
    if isinstance(origin, type) and issubclass(origin, Sequence) and args:
        return args[0]
    return None


def _table(kind: object) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if get_origin(kind) in (Annotated, Union, types.UnionType):
        return next((table for table in map(_table, get_args(kind)) if table), None)
    return None
