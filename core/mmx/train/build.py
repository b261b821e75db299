"""From a recipe to objects: each part from its config class, sizes flowing from tower to fusion to loss."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import torch
from torch import nn

from mmx.config import (
    DatasetConfig,
    EncoderConfig,
    EvaluatorConfig,
    KeepTable,
    LossConfig,
    PartConfig,
    ScheduleConfig,
    TransformConfig,
)
from mmx.data.keep import kept
from mmx.data.mixture import Mixture
from mmx.data.order import Order, Source, StepOrder
from mmx.data.turns import Turn, Turns
from mmx.data.views import ImageView, Reader, TextView, needed
from mmx.errors import DataError, RecipeError
from mmx.evaluate.record import Recorded
from mmx.learn.accumulate import inexact
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.learn.norm import group_batch_norms
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.dataset import Dataset
from mmx.parts.encoder import ImageEncoder, TextEncoder
from mmx.parts.engine import Engine
from mmx.parts.evaluator import Evaluator
from mmx.parts.feed import Feed, alone
from mmx.parts.filter import Filter
from mmx.parts.fusion import Fusion
from mmx.parts.group import Group, SoloGroup
from mmx.parts.loss import Loss
from mmx.parts.optimizer import Optimizer
from mmx.parts.schedule import Schedule, Span
from mmx.parts.sizes import Sizes
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import Preprocess
from mmx.plugin.registry import Registries
from mmx.recipe.feeds import fed
from mmx.recipe.schema import PreprocessTable, Recipe

EMA = "ema"
"""The teacher that ``train.ema`` makes; evaluation uses it where it is there."""


class ModelParts(Protocol):
    """The tables of a recipe that describe the model."""

    @property
    def image_encoder(self) -> EncoderConfig:
        """The image tower."""
        ...

    @property
    def text_encoder(self) -> EncoderConfig:
        """The text tower."""
        ...

    @property
    def fusion(self) -> PartConfig:
        """The fusion strategy."""
        ...

    @property
    def tokenizer(self) -> PartConfig:
        """The tokenizer."""
        ...

    @property
    def preprocess(self) -> PreprocessTable:
        """How pictures become pixels."""
        ...


@dataclass(frozen=True)
class Reading:
    """What turns pictures and texts into the model's input."""

    tokenizer: Tokenizer
    preprocess: Preprocess


def part(registries: Registries, kind: str, config: PartConfig, *needs: Any) -> Any:
    """Build one part as ``Class(config, *needs)``.

    Raises:
        PluginError: it cannot be imported, or its constructor fails with an error that is not meant for users.
    """
    return registries[kind][config.name].build(config, *needs)


def reading(recipe: ModelParts, registries: Registries) -> Reading:
    """Build the tokenizer and the preprocessing."""
    table = recipe.preprocess
    return Reading(
        cast(Tokenizer, part(registries, "tokenizer", recipe.tokenizer)),
        Preprocess(size=table.size, mean=table.mean, std=table.std, resize=table.resize),
    )


def model_of(recipe: ModelParts, registries: Registries, read: Reading) -> tuple[Model, Sizes]:
    """Build the model on torch's default device, with the sizes that losses need."""
    sizes = sizes_of(read)
    image = image_encoder_of(recipe, registries, sizes)
    text = text_encoder_of(recipe, registries, replace(sizes, image_width=image.width))
    return joined(recipe, registries, read, image, text)


def sizes_of(read: Reading) -> Sizes:
    """Return the sizes that are known before there is an encoder."""
    tokens = read.tokenizer
    return Sizes(
        read.preprocess.size,
        tokens.vocabulary,
        tokens.context,
        tokens.pad,
        tokens.start,
        tokens.end,
        mask=tokens.mask,
    )


def image_encoder_of(recipe: ModelParts, registries: Registries, sizes: Sizes) -> ImageEncoder:
    """Build the image tower."""
    return cast(ImageEncoder, part(registries, "image_encoder", recipe.image_encoder, sizes))


def text_encoder_of(recipe: ModelParts, registries: Registries, sizes: Sizes) -> TextEncoder:
    """Build the text tower."""
    return cast(TextEncoder, part(registries, "text_encoder", recipe.text_encoder, sizes))


def joined(
    recipe: ModelParts, registries: Registries, read: Reading, image: ImageEncoder, text: TextEncoder
) -> tuple[Model, Sizes]:
    """Join two towers into a model, and freeze what the recipe does not train."""
    sizes = replace(sizes_of(read), image_width=image.width, text_width=text.width)
    fusion = cast(Fusion, part(registries, "fusion", recipe.fusion, sizes))
    model = Model(image, text, fusion, read.preprocess)
    for name, config in (("image_encoder", recipe.image_encoder), ("text_encoder", recipe.text_encoder)):
        _freeze(model, getattr(model, name), config, name)
    return model, replace(sizes, embed=fusion.width, joint=fusion.joint_width)


