import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))  # what the tests below this folder share

from mmx.cli.main import app


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Verify = Callable[..., Done]


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Run ``mmx verify`` in an empty folder, with the installed plugins."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        done = CliRunner().invoke(app, ["verify", *arguments])
        return Done(done.exit_code, done.stdout, done.stderr)

    return run
