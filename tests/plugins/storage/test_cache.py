"""Blocks kept on this machine."""

import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faulty import FaultyServer
from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx_storage.cache import BLOCK, Cache, named
from mmx_storage.files import Files

Serve = Callable[..., FaultyServer]
Away = Callable[..., Files]
DATA = random.Random(0).randbytes(2 * BLOCK + 70_000)
NAME = named("x")


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_read_is_kept(serve: Serve, away: Away, tmp_path: Path) -> None:
    server = serve({"a.tar": DATA})
    assert away(f"{server.address}a.tar", timeout=5.0).read(0, 10, len(DATA)) == DATA[10:]
    assert [path.name for path in kept(tmp_path)] == ["0", "1", "2"]
    assert {wanted for method, _, wanted, _ in server.asked if method == "GET"} == {
        f"bytes={start}-{min(start + BLOCK, len(DATA)) - 1}" for start in range(0, len(DATA), BLOCK)
    }
    asked = server.gets()
    for _ in range(2):
        files = away(f"{server.address}a.tar")
        assert files.read(0, BLOCK - 100, 200) == DATA[BLOCK - 100 : BLOCK + 100]
    assert server.gets() == asked
    server.files["a.tar"] = DATA[::-1]
    assert away(f"{server.address}a.tar", timeout=5.0).read(0, 0, 9) == DATA[::-1][:9], "another ETag, other blocks"


def test_nothing_is_kept_and_exact_ranges_are_asked_for_without_a_cache(
    serve: Serve, away: Away, tmp_path: Path
) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar", cache_gb=0)
    assert files.read(0, 100, 50) == DATA[100:150]
    assert server.asked[-1][2] == "bytes=100-149" and not kept(tmp_path)


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "bit":
        data[1000] ^= 1
    elif how == "sum":
        data[-1] ^= 1
    elif how == "short":
        data = data[:-1]
    elif how == "zeros":
        data = bytearray(len(data))
    path.write_bytes(b"" if how == "empty" else data)


@pytest.mark.parametrize("how", ["bit", "sum", "short", "zeros", "empty"])
def test_a_damaged_block_is_fetched_again(serve: Serve, away: Away, tmp_path: Path, how: str) -> None:
    server = serve({"a.tar": DATA[:100_000]})
    files = away(f"{server.address}a.tar")
    assert files.read(0, 0, 100_000) == DATA[:100_000]
    (block,), asked = kept(tmp_path), server.gets()
    good = block.read_bytes()
    damage(block, how)
    assert files.read(0, 0, 100_000) == DATA[:100_000]
    assert server.gets() == asked + 1 and block.read_bytes() == good


def test_the_limit_is_kept_and_the_oldest_goes_first(tmp_path: Path) -> None:
    limit = 5 * BLOCK
    cache, data = Cache(tmp_path, limit), DATA[:BLOCK]
    foreign = tmp_path / "blocks" / "notes"
    foreign.mkdir(parents=True)
    (foreign / "0").write_bytes(data)
    for block in range(4):
        assert cache.store(NAME, block, data)
        os.utime(tmp_path / "blocks" / NAME / str(block), (block + 1, block + 1))
    assert cache.read(NAME, 0, BLOCK, 0, 10) == data[:10]  # used just now
    for block in range(4, 6):
        assert cache.store(NAME, block, data)
        there = [path for path in kept(tmp_path) if path.parent != foreign]
        assert sum(path.stat().st_size for path in there) <= limit
    assert [block for block in range(6) if cache.holds(NAME, block, BLOCK)] == [0, 3, 4, 5]
    assert (foreign / "0").exists(), "what is not ours stays"


def test_reading_past_the_end_deletes_nothing(serve: Serve, away: Away, tmp_path: Path) -> None:
    server = serve({"a.tar": DATA[:100_000]})
    files = away(f"{server.address}a.tar")
    assert files.read(0, 0, 10) == DATA[:10] and len(kept(tmp_path)) == 1
    asked = server.gets()
    for offset in (100_000, 100_001, 200_000, 2**40):
        assert files.read(0, offset, 10) == b""
    assert len(kept(tmp_path)) == 1 and files.read(0, 5, 10) == DATA[5:15] and server.gets() == asked


def test_what_small_files_take_of_the_disk_is_counted(tmp_path: Path) -> None:
    limit, folder = 2**20, tmp_path / "blocks"
    cache = Cache(tmp_path, limit)
    for number in range(400):
        assert cache.store(named(number), 0, DATA[:5000])
    taken = sum(max(path.stat().st_blocks * 512, path.stat().st_size) for path in folder.rglob("*"))
    assert limit / 2 < taken <= limit * 1.02, "what is written between two looks at the folder comes to it"
    assert not [path for path in folder.iterdir() if not list(path.iterdir())], "an empty folder is left"


