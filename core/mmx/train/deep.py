"""``mmx recipe check --deep``: builds the model without memory, and reads the first samples of every source."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

import torch

from mmx.config import DatasetConfig, EvaluatorConfig, LossConfig
from mmx.data import build as data_build
from mmx.data.mixture import sizes
from mmx.data.order import StepOrder, Ticket
from mmx.data.views import Reader, Row, Skipped, collate
from mmx.errors import DataError, MmxError, RecipeError
from mmx.evaluate import build as eval_build
from mmx.learn.accumulate import inexact
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.models import build as model_build
from mmx.parts.batch import Batch
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.group import SoloGroup
from mmx.parts.loss import Loss
from mmx.parts.sizes import Sizes
from mmx.plugin.registry import Registries
from mmx.recipe.document import Document
from mmx.recipe.problems import Problem
from mmx.recipe.schema import Recipe
from mmx.train import build
from mmx.train.examples import Examples
from mmx.train.findings import Findings
from mmx.wording import many

Say = Callable[[str], None]
SAMPLES: Final = 8
_META: Final = torch.device("meta")
_ANY: Final = 64


def deep_check(recipe: Recipe, document: Document, registries: Registries, say: Say) -> list[Problem]:
    """Return everything that is wrong and that only torch and the data can tell; says what it found that is right.

    Args:
        recipe: what is checked. Where it leaves the training data to the user, the samples are made up.
        document: the recipe as written, for the lines of what is wrong.
        registries: the parts there are.
        say: is told how large the model and the datasets are.
    """
    found = Findings(document)
    read = found.attempt(("tokenizer",), lambda: model_build.reading(recipe, registries))
    objective = None if read is None else _objective(recipe, registries, read, found)
    if objective is not None:
        total, trained = model_build.parameters_of(objective.model)
        say(f"model: {many(total)} parameters, {many(trained)} of them trained")
    data = _data(recipe, registries, objective, found)
    if objective is not None and read is not None and data is not None and not found.problems:
        rows = found.attempt(("data",), lambda: _rows(recipe, registries, objective, read, *data, say))
        for batch in rows or ():
            found.attempt(("losses",), lambda batch=batch: _forward(objective, batch))
    model = None if objective is None else objective.model
    for name, config in recipe.evaluators.items():
        found.attempt(
            ("evaluators", name), lambda name=name, config=config: _evaluator(name, config, registries, model, say)
        )
    return found.problems


def _objective(recipe: Recipe, registries: Registries, read: model_build.Reading, found: Findings) -> Objective | None:
    """Build model and losses without memory; None if that fails."""
    sizes = model_build.sizes_of(read)
    with _META:
        image = found.attempt(("image_encoder",), lambda: model_build.image_encoder_of(recipe, registries, sizes))
        seen = replace(sizes, image_width=_ANY if image is None else image.width)
        text = found.attempt(("text_encoder",), lambda: model_build.text_encoder_of(recipe, registries, seen))
        joined = None
        if image is not None and text is not None:
            joined = found.attempt(("fusion",), lambda: model_build.joined(recipe, registries, read, image, text))
        if joined is None:
            _views(recipe, _losses_alone(recipe.losses, registries, sizes), found)
            return None
        objective = found.attempt(("losses",), lambda: build.objective_of(recipe, registries, *joined, SoloGroup()))
    if objective is None:
        return None
    _views(recipe, {name: cast(Loss, loss) for name, loss in objective.losses.items()}, found)
    objective.train()
    why = inexact(objective, recipe.train.micro_batches, recipe.data.batch)
    if why is not None:
        found.note(("train", "micro_batches"), f"train.micro_batches = {recipe.train.micro_batches}: {why}")
    found.attempt(("parallel",), lambda: recipe.parallel.refuse(objective))
    found.attempt(("optim", "groups"), lambda: parameter_groups(objective, recipe.optim))
    return objective


def _losses_alone(configs: Mapping[str, LossConfig], registries: Registries, sizes: Sizes) -> dict[str, Loss]:
    """Build losses where there is no model, to know their views; what fails may do so only because of that."""
    sizes = replace(sizes, image_width=_ANY, text_width=_ANY, embed=_ANY, joint=_ANY)
    losses: dict[str, Loss] = {}
    for name, config in configs.items():
        try:
            losses[name] = build.loss_of(config, registries, sizes)
        except MmxError:
            continue
    return losses


def _views(recipe: Recipe, losses: Mapping[str, Loss], found: Findings) -> None:
    """Note views that a loss reads and the recipe does not make, at the loss's own key where one names the view."""
    for name, loss in losses.items():
        options = dict(recipe.losses[name])
        for table, views, made in (
            ("images", loss.image_views, recipe.data.images),
            ("texts", loss.text_views, recipe.data.texts),
        ):
            for view in views:
                if view not in made:
                    keys = [key for key in (table.removesuffix("s"), *options) if options.get(key) == view]
                    known = ", ".join(made) or "none"
                    text = f"the loss reads the view '{view}', but there is no [data.{table}.{view}] (there: {known})"
                    found.note(("losses", name, *keys[:1]), text)


