import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faulty import FaultyServer
from mmx.config import RemoteTable
from mmx_storage.files import Files

Serve = Callable[..., FaultyServer]
Away = Callable[..., Files]
LIMITS = {"timeout": 10.0, "patience": 20.0, "cache_gb": 1.0}
"""A timeout that a busy machine does not reach by itself; tests of stalls give a short one."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers of bytes by name; they stop with the test."""
    servers = list[FaultyServer]()

    def serve(files: dict[str, bytes], seed: int = 0) -> FaultyServer:
        servers.append(FaultyServer(files, seed))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def away(tmp_path: Path) -> Away:
    """Read URLs with a cache of the test's own."""

    def away(*urls: str, **options: float | str) -> Files:
        return Files(urls, RemoteTable.model_validate({**LIMITS, "cache": str(tmp_path / "cache"), **options}))

    return away
