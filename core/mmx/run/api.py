"""Running and evaluating from Python and from the command line."""

import shlex
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from mmx.errors import CheckpointError, DataError, RecipeError
from mmx.parts.evaluator import Result
from mmx.parts.tracker import Tracker
from mmx.plugins import Plugins
from mmx.recipe.schema import Recipe
from mmx.run import build
from mmx.run.bundle import LoadedModel, load_bundle, loaded_from
from mmx.run.dry import dry_run
from mmx.run.events import Run
from mmx.run.find import no_model
from mmx.run.findings import located
from mmx.run.folder import open_run
from mmx.run.layout import RunFolder
from mmx.run.loaded import Loaded
from mmx.run.look import evaluate
from mmx.run.prepare import Prepared, new_folder
from mmx.run.request import EvalRequest, RunResult
from mmx.run.resume import goes_on, has_finished, nothing_left, refuse_fewer, rewind, store_of
from mmx.run.rows import number_rows
from mmx.run.session import Built, Session, build_run

Say = Callable[[str], None]


def run(prepared: Prepared, say: Say) -> RunResult:
    """Train, or with ``dry_run`` only say what training would need.

    Raises:
        MmxError: the run could not start or could not go on; what was reached is in its folder.
    """
    # First, since a tracker may lack its package: then nothing has been built or written yet.
    with _watched(prepared.recipe, prepared.plugins, prepared.request.quiet, say):
        try:
            built = build_run(prepared.recipe, prepared.plugins)
        except (RecipeError, DataError) as error:
            raise located(error, prepared.recipe) from error
        if prepared.request.dry_run:
            return dry_run(built, prepared, say)
        folder = prepared.folder or new_folder(prepared)
        with folder.lock():
            return _train(built, folder, prepared, say)


def _train(built: Built, folder: RunFolder, prepared: Prepared, say: Say) -> RunResult:
    found = None
    if prepared.folder is not None:
        found = store_of(folder, prepared.recipe).latest(say)
        if found is not None and has_finished(folder, found, say):
            step, steps = found.manifest.step, built.plan.steps
            if step >= steps:
                say(nothing_left(folder, step))
                return RunResult(0, {"run": str(folder.path), "status": "finished", "step": step})
            say(goes_on(folder, step, steps, built.plan.schedule.at(step)))
        refuse_fewer(folder, 0 if found is None else found.manifest.step, built.plan.steps)
        rewind(folder, prepared.recipe, found, say)
    session = Session(built, folder, prepared.plugins, say, prepared.request.argv)
    outcome = session.run(found)
    return RunResult(outcome.exit_code, {"run": str(folder.path), **asdict(outcome), **plain(session.results)})


def evaluate_run(request: EvalRequest, plugins: Plugins, recipe: Recipe, say: Say) -> RunResult:
    """Run the evaluators of a recipe on the model of a run, and bring its report up to date.

    Raises:
        CheckpointError: the run has no model yet, or is being written.
        RecipeError: the recipe has no evaluator.
    """
    if not recipe.evaluators:
        raise RecipeError(_no_evaluator(request.run, plugins))
    folder = open_run(request.run)
    with folder.lock(), _watched(recipe, plugins, request.quiet, say):
        engine = build.engine_of(recipe, plugins.registries)
        loaded, step = model_of_run(folder, recipe, plugins, engine.device, say)
        evaluators = build.evaluators_of(recipe, plugins.registries)
        results = evaluate(evaluators, loaded.subject, folder, step, folder.metrics())
        total, trained = build.parameters_of(loaded.subject.model)
        seen = Run(folder.path.name, folder.path, recipe.resolved(), step, step, total, trained, 0, engine.describe())
        plugins.evaluation_end(seen, step, results)
    width = shutil.get_terminal_size().columns
    for name, result in results.items():
        say("\n".join(number_rows(name, result, width)))
    return RunResult(0, {"run": str(folder.path), "step": step, **plain(results)})


def model_of_run(
    folder: RunFolder, recipe: Recipe, plugins: Plugins, device: torch.device, say: Say
) -> tuple[LoadedModel, int]:
    """Load a run's model: the finished one, else that of its newest good checkpoint."""
    if (folder.model / "model.json").is_file():
        loaded = load_bundle(folder.model, plugins.registries, device)
        return loaded, int(loaded.tables["step"])
    found = store_of(folder, recipe).latest(say)
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; train first: mmx run --resume {folder.path}")
    say(f"the run has not finished; using {found.path.name}")
    return loaded_from(recipe, plugins.registries, _weights(found, recipe), device), found.manifest.step


def _no_evaluator(run: Path, plugins: Plugins) -> str:
    known = plugins.registries["evaluator"].names()
    shown = f" (known: {', '.join(known)})" if known else ""
    return (
        f"the recipe of {run} has no evaluator{shown}; give one with its options:\n"
        f"  mmx eval {shlex.quote(str(run))} --set 'evaluators.NAME.name=\"{next(iter(known), '...')}\"' --set ...\n"
        "or add a table [evaluators.NAME] to the recipe of the next run\n"
        "help: mmx recipe schema evaluators"
    )


def load_model(path: Path, plugins: Plugins, device: torch.device) -> LoadedModel:
    """Load a model from a run's folder or from a model folder.

    Raises:
        CheckpointError: there is none; the message says what was looked for, and which runs there are.
    """
    for folder in (path / "model", path):
        if (folder / "model.json").is_file():
            return load_bundle(folder, plugins.registries, device)
    raise CheckpointError(no_model(path))


def plain(results: dict[str, Result]) -> dict[str, Any]:
    """Return the numbers of results as plain JSON values."""
    numbers = {name: {k: asdict(v) for k, v in result.numbers.items()} for name, result in results.items()}
    return {"evaluations": numbers}


def _weights(found: Loaded, recipe: Recipe) -> dict[str, torch.Tensor]:
    if recipe.train.ema is None:
        return found.tensors["model"]
    prefix = f"teachers.{build.EMA}.model."
    return {k.removeprefix(prefix): v for k, v in found.tensors["objective"].items() if k.startswith(prefix)}


@contextmanager
def _watched(recipe: Recipe, plugins: Plugins, quiet: bool, say: Say) -> Generator[None]:
    """Register the recipe's trackers for this run only."""
    added: list[tuple[str, Tracker]] = []
    for name, config in recipe.trackers.items():
        if config.enabled and not (quiet and config.speaks):
            tracker = cast(Tracker, build.part(plugins.registries, "tracker", config))
            plugins.add(tracker, f"tracker {name}")
            added.append((f"tracker {name}", tracker))
    try:
        yield
    finally:
        for name, tracker in added:
            plugins.remove(name)
            try:
                tracker.close()
            except (Exception, SystemExit) as error:
                say(f"{name}: it could not be closed, which is ignored: {type(error).__name__}: {error}")
