"""Indices that are damaged or hostile: an error, never a crash or a huge allocation."""

import json
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx_shards.format import mapped
from mmx_shards.format.build import build
from mmx_shards.format.index import CONTENTS, open_index, place_of
from mmx_shards.format.roles import Extensions
from mmx_shards.format.write import write_index
from mmx_storage.files import Files
from mmx_storage.urls import MOST

Make = Callable[..., Path]
Triples = Callable[..., list[tuple[str, bytes]]]
Header = dict[str, Any]


@pytest.fixture
def index(make: Make, triples: Triples, tmp_path: Path) -> Path:
    build(Files([str(make("a.tar", triples(3)))]), Extensions(), tmp_path / "i", 1)
    return tmp_path / "i"


def split(path: Path) -> tuple[Header, bytes]:
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def rewrite(path: Path, header: Header, rest: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + rest)


def read_all(path: Path) -> None:
    found = open_index(str(path), RemoteTable())
    for row in range(len(found.rows)):
        found.rows.key(row)
        found.rows.place(row)
        found.rows.again(row)


def contents(header: Header, **changes: Any) -> Header:
    inner = {**json.loads(header["__metadata__"]["mmx_index"]), **changes}
    return {**header, "__metadata__": {"mmx_index": json.dumps(inner)}}


def shard(**changes: Any) -> list[Header]:
    return [{"name": "a.tar", "size": 10240, "sha256": "0" * 64, "samples": 3, **changes}]


def entry(header: Header, name: str, **changes: Any) -> Header:
    return {**header, name: {**header[name], **changes}}


HOSTILE: dict[str, Callable[[Header], Any]] = {
    "a list": lambda header: [header],
    "no metadata": lambda header: {name: value for name, value in header.items() if name != "__metadata__"},
    "metadata is text": lambda header: {**header, "__metadata__": "x"},
    "contents are no text": lambda header: {**header, "__metadata__": {"mmx_index": 3}},
    "contents are no JSON": lambda header: {**header, "__metadata__": {"mmx_index": "[" * 100_000}},
    "a later version": lambda header: contents(header, version=2),
    "an unknown key": lambda header: contents(header, more=1),
    "more samples": lambda header: contents(header, shards=shard(samples=2**60)),
    "fewer samples": lambda header: contents(header, shards=shard(samples=2)),
    "negative samples": lambda header: contents(header, shards=shard(samples=-3)),
    "no sha256": lambda header: contents(header, shards=shard(sha256="../../x")),
    "a huge size": lambda header: contents(header, shards=shard(size=10**30)),
    "no keys": lambda header: {name: value for name, value in header.items() if name != "keys"},
    "an array is text": lambda header: {**header, "keys": "x"},
    "a huge shape": lambda header: entry(header, "twice", shape=[2**60, 3]),
    "a shape that overflows": lambda header: entry(header, "twice", shape=[2**62, 2**62]),
    "a negative shape": lambda header: entry(header, "keys", shape=[-1]),
    "a shape of truths": lambda header: entry(header, "keys", shape=[True]),
    "a shape of floats": lambda header: entry(header, "keys", shape=[9.0]),
    "a deep shape": lambda header: entry(header, "keys", shape=[1] * 1000),
    "no shape": lambda header: entry(header, "keys", shape=None),
    "another type": lambda header: entry(header, "keys", dtype="F64"),
    "an unknown type": lambda header: entry(header, "keys", dtype="OBJECT"),
    "behind the end": lambda header: entry(header, "keys", data_offsets=[10**9, 10**9 + 9]),
    "backwards": lambda header: entry(header, "keys", data_offsets=[9, 0]),
    "three offsets": lambda header: entry(header, "keys", data_offsets=[0, 9, 9]),
    "too many numbers": lambda header: {
        **header,
        **{f"number:{name}": {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]} for name in range(65)},
    },
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers(change: Callable[[Header], Any], index: Path) -> None:
    read_all(index)  # before, it is good
    header, rest = split(index)
    rewrite(index, change(header), rest)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"index .*/i: .*mmx data index"):
        read_all(index)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        (2**63).to_bytes(8, "little") + b"{}",
        (100_000_001).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (4).to_bytes(8, "little") + b"\xff\xfe\xff\xff",
        (4).to_bytes(8, "little") + b"null",
    ],
)
def test_what_is_no_safetensors_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(data)
    with pytest.raises(DataError, match=r"index .*/i: .*mmx data index"):
        open_index(str(tmp_path / "i"), RemoteTable())
    with pytest.raises(DataError, match="there is no index at"):
        open_index(str(tmp_path / "j"), RemoteTable())


