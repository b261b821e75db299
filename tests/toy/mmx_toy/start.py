"""Starting toy runs: in this process, and from ``driver.py`` in another."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import mmx_local
from mmx.plugins import Plugins
from mmx.run import api
from mmx.run.prepare import prepare
from mmx.run.request import RunRequest, RunResult

RECIPE: Final = Path(__file__).parents[1] / "toy.toml"


def plugins(say: Callable[[str], None] | None = None) -> Plugins:
    """Return the toy plugin and the local engine, nothing else."""
    return Plugins({"toy": sys.modules["mmx_toy"], "local": mmx_local}, discover=False, say=say)


def start(
    out: Path,
    *overrides: str,
    recipe: Path | None = RECIPE,
    resume: str | None = None,
    name: str | None = "run",
    say: Callable[[str], None] = lambda message: None,
    unset: Sequence[str] = (),
    dry_run: bool = False,
    json: bool = False,
) -> RunResult:
    """Train as ``mmx run`` does."""
    request = RunRequest(recipe, overrides, tuple(unset), resume, out, name, dry_run=dry_run, json=json)
    return api.run(prepare(request, say, plugins(say)), say)
