from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

import throwaway
from mmx.cli.main import app
from mmx.plugin import manager as plugins


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Mmx = Callable[..., Done]


@pytest.fixture
def mmx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mmx:
    """Run a command in an empty folder, with the throw-away parts as the only plugin."""
    monkeypatch.chdir(tmp_path)

    def throwaway_only() -> Iterator[plugins.PluginEntry]:
        yield plugins.PluginEntry("throwaway", "throw-away", "1.0", throwaway.listed())

    monkeypatch.setattr(plugins, "installed", throwaway_only)

    def run(*arguments: str) -> Done:
        done = CliRunner().invoke(app, arguments)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def recipe(mmx: Mmx) -> Path:
    """The throw-away recipe, as a file."""
    path = Path("r.toml")
    path.write_text(throwaway.RECIPE)
    return path
