"""What is written down of a run: by the main process into the run's folder, by others not at all."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, final

from typing_extensions import override

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


class RunRecorder:
    """Of a process that is not the main one: writes nothing and tells nobody."""

    resume: str = ""
    """The command that goes on with the run."""

    def start(self, run: Run) -> None:
        """The run starts."""

    def take(
        self, step: int, epoch: int, start: int, rows: int, keys: Sequence[str], bad: Sequence[Skipped], loss: float
    ) -> None:
        """A step was taken: its place in the order, the samples that it was trained on, and those that were skipped."""

    def record(self, step: Step, kept: bool) -> None:
        """A step's numbers are due; whether they are kept, or only shown."""

    def evaluated(self, step: int, results: dict[str, Result]) -> None:
        """Evaluators have run."""

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensors],
        values: Mapping[str, Any],
        headline: float | None,
        frozen: Mapping[str, Tensors] | None,
    ) -> None:
        """Everything of a checkpoint is together."""

    def untrained(self, found: Untrained, left: Sequence[str]) -> None:
        """These have not been reached by a loss at a checkpoint."""

    def finish(self, weights: Tensors, step: int) -> None:
        """All steps are taken; these are the weights of what was evaluated."""

    def end(self, outcome: Outcome) -> None:
        """The run has ended."""

    def close(self) -> None:
        """Let go of open files."""


@final
class FolderRecorder(RunRecorder):
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

    @override
    def start(self, run: Run) -> None:
        self._run = run
        self.folder.write_status("running", run.start)
        row = {"kind": "run", **asdict(run), "folder": run.folder.name, "step": run.start}
        self._metrics.append({name: value for name, value in row.items() if name != "recipe"})
        self._plugins.run_start(run)

    @override
    def take(
        self, step: int, epoch: int, start: int, rows: int, keys: Sequence[str], bad: Sequence[Skipped], loss: float
    ) -> None:
        for sample in bad:
            self._skipped.append({"step": step, "epoch": epoch, "key": sample.key, "reason": sample.reason})
        self._ledger.append(step, epoch, start, rows, keys, [sample.key for sample in bad], loss)

    @override
    def record(self, step: Step, kept: bool) -> None:
        if kept:
            self._metrics.append({"kind": "step", **asdict(step)})
        self._plugins.step_end(self._run, step)

    @override
    def evaluated(self, step: int, results: dict[str, Result]) -> None:
        keep(results, self.folder, step, self._metrics)
        self._plugins.evaluation_end(self._run, step, results)

    @override
    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensors],
        values: Mapping[str, Any],
        headline: float | None,
        frozen: Mapping[str, Tensors] | None,
    ) -> None:
        self._skipped.sync()
        self._ledger.sync()
        self._store.save(step, tensors, values, headline, frozen)
        self.folder.write_status("running", step)

    @override
    def untrained(self, found: Untrained, left: Sequence[str]) -> None:
        found.write(self.folder.path, left)

    @override
    def finish(self, weights: Tensors, step: int) -> None:
        save_bundle(self.folder.model, self._recipe, weights, step)

    @override
    def end(self, outcome: Outcome) -> None:
        self._metrics.append({"kind": "end", **asdict(outcome)})
        self.folder.write_status(outcome.status, outcome.step, outcome.reason)
        self._plugins.run_end(self._run, outcome)

    @override
    def close(self) -> None:
        self._skipped.close()
        self._ledger.close()
