"""One training run from start to end: build, resume, train, and tell observers and the run folder about it."""

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import final

import torch

from mmx.data.order import Order
from mmx.errors import CheckpointError, DataError, MmxError, RecipeError
from mmx.learn.accumulate import inexact
from mmx.learn.objective import Objective
from mmx.learn.optim import adamw
from mmx.parts.engine import Engine
from mmx.parts.evaluator import Evaluator, Result
from mmx.plugins import Plugins
from mmx.recipe.schema import Recipe
from mmx.run import build
from mmx.run.bundle import save_bundle
from mmx.run.checkpoint import Store
from mmx.run.events import Outcome, Run, Step
from mmx.run.layout import RunFolder
from mmx.run.loaded import Loaded
from mmx.run.look import evaluate, subject_of
from mmx.run.plugin_files import flags, kept
from mmx.run.signals import StopRequests
from mmx.run.state import capture, restore
from mmx.run.train import Loop, Moments, Plan, Stop


@dataclass(frozen=True)
class Built:
    """What a recipe is built into."""

    recipe: Recipe
    read: build.Reading
    objective: Objective
    engine: Engine
    evaluators: dict[str, Evaluator]
    plan: Plan


def build_run(recipe: Recipe, plugins: Plugins) -> Built:
    """Build everything on the engine's device, with weights drawn from the recipe's seed.

    Raises:
        RecipeError: the parts do not fit together.
    """
    registries = plugins.registries
    engine = build.engine_of(recipe, registries)
    dataset = build.dataset_of(recipe, registries)
    evaluators = build.evaluators_of(recipe, registries)
    order = Order(len(dataset), recipe.data.batch, recipe.seed)
    steps = build.steps_of(recipe, order)
    read = build.reading(recipe, registries)
    torch.manual_seed(recipe.seed)
    model, sizes = build.model_of(recipe, registries, read)
    objective = build.objective_of(recipe, registries, model, sizes, engine.group).to(engine.device)
    objective.train()
    why = inexact(objective, recipe.train.micro_batches)
    if why is not None:
        raise RecipeError(f"train.micro_batches = {recipe.train.micro_batches}: {why}")
    reader = build.reader_of(recipe, registries, objective, read, dataset)
    table = recipe.optim
    optimizer = adamw(objective, table.lr, table.betas, table.eps, table.weight_decay)
    schedule = build.schedule_of(recipe, steps)
    plan = Plan(recipe, objective, optimizer, schedule, engine, reader, order, steps, 0, 0.0, 0, 0)
    return Built(recipe, read, objective, engine, evaluators, plan)


