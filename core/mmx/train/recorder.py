"""What happens around the steps of a run, in each of its processes: records, evaluations, checkpoints, its start and end."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from mmx.checkpoint.state import averaged, capture
from mmx.checkpoint.streaming import NeverTrained, write_together
from mmx.data.mixture import left_out
from mmx.errors import CheckpointError, DataError, MmxError, RecipeError
from mmx.evaluate import build as eval_build
from mmx.evaluate.measure import eval_model_of, measure
from mmx.launch.agree import on_main
from mmx.models import build as model_build
from mmx.parts.evaluator import Result
from mmx.parts.events import Outcome, Run, Step
from mmx.parts.lazy import Tensors
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe
from mmx.runs.layout import RunFolder
from mmx.runs.plugin_files import kept
from mmx.train.experiment import Experiment
from mmx.train.files import RunFiles, Taken
from mmx.train.untrained import Untrained
from mmx.wording import counted

Say = Callable[[str], None]
_NOTHING: Final[Mapping[str, Any]] = {"seconds": 0.0, "skipped": 0, "skipped_in_epoch": 0, "counted": {}}


@final
class RunRecorder:
    """Writes down what happens in a run; the main process in a folder and to plugins, the others help it.

    Args:
        experiment: what runs.
        folder: the run's; None in all processes but the main one.
        plugins: those that are told.
        say: is told what a person should know.
        argv: the command, for the record.
    """

    def __init__(
        self, experiment: Experiment, folder: RunFolder | None, plugins: Plugins, say: Say, argv: tuple[str, ...]
    ) -> None:
        self.experiment = experiment
        self.say = say
        self.results: dict[str, Result] = {}
        self.untrained = Untrained(experiment.objective)
        self._argv = argv
        self._files = None if folder is None else RunFiles(experiment.recipe, folder, plugins)
        self._feed = eval_build.feed_of(experiment.recipe, say, experiment.engine.everyone)
        self._never = NeverTrained(experiment.objective)

    @property
    def resume(self) -> str:
        """The command that goes on with the run; only the main process knows it."""
        return "" if self._files is None else self._files.resume

    def start(self, step: int) -> None:
        """The run starts, or goes on after a step."""
        run, engine = self._announced(step), self.experiment.engine
        if engine.main:
            for key, count in run.left_out.items():
                self.say(f"data.{key} leaves out {counted(count, 'sample')}")
            for note in self.experiment.reader.dataset.notes():
                self.say(note)
        on_main(engine, lambda: None if self._files is None else self._files.start(run))
        if self.experiment.origins:  # from here on, the run needs none of the files that it started from
            self.save(0, {**_NOTHING, "untrained": self.untrained.left(engine)}, None)

    def take(self, taken: Taken) -> None:
        """A step was taken."""
        if self._files is not None:
            self._files.take(taken)

    def record(self, step: Step, kept: bool) -> None:
        """A step's numbers are due; whether they are kept, or only shown."""
        if self._files is not None:
            self._files.record(step, kept)

    def evaluate(self, step: int, ending: bool) -> float | None:
        """Evaluate what is due after a step (or at the end) and return the headline number, if there is one."""
        experiment = self.experiment
        configs = experiment.recipe.evaluators
        due = [name for name, c in configs.items() if ending or (c.every and step % c.every == 0)]
        if not due:
            return None
        engine = experiment.engine
        subject = eval_model_of(experiment.objective, experiment.reading, engine.group, self._feed)
        results = measure({name: experiment.evaluators[name] for name in due}, subject)
        on_main(engine, lambda: None if self._files is None else self._files.evaluated(step, results))
        self.results |= results
        first = next(iter(configs))
        value = results[first].numbers[results[first].headline].value if first in results else math.nan
        return value if math.isfinite(value) else None

    def save(self, step: int, progress: Mapping[str, Any], headline: float | None) -> None:
        """Save a checkpoint: its step, values to go on with, and the headline number of its evaluation."""
        engine = self.experiment.engine
        tensors, values = capture(engine)
        moving, frozen = self._never.apart(engine, tensors)
        once = {f"frozen.{group}": named for group, named in (frozen or {}).items()}

        def save(groups: Mapping[str, Tensors]) -> None:
            assert self._files is not None
            fixed = None if frozen is None else {group: groups[f"frozen.{group}"] for group in frozen}
            changing = {group: groups[group] for group in moving}
            self._files.save(step, changing, {**values, **progress}, headline, fixed)
            self._files.untrained(self.untrained, progress["untrained"])

        write_together(engine, {**once, **moving}, save)
        self._never.stored()

    def finish(self, step: int, seconds: float) -> Outcome:
        """All steps are taken: evaluate where nothing was, and keep the model."""
        if not self.results:  # all steps had been taken before this start
            self.evaluate(step, ending=True)
        engine = self.experiment.engine

        def keep(groups: Mapping[str, Tensors]) -> None:
            assert self._files is not None
            self._files.finish(groups["model"], step)

        write_together(engine, {"model": _evaluated(engine.weights(), self.experiment.recipe)}, keep)
        return Outcome("finished", "", step, seconds, 0, "")

    def end(self, outcome: Outcome) -> None:
        """The run has ended."""
        if self._files is not None:
            self._files.end(outcome)

    def fail(self, error: BaseException, step: int, seconds: float) -> None:
        """Write down a failure; where even that fails, the first error is the one to show."""
        code = error.exit_code if isinstance(error, MmxError) else 130 if isinstance(error, KeyboardInterrupt) else 1
        reason = str(error) or type(error).__name__
        # The same recipe fails again, and so does the same part where it was the first step that failed.
        outside = isinstance(error, DataError | CheckpointError | KeyboardInterrupt)
        again = isinstance(error, RecipeError) or (step == 0 and not outside)
        try:
            self.end(Outcome("failed", reason, step, seconds, code, "" if again else self.resume))
        except MmxError as second:
            self.say(str(second))

    def close(self) -> None:
        """Let go of open files."""
        if self._files is not None:
            self._files.close()

    def _announced(self, step: int) -> Run:
        experiment = self.experiment
        folder = None if self._files is None else self._files.folder
        path = Path() if folder is None else folder.path
        return Run(
            name=path.name,
            folder=path,
            recipe=experiment.recipe.resolved(),
            steps=experiment.steps,
            start=step,
            parameters=experiment.parameters,
            trainable=experiment.trainable,
            samples=experiment.order.samples,
            device=experiment.engine.describe(),
            argv=self._argv,
            left_out=left_out(experiment.reader.dataset),
            plugin_files=() if folder is None else tuple(kept(folder)),
        )


def _evaluated(weights: Tensors, recipe: Recipe) -> Tensors:
    """Return the weights of the model that is evaluated: the averaged ones where the recipe asks for them."""
    places = averaged(weights, None if recipe.train.ema is None else model_build.EMA)
    return {name: weights[place] for name, place in places.items()}
