"""Rows of csv and tsv tables."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, final

import numpy as np
from typing_extensions import override

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.lines import LONGEST, Records, newlines
from mmx_pairs.quoting import QUOTE, Quoting
from mmx_pairs.rows import Row, Rows
from mmx_pairs.source import Source

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?", re.ASCII)
_MARK: Final = codecs.BOM_UTF8


@final
class Delimited(Rows):
    """Rows with a separator between columns; the first one names them. Offsets are found when first needed."""

    def __init__(self, source: Source, separator: str, quotes: bool) -> None:
        self.source, self.name = source, source.name
        self.quoting = Quoting(separator, quotes)

    @cached_property
    def records(self) -> Records:
        """All records, the first one with the names of columns."""
        return _Scan(self.source, self.quoting).records()

    @cached_property
    @override
    def columns(self) -> Sequence[str]:
        if not len(self.records):
            raise DataError(f"table {self.name} is empty; expected names of columns in its first line")
        names = self.quoting.columns(self.records.read(self.source, 0).removeprefix(_MARK))
        if names is None:
            raise DataError(
                f"table {self.name}: the first line has a quote that is not closed; expected names of columns"
            )
        columns = [name.decode("utf-8", "replace") for name in names]
        twice = next((name for index, name in enumerate(columns) if name in columns[:index]), None)
        if twice is not None:
            raise DataError(f"table {self.name} has two columns '{twice}'; name them differently in its first line")
        return columns

    @override
    def __len__(self) -> int:
        return max(0, len(self.records) - 1)

    @override
    def row(self, number: int) -> Row:
        if not 0 <= number < len(self):
            raise IndexError(number)
        found = self._parsed(self.records.read(self.source, number + 1))
        if isinstance(found, str):
            raise BadSampleError(f"{self.place(number)} {found}")
        return found

    @override
    def scan(self, columns: Sequence[str]) -> Iterator[Row | None]:
        places = [(name, self.columns.index(name)) for name in columns]
        for number, record in enumerate(self.records.scan(self.source)):
            if number > 0:
                cells = self.quoting.columns(record) or []
                if len(cells) == len(self.columns):
                    yield {name: cells[place].decode("utf-8", "replace") for name, place in places}
                else:
                    yield None

    @override
    def place(self, number: int) -> str:
        return f"line {self.records.lines[number + 1]} of {self.name}"

    @override
    def value(self, cell: object) -> object:
        if not isinstance(cell, str) or _NUMBER.fullmatch(cell) is None:
            return cell
        return int(cell) if cell.lstrip("+-").isdigit() and len(cell) < 20 else float(cell)

    def _parsed(self, record: bytes) -> Row | str:
        """Return a record's columns by name, or what is wrong with it."""
        cells = self.quoting.columns(record)
        if cells is None:
            return "has a quote that is not closed where its column ends"
        if len(cells) != len(self.columns):
            return f"has {len(cells)} columns, not {len(self.columns)}"
        return {name: cell.decode("utf-8", "replace") for name, cell in zip(self.columns, cells, strict=True)}


@final
class _Scan:
    """Finds records block by block. Only lines with a quote are looked at one by one."""

    def __init__(self, source: Source, quoting: Quoting) -> None:
        self.source, self.quoting = source, quoting
        self.starts: list[np.ndarray] = []
        self.lines: list[np.ndarray] = []
        self.offset, self.line, self.rest = 0, 1, b""

    def records(self) -> Records:
        decoder = codecs.getincrementaldecoder("utf-8")()
        read = 1
        for block in self.source.blocks():
            read = self._check(decoder, block, read, final=False)
            self._take(self.rest + block, final=False)
            if len(self.rest) > LONGEST and b"\n" not in self.rest:
                raise DataError(
                    f"table {self.source.name}: line {self.line} is longer than {LONGEST} bytes; expected lines that "
                    "end with LF or CRLF, not with CR alone"
                )
        self._check(decoder, b"", read, final=True)
        self._take(self.rest, final=True)
        starts = np.concatenate([*self.starts, np.array([self.offset], dtype=np.int64)])
        return Records(starts, np.concatenate([*self.lines, np.array([], dtype=np.uint32)]))

    def _check(self, decoder: codecs.IncrementalDecoder, block: bytes, line: int, *, final: bool) -> int:
        """Return the number of the line that the next block begins in."""
        try:
            decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise DataError(
                f"table {self.source.name}: line {line} is not UTF-8; save the table as UTF-8 (byte "
                f"0x{error.object[error.start]:02x} cannot be read)"
            ) from None
        return line + block.count(b"\n")

    def _take(self, data: bytes, *, final: bool) -> None:
        breaks = newlines(data)
        if final and data and not data.endswith(b"\n"):
            breaks = np.append(breaks, len(data))
        begins = np.concatenate([[0], breaks + 1])
        first = np.ones(len(breaks), dtype=bool)
        done = self._join(data, begins, first, final) if self.quoting.quotes and QUOTE in data else len(breaks)
        begins, breaks, first = begins[: done + 1], breaks[:done], first[:done]
        length = breaks - begins[:-1]
        octets = np.frombuffer(data, dtype=np.uint8)
        blank = length == 0
        one = np.flatnonzero(length == 1)
        blank[one] = octets[begins[one]] == ord("\r")
        kept = first & ~blank
        self.starts.append(begins[:-1][kept] + self.offset)
        self.lines.append((np.flatnonzero(kept) + self.line).astype(np.uint32))
        end = min(int(begins[-1]), len(data))
        self.offset, self.line, self.rest = self.offset + end, self.line + done, data[end:]

    def _join(self, data: bytes, begins: np.ndarray, first: np.ndarray, final: bool) -> int:
        """Mark lines that are within a record; return how many lines are settled, the others wait for more data."""
        quoted = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord(QUOTE))
        lines, starts = np.unique(np.searchsorted(begins, quoted, side="right") - 1).tolist(), begins.tolist()
        settled, marked = 0, self.offset == 0 and data.startswith(_MARK)
        for line in lines:
            if line < settled:
                continue
            start = starts[line] + (len(_MARK) if marked and line == 0 else 0)
            end = self.quoting.end(data, start)
            goes_on = end == len(data) or (end is None and self.quoting.is_open(data, start))
            if goes_on and not final and len(data) - start <= LONGEST:
                return min(line, len(first))
            settled = line + 1
            if end is not None and end > starts[min(settled, len(starts) - 1)]:
                settled = int(np.searchsorted(begins, end))
                first[line + 1 : settled] = False
        return len(first)
