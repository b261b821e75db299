"""Datasets whose samples are rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64
from typing_extensions import override

from mmx.data.captions import texts_of
from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx.parts.dataset import MEASURES, BadSampleError, Raw
from mmx_pairs.config_rows import RowsConfig
from mmx_pairs.facts import fact_of
from mmx_pairs.keys import Keys
from mmx_pairs.pictures import Pictures, brief
from mmx_pairs.rows import Columns, Row, Rows, chosen, no_number, number_of

_DIGITS: Final = 6


class RowsDataset(StoredDataset):
    """Rows of one table or several in a row. Each is opened when first needed."""

    def __init__(self, config: RowsConfig) -> None:
        super().__init__(config)
        self._options = config

    @cached_property
    @abstractmethod
    def parts(self) -> Sequence[tuple[str, Rows, Pictures]]:
        """The tables: what keys of their rows begin with, their rows, and the pictures they name."""

    @cached_property
    def _ends(self) -> np.ndarray:
        ends = np.cumsum([len(rows) for _, rows, _ in self.parts], dtype=int)
        if not ends[-1]:
            raise DataError(f"{len(self.parts)} tables, the first {self.parts[0][1].name}: they have no rows")
        return ends

    @cached_property
    def _columns(self) -> Sequence[Columns]:
        return [chosen(rows.columns, self._options, rows.name) for _, rows, _ in self.parts]

    @cached_property
    def _keys(self) -> Keys | None:
        """The keys of all rows, None if they are numbers of rows."""
        if self._options.key is None:
            return None
        keys = Keys()
        for index, key in enumerate(self._stored_keys(self._options.key)):
            keys.add(self._numbered(index) if key is None else key)
        twice = keys.twice()
        if twice is not None:
            first, second = (part[1].place(number) for part, number in map(self._at, twice))
            raise DataError(
                f"two samples have the key '{keys[twice[0]]}': {first} and {second}; each row needs a key of its own, "
                "or leave out the dataset's key"
            )
        return keys

    @cached_property
    def _size(self) -> int:
        """The number of samples. What is wrong with columns or keys is said here, before training."""
        if not self._columns or (self._keys is not None and len(self._keys) != self._ends[-1]):
            raise DataError(f"{self.parts[0][1].name} has another number of rows than it had")
        return int(self._ends[-1])

    @override
    def __len__(self) -> int:
        return self._size

    @override
    def key(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._numbered(index) if self._keys is None else self._keys[index]

    @override
    def raw(self, index: int) -> Raw:
        key = self.key(index)
        row, columns, rows, pictures = self._row(index, key)
        place, cells = rows.place(self._at(index)[1]), [row.get(name) for name in columns.images]
        try:
            texts = () if columns.caption is None else _texts(row, columns.caption, key)
            roles = {role: _texts(row, name, key) for role, name in columns.roles.items()}
            facts = {
                name: fact_of(rows.value(row.get(name)), self._options.facts[name], name) for name in columns.facts
            }
            image, *more = [pictures.read(cell, key) for cell in cells] or [b""]
        except BadSampleError as error:
            for cell in cells:
                pictures.forget(cell)
            raise BadSampleError(f"{error} ({place})") from None
        apart = columns.apart
        fields = {name: rows.value(cell) for name, cell in row.items() if name not in apart and cell not in (None, "")}
        origin = f"{brief(cells[0])}, {place}" if cells and isinstance(cells[0], str) else place
        return Raw(key, image, texts, fields, facts, origin, tuple(more), roles)

    @override
    def runs(self) -> Sequence[int]:
        return [run for _, rows, _ in self.parts for run in rows.runs() if run]

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        """Begin to fetch pictures at URLs."""
        for index in indices:
            try:
                row, columns, _, pictures = self._row(index, self.key(index))
            except BadSampleError:
                continue
            pictures.begin([row.get(name) for name in columns.images])

    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Float64[np.ndarray, " samples"]]:
        """Return numbers of every sample. Pictures are opened for their sides alone."""
        if any(name in MEASURES for name in names):
            return super().columns(names)
        found = {name: np.full(len(self), np.nan) for name in names}
        for index, value in enumerate(self._numbers(names)):
            for name, number in value.items():
                found[name][index] = number
        for name, numbers in found.items():
            if np.isnan(numbers).all():
                raise no_number(name, self._names_of_numbers())
        return found

    def _numbers(self, names: Sequence[str]) -> Iterator[dict[str, float]]:
        for (_, rows, _), columns in zip(self.parts, self._columns, strict=True):
            there = [name for name in names if name not in columns.apart and rows.may_have(name)]
            for row in rows.scan(there):
                values = {} if row is None else {name: number_of(rows.value(row.get(name))) for name in there}
                yield {name: number for name, number in values.items() if number is not None}

    def _names_of_numbers(self) -> list[str]:
        found = set[str]()
        for (_, rows, _), columns in zip(self.parts, self._columns, strict=True):
            others = [name for name in rows.columns if name not in columns.apart]
            for row in rows.scan(others):
                if row is not None:
                    found.update(name for name in others if number_of(rows.value(row.get(name))) is not None)
                    break
        return sorted(found)

    def _stored_keys(self, name: str) -> Iterator[str | None]:
        for _, rows, _ in self.parts:
            for row in rows.scan([name]):
                cell = None if row is None else row.get(name)
                yield None if cell is None or cell == "" else str(cell)

    def _at(self, index: int) -> tuple[tuple[str, Rows, Pictures], int]:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self.parts[part], index - (int(self._ends[part - 1]) if part else 0)

    def _numbered(self, index: int) -> str:
        (start, rows, _), number = self._at(index)
        return f"{start}{number:0{max(_DIGITS, len(str(len(rows))))}d}"

    def _row(self, index: int, key: str) -> tuple[Row, Columns, Rows, Pictures]:
        part = int(np.searchsorted(self._ends, index, side="right"))
        (_, rows, pictures), number = self._at(index)
        try:
            return rows.row(number), self._columns[part], rows, pictures
        except BadSampleError as error:
            raise BadSampleError(f"{key}: {error}") from None


def _texts(row: Row, column: str, key: str) -> tuple[str, ...]:
    cell = row.get(column)
    if cell is None:
        raise BadSampleError(f"{key}: has no caption (column {column})")
    return texts_of(cell, key, column)
