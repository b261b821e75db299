"""What the JSON beside a picture says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

_BITS: Final = 1023
"""Of the largest integer that a float can stand for."""
_LONGEST: Final = 100
"""Characters of a number's name."""


def fields_of(data: bytes) -> Mapping[str, Any]:
    """Return the fields of a JSON object; none if it is damaged or something else. Integers beyond floats are left out."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    fields = cast(dict[str, Any], found)
    return {name: value for name, value in fields.items() if not isinstance(value, int) or value.bit_length() <= _BITS}


def numbers_of(fields: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among fields, but for those whose names are too long or cannot be shown."""
    return {
        name: float(value)
        for name, value in fields.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and len(name) <= _LONGEST
        and name.isprintable()
    }
