from collections.abc import Iterator
from pathlib import Path

import pytest

from mmx_toy.server import Server
from mmx_toy.start import MATCH, start


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A process that forks runs."""
    one = Server()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted: 18 steps of 7 an epoch, with evaluations."""
    out = tmp_path_factory.mktemp("whole")
    assert start(out, *MATCH).exit_code == 0
    return out / "run"
