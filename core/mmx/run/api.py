"""Running and evaluating from Python and from the command line."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from mmx.config import TrackerConfig
from mmx.errors import CheckpointError, RecipeError
from mmx.parts.evaluator import Result
from mmx.parts.tracker import Tracker
from mmx.plugins import Plugins
from mmx.recipe.schema import Recipe
from mmx.recipe.write import to_toml
from mmx.run import build, wording
from mmx.run.atomic import write_bytes
from mmx.run.bundle import LoadedModel, load_bundle, loaded_from
from mmx.run.checkpoint import Store
from mmx.run.dry import dry_run
from mmx.run.events import Run
from mmx.run.folder import open_run
from mmx.run.layout import RunFolder
from mmx.run.loaded import Loaded
from mmx.run.look import evaluate
from mmx.run.prepare import Prepared, new_folder
from mmx.run.request import EvalRequest, RunResult
from mmx.run.session import Session, build_run

Say = Callable[[str], None]


def run(prepared: Prepared, say: Say) -> RunResult:
    """Train, or with ``dry_run`` only say what training would need.

    Raises:
        MmxError: the run could not start or could not go on; what was reached is in its folder.
    """
    built = build_run(prepared.recipe, prepared.plugins)
    if prepared.request.dry_run:
        return dry_run(built, prepared, say)
    folder = prepared.folder or new_folder(prepared)
    with folder.lock(), _watched(prepared.recipe, prepared.plugins, prepared.request.quiet, say):
        resumed = _rewound(folder, prepared.recipe, say) if prepared.folder is not None else None
        if resumed is not None and resumed.manifest.step >= built.plan.steps and folder.status().status == "finished":
            say(f"{folder.path} has taken all its {built.plan.steps} steps; to train on: --set train.steps=...")
            return RunResult(0, {"run": str(folder.path), "status": "finished", "step": resumed.manifest.step})
        session = Session(built, folder, prepared.plugins, say, prepared.request.argv)
        outcome = session.run(resumed)
    return RunResult(outcome.exit_code, {"run": str(folder.path), **asdict(outcome), **plain(session.results)})


def evaluate_run(request: EvalRequest, plugins: Plugins, recipe: Recipe, say: Say) -> RunResult:
    """Run the evaluators of a recipe on the model of a run, and bring its report up to date.

    Raises:
        CheckpointError: the run has no model yet, or is being written.
        RecipeError: the recipe has no evaluator.
    """
    if not recipe.evaluators:
        raise RecipeError("the recipe has no evaluator: add a table [evaluators.NAME]")
    folder = open_run(request.run)
    with folder.lock(), _watched(recipe, plugins, request.quiet, say):
        engine = build.engine_of(recipe, plugins.registries)
        loaded, step = model_of_run(folder, recipe, plugins, engine.device, say)
        evaluators = build.evaluators_of(recipe, plugins.registries)
        results = evaluate(evaluators, loaded.subject, folder, step, folder.metrics())
        total, trained = build.parameters_of(loaded.subject.model)
        seen = Run(folder.path.name, folder.path, recipe.resolved(), step, step, total, trained, 0, engine.describe())
        plugins.evaluation_end(seen, results)
    for name, result in results.items():
        say("\n".join(numbers_of(name, result)))
    return RunResult(0, {"run": str(folder.path), "step": step, **plain(results)})


def numbers_of(name: str, result: Result) -> list[str]:
    """Return a line for each number of an evaluator, the headline first."""
    lines = [name]
    for key in wording.headline_first(result.headline, result.numbers):
        number = result.numbers[key]
        bounds, chance = wording.interval(number), wording.chance(number)
        notes = [f"95 % {bounds}"] * bool(bounds) + [f"chance {chance}"] * bool(chance)
        if number.count is not None:
            notes.append(f"{number.count:,} samples")
        lines.append(f"  {key:<22} {wording.value(number):>8}" + (f"  ({', '.join(notes)})" if notes else ""))
    return lines


def model_of_run(
    folder: RunFolder, recipe: Recipe, plugins: Plugins, device: torch.device, say: Say
) -> tuple[LoadedModel, int]:
    """Load a run's model: the finished one, else that of its newest good checkpoint."""
    if (folder.model / "model.json").is_file():
        loaded = load_bundle(folder.model, plugins.registries, device)
        return loaded, int(loaded.tables["step"])
    found = _store(folder, recipe).latest(say)
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; train first: mmx run --resume {folder.path}")
    say(f"the run has not finished; using {found.path.name}")
    return loaded_from(recipe, plugins.registries, _weights(found, recipe), device), found.manifest.step


def load_model(path: Path, plugins: Plugins, device: torch.device) -> LoadedModel:
    """Load a model from a run's folder or from a model folder."""
    return load_bundle(
        path / "model" if (path / "model" / "model.json").is_file() else path, plugins.registries, device
    )


def plain(results: dict[str, Result]) -> dict[str, Any]:
    """Return the numbers of results as plain JSON values."""
    numbers = {name: {k: asdict(v) for k, v in result.numbers.items()} for name, result in results.items()}
    return {"evaluations": numbers}


def _weights(found: Loaded, recipe: Recipe) -> dict[str, torch.Tensor]:
    if recipe.train.ema is None:
        return found.tensors["model"]
    prefix = f"teachers.{build.EMA}.model."
    return {k.removeprefix(prefix): v for k, v in found.tensors["objective"].items() if k.startswith(prefix)}


def _store(folder: RunFolder, recipe: Recipe) -> Store:
    return folder.store(recipe.checkpoint.keep_last, recipe.checkpoint.keep_best)


def _rewound(folder: RunFolder, recipe: Recipe, say: Say) -> Loaded | None:
    """Read the newest good checkpoint and bring the folder back to it; None where none was ever made."""
    text = to_toml(recipe).encode()
    if folder.resolved.read_bytes() != text:
        write_bytes(folder.resolved, text)
    store = _store(folder, recipe)
    found = store.latest(say)
    if found is None:
        say(f"{folder.path} was stopped before its first checkpoint; it starts from the beginning")
    step = 0 if found is None else found.manifest.step
    store.drop_after(step, say)
    folder.rewind(step, say)
    return found


@contextmanager
def _watched(recipe: Recipe, plugins: Plugins, quiet: bool, say: Say) -> Generator[None]:
    """Register the recipe's trackers, and those that every run has, for this run only."""
    configs = dict(recipe.trackers)
    named = {config.name for config in configs.values()}
    for entry in plugins.registries["tracker"]:
        kind = cast("type[TrackerConfig]", entry.config)
        if kind.always and entry.name not in named:
            configs[entry.name] = kind(name=entry.name)
    added: list[tuple[str, Tracker]] = []
    for name, config in configs.items():
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
