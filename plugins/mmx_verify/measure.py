"""A few steps under one layout, and what came of them. Runs in each process of the layout."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmx.data.order import Ticket
from mmx.data.views import collate
from mmx.errors import RecipeError
from mmx.learn.global_batch import Feature
from mmx.learn.objective import Objective
from mmx.models import build as model_build
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.parts.lazy import gathered
from mmx.parts.loss import BatchLoss
from mmx.plugin.manager import Plugins
from mmx.recipe.load import load
from mmx.recipe.schema import Recipe
from mmx.train import build
from mmx.train.step import StepLoss, take_step
from mmx_verify.samples import Noise

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """What a layout computes."""

    recipe: str
    """A recipe's file that holds its tiny form, the layout's options included."""
    micro_batches: int
    plugins: tuple[str, ...] = ()
    """Plugin files."""
    double: bool = False
    """Whether it computes in fp64; the engine's precision must then be "fp32", which casts nothing."""


@dataclass(frozen=True)
class Outcome:
    """What came of it; complete on the main process only."""

    describes: str
    parameters: int
    """Of the whole model."""
    losses: tuple[float, ...]
    """The weighted sum, by step."""
    gradients: tuple[Arrays, ...]
    """By step."""
    weights: Arrays
    """After the last step."""


@dataclass(frozen=True)
class Refusal:
    """Nothing came of it: the engine, or another part, does not take the recipe."""

    reason: str


def measure(task: Task) -> Outcome | Refusal | None:
    """Take the steps. Returns None on other processes than the main one, if the recipe is not refused."""
    try:
        return _taken(task)
    except RecipeError as error:
        return Refusal(str(error))
    finally:
        gc.collect()  # process groups end with what made them, which is in circles; by now no frame holds it


def _taken(task: Task) -> Outcome | None:
    plugins = Plugins(files=tuple(map(Path, task.plugins)), say=lambda text: None)
    recipe = load(task.recipe, (), (), plugins.registries)
    return _measured(recipe, plugins, build.engine_of(recipe, plugins.registries), task)


def _measured(recipe: Recipe, plugins: Plugins, engine: Engine, task: Task) -> Outcome | None:
    read = model_build.reading(recipe, plugins.registries)
    torch.manual_seed(recipe.seed)
    model, sizes = model_build.model_of(recipe, plugins.registries, read)
    objective = build.objective_of(recipe, plugins.registries, model, sizes, engine.group).to(engine.device).train()
    if task.double:
        objective.double()  # before the optimizer is made and the engine wraps it; gradients and states follow
    build.divide_norms(objective, engine.group, task.micro_batches, recipe.data.batch)
    parameters, _ = model_build.parameters_of(model)
    optim = recipe.optim
    optimizer = build.optimizer_of(recipe, plugins.registries, objective)
    engine.prepare(objective, optimizer)
    dtype = torch.float64 if task.double else torch.float32
    losses: list[float] = []
    gradients: list[Arrays] = []
    for step in range(recipe.train.steps or 1):
        batch = _batch(recipe, plugins, objective, read, step)
        rows = batch.chunk(engine.group.size)[engine.group.rank].to(engine.device)

        def keep(loss: StepLoss) -> None:
            losses.append(loss.total)
            gradients.append(_arrays(engine.gradients(), dtype))

        take_step(engine, objective, rows, task.micro_batches, optim.clip, keep)
    weights = _arrays(gathered(engine.weights()), dtype)
    if not engine.main:
        return None
    return Outcome(engine.describe(), parameters, tuple(losses), tuple(gradients), weights)


def _batch(recipe: Recipe, plugins: Plugins, objective: Objective, read: model_build.Reading, step: int) -> Batch:
    compares = [loss for loss in objective.losses.values() if isinstance(loss, BatchLoss)]
    features: list[Feature] = [pull for loss in compares for pull in loss.features()]
    facts = sorted({pull.view for pull in features if pull.kind == "fact"})
    count = recipe.data.batch
    dataset = Noise((step + 1) * count, tuple(facts))
    reader = build.reader_of(recipe, plugins.registries, objective, read, dataset)
    rows = [reader[Ticket(index, 0)] for index in range(step * count, (step + 1) * count)]
    return collate(rows).batch


def _arrays(tensors: Mapping[str, Any], dtype: torch.dtype) -> Arrays:
    return {name: value.detach().cpu().to(dtype).numpy().copy() for name, value in tensors.items()}
