"""A cell that is no URL, or one that is dead, costs its sample alone."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from mmx.config import RemoteTable
from mmx.parts.dataset import BadSampleError
from mmx_pairs import ahead
from mmx_pairs.pictures import Pictures
from mmx_storage.failures import ChangedError, LargeError, UnavailableError, UnreachableError

Picture = Callable[[int], bytes]


def pictures(tmp_path: Path, skip: bool = True) -> Pictures:
    return Pictures(str(tmp_path), RemoteTable(cache=str(tmp_path / "cache"), patience=0.5), skip=skip)


@pytest.fixture
def address(picture: Picture) -> Iterator[str]:
    """Serve one picture in the ways that servers have, by name."""
    data, tags = picture(1), count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "77")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/loop" else 200)
            if self.path == "/loop":
                self.send_header("Location", "/loop")
            if self.path == "/tags":
                self.send_header("ETag", f'"{next(tags)}"')
            if self.path == "/chunks":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
            else:
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("how", ["chunks", "tags", "another-length"])
@pytest.mark.parametrize("skip", [True, False])
def test_pictures_of_common_servers(how: str, skip: bool, address: str, picture: Picture, tmp_path: Path) -> None:
    found = pictures(tmp_path, skip)
    for _ in range(2):
        found.begin([f"{address}/{how}"])
        assert found.read(f"{address}/{how}", "one") == picture(1)


def test_a_loop_of_redirects_is_dead(address: str, tmp_path: Path) -> None:
    with pytest.raises(BadSampleError, match=r"one: the picture cannot be had: .*redirects in a loop"):
        pictures(tmp_path).read(f"{address}/loop", "one")
    with pytest.raises(UnavailableError, match=r'redirects in a loop.*with dead_links = "skip"'):
        pictures(tmp_path, skip=False).read(f"{address}/loop", "one")


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(
    "cell",
    [
        "http:///x.png",
        "http://[1/x.png",
        "http://exa mple.com/x.png",
        "http://me:secret@a\u2100b.com/x.png",
        f"http://{'a' * 70}.com/x.png",
        "http://127.0.0.1:99999/x.png",
        "file://[x.png",
        "s3:///x.png",
    ],
)
def test_what_is_no_url_is_bad_and_says_so(cell: str, skip: bool, tmp_path: Path) -> None:
    found = pictures(tmp_path, skip)
    found.begin([cell])
    with pytest.raises(BadSampleError, match=r"one: the picture .* is no valid URL") as bad:
        found.read(cell, "one")
    assert "secret" not in str(bad.value)


@pytest.mark.parametrize("cell", ["//[x.png", "http://[::1/x.png"])
def test_other_cells_that_cannot_be_parsed_are_bad(cell: str, tmp_path: Path) -> None:
    with pytest.raises(BadSampleError):
        pictures(tmp_path).read(cell, "one")


def test_a_host_that_dns_does_not_know_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[object]()

    def look(host: object, *_: object, **__: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    with pytest.raises(BadSampleError, match="DNS does not know the host"):
        pictures(tmp_path).read("http://host.example/x.png", "one")
    assert len(asked) == 1
    with pytest.raises(UnreachableError, match="DNS does not know the host"):
        pictures(tmp_path, skip=False).read("http://host.example/x.png", "one")
    assert len(asked) > 2, "an outage of the network is waited for"


def test_one_that_changes_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: object) -> bytes:
        raise ChangedError("s3://bucket/x.png was changed")

    monkeypatch.setattr(ahead, "_get", changed)
    with pytest.raises(BadSampleError, match=r"cannot be had: .* was changed"):
        pictures(tmp_path).read("s3://bucket/x.png", "one")
    with pytest.raises(ChangedError):
        pictures(tmp_path, skip=False).read("s3://bucket/x.png", "one")


@pytest.mark.parametrize("skip", [True, False])
def test_one_that_is_too_large_is_bad(
    address: str, skip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "LARGEST", 10)
    with pytest.raises(LargeError):
        ahead.Ahead(RemoteTable(cache_gb=0)).take(f"{address}/chunks")
    with pytest.raises(BadSampleError, match=r"one: the picture cannot be had: .* has more than 10 bytes"):
        pictures(tmp_path, skip).read(f"{address}/chunks", "one")
