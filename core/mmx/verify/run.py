"""Runs the tiny form of a recipe on one process and under each layout, and compares."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, final

from mmx.config import EngineConfig
from mmx.errors import MmxError, RecipeError
from mmx.recipe.schema import Recipe
from mmx.recipe.write import to_toml
from mmx.registry import Registries
from mmx.testing.check import BrokenError
from mmx.verify.compare import BOUNDS, Comparison, compare
from mmx.verify.measure import Outcome, Refusal, Task
from mmx.verify.plan import Precision, Trial, alone, placed
from mmx.verify.pools import Pools


@dataclass(frozen=True)
class Reference:
    """What came of one process."""

    precision: Precision
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Row:
    """What came of a layout."""

    trial: Trial
    result: Literal["equal", "DIFFERS", "refused", "failed"]
    seconds: float
    outcome: Outcome | None = None
    comparison: Comparison | None = None
    reason: str = ""
    """Why it is refused or failed."""
    traceback: str = ""
    """Of a failure."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong: an engine may refuse what it cannot do."""
        return self.result in ("equal", "refused")


def verify(
    recipe: Recipe,
    registries: Registries,
    wanted: Sequence[Trial],
    files: Sequence[Path],
    hear: Callable[[Reference | Row], None],
) -> list[Row]:
    """Compare layouts with one process.

    Args:
        recipe: a tiny form.
        registries: the parts there are.
        wanted: the layouts.
        files: plugin files.
        hear: is told of each result at once: first what one process comes to in each precision, then each layout.

    Raises:
        RecipeError: one process refuses the recipe.
        MmxError: one process fails.
    """
    rows: list[Row] = []
    with Pools() as pools, TemporaryDirectory(prefix="mmx-verify-") as folder:
        bench = _Bench(recipe, tuple(str(file.absolute()) for file in files), Path(folder), pools)
        references: dict[Precision, Reference] = {}
        for trial in wanted:
            if trial.precision not in references:
                engine = alone(registries, trial.precision)
                references[trial.precision] = bench.reference(engine, trial.precision)
                hear(references[trial.precision])
        for trial in wanted:
            rows.append(bench.row(trial, references[trial.precision].outcome))
            hear(rows[-1])
    return rows


@final
class _Bench:
    """Takes the steps of one recipe under one engine after another."""

    def __init__(self, recipe: Recipe, files: tuple[str, ...], folder: Path, pools: Pools) -> None:
        self._recipe = recipe
        self._files = files
        self._folder = folder
        self._pools = pools

    def reference(self, engine: EngineConfig, precision: Precision) -> Reference:
        """Take them on one process."""
        started = time.monotonic()
        try:
            found = self._measure(f"one-{precision}", engine, 1, 1)
        except BrokenError as error:
            raise MmxError(
                f"the tiny form of the recipe fails on one process ({precision}): {_last(error)}\n"
                "try it alone: mmx run RECIPE --set train.steps=3; MMX_DEBUG=1 shows the traceback"
            ) from error
        if isinstance(found, Refusal):
            raise RecipeError(f"the tiny form of the recipe cannot run on one process ({precision}): {found.reason}")
        return Reference(precision, found, time.monotonic() - started)

    def row(self, trial: Trial, expected: Outcome) -> Row:
        """Take them under a layout, and compare."""
        started = time.monotonic()
        refused = [f"parallel.{key}: {why}" for key, why in self._refusals(trial)]
        if refused:
            return Row(trial, "refused", 0.0, reason="; ".join(refused))
        try:
            found = self._measure(trial.name, trial.engine, trial.micro_batches, trial.processes)
        except BrokenError as error:
            return Row(trial, "failed", time.monotonic() - started, reason=_last(error), traceback=str(error))
        seconds = time.monotonic() - started
        if isinstance(found, Refusal):
            return Row(trial, "refused", seconds, reason=found.reason)
        comparison = compare(found, expected, BOUNDS[trial.precision])
        return Row(trial, "equal" if comparison.equal else "DIFFERS", seconds, found, comparison)

    def _refusals(self, trial: Trial) -> list[tuple[str, str]]:
        return list(trial.engine.refusals(self._recipe.data.batch, trial.micro_batches))

    def _measure(self, name: str, engine: EngineConfig, micro_batches: int, processes: int) -> Outcome | Refusal:
        file = self._folder / f"{name}.toml"
        file.write_text(to_toml(placed(self._recipe, engine, micro_batches)), encoding="utf-8")
        return self._pools.measure(Task(str(file), micro_batches, self._files), processes)


def _last(error: BrokenError) -> str:
    """Return the last line of a traceback."""
    return str(error).strip().splitlines()[-1].strip()
