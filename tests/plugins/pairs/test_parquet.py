"""Parquet tables: pictures as bytes, structs and paths, read by row group."""

import pickle
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmx.errors import DataError, MissingPackageError
from mmx.parts.dataset import BadSampleError
from mmx_pairs import parquet
from mmx_pairs.config_rows import TableConfig
from mmx_pairs.table import Table

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


def table(*urls: Path, **options: Any) -> Table:
    return Table(TableConfig.model_validate({"name": "table", "urls": [str(url) for url in urls], **options}))


def save(path: Path, columns: Mapping[str, list[Any]], group: int = 2) -> Path:
    pq.write_table(pa.table(dict(columns)), path, row_group_size=group)
    return path


@pytest.fixture
def saved(tmp_path: Path, picture: Picture) -> Path:
    columns = {
        "image": [{"bytes": picture(number), "path": "x.png"} for number in range(5)],
        "caption": [[f"caption {number}", "other"] for number in range(5)],
        "score": [0.1, None, 0.3, 0.4, 0.5],
        "id": [10, 11, 12, 13, 14],
    }
    return save(tmp_path / "t.parquet", columns)


def test_rows_are_samples_and_row_groups_are_runs(saved: Path, picture: Picture) -> None:
    dataset = table(saved, key="id")
    assert [dataset.key(index) for index in range(len(dataset))] == ["10", "11", "12", "13", "14"]
    assert dataset.runs() == [2, 2, 1] and sum(dataset.runs()) == len(dataset)
    assert [dataset.raw(index).image for index in (4, 0, 3)] == [picture(number) for number in (4, 0, 3)]
    assert dataset.read(1).texts == ("caption 1", "other")
    assert dataset.raw(0).fields == {"score": 0.1, "id": 10}
    assert pickle.loads(pickle.dumps(dataset)).raw(2).image == picture(2)
    with pytest.raises(IndexError):
        dataset.read(5)


def test_numbers_of_columns(saved: Path) -> None:
    found = table(saved).columns(["score"])["score"]
    assert np.isnan(found[1]) and found[4] == 0.5


