"""From a command to a recipe that holds and a folder to run in; nothing here imports torch, so errors come at once."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from mmx.config import EngineConfig
from mmx.errors import CheckpointError, DataError, MissingPackageError, RecipeError
from mmx.launch.rank import find
from mmx.models.wanted import absent as absent_models
from mmx.plugin.manager import Plugins
from mmx.recipe.bundled import find_recipe
from mmx.recipe.data import Asked, absent, how_to_give, where
from mmx.recipe.load import load
from mmx.recipe.schema import Recipe
from mmx.recipe.write import to_toml
from mmx.runs.environment import changed
from mmx.runs.find import find_unfinished
from mmx.runs.folder import create, open_run
from mmx.runs.layout import FILES, RunFolder
from mmx.runs.plugin_files import refuse_others
from mmx.runs.request import RunRequest

Say = Callable[[str], None]
SAFE: Final = (
    "name",
    "optim",
    "train",
    "checkpoint",
    "evaluators",
    "trackers",
    "parallel",
    "image_encoder.train",
    "text_encoder.train",
    "data.workers",
    "data.worker_timeout",
    "data.bad_samples",
)
"""What may change when a run is resumed; everything else decides what the weights and the samples so far mean."""
_FIXED: Final = ("train.ema", "optim.name")


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    request: RunRequest
    recipe: Recipe
    plugins: Plugins
    folder: RunFolder | None
    """The run to go on with; None starts a new one."""


def prepare(request: RunRequest, say: Say, plugins: Plugins | None = None) -> Prepared:
    """Find the recipe and, if asked, the run to go on with; check everything that needs no torch.

    Args:
        request: what was asked for.
        say: is told what was found.
        plugins: those of this run; the installed ones if not given.

    Raises:
        RecipeError: the recipe does not hold, has no data, or changes what a resumed run must keep.
        DataError: the data that it names is not there.
        CheckpointError: there is no such run.
    """
    plugins = plugins or Plugins(files=request.plugins, say=say, trace=tracer(request.trace))
    folder = _run_to_resume(request, plugins, say)
    if folder is None:
        if request.recipe is None:
            raise RecipeError("which recipe? For example: mmx run recipes/quickstart.toml")
        found = find_recipe(request.recipe)
        recipe = load(found.path, request.overrides, request.unset, plugins.registries)
        _refuse_engine(recipe, plugins)
        _refuse_without_data(Asked(request.recipe, request.overrides, request.unset), recipe, plugins)
        _refuse_without_weights(recipe, plugins)
        return Prepared(request, recipe, plugins, None)
    refuse_others(folder, request.plugins, f"mmx run --resume {shlex.quote(str(folder.path))}", more=False)
    before = load(folder.resolved, (), (), plugins.registries)
    source = folder.resolved if request.recipe is None else find_recipe(request.recipe).path
    recipe = load(source, request.overrides, request.unset, plugins.registries)
    _compare(before, recipe, say)
    recipe.tokenizer.use_copies(folder.path / FILES)
    _refuse_engine(recipe, plugins)
    others = changed(folder.environment().get("plugins", ()), plugins)
    if others:
        listed = "\n".join(f"  {line}" for line in others)
        say(f"plugins that changed since the run began, so that its parts may mean something else now:\n{listed}")
    return Prepared(request, recipe, plugins, folder)


def tracer(wanted: bool) -> Say | None:
    """Return where hook calls are shown, if they are: beside the output, which may be a document."""
    return (lambda text: print(text, file=sys.stderr, flush=True)) if wanted else None


def _refuse_engine(recipe: Recipe, plugins: Plugins) -> None:
    """Check what can be told of the engine without torch: that it is there, and that it may be one of several processes."""
    engine, place = recipe.parallel, find(os.environ)
    missing = engine.missing()
    if missing:
        raise MissingPackageError(f'parallel.engine = "{engine.name}": {missing}')
    if place.size > 1 and not engine.joins():
        several = [one.name for one in plugins.registries["engine"] if cast(type[EngineConfig], one.config).joins()]
        other = "".join(f', or set parallel.engine = "{name}"' for name in several[:1])
        raise RecipeError(
            f'{place.launcher} started {place.size} processes, but parallel.engine = "{engine.name}" runs in one; start '
            f"mmx alone{other}"
        )


def _refuse_without_data(asked: Asked, recipe: Recipe, plugins: Plugins) -> None:
    why = absent(recipe)
    if why:
        error = DataError if recipe.data.given() else RecipeError
        given = how_to_give(asked, recipe, plugins.registries)
        raise error(f"{where(asked, recipe)}: {why}\n\n{given}")


def _refuse_without_weights(recipe: Recipe, plugins: Plugins) -> None:
    for key, why in absent_models(recipe, plugins.registries):
        raise CheckpointError(f"{recipe.sources.get(key, recipe.name)}: {key}: {why}")


def _run_to_resume(request: RunRequest, plugins: Plugins, say: Say) -> RunFolder | None:
    if request.resume is None:
        return None
    if request.resume != "auto":
        return open_run(Path(request.resume))
    if request.recipe is None:
        raise RecipeError(
            "--resume auto needs the recipe whose newest unfinished run goes on: mmx run RECIPE --resume auto"
        )
    recipe = load(find_recipe(request.recipe).path, request.overrides, request.unset, plugins.registries)
    return find_unfinished(request.out, recipe.name, say)


def new_folder(prepared: Prepared) -> RunFolder:
    """Make the folder of a new run."""
    request, recipe = prepared.request, prepared.recipe
    given = find_recipe(request.recipe or "").path.read_text(encoding="utf-8")
    argv = request.argv or tuple(sys.argv)
    try:
        files = {name: recipe.tokenizer.needed_file(name).read_bytes() for name in recipe.tokenizer.needed_files()}
    except OSError as error:
        raise RecipeError(f"tokenizer: {error.filename} cannot be read: {error.strerror}") from error
    folder = create(
        request.out,
        recipe.name,
        given,
        to_toml(recipe),
        name=request.name,
        argv=argv,
        plugins=prepared.plugins,
        files=files,
    )
    recipe.tokenizer.use_copies(folder.path / FILES)
    return folder


def _compare(before: Recipe, after: Recipe, say: Say) -> None:
    """Say what changes, and refuse what must not."""
    old, new = _flat(before.resolved()), _flat(after.resolved())
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    lines = [f"  {key}: {old.get(key, 'not given')} -> {new.get(key, 'not given')}" for key in changed]
    unsafe = [line for key, line in zip(changed, lines, strict=True) if not _safe(key)]
    if unsafe:
        raise RecipeError(
            "these cannot change when a run is resumed, since its weights and the samples behind them depend on them:\n"
            + "\n".join(unsafe)
            + "\nstart a new run, or leave them as they were"
        )
    if lines:
        say("changed for the rest of this run:\n" + "\n".join(lines))


def _safe(key: str) -> bool:
    remote = key.startswith("data.") and ".remote." in key  # how bytes are fetched, not which
    return (remote or any(_under(key, table) for table in SAFE)) and not any(_under(key, table) for table in _FIXED)


def _under(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= (
            _flat(cast(dict[str, Any], value), f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return flat
