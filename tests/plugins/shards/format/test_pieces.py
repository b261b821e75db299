"""Reading a shard once."""

import hashlib
import random
from pathlib import Path

import pytest

from mmx_shards.format import pieces
from mmx_shards.format.pieces import Pieces
from mmx_storage.files import Files


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_is_what_is_there_and_all_is_hashed(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 64)
    draw = random.Random(seed)
    data = draw.randbytes(draw.choice([0, 1, 63, 64, 65, 128, 1000, 1024]))
    (tmp_path / "a").write_bytes(data)
    reading, position = Pieces(Files([str(tmp_path / "a")]), 0), 0
    while position < len(data):
        size = draw.choice([0, 1, 10, 64, 300])
        assert reading.read(position, size) == data[position : position + size]
        position += draw.choice([size, size, size + 5, size + 500])
    assert reading.finish(position) == (len(data), hashlib.sha256(data).hexdigest(), False)


def test_what_stands_behind_the_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100) + b"x" + bytes(50))
    files = Files([str(tmp_path / "a")])
    assert [Pieces(files, 0).finish(end)[2] for end in (0, 100, 101, 1000)] == [True, True, False, False]


def test_each_byte_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(bytes(5 * 2**20))
    read: list[int] = []
    before = Files.read

    def reading(self: Files, file: int, offset: int, size: int) -> bytes:
        data = before(self, file, offset, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(Files, "read", reading)
    reading_pieces = Pieces(Files([str(tmp_path / "a")]), 0)
    for offset in range(0, 5 * 2**20, 2**18):
        reading_pieces.read(offset, 512)
    reading_pieces.finish(5 * 2**20)
    assert sum(read) == 5 * 2**20 and len(read) <= 3
