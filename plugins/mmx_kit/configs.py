"""Options: closed to unknown keys and wrong types, documented, frozen, and equal after a round trip."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import tomli_w
from pydantic import ValidationError

from mmx.config import PartConfig
from mmx.plugin.kinds import BUILT
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.option_reads import unread
from mmx_kit.uses import fresh

_ALL: Final = BUILT
_UNKNOWN: Final = "mmx_unknown_key"
_VALUES: Final[Mapping[str, object]] = {
    "string": "7",
    "integer": 7,
    "number": 0.5,
    "boolean": True,
    "array": [[None]],
    "object": {_UNKNOWN: None},
}
"""A value of each JSON type; those that a loose conversion would turn into another type, where there are such."""

EXAMPLES: Final = "examples"
"""The check on which all rest: the others are run with an example."""

Schema = Mapping[str, Any]


def _unknown_keys(case: Case) -> None:
    schema = _schema(case)
    for where, table in _tables(schema):
        if table.get("additionalProperties", True) is not False:
            raise BrokenError(f'{where} takes unknown keys; derive it from mmx.config.Table, which has extra="forbid"')
    # A validator may drop what the schema forbids, so one key is tried.
    if _holds(case, {**_plain(case), _UNKNOWN: 1}):
        raise BrokenError(f"the key {_UNKNOWN} does not exist, but is taken without a word")


def _wrong_types(case: Case) -> None:
    schema = _schema(case)
    for name, told in cast(Mapping[str, Schema], schema.get("properties", {})).items():
        right = _types(told, schema)
        if not right:
            raise BrokenError(f"the option {name} takes any value: give it a type")
        for kind, value in _VALUES.items():
            fits = kind in right or (kind == "integer" and "number" in right)
            if not fits and _holds(case, {**_plain(case), name: value}):
                wanted = " or ".join(sorted(right))
                raise BrokenError(f"{name} = {json.dumps(value)} is taken, but {name} is {wanted}; options are strict")


def _documented(case: Case) -> None:
    if not case.entry.summary.strip() or "\n" in case.entry.summary.strip():
        raise BrokenError(f"its summary is one line for listings, not {case.entry.summary!r}")
    for where, table in _tables(_schema(case)):
        for name, told in cast(Mapping[str, Schema], table.get("properties", {})).items():
            if not str(told.get("description", "")).strip():
                raise BrokenError(f"the option {name} of {where} has no help: put a docstring below the field")


def _read(case: Case) -> None:
    exempt = set(case.entry.row.options().model_fields)
    ignored = unread(case, exempt)
    if ignored:
        raise BrokenError(
            f"the option {ignored[0]} is never read by the part: who sets it is ignored without a word "
            "(look for another spelling in the code, or take the option away)"
        )


def _round_trip(case: Case) -> None:
    for what, config in _forms(case):
        try:
            by_json = type(config).model_validate_json(config.model_dump_json(), context=case.registries)
            text = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
            by_toml = type(config).model_validate_json(json.dumps(tomllib.loads(text)), context=case.registries)
        except (ValidationError, TypeError) as error:
            raise BrokenError(f"{what}, written and read again, do not hold: {_line(error)}") from error
        for name, again in (("JSON", by_json), ("TOML, as a resolved recipe is", by_toml)):
            if again != config:
                key = next(key for key in type(config).model_fields if getattr(again, key) != getattr(config, key))
                change = f"{key} was {getattr(config, key)!r}, is {getattr(again, key)!r}"
                raise BrokenError(f"{what} are not equal after a round trip through {name}: {change}")


def _forms(case: Case) -> Iterator[tuple[str, PartConfig]]:
    yield "the options of example()", case.config
    yield "the options of tiny()", case.config.tiny()
    if not any(field.is_required() for name, field in case.entry.config.model_fields.items() if name != "name"):
        with suppress(ValidationError):  # a validator asks for more than its fields do
            yield "the defaults", case.entry.config(name=case.entry.name)


def _frozen(case: Case) -> None:
    for name in type(case.config).model_fields:
        try:
            setattr(case.config.model_copy(), name, getattr(case.config, name))
        except ValidationError:
            continue
        raise BrokenError(
            f"the option {name} can be changed; options are frozen, so that the recipe tells what was run"
        )


def _example(case: Case) -> None:
    wanted = case.entry.config
    for what, found in (("example(name, folder)", case.config), ("tiny()", case.config.tiny())):
        if type(found) is not wanted:
            raise BrokenError(f"{what} returns {type(found).__name__}, expected {wanted.__name__}")
        if found.name != case.entry.name:
            raise BrokenError(f'{what} returns options named "{found.name}", expected "{case.entry.name}"')
    tiny = case.config.tiny()
    if tiny.tiny() != tiny:
        raise BrokenError(f"tiny() of tiny options changes them again: {tiny} became {tiny.tiny()}")
    part = fresh(case)
    if not isinstance(part, case.entry.load()):
        raise BrokenError(f"{case.entry.part}(config) makes a {type(part).__name__}")


def needed(config: type[PartConfig]) -> list[str]:
    """Return the options without a default, where nothing gives an example of them."""
    own = config.example.__func__ is not PartConfig.example.__func__
    return [] if own else [name for name, told in config.model_fields.items() if told.is_required() and name != "name"]


def _plain(case: Case) -> dict[str, Any]:
    return case.config.model_dump(mode="json", exclude_none=True)


def _holds(case: Case, values: Mapping[str, Any]) -> bool:
    try:
        case.entry.config.model_validate_json(json.dumps(values), context=case.registries)
    except ValidationError:
        return False
    return True


def _schema(case: Case) -> Schema:
    try:
        return case.entry.config.model_json_schema()
    except Exception as error:
        raise BrokenError(f"its options have no JSON schema: {_line(error)}") from error


def _tables(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the tables of a schema that list their keys."""
    inner = cast(Mapping[str, Schema], schema.get("$defs", {}))
    for name, table in ((str(schema.get("title", "the options")), schema), *inner.items()):
        if "properties" in table:
            yield name, table


def _types(told: Schema, schema: Schema) -> set[str]:
    """Return the JSON types that an option may have, empty if any."""
    if "$ref" in told:
        return _types(schema["$defs"][str(told["$ref"]).rpartition("/")[2]], schema)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in told:
            return set[str]().union(*(_types(one, schema) for one in told[several]))
    if "enum" in told or "const" in told:
        names = {bool: "boolean", int: "integer", float: "number", str: "string"}
        found = {names.get(type(value), "null") for value in told.get("enum", [told.get("const")])}
        return found | {"boolean"} if "integer" in found else found  # Literal[1] takes what equals 1, and true does
    kinds = told.get("type", ())
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _line(error: Exception) -> str:
    return inspect.cleandoc(str(error)).replace("\n", " ")[:300]


CONFIG_CHECKS: Final = (
    Check("unknown keys", "options refuse keys that do not exist, in nested tables too", _ALL, _unknown_keys),
    Check("wrong types", "options refuse values of another type, and convert nothing", _ALL, _wrong_types),
    Check("help", "every option has a help text, and the part a summary", _ALL, _documented),
    Check("options read", "no option is ignored: the part's code reads each of them", _ALL, _read),
    Check("round trip", "options written as JSON or TOML read back as equal ones; defaults hold", _ALL, _round_trip),
    Check("frozen", "options cannot be changed once they are read", _ALL, _frozen),
    Check(EXAMPLES, "example() and tiny() give valid options, with which the part can be built", _ALL, _example),
)
