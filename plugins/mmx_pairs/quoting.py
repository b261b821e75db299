"""How the columns of a csv or tsv record are written."""

from __future__ import annotations

import re
from typing import Final, final

QUOTE: Final = b'"'


@final
class Quoting:
    """Takes records apart. A column may be in double quotes from its first to its last character; a quote in it is doubled."""

    def __init__(self, separator: str, quotes: bool) -> None:
        self.quotes = quotes
        self._separator = separator.encode()
        mark = re.escape(self._separator)
        column = rb'(?:"(?:[^"]++|"")*+"|[^"\nSEP][^\nSEP]*+|)'.replace(b"SEP", mark)
        many = b"%b(?:%b%b)*+" % (column, mark, column)
        self._column = re.compile(column)
        self._record = re.compile(many + rb"\r?(?:\n|\Z)")
        self._open = re.compile(rb'(?:%b%b)*+"(?:[^"]++|"")*+"?\Z' % (column, mark))

    def end(self, data: bytes, start: int) -> int | None:
        """Return where the record ends that begins at an offset; None if it is not written as it should be."""
        found = self._record.match(data, start)
        return None if found is None else found.end()

    def is_open(self, data: bytes, start: int) -> bool:
        """Say whether a record goes on behind the end of the data, as far as one can see."""
        return self._open.match(data, start) is not None

    def columns(self, record: bytes) -> list[bytes] | None:
        """Return the columns of a record, None if it is not written as it should be."""
        record = record.rstrip(b"\r\n")
        if not self.quotes or QUOTE not in record:
            return record.split(self._separator)
        if self._record.fullmatch(record) is None:
            return None
        found: list[bytes] = []
        at = 0
        while True:
            match = self._column.match(record, at)
            assert match is not None, "a column may be empty"
            found.append(_without_quotes(match[0]))
            at = match.end()
            if at >= len(record):
                return found
            at += len(self._separator)


def _without_quotes(column: bytes) -> bytes:
    return column[1:-1].replace(b'""', QUOTE) if column.startswith(QUOTE) else column
