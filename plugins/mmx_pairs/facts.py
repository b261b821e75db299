"""From a cell of a table to a fact of a sample."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from mmx.parts.dataset import BadSampleError, Fact
from mmx_pairs.rows import number_of


def fact_of(value: object, kind: str, column: str) -> Fact:
    """Return a cell as a fact: an "int", a "float", or a "vector" of numbers.

    Raises:
        BadSampleError: it is something else, or nothing.
    """
    if kind == "vector":
        items: object = value.tolist() if isinstance(value, np.ndarray) else value
        numbers = [number_of(item) for item in cast("list[Any]", items)] if isinstance(items, list | tuple) else []
        if numbers and None not in numbers:
            return tuple(cast("list[float]", numbers))
    number = number_of(value)
    if kind == "float" and number is not None:
        return number
    if kind == "int" and number is not None and number.is_integer() and -(2**63) <= int(cast("float", value)) < 2**63:
        return int(cast("float", value))
    shown = str(value)
    short = shown if len(shown) <= 40 else f"{shown[:40]}..."
    what = {"int": "a whole number of 64 bits", "float": "a number", "vector": "a list of numbers"}[kind]
    raise BadSampleError(f"the fact '{column}' is not {what}, but {short!r}")
