"""The tiny form of a recipe: every part of it small, every code path kept."""

from __future__ import annotations

from typing import Any, Final

import torch

from mmx.config import PartConfig
from mmx.errors import MmxError
from mmx.recipe.schema import Recipe
from mmx.registry import Registries
from mmx.run import build

BATCH: Final = 16
STEPS: Final = 3
_SIDES: Final = (32, 48, 64, 96, 112, 128, 224, 256, 288, 336)


def tiny(recipe: Recipe, registries: Registries) -> Recipe:
    """Return the tiny form: ``tiny()`` of each part, a small square input, a batch of 16, three steps without warm-up.

    AdamW's epsilon is 1e-3, so that rounding in a gradient near zero does not decide the sign of a step.

    Raises:
        RecipeError: no small input suits the image encoder.
    """
    changed: dict[str, Any] = {
        name: getattr(recipe, name).tiny() for name in ("image_encoder", "text_encoder", "fusion", "tokenizer")
    }
    changed["losses"] = {name: loss.tiny() for name, loss in recipe.losses.items()}
    views = {table: _tiny(getattr(recipe.data, table)) for table in ("images", "texts")}
    changed["data"] = recipe.data.model_copy(update={"batch": BATCH, "workers": 0, "train": None, **views})
    changed["train"] = recipe.train.model_copy(update={"steps": STEPS, "epochs": None, "micro_batches": 1})
    changed["optim"] = recipe.optim.model_copy(update={"warmup": 0, "eps": 1e-3, "schedule": "constant"})
    changed["evaluators"], changed["trackers"] = {}, {}
    changed["checkpoint"] = recipe.checkpoint.model_copy(update={"keep_best": False})
    return _sized(recipe.model_copy(update=changed), registries)


def _tiny(parts: dict[str, Any]) -> dict[str, PartConfig]:
    return {name: part.tiny() for name, part in parts.items()}


def _sized(recipe: Recipe, registries: Registries) -> Recipe:
    """Return the recipe with the smallest side that the image encoder takes."""
    own = recipe.preprocess.size
    for side in [one for one in _SIDES if one < own]:
        sized = recipe.model_copy(update={"preprocess": recipe.preprocess.model_copy(update={"size": side})})
        try:
            with torch.device("meta"):
                build.image_encoder_of(sized, registries, build.sizes_of(build.reading(sized, registries)))
        except MmxError:
            continue
        return sized
    return recipe
