"""The tiny form of a recipe: every part of it small, every code path kept."""

from __future__ import annotations

from typing import Any, Final

from mmx.config import EncoderConfig, PartConfig
from mmx.errors import MmxError
from mmx.models import build as model_build
from mmx.parts.encoder import ImageEncoder, TextEncoder
from mmx.plugin.registry import Registries
from mmx.recipe.schema import Recipe

BATCH: Final = 16
STEPS: Final = 3
_TOWERS: Final = ("image_encoder", "text_encoder")
_SIDES: Final = (32, 48, 64, 96, 112, 128, 224, 256, 288, 336)


def tiny(recipe: Recipe, registries: Registries) -> Recipe:
    """Return the tiny form: ``tiny()`` of each part, a small square input, a batch of 16, three steps without warm-up.

    The input is the smallest that the image encoder takes, or the recipe's own where it takes no smaller one.
    Groups of parameters go, since their patterns may name layers that the tiny form has not.
    Options of the encoders whose names end in "dropout" are 0: each data-parallel rank draws its own, so that no number
    of ranks comes to what another does.
    Where a tower trains its last blocks, more of them than its tiny form has, it trains the last one.

    Raises:
        MmxError: such a tower cannot be built.
    """
    changed: dict[str, Any] = {
        name: getattr(recipe, name).tiny() for name in ("image_encoder", "text_encoder", "fusion", "tokenizer")
    }
    changed["losses"] = {name: loss.tiny() for name, loss in recipe.losses.items()}
    views = {table: _tiny(getattr(recipe.data, table)) for table in ("images", "texts")}
    changed["data"] = recipe.data.model_copy(update={"batch": BATCH, "workers": 0, "train": None, **views})
    changed["train"] = recipe.train.model_copy(update={"steps": STEPS, "epochs": None, "micro_batches": 1})
    schedule = recipe.optim.schedule and recipe.optim.schedule.tiny()
    changed["optim"] = recipe.optim.tiny().model_copy(update={"schedule": schedule, "groups": {}})
    changed["evaluators"], changed["trackers"] = {}, {}
    changed["checkpoint"] = recipe.checkpoint.model_copy(update={"keep_best": False})
    for name in _TOWERS:
        changed[name] = _without_dropout(changed[name])
    return _capped(_sized(recipe.model_copy(update=changed), registries), registries)


def _tiny(parts: dict[str, Any]) -> dict[str, PartConfig]:
    return {name: part.tiny() for name, part in parts.items()}


def _without_dropout(encoder: EncoderConfig) -> EncoderConfig:
    options: dict[str, Any] = {name: getattr(encoder, name) for name in type(encoder).model_fields}
    rates = {name: value for name, value in options.items() if name.endswith("dropout")}
    return encoder.model_copy(
        update={name: type(value)(0) for name, value in rates.items() if isinstance(value, int | float)}
    )


def _sized(recipe: Recipe, registries: Registries) -> Recipe:
    """Return the recipe with the smallest side that the image encoder takes, or else its own."""
    own = recipe.preprocess.size
    for side in [one for one in _SIDES if one < own]:
        sized = recipe.model_copy(update={"preprocess": recipe.preprocess.model_copy(update={"size": side})})
        try:
            _built(sized, registries, "image_encoder")
        except MmxError:
            continue
        return sized
    return recipe


def _capped(recipe: Recipe, registries: Registries) -> Recipe:
    """Return the recipe with towers that train no more blocks than they have."""
    changed: dict[str, EncoderConfig] = {}
    for name in _TOWERS:
        encoder: EncoderConfig = getattr(recipe, name)
        how, _, last = encoder.train.partition(":")
        if how == "last" and int(last) > len(_built(recipe, registries, name).blocks()):
            changed[name] = encoder.model_copy(update={"train": "last:1"})
    return recipe.model_copy(update=changed)


def _built(recipe: Recipe, registries: Registries, name: str) -> ImageEncoder | TextEncoder:
    """Build a tower on shapes alone."""
    make = model_build.image_encoder_of if name == "image_encoder" else model_build.text_encoder_of
    with model_build.meta():
        return make(recipe, registries, model_build.sizes_of(model_build.reading(recipe, registries)))
