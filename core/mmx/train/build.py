"""From a recipe to what is trained: losses, teachers, views, optimizer, schedule, engine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from mmx.config import (
    LossConfig,
    ScheduleConfig,
    TransformConfig,
)
from mmx.data.order import StepOrder
from mmx.data.views import ImageView, Reader, TextView, needed
from mmx.errors import RecipeError
from mmx.learn.accumulate import inexact
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.learn.norm import group_batch_norms
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.models import build as model_build
from mmx.parts.dataset import Dataset
from mmx.parts.engine import Engine
from mmx.parts.group import Group, SoloGroup
from mmx.parts.loss import Loss
from mmx.parts.optimizer import Optimizer
from mmx.parts.schedule import Schedule, Span
from mmx.parts.sizes import Sizes
from mmx.plugin.registry import Registries
from mmx.recipe.feeds import fed
from mmx.recipe.schema import Recipe


def objective_of(
    recipe: Recipe, registries: Registries, model: Model, sizes: Sizes, group: Group, order: StepOrder | None = None
) -> Objective:
    """Build losses and teachers around a model; without an order of data, losses are told of an epoch as long as the run.

    Raises:
        RecipeError: a loss reads a teacher that is not declared, or nothing would be trained.
    """
    steps = (recipe.train.steps or 1) if order is None else steps_of(recipe, order)
    sizes = replace(sizes, steps=steps, epoch_steps=steps if order is None else order.per_epoch)
    losses = {name: loss_of(config, registries, sizes) for name, config in recipe.losses.items()}
    for name, loss in losses.items():
        missing = set(loss.teachers) - set(recipe.teachers)
        if missing:
            raise RecipeError(f"losses.{name} learns from the teacher '{min(missing)}': add [teachers.{min(missing)}]")
    teachers = {name: Teacher(model, table.decay) for name, table in recipe.teachers.items()}
    if recipe.train.ema is not None:
        teachers[model_build.EMA] = Teacher(model, recipe.train.ema, warm=True)
    weights = {name: config.weight for name, config in recipe.losses.items()}
    objective = Objective(model, losses, weights, teachers, group)
    if not any(p.requires_grad for p in objective.parameters()):
        raise RecipeError("nothing is trained: every tower is frozen and no other part has parameters")
    return objective


def refuse_division(recipe: Recipe, registries: Registries) -> None:
    """Check, on shapes alone, that the parts can be divided as the engine's options say.

    Raises:
        RecipeError: they cannot, or do not fit together.
    """
    read = model_build.reading(recipe, registries)
    with model_build.meta():
        model, sizes = model_build.model_of(recipe, registries, read)
        objective = objective_of(recipe, registries, model, sizes, SoloGroup())
    recipe.parallel.refuse(objective)


def refuse_unequal(recipe: Recipe, engine: Engine) -> None:
    """Check that the ranks can have equally many rows.

    Raises:
        RecipeError: they cannot; the message has the nearest batch.
    """
    pieces = engine.group.size * recipe.train.micro_batches
    for key, batch in recipe.data.batches().items():
        if batch % pieces:
            raise RecipeError(
                f"{key} = {batch} does not divide into {engine.group.size} data-parallel ranks x train.micro_batches = "
                f"{recipe.train.micro_batches}; the nearest that does: {key} = {max(1, round(batch / pieces)) * pieces}"
            )


def divide_norms(objective: Objective, group: Group, micro_batches: int, batch: int) -> None:
    """Let BatchNorm see the rows of all ranks, where there are several.

    Raises:
        RecipeError: it would have to see those of all micro-batches too, which it cannot; or a loss would.
    """
    if group.size > 1 and micro_batches == 1:
        group_batch_norms(objective, group)
    why = inexact(objective, micro_batches, batch)
    if why is not None:
        raise RecipeError(f"train.micro_batches = {micro_batches}: {why}")


def loss_of(config: LossConfig, registries: Registries, sizes: Sizes) -> Loss:
    """Build one loss."""
    return cast(Loss, registries.build("loss", config, sizes))


def reader_of(
    recipe: Recipe, registries: Registries, objective: Objective, read: model_build.Reading, dataset: Dataset
) -> Reader:
    """Build the views that the losses read, and those they are made from.

    Raises:
        RecipeError: a loss reads a view that is not declared, or views that no sample has together.
    """
    wanted_images, wanted_texts = objective.views()
    pictures, captions = recipe.data.images, recipe.data.texts
    images = _views(registries, "image_transform", pictures, wanted_images, read.preprocess, "data.images")
    texts = _views(registries, "text_transform", captions, wanted_texts, read.tokenizer, "data.texts")
    for name, loss in objective.losses.items():
        refuse_unfed(name, cast(Loss, loss), recipe)
    _refuse_idle(objective, recipe)
    # Of a recipe without data, samples are made up and have all views.
    given = recipe.data.given()
    of_images, of_texts = (fed(recipe, "images"), fed(recipe, "texts")) if given else ({}, {})
    return Reader(
        dataset,
        {n: ImageView(made, pictures[n].of, of_images.get(n), pictures[n].picture) for n, made in images.items()},
        {n: TextView(made, captions[n].of, of_texts.get(n), captions[n].role) for n, made in texts.items()},
        recipe.seed,
    )


def refuse_unfed(name: str, loss: Loss, recipe: Recipe) -> None:
    """Check that some source has all views that a loss reads.

    Raises:
        RecipeError: none has, so that the loss would never be computed.
    """
    images, texts = fed(recipe, "images"), fed(recipe, "texts")
    having = {f"image '{view}'": images[view] for view in loss.image_views if view in images}
    having |= {f"text '{view}'": texts[view] for view in loss.text_views if view in texts}
    if having and not set[str].intersection(*(set(sources) for sources in having.values())):
        listed = "; ".join(f"{view}: {', '.join(sources) or 'none'}" for view, sources in having.items())
        raise RecipeError(f"losses.{name} can never be computed: no source has all views that it reads ({listed})")


def _refuse_idle(objective: Objective, recipe: Recipe) -> None:
    """Check that each turn has something to train on."""
    images, texts = fed(recipe, "images"), fed(recipe, "texts")
    losses = [cast(Loss, loss) for loss in objective.losses.values()]
    for turn in recipe.data.turns:
        source = recipe.data.turn(turn)[0]  # all of a turn have the same views
        having = [{view for view, sources in table.items() if source in sources} for table in (images, texts)]
        if not any(having[0].issuperset(one.image_views) and having[1].issuperset(one.text_views) for one in losses):
            raise RecipeError(f"data.turns.{turn}: no loss can be computed on its samples, so its steps would be idle")


def _views(
    registries: Registries,
    kind: str,
    configs: Mapping[str, TransformConfig],
    wanted: set[str],
    need: object,
    table: str,
) -> dict[str, Any]:
    order = needed(wanted, {name: config.of for name, config in configs.items()}, table)
    return {name: registries.build(kind, configs[name], need) for name in order}


def engine_of(recipe: Recipe, registries: Registries) -> Engine:
    """Build the engine."""
    return cast(Engine, registries.build("engine", recipe.parallel))


def steps_of(recipe: Recipe, order: StepOrder) -> int:
    """Return the steps of the run, given in the recipe as steps or as epochs."""
    if recipe.train.steps is not None:
        return recipe.train.steps
    return max(1, round(cast(float, recipe.train.epochs) * order.per_epoch))


def optimizer_of(recipe: Recipe, registries: Registries, objective: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer of what is trained.

    Raises:
        RecipeError: a group of parameters matches none.
    """
    optimizer = cast(Optimizer, registries.build("optimizer", recipe.optim))
    return optimizer.over(parameter_groups(objective, recipe.optim))


def schedule_of(recipe: Recipe, registries: Registries, order: StepOrder) -> Schedule:
    """Build the schedule of the learning rate.

    Raises:
        RecipeError: the warm-up is longer than the run, or the schedule does not fit it otherwise.
    """
    config, steps = cast(ScheduleConfig, recipe.optim.schedule), steps_of(recipe, order)
    for key, reason in config.refusals(recipe.optim.lr, steps):
        raise RecipeError(f"optim.schedule.{key}: {reason}")
    return cast(Schedule, registries.build("schedule", config, Span(recipe.optim.lr, steps, order.per_epoch)))
