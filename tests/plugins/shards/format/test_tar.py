"""Headers of tars, good and hostile."""

import io
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mmx_shards.format.tar import DamagedShardError, Member, Walk

Make = Callable[..., Path]


def walk(data: bytes) -> tuple[list[Member], Walk]:
    found = Walk(lambda offset, size: data[offset : offset + size], "a.tar")
    return list(found), found


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_finds(format: int, make: Make) -> None:
    path = make("a.tar", [("a/b.jpg", b"x" * 700), ("ü" * 40 + ".txt", b""), ("c.json", b"{}")], format)
    members, found = walk(path.read_bytes())
    with tarfile.open(path) as tar:
        assert [(m.name, m.offset, m.size) for m in members] == [(i.name, i.offset_data, i.size) for i in tar]
    assert found.marked and found.end <= path.stat().st_size


KINDS = (b"0", b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"6", b"K", b"g", b"A", b"V")
"""Files of all kinds, links, devices, a folder, a pipe, a long link, what holds for all, and what nobody knows."""


def odd(seed: int) -> bytes:
    """Return a tar of members of all kinds, whose sizes say nothing of whether bytes follow them."""
    draw, tar = random.Random(seed), bytearray()
    for number in range(60):
        kind, size = draw.choice(KINDS), draw.choice([0, 3, 512, 700, 4096])
        if kind == b"K":
            size, content = 4, b"link"
        elif kind == b"g":
            content = b"14 comment=xy\n"
            size = len(content)
        else:
            content = draw.randbytes(size)
        name = f"{number}.txt" + "/" * (kind in (b"5", b"\0") and draw.random() < 0.5)
        bare = kind in (b"1", b"2", b"3", b"4", b"5", b"6") or (kind == b"\0" and name.endswith("/"))
        if draw.random() < 0.3 and kind not in (b"K", b"g"):
            records = b"".join(
                f"{len(record) + 4} {record}\n".encode() for record in (f"path=long-{name}", f"size={size:07d}")
            )
            tar += header("x", len(records), draw.choice([b"x", b"X"])) + padded(records)
        tar += header(name, size, kind) + (b"" if bare else padded(content))
    return bytes(tar) + header("last.txt", 0) + bytes(1024)


@pytest.mark.parametrize("seed", range(30))
def test_members_of_all_kinds_are_those_that_tarfile_finds(seed: int) -> None:
    data = odd(seed)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        known = tar.getmembers()
    assert len(known) > 30 and {tarfile.LNKTYPE, tarfile.DIRTYPE} & {info.type for info in known if info.size}
    members, found = walk(data)
    assert members == [Member(info.name, info.offset_data, info.size) for info in known if info.isreg()]
    assert found.marked and found.end == len(data)