def test_an_empty_folder_goes_when_the_folder_is_looked_through(tmp_path: Path) -> None:
    (left := tmp_path / "blocks" / named("left")).mkdir(parents=True)
    (foreign := tmp_path / "blocks" / "notes").mkdir()
    assert Cache(tmp_path, 10**9).store(NAME, 0, DATA[:10])
    assert foreign.exists() and not left.exists()


def test_a_folder_that_another_process_deletes_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, deleted, begin = Cache(tmp_path, 10**9), list[Path](), tempfile.mkstemp

    def late(prefix: str, dir: Path) -> tuple[int, str]:
        if not deleted:
            dir.rmdir()
            deleted.append(dir)
        return begin(prefix=prefix, dir=dir)

    monkeypatch.setattr("mmx_storage.cache.tempfile.mkstemp", late)
    assert cache.store(NAME, 0, DATA[:10]) and deleted and cache.read(NAME, 0, 10, 0, 10) == DATA[:10]


def test_a_process_has_one_of_each_folder_and_a_fork_another(tmp_path: Path) -> None:
    remote = RemoteTable(cache=str(tmp_path / "cache"), cache_gb=1)
    with ThreadPoolExecutor(8) as threads:
        caches = list(threads.map(lambda _: Cache.of(remote), range(32)))
    assert len({id(cache) for cache in caches}) == 1
    assert Cache.of(RemoteTable(cache=str(tmp_path / "cache"), cache_gb=2)) is not caches[0], "another limit"
    child = os.fork()
    if child == 0:
        os._exit(Cache.of(remote) is caches[0])
    assert os.waitpid(child, 0)[1] == 0


def test_blocks_of_any_length_are_read_whole(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10**9)
    for block, length in enumerate((1, 2**16 - 1, 2**16, 2**16 + 1, 2**17, 200_000)):
        assert cache.all_of(NAME, block) is None
        assert cache.store(NAME, block, DATA[:length]) and cache.all_of(NAME, block) == DATA[:length]
    for block, how in enumerate(("bit", "sum", "short", "zeros"), start=2):
        path = tmp_path / "blocks" / NAME / str(block)
        damage(path, how)
        assert cache.all_of(NAME, block) is None and not path.exists()


def test_reading_goes_on_when_nothing_can_be_kept(serve: Serve, away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve({"a.tar": DATA[:100_000]})
    files, refused = away(f"{server.address}a.tar"), list[str]()

    def full(old: str, new: str) -> None:
        refused.append(new)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmx_storage.cache.os.rename", full)
    assert files.read(0, 5, 10) == DATA[5:15] and files.read(0, 50, 10) == DATA[50:60]
    assert refused and server.gets() == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"file/cache, where remote data is kept, cannot be made: Not a directory; name"
    ):
        Cache.of(RemoteTable(cache=str(tmp_path / "file" / "cache")))


def read_all(url: str, folder: str, seed: int) -> int:
    files = Files([url], RemoteTable(timeout=5.0, cache=folder, cache_gb=3 * BLOCK / 1e9))
    drawn, right = random.Random(seed), 0
    for _ in range(20):
        offset = drawn.randrange(len(DATA))
        right += files.read(0, offset, 5000) == DATA[offset : offset + 5000]
    return right


def test_processes_share_a_folder(serve: Serve, tmp_path: Path) -> None:
    server = serve({"a.tar": DATA})
    server.rate, server.faults = 0.2, ("503", "cut")
    work = [(f"{server.address}a.tar", str(tmp_path), seed) for seed in range(2)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(read_all, work) == [20, 20]
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 3 * BLOCK
    assert all(path.name.isdigit() for path in kept(tmp_path))


KILLED = """
    import sys
    from pathlib import Path
    from mmx_storage import cache

    def stop(*_):
        print("writing", flush=True)
        sys.stdin.read()  # until it is killed

    cache.os.rename = stop
    cache.Cache(Path(sys.argv[1]), 10**9).store(sys.argv[2], 0, b"x" * cache.BLOCK)
"""


def test_a_process_killed_while_it_writes_leaves_no_block(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), NAME]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        writer.kill()
    (left,) = kept(tmp_path)
    cache = Cache(tmp_path, BLOCK)
    assert left.name.startswith("new-") and not cache.holds(NAME, 0, BLOCK)
    assert cache.read(NAME, 0, BLOCK, 0, 10) is None
    os.utime(left, (0, 0))
    assert cache.store(NAME, 1, DATA[: BLOCK // 2]) and cache.holds(NAME, 1, BLOCK // 2)
    assert not left.exists(), "what it left is cleared away"
