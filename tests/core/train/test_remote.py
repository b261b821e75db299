"""Training on tars of a web server that fails: the weights of a run on local files, or an error; never less data."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from _pytest.mark import ParameterSet

from faulty import TRANSIENT, Fault, FaultyServer
from mmx.config import RemoteTable
from mmx.errors import DataError, MmxError
from mmx.runs.layout import RunFolder
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_storage.files import Files
from mmx_toy.proof import entries, final
from mmx_toy.start import sit, start
from mmx_toy.tars import index, pair, picture, write
from mmx_toy.watch import AtStep

TARS, SAMPLES = 30, 2
PER_EPOCH = TARS * SAMPLES // 6
OF_BODIES = ("short", "cut", "headers", "trickle")
Serve = Callable[..., FaultyServer]


def slow(*values: object) -> ParameterSet:
    """Return a case that is left to the long proofs."""
    return pytest.param(*values, marks=pytest.mark.slow)


class FailsInTurn(FaultyServer):
    """Lets every third request of each method fail, with each kind of fault in its turn."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.asked_for, self.failed = Counter[str](), Counter[str]()

    def draw(self, method: str) -> Fault | None:
        """Return what the next request fails with."""
        with self._lock:
            self.asked_for[method] += 1
            if self.rate == 0 or self.asked_for[method] % 3:
                return None
            kinds = [kind for kind in TRANSIENT if method == "GET" or kind not in OF_BODIES]
            self.failed[method] += 1
            fault = kinds[self.failed[method] % len(kinds)]
            self.sent[fault] += 1
            return fault


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tars with an index."""
    folder = tmp_path_factory.mktemp("local")
    paths = [folder / f"{tar:02}.tar" for tar in range(TARS)]
    for tar, path in enumerate(paths):
        numbers = range(tar * SAMPLES, (tar + 1) * SAMPLES)
        write(path, [m for n in numbers for m in pair(f"{n:03}", picture(n), f"picture {n}".encode(), 0.5)])
    index(paths)
    return folder


@pytest.fixture(scope="module")
def whole(local: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on local files that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    assert start(out, *options(f"{local}/")).exit_code == 0
    return out / "run"


@pytest.fixture
def serve(local: Path) -> Iterator[Callable[[type[FaultyServer]], FaultyServer]]:
    servers: list[FaultyServer] = []

    def serve(kind: type[FaultyServer] = FaultyServer) -> FaultyServer:
        servers.append(kind({path.name: path.read_bytes() for path in local.iterdir()}))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


def options(root: str, cache: Path | None = None, **remote: float) -> tuple[str, ...]:
    """Return the options that train on the tars below a URL, or a folder, with its slash."""
    limits = {"timeout": 0.3, "patience": 30.0, "cache_gb": 0.0 if cache is None else 1.0, **remote}
    return (
        "data.train.name='shards'",
        f"data.train.urls=['{root}{{00..{TARS - 1}}}.tar']",
        *(f"data.train.remote.{name}={value}" for name, value in limits.items()),
        *(() if cache is None else (f"data.train.remote.cache='{cache}'",)),
    )


@pytest.mark.parametrize(("cached", "workers"), [(False, 2), (True, 0), slow(False, 0), slow(True, 2)])
def test_a_third_of_requests_failing_changes_no_weight(
    cached: bool, workers: int, serve: Serve, whole: Path, tmp_path: Path
) -> None:
    server = serve(FailsInTurn)
    server.rate = 0.3
    cache = tmp_path / "cache" if cached else None
    assert start(tmp_path, *options(server.address, cache), f"data.workers={workers}").exit_code == 0
    assert set(server.sent) == set(TRANSIENT), f"a kind of fault never happened: {server.sent}"
    assert server.sent.total() >= 0.3 * (len(server.asked) - 4)
    assert final(tmp_path / "run") == final(whole) and entries(tmp_path / "run") == entries(whole)


def test_a_trainer_without_precautions_fails_under_the_same_faults(
    serve: Serve, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads with fsspec as it is. Only faults that end by themselves: the others would hang it."""
    server = serve()
    monkeypatch.setattr(Files, "read", lambda files, file, at, size: _bare(files.urls[file], at, size))
    monkeypatch.setattr(Files, "size", lambda files, file: len(_bare(files.urls[file], None, None)))
    monkeypatch.setattr(Files, "ahead", lambda files, spans: None)
    start(tmp_path, *options(server.address), name="spared")
    assert final(tmp_path / "spared") == final(whole), "without a fault it does as well"
    server.rate, server.faults = 0.3, ("503", "429", "reset", "short", "cut")
    with pytest.raises(MmxError):
        start(tmp_path, *options(server.address))
    assert server.sent.total() >= 1


def _bare(url: str, at: int | None, size: int | None) -> bytes:
    end = None if at is None or size is None else at + size
    return fsspec.filesystem("http", skip_instance_cache=True).cat_file(url, at, end)


@pytest.mark.parametrize(("fault", "workers"), [("503", 0), slow("503", 2), slow("hang", 0)])
def test_an_outage_stops_the_run_which_goes_on_when_it_is_over(
    fault: Fault, workers: int, serve: Serve, whole: Path, tmp_path: Path
) -> None:
    server, patience = serve(), 2.0
    given = (
        *options(server.address, timeout=1.0, patience=patience),
        f"data.workers={workers}",
        "checkpoint.every_steps=100",
    )
    session, plugins = sit(tmp_path, *given)
    began: list[float] = []

    def outage() -> None:
        server.rate, server.faults = 1.0, (fault,)
        began.append(time.monotonic())

    plugins.add(AtStep(4, outage), "outage")
    with pytest.raises(DataError, match=r"\.tar cannot be read: .*raise data.train.remote.patience") as caught:
        session.run(None)
    assert caught.value.exit_code == 4 and time.monotonic() - began[0] < patience + 10
    run, reached = tmp_path / "run", len(entries(tmp_path / "run"))
    assert server.sent[fault] >= 2 and 4 <= reached < PER_EPOCH, "it came in the middle of an epoch"
    assert RunFolder(run).status().status == "failed" and final(run).step == reached
    server.rate = 0.0
    longer = "data.train.remote.patience=60.0"
    assert start(tmp_path, longer, recipe=None, resume=str(run)).exit_code == 0
    assert entries(run) == entries(whole) and final(run) == final(whole)


@pytest.mark.parametrize("fault", ["hang", slow("headers"), slow("trickle")])
def test_a_server_that_hangs_costs_at_most_twice_the_limit(fault: Fault, serve: Serve) -> None:
    server, timeout = serve(), 3.0
    config = ShardsConfig(
        name="shards",
        urls=(f"{server.address}{{00..{TARS - 1}}}.tar",),
        remote=RemoteTable(timeout=timeout, patience=30.0, cache_gb=0),
    )
    dataset = Shards(config)
    dataset.read(0)
    server.fail([fault])
    began = time.monotonic()
    dataset.read(1)
    assert timeout <= time.monotonic() - began <= 2 * timeout and server.sent == {fault: 1}
