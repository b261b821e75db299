"""What is measured of a model that is no run: from ``--recipe`` and ``--set``. Never imports torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from mmx.config import EngineConfig, EvaluatorConfig, Slot, Table
from mmx.errors import RecipeError
from mmx.parts.weights import MODEL_TABLES
from mmx.plugin.registry import Registries
from mmx.recipe.document import Document
from mmx.recipe.load import failure, load
from mmx.recipe.overrides import override
from mmx.recipe.problems import explain
from mmx.recipe.schema import Name

_OWN: Final = ("evaluators", "parallel")


class EvaluationTables(Table):
    """The tables of a recipe that say what is measured, and where."""

    evaluators: dict[Name, Annotated[EvaluatorConfig, Slot("evaluator")]]
    """What is measured, by name."""
    parallel: Annotated[EngineConfig, Slot("engine", key="engine")] = Field({"engine": "local"}, validate_default=True)
    """Its ``device``, where the model goes."""


@dataclass(frozen=True)
class Evaluation:
    """What is asked of a model."""

    tables: EvaluationTables
    overrides: tuple[str, ...]
    """Those of ``--set`` that are about the model."""
    recipe: Mapping[str, Any]
    """Every value of ``--recipe``, which says what a model's folder does not; empty if none was given."""


def evaluation(
    model: str, recipe: Path | None, sets: Sequence[str], unset: Sequence[str], registries: Registries
) -> Evaluation:
    """Return what is asked, checked.

    Raises:
        RecipeError: a key belongs to no table that counts here, a value is wrong, or nothing is measured.
    """
    values = {} if recipe is None else load(recipe, (), (), registries).resolved()
    about = [text for text in sets if _table(text) in MODEL_TABLES]
    rest = [text for text in sets if text not in about]
    for text in (*rest, *unset):
        if _table(text) not in _OWN:
            raise RecipeError(
                f"--set {text}: {model} is no run; what can be set are [evaluators.NAME], parallel.device, and the tables "
                f"of the model: {', '.join(MODEL_TABLES)}"
            )
    given = {name: values[name] for name in _OWN if name in values}
    document = override(Document(given, {}, str(recipe or "--set")), rest, unset)
    if not document.values.get("evaluators"):
        raise RecipeError(_nothing(model, recipe, registries))
    try:
        tables = EvaluationTables.model_validate_json(json.dumps(document.values), context=registries)
    except ValidationError as error:
        raise failure(explain(error, document, registries), document.label) from error
    return Evaluation(tables, tuple(about), values)


def _table(override: str) -> str:
    return override.partition("=")[0].partition(".")[0].strip()


def _nothing(model: str, recipe: Path | None, registries: Registries) -> str:
    known = registries["evaluator"].names()
    said = f"{recipe} has no evaluator" if recipe else f"{model} is no run, so that it has no evaluators of its own"
    return (
        f"{said}; give some (known: {', '.join(known) or 'none'}):\n"
        f"  mmx eval {shlex.quote(model)} --recipe RECIPE\n"
        f"  mmx eval {shlex.quote(model)} --set 'evaluators.NAME.name=\"{next(iter(known), '...')}\"' --set ...\n"
        "help: mmx recipe schema evaluators"
    )
