"""A web server that misbehaves by plan, on a thread of this process."""

from __future__ import annotations

import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Final, cast

Fault = str
"""A status that is answered; or "reset"; "short" (fewer bytes, with their length), "cut" (fewer than the length says);
"hang", "headers" (then hangs), "trickle" (64 bytes each 0.5 s); "garbled" (no HTTP),
"other" (bytes of another range), "etag" (another)."""
TRANSIENT: Final[tuple[Fault, ...]] = ("503", "429", "reset", "short", "cut", "hang", "headers", "trickle", "garbled")
_OF_BODIES: Final = ("short", "cut", "headers", "trickle", "other")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")


class FaultyServer(ThreadingHTTPServer):
    """Serves bytes by name.

    Attributes:
        files: what is served, by name, without the first slash.
        faults: kinds that requests fail with.
        rate: share of requests that fail.
        only: the faults of the next requests, one each; then ``rate`` counts.
        sent: how often each fault was sent.
        asked: method, name, Range and Authorization of each request.
        ranges: whether ranges are answered, or whole files sent.
        lengths: whether sizes are told; else bodies are sent in chunks.
        redirects: Location by name.
        retry_after: seconds that 429 asks for.
        delay: seconds that each request takes.
        pace: bytes that each request is sent in a second, as on a slow link; 0 is as quickly as may be.
        most: requests that waited through their delay at the same time, at most.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: dict[str, bytes], seed: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.redirects = dict(files), dict[str, str]()
        self.faults: tuple[Fault, ...] = TRANSIENT
        self.rate, self.delay, self.pace, self.retry_after = 0.0, 0.0, 0.0, "0"
        self.only = list[Fault | None]()
        self.sent, self.asked = Counter[str](), list[tuple[str, str, str | None, str | None]]()
        self.ranges = self.lengths = True
        self.tags: dict[str, str] = {}
        self.stopped = Event()
        self.now = self.most = 0
        self._random, self._lock = random.Random(seed), Lock()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def address(self) -> str:
        """The URL of the server's root, with a slash."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def fail(self, faults: Iterable[Fault | None]) -> None:
        """Let the next requests fail so."""
        self.only.extend(faults)

    def draw(self, method: str) -> Fault | None:
        """Return what the next request fails with; an answer without a body fails in fewer ways."""
        with self._lock:
            if self.only:
                fault = self.only.pop(0)
            else:
                fault = self._random.choice(self.faults) if self._random.random() < self.rate else None
            if method == "HEAD" and fault in _OF_BODIES:
                fault = None
            if fault is not None:
                self.sent[fault] += 1
            return fault

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count a request as one that is under way."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self._lock:
            self.now -= 1

    def gets(self) -> int:
        """Return how many requests asked for bytes."""
        return sum(method == "GET" for method, *_ in self.asked)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that give up are what this is for."""

    def stop(self) -> None:
        """Stop serving, and let go of hanging requests."""
        self.stopped.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def home(self) -> FaultyServer:
        return cast(FaultyServer, self.server)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        name = self.path.partition("?")[0].lstrip("/")
        wanted, credentials = self.headers.get("Range"), self.headers.get("Authorization")
        self.home.asked.append((self.command, name, wanted, credentials))
        fault = self.home.draw(self.command)
        if self.home.delay:
            with self.home.counted():
                self.home.stopped.wait(self.home.delay)
        if name in self.home.redirects:
            self._error(302, ("Location", self.home.redirects[name]))
        elif fault is not None and fault.isdigit():
            extra = [("Retry-After", self.home.retry_after)] if fault == "429" else []
            self._error(int(fault), *extra)
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault == "garbled":
            self.wfile.write(b"<html>502</html>\r\n\r\n")
            self.close_connection = True
        elif fault == "hang":
            self._hang()
        elif name not in self.home.files:
            self._error(404)
        else:
            self._send(name, wanted, fault, with_body)

    def _send(self, name: str, wanted: str | None, fault: Fault | None, with_body: bool) -> None:
        data = whole = self.home.files[name]
        found = _RANGE.fullmatch(wanted or "") if self.home.ranges else None
        if found and int(found[1]) >= len(whole):
            self._error(416, ("Content-Range", f"bytes */{len(whole)}"))
            return
        headers = {"ETag": self.home.tags.get(name, f'"{sha256(whole).hexdigest()[:16]}"')}
        if fault == "etag":
            headers["ETag"] = '"another"'
        if found:
            last = min(int(found[2]), len(whole) - 1)
            headers["Content-Range"] = f"bytes {found[1]}-{last}/{len(whole)}"
            data = whole[int(found[1]) : last + 1]
        if fault == "other" and found:  # bytes of elsewhere, as from a confused proxy
            headers["Content-Range"] = f"bytes 0-{len(data) - 1}/{len(whole)}"
        if fault == "short":  # fewer, and said so
            data = data[: len(data) // 2]
        self.send_response(206 if found else 200)
        for header, value in headers.items():
            self.send_header(header, value)
        self._body(data, fault, with_body)

    def _body(self, data: bytes, fault: Fault | None, with_body: bool) -> None:
        if not self.home.lengths:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if fault == "headers":
            self._hang()
        elif fault == "trickle":
            self._slowly(data, 64, 0.5)
            self.close_connection = True
        elif not with_body:
            pass
        elif self.home.pace:
            self._slowly(data, 2**16, 2**16 / self.home.pace)
        elif not self.home.lengths:
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        else:
            self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
            self.close_connection = fault == "cut"

    def _slowly(self, data: bytes, piece: int, seconds: float) -> None:
        for start in range(0, len(data), piece):
            self.wfile.write(data[start : start + piece])
            self.wfile.flush()
            if self.home.stopped.wait(seconds):
                break

    def _hang(self) -> None:
        self.home.stopped.wait(60)
        self.close_connection = True

    def _error(self, status: int, *headers: tuple[str, str]) -> None:
        body = b"" if self.command == "HEAD" else b"no"
        self.send_response(status)
        for header, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)
