"""Records of csv are those that Python's reader finds, wherever blocks end."""

import csv
import io
import random
from pathlib import Path

import pytest

from mmx.config import RemoteTable
from mmx.parts.dataset import BadSampleError
from mmx_pairs import source as reading
from mmx_pairs.delimited import Delimited
from mmx_pairs.jsonl import JsonLines
from mmx_pairs.keys import Keys
from mmx_pairs.source import Source
from mmx_storage.files import Files


def delimited(path: Path, separator: str = ",") -> Delimited:
    return Delimited(Source(Files([str(path)], RemoteTable())), separator, quotes=True)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_well_written_tables(seed: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(reading, "BLOCK", draw.choice([1, 7, 64, 4096]))
    letters = ['"', ",", "\t", "\n", "a", "é", " ", '""']
    cells = [["".join(draw.choices(letters, k=draw.randrange(6))) for _ in range(3)] for _ in range(40)]
    for separator in (",", "\t"):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=draw.choice([0, 1]))
        writer.writerows([["x", "y", "z"], *cells])
        path = tmp_path / f"{ord(separator)}.csv"
        path.write_bytes(text.getvalue().encode())
        rows = delimited(path, separator)
        assert [list(rows.row(number).values()) for number in range(len(rows))] == cells
        scanned = [list(row.values()) if row is not None else None for row in rows.scan(["x", "y", "z"])]
        assert scanned == cells


@pytest.mark.parametrize("block", [1, 5, 4096])
def test_a_quote_that_is_never_closed_costs_one_row(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK", block)
    (path := tmp_path / "t.csv").write_text('x,y\n1,"open\n2,b\n3,c\n', encoding="utf-8")
    assert len(list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))) == 2, (
        "Python's reader takes the rest for one text"
    )
    rows = delimited(path)
    assert len(rows) == 3 and rows.row(2) == {"x": "3", "y": "c"}
    with pytest.raises(BadSampleError, match="line 2 of"):
        rows.row(0)
    assert [row is None for row in rows.scan(["x"])] == [True, False, False]


@pytest.mark.parametrize("block", [1, 3, 4096])
def test_lines_of_jsonl(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK", block)
    (path := tmp_path / "t.jsonl").write_bytes(b'\n{"a": 1}\r\n  \n{"a": 2}\n\n\n{"b": 3}')
    rows = JsonLines(Source(Files([str(path)], RemoteTable())))
    assert [dict(rows.row(number)) for number in range(len(rows))] == [{"a": 1}, {"a": 2}, {"b": 3}]
    assert [rows.place(number).split(" of ")[0] for number in range(3)] == ["line 2", "line 4", "line 7"]
    assert list(rows.columns) == ["a", "b"]
    assert len(list(rows.scan(["a"]))) == 3


def test_rows_cost_a_few_bytes_each(tmp_path: Path) -> None:
    count = 100_000
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + 'pictures/000000.jpg,"a caption, as they are"\n' * count, encoding="utf-8")
    rows = delimited(path)
    assert len(rows) == count
    assert rows.records.starts.nbytes + rows.records.lines.nbytes <= 12 * (count + 2)


def test_keys_that_are_there_twice() -> None:
    keys = Keys()
    for key in ("a", "é", "c", "é", "a"):
        keys.add(key)
    assert [keys[place] for place in range(len(keys))] == ["a", "é", "c", "é", "a"]
    assert keys.twice() == (0, 4)
    with pytest.raises(IndexError):
        keys[5]
