"""Running and evaluating from Python and from the command line."""

import os
import shlex
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from mmx.checkpoint.listing import candidates
from mmx.checkpoint.read import CheckpointData, read_checkpoint
from mmx.config import TrackerConfig
from mmx.errors import CheckpointError, DataError, MmxError, RecipeError
from mmx.evaluate import build as eval_build
from mmx.evaluate.measure import device_for, keep, measure, plain
from mmx.evaluate.rows import number_rows
from mmx.launch.agree import agree_on, on_main
from mmx.launch.rank import find
from mmx.models import build as model_build
from mmx.models.initial import record
from mmx.models.load import model_of_run
from mmx.parts.engine import Engine
from mmx.parts.events import Run
from mmx.parts.tracker import Tracker
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe
from mmx.runs.folder import open_run
from mmx.runs.layout import RunFolder
from mmx.runs.request import EvalRequest, RunResult
from mmx.runs.stores import store_of
from mmx.train import build
from mmx.train.dry import dry_run
from mmx.train.experiment import Experiment, build_experiment
from mmx.train.findings import located
from mmx.train.prepare import Prepared, new_folder
from mmx.train.resume import goes_on, has_finished, nothing_left, refuse_fewer, rewind
from mmx.train.same_threads import keep_threads
from mmx.train.session import Session

Say = Callable[[str], None]


def run(prepared: Prepared, say: Say) -> RunResult:
    """Train in this process, which may be one of several; with ``dry_run`` only say what training would need.

    Raises:
        MmxError: the run could not start or could not go on; what was reached is in its folder.
    """
    recipe, plugins, request = prepared.recipe, prepared.plugins, prepared.request
    trackers = recipe.trackers if find(os.environ).rank == 0 else {}
    # First, since a tracker may lack its package: then nothing has been built or written yet.
    with _watched(trackers, plugins, request.quiet, say):
        alone = recipe.model_copy(update={"parallel": recipe.parallel.alone()}) if request.dry_run else recipe
        try:
            engine = build.engine_of(alone, plugins.registries)
        except RecipeError as error:
            raise located(error, recipe) from error
        try:
            result = _run(engine, prepared, say)
        except BaseException:
            if engine.processes == 1:  # else the others may not be here to say goodbye
                engine.close()
            raise
        engine.close()
        return result


def _run(engine: Engine, prepared: Prepared, say: Say) -> RunResult:
    keep_threads(prepared.folder, engine.processes, say)
    experiment = _experiment(engine, prepared, say)
    if prepared.request.dry_run:
        return dry_run(experiment, prepared, say)
    folders: list[RunFolder] = []
    with ExitStack() as stack:

        def opened() -> None:
            folders.append(prepared.folder or new_folder(prepared))
            stack.enter_context(folders[0].lock())
            if experiment.origins:
                record(folders[0].path, experiment.origins)

        on_main(engine, opened)
        return _train(experiment, folders[0] if folders else None, prepared, say)


def _experiment(engine: Engine, prepared: Prepared, say: Say) -> Experiment:
    error: MmxError | None = None
    experiment: Experiment | None = None
    try:
        anew = prepared.folder is None or not candidates(store_of(prepared.folder, prepared.recipe).folder)
        told = say if engine.main else _silent
        experiment = build_experiment(prepared.recipe, prepared.plugins, engine, told, anew)
    except (RecipeError, DataError, CheckpointError) as found:
        error = located(found, prepared.recipe)
        error.__cause__ = found
    agree_on(engine, error)
    assert experiment is not None
    _refuse_other_weights(experiment)
    if engine.processes > 1:
        say(engine.describe())
    return experiment


def _silent(text: str) -> None:
    """Say nothing: the main process says it."""


def _refuse_other_weights(experiment: Experiment) -> None:
    """Refuse to train where processes have read other weights: the folder differs between machines, or was written to."""
    if len({repr([origin.files for origin in found]) for found in experiment.engine.everyone(experiment.origins)}) > 1:
        raise CheckpointError(
            "the processes have read other weights; give all machines the same files, and start again"
        )


