"""Rows of parquet tables, read by row group."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count
from typing import Any, Final, final

import numpy as np
from typing_extensions import override

from mmx.errors import DataError, MissingPackageError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_rows import missing
from mmx_pairs.rows import Row, Rows
from mmx_pairs.source import Opened, Source

_HELD: Final = 2**28
"""Bytes of row groups that are held, at most; one is held in any case."""
_TOGETHER: Final = 1024
_NUMBERS: Final = count()
"""Of tables that were opened."""
_GROUPS: Final = OrderedDict[tuple[int, int], Any]()
"""The row groups that are held, of all tables of this process, those read last behind: by table and group."""


@final
class Parquet(Rows):
    """Rows in groups. Those read last are held, of all tables together: rows of one group, or of a few small ones, are
    read once."""

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name
        self._forget()

    def __getstate__(self) -> Source:
        return self.source

    def __setstate__(self, source: Source) -> None:
        self.__init__(source)

    @cached_property
    @override
    def columns(self) -> Sequence[str]:
        return self._file().schema_arrow.names

    @cached_property
    def _ends(self) -> np.ndarray:
        file = self._file()
        return np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=int)

    @override
    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @override
    def row(self, number: int) -> Row:
        if not 0 <= number < len(self):
            raise IndexError(number)
        group = int(np.searchsorted(self._ends, number, side="right"))
        first = int(self._ends[group - 1]) if group else 0
        table = self._group(group).slice(number - first, 1)
        found = {}
        for place, name in enumerate(self.columns):
            try:
                found[name] = table.column(place).to_pylist()[0]
            except MemoryError:
                raise
            except Exception as error:  # texts that are not UTF-8, dates that Python does not have
                raise BadSampleError(
                    f"{self.place(number)}: column {name} cannot be read: {type(error).__name__}: {error}"
                ) from None
        return found

    @override
    def scan(self, columns: Sequence[str]) -> Iterator[Row | None]:
        for group in range(len(self._ends)):
            table = self._read(group, list(columns))
            for batch in table.to_batches(max_chunksize=_TOGETHER):
                yield from _rows(batch)

    @override
    def runs(self) -> Sequence[int]:
        return np.diff(self._ends, prepend=0).tolist()

    def _forget(self) -> None:
        self._process, self._number = os.getpid(), next(_NUMBERS)
        self._footer: Any = None

    def _file(self) -> Any:
        """Open the table; its footer is read once. None stays open: it would hold the bytes that were read last."""
        if self._process != os.getpid():
            self._forget()
        opened = _open(self.source, self._footer)
        self._footer = opened.metadata
        return opened

    def _group(self, group: int) -> Any:
        if self._process != os.getpid():
            self._forget()
        key = (self._number, group)
        if key not in _GROUPS:
            _GROUPS[key] = self._read(group, None)
            while len(_GROUPS) > 1 and sum(table.nbytes for table in _GROUPS.values()) > _HELD:
                _GROUPS.popitem(last=False)
        _GROUPS.move_to_end(key)
        return _GROUPS[key]

    def _read(self, group: int, columns: list[str] | None) -> Any:
        from pyarrow import ArrowException

        try:
            return self._file().read_row_group(group, columns=columns, use_threads=False)
        except (ArrowException, OSError) as error:
            raise DataError(f"table {self.name}: row group {group} cannot be read: {error}") from None


def _rows(batch: Any) -> list[Row | None]:
    """Return the rows of a batch, None for one that Python cannot hold."""
    try:
        return batch.to_pylist()
    except MemoryError:
        raise
    except Exception:  # as in ``row``
        if len(batch) == 1:
            return [None]
        return [row for number in range(len(batch)) for row in _rows(batch.slice(number, 1))]


def _open(source: Source, footer: Any) -> Any:
    try:
        from pyarrow import ArrowException, PythonFile
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingPackageError(missing("pyarrow", "parquet")) from None
    try:
        return ParquetFile(PythonFile(Opened(source, source.size()), mode="r"), metadata=footer)
    except (ArrowException, OSError) as error:
        raise DataError(f"table {source.name} is not a parquet file that can be read: {error}") from None
