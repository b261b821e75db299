"""S3, by moto's server; it fails where a wrapper around it says so."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
import pytest
from fsspec import AbstractFileSystem
from moto.server import ThreadedMotoServer

from mmx_storage.background import background
from mmx_storage.failures import ChangedError, DeniedError, MissingError, UnavailableError
from mmx_storage.files import Files
from mmx_storage.systems import Systems

Away = Callable[..., Files]
DATA = random.Random(0).randbytes(200_000)
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Faults:
    """Answers in the place of an application: SlowDown, or that a token has expired."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner
        self.next = list[str]()
        self.always = ""
        self.sent = Counter[str]()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        code = self.next.pop(0) if self.next else self.always
        if not code:
            return self.inner(environ, start)
        self.sent[code] += 1
        start("503 Slow Down" if code == "SlowDown" else "400 Bad Request", [("Content-Type", "application/xml")])
        return (
            []
            if environ["REQUEST_METHOD"] == "HEAD"
            else [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]
        )


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Faults]]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("mmx_storage.background._HERE.background", None)  # no file system of another test's server
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="a.tar", Body=DATA)
    assert server._server is not None
    faults = Faults(server._server.app)
    server._server.app = faults
    yield client, faults
    server.stop()


def test_s3(s3: tuple[Any, Faults], away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    client, faults = s3
    files = away("s3://bucket/a.tar", "s3://bucket/b.tar", timeout=10.0, patience=20.0, cache_gb=0)
    unknown_host_is_final = away("s3://bucket/a.tar", timeout=10.0, patience=1.0, cache_gb=0)
    random.seed(3)
    before = random.getstate()
    faults.next = ["SlowDown", "SlowDown"]
    assert files.size(0) == len(DATA)
    faults.next = ["SlowDown", "ExpiredToken"]
    assert files.read(0, 1000, 5000) == DATA[1000:6000]
    assert faults.sent == {"SlowDown": 3, "ExpiredToken": 1} and files.retries == 4
    assert random.getstate() == before

    with pytest.raises(MissingError, match=r"s3://bucket/b\.tar does not exist"):
        files.check(1)
    faults.always = "SlowDown"
    with pytest.raises(UnavailableError, match="HTTP 503"):
        unknown_host_is_final.read(0, 0, 10)
    faults.always = "ExpiredToken"
    with pytest.raises(DeniedError, match="no valid credentials") as denied:
        files.read(0, 0, 10)
    assert "canary" not in str(denied.value)

    faults.always = ""
    client.put_object(Bucket="bucket", Key="a.tar", Body=DATA[::-1])
    monkeypatch.setattr("mmx_storage.systems._RECHECK", 0.0)
    with pytest.raises(ChangedError, match="is not what it was"):
        files.read(0, 0, 10)


class Slow(AbstractFileSystem):
    """Looks for credentials where it is made, as gcsfs does, until it may go on."""

    may = threading.Event()
    waiting = 0

    def __init__(self, **options: object) -> None:
        Slow.waiting += 1
        Slow.may.wait(20)
        super().__init__()

    def info(self, path: str, **options: object) -> dict[str, object]:
        return {"size": 100, "type": "file", "etag": "1"}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: object) -> bytes:
        return bytes((end or 100) - (start or 0))


@pytest.fixture
def slow(away: Away, monkeypatch: pytest.MonkeyPatch) -> Away:
    """Read from a store that looks for credentials, and looks at files again after each read."""
    monkeypatch.setattr("mmx_storage.background._HERE.background", None)
    monkeypatch.setattr("mmx_storage.systems._RECHECK", 0.0)
    monkeypatch.setattr("mmx_storage.systems.get_filesystem_class", lambda _: Slow)
    Slow.may.set()
    return away


def test_the_loop_does_not_wait_for_credentials(slow: Away) -> None:
    files = slow("gs://bucket/a.tar", timeout=20.0, cache_gb=0)
    assert files.read(0, 0, 10) == bytes(10)
    store, loop = background().stores["gs"], background().loop
    assert isinstance(store, Systems)
    Slow.may.clear()
    store.renew()  # as after a 403
    before = Slow.waiting
    readers = [threading.Thread(target=files.read, args=(0, start, 10), daemon=True) for start in range(3)]
    for reader in readers:
        reader.start()
    while Slow.waiting < before + len(readers):
        time.sleep(0.01)
    began = time.monotonic()
    for act in (asyncio.sleep(0), _renew(store), asyncio.sleep(0)):
        asyncio.run_coroutine_threadsafe(act, loop).result(10)
    assert time.monotonic() - began < 5, "the loop stood still"
    Slow.may.set()
    for reader in readers:
        reader.join(10)
        assert not reader.is_alive()


def test_a_read_that_checks_again_does_not_wait_on_the_loop(slow: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    files, threads = slow("gs://bucket/a.tar", timeout=20.0, cache_gb=0), set[str]()
    monkeypatch.setattr(Slow, "invalidate_cache", lambda *_: threads.add(str(threading.get_ident())))
    assert files.read(0, 0, 10) == bytes(10) and threads
    assert threads.isdisjoint({asyncio.run_coroutine_threadsafe(_ident(), background().loop).result(10)})


async def _renew(store: Systems) -> None:
    store.renew()


async def _ident() -> str:
    return str(threading.get_ident())