def _train(experiment: Experiment, folder: RunFolder | None, prepared: Prepared, say: Say) -> RunResult:
    engine = experiment.engine
    before = _Before()
    if prepared.folder is not None:
        on_main(engine, lambda: _look_back(experiment, prepared, say, before))
    path, done = engine.everyone((None if before.found is None else before.found.path, before.done))[0]
    if done is not None:
        return RunResult(0, done)
    found = None if path is None else _read(engine, path, before.found)
    session = Session(experiment, folder, prepared.plugins, say, prepared.request.argv)
    outcome = session.run(found)
    path = Path() if folder is None else folder.path
    return RunResult(outcome.exit_code, {"run": str(path), **asdict(outcome), **plain(session.recorder.results)})


@dataclass
class _Before:
    """What is known of the run that goes on."""

    found: CheckpointData | None = None
    done: dict[str, Any] | None = None
    """What to answer where nothing is left to do."""


def _look_back(experiment: Experiment, prepared: Prepared, say: Say, before: _Before) -> None:
    folder = prepared.folder
    assert folder is not None
    found = store_of(folder, prepared.recipe).latest(say)
    if found is not None and has_finished(folder, found, say):
        step, steps = found.manifest.step, experiment.steps
        if step >= steps:
            say(nothing_left(folder, step))
            before.done = {"run": str(folder.path), "status": "finished", "step": step}
            return
        say(goes_on(folder, step, steps, experiment.schedule.at(step)))
    refuse_fewer(folder, 0 if found is None else found.manifest.step, experiment.steps)
    rewind(folder, prepared.recipe, found, say)
    before.found = found


def _read(engine: Engine, path: Path, found: CheckpointData | None) -> CheckpointData | None:
    """Return the checkpoint that the main process chose and has read; the others read it now."""
    error: MmxError | None = None
    try:
        found = found or read_checkpoint(path)
    except MmxError as problem:
        error = problem
    agree_on(engine, error)
    return found


def evaluate_run(request: EvalRequest, plugins: Plugins, recipe: Recipe, say: Say) -> RunResult:
    """Run the evaluators of a recipe on the model of a run, and bring its report up to date.

    Raises:
        CheckpointError: the run has no model yet, or is being written.
        RecipeError: the recipe has no evaluator.
    """
    if not recipe.evaluators:
        raise RecipeError(_no_evaluator(request.run, plugins))
    folder = open_run(request.run)
    with folder.lock(), _watched(recipe.trackers, plugins, request.quiet, say):
        device = device_for(recipe.parallel)
        loaded, step = model_of_run(folder, recipe, plugins, device, say)
        evaluators = eval_build.evaluators_of(recipe, plugins.registries)
        eval_build.check_evaluators(evaluators, loaded.subject.model)
        results = measure(evaluators, replace(loaded.subject, feed=eval_build.feed_of(recipe, say)))
        keep(results, folder, step, folder.metrics())
        total, trained = model_build.parameters_of(loaded.subject.model)
        seen = Run(folder.path.name, folder.path, recipe.resolved(), step, step, total, trained, 0, f"{device}")
        plugins.evaluation_end(seen, step, results)
    width = shutil.get_terminal_size().columns
    for name, result in results.items():
        say("\n".join(number_rows(name, result, width)))
    return RunResult(0, {"run": str(folder.path), "step": step, **plain(results)})


def _no_evaluator(run: Path, plugins: Plugins) -> str:
    known = plugins.registries["evaluator"].names()
    shown = f" (known: {', '.join(known)})" if known else ""
    return (
        f"the recipe of {run} has no evaluator{shown}; give one with its options:\n"
        f"  mmx eval {shlex.quote(str(run))} --set 'evaluators.NAME.name=\"{next(iter(known), '...')}\"' --set ...\n"
        "or add a table [evaluators.NAME] to the recipe of the next run\n"
        "help: mmx recipe schema evaluators"
    )


@contextmanager
def _watched(trackers: Mapping[str, TrackerConfig], plugins: Plugins, quiet: bool, say: Say) -> Generator[None]:
    """Register trackers for this run only."""
    added: list[tuple[str, Tracker]] = []
    for name, config in trackers.items():
        if config.enabled and not (quiet and config.speaks):
            tracker = cast(Tracker, plugins.registries.build("tracker", config))
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
