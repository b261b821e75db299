"""Values that JSON keeps exactly. Never imports torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from mmx.errors import CheckpointError

Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"
"""What a checkpoint may hold beside tensors: JSON, with finite numbers."""

LIMIT: Final = 1 << 26
"""Bytes that a state file may have at most."""
_DEPTH: Final = 100


def dump(values: Mapping[str, Plain]) -> bytes:
    """Return values as JSON that reads back equal.

    Raises:
        CheckpointError: a value would not come back as it went in; the message names its key.
    """
    _check(values, "", 0)
    try:
        data = (json.dumps(values, allow_nan=False) + "\n").encode("ascii")
    except ValueError as error:
        raise CheckpointError(f"the state cannot be written as JSON: {error}") from error
    if len(data) > LIMIT:
        raise CheckpointError(f"the state has {len(data):,} bytes of JSON, {LIMIT:,} are allowed; use tensors instead")
    return data


def load(data: bytes) -> dict[str, Any]:
    """Return what was dumped.

    Raises:
        ValueError: it is not a JSON object.
    """
    if len(data) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT} bytes")
    try:
        values = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return cast(dict[str, Any], values)


def _check(value: object, key: str, depth: int) -> None:
    if depth > _DEPTH:
        raise CheckpointError(f"the value '{key}' of the state is nested more than {_DEPTH} deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise CheckpointError(f"the value '{key}' of the state is {value}; JSON has finite numbers only, use a tensor")
    kind = type(value)
    if kind is list:
        for place, item in enumerate(cast(list[object], value)):
            _check(item, f"{key}[{place}]", depth + 1)
    elif kind is dict:
        for name, item in cast(dict[object, object], value).items():
            if type(name) is not str:
                raise CheckpointError(f"a key of '{key}' of the state is {name!r}; JSON has text keys only")
            _check(item, f"{key}.{name}" if key else name, depth + 1)
    elif value is not None and kind not in (bool, int, float, str):
        raise CheckpointError(f"the value '{key}' of the state is a {kind.__name__}; use tensors or plain JSON values")
