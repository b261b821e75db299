"""``mmx recipe check --deep``: builds the model without memory, and reads the first samples of every source."""

from collections.abc import Callable
from typing import Final

import torch

from mmx.data.order import Order, Ticket
from mmx.data.views import Bad, collate
from mmx.errors import DataError, MmxError, RecipeError
from mmx.learn.accumulate import inexact
from mmx.learn.group import SoloGroup
from mmx.learn.objective import Objective, Share
from mmx.parts.batch import Batch
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.recipe.schema import Recipe
from mmx.registry import Registries
from mmx.run import build
from mmx.run.wording import many

SAMPLES: Final = 8
_META: Final = torch.device("meta")


def deep_check(recipe: Recipe, registries: Registries, say: Callable[[str], None]) -> None:
    """Check what needs torch and the data; says what it found.

    Raises:
        RecipeError: parts do not fit together, or a forward pass over the first samples fails.
        DataError: a source is empty or cannot be read.
    """
    dataset = build.dataset_of(recipe, registries)
    order = Order(len(dataset), recipe.data.batch, recipe.seed)
    steps = build.steps_of(recipe, order)
    read = build.reading(recipe, registries)
    with _META:
        model, sizes = build.model_of(recipe, registries, read)
        objective = build.objective_of(recipe, registries, model, sizes, SoloGroup())
    objective.train()
    why = inexact(objective, recipe.train.micro_batches)
    if why is not None:
        raise RecipeError(f"train.micro_batches = {recipe.train.micro_batches}: {why}")
    total, trained = build.parameters_of(objective.model)
    say(f"model: {many(total)} parameters, {many(trained)} of them trained")
    reader = build.reader_of(recipe, registries, objective, read, dataset)
    rows = [reader[Ticket(index, 0)] for index in range(min(SAMPLES, len(dataset)))]
    bad = [row for row in rows if isinstance(row, Bad)]
    if len(bad) == len(rows):
        raise DataError(f"none of the first {len(rows)} samples can be used; {bad[0].key}: {bad[0].reason}")
    say(
        f"data.train: {many(len(dataset))} samples, {steps:,} steps of {recipe.data.batch}; "
        f"read {len(rows) - len(bad)} of {len(rows)}"
    )
    _forward(objective, collate(rows).batch)
    for name, config in recipe.evaluators.items():
        if config.data is not None:
            _readable(name, build.part(registries, "dataset", config.data), say)
    build.evaluators_of(recipe, registries)


def _forward(objective: Objective, batch: Batch) -> None:
    """Run the losses on shapes alone."""
    try:
        with _META:
            moved = batch.to(_META)
            objective(moved, Share(objective.count(moved)))
    except MmxError:
        raise
    except NotImplementedError as error:
        raise RecipeError(f"a loss asks for what another part does not offer: {error}") from error
    except Exception as error:
        raise RecipeError(f"a forward pass over the first samples fails: {type(error).__name__}: {error}") from error


def _readable(name: str, dataset: Dataset, say: Callable[[str], None]) -> None:
    problems: list[str] = []
    for index in range(min(SAMPLES, len(dataset))):
        try:
            dataset.read(index)
        except BadSampleError as error:
            problems.append(str(error))
    if len(problems) == min(SAMPLES, len(dataset)):
        raise DataError(
            f"evaluators.{name}: none of the first samples can be read: {problems[0] if problems else 'there are none'}"
        )
    say(f"evaluators.{name}: {many(len(dataset))} samples")
