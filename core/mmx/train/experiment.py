"""An experiment: everything that a recipe is built into, before the first step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mmx.data import build as data_build
from mmx.data.order import StepOrder
from mmx.data.views import Reader
from mmx.evaluate import build as eval_build
from mmx.learn.objective import Objective
from mmx.models import build as model_build
from mmx.models.initial import Origin, initialise
from mmx.parts.engine import Engine
from mmx.parts.evaluator import Evaluator
from mmx.parts.schedule import Schedule
from mmx.plugin.manager import Plugins
from mmx.recipe.schema import Recipe
from mmx.train import build


@dataclass(frozen=True)
class Experiment:
    """What a recipe is built into."""

    recipe: Recipe
    reading: model_build.Reading
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    engine: Engine
    reader: Reader
    order: StepOrder
    evaluators: dict[str, Evaluator]
    steps: int
    parameters: int
    """Of the model."""
    trainable: int
    origins: list[Origin]
    """Where weights came from that the recipe starts from; empty where a checkpoint has them."""


def build_experiment(
    recipe: Recipe,
    plugins: Plugins,
    engine: Engine,
    say: Callable[[str], None] = lambda text: None,
    anew: bool = True,
) -> Experiment:
    """Build everything on the engine's device, with weights drawn from the recipe's seed or read from where it says.

    ``say`` is told which weights were read; not ``anew`` leaves them to a checkpoint.

    Raises:
        RecipeError: the parts do not fit together.
        CheckpointError: weights that the recipe starts from cannot be read or do not fit.
    """
    registries = plugins.registries
    dataset, order = data_build.training_of(recipe, registries)
    evaluators = eval_build.evaluators_of(recipe, registries)
    build.refuse_unequal(recipe, engine)
    steps = build.steps_of(recipe, order)
    read = model_build.reading(recipe, registries)
    torch.manual_seed(recipe.seed)
    model, sizes = model_build.model_of(recipe, registries, read)
    origins = initialise(model, recipe, plugins, say) if anew else []  # before teachers copy the model
    eval_build.check_evaluators(evaluators, model)
    objective = build.objective_of(recipe, registries, model, sizes, engine.group, order).to(engine.device)
    objective.train()
    build.divide_norms(objective, engine.group, recipe.train.micro_batches, recipe.data.batch)
    recipe.parallel.refuse(objective)
    reader = build.reader_of(recipe, registries, objective, read, dataset)
    optimizer = build.optimizer_of(recipe, registries, objective)
    schedule = build.schedule_of(recipe, registries, order)
    total, trained = model_build.parameters_of(model)
    return Experiment(
        recipe, read, objective, optimizer, schedule, engine, reader, order, evaluators, steps, total, trained, origins
    )