def huge(header: Header, inner: str) -> bytes:
    """Return a header with other contents, whose commas do not show from outside."""
    metadata = json.dumps({"mmx_index": inner}).replace(",", "\\u002c")
    return (
        json.dumps({**header, "__metadata__": 0})
        .encode()
        .replace(b'"__metadata__": 0', f'"__metadata__": {metadata}'.encode())
    )


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ('{"caption": "txt", "image": [], "shards": [' + "[]," * 700_000 + "[]]}", "has more in it than any index"),
        ('{"caption": "txt", "image": [], "shards": [' + "[]," * 90_000 + "[]]}", r"its shards\.0: "),
        ('{"caption": "txt", "shards": [], "image": [' + "0," * 90_000 + "0]}", r"its image\.0: "),
        ("{" + ",".join(f'"{name:x}":0' for name in range(90_000)) + "}", "has 90,003 faults"),
    ],
)
def test_contents_with_very_many_faults_cost_little(inner: str, message: str, index: Path) -> None:
    header, rest = split(index)
    text = huge(header, inner)
    index.write_bytes(len(text).to_bytes(8, "little") + text + rest)
    assert text.count(b",") < 100 and json.loads(text)["__metadata__"]["mmx_index"] == inner
    before = time.process_time()
    with pytest.raises(DataError, match=f"index .*/i: {message}"):
        read_all(index)
    assert time.process_time() - before < 5


def test_a_header_of_very_many_parts_is_refused_unread(index: Path) -> None:
    text = b'{"x":[' + b"[]," * 2_000_000 + b"[]]}"
    index.write_bytes(len(text).to_bytes(8, "little") + text)
    tracemalloc.start()
    with pytest.raises(DataError, match="has more in it than any index"):
        read_all(index)
    assert tracemalloc.get_traced_memory()[1] < 3 * len(text)
    tracemalloc.stop()


def test_an_index_of_the_most_shards_opens(tmp_path: Path) -> None:
    names = [
        f"https://bucket.s3.eu-central-1.amazonaws.com/{'d' * 160}/laion-{number:06d}.tar" for number in range(MOST)
    ]
    shards = ",".join(f'{{"name":"{name}","size":9,"sha256":"{"0" * 64}","samples":0}}' for name in names)
    write_index(tmp_path / "i", {CONTENTS: f'{{"image":["jpg"],"caption":"txt","shards":[{shards}]}}'}, [], [])
    assert (tmp_path / "i").stat().st_size > 2**25
    assert open_index(str(tmp_path / "i"), RemoteTable()).find(names[-1]) == MOST - 1


def test_an_index_that_could_not_be_opened_is_not_written(
    make: Make, triples: Triples, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "MOST_COMMAS", 10)
    before, files = index.read_bytes(), sorted(index.parent.iterdir())
    with pytest.raises(DataError, match="names of 1 shards are too long for one index"):
        build(Files([str(make("a.tar", triples(3)))]), Extensions(), index, 1)
    assert index.read_bytes() == before and sorted(index.parent.iterdir()) == files


def test_every_cut_and_random_damage_is_an_error_or_harmless(index: Path) -> None:
    data, draw, errors = index.read_bytes(), random.Random(0), 0
    for trial in range(400):
        damaged = bytearray(data)
        if trial % 2:
            del damaged[draw.randrange(len(data)) :]
        else:
            damaged[draw.randrange(len(data))] = draw.randrange(256)
        index.write_bytes(damaged)
        try:
            read_all(index)
        except DataError:
            errors += 1
    assert errors > 200


def test_an_index_moves_with_its_shards(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "a.tar").rename(folder / "a.tar")
    index.rename(folder / "i")
    found = open_index(f"file://{folder}/i", RemoteTable())
    assert found.find(str(folder / "a.tar")) == found.find(f"file://{folder}/a.tar") == 0
    assert found.find(str(tmp_path / "a.tar")) is None


def test_places_are_without_secrets() -> None:
    assert place_of("https://user:secret@host/a.tar?key=secret") == "https://host/a.tar"