def _freeze(model: Model, tower: Any, config: EncoderConfig, name: str) -> None:
    blocks = cast("list[nn.Module]", tower.blocks())
    if config.train == "frozen":
        model.freeze([tower])
    elif config.train.startswith("last:"):
        last = int(config.train.removeprefix("last:"))
        if last > len(blocks):
            raise RecipeError(f'{name}.train = "{config.train}", but the tower has {len(blocks)} blocks; use "full"')
        model.freeze(blocks[: len(blocks) - last])


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
        teachers[EMA] = Teacher(model, recipe.train.ema, warm=True)
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
    read = reading(recipe, registries)
    with meta():
        model, sizes = model_of(recipe, registries, read)
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
    return cast(Loss, part(registries, "loss", config, sizes))


def reader_of(recipe: Recipe, registries: Registries, objective: Objective, read: Reading, dataset: Dataset) -> Reader:
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
    return {name: part(registries, kind, configs[name], need) for name in order}


def dataset_of(key: str, config: DatasetConfig, registries: Registries) -> Dataset:
    """Build a dataset with its filters; ``key`` is its table in the recipe.

    Raises:
        DataError: it cannot be read, or the filters leave nothing of it.
    """
    dataset = cast(Dataset, part(registries, "dataset", config))
    try:
        return kept(dataset, filters_of(config.keep, registries))
    except (DataError, RecipeError) as error:
        raise type(error)(f"{key}: {error}") from error


def filters_of(keep: KeepTable | None, registries: Registries) -> dict[str, Filter]:
    """Build the filters of a dataset, by the keys that those they leave out are counted under."""
    tables = {} if keep is None else keep.parts()
    return {key: cast(Filter, part(registries, "filter", _filter(table, registries))) for key, table in tables.items()}


def _filter(table: Mapping[str, Any], registries: Registries) -> PartConfig:
    """Return the options of a filter; those that a short key stands for are chosen here."""
    return registries["filter"][table["name"]].config.model_validate_json(json.dumps(table), context=registries)


def training_of(recipe: Recipe, registries: Registries) -> tuple[Dataset, StepOrder]:
    """Build what is trained on, and the order in which it is.

    Raises:
        RecipeError: the recipe leaves it to whoever runs it, and it was not given.
        DataError: it cannot be read, or has fewer samples than a batch.
    """
    data = recipe.data
    if not data.given():
        raise RecipeError("data.train is not given: add the table [data.train]")
    parts = {
        key.removeprefix("sources."): dataset_of(f"data.{key}", config, registries)
        for key, config in data.given().items()
    }
    if not data.sources:
        (one,) = parts.values()
        return one, Order([Source(one.runs())], data.batch, recipe.seed, data.window)
    mixture = Mixture(parts)
    if not data.turns:
        return mixture, _order(recipe, mixture, tuple(parts), data.batch)
    turns = {name: Turn(_turn(recipe, mixture, name), table.weight) for name, table in data.turns.items()}
    return mixture, Turns(turns)


def _order(recipe: Recipe, mixture: Mixture, names: Sequence[str], batch: int) -> Order:
    """Return the order of steps that have samples of these sources."""
    data = recipe.data
    weights = None if data.mix is None else data.mix.weights
    amounts = weights or (data.mix and data.mix.repeat) or {}
    sources = [
        Source(mixture.sources[name].runs(), amounts.get(name, 1.0), name, mixture.span(name).start) for name in names
    ]
    return Order(sources, batch, recipe.seed, data.window, weighted=weights is not None)


def _turn(recipe: Recipe, mixture: Mixture, name: str) -> Order:
    try:
        return _order(recipe, mixture, recipe.data.turn(name), recipe.data.turns[name].batch or recipe.data.batch)
    except DataError as error:
        raise DataError(f"data.turns.{name}: {error}") from error


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
            else dataset_of(f"evaluators.{name}.data", cast(DatasetConfig, config.data), registries)
        )
        found[name] = evaluator_of(config, registries, data)
    return found


def evaluator_of(config: EvaluatorConfig, registries: Registries, data: Dataset | None) -> Evaluator:
    """Build one evaluator on its dataset."""
    return Recorded(cast(Evaluator, part(registries, "evaluator", config, data)), config, data)


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


def engine_of(recipe: Recipe, registries: Registries) -> Engine:
    """Build the engine."""
    return cast(Engine, part(registries, "engine", recipe.parallel))


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
    optimizer = cast(Optimizer, part(registries, "optimizer", recipe.optim))
    return optimizer.over(parameter_groups(objective, recipe.optim))


def schedule_of(recipe: Recipe, registries: Registries, order: StepOrder) -> Schedule:
    """Build the schedule of the learning rate.

    Raises:
        RecipeError: the warm-up is longer than the run, or the schedule does not fit it otherwise.
    """
    config, steps = cast(ScheduleConfig, recipe.optim.schedule), steps_of(recipe, order)
    for key, reason in config.refusals(recipe.optim.lr, steps):
        raise RecipeError(f"optim.schedule.{key}: {reason}")
    return cast(Schedule, part(registries, "schedule", config, Span(recipe.optim.lr, steps, order.per_epoch)))


def parameters_of(module: nn.Module) -> tuple[int, int]:
    """Return the number of parameters, and of those trained."""
    sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


def meta() -> torch.device:
    """Return the device on which parameters have shapes and no memory."""
    return torch.device("meta")