def _data(
    recipe: Recipe, registries: Registries, objective: Objective | None, found: Findings
) -> tuple[Dataset, StepOrder | None] | None:
    """Build what is trained on and its order; made-up samples, which have none, where the recipe has no data."""
    if not recipe.data.given():
        return Examples(SAMPLES, sorted(set[str]() if objective is None else objective.facts())), None
    where = ("data", "sources") if recipe.data.sources else ("data", "train")
    return found.attempt(where, lambda: data_build.training_of(recipe, registries))


def _rows(
    recipe: Recipe,
    registries: Registries,
    objective: Objective,
    read: model_build.Reading,
    dataset: Dataset,
    order: StepOrder | None,
    say: Say,
) -> list[Batch]:
    """Read the first samples, and return those that are in one step together."""
    reader = build.reader_of(recipe, registries, objective, read, dataset)
    if order is None:
        rows = [reader[Ticket(index, 0)] for index in range(min(SAMPLES, len(dataset)))]
        say(f"data.train: not given; the losses are computed on {len(rows)} made-up samples")
        return [collate(rows).batch]
    steps = build.steps_of(recipe, order)
    build.schedule_of(recipe, registries, order)
    first, start = dict[str, list[Row | Skipped]](), 0
    for key, size in zip(recipe.data.given(), sizes(dataset), strict=True):
        name = key.removeprefix("sources.")
        first[name] = _first(f"data.{key}", reader, range(start, start + min(SAMPLES, size)), size, say)
        start += size
    counts = " and ".join(map(str, sorted(set(recipe.data.batches().values()))))
    say(f"{many(order.samples)} samples an epoch, {steps:,} steps of {counts}")
    for note in dataset.notes():
        say(note)
    turns = [recipe.data.turn(turn) for turn in recipe.data.turns] or [tuple(first)]
    return [collate([row for name in turn for row in first[name]]).batch for turn in turns]


def _first(where: str, reader: Reader, indices: range, size: int, say: Say) -> list[Row | Skipped]:
    """Read the first samples of one source."""
    rows = [reader[Ticket(index, 0)] for index in indices]
    bad = [row for row in rows if isinstance(row, Skipped)]
    if len(bad) == len(rows):
        raise DataError(f"{where}: none of the first {len(rows)} samples can be used; {bad[0].key}: {bad[0].reason}")
    say(f"{where}: {many(size)} samples; read {len(rows) - len(bad)} of {len(rows)}")
    return rows


def _forward(objective: Objective, batch: Batch) -> None:
    """Run the losses on shapes alone."""
    try:
        with _META:
            moved = batch.to(_META)
            objective(moved, MicroBatchTerm(objective.count(moved)))
    except MmxError:
        raise
    except Exception as error:
        raise RecipeError(f"a forward pass over the first samples fails: {type(error).__name__}: {error}") from error


def _evaluator(name: str, config: EvaluatorConfig, registries: Registries, model: Model | None, say: Say) -> None:
    dataset = None
    if config.data is not None:
        dataset = data_build.dataset_of(f"evaluators.{name}.data", cast(DatasetConfig, config.data), registries)
        _readable(name, dataset)
    evaluator = eval_build.evaluator_of(config, registries, dataset)
    if model is not None:
        eval_build.check_evaluators({name: evaluator}, model)
    if dataset is not None:
        say(f"evaluators.{name}: {many(len(dataset))} samples")


def _readable(name: str, dataset: Dataset) -> None:
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
