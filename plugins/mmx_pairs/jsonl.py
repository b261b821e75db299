"""Rows of jsonl tables: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final, cast, final

import numpy as np
from typing_extensions import override

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.lines import LONGEST, Records, newlines
from mmx_pairs.rows import Row, Rows
from mmx_pairs.source import Source

_FOR_NAMES: Final = 1000
_WRITTEN: Final = ~np.isin(np.arange(256), list(b" \t\r\n"))


@final
class JsonLines(Rows):
    """Rows with fields. Columns are those of the first thousand rows; a row may lack some."""

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name

    @cached_property
    def records(self) -> Records:
        """All lines that are not blank."""
        return _records(self.source)

    @cached_property
    @override
    def columns(self) -> Sequence[str]:
        names: dict[str, None] = {}
        for number in range(min(_FOR_NAMES, len(self))):
            found = _parsed(self.records.read(self.source, number))
            if not isinstance(found, str):
                names.update(dict.fromkeys(found))
        return list(names)

    @override
    def __len__(self) -> int:
        return len(self.records)

    @override
    def row(self, number: int) -> Row:
        found = _parsed(self.records.read(self.source, number))
        if isinstance(found, str):
            raise BadSampleError(f"{self.place(number)} {found}")
        return found

    @override
    def scan(self, columns: Sequence[str]) -> Iterator[Row | None]:
        for record in self.records.scan(self.source):
            found = _parsed(record)
            yield None if isinstance(found, str) else found

    @override
    def may_have(self, column: str) -> bool:
        return True  # later rows may have others than the first ones

    @override
    def place(self, number: int) -> str:
        return f"line {self.records.lines[number]} of {self.name}"


def _parsed(record: bytes) -> Row | str:
    """Return a line's fields, or what is wrong with it."""
    try:
        value: Any = json.loads(record.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte {error.start} of the line)"
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return cast(Row, value) if isinstance(value, dict) else "is no JSON object with fields"


def _records(source: Source) -> Records:
    starts, lines = [np.array([], dtype=np.int64)], [np.array([], dtype=np.uint32)]
    offset, line, rest = 0, 1, b""
    for block in source.blocks():
        data = rest + block
        if len(data) > LONGEST and b"\n" not in data:
            raise DataError(
                f"table {source.name}: line {line} is longer than {LONGEST} bytes; expected one JSON object a line, not "
                "one list of all"
            )
        begins = np.concatenate([[0], newlines(data) + 1])
        _keep(data, begins, starts, lines, offset, line)
        end = int(begins[-1])
        offset, line, rest = offset + end, line + len(begins) - 1, data[end:]
    if rest.strip():
        starts.append(np.array([offset]))
        lines.append(np.array([line], dtype=np.uint32))
    starts.append(np.array([offset + len(rest)]))
    return Records(np.concatenate(starts), np.concatenate(lines))


def _keep(
    data: bytes, begins: np.ndarray, starts: list[np.ndarray], lines: list[np.ndarray], offset: int, line: int
) -> None:
    """Append the lines that are not blank."""
    written = _WRITTEN[np.frombuffer(data, dtype=np.uint8, count=int(begins[-1]))]
    kept = np.logical_or.reduceat(written, begins[:-1])
    starts.append(begins[:-1][kept] + offset)
    lines.append((np.flatnonzero(kept) + line).astype(np.uint32))
