"""The models that a recipe starts from, and whether they are there. Never imports torch."""

from __future__ import annotations

from collections.abc import Iterator

from mmx.config import EncoderConfig
from mmx.errors import CheckpointError
from mmx.models.find import FoundModel, find_model
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe

WHOLE = "weights"
"""The key of the table for the whole model."""
TOWERS = ("image_encoder", "text_encoder")


def wanted(recipe: Recipe) -> dict[str, str]:
    """Return the models that a recipe starts from, by the key of their table, the whole model's first."""
    towers: dict[str, EncoderConfig] = {name: getattr(recipe, name) for name in TOWERS}
    tables = {WHOLE: recipe.weights} | {f"{name}.{WHOLE}": config.weights for name, config in towers.items()}
    return {key: table.model for key, table in tables.items() if table is not None}


def found_models(recipe: Recipe, registries: Registries) -> dict[str, FoundModel]:
    """Find the models that a recipe starts from.

    Raises:
        CheckpointError: one is not there; the message starts with its key.
    """
    found: dict[str, FoundModel] = {}
    for key, given in wanted(recipe).items():
        try:
            found[key] = find_model(given, registries)
        except CheckpointError as error:
            raise CheckpointError(f"{key}.from: {error}") from error
    return found


def absent(recipe: Recipe, registries: Registries) -> Iterator[tuple[str, str]]:
    """Yield the key of each model that is not there, and why."""
    for key, given in wanted(recipe).items():
        try:
            find_model(given, registries)
        except CheckpointError as error:
            yield f"{key}.from", str(error)
