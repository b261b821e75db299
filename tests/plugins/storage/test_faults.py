"""Reading from servers that fail: the right bytes or a named error, in bounded time."""

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from faulty import TRANSIENT, Fault, FaultyServer
from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx_storage.background import AT_ONCE
from mmx_storage.cache import BLOCK
from mmx_storage.failures import (
    ChangedError,
    DeniedError,
    MissingError,
    UnavailableError,
    UnreachableError,
    of_error,
)
from mmx_storage.files import Files, fetch

Serve = Callable[..., FaultyServer]
Away = Callable[..., Files]
DATA = random.Random(0).randbytes(300_000)
STALLS = ("hang", "headers", "trickle")


def spans(count: int, size: int) -> list[tuple[int, int, int]]:
    """Draw places to read: each more than the 64 bytes that a trickle sends at once, which would be no fault."""
    drawn = random.Random(1)
    return [(0, drawn.randrange(size - 2000), drawn.randrange(65, 2000)) for _ in range(count)]


def test_a_third_of_requests_failing_changes_no_byte(serve: Serve, away: Away, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(DATA)
    server, reads = serve({"a.tar": DATA}), spans(200, len(DATA))
    server.rate = 0.3
    files = away(f"{server.address}a.tar", timeout=0.3, cache_gb=0)
    local = Files([str(tmp_path / "a.tar")])
    for start in range(0, len(reads), 50):
        files.ahead(reads[start : start + 50])
        for span in reads[start : start + 50]:
            assert files.read(*span) == local.read(*span)
    assert set(server.sent) == set(TRANSIENT), "a kind of fault never happened"
    assert server.sent.total() > 40
    assert files.retries >= server.sent.total() - server.sent["reset"], "aiohttp makes up for a reset by itself, once"


def test_bare_fsspec_fails_under_the_same_faults(serve: Serve) -> None:
    server = serve({"a.tar": DATA})
    server.rate, server.faults = 0.3, ("503", "429", "reset", "short", "cut")
    system, wrong = fsspec.filesystem("http", skip_instance_cache=True), 0
    for _, offset, size in spans(30, len(DATA) - 2000):
        try:
            wrong += system.cat_file(f"{server.address}a.tar", offset, offset + size) != DATA[offset : offset + size]
        except Exception:
            wrong += 1
    assert wrong >= 5 and server.sent.total() >= 5


@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("cache_gb", [0, 1])
def test_each_fault_is_survived(serve: Serve, away: Away, fault: Fault, cache_gb: float) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar", timeout=2.0 if fault in STALLS else 10.0, cache_gb=cache_gb)
    files.check(0)
    server.fail([fault, fault])
    assert files.read(0, 1000, 5000) == DATA[1000:6000]
    assert server.sent == {fault: 2} and files.retries == (1 if fault == "reset" else 2)  # aiohttp makes up for one


def test_bytes_of_another_range_are_not_taken(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar", cache_gb=0)
    files.check(0)
    server.fail(["other"])
    assert files.read(0, 1000, 5000) == DATA[1000:6000] and server.sent["other"] == 1


@pytest.mark.parametrize("fault", STALLS)
def test_a_stall_is_bounded(serve: Serve, away: Away, fault: Fault) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar", timeout=1.0)
    files.check(0)
    server.fail([fault])
    began = time.monotonic()
    assert files.read(0, 0, 100) == DATA[:100]
    assert 1.0 <= time.monotonic() - began < 10 and server.sent[fault] >= 1


def test_a_slow_link_is_no_outage(serve: Serve, away: Away) -> None:
    data, limit = random.Random(3).randbytes(2 * BLOCK), 3.0
    server = serve({"a.tar": data})
    server.pace = BLOCK / (1.5 * limit)
    files = away(f"{server.address}a.tar", timeout=limit, patience=6.0)
    files.ahead((0, start, 1) for start in range(0, len(data), BLOCK))
    began = time.monotonic()
    assert files.read(0, 0, len(data)) == data and files.retries == 0
    assert time.monotonic() - began > limit, "each request took longer than a stall may"


@pytest.mark.parametrize("fault", ["503", "reset", "cut", "hang"])
def test_an_outage_is_an_error_after_patience(serve: Serve, away: Away, fault: Fault) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar?key=secret", timeout=0.3, patience=1.5)
    files.check(0)
    server.rate, server.faults = 1.0, (fault,)
    began = time.monotonic()
    with pytest.raises(
        UnavailableError, match=r"a\.tar cannot be read: .*\dx\) in .* raise data.train.remote.patience"
    ) as e:
        files.read(0, 0, 100)
    assert 0.5 <= time.monotonic() - began < 15 and server.sent[fault] >= 2
    assert "secret" not in str(e.value)
    server.rate = 0.0
    assert files.read(0, 0, 100) == DATA[:100], "it can be read again when the server is back"


def test_an_outage_is_never_a_missing_file(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    server.rate, server.faults = 1.0, ("503",)
    with pytest.raises(FileNotFoundError):
        fsspec.filesystem("http", skip_instance_cache=True).info(f"{server.address}a.tar")
    with pytest.raises(UnavailableError, match="HTTP 503"):
        away(f"{server.address}a.tar", patience=0.2).check(0)


def test_waits_as_long_as_the_server_asks(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    server.retry_after = "1"
    files = away(f"{server.address}a.tar")
    server.fail(["429"])
    began = time.monotonic()
    files.check(0)
    assert 1.0 <= time.monotonic() - began < 8
    server.retry_after = "1000"
    server.fail(["429"] * 5)
    with pytest.raises(UnavailableError, match="HTTP 429"):
        away(f"{server.address}a.tar", patience=0.3).check(0)
    assert time.monotonic() - began < 15, "not longer than patience"


def test_a_missing_file_is_told_at_once(serve: Serve, away: Away) -> None:
    server = serve({})
    with pytest.raises(MissingError, match=r"b\.tar does not exist \(HTTP 404\)"):
        away(f"{server.address}b.tar").read(0, 0, 1)
    assert len(server.asked) == 1


def test_a_refusal_is_tried_afresh_once(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar")
    files.check(0)
    server.fail(["403"])
    assert files.read(0, 0, 10) == DATA[:10] and server.sent["403"] == 1
    server.fail(["403"] * 9)
    with pytest.raises(DeniedError, match=r"HTTP 403 \(2x\) in \d\.\d s; check or renew the credentials"):
        away(f"{server.address}a.tar", cache_gb=0).read(0, 0, 10)


def test_a_url_signed_for_get_alone_can_be_read(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    server.fail(["403"])  # to HEAD
    assert away(f"{server.address}a.tar").size(0) == len(DATA)
    assert [method for method, *_ in server.asked] == ["HEAD", "GET"]


def test_nobody_answering_is_unreachable(serve: Serve, away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    server = serve({})
    server.stop()
    with pytest.raises(UnreachableError, match="connection refused"):
        away(f"{server.address}a.tar", patience=0.3).check(0)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match="DNS does not know the host"):
        away("http://nowhere.invalid/a.tar", patience=0.3, timeout=5.0).check(0)


def test_tls_is_a_reason_of_its_own(serve: Serve, away: Away) -> None:
    server = serve({})
    with pytest.raises(UnreachableError, match="TLS fails"):  # the server speaks plain http
        away(server.address.replace("http:", "https:") + "a.tar", patience=0.3).check(0)
    failure = of_error(ssl.SSLCertVerificationError())
    assert failure.kind is UnreachableError and failure.final and "is not trusted" in failure.reason


@pytest.mark.parametrize("cache_gb", [0, 1])
def test_a_changed_file_is_refused(serve: Serve, away: Away, cache_gb: float) -> None:
    server = serve({"a.tar": DATA})
    files = away(f"{server.address}a.tar", cache_gb=cache_gb)
    files.check(0)
    server.fail(["etag"])
    with pytest.raises(ChangedError, match=r'its ETag was .* and is "another"'):
        files.read(0, 0, 10)
    server.files["a.tar"] = DATA[:-1]
    server.tags["a.tar"] = ""
    with pytest.raises(ChangedError, match="its size was 300000 bytes and is 299999"):
        files.read(0, 0, 10)
    server.files["a.tar"] = DATA[:5]
    with pytest.raises(ChangedError):
        files.read(0, 100_000, 10)


@pytest.mark.parametrize("cache_gb", [0, 1])
def test_a_server_that_ignores_ranges_will_do(serve: Serve, away: Away, cache_gb: float) -> None:
    data = random.Random(2).randbytes(2 * BLOCK + 1000)
    server = serve({"a.tar": data})
    server.ranges = False
    files = away(f"{server.address}a.tar", cache_gb=cache_gb, timeout=5.0)
    files.ahead([(0, BLOCK, 10), (0, 2 * BLOCK, 10)])
    assert files.read(0, BLOCK - 5, 10) == data[BLOCK - 5 : BLOCK + 5]
    assert files.read(0, 2 * BLOCK + 990, 50) == data[-10:]
    asked = server.gets()
    assert files.read(0, 0, 10) == data[:10] and (server.gets() == asked or not cache_gb)


def test_a_server_that_tells_no_size_is_named(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    server.lengths = server.ranges = False
    with pytest.raises(DataError, match="does not tell its size"):
        away(f"{server.address}a.tar").check(0)
    server.ranges = True  # Content-Range has it
    assert away(f"{server.address}a.tar", cache_gb=0).read(0, 5, 10) == DATA[5:15]


def test_credentials_stay_with_their_host(serve: Serve, away: Away) -> None:
    there = serve({"b.tar": DATA})
    here = serve({"a.tar": DATA})
    here.redirects["c.tar"] = f"{there.address}b.tar"
    url = here.address.replace("//", "//user:secret@")
    assert away(f"{url}c.tar").read(0, 0, 10) == DATA[:10]
    assert all(authorization for *_, authorization in here.asked) and here.asked
    assert not any(authorization for *_, authorization in there.asked) and there.asked


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://x/"])
def test_redirects_to_other_schemes_are_refused(serve: Serve, away: Away, target: str) -> None:
    server = serve({})
    server.redirects["a.tar"] = target
    with pytest.raises(UnreachableError, match=f"it redirects to {target.partition(':')[0]}://, which is refused"):
        away(f"{server.address}a.tar").check(0)
    assert len(server.asked) == 1


def test_read_ahead_costs_one_round_trip(serve: Serve, away: Away) -> None:
    server = serve({f"{n}.tar": DATA for n in range(12)})
    files = away(*(f"{server.address}{n}.tar" for n in range(12)), timeout=5.0)
    for n in range(12):
        files.check(n)
    server.delay = 1.5
    began = time.monotonic()
    files.ahead((n, 100, 100) for n in range(12))
    assert time.monotonic() - began < server.delay, "it returns at once"
    assert all(files.read(n, 100, 100) == DATA[100:200] for n in range(12))
    assert server.delay <= time.monotonic() - began < 6 * server.delay
    assert server.gets() == 12, "a block that is on its way is not asked for again"


def test_random_state_is_left_alone(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    random.seed(3)
    before = random.getstate()
    server.fail(["503", "503"])
    away(f"{server.address}a.tar").read(0, 0, 10)
    assert random.getstate() == before and server.sent["503"] == 2


def test_fetch_returns_all_of_it(serve: Serve, tmp_path: Path) -> None:
    server = serve({"classes.txt": DATA, "empty": b""})
    options = RemoteTable(cache=str(tmp_path))
    assert fetch(f"{server.address}classes.txt", options) == DATA
    assert fetch(f"{server.address}empty", options) == b""
    (tmp_path / "x").write_bytes(DATA)
    assert fetch(str(tmp_path / "x")) == DATA


def test_threads_may_read_at_once(serve: Serve, away: Away) -> None:
    server = serve({"a.tar": DATA})
    server.rate, server.faults = 0.3, ("503",)
    files, wrong = away(f"{server.address}a.tar", cache_gb=0), list[int]()

    def read(seed: int) -> None:
        for _, offset, size in spans(10, len(DATA)):
            if files.read(0, offset, size) != DATA[offset : offset + size]:
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and server.sent["503"]


def test_reasons_are_told_apart(serve: Serve, away: Away) -> None:
    for fault, reason in {
        "cut": "short body",
        "short": "short body",
        "garbled": "a garbled answer",
        "reset": "reset",
    }.items():
        server = serve({"a.tar": DATA})
        files = away(f"{server.address}a.tar", patience=0.05, cache_gb=0)
        files.check(0)
        server.rate, server.faults = 1.0, (fault,)
        with pytest.raises(UnavailableError, match=reason):
            files.read(0, 0, 100)


def test_no_more_requests_at_once_than_a_process_may_make(serve: Serve, away: Away) -> None:
    server = serve({f"{n}.tar": DATA for n in range(40)})
    server.delay = 0.05
    files = away(*(f"{server.address}{n}.tar" for n in range(40)), timeout=5.0)
    files.ahead((n, 0, 10) for n in range(40))
    assert all(files.read(n, 0, 10) == DATA[:10] for n in range(40))
    assert 2 <= server.most <= AT_ONCE
