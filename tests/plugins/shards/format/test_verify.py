"""Whether shards are what they were."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mmx.config import RemoteTable
from mmx_shards.format.build import build
from mmx_shards.format.index import open_index
from mmx_shards.format.roles import Extensions
from mmx_shards.format.verify import Report, verify
from mmx_storage.files import Files

Make = Callable[..., Path]
Triples = Callable[..., list[tuple[str, bytes]]]


@pytest.fixture
def shards(make: Make, triples: Triples, tmp_path: Path) -> list[Path]:
    """Return three shards, which have an index."""
    paths = [make(f"{name}.tar", triples(4, start=4 * number)) for number, name in enumerate("abc")]
    build(Files(list(map(str, paths))), Extensions(), tmp_path / "i", 1)
    return paths


def verified(paths: Sequence[Path], workers: int = 1, decoded: bool = False, index: bool = True) -> list[Report]:
    told: list[Report] = []
    found = open_index(str(paths[0].parent / "i"), RemoteTable()) if index else None
    reports = verify(Files([str(path) for path in paths]), Extensions(), found, workers, decoded, told.append)
    assert told == list(reports)[: len(paths)]
    return list(reports)


def place(path: Path, key: str) -> int:
    return path.read_bytes().index(f"caption {int(key)}".encode())


@pytest.mark.parametrize("workers", [1, 2])
def test_whole_shards(workers: int, shards: list[Path]) -> None:
    reports = verified(shards, workers, decoded=True)
    assert [(report.samples, report.wrong, report.findings.names) for report in reports] == [(4, [], {})] * 3


def test_a_changed_byte_is_named_with_its_sample(shards: list[Path]) -> None:
    with shards[1].open("r+b") as file:
        os.pwrite(file.fileno(), b"C", place(shards[1], "006"))
    good, bad, other = verified(shards)
    assert not good.wrong and not other.wrong
    assert bad.wrong == ["its sha256 is not the one that was indexed", "samples that changed or are gone: 006"]


def test_a_damaged_header_does_not_hide_the_others(shards: list[Path]) -> None:
    with shards[1].open("r+b") as file:
        os.pwrite(file.fileno(), b"X", 1024 + 3)
    wrong = verified(shards)[1].wrong
    assert wrong[0].startswith("has a damaged header at byte 1024") and len(wrong) == 2  # each sample is as it was


def test_a_cut_shard(shards: list[Path]) -> None:
    size = shards[2].stat().st_size
    os.truncate(shards[2], 512 * 6 * 2)
    wrong = verified(shards)[2].wrong
    assert "at byte 6144 a tar's end mark is missing" in wrong[0]
    assert wrong[1] == f"6,144 bytes, not {size:,} as indexed"
    assert wrong[3] == "samples that changed or are gone: 010, 011"


def test_other_samples_and_lost_shards(shards: list[Path], make: Make, triples: Triples) -> None:
    make("b.tar", triples(3, start=4))
    shards[0].unlink()
    lost, fewer, good = verified(shards)
    assert "does not exist" in lost.wrong[0]
    assert "3 samples, not 4 as indexed" in fewer.wrong and "samples that changed or are gone: 007" in fewer.wrong
    assert not good.wrong


def test_a_shard_that_was_never_indexed(shards: list[Path], make: Make, triples: Triples) -> None:
    reports = verified([*shards, make("d.tar", triples(1))])
    assert "is not in the index" in reports[3].wrong[0] and not any(report.wrong for report in reports[:3])


def test_a_damaged_index_is_told_from_damaged_shards(shards: list[Path]) -> None:
    index = shards[0].parent / "i"
    data = bytearray(index.read_bytes())
    where = data.rindex(b"000001002003")  # the keys
    data[where + 2] ^= 1
    index.write_bytes(data)
    reports = verified(shards)
    assert reports[0].wrong == ["the shard is as it was, but the index is damaged: make it again"]
    assert not reports[1].wrong


def test_pictures_that_cannot_be_decoded(make: Make, triples: Triples, tmp_path: Path) -> None:
    members = triples(2)
    torn = members[0][1][:50]
    path = make("a.tar", [*members, ("torn.png", torn), ("torn.txt", b"x"), ("mute.png", members[0][1])])
    build(Files([str(path)]), Extensions(), tmp_path / "i", 1)
    for index in (True, False):
        assert verified([path], index=index)[0].wrong == []
        (report,) = verified([path], decoded=True, index=index)
        assert report.wrong == ["a picture that cannot be decoded: torn"]
        assert report.findings.names["no caption (.txt)"] == ["mute"]


def test_without_an_index_what_shows_is_found(shards: list[Path]) -> None:
    os.truncate(shards[0], 512 * 6 * 2)
    with shards[1].open("r+b") as file:
        os.pwrite(file.fileno(), b"C", place(shards[1], "006"))
    cut, changed, _ = verified(shards, index=False)
    assert "end mark is missing" in cut.wrong[0] and changed.wrong == []


def test_a_shard_that_is_gone_is_wrong_also_if_it_is_not_asked_for(shards: list[Path]) -> None:
    assert [report.wrong for report in verified(shards[:1])] == [[]]
    shards[2].unlink()
    good, lost = verified(shards[:1])
    assert not good.wrong and (lost.name, lost.wrong) == (str(shards[2]), ["is in the index, but does not exist"])
