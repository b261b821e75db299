"""Pictures at URLs are fetched before they are asked for, a bounded number at a time."""

import pickle
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmx.config import RemoteTable
from mmx.parts.dataset import BadSampleError
from mmx_pairs import ahead
from mmx_pairs.ahead import Ahead
from mmx_pairs.config_rows import TableConfig
from mmx_pairs.table import Table
from mmx_storage.failures import MissingError, UnavailableError

Picture = Callable[[int], bytes]


class Server:
    """Answers with the URL itself, slowly, and counts."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.asked: list[str] = []
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, url: str, remote: RemoteTable, skip: bool) -> bytes:
        with self._lock:
            self.asked.append(url)
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.seconds)
        with self._lock:
            self._now -= 1
        if "gone" in url:
            raise MissingError(f"{url} does not exist")
        if "down" in url:
            raise UnavailableError(f"{url}: HTTP 503")
        return url.encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(ahead, "_get", found)
    return found


def test_many_are_fetched_at_a_time_and_each_once(server: Server) -> None:
    fetches, urls = Ahead(RemoteTable()), [f"http://host/{number}" for number in range(64)]
    fetches.begin(urls)
    assert [fetches.take(url) for url in urls] == [url.encode() for url in urls]
    assert 4 < server.most <= 17 and sorted(server.asked) == sorted(urls)
    assert fetches._held == 0 and not fetches._fetches


def test_what_is_forgotten_is_not_held(server: Server) -> None:
    fetches, urls = Ahead(RemoteTable()), [f"http://host/{number}" for number in range(40)]
    fetches.begin(urls)
    for url in urls[::2]:  # some are done, some under way, some not begun
        fetches.forget(url)
    assert [fetches.take(url) for url in urls[1::2]] == [url.encode() for url in urls[1::2]]
    end = time.monotonic() + 20
    while fetches._held or fetches._fetches:
        assert time.monotonic() < end, "they are held for ever"
        time.sleep(0.01)


def test_pictures_of_bad_captions_are_not_held(server: Server, tmp_path: Path) -> None:
    rows = "".join(f"http://host/{number}.png,\n" for number in range(20))
    (tmp_path / "t.csv").write_text(f"path,text\n{rows}")
    dataset = Table(TableConfig(name="table", urls=(str(tmp_path / "t.csv"),)))
    dataset.ahead(range(20))
    fetches = dataset.parts[0][2]._ahead
    assert len(fetches._fetches) == 20
    for index in range(20):
        with pytest.raises(BadSampleError, match="the caption is empty"):
            dataset.raw(index)
    assert not fetches._fetches


def test_what_was_not_begun_is_fetched(server: Server) -> None:
    assert Ahead(RemoteTable()).take("http://host/1") == b"http://host/1"


def test_no_more_than_so_many_are_held(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.seconds = 0.0
    monkeypatch.setattr(ahead, "_WAITING", 10)
    fetches, urls = Ahead(RemoteTable()), [f"http://host/{number}" for number in range(100)]
    fetches.begin(urls)
    assert len(fetches._fetches) <= 10
    assert [fetches.take(url) for url in urls] == [url.encode() for url in urls]


def test_nothing_waits_for_room(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.seconds = 0.0
    monkeypatch.setattr(ahead, "_HELD", 1)
    fetches, urls = Ahead(RemoteTable()), [f"http://host/{number}" for number in range(100)]
    fetches.begin(urls)
    time.sleep(0.05)
    assert len(server.asked) <= 17
    assert [fetches.take(url) for url in reversed(urls)] == [url.encode() for url in reversed(urls)]


def test_it_can_be_sent_to_another_process(server: Server) -> None:
    fetches = Ahead(RemoteTable(timeout=7.0))
    fetches.begin(["http://host/1"])
    again = pickle.loads(pickle.dumps(fetches))
    assert again.remote.timeout == 7.0 and again.take("http://host/2") == b"http://host/2"


def test_one_that_is_missing_is_bad_and_an_outage_is_an_error(server: Server, tmp_path: Path) -> None:
    (path := tmp_path / "t.tsv").write_text(
        "url\ttext\nhttp://host/gone\tone\nhttp://host/down\ttwo\nhttp://host/3\tthree\n"
    )
    dataset = Table(TableConfig(name="table", urls=(str(path),)))
    dataset.ahead([0, 1, 2])
    with pytest.raises(BadSampleError, match="000000: the picture cannot be had: http://host/gone does not exist"):
        dataset.raw(0)
    with pytest.raises(UnavailableError, match='HTTP 503; with dead_links = "skip" it is a bad sample'):
        dataset.raw(1)
    assert dataset.raw(2).image == b"http://host/3"
    assert len(server.asked) == 3
    tolerant = Table(TableConfig(name="table", urls=(str(path),), dead_links="skip"))
    with pytest.raises(BadSampleError, match="000001: the picture cannot be had: http://host/down: HTTP 503"):
        tolerant.raw(1)


@pytest.mark.timeout(30)
def test_a_server_that_has_one_of_two(picture: Picture, tmp_path: Path) -> None:
    (files := tmp_path / "files").mkdir()
    (files / "1.png").write_bytes(picture(1))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(files)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    (path := tmp_path / "t.tsv").write_text(f"url\ttext\n{host}/1.png?sig=x\tone\n{host}/2.png?sig=secret\ttwo\n")
    try:
        remote = RemoteTable(cache=str(tmp_path / "cache"), patience=5.0)
        dataset = Table(TableConfig(name="table", urls=(str(path),), remote=remote))
        dataset.ahead([0, 1])
        assert dataset.raw(0).image == picture(1)
        with pytest.raises(BadSampleError, match="000001: the picture cannot be had") as caught:
            dataset.raw(1)
        assert "secret" not in str(caught.value)
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
