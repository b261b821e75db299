"""From a recipe to evaluators, and what they read samples with."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast, runtime_checkable

from mmx.config import (
    DatasetConfig,
    EvaluatorConfig,
)
from mmx.data import build as data_build
from mmx.errors import RecipeError
from mmx.evaluate.record import Recorded
from mmx.learn.model import Model
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import Evaluator
from mmx.parts.feed import Feed, alone
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe


@runtime_checkable
class Measured(Protocol):
    """What says what is measured."""

    @property
    def evaluators(self) -> Mapping[str, EvaluatorConfig]:
        """The evaluators' options, by name."""
        ...


def evaluators_of(recipe: Measured, registries: Registries) -> dict[str, Evaluator]:
    """Build the evaluators, each with its own dataset."""
    found: dict[str, Evaluator] = {}
    for name, config in recipe.evaluators.items():
        data = (
            None
            if config.data is None
            else data_build.dataset_of(f"evaluators.{name}.data", cast(DatasetConfig, config.data), registries)
        )
        found[name] = evaluator_of(config, registries, data)
    return found


def evaluator_of(config: EvaluatorConfig, registries: Registries, data: Dataset | None) -> Evaluator:
    """Build one evaluator on its dataset."""
    return Recorded(cast(Evaluator, registries.build("evaluator", config, data)), config, data)


def check_evaluators(evaluators: Mapping[str, Evaluator], model: Model) -> None:
    """Check that a model has what is measured.

    Raises:
        RecipeError: it has not; names the evaluator.
    """
    for name, evaluator in evaluators.items():
        try:
            evaluator.check(model)
        except RecipeError as error:
            raise RecipeError(f"evaluators.{name}: {error}") from error


def feed_of(recipe: Recipe, say: Callable[[str], None], everyone: Callable[[Any], list[Any]] = alone) -> Feed:
    """Return what evaluations read samples with: the recipe's data workers and budget; says each bad sample once."""
    said = set[str]()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    table = recipe.data
    return Feed(table.workers, table.worker_timeout, table.bad_samples, once, everyone)
