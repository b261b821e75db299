"""What the main process writes down of a run, into its folder, and tells plugins."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from mmx.checkpoint.store import Store
from mmx.data.views import Skipped
from mmx.evaluate.measure import keep
from mmx.models.bundle import save_bundle
from mmx.parts.evaluator import Result
from mmx.parts.events import Outcome, Run, Step
from mmx.parts.lazy import Tensors
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe
from mmx.runs.layout import RunFolder
from mmx.runs.plugin_files import flags, kept
from mmx.train.untrained import Untrained


@dataclass(frozen=True)
class Taken:
    """A step that was taken: its place in the order, the samples that it was trained on, and those that were skipped."""

    step: int
    epoch: int
    start: int
    rows: int
    keys: Sequence[str]
    bad: Sequence[Skipped]
    loss: float


@final
class RunFiles:
    """Of the main process: keeps the run's folder, and tells plugins."""

    def __init__(self, recipe: Recipe, folder: RunFolder, plugins: Plugins) -> None:
        self.folder = folder
        self._recipe = recipe
        self._plugins = plugins
        table = recipe.checkpoint
        self._store: Store = folder.store(table.keep_last, table.keep_best and bool(recipe.evaluators))
        self._metrics = folder.metrics()
        self._ledger = folder.ledger()
        self._skipped = folder.skipped()
        self.resume = f"mmx run --resume {shlex.quote(str(folder.path))}{flags(folder.path, kept(folder))}"

    def start(self, run: Run) -> None:
        """The run starts."""
        self._run = run
        self.folder.write_status("running", run.start)
        row = {"kind": "run", **asdict(run), "folder": run.folder.name, "step": run.start}
        self._metrics.append({name: value for name, value in row.items() if name != "recipe"})
        self._plugins.run_start(run)

    def take(self, taken: Taken) -> None:
        """A step was taken."""
        for sample in taken.bad:
            self._skipped.append({"step": taken.step, "epoch": taken.epoch, "key": sample.key, "reason": sample.reason})
        bad = [sample.key for sample in taken.bad]
        self._ledger.append(taken.step, taken.epoch, taken.start, taken.rows, taken.keys, bad, taken.loss)

    def record(self, step: Step, kept: bool) -> None:
        """A step's numbers are due; whether they are kept, or only shown."""
        if kept:
            self._metrics.append({"kind": "step", **asdict(step)})
        self._plugins.step_end(self._run, step)

    def evaluated(self, step: int, results: dict[str, Result]) -> None:
        """Evaluators have run."""
        keep(results, self.folder, step, self._metrics)
        self._plugins.evaluation_end(self._run, step, results)

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensors],
        values: Mapping[str, Any],
        headline: float | None,
        frozen: Mapping[str, Tensors] | None,
    ) -> None:
        """Everything of a checkpoint is together."""
        self._skipped.sync()
        self._ledger.sync()
        self._store.save(step, tensors, values, headline, frozen)
        self.folder.write_status("running", step)

    def untrained(self, found: Untrained, left: Sequence[str]) -> None:
        """These have not been reached by a loss at a checkpoint."""
        found.write(self.folder.path, left)

    def finish(self, weights: Tensors, step: int) -> None:
        """All steps are taken; these are the weights of what was evaluated."""
        save_bundle(self.folder.model, self._recipe, weights, step)

    def end(self, outcome: Outcome) -> None:
        """The run has ended."""
        self._metrics.append({"kind": "end", **asdict(outcome)})
        self.folder.write_status(outcome.status, outcome.step, outcome.reason)
        self._plugins.run_end(self._run, outcome)

    def close(self) -> None:
        """Let go of open files."""
        self._skipped.close()
        self._ledger.close()
