"""Runs the tiny form of a recipe on one process and under each layout, and compares."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, final

from mmx.config import EngineConfig
from mmx.errors import MmxError, RecipeError
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe
from mmx.recipe.write import to_toml
from mmx.train.build import refuse_division
from mmx_kit.check import BrokenError
from mmx_verify.compare import BOUNDS, EXACT, Comparison, compare
from mmx_verify.measure import Outcome, Refusal, Task
from mmx_verify.plan import Precision, Trial, alone, placed
from mmx_verify.pools import Pools


@dataclass(frozen=True)
class Reference:
    """What came of one process."""

    precision: Precision
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Exact:
    """What came of a layout in fp64."""

    comparison: Comparison | None = None
    """With one process in fp64."""
    seconds: float = 0.0
    """Of the layout."""
    reason: str = ""
    """Why nothing was compared."""


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
    exact: Exact | None = None
    """Of a layout that differs in fp32, by an amount that rounding may have come to."""

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
        bench = _Bench(recipe, registries, tuple(str(file.absolute()) for file in files), Path(folder), pools)
        references: dict[Precision, Reference] = {}
        for trial in wanted:
            if trial.precision not in references:
                references[trial.precision] = bench.reference(trial.precision)
                hear(references[trial.precision])
        for trial in wanted:
            rows.append(bench.row(trial, references[trial.precision].outcome))
            hear(rows[-1])
    return rows


def refused_at_size(recipe: Recipe, registries: Registries, wanted: Sequence[Trial]) -> dict[str, str]:
    """Return why the recipe at its own size refuses layouts, by name: its tiny form may have more blocks or heads."""
    found: dict[str, str] = {}
    for trial in wanted:
        try:
            if trial.engine.divides():
                refuse_division(placed(recipe, trial.engine, trial.micro_batches), registries)
        except RecipeError as error:
            found[trial.name] = str(error)
    return found


def judged(comparison: Comparison, exact: Exact | None) -> Literal["equal", "DIFFERS"]:
    """Say whether a layout comes to the same as one process: in its own precision, or else in fp64."""
    found = comparison if exact is None or exact.comparison is None else exact.comparison
    return "equal" if found.equal else "DIFFERS"


def rounds(comparison: Comparison, precision: Precision) -> bool:
    """Return whether rounding alone may have made a layout differ, which fp64 tells.

    In bf16 it is not asked: the engine casts there, whatever the objective is in. What is missing, has another shape or
    is not a number is no rounding.
    """
    return precision == "fp32" and not comparison.equal and math.isfinite(comparison.largest)


@final
class _Bench:
    """Takes the steps of one recipe under one engine after another."""

    def __init__(
        self, recipe: Recipe, registries: Registries, files: tuple[str, ...], folder: Path, pools: Pools
    ) -> None:
        self._recipe = recipe
        self._registries = registries
        self._files = files
        self._folder = folder
        self._pools = pools

    def reference(self, precision: Precision) -> Reference:
        """Take them on one process."""
        started = time.monotonic()
        try:
            found = self._one(precision)
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
            found = self._many(trial)
        except BrokenError as error:
            return Row(trial, "failed", time.monotonic() - started, reason=_last(error), traceback=str(error))
        seconds = time.monotonic() - started
        if isinstance(found, Refusal):
            return Row(trial, "refused", seconds, reason=found.reason)
        comparison = compare(found, expected, BOUNDS[trial.precision])
        exact = self._exact(trial) if rounds(comparison, trial.precision) else None
        return Row(trial, judged(comparison, exact), seconds, found, comparison, exact=exact)

    def _exact(self, trial: Trial) -> Exact:
        """Take them under a layout in fp64, and compare with one process in fp64."""
        expected = self._expected
        if isinstance(expected, str):
            return Exact(reason=f"one process: {expected}")
        started = time.monotonic()
        found = self._in_fp64(trial)
        seconds = time.monotonic() - started
        if isinstance(found, str):
            return Exact(seconds=seconds, reason=found)
        return Exact(compare(found, expected, EXACT), seconds)

    @cached_property
    def _expected(self) -> Outcome | str:
        """What one process comes to in fp64, or why to nothing."""
        return self._in_fp64(None)

    def _in_fp64(self, trial: Trial | None) -> Outcome | str:
        try:
            found = self._one("fp32", True) if trial is None else self._many(trial, True)
        except BrokenError as error:
            return _last(error)
        return found.reason if isinstance(found, Refusal) else found

    def _refusals(self, trial: Trial) -> list[tuple[str, str]]:
        return list(trial.engine.refusals(self._recipe.data.batch, trial.micro_batches))

    def _one(self, precision: Precision, double: bool = False) -> Outcome | Refusal:
        return self._pools.measure(self._task(f"one-{precision}", alone(self._registries, precision), 1, double), 1)

    def _many(self, trial: Trial, double: bool = False) -> Outcome | Refusal:
        task = self._task(trial.name, trial.engine, trial.micro_batches, double)
        return self._pools.measure(task, trial.processes)

    def _task(self, name: str, engine: EngineConfig, micro_batches: int, double: bool) -> Task:
        file = self._folder / f"{name}.toml"
        file.write_text(to_toml(placed(self._recipe, engine, micro_batches)), encoding="utf-8")
        return Task(str(file), micro_batches, self._files, double)


def _last(error: BrokenError) -> str:
    """Return the last line of a traceback."""
    return str(error).strip().splitlines()[-1].strip()
