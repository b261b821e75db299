"""From a recipe to datasets, their filters, and the order in which they are read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mmx.config import (
    DatasetConfig,
    KeepTable,
    PartConfig,
)
from mmx.data.keep import kept
from mmx.data.mixture import Mixture
from mmx.data.order import Order, Source, StepOrder
from mmx.data.turns import Turn, Turns
from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import Dataset
from mmx.parts.filter import Filter
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe


def dataset_of(key: str, config: DatasetConfig, registries: Registries) -> Dataset:
    """Build a dataset with its filters; ``key`` is its table in the recipe.

    Raises:
        DataError: it cannot be read, or the filters leave nothing of it.
    """
    dataset = cast(Dataset, registries.build("dataset", config))
    try:
        return kept(dataset, filters_of(config.keep, registries))
    except (DataError, RecipeError) as error:
        raise type(error)(f"{key}: {error}") from error


def filters_of(keep: KeepTable | None, registries: Registries) -> dict[str, Filter]:
    """Build the filters of a dataset, by the keys that those they leave out are counted under."""
    tables = {} if keep is None else keep.parts()
    return {key: cast(Filter, registries.build("filter", _filter(table, registries))) for key, table in tables.items()}


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
