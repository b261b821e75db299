"""Reading shards at URLs without a request for each header and each small member."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mmx.config import RemoteTable
from mmx_shards.format.buffered import Buffered
from mmx_shards.format.build import build
from mmx_shards.format.index import open_index
from mmx_shards.format.roles import Extensions
from mmx_shards.format.scan import Scan
from mmx_shards.format.verify import verify
from mmx_storage.files import Files

Make = Callable[..., Path]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
"""The header of a picture."""
URL = "memory://buffered/a.tar"


@pytest.fixture
def put() -> Iterator[Callable[[bytes], Files]]:
    """Put a shard at a URL."""

    def put(data: bytes) -> Files:
        MemoryFileSystem().pipe_file("/buffered/a.tar", data)
        return Files([URL])

    yield put
    MemoryFileSystem.store.clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the bytes of each read, which at a web server is a request."""
    noted: list[int] = []
    before = Files.read

    def reading(self: Files, file: int, offset: int, size: int) -> bytes:
        data = before(self, file, offset, size)
        noted.append(len(data))
        return data

    monkeypatch.setattr(Files, "read", reading)
    return noted


def members(samples: int, picture: int) -> list[tuple[str, bytes]]:
    """Return samples with pictures of so many bytes."""
    kinds = (("png", PNG.ljust(picture, b"\0")), ("txt", b"text"), ("json", b"{}"))
    return [(f"{number:03d}.{kind}", data) for number in range(samples) for kind, data in kinds]


@pytest.mark.parametrize("seed", range(10))
def test_what_is_read_is_what_is_there(seed: int, put: Callable[[bytes], Files]) -> None:
    draw = random.Random(seed)
    data = draw.randbytes(draw.choice([0, 1, 20_000, 2_000_000]))
    reading, offset = Buffered(put(data), 0), 0
    for _ in range(200):
        size = draw.choice([0, 1, 512, 30_000, 700_000])
        assert reading.read(offset, size) == data[offset : offset + size]
        offset = max(0, offset + draw.choice([size, size, size + 700, 300_000, -600, -1_000_000]))


def test_small_members_are_read_through(make: Make, put: Callable[[bytes], Files], reads: list[int]) -> None:
    shard = make("a.tar", members(100, 20_000)).read_bytes()
    assert len(Scan(put(shard), Extensions()).rows) == 100
    assert len(reads) <= len(shard) // 2**19 + 2 and sum(reads) <= len(shard) * 1.1


def test_large_members_are_not_read(make: Make, put: Callable[[bytes], Files], reads: list[int]) -> None:
    shard = make("a.tar", members(10, 600_000)).read_bytes()
    assert len(Scan(put(shard), Extensions()).rows) == 10
    assert len(reads) <= 12 and sum(reads) < len(shard) // 5


def test_on_this_machine_headers_alone_are_read(make: Make, reads: list[int]) -> None:
    Scan(Files([str(make("a.tar", members(10, 20_000)))]), Extensions())
    assert set(reads) == {512}


def test_samples_of_a_changed_shard_are_not_asked_for_one_by_one(
    make: Make, put: Callable[[bytes], Files], reads: list[int], tmp_path: Path
) -> None:
    shard = bytearray(make("a.tar", members(100, 20_000)).read_bytes())
    build(put(bytes(shard)), Extensions(), tmp_path / "i", 1)
    shard[1000] ^= 1
    reads.clear()
    index = open_index(str(tmp_path / "i"), RemoteTable())
    (report,) = verify(put(bytes(shard)), Extensions(), index, 1, False, lambda report: None)
    assert report.wrong[-1] == "samples that changed or are gone: 000"
    assert len(reads) < 12 and sum(reads) < 2.2 * len(shard)
