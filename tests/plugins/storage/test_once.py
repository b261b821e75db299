"""All of a file of the web in one request."""

import random
import socket
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from faulty import Fault, FaultyServer
from mmx.config import RemoteTable
from mmx_storage import once
from mmx_storage.failures import LargeError, MissingError, UnavailableError, UnreachableError
from mmx_storage.files import fetch

Serve = Callable[..., FaultyServer]
DATA = random.Random(0).randbytes(700_000)


def get(
    url: str, tmp_path: Path | None, most: int = 10**6, unknown_host_is_final: bool = False, **options: float
) -> bytes:
    where = {"cache_gb": 0} if tmp_path is None else {"cache": str(tmp_path / "cache"), "cache_gb": 1.0}
    return once.get(
        url,
        RemoteTable.model_validate({"timeout": 10.0, "patience": 20.0, **where, **options}),
        most,
        unknown_host_is_final,
    )


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("lengths", "size"), [(True, 0), (True, 5000), (True, 700_000), (False, 5000), (False, 2**18), (False, 700_000)]
)
def test_one_request_needs_no_size(serve: Serve, lengths: bool, size: int) -> None:
    server = serve({"a.png": DATA[:size]})
    server.lengths = lengths
    assert get(f"{server.address}a.png", None) == DATA[:size]
    assert server.asked == [("GET", "a.png", None, None)]


def test_another_tag_in_each_answer_is_no_change(serve: Serve, tmp_path: Path) -> None:
    server = serve({"a.png": DATA})
    server.fail(["etag", None, "etag"])
    for _ in range(3):
        assert get(f"{server.address}a.png", tmp_path) == DATA
    assert server.sent["etag"] == 2


@pytest.mark.parametrize("fault", ["503", "429", "reset", "cut", "hang", "headers", "garbled"])
def test_faults_are_survived(serve: Serve, tmp_path: Path, fault: Fault) -> None:
    server = serve({"a.png": DATA})
    server.fail([fault, fault])
    assert get(f"{server.address}a.png", tmp_path, timeout=0.7 if fault in ("hang", "headers") else 10.0) == DATA
    assert server.sent == {fault: 2}


def test_patience_ends(serve: Serve, tmp_path: Path) -> None:
    server = serve({"a.png": DATA})
    server.rate, server.faults = 1.0, ("503",)
    with pytest.raises(UnavailableError, match=r"a\.png cannot be read: HTTP 503"):
        get(f"{server.address}a.png?sig=secret", tmp_path, patience=0.5)
    with pytest.raises(MissingError):
        server.rate = 0.0
        get(f"{server.address}b.png", tmp_path)
    assert not kept(tmp_path)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_large_file_is_not_read_to_its_end(serve: Serve, tmp_path: Path, lengths: bool) -> None:
    server = serve({"a.png": DATA, "b.png": DATA[:1000]})
    server.lengths = lengths
    with pytest.raises(LargeError, match=r"a\.png has more than 1000 bytes"):
        get(f"{server.address}a.png?sig=secret", tmp_path, most=1000)
    assert get(f"{server.address}b.png", tmp_path, most=1000) == DATA[:1000]


def test_a_small_file_is_small(serve: Serve, tmp_path: Path) -> None:
    (path := tmp_path / "a").write_bytes(DATA[:1001])
    server = serve({"a": DATA[:1001]})
    for url in (str(path), f"{server.address}a"):
        with pytest.raises(LargeError, match="a has 1001 bytes; expected 1000 at most"):
            fetch(url, RemoteTable(cache_gb=0), 1000)
        assert fetch(url, RemoteTable(cache_gb=0), 1001) == DATA[:1001]


def test_a_loop_of_redirects_is_not_followed_again(serve: Serve, tmp_path: Path) -> None:
    server = serve({})
    server.redirects["a.png"] = "/a.png"
    with pytest.raises(UnavailableError, match="it redirects in a loop"):
        get(f"{server.address}a.png", tmp_path)
    assert len(server.asked) < 20, "asked for again"


@pytest.mark.parametrize("url", ["http:///x", "http://127.0.0.1:99999/x", f"http://{'a' * 70}.com/x", "http://[::1/x"])
def test_what_is_no_url_is_missing_at_once(url: str, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="that is no valid URL"):
        get(url, tmp_path)
    with pytest.raises(MissingError, match="that is no valid URL"):
        fetch(url, RemoteTable(cache_gb=0))


@pytest.mark.parametrize("unknown_host_is_final", [True, False])
def test_a_host_that_dns_does_not_know(
    unknown_host_is_final: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = unknown(socket.EAI_NONAME, monkeypatch)
    with pytest.raises(UnreachableError, match="DNS does not know the host"):
        get("http://host.example/x", tmp_path, unknown_host_is_final=unknown_host_is_final, patience=0.3)
    assert (len(asked) == 1) == unknown_host_is_final


def test_dns_that_fails_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = unknown(socket.EAI_AGAIN, monkeypatch)
    with pytest.raises(UnreachableError):
        get("http://host.example/x", tmp_path, unknown_host_is_final=True, patience=0.3)
    assert len(asked) > 1


def unknown(code: int, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked = list[object]()

    def look(host: object, *_: object, **__: object) -> object:
        asked.append(host)
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("tag", "condition"), [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
def test_what_is_kept_is_asked_about_and_used(tmp_path: Path, tag: str, condition: str) -> None:
    with Conditional(DATA[:5000], tag, condition) as server:
        for _ in range(3):
            assert get(server.address, tmp_path) == DATA[:5000]
        assert server.answers == [200, 304, 304] and len(kept(tmp_path)) == 1
        server.data = DATA[5000:9000]
        assert get(server.address, tmp_path) == DATA[5000:9000], "another file"
        assert get(server.address, tmp_path) == DATA[5000:9000]
        (block,) = kept(tmp_path)
        block.write_bytes(block.read_bytes()[:-1] + b"\0\0")
        assert get(server.address, tmp_path) == DATA[5000:9000], "a damaged block"
        assert server.answers == [200, 304, 304, 200, 304, 200]


@pytest.mark.timeout(30)
def test_what_may_be_cut_is_not_kept(tmp_path: Path) -> None:
    with Conditional(DATA[:5000], "ETag", "If-None-Match", length=False) as server:
        for _ in range(2):
            assert get(server.address, tmp_path) == DATA[:5000]
        assert server.answers == [200, 200] and not kept(tmp_path)


class Conditional:
    """A server of one file, which answers 304 to whoever has it."""

    def __init__(self, data: bytes, tag: str, condition: str, length: bool = True) -> None:
        self.data, self.tag, self.condition, self.length = data, tag, condition, length
        self.answers = list[int]()

    def __enter__(self) -> "Conditional":
        home = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                tag = f'"{sha256(home.data).hexdigest()}"'
                home.answers.append(304 if self.headers[home.condition] == tag else 200)
                self.send_response(home.answers[-1])
                self.send_header(home.tag, tag)
                if home.answers[-1] == 200 and home.length:
                    self.send_header("Content-Length", str(len(home.data)))
                self.end_headers()
                if home.answers[-1] == 200:
                    self.wfile.write(home.data)
                self.close_connection = not home.length

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/x"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
