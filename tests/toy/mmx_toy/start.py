"""Starting toy runs: in this process, and from ``driver.py`` in another."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import mmx_filters
import mmx_local
import mmx_optim
import mmx_shards
from mmx.plugin.manager import Plugins
from mmx.runs.request import RunRequest, RunResult
from mmx.train import api
from mmx.train.build import engine_of
from mmx.train.experiment import build_experiment
from mmx.train.prepare import new_folder, prepare
from mmx.train.session import Session
from mmx_toy.watch import AtStep

RECIPE: Final = Path(__file__).parents[1] / "toy.toml"
MATCH: Final = ("evaluators.match.name='toy'", "evaluators.match.every=4")


def plugins(say: Callable[[str], None] | None = None) -> Plugins:
    """Return the toy plugin, the local engine, optimizers, shards and filters, nothing else."""
    given = {
        "toy": sys.modules["mmx_toy"],
        "local": mmx_local,
        "optim": mmx_optim,
        "shards": mmx_shards,
        "filters": mmx_filters,
    }
    return Plugins(given, discover=False, say=say)


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


def sit(
    out: Path, *overrides: str, say: Callable[[str], None] = lambda message: None, unset: Sequence[str] = ()
) -> tuple[Session, Plugins]:
    """Return a new run that is built and not started, for tests that look inside."""
    request = RunRequest(RECIPE, overrides, tuple(unset), out=out, name="run")
    prepared = prepare(request, say, plugins(say))
    registries = prepared.plugins.registries
    experiment = build_experiment(prepared.recipe, prepared.plugins, engine_of(prepared.recipe, registries), say)
    return Session(experiment, new_folder(prepared), prepared.plugins, say, ()), prepared.plugins


def crash(out: Path, step: int, *overrides: str, unset: Sequence[str] = ()) -> Path:
    """Train until after a step, and end there without a word. Returns the run."""
    session, plugins = sit(out, *overrides, unset=unset)
    plugins.add(AtStep(step, _interrupt), "crash")
    with suppress(KeyboardInterrupt):
        session.run(None)
    return session.folder.path


def _interrupt() -> None:
    raise KeyboardInterrupt
