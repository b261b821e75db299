"""Shards in several processes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx_shards.format.build import build
from mmx_shards.format.index import Index, open_index
from mmx_shards.format.roles import Extensions
from mmx_shards.format.spread import each
from mmx_shards.format.verify import Report, verify
from mmx_storage.files import Files

Make = Callable[..., Path]
Triples = Callable[..., list[tuple[str, bytes]]]


@pytest.fixture
def files(make: Make, triples: Triples, tmp_path: Path) -> Files:
    """Return six shards, which have an index."""
    files = Files([str(make(f"{number}.tar", triples(2))) for number in range(6)])
    build(files, Extensions(), tmp_path / "i", 1)
    return files


def test_the_index_is_sent_to_each_process_once(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, sent, before = open_index(str(tmp_path / "i"), RemoteTable()), list[Index](), Index.__reduce__

    def reduce(self: Index) -> tuple[object, ...]:
        sent.append(self)
        return before(self)

    monkeypatch.setattr(Index, "__reduce__", reduce)
    told: list[Report] = []
    reports = verify(files, Extensions(), index, 2, False, told.append)
    assert [report.samples for report in reports] == [2] * 6 and sent == [index]


def test_what_was_sent_and_cannot_be_opened_is_an_error_with_its_reason(files: Files, tmp_path: Path) -> None:
    index = open_index(str(tmp_path / "i"), RemoteTable())
    build(Files(files.urls[1:]), Extensions(), tmp_path / "i", 1)
    with pytest.raises(DataError, match="changed since"):
        verify(files, Extensions(), index, 2, False, lambda report: None)


def test_a_process_that_ends_by_itself_is_an_error() -> None:
    with pytest.raises(DataError, match=r"ended by itself.*--workers 1"):
        list(each(os._exit, 4, 2))
