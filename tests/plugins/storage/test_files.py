"""Files of this machine and of memory, and what readers promise to processes."""

import os
import pickle
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from faulty import FaultyServer
from mmx.errors import DataError, MissingPackageError
from mmx_storage.failures import DeniedError, MissingError
from mmx_storage.files import Files, fetch

Serve = Callable[..., FaultyServer]
Away = Callable[..., Files]
DATA = random.Random(0).randbytes(100_000)


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "a.tar").write_bytes(DATA)
    return str(tmp_path / "a.tar")


@pytest.mark.parametrize("form", ["{}", "file://{}", "FILE://{}"])
def test_local_files(path: str, form: str) -> None:
    files = Files([form.format(path)])
    files.check(0)
    files.ahead([(0, 0, 10)])
    assert files.size(0) == len(DATA) and files.retries == 0
    assert files.read(0, 100, 50) == DATA[100:150]
    assert files.read(0, len(DATA) - 5, 50) == DATA[-5:]
    assert files.read(0, len(DATA) + 5, 50) == b"" and files.read(0, 0, 2**60) == DATA


def test_memory() -> None:
    fsspec.filesystem("memory").pipe("/storage/a.tar", DATA)
    files = Files(["memory://storage/a.tar", "memory://storage/b.tar"])
    assert files.size(0) == len(DATA) and files.read(0, len(DATA) - 5, 50) == DATA[-5:]
    assert fetch("memory://storage/a.tar") == DATA
    with pytest.raises(MissingError, match=r"memory://storage/b\.tar does not exist"):
        files.check(1)


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).write_bytes(bytes([number % 256]))
    files, before = Files([str(tmp_path / str(number)) for number in range(300)]), len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert [files.read(number, 0, 9) for number in range(300)] == [bytes([number % 256]) for number in range(300)]
    assert len(os.listdir("/proc/self/fd")) - before <= 130
    del files
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda _: None, MissingError, "does not exist"),
        (lambda path: path.mkdir(), DataError, "is a folder; name the shards in it"),
        (os.mkfifo, DataError, "is not a regular file"),
        (lambda path: path.symlink_to(path), DataError, "cannot be read"),
    ],
)
def test_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], None], kind: type[DataError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "x")
    with pytest.raises(kind, match=message):
        Files([str(tmp_path / "x")]).check(0)
    monkeypatch.chdir(tmp_path)
    if kind is MissingError:
        with pytest.raises(kind, match=r"x does not exist \(looked in "):
            Files(["x"]).read(0, 0, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: str) -> None:
    Path(path).chmod(0)
    with pytest.raises(DeniedError, match="check its permissions"):
        Files([path]).check(0)


@pytest.mark.parametrize(
    "url",
    ["ssh://host/a", "simplecache::http://user:secret@host/a", "pipe://touch x", "github://org:repo@/a", "\0://x"],
)
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    for act in (
        lambda files: files.read(0, 0, 1),
        lambda files: files.check(0),
        lambda files: files.ahead([(0, 0, 1)]),
    ):
        with pytest.raises(DataError, match="cannot be read: expected a path, or a URL that starts with") as refused:
            act(Files([url]))
        assert "secret" not in str(refused.value)


def test_a_missing_package_is_named(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingPackageError, match=r"gs://bucket/a\.tar: .* pip install 'mmx\[gs\]'"):
        away("gs://bucket/a.tar").check(0)


def test_pickling_keeps_the_urls_and_the_options(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar")
    assert files.read(0, 0, 10) == DATA[:10]
    asked = server.gets()
    again: Files = pickle.loads(pickle.dumps(files))
    assert again.urls == files.urls and again.read(0, 50, 10) == DATA[50:60]
    assert server.gets() == asked, "the copy has the same cache"


RUNS = """
    import os, sys, time
    from mmx.config import RemoteTable
    from mmx_storage.files import Files

    url, cache = sys.argv[1:]
    files = Files([url], RemoteTable(timeout=20.0, cache=cache))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = textwrap.dedent(RUNS) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True, timeout=60)


def test_a_forked_process_reads_on(serve: Serve, tmp_path: Path) -> None:
    server = serve({"a.tar": DATA * 90})  # three blocks
    code = """
        assert len(files.read(0, 0, 10)) == 10
        files.ahead([(0, 2**22, 10)])
        child = os.fork()
        data = files.read(0, 2**22 - 5, 10) + files.read(0, 2**23, 10)
        sys.stdout.write(data.hex() + "\\n")
        sys.stdout.flush()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    done = run(code, f"{server.address}a.tar", str(tmp_path))
    whole = server.files["a.tar"]
    assert done.stdout.split() == [(whole[2**22 - 5 : 2**22 + 5] + whole[2**23 : 2**23 + 10]).hex()] * 2, done.stderr
    assert done.stderr == "" and done.returncode == 0


def test_a_process_ends_at_once_whatever_hangs(serve: Serve, tmp_path: Path) -> None:
    server = serve({"a.tar": DATA})
    code = """
        files.check(0)
        files.ahead([(0, 0, 10)])
        time.sleep(0.3)
        print(time.time())
    """
    server.fail([None, "hang"])
    done = run(code, f"{server.address}a.tar", str(tmp_path))
    assert time.time() - float(done.stdout) < 10, done.stderr
    assert done.stderr == "" and done.returncode == 0 and server.sent["hang"] == 1


def test_nothing_heavy_is_imported_for_local_files(path: str) -> None:
    code = "import sys, mmx_storage.files; assert not {'aiohttp', 'fsspec', 'asyncio', 'torch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
