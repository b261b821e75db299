"""Plain words for what pydantic finds."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

from mmx.recipe.source import quote

WANTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of at most 64 bits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text in quotes",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "path_type": "a path in quotes",
}

LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


def message(details: ErrorDetails) -> str:
    """Say what was expected instead of what is there."""
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind in WANTED:
        return f"should be {WANTED[kind]}, not {show_value(value)}"
    if kind in LIMITS:
        words, key = LIMITS[kind]
        return f"should be {words} {context[key]:g}, not {show_value(value)}"
    if kind in SPECIAL:
        return SPECIAL[kind](context, value)
    if kind == "value_error":
        return show(str(context.get("error", details["msg"])))
    return show(details["msg"].removeprefix("Input "))


def alternatives(texts: list[str], value: object) -> str:
    """Join what is said of the alternatives of one value: it should be one or the other."""
    ends = f", not {show_value(value)}"
    if len(texts) > 1 and all(text.startswith("should be ") and ends in text for text in texts):
        return "should be " + " or ".join(text.removeprefix("should be ").partition(ends)[0] for text in texts) + ends
    return ", or ".join(dict.fromkeys(texts))


def show(text: str) -> str:
    """Put a text in one line without a full stop, since it goes into the middle of one."""
    line = " ".join(text.replace("``", "").split()).rstrip(".")
    return line[:1].lower() + line[1:] if line[1:2].islower() or line[1:2] == " " else line


def show_value(value: object) -> str:
    """Show a value the way TOML would, shortened, and control characters escaped."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = quote(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _choices(context: Mapping[str, Any], value: object) -> str:
    expected = str(context["expected"])
    known = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"should be {expected.replace(chr(39), chr(34))}, not {show_value(value)}{hint}"


def _length(words: str, key: str) -> Callable[[Mapping[str, Any], object], str]:
    return lambda context, _: f"should have {words} {context[key]} items, not {context['actual_length']}"


def _characters(words: str, key: str) -> Callable[[Mapping[str, Any], object], str]:
    return lambda context, value: f"should have {words} {context[key]} characters, not {len(str(value))}"


SPECIAL: Final[Mapping[str, Callable[[Mapping[str, Any], object], str]]] = {
    "literal_error": _choices,
    "enum": _choices,
    "string_pattern_mismatch": lambda context, value: f"should match {context['pattern']}, not {show_value(value)}",
    "string_too_short": _characters("at least", "min_length"),
    "string_too_long": _characters("at most", "max_length"),
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    "part": lambda context, _: str(context["text"]),
    "part_plugin": lambda context, _: str(context["text"]),
    "missing": lambda context, _: "is missing",
}
