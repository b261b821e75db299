"""One training run from start to end, in each of its processes: build, resume, train, evaluate and save together."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch

from mmx.checkpoint.read import CheckpointData
from mmx.checkpoint.state import averaged, capture, restore, restore_weights
from mmx.checkpoint.streaming import NeverTrained, write_together
from mmx.data import build as data_build
from mmx.data.mixture import left_out
from mmx.data.permute import seed_of
from mmx.errors import CheckpointError, DataError, MmxError, RecipeError
from mmx.evaluate import build as eval_build
from mmx.evaluate.measure import eval_model_of, measure
from mmx.launch.agree import on_main
from mmx.launch.signals import Stop, StopRequests
from mmx.learn.objective import Objective
from mmx.models import build as model_build
from mmx.models.initial import Origin, initialise
from mmx.parts.engine import Engine
from mmx.parts.evaluator import Evaluator, Result
from mmx.parts.events import Outcome, Run
from mmx.parts.lazy import Tensors
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe
from mmx.runs.layout import RunFolder
from mmx.runs.plugin_files import kept
from mmx.train import build
from mmx.train.loop import Callbacks, Loop, Plan
from mmx.train.recorder import FolderRecorder, RunRecorder
from mmx.train.untrained import Untrained
from mmx.wording import counted


@dataclass(frozen=True)
class Built:
    """What a recipe is built into."""

    recipe: Recipe
    read: model_build.Reading
    objective: Objective
    engine: Engine
    evaluators: dict[str, Evaluator]
    plan: Plan
    origins: list[Origin] = field(default_factory=list[Origin])
    """Where weights came from that the recipe starts from; empty where a checkpoint has them."""


def build_run(
    recipe: Recipe,
    plugins: Plugins,
    engine: Engine,
    say: Callable[[str], None] = lambda text: None,
    anew: bool = True,
) -> Built:
    """Build everything on the engine's device, with weights drawn from the recipe's seed or read from where it says.

    ``say`` is told which weights were read; not ``anew`` leaves them to a checkpoint.

    Raises:
        RecipeError: the parts do not fit together.
        CheckpointError: weights that the recipe starts from cannot be read or do not fit.
    """
    registries = plugins.registries
    dataset, order = data_build.training_of(recipe, registries)
    evaluators = eval_build.evaluators_of(recipe, registries)
    build.refuse_unequal(recipe, engine)
    steps = build.steps_of(recipe, order)
    read = model_build.reading(recipe, registries)
    torch.manual_seed(recipe.seed)
    model, sizes = model_build.model_of(recipe, registries, read)
    origins = initialise(model, recipe, plugins, say) if anew else []  # before teachers copy the model
    eval_build.check_evaluators(evaluators, model)
    objective = build.objective_of(recipe, registries, model, sizes, engine.group, order).to(engine.device)
    objective.train()
    build.divide_norms(objective, engine.group, recipe.train.micro_batches, recipe.data.batch)
    recipe.parallel.refuse(objective)
    reader = build.reader_of(recipe, registries, objective, read, dataset)
    optimizer = build.optimizer_of(recipe, registries, objective)
    schedule = build.schedule_of(recipe, registries, order)
    total, trained = model_build.parameters_of(model)
    plan = Plan(
        recipe,
        objective,
        optimizer,
        schedule,
        engine,
        reader,
        order,
        steps,
        0,
        0.0,
        0,
        0,
        {},
        total,
        trained,
        Untrained(objective),
    )
    return Built(recipe, read, objective, engine, evaluators, plan, origins)


@final
class Session:
    """Runs what was built; the main process does so in a run folder."""

    def __init__(
        self,
        built: Built,
        folder: RunFolder | None,
        plugins: Plugins,
        say: Callable[[str], None],
        argv: tuple[str, ...],
    ) -> None:
        self.built = built
        self.say = say
        self._folder = folder
        self._argv = argv
        self._scribe = RunRecorder() if folder is None else FolderRecorder(built.recipe, folder, plugins)
        self.results: dict[str, Result] = {}
        self._feed = eval_build.feed_of(built.recipe, say, built.engine.everyone)

    @property
    def folder(self) -> RunFolder:
        """The run's folder; there is one in the main process only."""
        assert self._folder is not None
        return self._folder

    def run(self, resumed: CheckpointData | None) -> Outcome:
        """Train to the end, or until a signal or a limit; what was reached is saved either way."""
        plan, engine = self._prepare(resumed), self.built.engine
        run = self._announced(plan)
        if engine.main:
            self._say_of_data(run)
        on_main(engine, lambda: self._scribe.start(run))
        scribe = self._scribe
        if self.built.origins:  # from here on, the run needs none of the files that it started from
            nothing = {"seconds": 0.0, "skipped": 0, "skipped_in_epoch": 0, "counted": {}}
            self._save(0, {**nothing, "untrained": plan.untrained.left(engine)}, None)
        with StopRequests() as stops:
            moments = Callbacks(scribe.record, self._evaluate, self._save, self.say, scribe.take)
            loop = Loop(plan, moments, stops)
            try:
                stop = loop.run()
                outcome = self._stopped(loop, stop) if stop is not None else self._finished(loop)
            except BaseException as error:
                self._fail(loop, error)
                raise
            finally:
                scribe.close()
        scribe.end(outcome)
        return outcome

    def _prepare(self, resumed: CheckpointData | None) -> Plan:
        plan, engine = self.built.plan, self.built.engine
        if resumed is not None:
            restore_weights(plan.objective, resumed.tensors)
        self._never = NeverTrained(plan.objective)
        engine.prepare(plan.objective, plan.optimizer)
        if engine.group.rank > 0:  # each rank draws dropout of its own
            torch.manual_seed(seed_of("rank", self.built.recipe.seed, engine.group.rank))
        if resumed is None:
            return plan
        restore(engine, resumed.tensors, resumed.values)
        values = resumed.values
        plan.untrained.go_on(values.get("untrained"))
        return replace(
            plan,
            start=resumed.manifest.step,
            spent=values["seconds"],
            skipped=values["skipped"],
            skipped_in_epoch=values["skipped_in_epoch"],
            counted=values.get("counted", {}),
        )

    def _say_of_data(self, run: Run) -> None:
        for key, count in run.left_out.items():
            self.say(f"data.{key} leaves out {counted(count, 'sample')}")
        for note in self.built.plan.reader.dataset.notes():
            self.say(note)

    def _announced(self, plan: Plan) -> Run:
        path = Path() if self._folder is None else self._folder.path
        return Run(
            name=path.name,
            folder=path,
            recipe=self.built.recipe.resolved(),
            steps=plan.steps,
            start=plan.start,
            parameters=plan.parameters,
            trainable=plan.trainable,
            samples=plan.order.samples,
            device=self.built.engine.describe(),
            argv=self._argv,
            left_out=left_out(plan.reader.dataset),
            plugin_files=() if self._folder is None else tuple(kept(self._folder)),
        )

    def _evaluate(self, step: int, ending: bool) -> float | None:
        configs = self.built.recipe.evaluators
        due = [name for name, c in configs.items() if ending or (c.every and step % c.every == 0)]
        if not due:
            return None
        engine = self.built.engine
        subject = eval_model_of(self.built.objective, self.built.read, engine.group, self._feed)
        results = measure({name: self.built.evaluators[name] for name in due}, subject)
        on_main(engine, lambda: self._scribe.evaluated(step, results))
        self.results |= results
        first = next(iter(configs))
        value = results[first].numbers[results[first].headline].value if first in results else math.nan
        return value if math.isfinite(value) else None

    def _save(self, step: int, progress: Mapping[str, Any], headline: float | None) -> None:
        engine = self.built.engine
        tensors, values = capture(engine)
        moving, frozen = self._never.apart(engine, tensors)
        once = {f"frozen.{group}": named for group, named in (frozen or {}).items()}

        def save(groups: Mapping[str, Tensors]) -> None:
            fixed = None if frozen is None else {group: groups[f"frozen.{group}"] for group in frozen}
            changing = {group: groups[group] for group in moving}
            self._scribe.save(step, changing, {**values, **progress}, headline, fixed)
            self._scribe.untrained(self.built.plan.untrained, progress["untrained"])

        write_together(engine, {**once, **moving}, save)
        self._never.stored()

    def _finished(self, loop: Loop) -> Outcome:
        if not self.results:  # all steps had been taken before this start
            self._evaluate(loop.step, ending=True)
        weights = evaluated(self.built.engine.weights(), self.built.recipe)
        write_together(
            self.built.engine, {"model": weights}, lambda groups: self._scribe.finish(groups["model"], loop.step)
        )
        return Outcome("finished", "", loop.step, loop.seconds, 0, "")

    def _stopped(self, loop: Loop, stop: Stop) -> Outcome:
        return Outcome("stopped", stop.reason, loop.step, loop.seconds, stop.exit_code, self._scribe.resume)

    def _fail(self, loop: Loop, error: BaseException) -> None:
        """Write down a failure; where even that fails, the first error is the one to show."""
        code = error.exit_code if isinstance(error, MmxError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        reason = str(error) or type(error).__name__
        # The same recipe fails again, and so does the same part where it was the first step that failed.
        outside = isinstance(error, DataError | CheckpointError | KeyboardInterrupt)
        again = isinstance(error, RecipeError) or (loop.step == 0 and not outside)
        resume = "" if again else self._scribe.resume
        try:
            self._scribe.end(Outcome("failed", reason, loop.step, loop.seconds, code, resume))
        except MmxError as second:
            self.say(str(second))


def evaluated(weights: Tensors, recipe: Recipe) -> Tensors:
    """Return the weights of the model that is evaluated: the averaged ones where the recipe asks for them."""
    places = averaged(weights, None if recipe.train.ema is None else model_build.EMA)
    return {name: weights[place] for name, place in places.items()}