def test_row_groups_are_read_once_in_order_and_few_are_held(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = parquet.Parquet._read

    def counted(self: parquet.Parquet, group: int, columns: list[str] | None) -> Any:
        read.append(group)
        return real(self, group, columns)

    monkeypatch.setattr(parquet.Parquet, "_read", counted)
    dataset = table(saved)
    for index in (1, 0, 3, 2, 4, 1, 2):
        dataset.raw(index)
    assert read == [0, 1, 2], "small groups are held"
    monkeypatch.setattr(parquet, "_HELD", 0)
    few = table(saved)
    for index in (0, 1, 2, 0):
        few.raw(index)
    assert read[3:] == [0, 1, 0] and len(parquet._GROUPS) == 1


def test_bytes_and_paths(tmp_path: Path, write: Write, picture: Picture) -> None:
    path = write({"1.png": picture(1)})
    raw = table(save(path / "a.parquet", {"image": [picture(0), None], "text": ["one", "two"]}))
    assert raw.raw(0).image == picture(0)
    with pytest.raises(BadSampleError, match="000001: has no picture"):
        raw.raw(1)
    rows = [{"bytes": None, "path": "1.png"}, {"bytes": None, "path": "/etc/passwd"}]
    named = table(save(path / "b.parquet", {"image": rows, "text": ["one", None]}))
    assert named.raw(0).image == picture(1)
    with pytest.raises(BadSampleError, match="000001: has no caption"):
        named.raw(1)
    numbers = table(save(path / "c.parquet", {"image": [7], "text": ["one"]}))
    with pytest.raises(BadSampleError, match="neither bytes nor a path or URL, but a int"):
        numbers.raw(0)


def test_damaged_tables_are_named(saved: Path, tmp_path: Path) -> None:
    (short := tmp_path / "short.parquet").write_bytes(saved.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"short\.parquet is not a parquet file"):
        len(table(short))
    data = bytearray(saved.read_bytes())
    data[10:200] = b"\xff" * 190
    (spoilt := tmp_path / "spoilt.parquet").write_bytes(data)
    with pytest.raises(DataError, match=r"spoilt\.parquet: row group 0 cannot be read"):
        table(spoilt).raw(0)
    with pytest.raises(DataError, match=r"gone\.parquet does not exist"):
        len(table(tmp_path / "gone.parquet"))


def test_without_pyarrow(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'mmx\[parquet\]'"):
        len(table(saved))


def test_a_cell_that_python_cannot_hold_costs_its_row_alone(tmp_path: Path, picture: Picture) -> None:
    latin = pa.array([b"one", b"caf\xe9", b"three", b"four"]).view(pa.string())
    later = pa.array([0, 0, 2**60, 0], pa.int64()).cast(pa.timestamp("ms"))
    columns = {
        "image": [picture(at) for at in range(4)],
        "caption": latin,
        "seen": later,
        "score": [0.0, 1.0, 2.0, 3.0],
    }
    dataset = table(save(tmp_path / "t.parquet", columns))
    assert [dataset.read(at).texts for at in (0, 3)] == [("one",), ("four",)]
    for at, why in ((1, "column caption cannot be read: UnicodeDecodeError"), (2, "column seen cannot be read: ")):
        with pytest.raises(BadSampleError, match=f"^00000{at}: row {at} of .*t.parquet: {why}"):
            dataset.raw(at)
    dataset.ahead([0, 1, 2, 3])
    rows = list(dataset.parts[0][1].scan(["caption", "score"]))
    assert [row and row["caption"] for row in rows] == ["one", None, "three", "four"]
    assert rows[1] is None and dataset.columns(["score"])["score"].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_lack_of_memory_makes_no_row_bad(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def slice(self, *_: int) -> "Full":
            return self

        column = slice

        def to_pylist(self) -> None:
            raise MemoryError

    dataset = table(saved)
    assert len(dataset) == 5
    monkeypatch.setattr(parquet.Parquet, "_group", lambda *_: Full())
    with pytest.raises(MemoryError):
        dataset.raw(0)
    with pytest.raises(MemoryError):
        parquet._rows(Full())


def test_what_is_held_is_bounded_over_all_tables(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"image": [picture(0)] * 4, "caption": ["x" * 1000] * 4}
    paths = [save(tmp_path / f"{number}.parquet", columns, 4) for number in range(10)]
    dataset = table(*paths)
    size = pq.read_table(paths[0]).nbytes
    monkeypatch.setattr(parquet, "_HELD", 3 * size)
    for index in range(0, 40, 4):
        assert dataset.raw(index).texts == ("x" * 1000,)
        assert sum(held.nbytes for held in parquet._GROUPS.values()) <= 3 * size
    assert dataset.raw(0).image == picture(0), "another table's group of the same number is not taken for it"


def test_tables_that_were_read_hold_no_bytes(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_HELD", 0)
    size, letters = 2**20, np.random.default_rng(0)
    columns = {"image": [letters.bytes(size)], "caption": ["one"]}
    dataset = table(*(save(tmp_path / f"{number}.parquet", columns) for number in range(8)))
    assert len(dataset) == 8
    tracemalloc.start()
    try:
        for index in range(8):
            assert len(dataset.raw(index).image) == size
        assert tracemalloc.get_traced_memory()[0] < 2 * size, "an open table holds what was read of it last"
    finally:
        tracemalloc.stop()


def test_two_columns_of_the_name_that_is_read_are_refused(tmp_path: Path, picture: Picture) -> None:
    twice = pa.table([[picture(0)], ["one"], ["two"], ["a"], ["b"]], names=["image", "caption", "caption", "x", "x"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has two columns 'caption'"):
        len(table(tmp_path / "t.parquet", caption="caption"))
    once = twice.rename_columns(["image", "caption", "title", "x", "x"])
    pq.write_table(once, tmp_path / "t.parquet")
    assert table(tmp_path / "t.parquet", caption="caption").raw(0).texts == ("one",)