def test_a_large_extended_header_does_not_hide_its_member() -> None:
    attributes = {"LIBARCHIVE.xattr.com.apple.ResourceFork": "A" * 2**20}
    tars = io.BytesIO()
    with tarfile.open(fileobj=tars, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.txt")
        info.size, info.pax_headers = 3, attributes
        tar.addfile(info, io.BytesIO(b"abc"))
    assert [(member.name, member.size) for member in walk(tars.getvalue())[0]] == [("a.txt", 3)]


@pytest.mark.parametrize("format", ["gnu", "posix"])
@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
def test_a_sparse_file_is_refused_by_name(format: str, tmp_path: Path) -> None:
    with (tmp_path / "s.txt").open("wb") as file:
        for place in range(8):
            file.seek(2**16 * place)
            file.write(b"x" * 4096)
    made = subprocess.run(["tar", "-S", f"--format={format}", "-cf", "a.tar", "s.txt"], cwd=tmp_path)
    if made.returncode:
        pytest.skip("tar makes no sparse files here")
    data = (tmp_path / "a.tar").read_bytes()
    assert len(data) < 2**17, "it is not sparse"
    with pytest.raises(
        DamagedShardError, match=r"the sparse file 's\.txt' at byte \d+, which is not read; pack .*--sparse"
    ):
        walk(data)


@pytest.mark.parametrize("version", ["GNU.sparse.map=0,3", "GNU.sparse.size=3", "GNU.sparse.major=1"])
def test_every_way_to_say_that_a_file_is_sparse(version: str) -> None:
    records = f"{len(version) + 4} {version}\n".encode()
    data = header("x", len(records), b"x") + padded(records) + header("a.txt", 3) + padded(b"abc") + bytes(1024)
    with pytest.raises(DamagedShardError, match=r"the sparse file 'a\.txt' at byte 1024"):
        walk(data)


def test_a_long_path_in_an_extended_header_is_refused() -> None:
    records = b"70013 path=" + b"n" * 70_001 + b"\n"
    with pytest.raises(DamagedShardError, match="a name or an extended header of 70001 bytes"):
        walk(header("x", len(records), b"x") + padded(records) + header("a.txt", 0))


def test_the_end_mark_is_two_empty_blocks() -> None:
    data = header("a.txt", 3) + padded(b"abc")
    for behind, marked in ((b"", False), (bytes(512), False), (bytes(1000), False), (bytes(1024), True)):
        members, found = walk(data + behind)
        assert len(members) == 1 and found.marked == marked
    assert walk(data)[1].end == len(data)


def test_a_member_that_is_cut_ends_behind_the_tar() -> None:
    data = header("a.txt", 700) + bytes(100)
    assert walk(data)[1].end == 512 + 1024 > len(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 100, "cut short: it ends inside a header, at byte 100"),
        (b"x" * 512, "is not a tar"),
        (header("a.txt", 0) + b"x" * 512, "has a damaged header at byte 512"),
        (header("long", 300, b"L") + b"n" * 100, "cut short: it ends inside a name, at byte 612"),
        (header("long", 70_000, b"L"), "a name or an extended header of 70000 bytes"),
        (header("a.txt", 2**63), "is not a tar"),
    ],
)
def test_damaged_headers(data: bytes, message: str) -> None:
    with pytest.raises(DamagedShardError, match=message):
        walk(data)


@pytest.mark.parametrize(
    "records",
    [
        b"9" * 60_000,
        b"9" * 60_000 + b" path=x\n",
        b"0 path=x\n",
        b"-5 path=x\n",
        b"99999999999999999999 size=1\n",
        b"70000 path=x\n",
        b"30 size=99999999999999999999\n",
        b"50012 size=" + b"7" * 50_000 + b"\n",
        b" =",
        b"\xff\xfe",
        bytes(600),
    ],
)
def test_extended_headers_that_mean_nothing_are_passed_over(records: bytes) -> None:
    data = header("x", len(records), b"x") + padded(records) + header("a.txt", 3) + padded(b"abc") + bytes(1024)
    members, _ = walk(data)
    assert [(member.name, member.size) for member in members] == [("a.txt", 3)]


def test_extended_headers_override_name_and_size() -> None:
    records = b"17 path=../a.txt\n" + b"10 size=3\n"
    data = header("x", len(records), b"x") + padded(records) + header("b.txt", 0) + padded(b"abc") + bytes(1024)
    members, found = walk(data)
    assert members == [Member("../a.txt", 1536, 3)] and found.marked


def test_names_that_are_not_utf8_stay_apart() -> None:
    names = [b"\xff.txt", b"\xfe.txt"]
    tars = io.BytesIO()
    with tarfile.open(fileobj=tars, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name.decode("utf-8", "surrogateescape")))
    assert [member.name for member in walk(tars.getvalue())[0]] == ["\\xff.txt", "\\xfe.txt"]


def test_a_hundred_thousand_empty_members_take_seconds() -> None:
    block = header("000.txt", 0)
    before = time.process_time()
    members, found = walk(block * 100_000 + bytes(1024))
    assert len(members) == 100_000 and found.marked
    assert time.process_time() - before < 10