@final
class Session:
    """Runs what was built, in a run folder."""

    def __init__(
        self, built: Built, folder: RunFolder, plugins: Plugins, say: Callable[[str], None], argv: tuple[str, ...]
    ) -> None:
        self.built = built
        self.folder = folder
        self.say = say
        self._plugins = plugins
        table = built.recipe.checkpoint
        self._store: Store = folder.store(table.keep_last, table.keep_best and bool(built.evaluators))
        self._metrics = folder.metrics()
        self._ledger = folder.ledger()
        self._argv = argv
        self.results: dict[str, Result] = {}

    def run(self, resumed: Loaded | None) -> Outcome:
        """Train to the end, or until a signal or a limit; what was reached is saved either way."""
        plan = self._prepare(resumed)
        self._run = self._announce(plan)
        with StopRequests() as stops:
            loop = Loop(plan, Moments(self._record, self._evaluate, self._save, self.say), self._ledger, stops)
            try:
                stop = loop.run()
                outcome = self._stopped(loop, stop) if stop is not None else self._finished(loop)
            except BaseException as error:
                self._fail(loop, error)
                raise
            finally:
                self._ledger.close()
        return self._end(outcome)

    def _prepare(self, resumed: Loaded | None) -> Plan:
        plan, engine = self.built.plan, self.built.engine
        engine.prepare(plan.objective, plan.optimizer)
        if resumed is None:
            return plan
        restore(plan.objective, engine, resumed.tensors, resumed.values)
        values = resumed.values
        return replace(
            plan,
            start=resumed.manifest.step,
            spent=values["seconds"],
            skipped=values["skipped"],
            skipped_in_epoch=values["skipped_in_epoch"],
        )

    def _announce(self, plan: Plan) -> Run:
        total, trained = build.parameters_of(plan.objective.model)
        run = Run(
            name=self.folder.path.name,
            folder=self.folder.path,
            recipe=self.built.recipe.resolved(),
            steps=plan.steps,
            start=plan.start,
            parameters=total,
            trainable=trained,
            samples=plan.order.samples,
            device=self.built.engine.describe(),
            argv=self._argv,
            plugin_files=tuple(kept(self.folder)),
        )
        self.folder.write_status("running", plan.start)
        row = {"kind": "run", **asdict(run), "folder": run.folder.name, "step": run.start}
        self._metrics.append({name: value for name, value in row.items() if name != "recipe"})
        self._plugins.run_start(run)
        return run

    def _record(self, step: Step) -> None:
        every = self.built.recipe.train.log_every
        # Not the first step after a start that resumes: an interrupted run keeps the rows of a whole one.
        if step.step == 1 or step.step % every == 0 or step.step == self._run.steps:
            self._metrics.append({"kind": "step", **asdict(step)})
        self._plugins.step_end(self._run, step)

    def _evaluate(self, step: int, ending: bool) -> float | None:
        configs = self.built.recipe.evaluators
        due = [name for name, c in configs.items() if ending or (c.every and step % c.every == 0)]
        if not due:
            return None
        subject = subject_of(self.built.objective, self.built.read)
        results = evaluate(
            {name: self.built.evaluators[name] for name in due}, subject, self.folder, step, self._metrics
        )
        self._plugins.evaluation_end(self._run, step, results)
        self.results |= results
        first = next(iter(configs))
        value = results[first].numbers[results[first].headline].value if first in results else math.nan
        return value if math.isfinite(value) else None

    def _save(self, step: int, progress: Mapping[str, float], headline: float | None) -> None:
        tensors, values = capture(self.built.objective, self.built.engine)
        self._ledger.sync()
        self._store.save(step, tensors, {**values, **progress}, headline)
        self.folder.write_status("running", step)

    def _finished(self, loop: Loop) -> Outcome:
        if not self.results:  # all steps had been taken before this start
            self._evaluate(loop.step, ending=True)
        subject = subject_of(self.built.objective, self.built.read)
        save_bundle(self.folder.model, self.built.recipe, subject.model.state_dict(), loop.step)
        return Outcome("finished", "", loop.step, loop.seconds, 0, "")

    def _stopped(self, loop: Loop, stop: Stop) -> Outcome:
        return Outcome("stopped", stop.reason, loop.step, loop.seconds, stop.exit_code, self._resume_command())

    def _fail(self, loop: Loop, error: BaseException) -> None:
        """Write down a failure; where even that fails, the first error is the one to show."""
        code = error.exit_code if isinstance(error, MmxError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        reason = str(error) or type(error).__name__
        try:
            # The same recipe fails again, and so does the same part where it was the first step that failed.
            outside = isinstance(error, DataError | CheckpointError | KeyboardInterrupt)
            again = isinstance(error, RecipeError) or (loop.step == 0 and not outside)
            resume = "" if again else self._resume_command()
            self._end(Outcome("failed", reason, loop.step, loop.seconds, code, resume))
        except MmxError as second:
            self.say(str(second))

    def _resume_command(self) -> str:
        return f"mmx run --resume {shlex.quote(str(self.folder.path))}{flags(self.folder.path, kept(self.folder))}"

    def _end(self, outcome: Outcome) -> Outcome:
        self._metrics.append({"kind": "end", **asdict(outcome)})
        self.folder.write_status(outcome.status, outcome.step, outcome.reason)
        self._plugins.run_end(self._run, outcome)
        return outcome
