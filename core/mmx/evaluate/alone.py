"""Evaluating a model that is no run: it has no recipe and no folder to write to."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmx.errors import CheckpointError
from mmx.evaluate import build as eval_build
from mmx.evaluate.measure import device_for, measure, plain
from mmx.evaluate.results import write_result
from mmx.evaluate.rows import number_rows
from mmx.evaluate.tables import Evaluation
from mmx.models.find import FoundModel
from mmx.models.load import built_model, digests, read_model
from mmx.parts.evaluator import Result
from mmx.parts.weights import ModelData
from mmx.plugin.manager import Plugins
from mmx.runs.request import RunResult

Say = Callable[[str], None]


def evaluate_model(found: FoundModel, asked: Evaluation, plugins: Plugins, say: Say, out: Path | None) -> RunResult:
    """Measure a model and say what was found.

    Args:
        found: the model.
        asked: what is measured.
        plugins: those that have the parts.
        say: is told the numbers.
        out: a folder that is not there yet or is empty, which the results are kept in; None keeps them nowhere.

    Raises:
        CheckpointError: the model cannot be read, or ``out`` has something in it.
    """
    if out is not None:
        _refuse_full(out)
    registries = plugins.registries
    data = _completed(read_model(found, plugins, say), asked.recipe)
    device = device_for(asked.tables.parallel)
    loaded = built_model(found, data, registries, device, asked.overrides, say)
    results = measure(eval_build.evaluators_of(asked.tables, registries), loaded.subject)
    facts = {"model": str(found.path), "format": found.format, "files": digests(found, data), **plain(results)}
    width = shutil.get_terminal_size().columns
    for name, result in results.items():
        say("\n".join(number_rows(name, result, width)))
    if out is None:
        say("the results are kept nowhere; --out FOLDER keeps them, pictures too")
    else:
        _keep(out, results, facts)
        say(f"kept in {out}")
    return RunResult(0, facts)


def _completed(data: ModelData, recipe: Mapping[str, Any]) -> ModelData:
    """Return a model with what its folder does not tell and the recipe does."""
    tables = {name: dict(table) for name, table in data.tables.items()}
    for key in data.untold:
        table, _, option = key.partition(".")
        told: Mapping[str, Any] = recipe.get(table, {})
        if option == "name" and told:
            tables[table] = dict(told)
        elif option in told:
            tables.setdefault(table, {})[option] = told[option]
    return replace(data, tables=tables)


def _refuse_full(out: Path) -> None:
    try:
        if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
            raise CheckpointError(f"--out {out} is there and is not an empty folder; results are never overwritten")
    except OSError as error:
        raise CheckpointError(f"--out {out} cannot be read: {error.strerror}") from error


def _keep(out: Path, results: Mapping[str, Result], facts: Mapping[str, Any]) -> None:
    try:
        for name, result in results.items():
            write_result(out / "results", name, result)
        (out / "evaluation.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"the results cannot be written to {out}: {error.strerror}") from error
